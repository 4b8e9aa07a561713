// Acme's talk service (../API.md): where a call is sent, and how it is said.
import { Problem, kindOfStatus, now } from "../plugway.js";

export const dialect = "acme-talk";

let team;

/** @param {{ team?: string }} settings */
export function configure(settings) {
  for (const name of Object.keys(settings)) {
    if (name !== "team") throw cannot(name, `${name}: unknown setting; there is \`team\``);
  }
  if (settings.team === "") throw cannot("team", "team: must not be empty; leave it out instead");
  team = settings.team;
}

export function capabilities() {
  return {
    operations: ["chat_completion", "chat_completion_stream"],
    default_base_url: "https://api.acme.example",
  };
}

/** @type {import("../plugway.js").Plan} */
export function plan(call) {
  return {
    send: {
      path: "/v3/talk",
      headers: team ? [["x-acme-team", team]] : [],
      auth: { credential: "api_key", placement: { header: "x-acme-token" } },
      dialect,
      framing: call.streaming ? "ndjson" : "none",
    },
  };
}

const SPEAKERS = { system: "director", developer: "director", user: "human", assistant: "machine" };
const REASONS = { done: "stop", words: "length", hushed: "content_filter" };
// What would be missed where Acme cannot say it; everything else that it cannot say is a hint.
const ESSENTIAL = ["tools", "functions", "response_format", "audio", "modalities"];
const SAID = [
  "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "stop", "n",
];

/** @type {import("../plugway.js").EncodeRequest} */
export function encodeRequest(operation, model, body) {
  if (!Array.isArray(body.messages)) throw cannot("messages", "there is no conversation");
  const given = Object.keys(body).filter((name) => body[name] !== null);
  const essential = given.find((name) => ESSENTIAL.includes(name));
  if (essential) throw cannot(essential, `Acme has no \`${essential}\``);
  if ((body.n ?? 1) !== 1) throw cannot("n", "Acme gives one answer at a time");
  return {
    body: {
      engine: model,
      turns: body.messages.map(turn),
      ...optional("most_words", body.max_completion_tokens ?? body.max_tokens),
      ...optional("heat", body.temperature == null ? null : Math.round(body.temperature * 50)),
      ...optional("end_at", typeof body.stop === "string" ? [body.stop] : body.stop),
      live: body.stream === true,
    },
    dropped: given.filter((name) => !SAID.includes(name)).sort(),
  };
}

function turn(message, at) {
  const path = `messages[${at}]`;
  const who = SPEAKERS[message.role];
  if (!who) throw cannot(`${path}.role`, `nobody at Acme is a \`${message.role}\``);
  if (message.tool_calls) throw cannot(`${path}.tool_calls`, "Acme has no tools");
  return { who, says: words(message.content, `${path}.content`) };
}

function words(content, path) {
  if (typeof content === "string") return content;
  const parts = (content ?? []).map((part, at) => {
    if (part.type !== "text") throw cannot(`${path}[${at}]`, `Acme takes text, not \`${part.type}\``);
    return part.text;
  });
  return parts.join("");
}

const optional = (name, value) => (value == null ? {} : { [name]: value });
const cannot = (param, message) => new Problem("invalid-request", message, { param });

/** @type {import("../plugway.js").DecodeReply} */
export function decodeReply(operation, { talk, engine, said, ended, bill }) {
  if (typeof said !== "string" || !bill) throw new Problem("upstream", "Acme's answer cannot be read");
  return {
    id: talk,
    object: "chat.completion",
    created: now(),
    model: engine,
    choices: [{ index: 0, message: { role: "assistant", content: said }, ...finish(ended) }],
    usage: usage(bill),
  };
}

/** @type {import("../plugway.js").DecodeProblem} */
export function decodeProblem(status, headers, body) {
  const seconds = Number(headers.find(([name]) => name.toLowerCase() === "retry-after")?.[1]);
  const wait = seconds >= 0 ? { retry_after_ms: Math.round(seconds * 1000) } : {};
  return asProblem(kindOfStatus(status), body.trouble, wait);
}

function asProblem(kind, trouble, more) {
  if (typeof trouble?.text !== "string") return new Problem(kind, "Acme failed without saying why", more);
  const code = trouble.name === "too_long" ? "context_length_exceeded" : trouble.name;
  return new Problem(kind, trouble.text, { code, param: trouble.field, ...more });
}

/** @type {import("../plugway.js").DecodeEvent} */
export function decodeEvent(operation, state, { data }, chunks) {
  const chunk = (choices, more) => {
    const { talk, engine, created } = state;
    chunks.push({ id: talk, object: "chat.completion.chunk", created, model: engine, choices, ...more });
  };
  if (!data?.at || typeof data !== "object") throw new Problem("upstream", "an event of Acme's answer cannot be read");
  switch (data.at) {
    case "begin":
      Object.assign(state, { talk: data.talk, engine: data.engine, created: now() });
      chunk([{ index: 0, delta: { role: "assistant", content: "" }, finish_reason: null }]);
      return "open";
    case "word":
      chunk([{ index: 0, delta: { content: data.says }, finish_reason: null }]);
      return "open";
    case "end":
      chunk([{ index: 0, delta: {}, ...finish(data.ended) }]);
      return "open";
    case "bill":
      chunk([], { usage: usage(data.bill) });
      return "complete";
    case "trouble":
      return { failed: asProblem(data.trouble?.name === "tired" ? "overloaded" : "upstream", data.trouble, {}) };
    default:
      return "open";
  }
}

const finish = (ended) => ({ finish_reason: REASONS[ended] ?? "stop", native_finish_reason: ended });
const usage = ({ heard, said }) => ({ prompt_tokens: heard, completion_tokens: said, total_tokens: heard + said });
