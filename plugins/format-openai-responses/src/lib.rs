//! OpenAI's Responses API, as providers speak it and as callers do.
//!
//! | file | what it knows |
//! |---|---|
//! | `client/` | a caller's request → canonical; canonical answers, streams and errors → Responses |
//! | `upstream/` | the same the other way round |
//! | `usage.rs` | what it cost, in both forms |
//!
//! What the other side cannot say is translated, or dropped and named where it is a hint, or refused with the path of the
//! member. The tables are in `README.md` beside this crate's manifest.

mod client;
mod upstream;
mod usage;

use plugway_sdk::{NoSettings, Plugin, Problem, ProblemKind};
use serde_json::Value;

const DIALECT: &str = "openai-responses";

/// The format. It keeps nothing.
#[derive(Debug)]
pub struct OpenAiResponses;

impl Plugin for OpenAiResponses {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = env!("CARGO_PKG_DESCRIPTION");

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(OpenAiResponses)
    }
}

plugway_sdk::export!(OpenAiResponses: format_upstream, format_client);

#[cfg(test)]
plugway_sdk::cases!(OpenAiResponses: format_upstream, format_client);

/// Both say the same; everything else has no canonical form.
fn only_chat(operation: &str) -> Result<(), Problem> {
    match operation {
        "responses" | "chat_completion" => Ok(()),
        _ => Err(Problem::new(
            ProblemKind::Unsupported,
            format!("`{operation}` cannot be translated to the Responses API"),
        )),
    }
}

/// A problem with something that would change the meaning if it were left out.
fn cannot_say(at: impl Into<String>, what: &str) -> Problem {
    let at = at.into();
    Problem::invalid(format!("{at}: {what}")).at(at)
}

/// An object that somebody wrote, or a problem.
fn object(body: &str) -> Result<Value, serde_json::Error> {
    let members: serde_json::Map<String, Value> = serde_json::from_str(body)?;
    Ok(Value::Object(members))
}

/// A problem with what the upstream sent.
fn broken_answer(error: impl std::fmt::Display) -> Problem {
    Problem::upstream("the upstream's answer cannot be read").detail(error.to_string())
}

/// The text of a member, where it is one.
fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member)?.as_str()
}

/// The items of a member, where it is a list.
fn list<'v>(value: &'v Value, member: &str) -> &'v [Value] {
    value.get(member).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// Whether there is nothing in it that could be lost.
fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
