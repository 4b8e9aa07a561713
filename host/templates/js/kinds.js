// What a plugin exports to be of a kind. A policy exports what it wants to review, so that nothing is asked of it here.
export const EXPORTS = {
  "provider": ["capabilities", "plan"],
  "format-upstream": ["dialect", "encodeRequest", "decodeReply", "decodeProblem", "decodeEvent"],
  "format-client": [
    "dialect", "routes", "decodeRequest", "encodeReply", "encodeChunk", "encodeEnd", "encodeFailure", "encodeProblem",
  ],
  "headers": ["variables", "render"],
  "policy": [],
};
