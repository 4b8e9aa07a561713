"""What stands between the functions of `plugin.py` and the component that `plugway plugin build` makes of them.

Your functions take and return plain values, in the form that the files under `cases/` have: what is text in the
contract is the dict or list where it is JSON, a header is a pair, and a choice is `"name"` or `{name: value}`. The
types below say what the values hold. The file is yours: change it where it does not suit.
"""

import json
import sys
from typing import Any, Literal, NotRequired, TypedDict

Headers = list[tuple[str, str]]
Kind = Literal[
    "invalid-request", "unauthenticated", "forbidden", "not-found", "too-large", "refused", "rate-limited",
    "unsupported", "upstream", "overloaded", "timeout", "internal",
]


class Problem(Exception):
    """Why something cannot be done. Raise it; the caller reads the message."""

    def __init__(self, kind: Kind, message: str, *, param: str | None = None, code: str | None = None,
                 detail: str | None = None, retry_after_ms: int | None = None):
        super().__init__(message)
        self.kind, self.message, self.param, self.code = kind, message, param, code
        self.detail, self.retry_after_ms = detail, retry_after_ms


class Call(TypedDict):
    """One call to plan."""
    operation: str
    model: str
    streaming: bool
    dialect: str
    attempt: int
    now_ms: int
    credentials: list[str]
    members: dict[str, Any]


class Auth(TypedDict):
    credential: str
    placement: Literal["bearer"] | dict[Literal["header", "query"], str]


class Outgoing(TypedDict, total=False):
    """An HTTP request; what is left out is a POST of the translated body, answered as server-sent events."""
    method: str
    path: str
    headers: Headers
    body: Literal["translated", "empty"] | dict[Literal["edited", "replaced"], Any]
    auth: Auth
    dialect: str
    framing: Literal["none", "sse", "ndjson", "aws-event-stream"]


Step = dict[Literal["send", "fetch", "wait", "acquire", "reply"], Any]
Progress = Literal["open", "complete"] | dict[Literal["failed"], Problem]


class Event(TypedDict):
    name: NotRequired[str]
    data: Any


class Translated(TypedDict):
    body: Any
    dropped: NotRequired[list[str]]


class Context(TypedDict):
    """What a policy knows of the call."""
    request_id: str
    operation: str
    model: str
    streaming: bool
    now_ms: int


def kind_of_status(status: int) -> Kind:
    """What the status of an upstream's error reply means, where nothing in the reply says it better."""
    known: dict[int, Kind] = {
        401: "unauthenticated", 402: "forbidden", 403: "forbidden", 404: "not-found", 408: "timeout", 413: "too-large",
        429: "rate-limited", 503: "overloaded", 504: "timeout", 529: "overloaded",
    }
    return known.get(status) or ("invalid-request" if 400 <= status < 500 else "upstream")


def log(level: Literal["debug", "info", "warn", "error"], message: str) -> None:
    """Writes a line to the gateway's log; `print` does the same."""
    print(f"{level}: {message}", file=sys.stderr)


def now_ms() -> int:
    """The component puts the gateway's clock here."""
    return 0


def now() -> int:
    """When the call began, in seconds since 1970; 0 in tests. There is no other clock."""
    return now_ms() // 1000


def shown(text: str) -> Any:
    """Text of the contract as a value: what is no JSON object or list stays text."""
    if text.lstrip()[:1] not in ("{", "["):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return text


def text_of(value: Any) -> str:
    """The way back from `shown`."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Functions:
    """The functions of the contract, in plain values, with all that an author may leave out."""

    def __init__(self, plugin):
        self.plugin = plugin

    def configure(self, settings):
        if hasattr(self.plugin, "configure"):
            self.plugin.configure(settings)

    # Provider

    def capabilities(self):
        return {
            "body_members": [], "presets": [], "default_base_url": None, "needs_key": True,
            **self.plugin.capabilities(),
        }

    def plan(self, call):
        return _step(self.plugin.plan(call))

    def resume(self, state, reply):
        if not hasattr(self.plugin, "resume"):
            raise Problem("internal", "this provider plans every call in one step")
        return _step(self.plugin.resume(state, reply))

    # Format, upstream half

    def encode_request(self, operation, model, body):
        return {"dropped": [], **self.plugin.encode_request(operation, model, body)}

    def decode_reply(self, operation, body):
        return self.plugin.decode_reply(operation, body)

    def decode_problem(self, status, headers, body):
        return self.plugin.decode_problem(status, headers, body)

    def decode_events(self, operation, state, events, end):
        """One event at a time, so that no result can depend on how they were batched."""
        state, chunks, progress = state or {}, [], "open"
        try:
            for event in events:
                progress = self.plugin.decode_event(operation, state, event, chunks) or "open"
                if progress != "open":
                    break
            if end and progress == "open" and hasattr(self.plugin, "decode_end"):
                progress = self.plugin.decode_end(operation, state, chunks) or "open"
        except Problem as problem:
            # A problem with one event must not take the chunks before it along.
            progress = {"failed": problem}
        return {"state": state, "chunks": chunks, "progress": progress}

    # Format, client half

    def routes(self):
        usual = {
            "method": "POST", "operation": "chat_completion", "model": {"member": "model"},
            "streaming": {"member": "stream"},
        }
        return [{**usual, **route} for route in self.plugin.routes()]

    def decode_request(self, operation, model, streaming, body):
        return {"dropped": [], **self.plugin.decode_request(operation, model, streaming, body)}

    def encode_reply(self, operation, body):
        return self.plugin.encode_reply(operation, body)

    def encode_events(self, operation, state, chunks, progress):
        state, events = state or {}, []
        for chunk in chunks:
            self.plugin.encode_chunk(operation, state, chunk, events)
        if progress == "complete":
            self.plugin.encode_end(operation, state, events)
        elif progress != "open":
            self.plugin.encode_failure(operation, state, progress["failed"], events)
        return {"state": state, "events": events}

    def encode_problem(self, status, problem, request_id):
        return self.plugin.encode_problem(status, problem, request_id)

    # Headers

    def variables(self, template):
        return self.plugin.variables(template)

    def render(self, templates, variables):
        return self.plugin.render(templates, variables)

    # Policy

    def phases(self):
        reviews = {"request": "review_request", "reply": "review_reply", "chunks": "review_chunk"}
        return [phase for phase, review in reviews.items() if hasattr(self.plugin, review)]

    def review_request(self, context, body):
        return self.plugin.review_request(context, body) or "pass"

    def review_reply(self, context, body):
        return self.plugin.review_reply(context, body) or "pass"

    def review_chunks(self, context, state, chunks, end):
        state, passed, refusal = state or {}, [], None
        for chunk in chunks:
            refusal = self.plugin.review_chunk(context, state, chunk, passed)
            if refusal:
                break
        if end and not refusal and hasattr(self.plugin, "review_end"):
            refusal = self.plugin.review_end(context, state, passed)
        return {"state": state, "chunks": passed, "refusal": refusal}


def _step(step):
    match step:
        case {"send": request}:
            return {"send": _outgoing(request)}
        case {"fetch": fetch}:
            return {"fetch": {**fetch, "request": _outgoing(fetch["request"])}}
        case {"acquire": acquisition}:
            return {"acquire": {"expires_at": None, **acquisition, "request": _outgoing(acquisition["request"])}}
        case _:
            return step


def _outgoing(request):
    return {
        "method": "POST", "headers": [], "body": "translated", "auth": None, "dialect": "openai-chat",
        "framing": "sse", **request,
    }
