"""One client and one loop over the models of three providers, by their bare names: python compare.py <gateway>"""

import sys

from openai import OpenAI

(gateway,) = sys.argv[1:]
client = OpenAI(base_url=f"{gateway}/v1/proxy", api_key="unused", max_retries=0)

models = [
    "gpt-4o-mini",  # Standard OpenAI model
    "claude-sonnet-4-5-20250929",  # Standard Anthropic model
    "my-custom-model",  # Your custom model
]

for model in models:
    messages = [{"role": "user", "content": "Explain quantum computing"}]
    response = client.chat.completions.create(model=model, messages=messages)
    assert f"said by {model}" in response.choices[0].message.content, response

    chunks = client.chat.completions.create(model=model, messages=messages, stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert f"said by {model}" in said, said
