//! Server-sent events as a caller reads them.

use serde_json::Value;

/// One event of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// The `event:` field; empty where there is none.
    pub name: String,
    pub data: String,
}

impl Event {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap_or_else(|error| panic!("{error} in the event {self:?}"))
    }
}

/// Takes the whole events off the front of what has arrived.
#[derive(Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Event> {
        // Lines may end with CR LF; in the data itself a CR is escaped.
        self.buffer.extend(bytes.iter().filter(|byte| **byte != b'\r'));
        let mut events = Vec::new();
        while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
            let block: Vec<u8> = self.buffer.drain(..end + 2).collect();
            events.extend(event(std::str::from_utf8(&block).expect("events are UTF-8")));
        }
        events
    }
}

pub fn events(body: &[u8]) -> Vec<Event> {
    Reader::default().push(body)
}

/// None for a block of nothing but comments.
fn event(block: &str) -> Option<Event> {
    let field = |name: &str| {
        let lines: Vec<&str> = block
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
            .map(|value| value.strip_prefix(' ').unwrap_or(value))
            .collect();
        (!lines.is_empty()).then(|| lines.join("\n"))
    };
    let (name, data) = (field("event"), field("data"));
    (name.is_some() || data.is_some()).then(|| Event { name: name.unwrap_or_default(), data: data.unwrap_or_default() })
}
