//! {{description}}: it speaks OpenAI's dialect, at a path of its own, with the key in a header of its own.

use plugway_sdk::{Call, Capabilities, Outgoing, Plugin, Problem, Provider, Step};
use serde::Deserialize;
use serde_json::{Value, json};

/// What a configuration may say under `settings`.
#[derive(Deserialize)]
struct Settings {
    #[serde(default = "default_team")]
    team: String,
}

fn default_team() -> String {
    "default".to_owned()
}

struct Service {
    team: String,
}

impl Plugin for Service {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "{{description}}";

    fn settings_schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "team": {"type": "string", "minLength": 1, "default": "default", "description": "the team that pays"},
            },
            "additionalProperties": false,
        })
    }

    fn new(Settings { team }: Settings) -> Result<Self, Problem> {
        if team.is_empty() {
            return Err(Problem::invalid("team: must not be empty; leave it out for `default`").at("team"));
        }
        Ok(Service { team })
    }
}

impl Provider for Service {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion", "chat_completion_stream"]).base_url("https://api.example.com")
    }

    // `api_key` is the name of the credential. The gateway puts the secret there, and no plugin ever sees it.
    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        Ok(Outgoing::post("/v2/chat")
            .set("model", call.model.as_str())
            .header("x-team", &self.team)
            .secret_header("x-api-key", "api_key")
            .into())
    }
}

plugway_sdk::export!(Service: provider);

#[cfg(test)]
plugway_sdk::cases!(Service: provider);
