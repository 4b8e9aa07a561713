//! Anthropic's Messages API, as providers speak it (Anthropic itself, Bedrock's InvokeModel, Vertex) and as callers do.
//!
//! | file | what it knows |
//! |---|---|
//! | `upstream/` | canonical request → Anthropic's; Anthropic's answer, stream and errors → canonical |
//! | `client/` | the same the other way round |
//! | `assistant.rs`, `parts.rs` | what is said, in both forms; shared by the halves |
//! | `usage.rs`, `finish.rs` | what it cost and why it ended, in both forms |
//! | `models.rs` | lists of models, in both forms |
//! | `wire.rs` | typed views of Anthropic's JSON |
//!
//! What the other side cannot say is translated, or dropped and named where it is a hint, or refused with the path of
//! the member. The tables are in `README.md` beside this crate's manifest.

mod assistant;
mod base64;
mod client;
mod finish;
mod models;
mod parts;
mod path;
#[cfg(test)]
mod tests;
mod upstream;
mod usage;
mod wire;

use plugway_sdk::{Plugin, Problem, ProblemKind};
use serde::Deserialize;
use serde_json::{Value, json};

const DIALECT: &str = "anthropic-messages";

/// The format, with its settings.
#[derive(Debug, Default)]
pub struct AnthropicMessages {
    settings: Settings,
}

/// What a configuration may say under `settings`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The bound on an answer's tokens where the caller gives none; Anthropic insists on one.
    pub default_max_tokens: u64,
    /// How `reasoning_effort` is said.
    pub thinking: ThinkingStyle,
}

/// How `reasoning_effort` is said.
#[derive(Debug, Default, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThinkingStyle {
    /// As the version in the model's name asks for: `adaptive` from 4.6 on, `budget` before and where none is found.
    #[default]
    Auto,
    /// `thinking: {"type": "enabled", "budget_tokens": …}`
    Budget,
    /// `thinking: {"type": "adaptive"}` and `output_config.effort`
    Adaptive,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { default_max_tokens: 4096, thinking: ThinkingStyle::Auto }
    }
}

impl Plugin for AnthropicMessages {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "Anthropic's Messages API, for providers and for callers";

    fn settings_schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "default_max_tokens": {
                    "type": "integer",
                    "minimum": 1,
                    "default": 4096,
                    "description": "max_tokens of requests that give none",
                },
                "thinking": {
                    "enum": ["auto", "budget", "adaptive"],
                    "default": "auto",
                    "description": "how reasoning_effort is said; auto goes by the version in the model's name",
                },
            },
            "additionalProperties": false,
        })
    }

    fn new(settings: Settings) -> Result<Self, Problem> {
        if settings.default_max_tokens == 0 {
            return Err(Problem::invalid("default_max_tokens: must be at least 1").at("default_max_tokens"));
        }
        Ok(AnthropicMessages { settings })
    }
}

plugway_sdk::export!(AnthropicMessages: format_upstream, format_client);

/// Other operations have no canonical form; they are served where caller and upstream both speak this dialect.
fn only_chat(operation: &str) -> Result<(), Problem> {
    if operation == "chat_completion" {
        return Ok(());
    }
    Err(Problem::new(
        ProblemKind::Unsupported,
        format!("`{operation}` cannot be translated: only an upstream that speaks Anthropic's API serves it"),
    ))
}

/// A problem with what the upstream sent.
fn broken_answer(error: &serde_json::Error) -> Problem {
    Problem::upstream("the upstream's answer cannot be read").detail(error.to_string())
}
