//! Acme's talk service (`../API.md`): where a call is sent, and how it is said.

mod decode;
mod encode;

use plugway_sdk::{Call, Capabilities, Event, Framing, Header, Outgoing, Plugin, Problem, Progress};
use plugway_sdk::{Provider, Step, Translated, UpstreamFormat};
use serde::Deserialize;
use serde_json::{Value, json};

const DIALECT: &str = "acme-talk";

#[derive(Default, Deserialize)]
#[serde(default)]
struct Settings {
    team: Option<String>,
    #[serde(flatten)]
    unknown: serde_json::Map<String, Value>,
}

struct Acme {
    team: Option<String>,
}

impl Plugin for Acme {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "Acme's talk service, in Rust";

    fn settings_schema() -> Value {
        json!({
            "type": "object",
            "properties": {
                "team": {
                    "type": "string",
                    "minLength": 1,
                    "description": "the team that pays, where the account has several",
                },
            },
            "additionalProperties": false,
        })
    }

    fn new(Settings { team, unknown }: Settings) -> Result<Self, Problem> {
        if let Some(name) = unknown.keys().next() {
            return Err(Problem::invalid(format!("{name}: unknown setting; there is `team`")).at(name));
        }
        if team.as_deref() == Some("") {
            return Err(Problem::invalid("team: must not be empty; leave it out instead").at("team"));
        }
        Ok(Acme { team })
    }
}

impl Provider for Acme {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion", "chat_completion_stream"]).base_url("https://api.acme.example")
    }

    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        let request = Outgoing::post("/v3/talk")
            .dialect(DIALECT)
            .framing(if call.streaming { Framing::Ndjson } else { Framing::None })
            .secret_header("x-acme-token", "api_key");
        Ok(match &self.team {
            Some(team) => request.header("x-acme-team", team.as_str()).into(),
            None => request.into(),
        })
    }
}

impl UpstreamFormat for Acme {
    const DIALECT: &'static str = DIALECT;
    type State = decode::Talk;

    fn encode_request(&self, _operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        encode::request(model, &serde_json::from_str(body)?)
    }

    fn decode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
        decode::reply(body)
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        decode::problem(status, body).retry_after(headers)
    }

    fn decode_event(
        &self,
        _operation: &str,
        talk: &mut decode::Talk,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        decode::event(talk, &event.data, chunks)
    }
}

plugway_sdk::export!(Acme: provider, format_upstream);

#[cfg(test)]
plugway_sdk::cases!(Acme: provider, format_upstream);
