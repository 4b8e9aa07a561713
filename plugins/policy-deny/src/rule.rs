//! Rules, and what they look at.

use crate::glob::Glob;
use crate::said;
use serde_json::Value;

pub(crate) struct Rule {
    pub(crate) name: String,
    pub(crate) message: Option<String>,
    /// At least one; all must hold.
    pub(crate) conditions: Vec<Condition>,
}

pub(crate) struct Request<'a> {
    pub(crate) model: &'a str,
    pub(crate) bytes: usize,
    pub(crate) body: Value,
}

pub(crate) enum Condition {
    Model(Vec<Glob>),
    /// In lower case.
    Contains(Vec<String>),
    MoreMessagesThan(usize),
    LargerThan(usize),
    Offers(Vec<String>),
}

impl Rule {
    /// `Some` where the rule refuses, with the path of what it refuses, as far as that is one place.
    pub(crate) fn judge(&self, request: &Request) -> Option<Option<String>> {
        let places: Option<Vec<Option<String>>> =
            self.conditions.iter().map(|condition| condition.holds(request)).collect();
        places.map(|places| places.into_iter().flatten().next())
    }
}

impl Condition {
    pub(crate) fn contains(phrases: &[String]) -> Self {
        Condition::Contains(phrases.iter().map(|phrase| phrase.to_lowercase()).collect())
    }

    /// As [`Rule::judge`], for one condition.
    fn holds(&self, request: &Request) -> Option<Option<String>> {
        match self {
            Condition::Model(patterns) => wanted(patterns, request).map(Some),
            Condition::Contains(phrases) => said::find(&request.body, phrases).map(Some),
            Condition::MoreMessagesThan(most) => {
                let count = request.body["messages"].as_array().map_or(0, Vec::len);
                (count > *most).then(|| Some("messages".to_owned()))
            }
            Condition::LargerThan(most) => (request.bytes > *most).then_some(None),
            Condition::Offers(names) => offered(&request.body, names).map(Some),
        }
    }
}

/// Where a model is named that a pattern matches: what is asked for, or a fallback, which can be asked as well.
fn wanted(patterns: &[Glob], request: &Request) -> Option<String> {
    if matches_model(patterns, request.model) {
        return Some("model".to_owned());
    }
    let at = request.body["fallbacks"].as_array()?.iter().position(|fallback| {
        let fallback = fallback.as_str().unwrap_or_default();
        // A provider alone is asked for the same model.
        let names = match fallback.contains('/') {
            true => vec![fallback.to_owned()],
            false => vec![fallback.to_owned(), format!("{fallback}/{}", bare(request.model))],
        };
        names.iter().any(|name| matches_model(patterns, name))
    })?;
    Some(format!("fallbacks[{at}]"))
}

fn bare(model: &str) -> &str {
    model.split_once('/').map_or(model, |(_, name)| name)
}

/// A caller may write `gpt-5`, `openai/gpt-5` or `openrouter/openai/gpt-5`: a pattern for the first is for all of them.
fn matches_model(patterns: &[Glob], model: &str) -> bool {
    let after_slashes = model.match_indices('/').map(|(at, _)| &model[at + 1..]);
    let mut names = std::iter::once(model).chain(after_slashes);
    names.any(|name| patterns.iter().any(|pattern| pattern.matches(name)))
}

/// The first tool of the request that has one of the names. Chats offer `tools` with a `function` inside, older ones
/// `functions`, and the Responses API tools without anything inside.
fn offered(body: &Value, names: &[String]) -> Option<String> {
    let is_named = |tool: &Value| {
        let name = tool["function"]["name"].as_str().or(tool["name"].as_str());
        name.is_some_and(|name| names.iter().any(|other| other == name))
    };
    ["tools", "functions"].into_iter().find_map(|member| {
        let at = body[member].as_array()?.iter().position(is_named)?;
        Some(format!("{member}[{at}]"))
    })
}
