//! A whole answer for a caller that asked for a stream.

use serde_json::{Map, Value, json};

/// One chunk with everything, and one with the usage. None where the answer is not one.
pub fn as_chunks(reply: &str) -> Option<Vec<String>> {
    let Value::Object(mut reply) = serde_json::from_str(reply).ok()? else { return None };
    let choices = reply.remove("choices")?.as_array()?.iter().map(as_delta).collect::<Option<Vec<Value>>>()?;
    let usage = reply.remove("usage").filter(|usage| !usage.is_null());
    reply.insert("object".to_owned(), json!("chat.completion.chunk"));
    let chunk = |choices: Vec<Value>, usage: Option<Value>| {
        let mut chunk = reply.clone();
        chunk.insert("choices".to_owned(), choices.into());
        chunk.extend(usage.map(|usage| ("usage".to_owned(), usage)));
        Value::Object(chunk).to_string()
    };
    let mut chunks = vec![chunk(choices, None)];
    chunks.extend(usage.map(|usage| chunk(Vec::new(), Some(usage))));
    Some(chunks)
}

fn as_delta(choice: &Value) -> Option<Value> {
    let mut choice: Map<String, Value> = choice.as_object()?.clone();
    let mut delta = choice.remove("message")?.as_object()?.clone();
    if let Some(calls) = delta.get_mut("tool_calls").and_then(Value::as_array_mut) {
        for (index, call) in calls.iter_mut().enumerate() {
            call.as_object_mut()?.insert("index".to_owned(), index.into());
        }
    }
    choice.insert("delta".to_owned(), Value::Object(delta));
    Some(Value::Object(choice))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_stands_in_one_chunk_and_the_usage_in_the_next() {
        let reply = json!({
            "id": "1", "object": "chat.completion", "model": "m", "x": true,
            "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant", "content": null,
                "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 2},
        });
        let chunks = as_chunks(&reply.to_string()).expect("an answer");
        let chunks: Vec<Value> = chunks.iter().map(|chunk| serde_json::from_str(chunk).expect("JSON")).collect();
        assert_eq!(chunks[0]["choices"][0]["delta"]["tool_calls"][0]["index"], 0);
        assert_eq!(chunks[0]["choices"][0]["finish_reason"], "tool_calls");
        assert_eq!(chunks[0]["x"], true);
        assert_eq!(
            chunks[1],
            json!({"id": "1", "object": "chat.completion.chunk", "model": "m", "x": true,
            "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 2}})
        );
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert_eq!(as_chunks("{}"), None);
        assert_eq!(as_chunks("{\"choices\":[{}]}"), None);
    }
}
