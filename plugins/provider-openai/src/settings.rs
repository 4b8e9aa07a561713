//! What a configuration writes under `settings`.

use crate::stream_usage::StreamUsage;
use crate::token_limit::TokenLimitName;
use plugway_sdk::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The header `openai-organization`.
    pub(crate) organization: Option<String>,
    /// The header `openai-project`.
    pub(crate) project: Option<String>,
    /// What stands before `/chat/completions`; empty for services that want nothing there.
    pub(crate) path_prefix: String,
    pub(crate) stream_usage: StreamUsage,
    pub(crate) max_tokens_name: TokenLimitName,
    /// Whether the service has `/responses`. Where it has not, the gateway asks for a chat instead.
    pub(crate) responses_api: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            organization: None,
            project: None,
            path_prefix: "/v1".to_owned(),
            stream_usage: StreamUsage::default(),
            max_tokens_name: TokenLimitName::default(),
            responses_api: true,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), Problem> {
        let prefix = &self.path_prefix;
        if prefix.is_empty() || (prefix.starts_with('/') && !prefix.ends_with('/')) {
            return Ok(());
        }
        let message = format!("path_prefix: {prefix:?} must be empty, or begin with a slash and end without: \"/v1\"");
        Err(Problem::invalid(message).at("path_prefix"))
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "organization": {"type": "string", "description": "the header openai-organization"},
            "project": {"type": "string", "description": "the header openai-project"},
            "path_prefix": {
                "type": "string",
                "default": "/v1",
                "pattern": "^(/.*[^/])?$",
                "description": "what stands before /chat/completions",
            },
            "stream_usage": {
                "enum": ["as_asked", "always", "never"],
                "default": "as_asked",
                "description": "whether a stream's usage is asked for; never is for services that refuse the question",
            },
            "max_tokens_name": {
                "enum": ["as_given", "max_tokens"],
                "default": "as_given",
                "description": "what the bound on tokens is called; max_tokens is for services that know the older name only",
            },
            "responses_api": {
                "type": "boolean",
                "default": true,
                "description": "whether the service has /responses; where it has not, a chat is asked for instead",
            },
        },
        "additionalProperties": false,
    })
}
