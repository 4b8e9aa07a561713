"""Talks to a gateway through the official OpenAI library: openai_client.py BASE_URL PROVIDER.

The provider is `echo`, or one behind which the scripted upstream plays (tests/system/dialects.rs).
Prints one line for each check; any failure is an exception.
"""

import sys

import openai

ANSWER = "Paris is the capital of France. Naïve café: 日本語 🦀"
PIXEL = "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


def main():
    base_url, provider = sys.argv[1:]
    client = openai.OpenAI(base_url=base_url + "/v1", api_key="callers-own", max_retries=0, timeout=30)
    checks = [models, unknown_model] + ([echoed, echoed_stream] if provider == "echo" else
              [plain, streamed, usage_in_stream, tools, streamed_tools, tool_results, images, errors, streamed_errors])
    for check in checks:
        check(client, provider)
        print("ok", check.__name__)


def plain(client, provider):
    completion = client.chat.completions.create(model=f"{provider}/plain", messages=QUESTION, max_tokens=100)
    [choice] = completion.choices
    assert choice.message.role == "assistant", completion
    assert choice.message.content == ANSWER, completion
    assert choice.finish_reason == "stop", completion
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (14, 8), completion
    assert completion.usage.total_tokens == 22, completion
    assert completion.object == "chat.completion" and completion.id, completion


def streamed(client, provider):
    chunks = list(client.chat.completions.create(model=f"{provider}/plain", messages=QUESTION, stream=True))
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert text == ANSWER, text
    reasons = [choice.finish_reason for chunk in chunks for choice in chunk.choices if choice.finish_reason]
    assert reasons == ["stop"], reasons
    assert all(chunk.object == "chat.completion.chunk" for chunk in chunks), chunks


def usage_in_stream(client, provider):
    """Asked for, it comes where the upstream gives it; the OpenAI-shaped script gives none."""
    chunks = list(
        client.chat.completions.create(
            model=f"{provider}/plain", messages=QUESTION, stream=True, stream_options={"include_usage": True}
        )
    )
    usages = [chunk.usage for chunk in chunks if chunk.usage]
    if provider == "anthropic":
        assert usages and usages[-1].prompt_tokens == 14 and usages[-1].completion_tokens == 8, usages


def tools(client, provider):
    completion = client.chat.completions.create(model=f"{provider}/tools", messages=QUESTION, tools=[WEATHER])
    [choice] = completion.choices
    [call] = choice.message.tool_calls
    assert choice.finish_reason == "tool_calls", completion
    assert call.type == "function" and call.id, call
    assert call.function.name == "get_weather", call
    assert call.function.arguments.replace(" ", "") == '{"city":"Paris"}', call


def streamed_tools(client, provider):
    name, arguments, reason = "", "", None
    stream = client.chat.completions.create(
        model=f"{provider}/tools", messages=QUESTION, tools=[WEATHER], stream=True
    )
    for chunk in stream:
        for choice in chunk.choices:
            reason = choice.finish_reason or reason
            for call in choice.delta.tool_calls or []:
                assert call.index == 0, call
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert (name, arguments, reason) == ("get_weather", '{"city":"Paris"}', "tool_calls"), (name, arguments, reason)


def tool_results(client, provider):
    """A conversation in which a tool has answered already."""
    call = {"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'}}
    messages = QUESTION + [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees"},
    ]
    completion = client.chat.completions.create(model=f"{provider}/plain", messages=messages, tools=[WEATHER])
    assert completion.choices[0].message.content == ANSWER, completion


def images(client, provider):
    content = [{"type": "text", "text": "What is this?"}, {"type": "image_url", "image_url": {"url": PIXEL}}]
    completion = client.chat.completions.create(
        model=f"{provider}/image", messages=[{"role": "user", "content": content}]
    )
    assert completion.choices[0].message.content == ANSWER, completion


TYPED = {
    400: openai.BadRequestError,
    401: openai.AuthenticationError,
    403: openai.PermissionDeniedError,
    404: openai.NotFoundError,
    429: openai.RateLimitError,
    500: openai.InternalServerError,
}


def errors(client, provider, stream=False):
    for status, expected in TYPED.items():
        try:
            client.chat.completions.create(model=f"{provider}/error-{status}", messages=QUESTION, stream=stream)
        except expected as error:
            assert error.body["message"], error.body
            assert type(error) is expected, error
        else:
            raise AssertionError(f"no exception for an upstream's {status}")


def streamed_errors(client, provider):
    errors(client, provider, stream=True)


def models(client, provider):
    listed = [model.id for model in client.models.list()]
    assert f"{provider}/plain" in listed or "plain" in listed, listed


def unknown_model(client, provider):
    try:
        client.chat.completions.create(model="nobody/knows-this", messages=QUESTION)
    except openai.NotFoundError as error:
        assert error.code == "model_not_found", error
    else:
        raise AssertionError("no exception for an unknown model")


def echoed(client, provider):
    completion = client.chat.completions.create(model="echo/plain", messages=QUESTION)
    assert "capital of France" in completion.choices[0].message.content, completion
    assert completion.choices[0].finish_reason == "stop", completion


def echoed_stream(client, provider):
    with client.chat.completions.create(model="echo/plain", messages=QUESTION, stream=True) as stream:
        text = "".join(choice.delta.content or "" for chunk in stream for choice in chunk.choices)
    assert "capital of France" in text, text


main()
