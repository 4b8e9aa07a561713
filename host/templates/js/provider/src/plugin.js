// {{description}}: it speaks OpenAI's dialect, at a path of its own, with the key in a header of its own.
import { Problem } from "../plugway.js";

let team;

/** @type {import("../plugway.js").Configure} */
export function configure(settings) {
  team = settings.team ?? "default";
  if (team === "") {
    throw new Problem("invalid-request", "team: must not be empty; leave it out for `default`", { param: "team" });
  }
}

/** @type {import("../plugway.js").Capabilities} */
export function capabilities() {
  return {
    operations: ["chat_completion", "chat_completion_stream"],
    default_base_url: "https://api.example.com",
  };
}

// `api_key` is the name of the credential. The gateway puts the secret there, and no plugin ever sees it.
/** @type {import("../plugway.js").Plan} */
export function plan(call) {
  return {
    send: {
      path: "/v2/chat",
      headers: [["x-team", team]],
      body: { edited: [{ member: "model", value: call.model }] },
      auth: { credential: "api_key", placement: { header: "x-api-key" } },
    },
  };
}
