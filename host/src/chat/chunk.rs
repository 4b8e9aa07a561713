//! What a canonical stream chunk, or a whole answer, means for the call that it belongs to.

use super::error::ReportedError;
use super::members::Members;
use super::usage::Usage;
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::sync::LazyLock;

/// What the host must know of a chunk.
#[derive(Debug, Default, PartialEq)]
pub struct ChunkFacts {
    /// It carries something that the caller can see: once it is passed on, no other provider can be tried.
    pub content: bool,
    /// It carries nothing but the usage, which callers get only when they asked for it.
    pub only_usage: bool,
    pub usage: Option<Usage>,
    /// The upstream reported an error inside the stream.
    pub error: Option<ReportedError>,
    /// It says of itself that the stream is complete. Chunks never do.
    pub last: bool,
}

/// What a chunk says; None where it is not one. Members that the host does not know are not looked at.
pub fn inspect_chunk(text: &str) -> Option<ChunkFacts> {
    let chunk: Chunk<'_> = serde_json::from_str(text).ok()?;
    let usage = chunk.usage.and_then(Usage::read);
    let choices = chunk.choices.as_deref().unwrap_or_default();
    Some(ChunkFacts {
        content: choices.iter().any(Choice::has_content),
        only_usage: choices.is_empty() && usage.is_some(),
        usage,
        error: chunk.error.map(ReportedError::of),
        last: false,
    })
}

/// Made once: making one costs more than a search.
static ERROR: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"error\""));
static ESCAPE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\\u00"));
static USAGE: LazyLock<Finder<'static>> = LazyLock::new(|| Finder::new("\"usage\""));

/// The same for a chunk after the first content, when only usage and errors matter any more: most chunks have neither, and
/// need only be JSON. Whether there is content in it is not looked at.
pub fn glance(text: &str) -> Option<ChunkFacts> {
    let bytes = text.as_bytes();
    // A name cannot hide in a string, where its quotes would be escaped, but it can be written with escapes itself.
    if has_usage(bytes) || ERROR.find(bytes).is_some() || ESCAPE.find(bytes).is_some() {
        return inspect_chunk(text);
    }
    serde_json::from_str::<IgnoredAny>(text).ok()?;
    bytes.trim_ascii_start().starts_with(b"{").then(ChunkFacts::default)
}

/// Whether a usage stands in it that is not null, as it is in each chunk but the last with some upstreams.
fn has_usage(bytes: &[u8]) -> bool {
    USAGE.find_iter(bytes).any(|at| {
        let rest = bytes[at + USAGE.needle().len()..].trim_ascii_start();
        rest.strip_prefix(b":").is_some_and(|value| !value.trim_ascii_start().starts_with(b"null"))
    })
}

/// Whether it is the chunk with nothing but the usage.
pub fn is_only_usage(text: &str) -> bool {
    has_usage(text.as_bytes()) && inspect_chunk(text).is_some_and(|facts| facts.only_usage)
}

/// The usage that a whole answer reports.
pub fn inspect_reply(body: &str) -> Option<Usage> {
    Usage::read(serde_json::from_str::<Reply<'_>>(body).ok()?.usage?)
}

/// What the host must know of a whole answer.
#[derive(Debug, Default, PartialEq)]
pub struct ReplyFacts {
    pub usage: Option<Usage>,
    /// Some servers say 200 and mean an error.
    pub error: Option<ReportedError>,
}

/// What a whole answer says, whose members have been found already.
pub fn inspect_members(answer: &Members<'_>) -> ReplyFacts {
    let said = |name| answer.get(name).filter(|value| value.get() != "null");
    ReplyFacts { usage: said("usage").and_then(Usage::read), error: said("error").map(ReportedError::of) }
}

#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(borrow)]
    usage: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Chunk<'a> {
    #[serde(borrow, default)]
    choices: Option<Vec<Choice<'a>>>,
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow, default)]
    delta: Option<Delta<'a>>,
    /// The legacy completions have the text here.
    #[serde(borrow, default)]
    text: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    finish_reason: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    refusal: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_content: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning: Option<&'a RawValue>,
    #[serde(borrow, default)]
    reasoning_details: Option<&'a RawValue>,
    #[serde(borrow, default)]
    tool_calls: Option<&'a RawValue>,
    #[serde(borrow, default)]
    function_call: Option<&'a RawValue>,
    #[serde(borrow, default)]
    audio: Option<&'a RawValue>,
}

impl Choice<'_> {
    fn has_content(&self) -> bool {
        let said = |value: &Option<&RawValue>| {
            value.is_some_and(|value| !matches!(value.get(), "null" | "\"\"" | "[]" | "{}"))
        };
        said(&self.finish_reason)
            || self.text.as_ref().is_some_and(|text| !text.is_empty())
            || self.delta.as_ref().is_some_and(|delta| {
                [
                    &delta.content,
                    &delta.refusal,
                    &delta.reasoning_content,
                    &delta.reasoning,
                    &delta.reasoning_details,
                    &delta.tool_calls,
                    &delta.function_call,
                    &delta.audio,
                ]
                .into_iter()
                .any(said)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> ChunkFacts {
        inspect_chunk(text).expect("a chunk")
    }

    #[test]
    fn the_opening_role_is_no_content_and_the_rest_is() {
        assert!(!facts(r#"{"choices":[{"delta":{"role":"assistant","content":""},"finish_reason":null}]}"#).content);
        for delta in [
            r#"{"content":"hi"}"#,
            r#"{"tool_calls":[{"index":0}]}"#,
            r#"{"reasoning_content":"hm"}"#,
            r#"{"refusal":"no"}"#,
        ] {
            assert!(facts(&format!(r#"{{"choices":[{{"delta":{delta}}}]}}"#)).content, "{delta}");
        }
        assert!(facts(r#"{"choices":[{"delta":{},"finish_reason":"stop"}]}"#).content);
    }

    #[test]
    fn usage_alone_is_told_from_usage_beside_content() {
        let usage = r#""usage":{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}"#;
        let alone = facts(&format!(r#"{{"choices":[],{usage}}}"#));
        assert!(alone.only_usage);
        assert_eq!(alone.usage, Some(Usage { prompt_tokens: 3, completion_tokens: 5, ..Usage::default() }));
        assert!(!facts(&format!(r#"{{"choices":[{{"delta":{{"content":"x"}}}}],{usage}}}"#)).only_usage);
        assert!(!facts(r#"{"choices":[{"delta":{"content":"x"}}],"usage":null}"#).only_usage);
    }

    #[test]
    fn errors_in_a_stream_are_seen_in_each_shape() {
        let error = facts(r#"{"error":{"message":"Overloaded","code":529,"type":"overloaded_error"}}"#).error;
        let said = ReportedError {
            message: Some("Overloaded".to_owned()),
            param: None,
            code: Some("529".to_owned()),
            kind: Some("overloaded_error".to_owned()),
        };
        assert_eq!(error, Some(said));
        let error = facts(r#"{"error":"boom"}"#).error;
        assert_eq!(error.and_then(|error| error.message), Some("boom".to_owned()));
    }

    #[test]
    fn a_glance_sees_what_matters_after_the_first_content() {
        let plain = r#"{"choices":[{"delta":{"content":"\"usage\": \"error\":"}}],"usage":null}"#;
        assert_eq!(glance(plain), Some(ChunkFacts::default()));
        let usage = r#"{"choices":[],"usage": {"prompt_tokens":1,"completion_tokens":2}}"#;
        assert_eq!(glance(usage), inspect_chunk(usage));
        let error = r#"{"error":{"message":"no"}}"#;
        assert_eq!(glance(error), inspect_chunk(error));
        assert_eq!(glance("{\"choices\":"), None);
        assert_eq!(glance("7"), None);
    }

    #[test]
    fn a_whole_answer_says_its_usage_and_its_error() {
        let facts = |text: &str| inspect_members(&Members::of(text.as_bytes()).expect("an object"));
        let plain = r#"{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":5},"error":null}"#;
        let usage = Some(Usage { prompt_tokens: 3, completion_tokens: 5, ..Usage::default() });
        assert_eq!(facts(plain), ReplyFacts { usage, error: None });
        assert_eq!(facts(r#"{"usage":null}"#), ReplyFacts::default());
        let error = facts(r#"{"choices":"odd","error":{"message":"no"}}"#).error.expect("one");
        assert_eq!(error.message.as_deref(), Some("no"));
    }

    #[test]
    fn what_is_no_chunk_is_none() {
        assert_eq!(inspect_chunk("nonsense"), None);
        assert_eq!(inspect_chunk("{\"choices\":"), None);
    }
}
