//! What a configuration writes under `settings`.

use plugway_sdk::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

const VERSION: &str = "2023-06-01";

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// The header `anthropic-version`.
    pub(crate) version: String,
    /// The header `anthropic-beta`: features that must be asked for by name.
    pub(crate) beta: Vec<String>,
    pub(crate) auth: Auth,
}

/// How the key is sent.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Auth {
    /// In `x-api-key`, as Anthropic wants it.
    #[default]
    ApiKey,
    /// In `authorization: Bearer`: OAuth tokens, and services that took over the API but not this header.
    Bearer,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { version: VERSION.to_owned(), beta: Vec::new(), auth: Auth::default() }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), Problem> {
        if self.version.is_empty() {
            let message = format!("version: must not be empty; leave it out for {VERSION}");
            return Err(Problem::invalid(message).at("version"));
        }
        match self.beta.iter().position(|feature| feature.is_empty() || feature.contains(',')) {
            Some(at) => {
                let message = format!("beta[{at}]: must be the name of one feature");
                Err(Problem::invalid(message).at(format!("beta[{at}]")))
            }
            None => Ok(()),
        }
    }
}

pub(crate) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "version": {
                "type": "string",
                "minLength": 1,
                "default": VERSION,
                "description": "the header anthropic-version",
            },
            "beta": {
                "type": "array",
                "items": {"type": "string", "pattern": "^[^,]+$"},
                "default": [],
                "description": "the header anthropic-beta, one feature each",
            },
            "auth": {
                "enum": ["api_key", "bearer"],
                "default": "api_key",
                "description": "whether the key goes into x-api-key or into authorization: Bearer",
            },
        },
        "additionalProperties": false,
    })
}
