// A custom model as the judge of another one's answers, as Braintrust's page has it: node judge.mjs <gateway>
import assert from "node:assert/strict";
import { createRequire } from "node:module";

// Where the packages lie is the tests' business.
const { LLMClassifierFromSpec } = createRequire(`${process.env.PLUGWAY_NODE_CLIENTS}/`)("autoevals");
process.env.OPENAI_BASE_URL = `${process.argv[2]}/v1/proxy`;
process.env.OPENAI_API_KEY = "unused";

const relevanceScorer = LLMClassifierFromSpec("Relevance", {
  choice_scores: { Relevant: 1, Irrelevant: 0 },
  model: "my-custom-model",
  use_cot: true,
});

const score = await relevanceScorer({ input: "France", output: "Paris is the capital of France." });
assert.equal(score.score, 1);
assert.equal(score.metadata.choice, "Relevant");
assert.match(score.metadata.rationale, /capital/);
