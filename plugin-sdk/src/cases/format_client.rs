//! The client half of a format.

use super::json::{self, ProblemInput, ProgressInput, answer, arguments, shown};
use super::{Function, Kind, batching, chat_completion, with_arguments};
use crate::{ClientFormat, Progress, export};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Range;

pub(super) fn functions<P: ClientFormat>() -> Kind<P> {
    vec![
        Function { name: "decode-request", call: decode_request },
        Function { name: "encode-reply", call: encode_reply },
        Function { name: "encode-events", call: encode_events },
        Function { name: "encode-problem", call: encode_problem },
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "chat_completion")]
    operation: String,
    /// Without it, and without `streaming`, what the body's `model` and `stream` say.
    model: Option<String>,
    streaming: Option<bool>,
    body: Value,
}

fn decode_request<P: ClientFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let Request { operation, model, streaming, body } =
        arguments(with_arguments(input, "body", &["operation", "model", "streaming"]))?;
    let model = model.or(body["model"].as_str().map(str::to_owned)).unwrap_or_default();
    let streaming = streaming.or(body["stream"].as_bool()).unwrap_or_default();
    Ok(answer(plugin.decode_request(&operation, &model, streaming, &json::text(body)), json::translated))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    #[serde(default = "chat_completion")]
    operation: String,
    #[serde(deserialize_with = "json::as_text")]
    body: String,
}

fn encode_reply<P: ClientFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let Reply { operation, body } = arguments(with_arguments(input, "body", &["operation"]))?;
    Ok(answer(plugin.encode_reply(&operation, &body), |body| shown(&body)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    #[serde(default = "chat_completion")]
    operation: String,
    #[serde(deserialize_with = "json::as_texts")]
    chunks: Vec<String>,
    /// How the stream ends.
    #[serde(default = "complete")]
    progress: ProgressInput,
}

fn complete() -> ProgressInput {
    ProgressInput::Complete
}

fn encode_events<P: ClientFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let Stream { operation, chunks, progress } =
        arguments(with_arguments(input, "chunks", &["operation", "progress"]))?;
    let last = Progress::from(progress);
    batching::in_every_way(chunks.len(), |batches| Ok(encode(plugin, &operation, &chunks, batches, &last)))
}

fn encode<P: ClientFormat>(
    plugin: &P,
    operation: &str,
    chunks: &[String],
    batches: &[Range<usize>],
    last: &Progress,
) -> Value {
    let (mut state, mut events) = (String::new(), Vec::new());
    for (at, batch) in batches.iter().enumerate() {
        let progress = if at + 1 == batches.len() { last } else { &Progress::Open };
        match export::encode_events(plugin, operation, &state, &chunks[batch.clone()], progress) {
            Ok(encoded) => {
                state = encoded.state;
                events.extend(encoded.events);
            }
            Err(problem) => return json!({"problem": json::problem(&problem)}),
        }
    }
    json::events(&events)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorReply {
    status: u16,
    problem: ProblemInput,
    #[serde(default = "some_request")]
    request_id: String,
}

fn some_request() -> String {
    "req-1".to_owned()
}

fn encode_problem<P: ClientFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let ErrorReply { status, problem, request_id } = arguments(input)?;
    Ok(shown(&plugin.encode_problem(status, &problem.into(), &request_id)))
}
