"""LangChain's OpenAI client on the route of one provider: python langchain_client.py <gateway> <provider, URL-encoded>"""

import sys

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

gateway, provider = sys.argv[1:]


def model(**arguments):
    # Whatever model is asked for, the provider's own is used.
    return ChatOpenAI(base_url=f"{gateway}/providers/{provider}/v1", api_key="unused", model="ignored", **arguments)


@tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    return f"rain in {city}"


answer = model().invoke("What is the capital of France?")
assert "Paris" in answer.content, answer
assert answer.usage_metadata["total_tokens"] > 0, answer

pieces = list(model(stream_usage=True).stream("What is the capital of France?"))
assert len(pieces) > 1, pieces
assert "Paris" in "".join(piece.content for piece in pieces), pieces

called = model().bind_tools([get_weather]).invoke("What is the weather in Paris?")
assert called.tool_calls[0]["name"] == "get_weather", called
assert called.tool_calls[0]["args"] == {"city": "Paris"}, called

# The same over the other API of the same route.
answer = model(use_responses_api=True).invoke("What is the capital of France?")
assert "Paris" in answer.text, answer
pieces = list(model(use_responses_api=True).stream("What is the capital of France?"))
assert "Paris" in "".join(piece.text for piece in pieces), pieces
called = model(use_responses_api=True).bind_tools([get_weather]).invoke("What is the weather in Paris?")
assert called.tool_calls[0]["name"] == "get_weather", called
assert called.tool_calls[0]["args"] == {"city": "Paris"}, called
