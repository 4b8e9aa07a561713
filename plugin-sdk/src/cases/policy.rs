//! Policies.

use super::json::{self, answer, arguments, shown};
use super::{Function, Kind, batching, chat_completion, with_arguments};
use crate::{Context, Policy, Verdict, export};
use serde::Deserialize;
use serde_json::{Value, json};
use std::ops::Range;

pub(super) fn functions<P: Policy>() -> Kind<P> {
    vec![
        Function { name: "review-request", call: review_request },
        Function { name: "review-reply", call: review_reply },
        Function { name: "review-chunks", call: review_chunks },
    ]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContextInput {
    #[serde(default = "some_request")]
    request_id: String,
    #[serde(default = "chat_completion")]
    operation: String,
    model: Option<String>,
    #[serde(default)]
    streaming: bool,
    #[serde(default)]
    now_ms: u64,
}

fn some_request() -> String {
    "req-1".to_owned()
}

/// What the case says of the call; the model is the body's own where it says nothing.
fn context(input: Option<ContextInput>, body: &Value) -> Context {
    let input = input.unwrap_or(ContextInput {
        request_id: some_request(),
        operation: chat_completion(),
        model: None,
        streaming: false,
        now_ms: 0,
    });
    let ContextInput { request_id, operation, model, streaming, now_ms } = input;
    let model = model.or(body["model"].as_str().map(str::to_owned)).unwrap_or_default();
    Context { request_id, operation, model, streaming, now_ms }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Whole {
    context: Option<ContextInput>,
    body: Value,
}

impl Whole {
    fn read(input: Value) -> Result<(Context, String), String> {
        let Whole { context: of_call, body } = arguments(with_arguments(input, "body", &["context"]))?;
        Ok((context(of_call, &body), json::text(body)))
    }
}

fn review_request<P: Policy>(plugin: &P, input: Value) -> Result<Value, String> {
    let (context, body) = Whole::read(input)?;
    Ok(answer(plugin.review_request(&context, &body), verdict))
}

fn review_reply<P: Policy>(plugin: &P, input: Value) -> Result<Value, String> {
    let (context, body) = Whole::read(input)?;
    Ok(answer(plugin.review_reply(&context, &body), verdict))
}

fn verdict(verdict: Verdict) -> Value {
    match verdict {
        Verdict::Pass => json!("pass"),
        Verdict::Change(body) => json!({"change": shown(&body)}),
        Verdict::Refuse(problem) => json!({"refuse": json::problem(&problem)}),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    context: Option<ContextInput>,
    #[serde(deserialize_with = "json::as_texts")]
    chunks: Vec<String>,
    /// Whether the stream ends after the last chunk.
    #[serde(default = "ended")]
    end: bool,
}

fn ended() -> bool {
    true
}

fn review_chunks<P: Policy>(plugin: &P, input: Value) -> Result<Value, String> {
    let Stream { context: of_call, chunks, end } = arguments(with_arguments(input, "chunks", &["context", "end"]))?;
    let context = context(of_call, &Value::Null);
    batching::in_every_way(chunks.len(), |batches| Ok(review(plugin, &context, &chunks, batches, end)))
}

fn review<P: Policy>(plugin: &P, context: &Context, chunks: &[String], batches: &[Range<usize>], end: bool) -> Value {
    let (mut state, mut passed, mut refusal) = (String::new(), Vec::new(), None);
    for (at, batch) in batches.iter().enumerate() {
        let is_end = end && at + 1 == batches.len();
        match export::review_chunks(plugin, context, &state, chunks[batch.clone()].to_vec(), is_end) {
            Ok(reviewed) => {
                state = reviewed.state;
                passed.extend(reviewed.chunks);
                refusal = reviewed.refusal;
            }
            Err(problem) => return json!({"problem": json::problem(&problem)}),
        }
        if refusal.is_some() {
            break;
        }
    }
    json::present(json!({"chunks": json::texts(&passed), "refusal": refusal.as_ref().map(json::problem)}))
}
