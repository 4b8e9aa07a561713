//! Messages as items.

use crate::{cannot_say, list, text};
use plugway_sdk::Problem;
use serde_json::{Value, json};

pub(super) fn items(messages: &[Value]) -> Result<Vec<Value>, Problem> {
    let mut items = Vec::with_capacity(messages.len());
    for (index, message) in messages.iter().enumerate() {
        let at = format!("messages[{index}]");
        match text(message, "role").unwrap_or_default() {
            "assistant" => assistant(&at, message, &mut items)?,
            "tool" => items.push(json!({
                "type": "function_call_output",
                "call_id": message["tool_call_id"],
                "output": content(&at, message, "input_text")?,
            })),
            role @ ("user" | "system" | "developer") => {
                let content = content(&at, message, "input_text")?;
                items.push(json!({"type": "message", "role": role, "content": content}));
            }
            _ => return Err(cannot_say(format!("{at}.role"), "this model's API does not know it")),
        }
    }
    Ok(items)
}

/// What the model said, then what it called. What it thought cannot be handed back: only its own service reads that.
fn assistant(at: &str, message: &Value, items: &mut Vec<Value>) -> Result<(), Problem> {
    if !list(message, "native_blocks").is_empty() {
        return Err(cannot_say(
            format!("{at}.native_blocks"),
            "this model's API cannot take what another's tools brought",
        ));
    }
    let mut parts = match content(at, message, "output_text")? {
        Value::Array(parts) => parts,
        Value::String(said) if !said.is_empty() => vec![json!({"type": "output_text", "text": said})],
        _ => Vec::new(),
    };
    parts.extend(text(message, "refusal").map(|refusal| json!({"type": "refusal", "refusal": refusal})));
    if !parts.is_empty() {
        items.push(json!({"type": "message", "role": "assistant", "content": parts}));
    }
    for call in list(message, "tool_calls") {
        let function = &call["function"];
        let arguments = text(function, "arguments").unwrap_or("{}");
        items.push(json!({
            "type": "function_call", "call_id": call["id"], "name": function["name"], "arguments": arguments,
        }));
    }
    Ok(())
}

/// A text, or parts; texts among these go by the name `said`.
fn content(at: &str, message: &Value, said: &str) -> Result<Value, Problem> {
    let parts = match &message["content"] {
        Value::Null => return Ok(Value::String(String::new())),
        content @ Value::String(_) => return Ok(content.clone()),
        Value::Array(parts) => parts,
        _ => return Err(cannot_say(format!("{at}.content"), "must be a text or a list of parts")),
    };
    let translated = parts.iter().enumerate().map(|(index, part)| match text(part, "type") {
        Some("text") => Ok(json!({"type": said, "text": part["text"]})),
        Some("refusal") => Ok(json!({"type": "refusal", "refusal": part["refusal"]})),
        Some("image_url") => {
            let image = &part["image_url"];
            let detail = text(image, "detail").unwrap_or("auto");
            Ok(json!({"type": "input_image", "image_url": image["url"], "detail": detail}))
        }
        Some("file") => {
            let mut file = part["file"].clone();
            file["type"] = "input_file".into();
            Ok(file)
        }
        _ => Err(cannot_say(format!("{at}.content[{index}].type"), "this model's API cannot take this part")),
    });
    translated.collect()
}
