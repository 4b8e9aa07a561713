// {{description}}: `$name` in a header's value stands for the variable, everything else for itself.
import { Problem } from "../plugway.js";

const VARIABLE = /\$([A-Za-z0-9_.-]*)/g;

/** @type {import("../plugway.js").Variables} */
export function variables(template) {
  return [...template.matchAll(VARIABLE)].map(([, name]) => {
    if (!name) throw new Problem("invalid-request", "after `$` comes the name of a variable");
    return name;
  });
}

/** @type {import("../plugway.js").Render} */
export function render(templates, values) {
  return templates.map(([header, template]) => [header, template.replace(VARIABLE, (_, name) => values[name] ?? "")]);
}
