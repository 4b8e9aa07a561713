"""Acme's talk service (../API.md): where a call is sent, and how it is said."""

from typing import Any

from plugway import Call, Event, Headers, Problem, Progress, Step, Translated, kind_of_status, now

DIALECT = "acme-talk"

_team: str | None = None


def configure(settings: dict[str, Any]) -> None:
    global _team
    for name in settings:
        if name != "team":
            raise Problem("invalid-request", f"{name}: unknown setting; there is `team`", param=name)
    if settings.get("team") == "":
        raise Problem("invalid-request", "team: must not be empty; leave it out instead", param="team")
    _team = settings.get("team")


def capabilities():
    return {
        "operations": ["chat_completion", "chat_completion_stream"],
        "default_base_url": "https://api.acme.example",
    }


def plan(call: Call) -> Step:
    return {"send": {
        "path": "/v3/talk",
        "headers": [("x-acme-team", _team)] if _team else [],
        "auth": {"credential": "api_key", "placement": {"header": "x-acme-token"}},
        "dialect": DIALECT,
        "framing": "ndjson" if call["streaming"] else "none",
    }}


SPEAKERS = {"system": "director", "developer": "director", "user": "human", "assistant": "machine"}
REASONS = {"done": "stop", "words": "length", "hushed": "content_filter"}
# What would be missed where Acme cannot say it; everything else that it cannot say is a hint.
ESSENTIAL = {"tools", "functions", "response_format", "audio", "modalities"}
SAID = {
    "model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "temperature", "stop", "n",
}


def encode_request(operation: str, model: str, body: dict[str, Any]) -> Translated:
    if not isinstance(body, dict) or not isinstance(body.get("messages"), list):
        raise cannot("messages", "there is no conversation")
    given = {name: value for name, value in body.items() if value is not None}
    for name in given:
        if name in ESSENTIAL:
            raise cannot(name, f"Acme has no `{name}`")
    if given.get("n", 1) != 1:
        raise cannot("n", "Acme gives one answer at a time")
    request = {"engine": model, "turns": [turn(message, at) for at, message in enumerate(given["messages"])]}
    most_words = given.get("max_completion_tokens", given.get("max_tokens"))
    if most_words is not None:
        request["most_words"] = most_words
    if "temperature" in given:
        # Python's own `round` goes to the even neighbour.
        request["heat"] = int(given["temperature"] * 50 + 0.5)
    if "stop" in given:
        request["end_at"] = [given["stop"]] if isinstance(given["stop"], str) else given["stop"]
    request["live"] = given.get("stream", False)
    return {"body": request, "dropped": sorted(given.keys() - SAID)}


def turn(message: dict[str, Any], at: int) -> dict[str, str]:
    path = f"messages[{at}]"
    who = SPEAKERS.get(message["role"])
    if who is None:
        raise cannot(f"{path}.role", f"nobody at Acme is a `{message['role']}`")
    if message.get("tool_calls"):
        raise cannot(f"{path}.tool_calls", "Acme has no tools")
    return {"who": who, "says": words(message.get("content"), f"{path}.content")}


def words(content: str | list[dict[str, Any]] | None, path: str) -> str:
    if isinstance(content, str):
        return content
    for at, part in enumerate(content or []):
        if part["type"] != "text":
            raise cannot(f"{path}[{at}]", f"Acme takes text, not `{part['type']}`")
    return "".join(part["text"] for part in content or [])


def cannot(param: str, message: str) -> Problem:
    return Problem("invalid-request", message, param=param)


def decode_reply(operation: str, body: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(body, dict) or not {"talk", "engine", "said", "ended", "bill"} <= body.keys():
        raise Problem("upstream", "Acme's answer cannot be read")
    message = {"role": "assistant", "content": body["said"]}
    return {
        "id": body["talk"],
        "object": "chat.completion",
        "created": now(),
        "model": body["engine"],
        "choices": [{"index": 0, "message": message, **finish(body["ended"])}],
        "usage": usage(body["bill"]),
    }


def decode_problem(status: int, headers: Headers, body: Any) -> Problem:
    problem = as_problem(kind_of_status(status), body.get("trouble") if isinstance(body, dict) else None)
    for name, value in headers:
        if name.lower() == "retry-after" and value.isdigit():
            problem.retry_after_ms = int(value) * 1000
    return problem


def as_problem(kind, trouble: Any) -> Problem:
    if not isinstance(trouble, dict) or "text" not in trouble:
        return Problem(kind, "Acme failed without saying why")
    code = "context_length_exceeded" if trouble["name"] == "too_long" else trouble["name"]
    return Problem(kind, trouble["text"], code=code, param=trouble.get("field"))


def decode_event(operation: str, state: dict[str, Any], event: Event, chunks: list[Any]) -> Progress:
    said = event["data"]

    def chunk(choices, **more):
        chunks.append({
            "id": state["talk"], "object": "chat.completion.chunk", "created": state["created"],
            "model": state["engine"], "choices": choices, **more,
        })

    match said:
        case {"at": "begin"}:
            state.update(talk=said["talk"], engine=said["engine"], created=now())
            chunk([{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": None}])
        case {"at": "word"}:
            chunk([{"index": 0, "delta": {"content": said["says"]}, "finish_reason": None}])
        case {"at": "end"}:
            chunk([{"index": 0, "delta": {}, **finish(said["ended"])}])
        case {"at": "bill"}:
            chunk([], usage=usage(said["bill"]))
            return "complete"
        case {"at": "trouble", "trouble": trouble}:
            return {"failed": as_problem("overloaded" if trouble.get("name") == "tired" else "upstream", trouble)}
        case {"at": _}:
            pass
        case _:
            raise Problem("upstream", "an event of Acme's answer cannot be read")
    return "open"


def finish(ended: str) -> dict[str, str]:
    return {"finish_reason": REASONS.get(ended, "stop"), "native_finish_reason": ended}


def usage(bill: dict[str, int]) -> dict[str, int]:
    heard, said = bill["heard"], bill["said"]
    return {"prompt_tokens": heard, "completion_tokens": said, "total_tokens": heard + said}
