//! What is said in a request, whatever the operation.

use serde_json::Value;

/// Members whose text is something said. The rest (roles, types, names, images) is not looked at.
const SAID: [&str; 7] = ["content", "text", "input", "prompt", "instructions", "arguments", "refusal"];

/// The path of the first text that has one of the phrases, which are in lower case.
pub(crate) fn find(body: &Value, phrases: &[String]) -> Option<String> {
    let has_phrase = |text: &str| {
        let text = text.to_lowercase();
        phrases.iter().any(|phrase| text.contains(phrase.as_str()))
    };
    walk(body, String::new(), false, &has_phrase)
}

fn walk(value: &Value, path: String, is_said: bool, found: &impl Fn(&str) -> bool) -> Option<String> {
    match value {
        Value::String(text) => (is_said && found(text)).then_some(path),
        Value::Array(items) => {
            let mut items = items.iter().enumerate();
            items.find_map(|(at, item)| walk(item, format!("{path}[{at}]"), is_said, found))
        }
        Value::Object(members) => members.iter().find_map(|(name, member)| {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            walk(member, path, SAID.contains(&name.as_str()), found)
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
