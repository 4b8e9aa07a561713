//! Values of the contract as the files of cases show them: text that is JSON as such, headers as pairs.

use plugway_sdk::cases::kit::shown;
use serde_json::{Map, Value, json};

pub fn view(value: &Value) -> Value {
    match value {
        Value::String(text) => shown(text),
        Value::Array(items) => items.iter().map(view).collect(),
        Value::Object(members) => record(members),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

fn record(members: &Map<String, Value>) -> Value {
    let text = |name| members.get(name).and_then(Value::as_str);
    match (members.len(), text("name"), text("value"), text("member")) {
        (2, Some(name), Some(value), None) => json!([name, value]),
        (_, None, Some(value), Some(member)) => json!({"member": member, "value": edited(value)}),
        // What a problem says is for people, even where it looks like JSON.
        _ if members.contains_key("kind") && members.contains_key("message") => Value::Object(members.clone()),
        _ => Value::Object(members.iter().map(|(name, value)| (name.clone(), view(value))).collect()),
    }
}

/// Not [`shown`]: a value that is no JSON would be refused by a gateway, and must be seen here.
fn edited(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| json!(format!("not JSON ({error}): {text}")))
}
