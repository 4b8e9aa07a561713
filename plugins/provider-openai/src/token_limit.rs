//! What the bound on an answer's tokens is called. OpenAI has renamed it; many compatible services know the older name
//! only, and most of those pass over the newer one without a word and answer without a bound.

use plugway_sdk::{Call, Outgoing, Problem};
use serde::Deserialize;
use serde_json::Number;

const NEWER: &str = "max_completion_tokens";
const OLDER: &str = "max_tokens";

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum TokenLimitName {
    /// As the request has it; what another format writes is `max_completion_tokens`. The body is left as it came.
    #[default]
    AsGiven,
    /// `max_tokens`, whichever of the two the request has.
    MaxTokens,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    max_completion_tokens: Option<Number>,
}

impl TokenLimitName {
    /// What `plan` must read of the body for it.
    pub(crate) fn reads(self) -> Option<&'static str> {
        match self {
            TokenLimitName::MaxTokens => Some(NEWER),
            TokenLimitName::AsGiven => None,
        }
    }

    /// Where a request has both names, the newer one wins.
    pub(crate) fn apply(self, outgoing: Outgoing, call: &Call) -> Result<Outgoing, Problem> {
        let TokenLimitName::MaxTokens = self else { return Ok(outgoing) };
        let Members { max_completion_tokens } = serde_json::from_str(&call.members)?;
        Ok(match max_completion_tokens {
            Some(limit) => outgoing.set(OLDER, limit).remove(NEWER),
            None => outgoing,
        })
    }
}
