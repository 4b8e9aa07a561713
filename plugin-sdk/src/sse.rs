//! Server-sent events as text, for tests and recordings. In production the host does this, whatever the framing and
//! however the bytes arrive: plugins see [`Event`]s only.
//!
//! ```
//! use plugway_sdk::{Event, sse};
//!
//! let recorded = "event: ping\ndata: {}\n\n: a comment\ndata: {\"a\":\ndata: 1}\n\ndata: [DONE]\n\n";
//! let events = sse::read(recorded);
//! assert_eq!(events, [Event::named("ping", "{}"), Event::data("{\"a\":\n1}"), Event::data("[DONE]")]);
//! assert_eq!(sse::read(&sse::write(&events)), events);
//! ```

use crate::Event;

/// The events of a recorded stream, with any of the three line endings. The last one counts even where the blank line
/// after it is missing, as editors like to take it away.
///
/// ```
/// use plugway_sdk::{Event, sse};
///
/// let recorded = "data: 1\r\n\r\ndata:2\r\rid: 7\n\nevent: empty\n\ndata: 3";
/// assert_eq!(sse::read(recorded), ["1", "2", "3"].map(Event::data));
/// ```
pub fn read(text: &str) -> Vec<Event> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text).replace("\r\n", "\n").replace('\r', "\n");
    text.split("\n\n").filter_map(event).collect()
}

/// One event of the lines between two blank lines; an event without data is none.
fn event(block: &str) -> Option<Event> {
    let mut name = "";
    let mut data = Vec::new();
    for line in block.lines() {
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => name = value,
            "data" => data.push(value),
            // A comment, `id`, `retry`, or a field that is to be ignored.
            _ => {}
        }
    }
    (!data.is_empty()).then(|| Event::named(name, data.join("\n")))
}

/// Events as the text that a server would send.
///
/// ```
/// use plugway_sdk::{Event, sse};
///
/// let events = [Event::named("message_stop", "{}"), Event::data("two\nlines")];
/// assert_eq!(sse::write(&events), "event: message_stop\ndata: {}\n\ndata: two\ndata: lines\n\n");
/// ```
pub fn write(events: &[Event]) -> String {
    let mut text = String::new();
    for Event { name, data } in events {
        if !name.is_empty() {
            text.push_str(&format!("event: {name}\n"));
        }
        for line in data.split('\n') {
            text.push_str(&format!("data: {line}\n"));
        }
        text.push('\n');
    }
    text
}
