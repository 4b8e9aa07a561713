//! A stream, chunk by chunk. Responses says everything three times: piece by piece, at the end of each item, and at the end
//! of all. So what was said is remembered, up to a bound.

use super::items::{Head, What, summary};
use super::problem;
use super::state::{Item, Writing};
use crate::{broken_answer, list, object, text};
use plugway_sdk::{Event, Problem};
use serde_json::{Value, json};

impl Writing {
    pub(super) fn chunk(&mut self, chunk: &str, events: &mut Vec<Event>) -> Result<(), Problem> {
        let chunk = object(chunk).map_err(broken_answer)?;
        if self.head.is_none() {
            self.begin(Head::of(&chunk), events);
        }
        if let Some(usage) = chunk.get("usage").filter(|usage| !usage.is_null()) {
            self.usage = usage.to_string();
        }
        // A Responses answer is one answer.
        let Some(choice) = list(&chunk, "choices").iter().find(|choice| choice["index"].as_u64().unwrap_or(0) == 0)
        else {
            return Ok(());
        };
        let delta = &choice["delta"];
        let details = list(delta, "reasoning_details");
        let thought = text(delta, "reasoning_content").unwrap_or_default();
        if !thought.is_empty() || !details.is_empty() {
            let index = self.current(What::Reasoning, events);
            self.items[index].remember(details)?;
            self.say(index, thought, events);
        }
        for (what, member) in [(What::Text, "content"), (What::Refusal, "refusal")] {
            if let Some(said) = text(delta, member).filter(|said| !said.is_empty()) {
                let index = self.current(what, events);
                self.say(index, said, events);
            }
        }
        for call in list(delta, "tool_calls") {
            let index = self.call(call, events);
            self.say(index, text(&call["function"], "arguments").unwrap_or_default(), events);
        }
        if let Some(reason) = text(choice, "finish_reason") {
            self.finish_reason = reason.to_owned();
        }
        self.is_bounded()
    }

    pub(super) fn end(&mut self, events: &mut Vec<Event>) {
        if self.head.is_none() {
            self.begin(Head::of(&Value::Null), events);
        }
        for index in 0..self.items.len() {
            self.close(index, events);
        }
        let head = self.head.clone().unwrap_or_default();
        let output: Vec<Value> = (0..self.items.len()).map(|index| self.whole(index)).collect();
        let finish_reason = Some(self.finish_reason.as_str()).filter(|reason| !reason.is_empty());
        let usage: Option<Value> = serde_json::from_str(&self.usage).ok();
        let response = head.finished(finish_reason, &output, usage.as_ref());
        let name = format!("response.{}", response["status"].as_str().unwrap_or("completed"));
        self.event(&name, json!({ "response": response }), events);
        // It has been said for the last time.
        self.items.clear();
    }

    pub(super) fn fail(&mut self, failed: &Problem, events: &mut Vec<Event>) {
        let data = problem::event(failed, self.next);
        self.next += 1;
        events.push(Event::named("error", data.to_string()));
    }

    fn event(&mut self, name: &str, mut data: Value, events: &mut Vec<Event>) {
        data["type"] = name.into();
        data["sequence_number"] = self.next.into();
        self.next += 1;
        events.push(Event::named(name, data.to_string()));
    }

    fn begin(&mut self, head: Head, events: &mut Vec<Event>) {
        let response = head.response("in_progress", &[], None);
        self.head = Some(head);
        self.event("response.created", json!({ "response": response }), events);
        self.event("response.in_progress", json!({ "response": response }), events);
    }

    fn id(&self, index: usize) -> String {
        let answer = self.head.as_ref().map_or("", |head| &head.id);
        self.items[index].what.id(answer, index)
    }

    fn whole(&self, index: usize) -> Value {
        let Item { what, text, details, .. } = &self.items[index];
        let details: Vec<Value> = serde_json::from_str(details).unwrap_or_default();
        what.item(&self.id(index), Some(text), &details)
    }

    /// The open item of this kind, which may have to be opened. Only calls stay open beside others.
    fn current(&mut self, what: What, events: &mut Vec<Event>) -> usize {
        if let Some(index) = self.items.iter().rposition(|item| item.open && item.what == what) {
            return index;
        }
        for index in 0..self.items.len() {
            if !matches!(self.items[index].what, What::Call(..)) {
                self.close(index, events);
            }
        }
        self.open(what, 0, events)
    }

    fn call(&mut self, call: &Value, events: &mut Vec<Event>) -> usize {
        let place = call["index"].as_u64().unwrap_or(0);
        let id = text(call, "id").filter(|id| !id.is_empty());
        let is_it = |item: &Item| match &item.what {
            What::Call(known, _) => item.open && item.call == place && id.is_none_or(|id| id == known),
            What::Reasoning | What::Text | What::Refusal => false,
        };
        if let Some(index) = self.items.iter().rposition(is_it) {
            return index;
        }
        for index in 0..self.items.len() {
            if !matches!(self.items[index].what, What::Call(..)) {
                self.close(index, events);
            }
        }
        let name = text(&call["function"], "name").unwrap_or_default();
        self.open(What::Call(id.unwrap_or_default().to_owned(), name.to_owned()), place, events)
    }

    fn open(&mut self, what: What, call: u64, events: &mut Vec<Event>) -> usize {
        let index = self.items.len();
        self.items.push(Item { what, call, text: String::new(), details: String::new(), open: true });
        let id = self.id(index);
        let item = self.items[index].what.item(&id, None, &[]);
        self.event("response.output_item.added", json!({"output_index": index, "item": item}), events);
        let (name, place, part) = match &self.items[index].what {
            What::Call(..) => return index,
            What::Reasoning => ("response.reasoning_summary_part.added", "summary_index", summary("")),
            what @ (What::Text | What::Refusal) => ("response.content_part.added", "content_index", what.part("")),
        };
        self.event(name, json!({"item_id": id, "output_index": index, place: 0, "part": part}), events);
        index
    }

    fn say(&mut self, index: usize, said: &str, events: &mut Vec<Event>) {
        if said.is_empty() {
            return;
        }
        self.items[index].text.push_str(said);
        let id = self.id(index);
        let (name, mut data) = match self.items[index].what {
            What::Reasoning => ("response.reasoning_summary_text.delta", json!({"summary_index": 0})),
            What::Text => ("response.output_text.delta", json!({"content_index": 0, "logprobs": []})),
            What::Refusal => ("response.refusal.delta", json!({"content_index": 0})),
            What::Call(..) => ("response.function_call_arguments.delta", json!({})),
        };
        data["item_id"] = id.into();
        data["output_index"] = index.into();
        data["delta"] = said.into();
        self.event(name, data, events);
    }

    fn close(&mut self, index: usize, events: &mut Vec<Event>) {
        if !std::mem::replace(&mut self.items[index].open, false) {
            return;
        }
        let id = self.id(index);
        let Item { what, text, .. } = &mut self.items[index];
        if matches!(what, What::Call(..)) && text.is_empty() {
            // Of a call that takes none, so that callers who parse them can.
            text.push_str("{}");
        }
        let (what, text) = (what.clone(), text.clone());
        let at = json!({"item_id": id, "output_index": index});
        let with = |members: Value| {
            let mut data = at.clone();
            if let (Some(data), Value::Object(members)) = (data.as_object_mut(), members) {
                data.extend(members);
            }
            data
        };
        match &what {
            What::Call(_, name) => {
                let data = with(json!({"name": name, "arguments": text}));
                self.event("response.function_call_arguments.done", data, events);
            }
            What::Reasoning => {
                let data = with(json!({"summary_index": 0, "text": text}));
                self.event("response.reasoning_summary_text.done", data, events);
                let data = with(json!({"summary_index": 0, "part": summary(&text)}));
                self.event("response.reasoning_summary_part.done", data, events);
            }
            What::Text => {
                let data = with(json!({"content_index": 0, "text": text, "logprobs": []}));
                self.event("response.output_text.done", data, events);
                self.event(
                    "response.content_part.done",
                    with(json!({"content_index": 0, "part": what.part(&text)})),
                    events,
                );
            }
            What::Refusal => {
                self.event("response.refusal.done", with(json!({"content_index": 0, "refusal": text})), events);
                self.event(
                    "response.content_part.done",
                    with(json!({"content_index": 0, "part": what.part(&text)})),
                    events,
                );
            }
        }
        let item = self.whole(index);
        self.event("response.output_item.done", json!({"output_index": index, "item": item}), events);
    }
}
