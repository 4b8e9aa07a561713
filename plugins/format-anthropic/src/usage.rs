//! Tokens, in both ways of counting: Anthropic's `input_tokens` leaves out what a cache read or wrote, the canonical
//! `prompt_tokens` is the total.

use crate::wire::{self, members};
use plugway_sdk::chat::{Json, TokenDetails, Usage};

pub(crate) fn canonical(usage: wire::Usage<'_>) -> Usage<'_> {
    let read = usage.cache_read_input_tokens;
    let written = usage.cache_creation_input_tokens;
    let prompt_tokens = usage.input_tokens.unwrap_or(0) + read.unwrap_or(0) + written.unwrap_or(0);
    let completion_tokens = usage.output_tokens.unwrap_or(0);
    let split = usage.cache_creation.unwrap_or_default();
    let thinking = usage.output_tokens_details.and_then(|details| details.thinking_tokens);
    Usage {
        prompt_tokens,
        completion_tokens,
        total_tokens: prompt_tokens + completion_tokens,
        prompt_tokens_details: (read.is_some() || written.is_some()).then(|| TokenDetails {
            cached_tokens: read,
            cache_creation_tokens: written,
            cache_creation_5m_tokens: split.ephemeral_5m_input_tokens,
            cache_creation_1h_tokens: split.ephemeral_1h_input_tokens,
            ..TokenDetails::default()
        }),
        completion_tokens_details: thinking
            .map(|thinking| TokenDetails { reasoning_tokens: Some(thinking), ..TokenDetails::default() }),
        native: (!usage.extra.is_empty()).then(|| Json::of(&usage.extra)),
        ..Usage::default()
    }
}

pub(crate) fn anthropic<'a>(usage: &Usage<'a>) -> wire::Usage<'a> {
    let (read, written) = usage.cached();
    let details = usage.prompt_tokens_details.clone().unwrap_or_default();
    let five_minutes = details.cache_creation_5m_tokens;
    let one_hour = details.cache_creation_1h_tokens;
    let thinking = usage.completion_tokens_details.as_ref().and_then(|details| details.reasoning_tokens);
    let mut translated = wire::Usage {
        input_tokens: Some(usage.prompt_tokens.saturating_sub(read + written)),
        cache_creation_input_tokens: Some(written),
        cache_read_input_tokens: Some(read),
        cache_creation: (five_minutes.is_some() || one_hour.is_some()).then(|| wire::CacheCreation {
            ephemeral_5m_input_tokens: Some(five_minutes.unwrap_or(0)),
            ephemeral_1h_input_tokens: Some(one_hour.unwrap_or(0)),
            ..wire::CacheCreation::default()
        }),
        output_tokens: Some(usage.completion_tokens),
        output_tokens_details: thinking
            .map(|thinking| wire::OutputDetails { thinking_tokens: Some(thinking), ..wire::OutputDetails::default() }),
        ..wire::Usage::default()
    };
    if let Some(native) = &usage.native {
        translated.extra.extend(members(native));
    }
    translated
}

/// Counts of a `message_delta` over those of `message_start`: they are cumulative, and what the later event leaves out
/// still holds.
pub(crate) fn merge<'a>(earlier: wire::Usage<'a>, later: wire::Usage<'a>) -> wire::Usage<'a> {
    let mut extra = earlier.extra;
    for (name, value) in later.extra {
        extra.take(&name);
        extra.push(name, value);
    }
    wire::Usage {
        input_tokens: later.input_tokens.or(earlier.input_tokens),
        cache_creation_input_tokens: later.cache_creation_input_tokens.or(earlier.cache_creation_input_tokens),
        cache_read_input_tokens: later.cache_read_input_tokens.or(earlier.cache_read_input_tokens),
        cache_creation: later.cache_creation.or(earlier.cache_creation),
        output_tokens: later.output_tokens.or(earlier.output_tokens),
        output_tokens_details: later.output_tokens_details.or(earlier.output_tokens_details),
        extra,
    }
}
