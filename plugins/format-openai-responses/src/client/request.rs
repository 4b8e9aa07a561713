//! A Responses request as a canonical one.

use super::input;
use crate::{cannot_say, is_blank, list, text};
use plugway_sdk::{Problem, Translated};
use serde_json::{Map, Value, json};

/// What asks the service to remember, or to go on with what it remembers. Only the service itself can.
const STATEFUL: [&str; 3] = ["previous_response_id", "conversation", "prompt"];

/// What says how, and not what. A chat is the same without it, but for its price or its speed.
const HINTS: [&str; 8] = [
    "max_tool_calls",
    "metadata",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "stream_options",
    "top_logprobs",
];

pub(super) fn decode(model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
    let Value::Object(members) = crate::object(body)? else { return Err(Problem::invalid("the body is no object")) };
    let mut dropped = Vec::new();
    let mut canonical = Map::new();
    let mut messages = Vec::new();
    if let Some(instructions) = members.get("instructions").filter(|value| !value.is_null()) {
        let instructions =
            instructions.as_str().ok_or_else(|| cannot_say("instructions", "must be a text to be translated"))?;
        messages.push(json!({"role": "system", "content": instructions}));
    }
    if let Some(input) = members.get("input") {
        messages.extend(input::messages(input, &mut dropped)?);
    }
    if messages.is_empty() {
        return Err(cannot_say("input", "must be a text or a list of items"));
    }
    for (name, value) in &members {
        if !value.is_null() {
            member(name, value, &mut canonical, &mut dropped)?;
        }
    }
    canonical.insert("model".to_owned(), model.into());
    canonical.insert("messages".to_owned(), messages.into());
    if streaming {
        canonical.insert("stream".to_owned(), true.into());
        // What it cost stands in the last event.
        canonical.insert("stream_options".to_owned(), json!({"include_usage": true}));
    }
    Ok(Translated { body: Value::Object(canonical).to_string(), dropped })
}

fn member(
    name: &str,
    value: &Value,
    canonical: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Result<(), Problem> {
    let mut set = |name: &str, value: Value| _ = canonical.insert(name.to_owned(), value);
    match name {
        "model" | "stream" | "input" | "instructions" => {}
        "max_output_tokens" => set("max_completion_tokens", value.clone()),
        "tools" => set("tools", tools(value)?),
        "tool_choice" => set("tool_choice", tool_choice(value)?),
        "text" => {
            if let Some(format) = response_format(value)? {
                set("response_format", format);
            }
            dropped.extend(others(name, value, &["format"]));
        }
        "reasoning" => {
            if let Some(effort) = value.get("effort").filter(|effort| !effort.is_null()) {
                set("reasoning_effort", effort.clone());
            }
            dropped.extend(others(name, value, &["effort"]));
        }
        // Reasoning that can be handed back comes with every answer that has some.
        "include" => dropped.extend(
            list(&json!({ "include": value }), "include")
                .iter()
                .filter(|item| *item != "reasoning.encrypted_content")
                .map(|item| format!("include.{}", item.as_str().unwrap_or_default())),
        ),
        "store" if value == &Value::Bool(false) => {}
        "store" => dropped.push(name.to_owned()),
        "truncation" if value == "disabled" => {}
        "truncation" => dropped.push(name.to_owned()),
        "background" if value == &Value::Bool(false) => {}
        "background" => return Err(cannot_say(name, "only a provider that speaks the Responses API can do that")),
        stateful if STATEFUL.contains(&stateful) => {
            return Err(cannot_say(name, "only a provider that speaks the Responses API itself remembers it"));
        }
        hint if HINTS.contains(&hint) => dropped.extend((!is_blank(value)).then(|| hint.to_owned())),
        // What both know by one name, and what nobody knows yet.
        _ => set(name, value.clone()),
    }
    Ok(())
}

/// What else stands in it.
fn others(name: &str, value: &Value, known: &[&str]) -> Vec<String> {
    let members = value.as_object().into_iter().flatten();
    let lost = members.filter(|(member, value)| !value.is_null() && !known.contains(&member.as_str()));
    lost.map(|(member, _)| format!("{name}.{member}")).collect()
}

fn tools(tools: &Value) -> Result<Value, Problem> {
    let tools = tools.as_array().ok_or_else(|| cannot_say("tools", "must be a list"))?;
    let translated = tools.iter().enumerate().map(|(index, tool)| match text(tool, "type") {
        Some("function") => {
            let mut function = tool.clone();
            function.as_object_mut().map(|members| members.remove("type"));
            Ok(json!({"type": "function", "function": function}))
        }
        kind => {
            let what = format!("the tool `{}` is one that only its own service can run", kind.unwrap_or_default());
            Err(cannot_say(format!("tools[{index}].type"), &what))
        }
    });
    translated.collect()
}

fn tool_choice(choice: &Value) -> Result<Value, Problem> {
    match (choice.as_str(), text(choice, "type")) {
        (Some(_), _) => Ok(choice.clone()),
        (None, Some("function")) => Ok(json!({"type": "function", "function": {"name": choice["name"]}})),
        (None, _) => Err(cannot_say("tool_choice", "only a function can be chosen")),
    }
}

/// None where it is plain text, as without it.
fn response_format(value: &Value) -> Result<Option<Value>, Problem> {
    let Some(format) = value.get("format").filter(|format| !format.is_null()) else { return Ok(None) };
    match text(format, "type") {
        Some("text") => Ok(None),
        Some("json_object") => Ok(Some(format.clone())),
        Some("json_schema") => {
            let mut schema = format.clone();
            schema.as_object_mut().map(|members| members.remove("type"));
            Ok(Some(json!({"type": "json_schema", "json_schema": schema})))
        }
        _ => Err(cannot_say("text.format", "must be text, json_object or json_schema")),
    }
}
