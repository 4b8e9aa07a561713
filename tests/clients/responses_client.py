"""The Responses API through the official OpenAI library, before a provider that serves chats alone:
responses_client.py BASE_URL PROVIDER.

Behind the provider the scripted upstream plays (tests/system/dialects.rs).
Prints one line for each check; any failure is an exception.
"""

import sys

import openai

ANSWER = "Paris is the capital of France. Naïve café: 日本語 🦀"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather in a city",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "strict": False,
}


def main():
    base_url, provider = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url + "/v1", api_key="callers-own", max_retries=0, timeout=30)
    for check in [plain, streamed, tools, streamed_tools, tool_results, refused, errors]:
        check(client, provider)
        print("ok", check.__name__)


def plain(client, provider):
    response = client.responses.create(
        model=f"{provider}/plain", instructions="You are brief.", input="What is the capital of France?",
        max_output_tokens=100, store=False,
    )
    assert response.output_text == ANSWER, response
    assert response.status == "completed" and response.id.startswith("resp_"), response
    assert (response.usage.input_tokens, response.usage.output_tokens) == (14, 8), response


def streamed(client, provider):
    with client.responses.stream(model=f"{provider}/plain", input=[{"role": "user", "content": "Hello"}]) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert "".join(event.delta for event in events if event.type == "response.output_text.delta") == ANSWER, events
    assert events[0].type == "response.created" and events[-1].type == "response.completed", events
    assert final.output_text == ANSWER, final
    numbers = [event.sequence_number for event in events]
    assert numbers == sorted(set(numbers)), numbers


def tools(client, provider):
    response = client.responses.create(model=f"{provider}/tools", input="The weather?", tools=[WEATHER])
    [call] = [item for item in response.output if item.type == "function_call"]
    assert call.name == "get_weather" and call.call_id, call
    assert call.arguments.replace(" ", "") == '{"city":"Paris"}', call


def streamed_tools(client, provider):
    with client.responses.stream(model=f"{provider}/tools", input="The weather?", tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        final = stream.get_final_response()
    [call] = [item for item in final.output if item.type == "function_call"]
    assert (call.name, call.arguments.replace(" ", "")) == ("get_weather", '{"city":"Paris"}'), call


def tool_results(client, provider):
    """A conversation in which a tool has answered already."""
    response = client.responses.create(
        model=f"{provider}/plain",
        tools=[WEATHER],
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "The weather?"}]},
            {"type": "function_call", "call_id": "call_1", "name": "get_weather", "arguments": '{"city":"Paris"}'},
            {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees"},
        ],
    )
    assert response.output_text == ANSWER, response


def refused(client, provider):
    """What a chat cannot say is refused with its path."""
    for member, more in {
        "previous_response_id": {"previous_response_id": "resp_1"},
        "tools[0].type": {"tools": [{"type": "web_search"}]},
        "background": {"background": True},
    }.items():
        try:
            client.responses.create(model=f"{provider}/plain", input="Hello", **more)
        except openai.BadRequestError as error:
            assert error.param == member, error
        else:
            raise AssertionError(f"{member} disappeared in silence")


def errors(client, provider):
    for stream in [False, True]:
        try:
            client.responses.create(model=f"{provider}/error-429", input="Hello", stream=stream)
        except openai.RateLimitError as error:
            assert error.body["message"], error.body
        else:
            raise AssertionError("no exception for an upstream's 429")


main()
