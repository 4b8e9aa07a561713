//! What a caller speaks.

use crate::{Ask, DIALECT};
use plugway_sdk::{ClientFormat, Event, Problem, Route, Translated};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

const ASKED: [&str; 3] = ["model", "question", "stream"];

/// How many words a stream had.
#[derive(Default, Serialize, Deserialize)]
pub struct Said {
    words: u64,
}

impl ClientFormat for Ask {
    const DIALECT: &'static str = DIALECT;
    type State = Said;

    fn routes(&self) -> Vec<Route> {
        vec![Route::chat("/v1/ask")]
    }

    fn decode_request(&self, _: &str, model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
        let body: Map<String, Value> = serde_json::from_str(body)?;
        let Some(question) = body.get("question").and_then(Value::as_str) else {
            return Err(Problem::invalid("a question is missing").at("question"));
        };
        let messages = json!([{"role": "user", "content": question}]);
        let said = json!({"model": model, "messages": messages, "stream": streaming});
        let mut dropped: Vec<String> = body.keys().filter(|name| !ASKED.contains(&name.as_str())).cloned().collect();
        dropped.sort();
        Ok(Translated { body: said.to_string(), dropped })
    }

    fn encode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
        let body: Value = serde_json::from_str(body)?;
        let words = &body["usage"]["completion_tokens"];
        Ok(json!({"answer": body["choices"][0]["message"]["content"], "words": words}).to_string())
    }

    fn encode_chunk(&self, _: &str, said: &mut Said, chunk: &str, events: &mut Vec<Event>) -> Result<(), Problem> {
        let chunk: Value = serde_json::from_str(chunk)?;
        if let Some(word) = chunk["choices"][0]["delta"]["content"].as_str() {
            events.push(Event::data(json!({"word": word}).to_string()));
        }
        said.words = chunk["usage"]["completion_tokens"].as_u64().unwrap_or(said.words);
        Ok(())
    }

    fn encode_end(&self, _: &str, said: &mut Said, events: &mut Vec<Event>) -> Result<(), Problem> {
        events.push(Event::data(json!({"words": said.words}).to_string()));
        Ok(())
    }

    fn encode_failure(&self, _: &str, _: &mut Said, problem: &Problem, events: &mut Vec<Event>) {
        events.push(Event::named("failure", json!({"failure": problem.message}).to_string()));
    }

    fn encode_problem(&self, _status: u16, problem: &Problem, _request_id: &str) -> String {
        json!({"failure": problem.message}).to_string()
    }
}
