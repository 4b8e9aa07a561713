//! A stream, event by event.

use super::{problem, reply};
use crate::{broken_answer, object, text, usage};
use plugway_sdk::{Event, Problem, Progress};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// What is remembered between two events.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    id: String,
    model: String,
    created: u64,
    /// Whether the role has been said.
    begun: bool,
    /// The places of the calls in the output.
    calls: Vec<u64>,
}

impl Reading {
    pub(super) fn event(&mut self, event: &Event, chunks: &mut Vec<String>) -> Result<Progress, Problem> {
        if event.data.trim().is_empty() || event.data.trim() == "[DONE]" {
            return Ok(Progress::Open);
        }
        let data = object(&event.data).map_err(broken_answer)?;
        match text(&data, "type").unwrap_or(&event.name) {
            "response.created" | "response.in_progress" | "response.queued" => self.begin(&data["response"], chunks),
            "response.output_text.delta" => self.say("content", &data, chunks),
            "response.refusal.delta" => self.say("refusal", &data, chunks),
            "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
                self.say("reasoning_content", &data, chunks);
            }
            "response.output_item.added" if data["item"]["type"] == "function_call" => self.call(&data, chunks),
            "response.function_call_arguments.delta" => self.arguments(&data, chunks),
            "response.completed" | "response.incomplete" => {
                self.finish(&data["response"], chunks);
                return Ok(Progress::Complete);
            }
            "response.failed" => return Err(problem::in_an_answer(&data["response"]["error"])),
            "error" => return Err(problem::in_an_answer(data.get("error").unwrap_or(&data))),
            // What is said again at its end, and what only its own callers understand.
            _ => {}
        }
        Ok(Progress::Open)
    }

    fn begin(&mut self, response: &Value, chunks: &mut Vec<String>) {
        if std::mem::replace(&mut self.begun, true) {
            return;
        }
        self.id = text(response, "id").unwrap_or_default().to_owned();
        self.model = text(response, "model").unwrap_or_default().to_owned();
        self.created = response["created_at"].as_f64().unwrap_or(0.0) as u64;
        self.chunk(json!({"role": "assistant", "content": ""}), None, chunks);
    }

    fn chunk(&self, delta: Value, finish_reason: Option<&str>, chunks: &mut Vec<String>) {
        let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
        chunks.push(self.with_head(json!([choice])).to_string());
    }

    fn with_head(&self, choices: Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": self.created, "model": self.model,
            "choices": choices,
        })
    }

    fn say(&mut self, member: &str, data: &Value, chunks: &mut Vec<String>) {
        self.begin(&Value::Null, chunks);
        self.chunk(json!({ member: data["delta"] }), None, chunks);
    }

    fn call(&mut self, data: &Value, chunks: &mut Vec<String>) {
        self.begin(&Value::Null, chunks);
        let (index, item) = (self.calls.len(), &data["item"]);
        self.calls.push(data["output_index"].as_u64().unwrap_or(0));
        let function = json!({"name": item["name"], "arguments": ""});
        let call = json!({"index": index, "id": item["call_id"], "type": "function", "function": function});
        self.chunk(json!({"tool_calls": [call]}), None, chunks);
    }

    fn arguments(&mut self, data: &Value, chunks: &mut Vec<String>) {
        let place = data["output_index"].as_u64().unwrap_or(0);
        let index = self.calls.iter().rposition(|call| *call == place).unwrap_or(0);
        let call = json!({"index": index, "function": {"arguments": data["delta"]}});
        self.chunk(json!({"tool_calls": [call]}), None, chunks);
    }

    fn finish(&mut self, response: &Value, chunks: &mut Vec<String>) {
        self.begin(response, chunks);
        let finish_reason = reply::finish_reason(response, !self.calls.is_empty());
        self.chunk(json!({}), Some(finish_reason), chunks);
        if let Some(counted) = response.get("usage").filter(|counted| counted.is_object()) {
            let mut chunk = self.with_head(json!([]));
            chunk["usage"] = usage::canonical(counted);
            chunks.push(chunk.to_string());
        }
    }
}
