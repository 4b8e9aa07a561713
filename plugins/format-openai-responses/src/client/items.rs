//! What an answer is made of, as whole answers and the ends of streams have it.

use super::input::OURS;
use crate::usage;
use serde_json::{Value, json};

/// One item of the output.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum What {
    Reasoning,
    Text,
    Refusal,
    /// With the call's id and the function's name.
    Call(String, String),
}

impl What {
    fn prefix(&self) -> &'static str {
        match self {
            What::Reasoning => "rs",
            What::Text | What::Refusal => "msg",
            What::Call(..) => "fc",
        }
    }

    /// An id that follows from the answer's own.
    pub(super) fn id(&self, answer: &str, index: usize) -> String {
        format!("{}_{answer}_{index}", self.prefix())
    }

    /// The item with all that is in it, or as it is before anything is: `text` is None then.
    pub(super) fn item(&self, id: &str, text: Option<&str>, details: &[Value]) -> Value {
        let status = if text.is_some() { "completed" } else { "in_progress" };
        match self {
            What::Reasoning => {
                let summary: Vec<Value> = text.into_iter().filter(|text| !text.is_empty()).map(summary).collect();
                let mut item = json!({"id": id, "type": "reasoning", "summary": summary, "status": status});
                if !details.is_empty() {
                    item["encrypted_content"] = format!("{OURS}{}", Value::from(details)).into();
                }
                item
            }
            What::Text | What::Refusal => {
                let content: Vec<Value> = text.into_iter().map(|text| self.part(text)).collect();
                json!({"id": id, "type": "message", "status": status, "role": "assistant", "content": content})
            }
            What::Call(call_id, name) => json!({
                "id": id, "type": "function_call", "status": status, "call_id": call_id, "name": name,
                "arguments": text.unwrap_or_default(),
            }),
        }
    }

    /// The only part of a message.
    pub(super) fn part(&self, text: &str) -> Value {
        match self {
            What::Refusal => json!({"type": "refusal", "refusal": text}),
            What::Text | What::Reasoning | What::Call(..) => {
                json!({"type": "output_text", "text": text, "annotations": [], "logprobs": []})
            }
        }
    }
}

pub(super) fn summary(text: &str) -> Value {
    json!({"type": "summary_text", "text": text})
}

/// What is said of an answer as a whole.
#[derive(Debug, Default, Clone)]
pub(super) struct Head {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) created: u64,
}

impl Head {
    /// Of a canonical answer or chunk.
    pub(super) fn of(answer: &Value) -> Self {
        let id = answer["id"].as_str().filter(|id| !id.is_empty()).unwrap_or("0");
        Head {
            id: id.strip_prefix("chatcmpl-").unwrap_or(id).to_owned(),
            model: answer["model"].as_str().unwrap_or_default().to_owned(),
            created: answer["created"].as_u64().filter(|created| *created > 0).unwrap_or_else(plugway_sdk::chat::now),
        }
    }

    /// The answer, as far as it has come.
    pub(super) fn response(&self, status: &str, output: &[Value], usage: Option<&Value>) -> Value {
        json!({
            "id": format!("resp_{}", self.id),
            "object": "response",
            "created_at": self.created,
            "status": status,
            "background": false,
            "error": null,
            "incomplete_details": null,
            "instructions": null,
            "metadata": {},
            "model": self.model,
            "output": output,
            "parallel_tool_calls": true,
            "previous_response_id": null,
            "reasoning": {"effort": null, "summary": null},
            "store": false,
            "temperature": null,
            "text": {"format": {"type": "text"}},
            "tool_choice": "auto",
            "tools": [],
            "top_p": null,
            "truncation": "disabled",
            "usage": usage.map(usage::responses),
        })
    }

    /// The answer at its end.
    pub(super) fn finished(&self, finish_reason: Option<&str>, output: &[Value], usage: Option<&Value>) -> Value {
        let reason = match finish_reason {
            Some("length") => "max_output_tokens",
            Some("content_filter") => "content_filter",
            _ => return self.response("completed", output, usage),
        };
        let mut response = self.response("incomplete", output, usage);
        response["incomplete_details"] = json!({ "reason": reason });
        response
    }
}
