//! A stream for a caller that asked for a whole answer.

use crate::operation::Operation;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Chunks as they come, put together.
pub struct Gathered {
    operation: Operation,
    /// What stands around the choices.
    envelope: Map<String, Value>,
    choices: BTreeMap<u64, Map<String, Value>>,
}

impl Gathered {
    pub fn of(operation: Operation) -> Self {
        Gathered { operation, envelope: Map::new(), choices: BTreeMap::new() }
    }

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

    /// The way back of [`as_stream`](super::as_stream).
    pub fn into_answer(self) -> String {
        let Gathered { operation, mut envelope, choices } = self;
        let choices = choices.into_values();
        let (object, choices): (_, Value) = match operation {
            Operation::TextCompletion => ("text_completion", choices.map(with_text).collect()),
            _ => ("chat.completion", choices.map(with_message).collect()),
        };
        envelope.insert("object".to_owned(), object.into());
        envelope.insert("choices".to_owned(), choices);
        Value::Object(envelope).to_string()
    }
}

/// A completion's pieces look like the whole.
fn with_text(mut choice: Map<String, Value>) -> Value {
    choice.entry("text").or_insert_with(|| json!(""));
    for member in ["logprobs", "finish_reason"] {
        choice.entry(member).or_insert(Value::Null);
    }
    Value::Object(choice)
}

fn with_message(mut choice: Map<String, Value>) -> Value {
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

/// What comes in pieces goes on where it stopped, lists grow, and what has an `index` is looked for by it; everything else is
/// as it was said last.
fn merge(into: &mut Map<String, Value>, more: &Map<String, Value>) {
    /// All other texts are said once, or again with every piece, such as a detail's `format`.
    const IN_PIECES: &[&str] = &[
        "content",
        "text",
        "refusal",
        "reasoning_content",
        "reasoning",
        "thinking",
        "summary",
        "arguments",
        "input",
        "data",
        "transcript",
    ];
    for (name, value) in more.iter().filter(|(_, value)| !value.is_null()) {
        match (into.get_mut(name), value) {
            (Some(Value::String(text)), Value::String(more)) if IN_PIECES.contains(&name.as_str()) => {
                text.push_str(more);
            }
            (Some(Value::Object(object)), Value::Object(more)) => merge(object, more),
            (Some(Value::Array(list)), Value::Array(more)) => more.iter().for_each(|item| merge_item(list, item)),
            _ => _ = into.insert(name.clone(), value.clone()),
        }
    }
}

fn merge_item(list: &mut Vec<Value>, item: &Value) {
    let of_one_type = |known: &Value| match (known.get("type"), item.get("type")) {
        (Some(known), Some(item)) => known == item,
        (None, _) | (_, None) => true,
    };
    let same = |known: &&mut Value| {
        item.get("index").is_some_and(|index| known.get("index") == Some(index)) && of_one_type(known)
    };
    match (list.iter_mut().find(same), item) {
        (Some(Value::Object(known)), Value::Object(more)) => merge(known, more),
        _ => list.push(item.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chat::as_stream;

    fn gathered(chunks: impl IntoIterator<Item = Value>) -> Value {
        let mut gathered = Gathered::of(Operation::ChatCompletion);
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
    fn what_is_said_again_with_every_piece_is_said_once() {
        let detail = |text: &str| {
            delta(json!({"reasoning_details": [
                {"type": "reasoning.text", "index": 0, "format": "v1", "id": "r", "text": text}]}))
        };
        let sealed = json!({"type": "reasoning.encrypted", "index": 0, "format": "v1", "data": "x"});
        let answer = gathered([detail("so "), detail("it is"), delta(json!({"reasoning_details": [sealed]}))]);
        let whole = json!({"type": "reasoning.text", "index": 0, "format": "v1", "id": "r", "text": "so it is"});
        assert_eq!(answer["choices"][0]["message"]["reasoning_details"], json!([whole, sealed]));
    }

    #[test]
    fn it_is_the_way_back_of_an_answer_that_was_made_a_stream() {
        let answer = json!({"id": "1", "object": "chat.completion", "model": "m", "choices": [{"index": 0,
            "finish_reason": "stop", "logprobs": {"content": [{"token": "a"}]},
            "message": {"role": "assistant", "content": "a"}}], "usage": {"prompt_tokens": 1}});
        let chunks = as_stream(Operation::ChatCompletion, &answer.to_string()).expect("an answer");
        assert_eq!(gathered(chunks.iter().map(|chunk| serde_json::from_str(chunk).expect("JSON"))), answer);

        let answer = json!({"id": "1", "object": "text_completion", "model": "m", "choices": [{"index": 0, "text": "a b",
            "finish_reason": "stop", "logprobs": {"tokens": ["a", " b"]}}], "usage": {"total_tokens": 1}});
        let mut texts = Gathered::of(Operation::TextCompletion);
        let chunks = as_stream(Operation::TextCompletion, &answer.to_string()).expect("an answer");
        chunks.iter().for_each(|chunk| texts.push(chunk));
        assert_eq!(serde_json::from_str::<Value>(&texts.into_answer()).expect("JSON"), answer);
    }
}
