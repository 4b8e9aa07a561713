//! Anthropic's Messages API, at Anthropic itself or at a service that speaks it.

mod settings;

use plugway_sdk::{Call, Capabilities, Framing, Outgoing, Plugin, Problem, ProblemKind, Provider, Step};
use serde_json::Value;
use settings::{Auth, Settings};

pub struct Anthropic {
    settings: Settings,
}

impl Plugin for Anthropic {
    type Settings = Settings;
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn settings_schema() -> Value {
        settings::schema()
    }

    fn new(settings: Settings) -> Result<Self, Problem> {
        settings.check()?;
        Ok(Anthropic { settings })
    }
}

impl Provider for Anthropic {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion", "chat_completion_stream", "count_tokens", "list_models"])
            .base_url("https://api.anthropic.com")
    }

    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        let outgoing = match call.operation.as_str() {
            "chat_completion" => Outgoing::post("/v1/messages").set("model", call.model.as_str()),
            "count_tokens" => {
                Outgoing::post("/v1/messages/count_tokens").set("model", call.model.as_str()).framing(Framing::None)
            }
            "list_models" => Outgoing::get("/v1/models?limit=1000"),
            other => {
                let message = format!("Anthropic's API has no operation `{other}`");
                return Err(Problem::new(ProblemKind::Unsupported, message));
            }
        };
        Ok(self.with_headers(outgoing.dialect("anthropic-messages"), call).into())
    }
}

impl Anthropic {
    fn with_headers(&self, outgoing: Outgoing, call: &Call) -> Outgoing {
        let mut outgoing = outgoing.header("anthropic-version", &self.settings.version);
        if !self.settings.beta.is_empty() {
            outgoing = outgoing.header("anthropic-beta", self.settings.beta.join(","));
        }
        if !call.credentials.iter().any(|name| name == "api_key") {
            return outgoing;
        }
        match self.settings.auth {
            Auth::ApiKey => outgoing.secret_header("x-api-key", "api_key"),
            Auth::Bearer => outgoing.bearer("api_key"),
        }
    }
}

plugway_sdk::export!(Anthropic: provider);

#[cfg(test)]
plugway_sdk::cases!(Anthropic: provider);
