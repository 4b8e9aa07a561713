"""{{description}}: it speaks OpenAI's dialect, at a path of its own, with the key in a header of its own."""

from typing import Any

from plugway import Call, Problem, Step

_team = "default"


def configure(settings: dict[str, Any]) -> None:
    global _team
    _team = settings.get("team", "default")
    if not _team:
        raise Problem("invalid-request", "team: must not be empty; leave it out for `default`", param="team")


def capabilities() -> dict[str, Any]:
    return {
        "operations": ["chat_completion", "chat_completion_stream"],
        "default_base_url": "https://api.example.com",
    }


def plan(call: Call) -> Step:
    # `api_key` is the name of the credential. The gateway puts the secret there, and no plugin ever sees it.
    return {"send": {
        "path": "/v2/chat",
        "headers": [("x-team", _team)],
        "body": {"edited": [{"member": "model", "value": call["model"]}]},
        "auth": {"credential": "api_key", "placement": {"header": "x-api-key"}},
    }}
