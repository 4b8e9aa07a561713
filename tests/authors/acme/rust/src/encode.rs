//! The canonical request as Acme takes it.

use plugway_sdk::{Problem, Translated};
use serde_json::{Map, Value, json};

/// What would be missed where Acme cannot say it; everything else that it cannot say is a hint.
const ESSENTIAL: [&str; 5] = ["tools", "functions", "response_format", "audio", "modalities"];
const SAID: [&str; 9] = [
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "stop",
    "n",
];

pub fn request(model: &str, body: &Map<String, Value>) -> Result<Translated, Problem> {
    let given = |name: &str| body.get(name).filter(|value| !value.is_null());
    if let Some(name) = ESSENTIAL.into_iter().find(|name| given(name).is_some()) {
        return Err(Problem::invalid(format!("Acme has no `{name}`")).at(name));
    }
    if given("n").is_some_and(|n| n != 1) {
        return Err(Problem::invalid("Acme gives one answer at a time").at("n"));
    }
    let messages = given("messages").and_then(Value::as_array).into_iter().flatten();
    let turns: Vec<Value> = messages.enumerate().map(turn).collect::<Result<_, _>>()?;
    let mut talk =
        json!({"engine": model, "turns": turns, "live": given("stream").is_some_and(|stream| stream == true)});
    if let Some(bound) = given("max_completion_tokens").or(given("max_tokens")) {
        talk["most_words"] = bound.clone();
    }
    if let Some(temperature) = given("temperature").and_then(Value::as_f64) {
        talk["heat"] = json!((temperature * 50.0).round() as u64);
    }
    if let Some(stop) = given("stop") {
        talk["end_at"] = if stop.is_array() { stop.clone() } else { json!([stop]) };
    }
    let mut dropped: Vec<String> =
        body.keys().filter(|name| given(name).is_some() && !SAID.contains(&name.as_str())).cloned().collect();
    dropped.sort();
    Ok(Translated { body: talk.to_string(), dropped })
}

fn turn((at, message): (usize, &Value)) -> Result<Value, Problem> {
    let path = format!("messages[{at}]");
    let who = match message["role"].as_str() {
        Some("system" | "developer") => "director",
        Some("user") => "human",
        Some("assistant") => "machine",
        other => {
            let problem = format!("nobody at Acme is a `{}`", other.unwrap_or_default());
            return Err(Problem::invalid(problem).at(format!("{path}.role")));
        }
    };
    if message["tool_calls"].is_array() {
        return Err(Problem::invalid("Acme has no tools").at(format!("{path}.tool_calls")));
    }
    Ok(json!({"who": who, "says": words(&message["content"], &format!("{path}.content"))?}))
}

fn words(content: &Value, path: &str) -> Result<String, Problem> {
    if let Some(text) = content.as_str() {
        return Ok(text.to_owned());
    }
    let parts = content.as_array().into_iter().flatten().enumerate();
    parts
        .map(|(at, part)| match part["type"].as_str() {
            Some("text") => Ok(part["text"].as_str().unwrap_or_default()),
            other => {
                let problem = format!("Acme takes text, not `{}`", other.unwrap_or_default());
                Err(Problem::invalid(problem).at(format!("{path}[{at}]")))
            }
        })
        .collect()
}
