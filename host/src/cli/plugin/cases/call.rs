//! From a case's input to arguments: what is not said has the value that the SDK's runner gives it.

use super::view::view;
use crate::plugins::{Function, MAX_SAID_BYTES, MAX_STATE_BYTES, Plugin};
use plugway_sdk::cases::kit::with_arguments;
use serde_json::{Map, Value, json};
use std::ops::Range;

type Arguments = Map<String, Value>;

pub enum Call {
    Whole { function: Function, arguments: Arguments },
    Stream(Stream),
}

/// A function that is called once for each batch of a stream.
pub struct Stream {
    pub function: Function,
    /// The same in each call.
    constant: Arguments,
    pub items: Vec<Value>,
    takes: &'static str,
    pub gives: &'static str,
    end: End,
}

/// How a function is told that a stream ends, and how it says so.
enum End {
    /// `end` says that the upstream is done, `progress` in the answer what came of it.
    Decoding { closes: bool },
    /// `progress` says it.
    Encoding { last: Value },
    /// `end` says it, and a `refusal` in the answer ends it before.
    Reviewing { closes: bool },
}

impl Call {
    pub fn new(plugin: &Plugin, name: &str, input: Value) -> Result<Call, String> {
        let function = plugin.function(name).ok_or_else(|| format!("the component has no function `{name}`"))?;
        let arguments = match name {
            "configure" => json!({"settings": input}),
            "variables" => json!({"template": input}),
            "plan" => json!({"call": laid_over(plain_call(), object(input)?)}),
            "decode-events" | "encode-events" | "review-chunks" => {
                return Stream::new(function, input).map(Call::Stream);
            }
            "encode-request" | "decode-request" => request(name, input),
            "decode-reply" | "encode-reply" => {
                laid_over(json!({"operation": CHAT}), with_arguments(input, "body", &["operation"]))
            }
            "review-request" | "review-reply" => reviewed(input),
            "decode-problem" => laid_over(json!({"headers": []}), object(input)?),
            "encode-problem" => laid_over(json!({"request_id": "req-1"}), object(input)?),
            "render" => laid_over(json!({"variables": {}}), object(input)?),
            _ => object(input)?,
        };
        match arguments {
            Value::Object(arguments) => Ok(Call::Whole { function, arguments }),
            other => Err(format!("its input must be an object, is {other}")),
        }
    }

    /// How large a state a gateway takes from it.
    pub fn most_state_bytes(&self) -> usize {
        match self {
            Call::Stream(Stream { end: End::Encoding { .. }, .. }) => MAX_SAID_BYTES,
            Call::Stream(_) | Call::Whole { .. } => MAX_STATE_BYTES,
        }
    }

    /// How many pieces it has that may come in batches.
    pub fn items(&self) -> usize {
        match self {
            Call::Whole { .. } => 0,
            Call::Stream(stream) => stream.items.len(),
        }
    }
}

const CHAT: &str = "chat_completion";

/// As `plugway_sdk::Call::chat` has it.
fn plain_call() -> Value {
    json!({
        "operation": CHAT, "model": "some-model", "streaming": false, "dialect": "openai-chat", "attempt": 0, "now_ms": 0,
        "credentials": ["api_key"], "members": {},
    })
}

fn request(function: &str, input: Value) -> Value {
    let others: &[&str] =
        if function == "encode-request" { &["operation", "model"] } else { &["operation", "model", "streaming"] };
    let arguments = with_arguments(input, "body", others);
    let body = &arguments["body"];
    let mut defaults = json!({"operation": CHAT, "model": body["model"].as_str().unwrap_or_default()});
    if function == "decode-request" {
        defaults["streaming"] = json!(body["stream"].as_bool().unwrap_or_default());
    }
    laid_over(defaults, arguments)
}

fn reviewed(input: Value) -> Value {
    let mut arguments = with_arguments(input, "body", &["context"]);
    let model = arguments["body"]["model"].as_str().unwrap_or_default().to_owned();
    arguments["context"] = context(&model, arguments["context"].take());
    arguments
}

fn context(model: &str, given: Value) -> Value {
    let plain = json!({"request_id": "req-1", "operation": CHAT, "model": model, "streaming": false, "now_ms": 0});
    laid_over(plain, given)
}

fn laid_over(mut plain: Value, given: Value) -> Value {
    if let (Value::Object(plain), Value::Object(given)) = (&mut plain, given) {
        plain.extend(given);
    }
    plain
}

fn object(input: Value) -> Result<Value, String> {
    match input.is_object() {
        true => Ok(input),
        false => Err(format!("its input must be an object, is {input}")),
    }
}

impl Stream {
    fn new(function: Function, input: Value) -> Result<Stream, String> {
        let (takes, gives, others): (_, _, &[&str]) = match function.name.as_str() {
            "decode-events" => ("events", "chunks", &["operation", "end"]),
            "encode-events" => ("chunks", "events", &["operation", "progress"]),
            _ => ("chunks", "chunks", &["context", "end"]),
        };
        let mut given = with_arguments(input, takes, others);
        let Value::Array(items) = given[takes].take() else { return Err(format!("its `{takes}` must be a list")) };
        let items = match takes {
            "events" => items.into_iter().map(named_event).collect(),
            _ => items,
        };
        let closes = given["end"].as_bool().unwrap_or(true);
        let (end, constant) = match function.name.as_str() {
            "decode-events" => (End::Decoding { closes }, operation(&given)),
            "encode-events" => {
                let last = match given["progress"].take() {
                    Value::Null => json!("complete"),
                    progress => progress,
                };
                (End::Encoding { last }, operation(&given))
            }
            _ => (End::Reviewing { closes }, json!({"context": context("", given["context"].take())})),
        };
        let Value::Object(constant) = constant else { return Err("its input must be an object".to_owned()) };
        Ok(Stream { function, constant, items, takes, gives, end })
    }

    /// The same stream with another last word; None for streams whose end is not said by the caller.
    pub fn failing(&self, problem: &Value) -> Option<Stream> {
        let End::Encoding { .. } = self.end else { return None };
        Some(self.with(self.items.clone(), End::Encoding { last: json!({"failed": problem}) }))
    }

    /// The same stream of other items, closed after them.
    pub fn of(&self, items: Vec<Value>) -> Stream {
        let end = match &self.end {
            End::Decoding { .. } => End::Decoding { closes: true },
            End::Encoding { last } => End::Encoding { last: last.clone() },
            End::Reviewing { .. } => End::Reviewing { closes: true },
        };
        self.with(items, end)
    }

    /// The same stream of other items, not closed.
    pub fn open(&self, items: Vec<Value>) -> Stream {
        self.with(items, End::Decoding { closes: false })
    }

    /// Whether it is told to fail.
    pub fn fails(&self) -> bool {
        matches!(&self.end, End::Encoding { last } if last != "complete")
    }

    fn with(&self, items: Vec<Value>, end: End) -> Stream {
        let Stream { function, constant, takes, gives, .. } = self;
        Stream { function: function.clone(), constant: constant.clone(), items, takes, gives, end }
    }

    pub fn arguments(&self, state: &Value, batch: Range<usize>, is_last: bool) -> Arguments {
        let mut arguments = self.constant.clone();
        arguments.insert("state".to_owned(), state.clone());
        arguments.insert(self.takes.to_owned(), self.items[batch].to_vec().into());
        let (name, value) = match &self.end {
            End::Decoding { closes } | End::Reviewing { closes } => ("end", json!(*closes && is_last)),
            End::Encoding { last } => ("progress", if is_last { last.clone() } else { json!("open") }),
        };
        arguments.insert(name.to_owned(), value);
        arguments
    }

    /// What one answer says about the end.
    pub fn end_in<'a>(&self, answer: &'a Value) -> Option<&'a Value> {
        match self.end {
            End::Decoding { .. } => answer.get("progress"),
            End::Encoding { .. } => None,
            End::Reviewing { .. } => answer.get("refusal"),
        }
    }

    pub fn is_over(&self, end: Option<&Value>) -> bool {
        match self.end {
            End::Decoding { .. } => end.is_some_and(|progress| progress != "open"),
            End::Encoding { .. } => false,
            End::Reviewing { .. } => end.is_some(),
        }
    }

    /// All that was given, as `.out.json` has it.
    pub fn answer(&self, given: Vec<Value>, end: Option<Value>) -> Value {
        let mut answer = json!({"chunks": given});
        match (&self.end, end) {
            (End::Encoding { .. }, _) => return answer["chunks"].take(),
            (End::Decoding { .. }, end) => answer["progress"] = view(&end.unwrap_or_else(|| json!("open"))),
            (End::Reviewing { .. }, Some(refusal)) => answer["refusal"] = view(&refusal),
            (End::Reviewing { .. }, None) => {}
        }
        answer
    }
}

fn operation(given: &Value) -> Value {
    json!({"operation": given["operation"].as_str().unwrap_or(CHAT)})
}

/// The name may be left out.
fn named_event(mut event: Value) -> Value {
    if let Value::Object(members) = &mut event {
        members.entry("name").or_insert_with(|| json!(""));
    }
    event
}
