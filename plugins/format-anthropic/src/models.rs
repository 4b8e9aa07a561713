//! Lists of models, in both forms.

use plugway_sdk::Problem;
use serde_json::{Map, Value, json};

pub(crate) const OPERATION: &str = "list_models";

/// What people without a calendar write for a day.
const LONG_AGO: &str = "1970-01-01T00:00:00Z";

/// Anthropic's list as the canonical one.
pub(crate) fn canonical(body: &str) -> Result<String, Problem> {
    let unreadable = |detail: String| Problem::upstream("the upstream's list cannot be read").detail(detail);
    let body: Map<String, Value> = serde_json::from_str(body).map_err(|error| unreadable(error.to_string()))?;
    let Some(list) = body.get("data").and_then(Value::as_array) else { return Err(unreadable("no data".to_owned())) };
    let one = |model: &Value| {
        let mut canonical = json!({"id": model["id"], "object": "model", "created": 0, "owned_by": "anthropic"});
        if model["display_name"].is_string() {
            canonical["display_name"] = model["display_name"].clone();
        }
        canonical
    };
    Ok(json!({"object": "list", "data": list.iter().map(one).collect::<Vec<_>>()}).to_string())
}

/// The canonical list, or one model of it, as Anthropic's.
pub(crate) fn anthropic(body: &str) -> Result<String, Problem> {
    let body: Map<String, Value> = serde_json::from_str(body)?;
    let body = Value::Object(body);
    let Some(list) = body.get("data").and_then(Value::as_array) else { return Ok(one(&body).to_string()) };
    let data: Vec<Value> = list.iter().map(one).collect();
    let id = |model: Option<&Value>| model.map_or(Value::Null, |model| model["id"].clone());
    let (first, last) = (id(data.first()), id(data.last()));
    Ok(json!({"data": data, "has_more": false, "first_id": first, "last_id": last}).to_string())
}

/// What Anthropic has no name for, such as prices and bounds, stays under the name that it has.
fn one(model: &Value) -> Value {
    const CANONICAL_ONLY: [&str; 3] = ["object", "created", "owned_by"];
    let mut own: Map<String, Value> = model.as_object().cloned().unwrap_or_default();
    own.retain(|name, _| !CANONICAL_ONLY.contains(&name.as_str()));
    let name = own.get("display_name").or(own.get("id")).cloned().unwrap_or_default();
    own.insert("display_name".to_owned(), name);
    own.insert("type".to_owned(), "model".into());
    own.insert("created_at".to_owned(), LONG_AGO.into());
    Value::Object(own)
}
