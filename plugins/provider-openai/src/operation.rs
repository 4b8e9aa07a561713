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

/// Everything that is asked for in JSON. Transcriptions are sent as multipart forms, in which no member can be edited.
const OPERATIONS: [Operation; 8] = [
    Operation::new("list_models", "/models").get(),
    Operation::new("chat_completion", "/chat/completions").streaming(),
    Operation::new("text_completion", "/completions").streaming(),
    Operation::new("responses", "/responses").streaming().dialect("openai-responses"),
    Operation::new("embedding", "/embeddings"),
    Operation::new("speech", "/audio/speech"),
    Operation::new("image_generation", "/images/generations"),
    Operation::new("moderation", "/moderations"),
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
pub(crate) fn names() -> Vec<String> {
    let streamed = OPERATIONS.iter().filter(|operation| operation.streams);
    let whole = OPERATIONS.iter().map(|operation| operation.name.to_owned());
    whole.chain(streamed.map(|operation| format!("{}_stream", operation.name))).collect()
}
