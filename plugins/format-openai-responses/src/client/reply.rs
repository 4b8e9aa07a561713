//! A canonical answer as a Responses one.

use super::items::{Head, What};
use crate::{broken_answer, list, object, text};
use plugway_sdk::Problem;
use serde_json::Value;

pub(super) fn encode(body: &str) -> Result<String, Problem> {
    let answer = object(body).map_err(broken_answer)?;
    let Some(choice) = list(&answer, "choices").first() else {
        return Err(Problem::upstream("the upstream's answer is empty").detail("no choices"));
    };
    let message = &choice["message"];
    let head = Head::of(&answer);
    let mut output = Vec::new();
    let mut add = |what: What, said: &str, details: &[Value]| {
        let id = what.id(&head.id, output.len());
        output.push(what.item(&id, Some(said), details));
    };
    let (thought, details) = (text(message, "reasoning_content"), list(message, "reasoning_details"));
    if thought.is_some() || !details.is_empty() {
        add(What::Reasoning, thought.unwrap_or_default(), details);
    }
    if let Some(said) = text(message, "content").filter(|said| !said.is_empty()) {
        add(What::Text, said, &[]);
    }
    if let Some(refusal) = text(message, "refusal") {
        add(What::Refusal, refusal, &[]);
    }
    for call in list(message, "tool_calls") {
        let function = &call["function"];
        let (id, name) = (text(call, "id").unwrap_or_default(), text(function, "name").unwrap_or_default());
        add(What::Call(id.to_owned(), name.to_owned()), text(function, "arguments").unwrap_or("{}"), &[]);
    }
    let usage = answer.get("usage").filter(|usage| !usage.is_null());
    Ok(head.finished(text(choice, "finish_reason"), &output, usage).to_string())
}
