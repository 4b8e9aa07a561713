use super::reply::{Chunk, Delta};
use super::write::{push_number, push_text};
use serde::Serialize;

// What stands around the delta in every chunk. As macros, so that what is written in a row is one text: in a component
// each copy of a few bytes is a call of its own.
macro_rules! choice {
    () => {
        r#","choices":[{"index":0,"delta":"#
    };
}

macro_rules! end {
    () => {
        r#","finish_reason":null}]}"#
    };
}

/// What all chunks of one stream begin with, written once: the id, the model and the time. A stream's state keeps it as
/// its [`text`](Head::text).
///
/// Nearly all chunks are one short piece, so what is always the same is most of the work of writing them.
///
/// ```
/// use plugway_sdk::chat::{Chunk, Head};
///
/// let head = Head::new("chatcmpl-1", "acme-large", 1_700_000_000);
/// let chunk: String = head.content("Hel\"lo");
/// let view: Chunk = serde_json::from_str(&chunk)?;
/// assert_eq!(view.id, "chatcmpl-1");
/// assert_eq!(view.choices[0].delta.content.as_deref(), Some("Hel\"lo"));
/// assert_eq!(serde_json::to_string(&view)?, chunk);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Head(String);

impl Head {
    /// The head of a stream with this id, from this model, at this time (see [`now`](super::now)).
    pub fn new(id: &str, model: &str, created: u64) -> Self {
        let mut head = String::with_capacity(96 + id.len() + model.len());
        head.push_str(r#"{"id":"#);
        push_text(&mut head, id);
        head.push_str(r#","object":"chat.completion.chunk","created":"#);
        head.push_str(&created.to_string());
        head.push_str(r#","model":"#);
        push_text(&mut head, model);
        Head(head)
    }

    /// For a stream's state.
    pub fn text(&self) -> &str {
        &self.0
    }

    /// The head whose [`text`](Head::text) this is.
    pub fn of_text(text: &str) -> Self {
        Head(text.to_owned())
    }

    /// The next piece of the text.
    pub fn content(&self, piece: &str) -> String {
        let mut chunk = self.begin(concat!(choice!(), r#"{"content":"#), piece.len());
        push_text(&mut chunk, piece);
        chunk.push_str(concat!("}", end!()));
        chunk
    }

    /// The next piece of the arguments of the call with this number.
    pub fn arguments(&self, number: u64, piece: &str) -> String {
        let mut chunk = self.begin(concat!(choice!(), r#"{"tool_calls":[{"index":"#), piece.len());
        push_number(&mut chunk, number);
        chunk.push_str(r#","function":{"arguments":"#);
        push_text(&mut chunk, piece);
        chunk.push_str(concat!("}}]}", end!()));
        chunk
    }

    /// The next piece of reasoning that can be read, of the block at this position of the upstream's answer.
    pub fn reasoning(&self, index: u64, piece: &str) -> String {
        let mut chunk = self.begin(concat!(choice!(), r#"{"reasoning_content":"#), 2 * piece.len());
        push_text(&mut chunk, piece);
        chunk.push_str(r#","reasoning_details":[{"type":"reasoning.text","text":"#);
        push_text(&mut chunk, piece);
        chunk.push_str(r#","index":"#);
        push_number(&mut chunk, index);
        chunk.push_str(concat!("}]}", end!()));
        chunk
    }

    /// Any other piece of the one answer.
    pub fn delta(&self, delta: &Delta<'_>) -> String {
        let mut chunk = self.begin(choice!(), 128);
        push_json(&mut chunk, delta);
        chunk.push_str(end!());
        chunk
    }

    /// Any other chunk: its choices, usage, container and what it has beyond them; the rest is the head's.
    pub fn chunk(&self, chunk: &Chunk<'_>) -> String {
        let mut text = String::with_capacity(self.0.len() + 256);
        text.push_str(&self.0);
        push_member(&mut text, "choices", &chunk.choices);
        if let Some(usage) = &chunk.usage {
            push_member(&mut text, "usage", usage);
        }
        if let Some(container) = &chunk.container {
            push_member(&mut text, "container", container);
        }
        for (name, value) in chunk.extra.iter() {
            push_member(&mut text, name, value);
        }
        text.push('}');
        text
    }

    fn begin(&self, then: &str, room: usize) -> String {
        // Room for what comes after the piece, and for some characters that must be escaped.
        let mut chunk = String::with_capacity(self.0.len() + then.len() + room + 128);
        chunk.push_str(&self.0);
        chunk.push_str(then);
        chunk
    }
}

/// The head of a stream that does not say who it is.
impl Default for Head {
    fn default() -> Self {
        Head::new("", "", 0)
    }
}

fn push_member(json: &mut String, name: &str, value: &impl Serialize) {
    json.push(',');
    push_text(json, name);
    json.push(':');
    push_json(json, value);
}

fn push_json(json: &mut String, value: &impl Serialize) {
    json.push_str(&serde_json::to_string(value).expect("a view can be written"));
}
