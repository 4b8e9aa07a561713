//! A whole answer for a caller that asked for a stream.

use crate::operation::Operation;
use serde_json::{Map, Value, json};

/// The answer in the pieces that a stream of the operation is made of. None where the operation has no such pieces, or the
/// answer is not one of it.
pub fn as_stream(operation: Operation, reply: &str) -> Option<Vec<String>> {
    match operation {
        Operation::ChatCompletion | Operation::Responses => as_chunks(reply),
        Operation::TextCompletion => as_texts(reply),
        Operation::Transcription => as_transcript(reply),
        _ => None,
    }
}

/// A completion's chunks look like the whole.
fn as_texts(reply: &str) -> Option<Vec<String>> {
    let Value::Object(mut reply) = serde_json::from_str(reply).ok()? else { return None };
    let usage = reply.remove("usage").filter(|usage| !usage.is_null());
    let mut chunks = vec![Value::Object(reply.clone()).to_string()];
    reply.get("choices")?.as_array()?;
    if let Some(usage) = usage {
        reply.insert("choices".to_owned(), json!([]));
        reply.insert("usage".to_owned(), usage);
        chunks.push(Value::Object(reply).to_string());
    }
    Some(chunks)
}

/// Some models are asked for a stream and say everything at once.
fn as_transcript(reply: &str) -> Option<Vec<String>> {
    let reply: Value = serde_json::from_str(reply).ok()?;
    let text = reply.get("text")?.as_str()?;
    let mut done = json!({"type": "transcript.text.done", "text": text});
    if let Some(usage) = reply.get("usage") {
        done["usage"] = usage.clone();
    }
    Some(vec![json!({"type": "transcript.text.delta", "delta": text}).to_string(), done.to_string()])
}

/// One chunk with everything, and one with the usage.
fn as_chunks(reply: &str) -> Option<Vec<String>> {
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
    fn other_operations_have_pieces_of_their_own() {
        let text = r#"{"id":"1","choices":[{"text":"Hi","index":0}],"usage":{"total_tokens":2}}"#;
        let pieces = as_stream(Operation::TextCompletion, text).expect("pieces");
        assert_eq!(pieces.len(), 2);
        assert!(pieces[0].contains("Hi") && !pieces[0].contains("usage") && pieces[1].contains("total_tokens"));
        let pieces = as_stream(Operation::Transcription, r#"{"text":"Hi"}"#).expect("pieces");
        assert!(pieces[0].contains("text.delta") && pieces[1].contains("text.done"));
        assert_eq!(as_stream(Operation::ImageGeneration, r#"{"data":[]}"#), None);
    }

    #[test]
    fn what_is_no_answer_is_none() {
        assert_eq!(as_chunks("{}"), None);
        assert_eq!(as_chunks("{\"choices\":[{}]}"), None);
    }
}
