//! What a call has used, as answers say it.

use super::members::Members;
use serde::Deserialize;
use serde_json::value::RawValue;

/// Tokens of one call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// All that was read, with what came from a cache or went into one.
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// Of the prompt's: read from a cache.
    pub cached_tokens: u64,
    /// Of the prompt's: written to a cache, and of these for five minutes and for an hour.
    pub cache_creation_tokens: u64,
    pub cache_creation_5m_tokens: u64,
    pub cache_creation_1h_tokens: u64,
}

/// Chats and embeddings count `prompt_tokens`, the younger operations `input_tokens`.
#[derive(Deserialize)]
struct Counts {
    #[serde(alias = "input_tokens")]
    prompt_tokens: Option<f64>,
    #[serde(alias = "output_tokens")]
    completion_tokens: Option<f64>,
    total_tokens: Option<f64>,
    #[serde(alias = "input_tokens_details", alias = "input_token_details")]
    prompt_tokens_details: Option<Details>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Details {
    cached_tokens: Option<f64>,
    cache_creation_tokens: Option<f64>,
    cache_creation_5m_tokens: Option<f64>,
    cache_creation_1h_tokens: Option<f64>,
}

impl Usage {
    /// That of a whole answer.
    pub fn in_answer(answer: &Members<'_>) -> Option<Self> {
        Self::read(answer.get("usage")?)
    }

    /// None where it is not one. Counting must not decide a call's fate, so whatever is odd counts as nothing.
    pub(super) fn read(raw: &RawValue) -> Option<Self> {
        let counts: Counts = match serde_json::from_str(raw.get()) {
            Ok(counts) => counts,
            // Some upstreams write both words.
            Err(_) => of_both_words(raw)?,
        };
        // Sums of what no answer can have would leave the range of numbers.
        const MOST: f64 = 1e9;
        let tokens = |count: Option<f64>| count.unwrap_or(0.0).clamp(0.0, MOST) as u64;
        if [counts.prompt_tokens, counts.completion_tokens, counts.total_tokens].iter().all(Option::is_none) {
            return None;
        }
        let details = counts.prompt_tokens_details.unwrap_or_default();
        let only_total = counts.prompt_tokens.is_none() && counts.completion_tokens.is_none();
        Some(Usage {
            prompt_tokens: tokens(counts.prompt_tokens.or(counts.total_tokens.filter(|_| only_total))),
            completion_tokens: tokens(counts.completion_tokens),
            cached_tokens: tokens(details.cached_tokens),
            cache_creation_tokens: tokens(details.cache_creation_tokens),
            cache_creation_5m_tokens: tokens(details.cache_creation_5m_tokens),
            cache_creation_1h_tokens: tokens(details.cache_creation_1h_tokens),
        })
    }
}

/// By the older words alone.
fn of_both_words(raw: &RawValue) -> Option<Counts> {
    #[derive(Deserialize)]
    struct Older {
        prompt_tokens: Option<f64>,
        completion_tokens: Option<f64>,
        prompt_tokens_details: Option<Details>,
    }

    let Older { prompt_tokens, completion_tokens, prompt_tokens_details } = serde_json::from_str(raw.get()).ok()?;
    Some(Counts { prompt_tokens, completion_tokens, total_tokens: None, prompt_tokens_details })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<Usage> {
        Usage::read(&RawValue::from_string(text.to_owned()).expect("JSON"))
    }

    #[test]
    fn every_operation_counts_in_its_own_words() {
        let tokens = |prompt_tokens, completion_tokens| Usage { prompt_tokens, completion_tokens, ..Usage::default() };
        for (text, usage) in [
            (r#"{"prompt_tokens":3,"completion_tokens":5,"total_tokens":8}"#, tokens(3, 5)),
            (r#"{"prompt_tokens":3,"total_tokens":3}"#, tokens(3, 0)),
            (r#"{"total_tokens":7}"#, tokens(7, 0)),
            (
                r#"{"type":"tokens","input_tokens":2,"output_tokens":4,"input_token_details":{"text_tokens":0}}"#,
                tokens(2, 4),
            ),
            (r#"{"prompt_tokens":1,"completion_tokens":1,"input_tokens":9,"output_tokens":9}"#, tokens(1, 1)),
        ] {
            assert_eq!(read(text), Some(usage), "{text}");
        }
        let cached = r#"{"input_tokens":9,"output_tokens":1,"input_tokens_details":{"cached_tokens":4}}"#;
        assert_eq!(read(cached), Some(Usage { cached_tokens: 4, ..tokens(9, 1) }));
        assert_eq!(read("7"), None);
        assert_eq!(read(r#"{"type":"duration","seconds":3}"#), None, "what is no count of tokens costs nothing known");
        assert_eq!(read(r#"{"prompt_tokens":1e19}"#), Some(tokens(1_000_000_000, 0)));
    }
}
