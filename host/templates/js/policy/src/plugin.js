// {{description}}: refuses questions that contain one of some words.
import { Problem } from "../plugway.js";

let words;

/** @type {import("../plugway.js").Configure} */
export function configure(settings) {
  words = settings.words;
  if (!Array.isArray(words)) throw new Problem("invalid-request", "words: must be a list of words", { param: "words" });
  if (words.includes("")) {
    throw new Problem("invalid-request", "words: an empty word is in every question", { param: "words" });
  }
}

/** @type {import("../plugway.js").ReviewRequest} */
export function reviewRequest(context, body) {
  for (const [at, message] of body.messages.entries()) {
    const said = JSON.stringify(message.content);
    const word = words.find((word) => said.includes(word));
    if (word) {
      const param = `messages[${at}].content`;
      return { refuse: new Problem("refused", `\`${word}\` is not to be talked about`, { param }) };
    }
  }
  return "pass";
}
