"""{{description}}: one question, one answer. `{"model", "question", "stream"}` becomes `{"answer", "words"}`, or in a
stream `{"word"}` for each word and `{"words"}` at the end."""

from typing import Any

from plugway import Event, Headers, Problem, Progress, Translated, kind_of_status, now

DIALECT = "{{name}}"
Json = dict[str, Any]

# What a provider speaks.

SAID = {"model", "messages", "stream", "stream_options"}


def encode_request(operation: str, model: str, body: Json) -> Translated:
    match body:
        case {"messages": [{"content": str(question)}]}:
            asked = {"model": model, "question": question, "stream": body.get("stream") is True}
            return {"body": asked, "dropped": sorted(body.keys() - SAID)}
        case _:
            raise Problem("invalid-request", "only a single question of text can be asked", param="messages")


def decode_reply(operation: str, body: Json) -> Json:
    if not isinstance(body, dict) or "answer" not in body:
        raise Problem("upstream", "the upstream's answer cannot be read")
    message = {"role": "assistant", "content": body["answer"]}
    return {
        "id": "ask", "object": "chat.completion", "created": now(), "model": "ask",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}], "usage": usage(body.get("words", 0)),
    }


def decode_problem(status: int, headers: Headers, body: Any) -> Problem:
    failure = body.get("failure") if isinstance(body, dict) else None
    problem = Problem(kind_of_status(status), failure or "the upstream failed without saying why")
    for name, value in headers:
        if name.lower() == "retry-after" and value.isdigit():
            problem.retry_after_ms = int(value) * 1000
    return problem


def decode_event(operation: str, state: Json, event: Event, chunks: list[Json]) -> Progress:
    match event["data"]:
        case {"word": word}:
            chunks.append(chunk([choice({"role": "assistant", "content": word}, None)]))
            return "open"
        case {"words": words}:
            chunks.append(chunk([choice({}, "stop")]))
            chunks.append({**chunk([]), "usage": usage(words)})
            return "complete"
        case _:
            raise Problem("upstream", "the upstream's answer cannot be read")


def chunk(choices: list[Json]) -> Json:
    return {"id": "ask", "object": "chat.completion.chunk", "created": now(), "model": "ask", "choices": choices}


def choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "finish_reason": finish_reason}


def usage(words: int) -> Json:
    return {"prompt_tokens": 0, "completion_tokens": words, "total_tokens": words}


# What a caller speaks.

ASKED = {"model", "question", "stream"}


def routes() -> list[Json]:
    return [{"path": "/v1/ask"}]


def decode_request(operation: str, model: str, streaming: bool, body: Json) -> Translated:
    match body:
        case {"question": str(question)}:
            messages = [{"role": "user", "content": question}]
            said = {"model": model, "messages": messages, "stream": streaming}
            return {"body": said, "dropped": sorted(body.keys() - ASKED)}
        case _:
            raise Problem("invalid-request", "a question is missing", param="question")


def encode_reply(operation: str, body: Json) -> Json:
    words = body.get("usage", {}).get("completion_tokens")
    return {"answer": body["choices"][0]["message"]["content"], "words": words}


def encode_chunk(operation: str, state: Json, chunk: Json, events: list[Event]) -> None:
    for said in chunk["choices"]:
        word = said["delta"].get("content")
        if word is not None:
            events.append({"data": {"word": word}})
    if chunk.get("usage"):
        state["words"] = chunk["usage"]["completion_tokens"]


def encode_end(operation: str, state: Json, events: list[Event]) -> None:
    events.append({"data": {"words": state.get("words", 0)}})


def encode_failure(operation: str, state: Json, problem: Problem, events: list[Event]) -> None:
    events.append({"name": "failure", "data": {"failure": problem.message}})


def encode_problem(status: int, problem: Problem, request_id: str) -> Json:
    return {"failure": problem.message}
