"""A custom model as the judge of another one's answers: python judge.py <gateway> <model>

Braintrust's page has `from autoevals import LLMClassifierFromSpec` for Python too. The package exports that name for Node
alone (see judge.mjs); `LLMClassifier` is what says the same here, and it wants the prompt that the page leaves out.
"""

import sys

from autoevals import LLMClassifier
from openai import OpenAI

gateway, model = sys.argv[1:]

relevance = LLMClassifier(
    name="Relevance",
    prompt_template="Is this about {{input}}? {{output}}",
    choice_scores={"Relevant": 1, "Irrelevant": 0},
    model=model,
    use_cot=True,
    client=OpenAI(base_url=f"{gateway}/v1/proxy", api_key="unused"),
)
score = relevance(input="France", output="Paris is the capital of France.", expected=None)
assert score.score == 1, score
assert score.metadata["choice"] == "Relevant", score.metadata
assert "capital" in score.metadata["rationale"], score.metadata
