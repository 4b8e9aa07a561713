//! The items of a request as messages. Items are finer than messages: a turn of the model is one message, and several items.

use crate::{cannot_say, list, text};
use plugway_sdk::Problem;
use serde_json::{Value, json};

/// Marks reasoning that was ours to begin with, in the place for what only its own service can read.
pub(super) const OURS: &str = "plugway:";

pub(super) fn messages(input: &Value, dropped: &mut Vec<String>) -> Result<Vec<Value>, Problem> {
    let mut messages: Vec<Value> = Vec::new();
    let items = match input {
        Value::String(text) => return Ok(vec![json!({"role": "user", "content": text})]),
        Value::Array(items) => items,
        _ => return Err(cannot_say("input", "must be a text or a list of items")),
    };
    for (index, item) in items.iter().enumerate() {
        let at = format!("input[{index}]");
        match text(item, "type").unwrap_or("message") {
            "message" => message(&at, item, &mut messages)?,
            "function_call" => call(item, &mut messages),
            "function_call_output" => messages.push(output(&at, item)?),
            "reasoning" => reasoning(&at, item, &mut messages, dropped),
            other => {
                let what = format!("an item of the type `{other}` is one that only its own service can read");
                return Err(cannot_say(format!("{at}.type"), &what));
            }
        }
    }
    for message in &mut messages {
        // Without anything said the member is there all the same.
        if message.get("content").is_none() {
            message["content"] = Value::Null;
        }
    }
    Ok(messages)
}

/// The assistant's message that is being put together: what it said, thought and called between two others' turns.
fn turn(messages: &mut Vec<Value>, opens: impl Fn(&Value) -> bool) -> &mut Value {
    if !messages.last().is_some_and(|last| last["role"] == "assistant" && !opens(last)) {
        messages.push(json!({"role": "assistant"}));
    }
    let last = messages.len() - 1;
    &mut messages[last]
}

fn message(at: &str, item: &Value, messages: &mut Vec<Value>) -> Result<(), Problem> {
    let role = text(item, "role").unwrap_or("user");
    if role == "assistant" {
        // What is said after a call, or twice, is another message.
        let turn = turn(messages, |last| last.get("content").is_some() || last.get("tool_calls").is_some());
        let (content, refusal) = said(at, item)?;
        turn["content"] = content;
        if let Some(refusal) = refusal {
            turn["refusal"] = refusal;
        }
        return Ok(());
    }
    let content = match &item["content"] {
        text @ Value::String(_) => text.clone(),
        _ => parts(at, item)?.into(),
    };
    messages.push(json!({"role": role, "content": content}));
    Ok(())
}

/// What the model said, and what it refused to say.
fn said(at: &str, item: &Value) -> Result<(Value, Option<Value>), Problem> {
    if item["content"].is_string() {
        return Ok((item["content"].clone(), None));
    }
    let (mut content, mut refusal) = (String::new(), None);
    for (index, part) in list(item, "content").iter().enumerate() {
        match text(part, "type") {
            Some("output_text" | "input_text" | "text") => content.push_str(text(part, "text").unwrap_or_default()),
            Some("refusal") => refusal = Some(part["refusal"].clone()),
            _ => return Err(unknown_part(at, index)),
        }
    }
    let content = if content.is_empty() && refusal.is_some() { Value::Null } else { content.into() };
    Ok((content, refusal))
}

fn parts(at: &str, item: &Value) -> Result<Vec<Value>, Problem> {
    let parts = list(item, "content").iter().enumerate();
    parts
        .map(|(index, part)| match text(part, "type") {
            Some("input_text" | "output_text" | "text") => Ok(json!({"type": "text", "text": part["text"]})),
            Some("input_image") => image(&format!("{at}.content[{index}]"), part),
            Some("input_file") => Ok(file(part)),
            Some("input_audio") => Ok(part.clone()),
            _ => Err(unknown_part(at, index)),
        })
        .collect()
}

fn unknown_part(at: &str, index: usize) -> Problem {
    cannot_say(format!("{at}.content[{index}].type"), "this part has no canonical form")
}

fn image(at: &str, part: &Value) -> Result<Value, Problem> {
    let Some(url) = text(part, "image_url") else {
        return Err(cannot_say(format!("{at}.image_url"), "an image is taken by its address or content alone"));
    };
    let mut image = json!({ "url": url });
    if let Some(detail) = text(part, "detail") {
        image["detail"] = detail.into();
    }
    Ok(json!({"type": "image_url", "image_url": image}))
}

fn file(part: &Value) -> Value {
    let members = ["file_data", "file_id", "file_url", "filename"];
    let known = members.into_iter().filter_map(|member| Some((member.to_owned(), part.get(member)?.clone())));
    json!({"type": "file", "file": known.collect::<serde_json::Map<_, _>>()})
}

fn call(item: &Value, messages: &mut Vec<Value>) {
    let turn = turn(messages, |_| false);
    let call = json!({
        "id": item["call_id"],
        "type": "function",
        "function": {"name": item["name"], "arguments": text(item, "arguments").unwrap_or("{}")},
    });
    match turn.get_mut("tool_calls").and_then(Value::as_array_mut) {
        Some(calls) => calls.push(call),
        None => turn["tool_calls"] = json!([call]),
    }
}

fn output(at: &str, item: &Value) -> Result<Value, Problem> {
    let content = match &item["output"] {
        text @ Value::String(_) => text.clone(),
        output => {
            let as_item = json!({ "content": output });
            parts(&format!("{at}.output"), &as_item)?.into()
        }
    };
    Ok(json!({"role": "tool", "tool_call_id": item["call_id"], "content": content}))
}

/// Handed back as it was given, if it was ours; what another service alone can read is lost.
fn reasoning(at: &str, item: &Value, messages: &mut Vec<Value>, dropped: &mut Vec<String>) {
    let turn = turn(messages, |last| last.get("content").is_some() || last.get("tool_calls").is_some());
    let pieces = list(item, "summary").iter().chain(list(item, "content"));
    let thought: Vec<&str> = pieces.filter_map(|piece| text(piece, "text")).collect();
    if !thought.is_empty() {
        turn["reasoning_content"] = thought.join("\n\n").into();
    }
    match text(item, "encrypted_content") {
        None => {}
        Some(encrypted) => match encrypted.strip_prefix(OURS).map(serde_json::from_str::<Value>) {
            Some(Ok(details)) => turn["reasoning_details"] = details,
            Some(Err(_)) | None => dropped.push(format!("{at}.encrypted_content")),
        },
    }
}
