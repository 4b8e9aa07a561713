//! Which operation is served where.

use plugway_sdk::Framing;

/// One operation of OpenAI's API.
pub(crate) struct Operation {
    pub(crate) name: &'static str,
    pub(crate) method: &'static str,
    /// What follows the `path_prefix`.
    pub(crate) path: &'static str,
    pub(crate) dialect: &'static str,
    /// Whether `<name>_stream` is served too.
    streams: bool,
}

/// What is sent as a form is edited as JSON is: the host sets the field of the member's name.
const OPERATIONS: [Operation; 13] = [
    Operation::new("list_models", "/models").get(),
    Operation::new("chat_completion", "/chat/completions").streaming(),
    Operation::new("text_completion", "/completions").streaming(),
    Operation::new("responses", "/responses").streaming().dialect("openai-responses"),
    Operation::new("embedding", "/embeddings"),
    Operation::new("speech", "/audio/speech").streaming(),
    Operation::new("transcription", "/audio/transcriptions").streaming(),
    Operation::new("translation", "/audio/translations"),
    Operation::new("image_generation", "/images/generations").streaming(),
    Operation::new("image_edit", "/images/edits").streaming(),
    Operation::new("image_variation", "/images/variations"),
    Operation::new("moderation", "/moderations"),
    // OpenAI has none; many services that speak its API have it here, in one shape.
    Operation::new("rerank", "/rerank"),
];

impl Operation {
    const fn new(name: &'static str, path: &'static str) -> Self {
        Operation { name, method: "POST", path, dialect: "openai-chat", streams: false }
    }

    const fn get(mut self) -> Self {
        self.method = "GET";
        self
    }

    const fn streaming(mut self) -> Self {
        self.streams = true;
        self
    }

    const fn dialect(mut self, dialect: &'static str) -> Self {
        self.dialect = dialect;
        self
    }

    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        OPERATIONS.iter().find(|operation| operation.name == name)
    }

    pub(crate) fn framing(&self) -> Framing {
        if self.streams { Framing::Sse } else { Framing::None }
    }
}

/// By the names of `allowed_requests`, where a stream is an operation of its own.
pub(crate) fn names(responses: bool) -> Vec<String> {
    let served = || OPERATIONS.iter().filter(move |operation| responses || operation.name != "responses");
    let streamed = served().filter(|operation| operation.streams);
    let whole = served().map(|operation| operation.name.to_owned());
    whole.chain(streamed.map(|operation| format!("{}_stream", operation.name))).collect()
}
