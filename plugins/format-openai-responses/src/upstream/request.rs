//! A canonical request as a Responses one.

use super::messages;
use crate::{cannot_say, is_blank, list, object};
use plugway_sdk::{Problem, Translated};
use serde_json::{Map, Value, json};

/// Sampling and accounting that this API lacks, and other dialects' own configuration.
const HINTS: [&str; 14] = [
    "container",
    "context_management",
    "frequency_penalty",
    "logit_bias",
    "logprobs",
    "output_config",
    "prediction",
    "presence_penalty",
    "seed",
    "speed",
    "thinking",
    "top_k",
    "top_logprobs",
    "verbosity",
];

/// What would make another answer of it.
const MEANINGFUL: [&str; 7] =
    ["audio", "function_call", "functions", "inference_geo", "mcp_servers", "stop", "web_search_options"];

pub(super) fn encode(model: &str, body: &str) -> Result<Translated, Problem> {
    let body = object(body)?;
    let mut dropped = Vec::new();
    let mut request = Map::new();
    for (name, value) in body.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()) {
        member(name, value, &mut request, &mut dropped)?;
    }
    let older = request.remove("max_tokens");
    if let (None, Some(limit)) = (request.get("max_output_tokens"), older) {
        request.insert("max_output_tokens".to_owned(), limit);
    }
    if !model.is_empty() {
        request.insert("model".to_owned(), model.into());
    }
    request.insert("input".to_owned(), messages::items(list(&body, "messages"))?.into());
    Ok(Translated { body: Value::Object(request).to_string(), dropped })
}

fn member(
    name: &str,
    value: &Value,
    request: &mut Map<String, Value>,
    dropped: &mut Vec<String>,
) -> Result<(), Problem> {
    let mut set = |name: &str, value: Value| _ = request.insert(name.to_owned(), value);
    match name {
        "messages" | "stream_options" | "cache_control" => {}
        "max_completion_tokens" => set("max_output_tokens", value.clone()),
        "reasoning_effort" => set("reasoning", json!({ "effort": value })),
        "response_format" => set("text", json!({"format": flattened(value, "json_schema")})),
        "tools" => set("tools", tools(value)?),
        "tool_choice" if value.is_object() => set("tool_choice", flattened(value, "function")),
        "n" if value == &json!(1) => {}
        "n" => return Err(cannot_say(name, "this model's API gives one answer at a time")),
        "modalities" if value == &json!(["text"]) => {}
        "modalities" => return Err(cannot_say(name, "this model's API answers in text")),
        hint if HINTS.contains(&hint) => dropped.push(hint.to_owned()),
        meaningful if MEANINGFUL.contains(&meaningful) && !is_blank(value) => {
            return Err(cannot_say(meaningful, "this model's API cannot take it"));
        }
        meaningful if MEANINGFUL.contains(&meaningful) => {}
        _ => set(name, value.clone()),
    }
    Ok(())
}

/// `{"type": "function", "function": {"name": …}}` → `{"type": "function", "name": …}`
fn flattened(value: &Value, inner: &str) -> Value {
    let mut flat = value.clone();
    if let Some(members) = flat.as_object_mut()
        && let Some(Value::Object(inner)) = members.remove(inner)
    {
        members.extend(inner);
    }
    flat
}

fn tools(tools: &Value) -> Result<Value, Problem> {
    let tools = tools.as_array().ok_or_else(|| cannot_say("tools", "must be a list"))?;
    let translated = tools.iter().enumerate().map(|(index, tool)| {
        if !matches!(tool["type"].as_str(), Some("function") | None) {
            return Err(cannot_say(format!("tools[{index}].type"), "this model's API cannot take this tool"));
        }
        let mut flat = flattened(tool, "function");
        if let Some(members) = flat.as_object_mut() {
            members.insert("type".to_owned(), "function".into());
            members.remove("cache_control");
            members.remove("native");
        }
        Ok(flat)
    });
    translated.collect()
}
