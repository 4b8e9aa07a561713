//! Answers by itself.
use plugway_sdk::{Call, Capabilities, NoSettings, Outgoing, Plugin, Problem, Provider, Step, HeaderTemplates, Header, Variable};

struct Echo;

impl Plugin for Echo {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "Answers by itself with what it was asked";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Echo)
    }
}

impl Provider for Echo {
    fn capabilities(&self) -> Capabilities {
        Capabilities::of(["chat_completion", "chat_completion_stream"]).key_less().reads(["messages"])
    }

    fn plan(&self, _call: &Call) -> Result<Step, Problem> {
        Ok(Outgoing::post("/v1/chat/completions").bearer("api_key").into())
    }
}
impl HeaderTemplates for Echo {
    fn variables(&self, _template: &str) -> Result<Vec<String>, Problem> {
        Ok(Vec::new())
    }
    fn render(&self, templates: Vec<Header>, _variables: &[Variable]) -> Result<Vec<Header>, Problem> {
        Ok(templates)
    }
}

plugway_sdk::export!(Echo: provider, headers);
