//! What every plugin of a kind promises, whatever its cases are about: each case is varied in ways that must not matter, or
//! must be seen.

mod format;
mod stream;

use crate::cli::plugin::cases::{self, Call, Case, Ran, Stream};
use crate::plugins::Plugin;
use serde_json::{Map, Value, json};

/// A member that no dialect has.
const UNKNOWN: &str = "x_plugway_unknown";

/// What a case shows to be wrong, in sentences.
pub async fn check(plugin: &Plugin, case: &Case, answer: &Value) -> Vec<String> {
    // Whoever refuses a call promises no more about it.
    if answer.get("problem").is_some() {
        return problem_is_typed(&answer["problem"]).err().into_iter().collect();
    }
    let probe = Probe { plugin, case };
    let checked = match (&case.call, case.pair.function.as_str()) {
        (Call::Stream(stream), "decode-events") => stream::decoding(&probe, stream, answer).await,
        (Call::Stream(stream), "encode-events") => stream::encoding(&probe, stream, answer).await,
        (Call::Stream(_), _) => stream::chunks(&answer["chunks"]),
        (Call::Whole { arguments, .. }, "encode-request" | "decode-request") => {
            format::request(&probe, arguments).await
        }
        (Call::Whole { arguments, .. }, "decode-reply") => format::reply(&probe, arguments, answer).await,
        (Call::Whole { arguments, .. }, "encode-reply") => format::usage_is_told(&arguments["body"], answer),
        (Call::Whole { arguments, .. }, "decode-problem") => format::problem(&probe, arguments, answer).await,
        (Call::Whole { arguments, .. }, "encode-problem") => format::told_problem(arguments, answer),
        (Call::Whole { arguments, .. }, "plan" | "resume") => planned(answer, arguments),
        (Call::Whole { .. }, _) => Ok(()),
    };
    checked.err().into_iter().collect()
}

/// Runs variants of a case.
struct Probe<'a> {
    plugin: &'a Plugin,
    case: &'a Case,
}

impl Probe<'_> {
    async fn stream(&self, stream: Stream) -> Result<Ran, String> {
        let all_at_once = 0..stream.items.len();
        let mut instance = cases::instance(self.plugin, self.case.settings().as_deref()).await?;
        cases::run(&mut instance, &Call::Stream(stream), &[all_at_once]).await
    }

    /// The case's own call with another argument.
    async fn with(&self, name: &str, value: Value) -> Result<Value, String> {
        let Call::Whole { function, arguments } = &self.case.call else { return Ok(Value::Null) };
        let mut arguments = arguments.clone();
        arguments.insert(name.to_owned(), value);
        let call = Call::Whole { function: function.clone(), arguments };
        let mut instance = cases::instance(self.plugin, self.case.settings().as_deref()).await?;
        Ok(cases::run(&mut instance, &call, &[]).await?.answer)
    }
}

fn problem_is_typed(problem: &Value) -> Result<(), String> {
    match problem["message"].as_str() {
        Some(message) if !message.trim().is_empty() => Ok(()),
        _ => Err("its problem has no message; say what is wrong and what to do".to_owned()),
    }
}

/// What a gateway would refuse of a plan.
fn planned(step: &Value, arguments: &Map<String, Value>) -> Result<(), String> {
    let request = step.get("send").or(step["fetch"].get("request")).or(step["acquire"].get("request"));
    let Some(request) = request else { return Ok(()) };
    let path = request["path"].as_str().unwrap_or_default();
    crate::pipeline::check_path(path).map_err(|error| format!("a gateway refuses the plan: {error}"))?;
    let Some(credential) = request["auth"]["credential"].as_str() else { return Ok(()) };
    match arguments.get("call").and_then(|call| call["credentials"].as_array()) {
        Some(known) if !known.contains(&json!(credential)) => Err(format!(
            "a gateway refuses the plan: it asks for the credential `{credential}`, which is not among `credentials`"
        )),
        _ => Ok(()),
    }
}

/// The JSON with a member that nobody knows, where it is an object.
fn with_unknown(value: &Value) -> Option<Value> {
    let mut members = match value {
        Value::String(text) => serde_json::from_str::<Map<String, Value>>(text).ok()?,
        other => other.as_object()?.clone(),
    };
    members.insert(UNKNOWN.to_owned(), json!({"kept": 1}));
    Some(Value::Object(members))
}

/// Whether some member is called `usage` or the like and counts something.
fn counts_usage(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.iter().any(|(name, member)| {
            (name.to_ascii_lowercase().contains("usage") && has_count(member)) || counts_usage(member)
        }),
        Value::Array(items) => items.iter().any(counts_usage),
        Value::String(text) => {
            serde_json::from_str(text).is_ok_and(|value: Value| !value.is_string() && counts_usage(&value))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn has_count(usage: &Value) -> bool {
    usage.as_object().is_some_and(|members| members.values().any(|count| count.as_u64().is_some_and(|count| count > 0)))
}

/// Whether the number stands anywhere in it.
fn has_number(value: &Value, number: u64) -> bool {
    match value {
        Value::Number(other) => other.as_u64() == Some(number),
        Value::Array(items) => items.iter().any(|item| has_number(item, number)),
        Value::Object(members) => members.values().any(|member| has_number(member, number)),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}
