"""Runs the folders under `cases/` without a gateway: `python3 -m unittest`. What goes in is `<function>.in.json`, what
must come out is `<function>.out.json`, and `settings.json` is what `configure` gets. PLUGWAY_RECORD=1 writes the
`.out.json` files; read them before you commit them."""

import importlib
import json
import os
import re
import sys
import unittest
from pathlib import Path

from plugway import Functions, Problem, shown, text_of

HERE = Path(__file__).parent
RECORD = os.environ.get("PLUGWAY_RECORD") == "1"


class Cases(unittest.TestCase):
    maxDiff = None

    def test_cases(self):
        files = sorted(file for file in (HERE / "cases").glob("*/*.in.*"))
        self.assertTrue(files, "there is no case in the folder `cases`")
        for file in files:
            called, _, form = file.name.partition(".in.")
            with self.subTest(case=file.parent.name, function=called):
                first, second = (answer(file.parent, called, file, form) for _ in range(2))
                self.assertEqual(first, second, "the same call gives another answer when it is made again")
                self.settle(file.parent / f"{called}.out.json", first)

    def settle(self, file, actual):
        if RECORD:
            file.write_text(json.dumps(actual, indent=2, ensure_ascii=False) + "\n")
        self.assertTrue(file.exists(), f"{file} is missing; PLUGWAY_RECORD=1 python3 -m unittest writes it")
        self.assertEqual(json.loads(file.read_text()), actual)


def answer(folder, called, file, form):
    """The answer of an instance of its own."""
    sys.modules.pop("plugin", None)
    plugin = Functions(importlib.import_module("plugin"))
    given = recording(file.read_text()) if form == "sse" else json.loads(file.read_text())
    settings = folder / "settings.json"
    try:
        if called == "configure":
            return plugin.configure(given)
        plugin.configure(json.loads(settings.read_text()) if settings.exists() else {})
        return plain(CALLS[called](plugin, given))
    except Problem as problem:
        return {"problem": plain(problem)}


def plain(value):
    """As it is in a file: no classes, no tuples."""
    match value:
        case Problem():
            members = {"kind": value.kind, "message": value.message, **vars(value)}
            return {name: plain(member) for name, member in members.items() if member is not None}
        case dict():
            return {name: plain(member) for name, member in value.items()}
        case list() | tuple():
            return [plain(item) for item in value]
        case _:
            return value


# How each function is called with what a case's file says.

def plan(plugin, given):
    return plugin.plan({
        "operation": "chat_completion", "model": "some-model", "streaming": False, "dialect": "openai-chat",
        "attempt": 0, "now_ms": 0, "credentials": ["api_key"], "members": {}, **given,
    })


def resume(plugin, given):
    reply = given.get("reply")
    return plugin.resume(given["state"], reply and {"headers": [], **reply})


def encode_request(plugin, given):
    given = arguments(given, "body", "model")
    return plugin.encode_request(given["operation"], given.get("model", given["body"].get("model", "")), given["body"])


def decode_reply(plugin, given):
    given = arguments(given, "body")
    return plugin.decode_reply(given["operation"], given["body"])


def decode_problem(plugin, given):
    return plugin.decode_problem(given["status"], given.get("headers", []), shown(text_of(given["body"])))


def decode_events(plugin, given):
    given = arguments(given, "events", "end")
    events = [{"name": event.get("name", ""), "data": shown(text_of(event["data"]))} for event in given["events"]]
    return in_every_batching(
        events,
        call=lambda state, batch, is_last:
            plugin.decode_events(given["operation"], state, batch, given.get("end", True) and is_last),
        is_over=lambda answer: answer["progress"] != "open",
        join=lambda answers: {"chunks": joined(answers, "chunks"), "progress": answers[-1]["progress"]},
    )


def decode_request(plugin, given):
    given = arguments(given, "body", "model", "streaming")
    model = given.get("model", given["body"].get("model", ""))
    streaming = given.get("streaming", given["body"].get("stream", False))
    return plugin.decode_request(given["operation"], model, streaming, given["body"])


def encode_reply(plugin, given):
    given = arguments(given, "body")
    return plugin.encode_reply(given["operation"], given["body"])


def encode_events(plugin, given):
    given = arguments(given, "chunks", "progress")
    last = given.get("progress", "complete")
    if last not in ("open", "complete"):
        last = {"failed": Problem(**last["failed"])}
    return in_every_batching(
        given["chunks"],
        call=lambda state, batch, is_last:
            plugin.encode_events(given["operation"], state, batch, last if is_last else "open"),
        is_over=lambda answer: False,
        join=lambda answers: [{"name": "", **event} for event in joined(answers, "events")],
    )


def encode_problem(plugin, given):
    problem = Problem(**given["problem"])
    return plugin.encode_problem(given["status"], problem, given.get("request_id", "req-1"))


def variables(plugin, given):
    return plugin.variables(given)


def render(plugin, given):
    return plugin.render([tuple(template) for template in given["templates"]], given.get("variables", {}))


def review_request(plugin, given):
    given = arguments(given, "body", "context")
    return plugin.review_request(context(given, given["body"].get("model", "")), given["body"])


def review_reply(plugin, given):
    given = arguments(given, "body", "context")
    return plugin.review_reply(context(given, given["body"].get("model", "")), given["body"])


def review_chunks(plugin, given):
    given = arguments(given, "chunks", "context", "end")
    return in_every_batching(
        given["chunks"],
        call=lambda state, batch, is_last:
            plugin.review_chunks(context(given, ""), state, batch, given.get("end", True) and is_last),
        is_over=lambda answer: answer["refusal"],
        join=lambda answers: {"chunks": joined(answers, "chunks"), "refusal": answers[-1]["refusal"]},
    )


CALLS = {name.replace("_", "-"): call for name, call in list(globals().items()) if callable(call)}


def arguments(given, main, *others):
    """A bare body (or list) may stand for the arguments."""
    names = {"operation", main, *others}
    are_arguments = isinstance(given, dict) and main in given and names.issuperset(given)
    return {"operation": "chat_completion", **(given if are_arguments else {main: given})}


def context(given, model):
    usual = {"request_id": "req-1", "operation": "chat_completion", "model": model, "streaming": False, "now_ms": 0}
    return {**usual, **given.get("context", {})}


def joined(answers, name):
    return [item for answer in answers for item in answer[name]]


def in_every_batching(items, call, is_over, join):
    """No result may depend on how a stream was batched: all at once, one by one with the end on its own, one by one."""
    one_by_one = [[item] for item in items]
    results = []
    for batches in [[items], [*one_by_one, []], one_by_one or [[]]]:
        answers, state = [], ""
        for at, batch in enumerate(batches):
            answer = call(state, batch, at + 1 == len(batches))
            answers.append(answer)
            if is_over(answer):
                break
            # As the host hands it back: through text.
            state = shown(text_of(answer["state"]))
        results.append(plain(join(answers)))
    if results != [results[0]] * len(results):
        raise AssertionError(f"the result depends on the batching: {results}")
    return results[0]


def recording(text):
    """The events of a recorded stream."""
    events = []
    for block in re.sub(r"\r\n?", "\n", text).split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        fields = [re.fullmatch(r"([^:]+):? ?(.*)", line).groups() for line in lines]
        names, data = ([value for field, value in fields if field == name] for name in ("event", "data"))
        if data:
            events.append({"name": names[-1] if names else "", "data": "\n".join(data)})
    return events


if __name__ == "__main__":
    unittest.main()
