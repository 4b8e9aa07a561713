//! Why an answer ended, in both vocabularies.

use plugway_sdk::chat::Text;

/// Anthropic's reason as the canonical one. The original is kept beside it as `native_finish_reason`, because several
/// reasons share one canonical word.
pub(crate) fn canonical(stop_reason: &str) -> &'static str {
    match stop_reason {
        "max_tokens" | "model_context_window_exceeded" => "length",
        "tool_use" => "tool_calls",
        "refusal" => "content_filter",
        // `end_turn`, `stop_sequence`, `pause_turn` (the caller goes on by sending the answer back) and whatever comes
        // to be: the model stopped of its own accord.
        _ => "stop",
    }
}

/// What a canonical answer or stream says about its end.
pub(crate) struct End<'e> {
    pub(crate) finish_reason: Option<&'e str>,
    pub(crate) native_finish_reason: Option<&'e str>,
    pub(crate) stop_sequence: Option<&'e str>,
    pub(crate) has_tool_calls: bool,
}

impl End<'_> {
    /// The reason in Anthropic's words.
    pub(crate) fn stop_reason(&self) -> Text<'static> {
        if let Some(native) = self.native_finish_reason.and_then(known) {
            return native.into();
        }
        match self.finish_reason {
            Some("length") => "max_tokens",
            Some("tool_calls" | "function_call") => "tool_use",
            Some("content_filter") => "refusal",
            // Several compatible servers say `stop` where they mean `tool_calls`.
            _ if self.has_tool_calls => "tool_use",
            _ if self.stop_sequence.is_some() => "stop_sequence",
            _ => "end_turn",
        }
        .into()
    }
}

/// An upstream of another dialect also has its own words for the end (`STOP`, `eos`); only Anthropic's are handed on.
fn known(native: &str) -> Option<&'static str> {
    const REASONS: [&str; 7] = [
        "end_turn",
        "max_tokens",
        "stop_sequence",
        "tool_use",
        "pause_turn",
        "refusal",
        "model_context_window_exceeded",
    ];
    REASONS.into_iter().find(|reason| *reason == native)
}
