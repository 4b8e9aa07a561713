"""{{description}}: refuses questions that contain one of some words."""

import json
from typing import Any

from plugway import Context, Problem

_words: list[str] = []


def configure(settings: dict[str, Any]) -> None:
    global _words
    _words = settings.get("words")
    if not isinstance(_words, list):
        raise Problem("invalid-request", "words: must be a list of words", param="words")
    if "" in _words:
        raise Problem("invalid-request", "words: an empty word is in every question", param="words")


def review_request(context: Context, body: dict[str, Any]) -> Any:
    for at, message in enumerate(body["messages"]):
        said = json.dumps(message.get("content"), ensure_ascii=False)
        for word in _words:
            if word in said:
                param = f"messages[{at}].content"
                return {"refuse": Problem("refused", f"`{word}` is not to be talked about", param=param)}
    return "pass"
