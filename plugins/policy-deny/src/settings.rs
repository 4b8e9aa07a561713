//! What a configuration writes under `settings`, and the rules that it means.

use crate::glob::Glob;
use crate::rule::{Condition, Rule};
use plugway_sdk::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    rules: Vec<RuleSettings>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleSettings {
    /// Stands in the refusal and in the log.
    name: String,
    /// Patterns of which one matches the model, or a fallback that the caller names.
    models: Option<Vec<String>>,
    /// Phrases of which one is said, in upper or lower case.
    contains: Option<Vec<String>>,
    /// There are more messages than this.
    max_messages: Option<usize>,
    /// The request, in the canonical form, is larger than this.
    max_body_bytes: Option<usize>,
    /// Names of tools of which one is offered.
    tools: Option<Vec<String>>,
    /// What the caller reads.
    message: Option<String>,
}

impl Settings {
    pub(crate) fn into_rules(self) -> Result<Vec<Rule>, Problem> {
        if self.rules.is_empty() {
            return Err(wrong("rules", "must name at least one rule; without the policy nothing is refused"));
        }
        let mut rules: Vec<Rule> = Vec::with_capacity(self.rules.len());
        for (at, settings) in self.rules.into_iter().enumerate() {
            let rule = settings.into_rule(&format!("rules[{at}]"))?;
            if rules.iter().any(|other| other.name == rule.name) {
                return Err(wrong(&format!("rules[{at}].name"), &format!("`{}` has two rules", rule.name)));
            }
            rules.push(rule);
        }
        Ok(rules)
    }
}

impl RuleSettings {
    fn into_rule(self, path: &str) -> Result<Rule, Problem> {
        if self.name.trim().is_empty() {
            return Err(wrong(&format!("{path}.name"), "must not be empty"));
        }
        let list = |member: &str, list: Option<Vec<String>>| checked(list, &format!("{path}.{member}"));
        // From the most to the least telling place in the request, which is what a refusal points at.
        let conditions: Vec<Condition> = [
            list("contains", self.contains)?.map(|phrases| Condition::contains(&phrases)),
            list("tools", self.tools)?.map(Condition::Offers),
            self.max_messages.map(Condition::MoreMessagesThan),
            list("models", self.models)?
                .map(|patterns| Condition::Model(patterns.iter().map(|p| Glob::new(p)).collect())),
            self.max_body_bytes.map(Condition::LargerThan),
        ]
        .into_iter()
        .flatten()
        .collect();
        if conditions.is_empty() {
            let what = "has no condition and would refuse everything; add models, contains, max_messages, \
                        max_body_bytes or tools";
            return Err(wrong(path, what));
        }
        Ok(Rule { name: self.name, message: self.message, conditions })
    }
}

/// An empty list would never hold and an empty entry always: neither is what someone meant.
fn checked(list: Option<Vec<String>>, path: &str) -> Result<Option<Vec<String>>, Problem> {
    let Some(list) = list else { return Ok(None) };
    if list.is_empty() {
        return Err(wrong(path, "must not be empty; leave it out where it does not matter"));
    }
    match list.iter().position(|entry| entry.trim().is_empty()) {
        Some(at) => Err(wrong(&format!("{path}[{at}]"), "must not be empty")),
        None => Ok(Some(list)),
    }
}

fn wrong(path: &str, what: &str) -> Problem {
    Problem::invalid(format!("{path}: {what}")).at(path)
}

pub(crate) fn schema() -> Value {
    let words = |description: &str| {
        let word = json!({"type": "string", "minLength": 1});
        json!({"type": "array", "minItems": 1, "items": word, "description": description})
    };
    let bound = |description: &str| json!({"type": "integer", "minimum": 0, "description": description});
    json!({
        "type": "object",
        "properties": {
            "rules": {
                "type": "array",
                "minItems": 1,
                "items": {
                    "type": "object",
                    "properties": {
                        "name": {"type": "string", "minLength": 1, "description": "stands in the refusal"},
                        "models": words("patterns with * and ? of which one matches the model, or a fallback of the caller's"),
                        "contains": words("phrases of which one is said, in upper or lower case"),
                        "max_messages": bound("there are more messages than this"),
                        "max_body_bytes": bound("the request is larger than this"),
                        "tools": words("names of tools of which one is offered"),
                        "message": {"type": "string", "description": "what the caller reads"},
                    },
                    "required": ["name"],
                    "additionalProperties": false,
                },
            },
        },
        "required": ["rules"],
        "additionalProperties": false,
    })
}
