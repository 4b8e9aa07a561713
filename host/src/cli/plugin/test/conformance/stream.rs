//! Streams: an end that is none must not look like one, and what was counted must arrive.

use super::{Probe, counts_usage, format, problem_is_typed, with_unknown};
use crate::chat;
use crate::cli::plugin::cases::Stream;
use serde_json::{Value, json};

pub(super) async fn decoding(probe: &Probe<'_>, stream: &Stream, answer: &Value) -> Result<(), String> {
    chunks(&answer["chunks"])?;
    if let Some(reason) = answer["progress"].get("failed") {
        return problem_is_typed(reason);
    }
    tolerates_unknown_members(probe, stream, answer).await?;
    if answer["progress"] != "complete" {
        return Ok(());
    }
    carries_usage(stream, answer)?;
    is_incomplete_where_it_is_cut(probe, stream).await
}

/// Each chunk is one that a gateway takes.
pub(super) fn chunks(chunks: &Value) -> Result<(), String> {
    let mut numbered = chunks.as_array().into_iter().flatten().enumerate();
    match numbered.find(|(_, chunk)| chat::inspect_chunk(&chunk.to_string()).is_none()) {
        None => Ok(()),
        Some((at, chunk)) => Err(format!(
            "chunk {at} is none: it must be an object with a list `choices`, each with an object `delta`, as docs/contract.md \
             says; it is {chunk}"
        )),
    }
}

async fn tolerates_unknown_members(probe: &Probe<'_>, stream: &Stream, answer: &Value) -> Result<(), String> {
    let varied = stream.items.iter().map(|event| {
        let mut event = event.clone();
        if let Some(data) = event.get("data").and_then(with_unknown) {
            event["data"] = data;
        }
        event
    });
    let ran = probe.stream(stream.of(varied.collect())).await?;
    let count = |answer: &Value| answer["chunks"].as_array().map(Vec::len);
    match count(&ran.answer) == count(answer) && (ran.answer["progress"] == answer["progress"]) {
        true => Ok(()),
        false => Err(format!(
            "with a member in each event that nobody knows yet, the stream decodes to something else: {}; members may be \
             ignored, never an error",
            shortened(&ran.answer)
        )),
    }
}

fn carries_usage(stream: &Stream, answer: &Value) -> Result<(), String> {
    if !stream.items.iter().any(counts_usage) {
        return Ok(());
    }
    let last = answer["chunks"].as_array().and_then(|chunks| chunks.last()).cloned().unwrap_or_default();
    let is_usage = last["choices"] == json!([]) && last["usage"]["completion_tokens"].is_u64();
    match is_usage {
        true => Ok(()),
        false => Err(format!(
            "the upstream counted tokens, but the last chunk does not say so; it must have `\"choices\": []` and `usage` with \
             prompt_tokens and completion_tokens; it is {}",
            shortened(&last)
        )),
    }
}

/// A dialect that has a terminal event must miss it. One that has none says at the end whether it was complete.
async fn is_incomplete_where_it_is_cut(probe: &Probe<'_>, stream: &Stream) -> Result<(), String> {
    // The number of events after which it is complete without having been closed.
    let (mut open, mut complete) = (0, stream.items.len() + 1);
    while open + 1 < complete {
        let middle = open.midpoint(complete);
        let ran = probe.stream(stream.open(stream.items[..middle].to_vec())).await?;
        if ran.answer["progress"] == "open" { open = middle } else { complete = middle }
    }
    if complete > stream.items.len() {
        return Ok(());
    }
    let cut = probe.stream(stream.of(stream.items[..open].to_vec())).await?;
    match cut.answer["progress"] == "complete" {
        false => Ok(()),
        true => Err(format!(
            "cut before its terminal event (event {open}, counted from 0), the stream still says that it is complete; a \
             caller would take half an answer for a whole one"
        )),
    }
}

/// To callers: something ends the stream, and a failure looks different.
pub(super) async fn encoding(probe: &Probe<'_>, stream: &Stream, answer: &Value) -> Result<(), String> {
    let (Some(events), false) = (answer.as_array(), stream.items.is_empty()) else { return Ok(()) };
    let problem = json!({"kind": "upstream", "message": "the provider's stream broke off"});
    let Some(failing) = stream.failing(&problem) else { return Ok(()) };
    let failed = probe.stream(failing).await?.answer;
    let failed = failed.as_array().cloned().unwrap_or_default();
    if failed.is_empty() {
        return Err(
            "a stream that fails ends without any event; it must say so in the dialect's own error event".to_owned()
        );
    }
    if !stream.fails() && failed.last() == events.last() {
        return Err(format!(
            "a stream that fails ends as one that is complete does, with {}; callers could not tell",
            events.last().map(shortened).unwrap_or_default()
        ));
    }
    let usage = stream.items.iter().rev().find(|chunk| counts_usage(chunk));
    usage.map_or(Ok(()), |chunk| format::usage_is_told(chunk, answer))
}

fn shortened(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        None => text,
        Some((end, _)) => format!("{} …", &text[..end]),
    }
}
