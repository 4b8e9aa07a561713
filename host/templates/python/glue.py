"""`plugway.Functions` in the contract's own types, as the component exports them."""

import io
import json
import sys
import time
from functools import wraps

import plugway
from componentize_py_types import Err
from plugway import Functions, Problem, shown, text_of
from wit_world import exports
from wit_world.imports import clock
from wit_world.imports import log as lines

# The contract's types by their names, each of which stands for one thing.
TYPES = {
    name: value
    for path, module in list(sys.modules.items()) if path.startswith("wit_world.")
    for name, value in vars(module).items() if isinstance(value, type)
}

# What a plugin must have to be of a kind.
REQUIRED = {
    "provider": ["capabilities", "plan"],
    "format-upstream": ["DIALECT", "encode_request", "decode_reply", "decode_problem", "decode_event"],
    "format-client": [
        "DIALECT", "routes", "decode_request", "encode_reply", "encode_chunk", "encode_end", "encode_failure",
        "encode_problem",
    ],
    "headers": ["variables", "render"],
    "policy": [],
}


def component(plugin, kinds, manifest):
    """The classes that the component exports, by kind."""
    missing = [name for kind in kinds for name in REQUIRED[kind] if not hasattr(plugin, name)]
    if missing:
        raise AttributeError(f"the plugin does not define {', '.join(missing)}, as its kinds ask for")
    plain = Functions(plugin)
    makers = {
        "provider": provider, "format-upstream": upstream, "format-client": client, "headers": headers,
        "policy": policy,
    }
    return [lifecycle(plain, manifest), *(makers[kind](plain) for kind in kinds)]


def log(level, message):
    lines.log(enum("Level", level), message)


class Lines(io.TextIOBase):
    """Standard output and error: lines in the gateway's log."""

    def __init__(self, level):
        self.level = level

    def write(self, text):
        for line in filter(str.strip, text.splitlines()):
            log(self.level, line)
        return len(text)


def answering(work):
    """A problem that is raised is the function's answer. Any other exception is a bug: it is told to the log, since the
    component has no standard error of its own, and ends the instance."""
    @wraps(work)
    def wrapped(self, *given):
        # What was captured when the component was made leads nowhere now.
        sys.stdout, sys.stderr = Lines("info"), Lines("error")
        try:
            return work(*given)
        except Problem as refused:
            raise Err(problem(refused)) from None
        except Exception as bug:
            log("error", told(bug))
            raise
    return wrapped


def told(bug):
    """Like a traceback, but without the source lines: they lie in files, and there are none."""
    lines, frame = [f"{type(bug).__name__}: {bug}"], bug.__traceback__
    while frame:
        code = frame.tb_frame.f_code
        lines.append(f"{code.co_filename}:{frame.tb_lineno} in {code.co_name}")
        frame = frame.tb_next
    return "\n  ".join(lines)


def exported(base, **functions):
    """A class of the functions, which know nothing of `self`."""
    return type(base.__name__, (base,), {name: answering(work) for name, work in functions.items()})


def read(body, kind, message):
    try:
        return json.loads(body)
    except ValueError as error:
        raise Problem(kind, message, detail=str(error)) from None


def request_of(body):
    return read(body, "invalid-request", "the request is no JSON")


def lifecycle(plain, manifest):
    return exported(
        exports.Lifecycle,
        describe=lambda: record("Manifest", **manifest),
        configure=lambda settings: plain.configure(json.loads(settings)),
    )


def provider(plain):
    def get_capabilities():
        capabilities = plain.capabilities()
        usual = {"needs_key": True, "settings": {}}
        presets = [{**usual, **preset} for preset in capabilities["presets"]]
        presets = [record("Preset", **{**preset, "settings": text_of(preset["settings"])}) for preset in presets]
        return record("Capabilities", **{**capabilities, "presets": presets})

    def plan(call):
        return step(plain.plan({**vars(call), "members": json.loads(call.members)}))

    def resume(state, reply):
        reply = reply and {"status": reply.status, "headers": pairs(reply.headers), "body": shown(reply.body)}
        return step(plain.resume(shown(state), reply))

    return exported(exports.Provider, get_capabilities=get_capabilities, plan=plan, resume=resume)


def upstream(plain):
    def decode_reply(operation, body):
        return text_of(plain.decode_reply(operation, read(body, "upstream", "the upstream's answer cannot be read")))

    def decode_events(operation, state, events, end):
        events = [{"name": event.name, "data": shown(event.data)} for event in events]
        decoded = plain.decode_events(operation, shown(state), events, end)
        chunks = [text_of(chunk) for chunk in decoded["chunks"]]
        progress = choice("Progress", decoded["progress"], problem)
        return record("Decoded", state=text_of(decoded["state"]), chunks=chunks, progress=progress)

    return exported(
        exports.Upstream,
        dialect=lambda: plain.plugin.DIALECT,
        encode_request=lambda operation, model, body:
            translated(plain.encode_request(operation, model, request_of(body))),
        decode_reply=decode_reply,
        decode_problem=lambda status, headers, body:
            problem(plain.decode_problem(status, pairs(headers), shown(body))),
        decode_events=decode_events,
    )


def client(plain):
    def routes():
        def route(value):
            places = {name: choice("Place", value[name]) for name in ("model", "streaming")}
            return record("Route", **{**value, **places})

        return [route(value) for value in plain.routes()]

    def encode_events(operation, state, chunks, progress):
        if isinstance(progress, TYPES["Progress_Failed"]):
            progress = {"failed": problem_of(progress.value)}
        else:
            progress = "complete" if isinstance(progress, TYPES["Progress_Complete"]) else "open"
        encoded = plain.encode_events(operation, shown(state), [json.loads(chunk) for chunk in chunks], progress)
        events = [
            record("Event", name=event.get("name", ""), data=text_of(event["data"])) for event in encoded["events"]
        ]
        return record("Encoded", state=text_of(encoded["state"]), events=events)

    return exported(
        exports.Client,
        dialect=lambda: plain.plugin.DIALECT,
        routes=routes,
        decode_request=lambda operation, model, streaming, body:
            translated(plain.decode_request(operation, model, streaming, request_of(body))),
        encode_reply=lambda operation, body: text_of(plain.encode_reply(operation, json.loads(body))),
        encode_events=encode_events,
        encode_problem=lambda status, problem, request_id:
            text_of(plain.encode_problem(status, problem_of(problem), request_id)),
    )


def headers(plain):
    def render(templates, variables):
        rendered = plain.render(pairs(templates), dict(pairs(variables)))
        return header_list(rendered)

    return exported(exports.Headers, variables=lambda template: plain.variables(template), render=render)


def policy(plain):
    def get_phases():
        flags = TYPES["Phases"]
        phases = flags(0)
        for phase in plain.phases():
            phases |= flags[phase.upper()]
        return phases

    def verdict(value):
        convert = problem if "refuse" in value else text_of
        return choice("Verdict", value, convert)

    def review_chunks(context, state, chunks, end):
        chunks = [json.loads(chunk) for chunk in chunks]
        reviewed = plain.review_chunks(vars(context), shown(state), chunks, end)
        refusal = problem(reviewed["refusal"]) if reviewed["refusal"] else None
        passed = [text_of(chunk) for chunk in reviewed["chunks"]]
        return record("Reviewed", state=text_of(reviewed["state"]), chunks=passed, refusal=refusal)

    return exported(
        exports.Policy,
        get_phases=get_phases,
        review_request=lambda context, body: verdict(plain.review_request(vars(context), json.loads(body))),
        review_reply=lambda context, body: verdict(plain.review_reply(vars(context), json.loads(body))),
        review_chunks=review_chunks,
    )


# Plain values in the contract's types.

def record(type_name, /, **members):
    return TYPES[type_name](**members)


def enum(name, value):
    return TYPES[name][value.replace("-", "_").upper()]


def choice(name, value, convert=lambda inner: inner):
    """A case of a variant: `"name"` or `{name: value}`."""
    if isinstance(value, str):
        return TYPES[f"{name}_{camel(value)}"]()
    (case, inner), = value.items()
    return TYPES[f"{name}_{camel(case)}"](convert(inner))


def camel(name):
    return "".join(part.capitalize() for part in name.split("-"))


def pairs(items):
    return [(item.name, item.value) for item in items]


def header_list(items):
    return [record("Header", name=name, value=value) for name, value in items]


def translated(value):
    return record("Translated", body=text_of(value["body"]), dropped=value["dropped"])


def problem(refused):
    return record("Problem", **{**vars(refused), "kind": enum("ProblemKind", refused.kind)})


def problem_of(told):
    return Problem(**{**vars(told), "kind": told.kind.name.replace("_", "-").lower()})


def step(value):
    (kind, inner), = value.items()
    match kind:
        case "send":
            inner = outgoing(inner)
        case "fetch":
            inner = record("Fetch", request=outgoing(inner["request"]), state=text_of(inner["state"]))
        case "wait":
            inner = record("Pause", milliseconds=inner["milliseconds"], state=text_of(inner["state"]))
        case "acquire":
            inner = record("Acquisition", **{**inner, "request": outgoing(inner["request"])})
        case "reply":
            (form, value), = inner.items()
            texts = [text_of(chunk) for chunk in value] if form == "chunks" else text_of(value)
            inner = choice("LocalReply", {form: texts})
    return choice("Step", {kind: inner})


def outgoing(request):
    auth = request["auth"]
    if auth:
        auth = record("Auth", credential=auth["credential"], placement=choice("Placement", auth["placement"]))
    convert = edits if "edited" in request["body"] else text_of
    return record("Outgoing", **{
        **request,
        "headers": header_list(request["headers"]),
        "body": choice("Body", request["body"], convert),
        "auth": auth,
        "framing": enum("Framing", request["framing"]),
    })


def edits(items):
    """An edit without a value removes the member."""
    return [
        record("Edit", member=edit["member"], value=json.dumps(edit["value"]) if "value" in edit else None)
        for edit in items
    ]


# Nothing of the system is there; who asks for its clock gets the call's instead of a trap without a word.
plugway.now_ms = clock.now_ms
time.time = lambda: clock.now_ms() / 1000
