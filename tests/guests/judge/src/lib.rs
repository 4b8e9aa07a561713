//! A policy that does what its settings say: changes members of requests, refuses answers, or fails.

use plugway_sdk::{Context, Level, Phases, Plugin, Policy, Problem, ProblemKind, Verdict};
use serde::Deserialize;
use serde_json::{Map, Value};

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Settings {
    /// Members of the request to set; null removes one.
    set: Map<String, Value>,
    /// Refuses every whole answer.
    refuse_replies: bool,
    /// Fails on every request, with a problem of this kind.
    fail: Option<Failing>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Failing {
    RateLimited,
    Internal,
}

struct Judge {
    settings: Settings,
}

impl Plugin for Judge {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "A policy that does what its settings say";

    fn new(settings: Settings) -> Result<Self, Problem> {
        Ok(Judge { settings })
    }
}

impl Policy for Judge {
    type State = ();

    fn phases(&self) -> Phases {
        match self.settings.refuse_replies {
            true => Phases::REQUEST | Phases::REPLY,
            false => Phases::REQUEST,
        }
    }

    fn review_request(&self, context: &Context, body: &str) -> Result<Verdict, Problem> {
        plugway_sdk::log(Level::Info, &format!("judge asked about {} streaming={}", context.model, context.streaming));
        match self.settings.fail {
            Some(Failing::RateLimited) => return Err(Problem::new(ProblemKind::RateLimited, "as the settings say")),
            Some(Failing::Internal) => return Err(Problem::internal("as the settings say")),
            None => {}
        }
        if self.settings.set.is_empty() {
            return Ok(Verdict::Pass);
        }
        let mut request: Map<String, Value> = serde_json::from_str(body)?;
        for (member, value) in &self.settings.set {
            match value {
                Value::Null => _ = request.remove(member),
                value => _ = request.insert(member.clone(), value.clone()),
            }
        }
        Ok(Verdict::Change(Value::Object(request).to_string()))
    }

    fn review_reply(&self, _: &Context, _: &str) -> Result<Verdict, Problem> {
        Ok(Verdict::Refuse(Problem::new(ProblemKind::Refused, "no answers today")))
    }
}

stamp::export!(Judge as "judge": policy);
