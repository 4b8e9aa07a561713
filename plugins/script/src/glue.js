// What stands between a script and the contract: all values are plain, as in the files of cases.
import * as plugin from "script";
import { Problem, functions, host } from "plugway";
import { EXPORTS } from "kinds";

host.nowMs = Date.now;
const plain = functions(plugin);

// Any of them makes a script a policy.
const REVIEWS = ["reviewRequest", "reviewReply", "reviewChunk"];

function kinds() {
  const found = REVIEWS.some((name) => plugin[name]) ? ["policy"] : [];
  for (const [kind, names] of Object.entries(EXPORTS)) {
    if (names.length === 0) continue;
    // `dialect` alone says nothing: providers use it, too.
    const own = names.filter((name) => name !== "dialect");
    const missing = names.filter((name) => plugin[name] === undefined);
    if (missing.length === 0) found.push(kind);
    else if (own.some((name) => plugin[name] !== undefined)) {
      throw new Problem("invalid-request", `a ${kind} exports ${names.join(", ")}; missing here: ${missing.join(", ")}`);
    }
  }
  if (found.length === 0) {
    throw new Problem("invalid-request", `the script exports no kind of plugin; a provider is ${EXPORTS.provider.join(" and ")}`);
  }
  return found;
}

const CALLS = {
  ...plain,
  kinds,
  manifest: () => ({
    name: plugin.name, version: plugin.version, description: plugin.description, settings: plugin.settings,
  }),
  configure: (settings) => void plain.configure(settings),
  dialect: () => plugin.dialect,
  encodeEvents: (operation, state, chunks, progress) =>
    plain.encodeEvents(operation, state, chunks, progress.failed ? { failed: asProblem(progress.failed) } : progress),
  encodeProblem: (status, problem, id) => plain.encodeProblem(status, asProblem(problem), id),
  render: (templates, variables) => plain.render(templates, Object.fromEntries(variables)),
};

const asProblem = ({ kind, message, ...more }) => new Problem(kind, message, more);

/** One call: a list of arguments as JSON in, `{answer}` or `{problem}` as JSON out. */
export function call(name, given) {
  try {
    return JSON.stringify({ answer: CALLS[name](...JSON.parse(given)) ?? null });
  } catch (error) {
    if (error instanceof Problem) return JSON.stringify({ problem: error });
    throw error;
  }
}
