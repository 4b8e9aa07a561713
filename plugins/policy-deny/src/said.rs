//! What is said in a request, whatever the operation.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::borrow::Cow;

/// Members whose text is something said. The rest (roles, types, names, images) is not looked at.
const SAID: [&str; 8] = ["content", "text", "input", "prompt", "instructions", "arguments", "refusal", "description"];

/// The path of the first text that has one of the phrases, which are in lower case.
pub(crate) fn find(body: &Value, phrases: &[String]) -> Option<String> {
    let has_phrase = |text: &str| {
        let text = text.to_lowercase();
        phrases.iter().any(|phrase| text.contains(phrase.as_str()))
    };
    walk(body, String::new(), "", &has_phrase)
}

fn walk(value: &Value, path: String, member: &str, found: &impl Fn(&str) -> bool) -> Option<String> {
    match value {
        Value::String(text) => said(member, text).is_some_and(|text| found(&text)).then_some(path),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| walk(item, format!("{path}[{at}]"), member, found))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            walk(member, path, name, found)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

/// What a member's text says, where it says something.
fn said<'a>(member: &str, text: &'a str) -> Option<Cow<'a, str>> {
    match member {
        "file_data" => document(text).map(Cow::Owned),
        member => SAID.contains(&member).then_some(Cow::Borrowed(text)),
    }
}

/// A document in plain text, which models read as they read a message: `data:text/plain;base64,…`.
fn document(url: &str) -> Option<String> {
    let (_, data) = url.strip_prefix("data:text/")?.split_once(";base64,")?;
    let bytes = STANDARD.decode(data).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn documents_and_descriptions_are_read_too() {
        let phrases = ["nightfall".to_owned()];
        let file = |data: &str| json!({"messages": [{"content": [{"type": "file", "file": {"file_data": data}}]}]});
        let place = Some("messages[0].content[0].file.file_data".to_owned());
        assert_eq!(find(&file("data:text/plain;base64,bmlnaHRmYWxs"), &phrases), place);
        assert_eq!(find(&file("data:application/pdf;base64,bmlnaHRmYWxs"), &phrases), None);
        let tools = json!({"tools": [{"type": "function", "function": {"name": "x", "description": "Nightfall"}}]});
        assert_eq!(find(&tools, &phrases), Some("tools[0].function.description".to_owned()));
    }
}
