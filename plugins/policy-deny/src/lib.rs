//! Refuses requests by rules. A rule refuses what meets all its conditions; the first rule that does so answers.
//!
//! ```yaml
//! policies:
//!   - plugin: deny
//!     settings:
//!       rules:
//!         - name: no-secret-projects
//!           contains: ["project nightfall"]
//!           message: this project is not to be talked about
//!         - name: large-models-get-short-conversations
//!           models: ["gpt-5*", "claude-opus-*"]
//!           max_messages: 40
//! ```
//!
//! | condition | holds when |
//! |---|---|
//! | `models` | a pattern (`*`, `?`) matches the model as the caller wrote it, with the provider's name or without; or a fallback that the caller names |
//! | `contains` | a phrase stands, in upper or lower case, in anything said: messages, prompts, inputs, arguments |
//! | `tools` | a tool of one of the names is offered |
//! | `max_messages` | there are more messages |
//! | `max_body_bytes` | the request, in the canonical form, is larger |
//!
//! A model that the configuration gives an alias is known by the alias here.

mod glob;
mod rule;
mod said;
mod settings;

use plugway_sdk::{Context, Phases, Plugin, Policy, Problem, ProblemKind, Verdict};
use rule::{Request, Rule};
use serde_json::Value;
use settings::Settings;

pub struct Deny {
    rules: Vec<Rule>,
}

impl Plugin for Deny {
    type Settings = Settings;
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn settings_schema() -> Value {
        settings::schema()
    }

    fn new(settings: Settings) -> Result<Self, Problem> {
        Ok(Deny { rules: settings.into_rules()? })
    }
}

impl Policy for Deny {
    type State = ();

    fn phases(&self) -> Phases {
        Phases::REQUEST
    }

    fn review_request(&self, context: &Context, body: &str) -> Result<Verdict, Problem> {
        let request = Request { model: &context.model, bytes: body.len(), body: serde_json::from_str(body)? };
        let refusal = self.rules.iter().find_map(|rule| rule.judge(&request).map(|param| refusal(rule, param)));
        Ok(refusal.map_or(Verdict::Pass, Verdict::Refuse))
    }
}

/// Says which rule it was, so that a caller can ask whoever runs the gateway about it.
fn refusal(rule: &Rule, param: Option<String>) -> Problem {
    let message = match &rule.message {
        Some(message) => format!("{message} (rule `{}`)", rule.name),
        None => format!("the request is refused by the rule `{}`", rule.name),
    };
    let problem = Problem::new(ProblemKind::Refused, message).code("content_policy_violation");
    match param {
        Some(param) => problem.at(param),
        None => problem,
    }
}

plugway_sdk::export!(Deny: policy);

#[cfg(test)]
plugway_sdk::cases!(Deny: policy);
