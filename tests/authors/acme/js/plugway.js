// What stands between the functions of `src/plugin.js` and the component that `plugway plugin build` makes of them.
//
// Your functions take and return plain values, in the form that the files under `cases/` have: what is text in the
// contract is the object or list where it is JSON, a header is `[name, value]`, and a choice is `"name"` or
// `{name: value}`. `plugway.d.ts` says which functions there are. The file is yours: change it where it does not suit.

/** Why something cannot be done. Throw it; the caller reads the message. */
export class Problem extends Error {
  constructor(kind, message, { param, code, detail, retry_after_ms } = {}) {
    super(message);
    Object.assign(this, { kind, param, code, detail, retry_after_ms });
  }

  toJSON() {
    return { ...this, message: this.message };
  }
}

/** What the status of an upstream's error reply means, where nothing in the reply says it better. */
export function kindOfStatus(status) {
  const known = {
    401: "unauthenticated", 402: "forbidden", 403: "forbidden", 404: "not-found", 408: "timeout", 413: "too-large",
    429: "rate-limited", 503: "overloaded", 504: "timeout", 529: "overloaded",
  };
  return known[status] ?? (status >= 400 && status < 500 ? "invalid-request" : "upstream");
}

/** Writes a line to the gateway's log; `console` does the same. Levels: debug, info, warn, error. */
export function log(level, message) {
  console[level](message);
}

/** Where the component looks for what only a gateway knows. */
export const host = { nowMs: () => 0 };

/** When the call began, in seconds since 1970; 0 in tests. There is no other clock. */
export function now() {
  return Math.floor(host.nowMs() / 1000);
}

/** Text of the contract as a value: what is no JSON object or list stays text. */
export function shown(text) {
  if (!/^\s*[{[]/.test(text)) return text;
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

/** The way back from `shown`. */
export function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

// The functions of the contract, in plain values, with all that an author may leave out.
export function functions(plugin) {
  return {
    configure: (settings) => plugin.configure?.(settings),

    capabilities: () => ({
      body_members: [], presets: [], default_base_url: null, needs_key: true, ...plugin.capabilities(),
    }),
    plan: (call) => step(plugin.plan(call)),
    resume(state, reply) {
      if (!plugin.resume) throw new Problem("internal", "this provider plans every call in one step");
      return step(plugin.resume(state, reply));
    },

    encodeRequest: (...request) => ({ dropped: [], ...plugin.encodeRequest(...request) }),
    decodeReply: (operation, body) => plugin.decodeReply(operation, body),
    decodeProblem: (status, headers, body) => plugin.decodeProblem(status, headers, body),
    decodeEvents: (operation, state, events, end) => decodeEvents(plugin, operation, begun(state), events, end),

    routes: () => plugin.routes().map((route) => ({
      method: "POST", operation: "chat_completion", model: { member: "model" }, streaming: { member: "stream" },
      ...route,
    })),
    decodeRequest: (...request) => ({ dropped: [], ...plugin.decodeRequest(...request) }),
    encodeReply: (operation, body) => plugin.encodeReply(operation, body),
    encodeEvents: (operation, state, chunks, progress) =>
      encodeEvents(plugin, operation, begun(state), chunks, progress),
    encodeProblem: (status, problem, requestId) => plugin.encodeProblem(status, problem, requestId),

    variables: (template) => plugin.variables(template),
    render: (templates, variables) => plugin.render(templates, variables),

    phases: () => ({ request: !!plugin.reviewRequest, reply: !!plugin.reviewReply, chunks: !!plugin.reviewChunk }),
    reviewRequest: (context, body) => plugin.reviewRequest?.(context, body) ?? "pass",
    reviewReply: (context, body) => plugin.reviewReply?.(context, body) ?? "pass",
    reviewChunks: (context, state, chunks, end) => reviewChunks(plugin, context, begun(state), chunks, end),
  };
}

/** A stream's state: an object that your functions change. */
const begun = (state) => (state === "" ? {} : state);

function step(step) {
  if (step.send) return { send: outgoing(step.send) };
  if (step.fetch) return { fetch: { ...step.fetch, request: outgoing(step.fetch.request) } };
  if (step.acquire) {
    return { acquire: { expires_at: null, ...step.acquire, request: outgoing(step.acquire.request) } };
  }
  return step;
}

function outgoing(request) {
  return {
    method: "POST", headers: [], body: "translated", auth: null, dialect: "openai-chat", framing: "sse", ...request,
  };
}

// Streams go one event, or one chunk, at a time, so that no result can depend on how they were batched.

function decodeEvents(plugin, operation, state, events, end) {
  const chunks = [];
  let progress = "open";
  try {
    for (const event of events) {
      progress = plugin.decodeEvent(operation, state, event, chunks) ?? "open";
      if (progress !== "open") break;
    }
    if (end && progress === "open") progress = plugin.decodeEnd?.(operation, state, chunks) ?? "open";
  } catch (error) {
    // A problem with one event must not take the chunks before it along.
    progress = { failed: asProblem(error) };
  }
  return { state, chunks, progress };
}

function encodeEvents(plugin, operation, state, chunks, progress) {
  const events = [];
  for (const chunk of chunks) plugin.encodeChunk(operation, state, chunk, events);
  if (progress === "complete") plugin.encodeEnd(operation, state, events);
  if (progress.failed) plugin.encodeFailure(operation, state, progress.failed, events);
  return { state, events };
}

function reviewChunks(plugin, context, state, chunks, end) {
  const passed = [];
  let refusal;
  for (const chunk of chunks) {
    refusal = plugin.reviewChunk(context, state, chunk, passed);
    if (refusal) break;
  }
  if (end && !refusal) refusal = plugin.reviewEnd?.(context, state, passed);
  return { state, chunks: passed, refusal };
}

/** What was thrown, if it is an answer; any other error is a bug, and ends the instance. */
export function asProblem(error) {
  if (error instanceof Problem) return error;
  throw error;
}
