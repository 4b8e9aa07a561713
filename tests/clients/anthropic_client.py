"""Talks to a gateway through the official Anthropic library: anthropic_client.py BASE_URL PROVIDER.

The provider is `echo`, or one behind which the scripted upstream plays (tests/system/dialects.rs).
Prints one line for each check; any failure is an exception.
"""

import sys

import anthropic

ANSWER = "Paris is the capital of France. Naïve café: 日本語 🦀"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
QUESTION = [{"role": "user", "content": "What is the capital of France?"}]
WEATHER = {
    "name": "get_weather",
    "description": "The weather in a city",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
}


def main():
    base_url, provider = sys.argv[1:]
    client = anthropic.Anthropic(base_url=base_url, api_key="callers-own", max_retries=0, timeout=30)
    checks = [unknown_model] + ([echoed, echoed_stream] if provider == "echo" else
              [plain, streamed, tools, streamed_tools, tool_results, images, errors, streamed_errors])
    for check in checks:
        check(client, provider)
        print("ok", check.__name__)


def create(client, model, messages=QUESTION, **more):
    return client.messages.create(model=model, max_tokens=100, messages=messages, **more)


def plain(client, provider):
    message = create(client, f"{provider}/plain", system="You are brief.")
    [block] = message.content
    assert message.type == "message" and message.role == "assistant" and message.id, message
    assert block.type == "text" and block.text == ANSWER, message
    assert message.stop_reason == "end_turn", message
    assert (message.usage.input_tokens, message.usage.output_tokens) == (14, 8), message


def streamed(client, provider):
    with client.messages.stream(model=f"{provider}/plain", max_tokens=100, messages=QUESTION) as stream:
        text = "".join(stream.text_stream)
        message = stream.get_final_message()
    assert text == ANSWER, text
    assert message.stop_reason == "end_turn", message
    assert message.content[0].text == ANSWER, message
    if provider == "anthropic":
        assert (message.usage.input_tokens, message.usage.output_tokens) == (14, 8), message


def tools(client, provider):
    message = create(client, f"{provider}/tools", tools=[WEATHER])
    [block] = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use", message
    assert block.id and block.name == "get_weather" and block.input == {"city": "Paris"}, message


def streamed_tools(client, provider):
    with client.messages.stream(
        model=f"{provider}/tools", max_tokens=100, messages=QUESTION, tools=[WEATHER]
    ) as stream:
        message = stream.get_final_message()
    [block] = [block for block in message.content if block.type == "tool_use"]
    assert message.stop_reason == "tool_use", message
    assert block.name == "get_weather" and block.input == {"city": "Paris"}, message


def tool_results(client, provider):
    """A conversation in which a tool has answered already."""
    messages = QUESTION + [
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}],
        },
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees"}]},
    ]
    message = create(client, f"{provider}/plain", messages, tools=[WEATHER])
    assert message.content[0].text == ANSWER, message


def images(client, provider):
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
    ]
    message = create(client, f"{provider}/image", [{"role": "user", "content": content}])
    assert message.content[0].text == ANSWER, message


TYPED = {
    400: anthropic.BadRequestError,
    401: anthropic.AuthenticationError,
    403: anthropic.PermissionDeniedError,
    404: anthropic.NotFoundError,
    429: anthropic.RateLimitError,
    500: anthropic.InternalServerError,
}


def errors(client, provider, stream=False):
    for status, expected in TYPED.items():
        try:
            create(client, f"{provider}/error-{status}", stream=stream)
        except expected as error:
            assert error.body["type"] == "error", error.body
            assert error.body["error"]["type"] and error.body["error"]["message"], error.body
        else:
            raise AssertionError(f"no exception for an upstream's {status}")


def streamed_errors(client, provider):
    errors(client, provider, stream=True)


def unknown_model(client, provider):
    try:
        create(client, "nobody/knows-this")
    except anthropic.NotFoundError as error:
        assert error.body["error"]["type"] == "not_found_error", error.body
    else:
        raise AssertionError("no exception for an unknown model")


def echoed(client, provider):
    message = create(client, "echo/plain")
    assert "capital of France" in message.content[0].text, message
    assert message.stop_reason == "end_turn", message


def echoed_stream(client, provider):
    with client.messages.stream(model="echo/plain", max_tokens=100, messages=QUESTION) as stream:
        text = "".join(stream.text_stream)
    assert "capital of France" in text, text


main()
