//! What a provider speaks.

use crate::{Ask, DIALECT};
use plugway_sdk::{Event, Header, Problem, ProblemKind, Progress, Translated, UpstreamFormat, chat};
use serde_json::{Map, Value, json};

const SAID: [&str; 4] = ["model", "messages", "stream", "stream_options"];

impl UpstreamFormat for Ask {
    const DIALECT: &'static str = DIALECT;
    type State = ();

    fn encode_request(&self, _operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        let body: Map<String, Value> = serde_json::from_str(body)?;
        let question = match body.get("messages").and_then(Value::as_array).map(Vec::as_slice) {
            Some([message]) if message["content"].is_string() => &message["content"],
            _ => return Err(Problem::invalid("only a single question of text can be asked").at("messages")),
        };
        let streaming = body.get("stream").is_some_and(|stream| stream == true);
        let asked = json!({"model": model, "question": question, "stream": streaming});
        let mut dropped: Vec<String> = body.keys().filter(|name| !SAID.contains(&name.as_str())).cloned().collect();
        dropped.sort();
        Ok(Translated { body: asked.to_string(), dropped })
    }

    fn decode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
        let body: Value = serde_json::from_str(body).map_err(|_| unreadable())?;
        let message = json!({"role": "assistant", "content": body["answer"]});
        let reply = json!({
            "id": "ask",
            "object": "chat.completion",
            "created": chat::now(),
            "model": "ask",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": usage(&body["words"]),
        });
        Ok(reply.to_string())
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        let body: Value = serde_json::from_str(body).unwrap_or_default();
        let message = body["failure"].as_str().unwrap_or("the upstream failed without saying why");
        Problem::new(ProblemKind::of_status(status), message).retry_after(headers)
    }

    fn decode_event(
        &self,
        _operation: &str,
        _state: &mut (),
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        let data: Value = serde_json::from_str(&event.data).map_err(|_| unreadable())?;
        if let Some(word) = data["word"].as_str() {
            chunks.push(chunk(json!({"role": "assistant", "content": word}), Value::Null));
            return Ok(Progress::Open);
        }
        chunks.push(chunk(json!({}), json!("stop")));
        chunks.push(with(json!({"choices": [], "usage": usage(&data["words"])})));
        Ok(Progress::Complete)
    }
}

fn chunk(delta: Value, finish_reason: Value) -> String {
    with(json!({"choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}]}))
}

/// What every chunk has.
fn with(mut chunk: Value) -> String {
    chunk["id"] = json!("ask");
    chunk["object"] = json!("chat.completion.chunk");
    chunk["created"] = json!(chat::now());
    chunk["model"] = json!("ask");
    chunk.to_string()
}

fn usage(words: &Value) -> Value {
    json!({"prompt_tokens": 0, "completion_tokens": words, "total_tokens": words})
}

fn unreadable() -> Problem {
    Problem::upstream("the upstream's answer cannot be read")
}
