//! Streams of the canonical dialect that are made of events with a type: speech, transcriptions and images.

use super::chunk::ChunkFacts;
use super::error::ReportedError;
use super::usage::Usage;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What the data of a stream of the canonical dialect are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Vocabulary {
    /// Chunks of a chat or a completion; the stream ends with a marker of its own.
    Chunks,
    /// Events with a type, some of which say that all has been said.
    Events,
}

/// What may be the last event. There can be more of them, as for several images.
const LAST: [&str; 4] =
    ["transcript.text.done", "speech.audio.done", "image_generation.completed", "image_edit.completed"];

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, default, rename = "type")]
    kind: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// What an event says; None where it is not one.
pub fn inspect_event(text: &str) -> Option<ChunkFacts> {
    let event: Event<'_> = serde_json::from_str(text).ok()?;
    let kind = event.kind.as_deref().unwrap_or_default();
    let error = match event.error {
        Some(error) => Some(ReportedError::of(error)),
        None if kind == "error" => Some(ReportedError::of(serde_json::from_str(text).ok()?)),
        None => None,
    };
    Some(ChunkFacts {
        content: error.is_none(),
        only_usage: false,
        usage: event.usage.and_then(Usage::read),
        error,
        last: LAST.contains(&kind),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_say_what_they_are() {
        let facts = |text: &str| inspect_event(text).expect("an event");
        let delta = facts(r#"{"type":"transcript.text.delta","delta":"Oslo"}"#);
        assert!(delta.content && !delta.last && delta.error.is_none());
        let done = facts(r#"{"type":"speech.audio.done","usage":{"input_tokens":3,"output_tokens":5}}"#);
        assert!(done.last && done.usage.is_some_and(|usage| (usage.prompt_tokens, usage.completion_tokens) == (3, 5)));
        for error in
            [r#"{"type":"error","message":"no","code":"x"}"#, r#"{"type":"error","error":{"message":"no","code":"x"}}"#]
        {
            let facts = facts(error);
            let error = facts.error.expect("an error");
            assert_eq!(
                (error.message.as_deref(), error.code.as_deref(), facts.content),
                (Some("no"), Some("x"), false)
            );
        }
        assert_eq!(inspect_event("nonsense"), None);
    }
}
