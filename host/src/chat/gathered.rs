//! A stream for a caller that asked for a whole answer.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Chunks as they come, put together.
#[derive(Default)]
pub struct Gathered {
    /// What stands around the choices.
    envelope: Map<String, Value>,
    choices: BTreeMap<u64, Map<String, Value>>,
}

impl Gathered {
    /// What is no chunk has nothing to add.
    pub fn push(&mut self, chunk: &str) {
        let Ok(Value::Object(mut chunk)) = serde_json::from_str(chunk) else { return };
        let choices = chunk.remove("choices");
        self.envelope.extend(chunk.into_iter().filter(|(_, value)| !value.is_null()));
        for choice in choices.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_object) {
            let index = choice.get("index").and_then(Value::as_u64).unwrap_or_default();
            merge(self.choices.entry(index).or_default(), choice);
        }
    }

    pub fn into_answer(self) -> String {
        let Gathered { mut envelope, choices } = self;
        envelope.insert("object".to_owned(), json!("chat.completion"));
        envelope.insert("choices".to_owned(), choices.into_values().map(whole).collect());
        Value::Object(envelope).to_string()
    }
}

fn whole(mut choice: Map<String, Value>) -> Value {
    let mut message = match choice.remove("delta") {
        Some(Value::Object(delta)) => delta,
        _ => Map::new(),
    };
    message.entry("role").or_insert_with(|| json!("assistant"));
    message.entry("content").or_insert(Value::Null);
    let calls = message.get_mut("tool_calls").and_then(Value::as_array_mut);
    for call in calls.into_iter().flatten().filter_map(Value::as_object_mut) {
        // Their order says it, where the answer is whole.
        call.remove("index");
    }
    choice.insert("message".to_owned(), Value::Object(message));
    choice.entry("finish_reason").or_insert(Value::Null);
    Value::Object(choice)
}

/// Text goes on where it stopped, lists grow, and what has an `index` is looked for by it; everything else is as it was said
/// last.
fn merge(into: &mut Map<String, Value>, more: &Map<String, Value>) {
    /// Said once, or again as it was, but never in pieces.
    const IN_ONE_PIECE: &[&str] = &["role", "id", "type", "name", "finish_reason"];
    for (name, value) in more.iter().filter(|(_, value)| !value.is_null()) {
        match (into.get_mut(name), value) {
            (Some(Value::String(text)), Value::String(more)) if !IN_ONE_PIECE.contains(&name.as_str()) => {
                text.push_str(more);
            }
            (Some(Value::Object(object)), Value::Object(more)) => merge(object, more),
            (Some(Value::Array(list)), Value::Array(more)) => more.iter().for_each(|item| merge_item(list, item)),
            _ => _ = into.insert(name.clone(), value.clone()),
        }
    }
}

fn merge_item(list: &mut Vec<Value>, item: &Value) {
    let same = |known: &&mut Value| item.get("index").is_some_and(|index| known.get("index") == Some(index));
    match (list.iter_mut().find(same), item) {
        (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
        _ => list.push(item.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::as_stream;
    use crate::operation::Operation;

    fn gathered(chunks: impl IntoIterator<Item = Value>) -> Value {
        let mut gathered = Gathered::default();
        chunks.into_iter().for_each(|chunk| gathered.push(&chunk.to_string()));
        serde_json::from_str(&gathered.into_answer()).expect("JSON")
    }

    fn delta(delta: Value) -> Value {
        json!({"id": "1", "object": "chat.completion.chunk", "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    }

    #[test]
    fn pieces_of_text_and_of_calls_go_on_where_they_stopped() {
        let call = |index: u64, function: Value| json!({"tool_calls": [{"index": index, "function": function}]});
        let answer = gathered([
            delta(json!({"role": "assistant", "content": "Hel"})),
            delta(json!({"content": "lo", "reasoning_content": "so"})),
            delta(
                json!({"tool_calls": [{"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}]}),
            ),
            delta(
                json!({"tool_calls": [{"index": 1, "id": "b", "type": "function", "function": {"name": "g", "arguments": "{"}}]}),
            ),
            delta(call(0, json!({"arguments": "{}"}))),
            delta(call(1, json!({"arguments": "}"}))),
            json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
            json!({"choices": [], "usage": {"prompt_tokens": 1}}),
        ]);
        assert_eq!(
            answer,
            json!({"id": "1", "object": "chat.completion", "model": "m", "usage": {"prompt_tokens": 1},
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {
                "role": "assistant", "content": "Hello", "reasoning_content": "so",
                "tool_calls": [
                    {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                    {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
                ]}}]})
        );
    }

    #[test]
    fn choices_are_kept_apart() {
        let chunk = |index: u64, text: &str| json!({"choices": [{"index": index, "delta": {"content": text}}]});
        let answer = gathered([chunk(1, "b"), chunk(0, "a"), chunk(1, "b")]);
        let contents: Vec<&Value> =
            answer["choices"].as_array().expect("a list").iter().map(|choice| &choice["message"]["content"]).collect();
        assert_eq!(contents, ["a", "bb"]);
    }

    #[test]
    fn it_is_the_way_back_of_an_answer_that_was_made_a_stream() {
        let answer = json!({"id": "1", "object": "chat.completion", "model": "m", "choices": [{"index": 0,
            "finish_reason": "stop", "logprobs": {"content": [{"token": "a"}]},
            "message": {"role": "assistant", "content": "a"}}], "usage": {"prompt_tokens": 1}});
        let chunks = as_stream(Operation::ChatCompletion, &answer.to_string()).expect("an answer");
        assert_eq!(gathered(chunks.iter().map(|chunk| serde_json::from_str(chunk).expect("JSON"))), answer);
    }
}
