//! A Responses answer as a canonical one.

use super::problem;
use crate::{broken_answer, list, object, text, usage};
use plugway_sdk::Problem;
use serde_json::{Value, json};

pub(super) fn decode(body: &str) -> Result<String, Problem> {
    let response = object(body).map_err(broken_answer)?;
    failed(&response)?;
    if !response["output"].is_array() {
        return Err(broken_answer("it has no output"));
    }
    let (mut said, mut refusal, mut thought, mut calls) = (String::new(), None, String::new(), Vec::new());
    for item in list(&response, "output") {
        match text(item, "type").unwrap_or_default() {
            "message" => {
                for part in list(item, "content") {
                    said.push_str(text(part, "text").unwrap_or_default());
                    refusal = text(part, "refusal").or(refusal);
                }
            }
            "reasoning" => thought.extend(list(item, "summary").iter().filter_map(|part| text(part, "text"))),
            "function_call" => calls.push(json!({
                "id": item["call_id"],
                "type": "function",
                "function": {"name": item["name"], "arguments": text(item, "arguments").unwrap_or("{}")},
            })),
            // Tools that the service ran by itself have left their traces in what was said.
            _ => {}
        }
    }
    let finish_reason = finish_reason(&response, !calls.is_empty());
    let content = if said.is_empty() && !calls.is_empty() { Value::Null } else { said.into() };
    let mut message = json!({"role": "assistant", "content": content});
    if let Some(refusal) = refusal {
        message["refusal"] = refusal.into();
    }
    if !thought.is_empty() {
        message["reasoning_content"] = thought.into();
    }
    if !calls.is_empty() {
        message["tool_calls"] = calls.into();
    }
    let mut answer = json!({
        "id": response["id"],
        "object": "chat.completion",
        "created": response["created_at"].as_f64().unwrap_or(0.0) as u64,
        "model": response["model"],
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}],
    });
    if let Some(counted) = response.get("usage").filter(|counted| counted.is_object()) {
        answer["usage"] = usage::canonical(counted);
    }
    Ok(answer.to_string())
}

/// A failure can come with a good status.
pub(super) fn failed(response: &Value) -> Result<(), Problem> {
    match &response["error"] {
        Value::Null if response["status"] == "failed" => Err(problem::in_an_answer(&Value::Null)),
        Value::Null => Ok(()),
        error => Err(problem::in_an_answer(error)),
    }
}

pub(super) fn finish_reason(response: &Value, has_calls: bool) -> &'static str {
    match (response["incomplete_details"]["reason"].as_str(), has_calls) {
        (Some("content_filter"), _) => "content_filter",
        (Some(_), _) => "length",
        (None, true) => "tool_calls",
        (None, false) => "stop",
    }
}
