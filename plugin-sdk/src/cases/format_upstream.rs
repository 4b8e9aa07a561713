//! The upstream half of a format.

use super::json::{self, EventInput, answer, arguments, shown};
use super::{Function, Kind, batching, chat_completion, with_arguments};
use crate::{Event, Header, Progress, UpstreamFormat, export};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Range;

pub(super) fn functions<P: UpstreamFormat>() -> Kind<P> {
    vec![
        Function { name: "encode-request", call: encode_request },
        Function { name: "decode-reply", call: decode_reply },
        Function { name: "decode-problem", call: decode_problem },
        Function { name: "decode-events", call: decode_events },
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    #[serde(default = "chat_completion")]
    operation: String,
    /// The upstream's name; without it the body's own.
    model: Option<String>,
    body: Value,
}

fn encode_request<P: UpstreamFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let Request { operation, model, body } = arguments(with_arguments(input, "body", &["operation", "model"]))?;
    let model = model.or(body["model"].as_str().map(str::to_owned)).unwrap_or_default();
    Ok(answer(plugin.encode_request(&operation, &model, &json::text(body)), json::translated))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reply {
    #[serde(default = "chat_completion")]
    operation: String,
    #[serde(deserialize_with = "json::as_text")]
    body: String,
}

fn decode_reply<P: UpstreamFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let Reply { operation, body } = arguments(with_arguments(input, "body", &["operation"]))?;
    Ok(answer(plugin.decode_reply(&operation, &body), |body| shown(&body)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ErrorReply {
    status: u16,
    #[serde(default, deserialize_with = "json::as_headers")]
    headers: Vec<Header>,
    #[serde(deserialize_with = "json::as_text")]
    body: String,
}

fn decode_problem<P: UpstreamFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let ErrorReply { status, headers, body } = arguments(input)?;
    Ok(json::problem(&plugin.decode_problem(status, &headers, &body)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    #[serde(default = "chat_completion")]
    operation: String,
    events: Vec<EventInput>,
    /// Whether the upstream closes the stream after the last event.
    #[serde(default = "closed")]
    end: bool,
}

fn closed() -> bool {
    true
}

fn decode_events<P: UpstreamFormat>(plugin: &P, input: Value) -> Result<Value, String> {
    let Stream { operation, events, end } = arguments(with_arguments(input, "events", &["operation", "end"]))?;
    let events: Vec<Event> = events.into_iter().map(Event::from).collect();
    batching::in_every_way(events.len(), |batches| Ok(decode(plugin, &operation, &events, batches, end)))
}

/// As the host does it: the state goes out and in as text, and nothing is passed on once the stream is over.
fn decode<P: UpstreamFormat>(
    plugin: &P,
    operation: &str,
    events: &[Event],
    batches: &[Range<usize>],
    end: bool,
) -> Value {
    let (mut state, mut chunks, mut progress) = (String::new(), Vec::new(), Progress::Open);
    for (at, batch) in batches.iter().enumerate() {
        let is_end = end && at + 1 == batches.len();
        match export::decode_events(plugin, operation, &state, &events[batch.clone()], is_end) {
            Ok(decoded) => {
                state = decoded.state;
                chunks.extend(decoded.chunks);
                progress = decoded.progress;
            }
            Err(problem) => return json!({"problem": json::problem(&problem)}),
        }
        if !matches!(progress, Progress::Open) {
            break;
        }
    }
    json!({"chunks": json::texts(&chunks), "progress": json::progress(&progress)})
}
