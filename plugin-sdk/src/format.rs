pub use crate::bindings::format_client::exports::plugway::format::client::{Place, Route};
pub use crate::bindings::format_types::plugway::format::types::{Progress, Translated};
/// One frame of a stream.
pub use crate::bindings::plugin::plugway::plugin::types::Event;
use crate::{Header, Plugin, Problem};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Between the canonical form and what an upstream speaks.
///
/// Streams are decoded one event at a time, so that no result can depend on how events were batched; what must be
/// remembered between two events goes into [`State`](UpstreamFormat::State), which the host keeps as JSON text.
pub trait UpstreamFormat: Plugin {
    /// The dialect's name, such as `anthropic-messages`.
    const DIALECT: &'static str;

    /// What is remembered between two events of a stream; `()` where nothing is. Keep it small.
    type State: Default + Serialize + DeserializeOwned;

    /// Canonical request in, the upstream's request out.
    ///
    /// # Errors
    /// A member that the dialect cannot carry and that is no mere hint: `Problem::invalid(…).at(path)`.
    fn encode_request(&self, operation: &str, model: &str, body: &str) -> Result<Translated, Problem>;

    /// The upstream's answer to a call that went well in, canonical answer out.
    ///
    /// # Errors
    /// An answer that makes no sense: `Problem::upstream`.
    fn decode_reply(&self, operation: &str, body: &str) -> Result<String, Problem>;

    /// The upstream's answer to a call that went wrong in, the problem out.
    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem;

    /// One event in, canonical chunks out.
    ///
    /// # Errors
    /// An event that makes no sense; the stream ends there.
    fn decode_event(
        &self,
        operation: &str,
        state: &mut Self::State,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem>;

    /// The upstream has closed the stream and no event said that it was complete. The default says that this is too
    /// early; dialects without a terminal marker decide here.
    ///
    /// # Errors
    /// As [`decode_event`](UpstreamFormat::decode_event).
    fn decode_end(
        &self,
        _operation: &str,
        _state: &mut Self::State,
        _chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        Ok(Progress::Open)
    }
}

/// Between what a caller speaks and the canonical form.
///
/// Streams are encoded one canonical chunk at a time, as in [`UpstreamFormat`].
pub trait ClientFormat: Plugin {
    /// The dialect's name, such as `anthropic-messages`.
    const DIALECT: &'static str;

    /// What is remembered between two chunks of a stream; `()` where nothing is. Keep it small.
    type State: Default + Serialize + DeserializeOwned;

    /// The routes on which callers of the dialect are served.
    fn routes(&self) -> Vec<Route>;

    /// The caller's request in, canonical request out.
    ///
    /// # Errors
    /// A request that makes no sense or that the canonical form cannot carry.
    fn decode_request(&self, operation: &str, model: &str, streaming: bool, body: &str) -> Result<Translated, Problem>;

    /// Canonical answer in, the caller's answer out.
    ///
    /// # Errors
    /// An answer that the dialect cannot say.
    fn encode_reply(&self, operation: &str, body: &str) -> Result<String, Problem>;

    /// One canonical chunk in, events for the caller out.
    ///
    /// # Errors
    /// A chunk that the dialect cannot say.
    fn encode_chunk(
        &self,
        operation: &str,
        state: &mut Self::State,
        chunk: &str,
        events: &mut Vec<Event>,
    ) -> Result<(), Problem>;

    /// The stream is complete: whatever is still owed, and the terminal marker.
    ///
    /// # Errors
    /// As [`encode_chunk`](ClientFormat::encode_chunk).
    fn encode_end(&self, operation: &str, state: &mut Self::State, events: &mut Vec<Event>) -> Result<(), Problem>;

    /// The stream broke off: an error event, and no terminal marker.
    fn encode_failure(&self, operation: &str, state: &mut Self::State, problem: &Problem, events: &mut Vec<Event>);

    /// The body of an error reply. `status` is the HTTP status that goes with it.
    fn encode_problem(&self, status: u16, problem: &Problem, request_id: &str) -> String;
}

impl Translated {
    /// A translation that lost nothing.
    pub fn exact(body: impl Into<String>) -> Self {
        Translated { body: body.into(), dropped: Vec::new() }
    }
}

impl Event {
    /// An event with a name, as SSE dialects that name their events have it.
    pub fn named(name: &str, data: impl Into<String>) -> Self {
        Event { name: name.to_owned(), data: data.into() }
    }

    /// An event without a name.
    pub fn data(data: impl Into<String>) -> Self {
        Event { name: String::new(), data: data.into() }
    }
}

impl Route {
    /// A chat route whose `model` and `stream` stand in the body, as in most dialects.
    pub fn chat(path: &str) -> Self {
        Route {
            method: "POST".to_owned(),
            path: path.to_owned(),
            operation: "chat_completion".to_owned(),
            model: Place::Member("model".to_owned()),
            streaming: Place::Member("stream".to_owned()),
        }
    }
}
