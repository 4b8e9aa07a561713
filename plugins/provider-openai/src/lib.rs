//! OpenAI, and every service that speaks its API: hosted ones by a preset, others by their `base_url`.
//!
//! One more compatible service is one more entry in `presets.json` and nothing else.
//!
//! The crate has two kinds. As a provider it says where calls go; as the upstream half of a format (`format/`) it takes
//! out of translated requests what these services would refuse.

mod format;
mod operation;
mod presets;
mod settings;
mod stream_usage;
mod token_limit;

use operation::Operation;
use plugway_sdk::{Call, Capabilities, Outgoing, Plugin, Preset, Problem, ProblemKind, Provider, Step};
use serde_json::Value;
use settings::Settings;

pub struct OpenAi {
    settings: Settings,
}

impl Plugin for OpenAi {
    type Settings = Settings;
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn settings_schema() -> Value {
        settings::schema()
    }

    fn new(settings: Settings) -> Result<Self, Problem> {
        settings.check()?;
        Ok(OpenAi { settings })
    }
}

impl Provider for OpenAi {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(operation::names(self.settings.responses_api))
            .base_url("https://api.openai.com")
            .reads(self.settings.stream_usage.reads().into_iter().chain(self.settings.max_tokens_name.reads()))
    }

    fn presets() -> Vec<Preset> {
        presets::all()
    }

    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        let operation = Operation::named(&call.operation).ok_or_else(|| {
            Problem::new(ProblemKind::Unsupported, format!("OpenAI's API has no operation `{}`", call.operation))
        })?;
        let path = format!("{}{}", self.settings.path_prefix, operation.path);
        let mut outgoing = match operation.method {
            "GET" => Outgoing::get(path),
            _ => Outgoing::post(path).framing(operation.framing()),
        };
        // Some operations need none.
        if operation.method != "GET" && !call.model.is_empty() {
            outgoing = outgoing.set("model", call.model.as_str());
        }
        outgoing = outgoing.dialect(operation.dialect);
        if operation.name == "chat_completion" {
            outgoing = self.settings.max_tokens_name.apply(outgoing, call)?;
            if call.streaming {
                outgoing = self.settings.stream_usage.apply(outgoing, call)?;
            }
        }
        Ok(self.with_identity(outgoing, call).into())
    }
}

impl OpenAi {
    /// Who is calling, as far as the configuration says: services on one's own machine mostly want no key.
    fn with_identity(&self, mut outgoing: Outgoing, call: &Call) -> Outgoing {
        if let Some(organization) = &self.settings.organization {
            outgoing = outgoing.header("openai-organization", organization);
        }
        if let Some(project) = &self.settings.project {
            outgoing = outgoing.header("openai-project", project);
        }
        match call.credentials.iter().any(|name| name == "api_key") {
            true => outgoing.bearer("api_key"),
            false => outgoing,
        }
    }
}

plugway_sdk::export!(OpenAi: provider, format_upstream);

#[cfg(test)]
plugway_sdk::cases!(OpenAi: provider, format_upstream);
