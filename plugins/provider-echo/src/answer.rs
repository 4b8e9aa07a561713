//! An answer, said in one piece or word by word.

use crate::message::Message;
use plugway_sdk::Call;
use serde_json::{Value, json};

pub(crate) struct Answer<'a> {
    /// Of the time alone, so that the same call gives the same answer.
    id: String,
    created: u64,
    model: &'a str,
    text: String,
    usage: Value,
}

impl<'a> Answer<'a> {
    pub(crate) fn new(call: &'a Call, asked: &[Message], text: String) -> Self {
        let prompt = asked.iter().map(|message| words(&message.text())).sum();
        Answer {
            id: format!("chatcmpl-echo-{}", call.now_ms),
            created: call.now_ms / 1_000,
            model: &call.model,
            usage: usage(prompt, words(&text)),
            text,
        }
    }

    pub(crate) fn whole(&self) -> String {
        let message = json!({"role": "assistant", "content": self.text});
        let mut whole =
            self.envelope("chat.completion", json!([{"index": 0, "message": message, "finish_reason": "stop"}]));
        whole["usage"] = self.usage.clone();
        whole.to_string()
    }

    /// The role, the words one by one so that a streaming caller sees a stream, the end, and the usage.
    pub(crate) fn chunks(&self) -> Vec<String> {
        let role = self.chunk(json!({"role": "assistant", "content": ""}), None);
        let words =
            self.text.split_inclusive(char::is_whitespace).map(|word| self.chunk(json!({"content": word}), None));
        let end = self.chunk(json!({}), Some("stop"));
        let mut usage = self.envelope("chat.completion.chunk", json!([]));
        usage["usage"] = self.usage.clone();
        std::iter::once(role).chain(words).chain([end, usage.to_string()]).collect()
    }

    fn chunk(&self, delta: Value, finish_reason: Option<&str>) -> String {
        let choices = json!([{"index": 0, "delta": delta, "finish_reason": finish_reason}]);
        self.envelope("chat.completion.chunk", choices).to_string()
    }

    fn envelope(&self, object: &str, choices: Value) -> Value {
        json!({"id": self.id, "object": object, "created": self.created, "model": self.model, "choices": choices})
    }
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}

fn usage(prompt: usize, completion: usize) -> Value {
    json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion})
}
