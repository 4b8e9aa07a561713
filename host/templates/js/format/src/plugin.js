// {{description}}: one question, one answer. `{"model", "question", "stream"}` becomes `{"answer", "words"}`, or in a
// stream `{"word"}` for each word and `{"words"}` at the end.
import { Problem, kindOfStatus, now } from "../plugway.js";

export const dialect = "{{name}}";

// What a provider speaks.

const SAID = ["model", "messages", "stream", "stream_options"];

/** @type {import("../plugway.js").EncodeRequest} */
export function encodeRequest(operation, model, body) {
  const { messages } = body;
  if (messages?.length !== 1 || typeof messages[0]?.content !== "string") {
    throw new Problem("invalid-request", "only a single question of text can be asked", { param: "messages" });
  }
  return {
    body: { model, question: messages[0].content, stream: body.stream === true },
    dropped: Object.keys(body).filter((name) => !SAID.includes(name)).sort(),
  };
}

/** @type {import("../plugway.js").DecodeReply} */
export function decodeReply(operation, { answer, words }) {
  if (typeof answer !== "string") throw new Problem("upstream", "the upstream's answer cannot be read");
  const message = { role: "assistant", content: answer };
  return {
    id: "ask", object: "chat.completion", created: now(), model: "ask",
    choices: [{ index: 0, message, finish_reason: "stop" }], usage: usage(words),
  };
}

/** @type {import("../plugway.js").DecodeProblem} */
export function decodeProblem(status, headers, body) {
  const seconds = Number(headers.find(([name]) => name.toLowerCase() === "retry-after")?.[1]);
  const wait = seconds >= 0 ? { retry_after_ms: Math.round(seconds * 1000) } : {};
  return new Problem(kindOfStatus(status), body.failure ?? "the upstream failed without saying why", wait);
}

/** @type {import("../plugway.js").DecodeEvent} */
export function decodeEvent(operation, state, { data }, chunks) {
  if (typeof data !== "object") throw new Problem("upstream", "the upstream's answer cannot be read");
  if (data.word !== undefined) {
    chunks.push(chunk([choice({ role: "assistant", content: data.word }, null)]));
    return "open";
  }
  chunks.push(chunk([choice({}, "stop")]), { ...chunk([]), usage: usage(data.words) });
  return "complete";
}

const chunk = (choices) => ({ id: "ask", object: "chat.completion.chunk", created: now(), model: "ask", choices });
const choice = (delta, finish_reason) => ({ index: 0, delta, finish_reason });
const usage = (words) => ({ prompt_tokens: 0, completion_tokens: words, total_tokens: words });

// What a caller speaks.

const ASKED = ["model", "question", "stream"];

/** @type {import("../plugway.js").Routes} */
export function routes() {
  return [{ path: "/v1/ask" }];
}

/** @type {import("../plugway.js").DecodeRequest} */
export function decodeRequest(operation, model, streaming, body) {
  const { question } = body;
  if (typeof question !== "string") {
    throw new Problem("invalid-request", "a question is missing", { param: "question" });
  }
  return {
    body: { model, messages: [{ role: "user", content: question }], stream: streaming },
    dropped: Object.keys(body).filter((name) => !ASKED.includes(name)).sort(),
  };
}

/** @type {import("../plugway.js").EncodeReply} */
export function encodeReply(operation, { choices, usage }) {
  return { answer: choices[0].message.content, words: usage?.completion_tokens ?? null };
}

/** @type {import("../plugway.js").EncodeChunk} */
export function encodeChunk(operation, state, { choices, usage }, events) {
  const word = choices[0]?.delta.content;
  if (word != null) events.push({ data: { word } });
  state.words = usage?.completion_tokens ?? state.words;
}

/** @type {import("../plugway.js").EncodeEnd} */
export function encodeEnd(operation, state, events) {
  events.push({ data: { words: state.words ?? 0 } });
}

/** @type {import("../plugway.js").EncodeFailure} */
export function encodeFailure(operation, state, problem, events) {
  events.push({ name: "failure", data: { failure: problem.message } });
}

/** @type {import("../plugway.js").EncodeProblem} */
export function encodeProblem(status, problem) {
  return { failure: problem.message };
}
