//! What a request cost.

use crate::chat::Usage;
use crate::config::Prices;
use std::fmt;

/// An amount, written as a plain decimal number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsDollars(pub f64);

impl fmt::Display for UsDollars {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.12}", self.0);
        let text = text.trim_end_matches('0');
        formatter.write_str(text.strip_suffix('.').unwrap_or(text))
    }
}

/// Tokens that a cache read or wrote are part of the prompt's, and have prices of their own.
pub fn of(usage: Usage, prices: &Prices) -> UsDollars {
    const MILLION: f64 = 1e6;
    let Usage { prompt_tokens, completion_tokens, cached_tokens, cache_creation_tokens, .. } = usage;
    let (for_5m, for_1h) = (usage.cache_creation_5m_tokens, usage.cache_creation_1h_tokens);
    let plain = prompt_tokens.saturating_sub(cached_tokens).saturating_sub(cache_creation_tokens);
    let otherwise = cache_creation_tokens.saturating_sub(for_5m).saturating_sub(for_1h);
    let parts = [
        (plain, prices.input),
        (cached_tokens, prices.cache_read),
        (for_5m, prices.cache_write_5m),
        (for_1h, prices.cache_write_1h),
        (otherwise, prices.cache_write),
        (completion_tokens, prices.output),
    ];
    UsDollars(parts.iter().map(|(tokens, price)| *tokens as f64 * price).sum::<f64>() / MILLION)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_token_has_its_price_once() {
        let prices = Prices {
            input: 3.0,
            output: 15.0,
            cache_read: 0.3,
            cache_write: 3.75,
            cache_write_5m: 3.75,
            cache_write_1h: 6.0,
        };
        let usage = Usage {
            prompt_tokens: 160,
            completion_tokens: 40,
            cached_tokens: 100,
            cache_creation_tokens: 50,
            cache_creation_5m_tokens: 20,
            cache_creation_1h_tokens: 30,
        };
        // 10 × 3 + 100 × 0.3 + 20 × 3.75 + 30 × 6 + 40 × 15, of a million
        assert_eq!(of(usage, &prices).to_string(), "0.000915");
        let plain = Usage { prompt_tokens: 1_000_000, ..Usage::default() };
        assert_eq!(of(plain, &prices).to_string(), "3");
        assert_eq!(of(Usage::default(), &prices).to_string(), "0");
    }
}
