// Runs the folders under `cases/` without a gateway: `npm test`. What goes in is `<function>.in.json`, what must come
// out is `<function>.out.json`, and `settings.json` is what `configure` gets. PLUGWAY_RECORD=1 writes the `.out.json`
// files; read them before you commit them.
import assert from "node:assert/strict";
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { Problem, functions, shown, textOf } from "./plugway.js";

const { main } = JSON.parse(readFileSync(new URL("package.json", import.meta.url)));
const CASES = new URL("cases/", import.meta.url);
let instances = 0;

for (const name of readdirSync(CASES)) {
  const folder = new URL(`${name}/`, CASES);
  for (const file of readdirSync(folder).filter((file) => /\.in\.(json|sse)$/.test(file))) {
    const [called] = file.split(".in.");
    test(`${name}: ${called}`, async () => {
      const answers = [await answer(folder, called, file), await answer(folder, called, file)];
      assert.deepEqual(answers[1], answers[0], "the same call gives another answer when it is made again");
      settle(new URL(`${called}.out.json`, folder), answers[0]);
    });
  }
}

/** The answer of an instance of its own. */
async function answer(folder, called, file) {
  const plugin = functions(await import(`${new URL(main, import.meta.url)}?instance=${(instances += 1)}`));
  const text = readFileSync(new URL(file, folder), "utf8");
  const input = file.endsWith(".sse") ? recording(text) : JSON.parse(text);
  const settings = new URL("settings.json", folder);
  try {
    if (called === "configure") return plugin.configure(input) ?? null;
    plugin.configure(existsSync(settings) ? JSON.parse(readFileSync(settings)) : {});
    return plain(CALLS[called](plugin, input));
  } catch (error) {
    if (error instanceof Problem) return { problem: plain(error) };
    throw error;
  }
}

function settle(file, actual) {
  if (process.env.PLUGWAY_RECORD === "1") return writeFileSync(file, `${JSON.stringify(actual, null, 2)}\n`);
  assert.ok(existsSync(file), `${file.pathname} is missing; PLUGWAY_RECORD=1 npm test writes it`);
  assert.deepEqual(actual, JSON.parse(readFileSync(file)));
}

/** As it is in a file: no classes, nothing undefined. */
function plain(value) {
  return JSON.parse(JSON.stringify(value));
}

// How each function is called with what a case's file says.
const CALLS = {
  plan: (plugin, input) => plugin.plan({
    operation: "chat_completion", model: "some-model", streaming: false, dialect: "openai-chat", attempt: 0, now_ms: 0,
    credentials: ["api_key"], members: {}, ...input,
  }),
  resume: (plugin, { state, reply }) => plugin.resume(state, reply && { headers: [], ...reply }),
  "encode-request": (plugin, input) => {
    const { operation, body, model = body.model ?? "" } = request(input, "body", ["model"]);
    return plugin.encodeRequest(operation, model, body);
  },
  "decode-reply": (plugin, input) => {
    const { operation, body } = request(input, "body");
    return plugin.decodeReply(operation, body);
  },
  "decode-problem": (plugin, { status, headers = [], body }) => plugin.decodeProblem(status, headers, shown(body)),
  "decode-events": (plugin, input) => {
    const { operation, events, end = true } = request(input, "events", ["end"]);
    return inEveryBatching(events.map(({ name = "", data }) => ({ name, data: shown(data) })), {
      call: (state, batch, isLast) => plugin.decodeEvents(operation, state, batch, end && isLast),
      isOver: ({ progress }) => progress !== "open",
      join: (answers) => ({ chunks: answers.flatMap(({ chunks }) => chunks), progress: answers.at(-1).progress }),
    });
  },
  "decode-request": (plugin, input) => {
    const { operation, body, model = body.model ?? "", streaming = body.stream === true } =
      request(input, "body", ["model", "streaming"]);
    return plugin.decodeRequest(operation, model, streaming, body);
  },
  "encode-reply": (plugin, input) => {
    const { operation, body } = request(input, "body");
    return plugin.encodeReply(operation, body);
  },
  "encode-events": (plugin, input) => {
    const { operation, chunks, progress = "complete" } = request(input, "chunks", ["progress"]);
    return inEveryBatching(chunks, {
      call: (state, batch, isLast) => plugin.encodeEvents(operation, state, batch, isLast ? progress : "open"),
      isOver: () => false,
      join: (answers) => answers.flatMap(({ events }) => events.map((event) => ({ name: "", ...event }))),
    });
  },
  "encode-problem": (plugin, { status, problem, request_id = "req-1" }) =>
    plugin.encodeProblem(status, new Problem(problem.kind, problem.message, problem), request_id),
  variables: (plugin, template) => plugin.variables(template),
  render: (plugin, { templates, variables = {} }) => plugin.render(templates, variables),
  "review-request": (plugin, input) => {
    const { context, body } = request(input, "body", ["context"]);
    return plugin.reviewRequest(contextOf(context, body), body);
  },
  "review-reply": (plugin, input) => {
    const { context, body } = request(input, "body", ["context"]);
    return plugin.reviewReply(contextOf(context, body), body);
  },
  "review-chunks": (plugin, input) => {
    const { context, chunks, end = true } = request(input, "chunks", ["context", "end"]);
    return inEveryBatching(chunks, {
      call: (state, batch, isLast) => plugin.reviewChunks(contextOf(context, {}), state, batch, end && isLast),
      isOver: ({ refusal }) => Boolean(refusal),
      join: (answers) => ({
        chunks: answers.flatMap(({ chunks }) => chunks), refusal: answers.at(-1).refusal ?? null,
      }),
    });
  },
};

/** A bare body (or list) may stand for the arguments. */
function request(input, main, others = []) {
  const names = ["operation", main, ...others];
  const isKnown = (name) => names.includes(name);
  const areArguments = !Array.isArray(input) && main in input && Object.keys(input).every(isKnown);
  return { operation: "chat_completion", ...(areArguments ? input : { [main]: input }) };
}

const contextOf = (context, body) => ({
  request_id: "req-1", operation: "chat_completion", model: body.model ?? "", streaming: false, now_ms: 0, ...context,
});

/** No result may depend on how a stream was batched: all at once, one by one with the end on its own, one by one. */
function inEveryBatching(items, { call, isOver, join }) {
  const oneByOne = items.map((item) => [item]);
  const [first, ...others] = [[items], [...oneByOne, []], items.length ? oneByOne : [[]]].map((batches) => {
    const answers = [];
    let state = "";
    for (const [at, batch] of batches.entries()) {
      const answer = call(state, batch, at + 1 === batches.length);
      answers.push(answer);
      if (isOver(answer)) break;
      state = shown(textOf(answer.state));
    }
    return plain(join(answers));
  });
  for (const other of others) assert.deepEqual(other, first, "the result depends on the batching");
  return first;
}

/** The events of a recorded stream. */
function recording(text) {
  return text.replace(/\r\n?/g, "\n").split("\n\n").flatMap((block) => {
    const fields = block.split("\n").map((line) => /^([^:]+):? ?(.*)$/.exec(line)).filter(Boolean);
    const of = (name) => fields.filter(([, field]) => field === name).map(([, , value]) => value);
    return of("data").length ? [{ name: of("event").at(-1) ?? "", data: of("data").join("\n") }] : [];
  });
}
