pub use crate::bindings::provider::exports::plugway::provider::provider::{
    Acquisition, Auth, Body, Call, Capabilities, Edit, Fetch, Framing, HttpReply, LocalReply, Outgoing, Pause,
    Placement, Preset, Step,
};
use crate::{Header, Plugin, Problem};
use serde_json::Value;

/// Where and how a call is sent; see the crate's example.
pub trait Provider: Plugin {
    /// What the provider can do.
    fn capabilities(&self) -> Capabilities;

    /// Compatible services that a configuration may name. Without a value to ask, as a preset may bring the settings that
    /// one is made of.
    fn presets() -> Vec<Preset>
    where
        Self: Sized,
    {
        Vec::new()
    }

    /// How to carry out one call.
    ///
    /// # Errors
    /// Whatever makes the call impossible; the caller reads the message.
    fn plan(&self, call: &Call) -> Result<Step, Problem>;

    /// Goes on after [`Step::Fetch`] (with the reply) or [`Step::Wait`] (without).
    ///
    /// # Errors
    /// As [`plan`](Provider::plan); the default refuses, for providers that ask for neither.
    fn resume(&self, _state: String, _reply: Option<HttpReply>) -> Result<Step, Problem> {
        Err(Problem::internal("this provider plans every call in one step"))
    }
}

impl Capabilities {
    /// Serves these operations, with a key, reading nothing of the body, at no default address.
    pub fn of(operations: impl IntoIterator<Item: Into<String>>) -> Self {
        Capabilities {
            operations: operations.into_iter().map(Into::into).collect(),
            body_members: Vec::new(),
            presets: Vec::new(),
            default_base_url: None,
            needs_key: true,
        }
    }

    /// Where calls go when the configuration has no `base_url`.
    #[must_use]
    pub fn base_url(mut self, url: &str) -> Self {
        self.default_base_url = Some(url.to_owned());
        self
    }

    /// Calls carry no credential.
    #[must_use]
    pub fn key_less(mut self) -> Self {
        self.needs_key = false;
        self
    }

    /// `plan` must see these top-level members of the body.
    #[must_use]
    pub fn reads(mut self, members: impl IntoIterator<Item: Into<String>>) -> Self {
        self.body_members = members.into_iter().map(Into::into).collect();
        self
    }
}

impl Outgoing {
    /// A `POST` of the translated body to this path, answered as server-sent events where a stream is asked for, in
    /// the canonical dialect `openai-chat`.
    ///
    /// ```
    /// use plugway_sdk::{Framing, Outgoing, Step};
    ///
    /// let step: Step = Outgoing::post("/chat")
    ///     .dialect("acme")
    ///     .framing(Framing::Ndjson)
    ///     .header("x-acme-version", "3")
    ///     .secret_header("x-acme-key", "api_key")
    ///     .into();
    /// ```
    pub fn post(path: impl Into<String>) -> Self {
        Outgoing {
            method: "POST".to_owned(),
            path: path.into(),
            headers: Vec::new(),
            body: Body::Translated,
            auth: None,
            dialect: "openai-chat".to_owned(),
            framing: Framing::Sse,
        }
    }

    /// A `GET` of this path, with no body.
    pub fn get(path: impl Into<String>) -> Self {
        Outgoing { method: "GET".to_owned(), body: Body::Empty, framing: Framing::None, ..Outgoing::post(path) }
    }

    /// Sends this text and nothing of the caller's body; for [`Step::Fetch`] and [`Step::Acquire`] above all, which
    /// cannot carry the caller's.
    #[must_use]
    pub fn body(mut self, text: impl Into<String>) -> Self {
        self.body = Body::Replaced(text.into());
        self
    }

    /// The dialect that the upstream speaks.
    #[must_use]
    pub fn dialect(mut self, dialect: &str) -> Self {
        self.dialect = dialect.to_owned();
        self
    }

    /// How a streamed answer is cut into events.
    #[must_use]
    pub fn framing(mut self, framing: Framing) -> Self {
        self.framing = framing;
        self
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.push(Header { name: name.to_owned(), value: value.into() });
        self
    }

    /// Sends the credential as `authorization: Bearer`.
    #[must_use]
    pub fn bearer(self, credential: &str) -> Self {
        self.auth(credential, Placement::Bearer)
    }

    /// Sends the credential as the whole value of a header.
    #[must_use]
    pub fn secret_header(self, name: &str, credential: &str) -> Self {
        self.auth(credential, Placement::Header(name.to_owned()))
    }

    /// Sends the credential as a query parameter.
    #[must_use]
    pub fn secret_query(self, name: &str, credential: &str) -> Self {
        self.auth(credential, Placement::Query(name.to_owned()))
    }

    fn auth(mut self, credential: &str, placement: Placement) -> Self {
        self.auth = Some(Auth { credential: credential.to_owned(), placement });
        self
    }

    /// Sets a top-level member of the body, leaving everything else as it is.
    #[must_use]
    pub fn set(self, member: &str, value: impl Into<Value>) -> Self {
        self.edit(member, Some(value.into().to_string()))
    }

    /// Removes a top-level member of the body.
    #[must_use]
    pub fn remove(self, member: &str) -> Self {
        self.edit(member, None)
    }

    fn edit(mut self, member: &str, value: Option<String>) -> Self {
        let edit = Edit { member: member.to_owned(), value };
        match &mut self.body {
            Body::Edited(edits) => edits.push(edit),
            Body::Translated | Body::Replaced(_) | Body::Empty => self.body = Body::Edited(vec![edit]),
        }
        self
    }
}

impl From<Outgoing> for Step {
    fn from(outgoing: Outgoing) -> Self {
        Step::Send(outgoing)
    }
}

impl Call {
    /// A plain chat call of `model` in the canonical dialect with the credential `api_key`, for tests.
    ///
    /// ```
    /// let call = plugway_sdk::Call::chat("gpt-4o");
    /// assert_eq!(call.operation, "chat_completion");
    /// ```
    pub fn chat(model: &str) -> Self {
        Call {
            operation: "chat_completion".to_owned(),
            model: model.to_owned(),
            streaming: false,
            dialect: "openai-chat".to_owned(),
            attempt: 0,
            now_ms: 0,
            credentials: vec!["api_key".to_owned()],
            members: "{}".to_owned(),
        }
    }
}
