//! What streams cost: OpenAI says so only where `stream_options.include_usage` asks for it.

use plugway_sdk::{Call, Outgoing, Problem};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StreamUsage {
    /// Where the caller asks. The body is left as it came.
    #[default]
    AsAsked,
    /// Always, so that every stream can be accounted for.
    Always,
    /// Never: some services (Mistral) refuse the question, and mostly those that tell unasked.
    Never,
}

#[derive(Deserialize)]
struct Members {
    #[serde(default)]
    stream_options: Option<Map<String, Value>>,
}

impl StreamUsage {
    /// What `plan` must read of the body for it.
    pub(crate) fn reads(self) -> Option<&'static str> {
        match self {
            StreamUsage::Always => Some("stream_options"),
            StreamUsage::AsAsked | StreamUsage::Never => None,
        }
    }

    pub(crate) fn apply(self, outgoing: Outgoing, call: &Call) -> Result<Outgoing, Problem> {
        Ok(match self {
            StreamUsage::AsAsked => outgoing,
            StreamUsage::Never => outgoing.remove("stream_options"),
            StreamUsage::Always => {
                let Members { stream_options } = serde_json::from_str(&call.members)?;
                let mut options = stream_options.unwrap_or_default();
                options.insert("include_usage".to_owned(), json!(true));
                outgoing.set("stream_options", options)
            }
        })
    }
}
