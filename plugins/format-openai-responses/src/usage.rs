//! Tokens, in both ways of counting, which differ in words only.

use serde_json::{Map, Value, json};

/// Responses' usage in canonical words.
pub(crate) fn canonical(usage: &Value) -> Value {
    let count = |member: &str| usage[member].as_u64().unwrap_or(0);
    let (read, written) = (count("input_tokens"), count("output_tokens"));
    let mut canonical = json!({
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": usage["total_tokens"].as_u64().unwrap_or(read + written),
    });
    copy_details(usage, "input_tokens_details", &mut canonical, "prompt_tokens_details");
    copy_details(usage, "output_tokens_details", &mut canonical, "completion_tokens_details");
    canonical
}

/// Canonical usage in Responses' words, where the two details always stand.
pub(crate) fn responses(usage: &Value) -> Value {
    let count = |member: &str| usage[member].as_u64().unwrap_or(0);
    let (read, written) = (count("prompt_tokens"), count("completion_tokens"));
    let mut responses = json!({
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage["total_tokens"].as_u64().unwrap_or(read + written),
    });
    copy_details(usage, "prompt_tokens_details", &mut responses, "input_tokens_details");
    copy_details(usage, "completion_tokens_details", &mut responses, "output_tokens_details");
    responses
}

fn copy_details(from: &Value, details: &str, to: &mut Value, as_details: &str) {
    let Some(details) = from.get(details).and_then(Value::as_object) else { return };
    let counted: Map<String, Value> =
        details.iter().filter(|(_, count)| count.is_u64()).map(|(name, count)| (name.clone(), count.clone())).collect();
    match to.get_mut(as_details).and_then(Value::as_object_mut) {
        Some(there) => there.extend(counted),
        None => to[as_details] = Value::Object(counted),
    }
}
