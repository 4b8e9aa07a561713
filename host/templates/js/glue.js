// `functions` of `plugway.js` in the contract's own types, as the component exports them.
import clock from "plugway:plugin/clock@0.1.0";
import log from "plugway:plugin/log@0.1.0";
import { Problem, asProblem, functions, host, shown, textOf } from "../plugway.js";
import { EXPORTS } from "./kinds.js";

// The engine has no console of its own.
globalThis.console = Object.fromEntries(["debug", "info", "log", "warn", "error"].map((name) => [
  name, (...words) => log.log(name === "log" ? "info" : name, words.map(textOf).join(" ")),
]));
host.nowMs = clock.nowMs;

export function component(plugin, kinds, manifest) {
  const missing = kinds.flatMap((kind) => EXPORTS[kind]).filter((name) => plugin[name] === undefined);
  if (missing.length > 0) throw new Error(`the plugin does not export ${missing.join(", ")}, as its kinds ask for`);
  const plain = functions(plugin);
  return {
    lifecycle: {
      describe: () => manifest,
      configure: refusing((settings) => void plain.configure(JSON.parse(settings))),
    },
    provider: {
      getCapabilities() {
        const { operations, body_members, presets, default_base_url, needs_key } = plain.capabilities();
        const preset = ({ name, base_url, needs_key = true, settings = {} }) =>
          ({ name, baseUrl: base_url, needsKey: needs_key, settings: textOf(settings) });
        return {
          operations, bodyMembers: body_members, presets: presets.map(preset), defaultBaseUrl: default_base_url,
          needsKey: needs_key,
        };
      },
      plan: refusing(({ nowMs, members, ...call }) =>
        wit.step(plain.plan({ ...call, now_ms: nowMs, members: JSON.parse(members) }))),
      resume: refusing((state, reply) => wit.step(plain.resume(
        shown(state), reply && { status: reply.status, headers: pairs(reply.headers), body: shown(reply.body) }))),
    },
    upstream: {
      dialect: () => plugin.dialect,
      encodeRequest: refusing((operation, model, body) =>
        wit.translated(plain.encodeRequest(operation, model, requestOf(body)))),
      decodeReply: refusing((operation, body) => textOf(plain.decodeReply(operation, answerOf(body)))),
      decodeProblem: (status, headers, body) => wit.problem(plain.decodeProblem(status, pairs(headers), shown(body))),
      decodeEvents: refusing((operation, state, events, end) => {
        const read = events.map(({ name, data }) => ({ name, data: shown(data) }));
        const decoded = plain.decodeEvents(operation, shown(state), read, end);
        const progress = wit.progress(decoded.progress);
        return { state: textOf(decoded.state), chunks: decoded.chunks.map(textOf), progress };
      }),
    },
    client: {
      dialect: () => plugin.dialect,
      routes: () => plain.routes().map(({ model, streaming, ...route }) =>
        ({ ...route, model: wit.choice(model), streaming: wit.choice(streaming) })),
      decodeRequest: refusing((operation, model, streaming, body) =>
        wit.translated(plain.decodeRequest(operation, model, streaming, requestOf(body)))),
      encodeReply: refusing((operation, body) => textOf(plain.encodeReply(operation, JSON.parse(body)))),
      encodeEvents: refusing((operation, state, chunks, { tag, val }) => {
        const progress = tag === "failed" ? { failed: problemOf(val) } : tag;
        const read = chunks.map((chunk) => JSON.parse(chunk));
        const encoded = plain.encodeEvents(operation, shown(state), read, progress);
        const events = encoded.events.map(({ name = "", data }) => ({ name, data: textOf(data) }));
        return { state: textOf(encoded.state), events };
      }),
      encodeProblem: (status, problem, requestId) => textOf(plain.encodeProblem(status, problemOf(problem), requestId)),
    },
    headers: {
      variables: refusing((template) => plain.variables(template)),
      render: refusing((templates, variables) =>
        wit.headers(plain.render(pairs(templates), Object.fromEntries(pairs(variables))))),
    },
    policy: {
      getPhases: () => plain.phases(),
      reviewRequest: refusing((context, body) =>
        wit.verdict(plain.reviewRequest(contextOf(context), JSON.parse(body)))),
      reviewReply: refusing((context, body) => wit.verdict(plain.reviewReply(contextOf(context), JSON.parse(body)))),
      reviewChunks: refusing((context, state, chunks, end) => {
        const read = chunks.map((chunk) => JSON.parse(chunk));
        const reviewed = plain.reviewChunks(contextOf(context), shown(state), read, end);
        const refusal = reviewed.refusal ? wit.problem(reviewed.refusal) : null;
        return { state: textOf(reviewed.state), chunks: reviewed.chunks.map(textOf), refusal };
      }),
    },
  };
}

/** A problem that is thrown is the function's answer. */
function refusing(work) {
  return (...given) => {
    try {
      return work(...given);
    } catch (error) {
      throw wit.problem(asProblem(error));
    }
  };
}

const reading = (kind, message) => (body) => {
  try {
    return JSON.parse(body);
  } catch (error) {
    throw new Problem(kind, message, { detail: error.message });
  }
};
const requestOf = reading("invalid-request", "the request is no JSON");
const answerOf = reading("upstream", "the upstream's answer cannot be read");

const pairs = (list) => list.map(({ name, value }) => [name, value]);
const contextOf = ({ requestId, nowMs, ...context }) => ({ ...context, request_id: requestId, now_ms: nowMs });
const problemOf = ({ kind, message, retryAfterMs, ...more }) =>
  new Problem(kind, message, { ...more, retry_after_ms: retryAfterMs });

// Plain values in the contract's types.
const wit = {
  choice(value, convert = (_, inner) => inner) {
    if (typeof value === "string") return { tag: value };
    const [[tag, inner]] = Object.entries(value);
    return { tag, val: convert(tag, inner) };
  },
  headers: (list) => list.map(([name, value]) => ({ name, value })),
  translated: ({ body, dropped }) => ({ body: textOf(body), dropped }),
  problem: ({ kind, message, param, code, detail, retry_after_ms }) => ({
    kind, message, param: param ?? null, code: code ?? null, detail: detail ?? null,
    retryAfterMs: retry_after_ms ?? null,
  }),
  progress: (progress) => wit.choice(progress, (_, problem) => wit.problem(problem)),
  verdict: (verdict) => wit.choice(verdict, (tag, inner) => (tag === "refuse" ? wit.problem(inner) : textOf(inner))),
  step: (step) => wit.choice(step, (tag, inner) => {
    switch (tag) {
      case "send": return wit.outgoing(inner);
      case "fetch": return { request: wit.outgoing(inner.request), state: textOf(inner.state) };
      case "wait": return { milliseconds: inner.milliseconds, state: textOf(inner.state) };
      case "acquire": return {
        credential: inner.credential, request: wit.outgoing(inner.request), secretAt: inner.secret_at,
        expiresAt: inner.expires_at,
      };
      case "reply": return wit.choice(inner, (kind, value) => (kind === "whole" ? textOf(value) : value.map(textOf)));
    }
  }),
  outgoing: ({ headers, body, auth, ...request }) => ({
    ...request,
    headers: wit.headers(headers),
    body: wit.choice(body, (tag, inner) => (tag === "edited" ? inner.map(wit.edit) : textOf(inner))),
    auth: auth && { credential: auth.credential, placement: wit.choice(auth.placement) },
  }),
  edit: ({ member, value }) => ({ member, value: value === undefined ? null : JSON.stringify(value) }),
};
