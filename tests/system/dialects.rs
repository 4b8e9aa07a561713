//! What providers say: the same few answers in each dialect, whole and streamed, and how a stream is put on the wire.

use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Dialect {
    OpenAi,
    Anthropic,
}

/// What [`play`] answers with words.
pub const ANSWER: &str = "Paris is the capital of France. Naïve café: 日本語 🦀";

impl Dialect {
    /// The path on which a provider of this dialect, and our gateway, serves chats.
    pub fn path(self) -> &'static str {
        match self {
            Dialect::OpenAi => "/v1/chat/completions",
            Dialect::Anthropic => "/v1/messages",
        }
    }

    /// The events of a stream as SSE frames, with the terminal marker where it is not one of them.
    pub fn frames(self, events: &[Value]) -> Vec<String> {
        match self {
            Dialect::OpenAi => {
                let frames = events.iter().map(|event| format!("data: {event}\n\n"));
                frames.chain(["data: [DONE]\n\n".to_owned()]).collect()
            }
            Dialect::Anthropic => {
                let name = |event: &Value| event["type"].as_str().expect("a type").to_owned();
                events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect()
            }
        }
    }

    /// A whole answer of these words.
    pub fn whole(self, text: &str) -> Value {
        match self {
            Dialect::OpenAi => openai_whole(json!({"role": "assistant", "content": text}), "stop"),
            Dialect::Anthropic => anthropic_whole(json!([{"type": "text", "text": text}]), "end_turn"),
        }
    }

    /// A whole answer that calls the tool `get_weather` for Paris.
    pub fn whole_tool_call(self) -> Value {
        match self {
            Dialect::OpenAi => openai_whole(
                json!({"role": "assistant", "content": null, "tool_calls": [{
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "get_weather", "arguments": "{\"city\":\"Paris\"}"},
                }]}),
                "tool_calls",
            ),
            Dialect::Anthropic => anthropic_whole(
                json!([{"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}]),
                "tool_use",
            ),
        }
    }

    /// The events of a stream of these words, a few at a time.
    pub fn stream(self, text: &str) -> Vec<Value> {
        let pieces: Vec<&str> = text.split_inclusive(' ').collect();
        match self {
            Dialect::OpenAi => {
                let mut events = vec![openai_chunk(json!({"role": "assistant", "content": ""}), Value::Null)];
                events.extend(pieces.iter().map(|piece| openai_chunk(json!({"content": piece}), Value::Null)));
                events.push(openai_chunk(json!({}), json!("stop")));
                events
            }
            Dialect::Anthropic => {
                let deltas = pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
                anthropic_stream(json!({"type": "text", "text": ""}), deltas.collect(), "end_turn")
            }
        }
    }

    /// The events of a stream that calls `get_weather`, its arguments in pieces.
    pub fn stream_tool_call(self) -> Vec<Value> {
        let pieces = ["{\"ci", "ty\":\"Pa", "ris\"}"];
        match self {
            Dialect::OpenAi => {
                let call = json!({"index": 0, "id": "call_1", "type": "function",
                    "function": {"name": "get_weather", "arguments": ""}});
                let mut events = vec![openai_chunk(
                    json!({"role": "assistant", "content": null, "tool_calls": [call]}),
                    Value::Null,
                )];
                events.extend(pieces.iter().map(|piece| {
                    let call = json!({"index": 0, "function": {"arguments": piece}});
                    openai_chunk(json!({"tool_calls": [call]}), Value::Null)
                }));
                events.push(openai_chunk(json!({}), json!("tool_calls")));
                events
            }
            Dialect::Anthropic => anthropic_stream(
                json!({"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {}}),
                pieces.iter().map(|piece| json!({"type": "input_json_delta", "partial_json": piece})).collect(),
                "tool_use",
            ),
        }
    }

    /// What stands in a stream that breaks with an error.
    pub fn error_event(self) -> Value {
        match self {
            Dialect::OpenAi => {
                json!({"error": {"message": "Overloaded", "type": "server_error", "param": null, "code": null}})
            }
            Dialect::Anthropic => {
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
            }
        }
    }

    /// The body of an error reply.
    pub fn error(self, status: u16) -> Value {
        let kind = match status {
            400 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            429 => "rate_limit_error",
            _ => "api_error",
        };
        let message = format!("the upstream says {status}");
        match self {
            Dialect::OpenAi => json!({"error": {"message": message, "type": kind, "param": null, "code": null}}),
            Dialect::Anthropic => json!({"type": "error", "error": {"type": kind, "message": message}}),
        }
    }
}

/// Teaches an upstream the models that the real clients ask for: `plain`, `tools`, `image` and `error-<status>`.
pub fn play(dialect: Dialect, upstream: &Upstream) {
    upstream.otherwise(move |seen| answer(dialect, seen));
}

fn answer(dialect: Dialect, seen: &Seen) -> Reply {
    let request = seen.json();
    let model = request["model"].as_str().unwrap_or_default();
    if seen.path.split('?').next() != Some(dialect.path()) {
        return Reply::json(404, &dialect.error(404));
    }
    if let Some(status) = model.strip_prefix("error-") {
        let status = status.parse().expect("a status in the model's name");
        return Reply::json(status, &dialect.error(status));
    }
    let streaming = request["stream"] == true;
    match (model, streaming) {
        ("tools", true) => Reply::sse(&dialect.frames(&dialect.stream_tool_call())),
        ("tools", false) => Reply::json(200, &dialect.whole_tool_call()),
        (_, true) => Reply::sse(&dialect.frames(&dialect.stream(ANSWER))),
        (_, false) => Reply::json(200, &dialect.whole(ANSWER)),
    }
}

fn openai_whole(message: Value, finish_reason: &str) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": "gpt-upstream",
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason, "logprobs": null}],
        "usage": {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22},
    })
}

pub fn openai_chunk(delta: Value, finish_reason: Value) -> Value {
    json!({
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": "gpt-upstream",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    })
}

fn anthropic_whole(content: Value, stop_reason: &str) -> Value {
    json!({
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-upstream",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {"input_tokens": 14, "output_tokens": 8},
    })
}

fn anthropic_stream(block: Value, deltas: Vec<Value>, stop_reason: &str) -> Vec<Value> {
    let message = json!({
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-upstream",
        "content": [],
        "stop_reason": null,
        "stop_sequence": null,
        "usage": {"input_tokens": 14, "output_tokens": 1},
    });
    let mut events = vec![
        json!({"type": "message_start", "message": message}),
        json!({"type": "content_block_start", "index": 0, "content_block": block}),
        json!({"type": "ping"}),
    ];
    events.extend(deltas.into_iter().map(|delta| json!({"type": "content_block_delta", "index": 0, "delta": delta})));
    events.extend([
        json!({"type": "content_block_stop", "index": 0}),
        json!({"type": "message_delta", "delta": {"stop_reason": stop_reason, "stop_sequence": null},
            "usage": {"output_tokens": 8}}),
        json!({"type": "message_stop"}),
    ]);
    events
}
