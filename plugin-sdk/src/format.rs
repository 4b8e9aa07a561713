pub use crate::bindings::format_client::exports::plugway::format::client::{Place, Route};
pub use crate::bindings::format_types::plugway::format::types::{Progress, Translated};
/// One frame of a stream.
pub use crate::bindings::plugin::plugway::plugin::types::Event;
use crate::{Header, Plugin, Problem, StreamState};

/// Between the canonical form and what an upstream speaks.
///
/// Streams are decoded one event at a time, so that no result can depend on how events were batched; what must be
/// remembered between two events goes into [`State`](UpstreamFormat::State), which the host keeps as text.
///
/// This one speaks to a service that wants one prompt and streams `{"word": …}`, then `{"words": 12}`:
///
/// ```
/// use plugway_sdk::{Event, Header, NoSettings, Plugin, Problem, ProblemKind, Progress, Translated, UpstreamFormat};
/// use serde::{Deserialize, Serialize};
/// use serde_json::{Value, json};
///
/// struct Acme;
///
/// impl Plugin for Acme {
///     type Settings = NoSettings;
///     const DESCRIPTION: &'static str = "Acme's prompts";
///
///     fn new(_: NoSettings) -> Result<Self, Problem> {
///         Ok(Acme)
///     }
/// }
///
/// /// The first chunk must carry the role, so a stream remembers whether it has been said.
/// #[derive(Default, Serialize, Deserialize)]
/// struct Said {
///     role: bool,
/// }
///
/// impl UpstreamFormat for Acme {
///     const DIALECT: &'static str = "acme-prompt";
///     type State = Said;
///
///     fn encode_request(&self, _operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
///         let body: Value = serde_json::from_str(body)?;
///         let [message] = body["messages"].as_array().map_or(&[][..], Vec::as_slice) else {
///             return Err(Problem::invalid("Acme takes exactly one message").at("messages"));
///         };
///         let prompt = json!({"model": model, "prompt": message["content"], "stream": body["stream"] == true});
///         let dropped = if body["seed"].is_null() { vec![] } else { vec!["seed".to_owned()] };
///         Ok(Translated { body: prompt.to_string(), dropped })
///     }
///
///     fn decode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
///         let body: Value = serde_json::from_str(body).map_err(|error| Problem::upstream(error.to_string()))?;
///         let message = json!({"role": "assistant", "content": body["text"]});
///         let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
///         Ok(json!({"object": "chat.completion", "choices": [choice]}).to_string())
///     }
///
///     fn decode_problem(&self, status: u16, _headers: &[Header], body: &str) -> Problem {
///         let kind = if status == 429 { ProblemKind::RateLimited } else { ProblemKind::Upstream };
///         Problem::new(kind, "Acme refuses").detail(body)
///     }
///
///     fn decode_event(
///         &self,
///         _operation: &str,
///         said: &mut Said,
///         event: &Event,
///         chunks: &mut Vec<String>,
///     ) -> Result<Progress, Problem> {
///         let data: Value = serde_json::from_str(&event.data).map_err(|error| Problem::upstream(error.to_string()))?;
///         let is_last = data["words"].is_number();
///         let mut delta = if is_last { json!({}) } else { json!({"content": data["word"]}) };
///         if !std::mem::replace(&mut said.role, true) {
///             delta["role"] = json!("assistant");
///         }
///         let finish_reason = is_last.then_some("stop");
///         let choice = json!({"index": 0, "delta": delta, "finish_reason": finish_reason});
///         chunks.push(json!({"object": "chat.completion.chunk", "choices": [choice]}).to_string());
///         Ok(if is_last { Progress::Complete } else { Progress::Open })
///     }
/// }
///
/// plugway_sdk::export!(Acme: format_upstream);
/// # fn main() {}
/// ```
pub trait UpstreamFormat: Plugin {
    /// The dialect's name, such as `anthropic-messages`.
    const DIALECT: &'static str;

    /// What is remembered between two events of a stream; `()` where nothing is.
    ///
    /// A stream begins with the default. From then on the state travels as text, out after every batch and back in with
    /// the next, perhaps to another instance: keep it small (flags, indices, what is still owed), never the text so far.
    /// Whatever serde can write and read is a state, as JSON.
    type State: StreamState;

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
///
/// This one serves callers that send a bare question and want bare words:
///
/// ```
/// use plugway_sdk::{ClientFormat, Event, NoSettings, Plugin, Problem, Route, Translated};
/// use serde_json::{Value, json};
///
/// struct Ask;
///
/// impl Plugin for Ask {
///     type Settings = NoSettings;
///     const DESCRIPTION: &'static str = "Bare questions";
///
///     fn new(_: NoSettings) -> Result<Self, Problem> {
///         Ok(Ask)
///     }
/// }
///
/// impl ClientFormat for Ask {
///     const DIALECT: &'static str = "ask";
///     type State = ();
///
///     fn routes(&self) -> Vec<Route> {
///         vec![Route::chat("/v1/ask")]
///     }
///
///     fn decode_request(&self, _: &str, model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
///         let body: Value = serde_json::from_str(body)?;
///         let Some(question) = body["question"].as_str() else {
///             return Err(Problem::invalid("a question is missing").at("question"));
///         };
///         let messages = json!([{"role": "user", "content": question}]);
///         Ok(Translated::exact(json!({"model": model, "messages": messages, "stream": streaming}).to_string()))
///     }
///
///     fn encode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
///         let body: Value = serde_json::from_str(body)?;
///         Ok(json!({"answer": body["choices"][0]["message"]["content"]}).to_string())
///     }
///
///     fn encode_chunk(&self, _: &str, _: &mut (), chunk: &str, events: &mut Vec<Event>) -> Result<(), Problem> {
///         let chunk: Value = serde_json::from_str(chunk)?;
///         if let Some(words) = chunk["choices"][0]["delta"]["content"].as_str() {
///             events.push(Event::named("words", words));
///         }
///         Ok(())
///     }
///
///     fn encode_end(&self, _: &str, _: &mut (), events: &mut Vec<Event>) -> Result<(), Problem> {
///         events.push(Event::named("end", "{}"));
///         Ok(())
///     }
///
///     fn encode_failure(&self, _: &str, _: &mut (), problem: &Problem, events: &mut Vec<Event>) {
///         events.push(Event::named("failure", problem.message.as_str()));
///     }
///
///     fn encode_problem(&self, status: u16, problem: &Problem, request_id: &str) -> String {
///         json!({"failure": problem.message, "status": status, "request": request_id}).to_string()
///     }
/// }
///
/// plugway_sdk::export!(Ask: format_client);
/// # fn main() {}
/// ```
pub trait ClientFormat: Plugin {
    /// The dialect's name, such as `anthropic-messages`.
    const DIALECT: &'static str;

    /// What is remembered between two chunks of a stream, as in [`UpstreamFormat::State`]; `()` where nothing is.
    type State: StreamState;

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
