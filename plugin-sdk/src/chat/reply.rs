use super::request::{Message, NativeBlock, ReasoningDetail, TextBlock, ToolCall};
use super::view::{Json, Text};

crate::json_view! {
    /// An answer that was not streamed.
    ///
    /// ```
    /// use plugway_sdk::chat::{Choice, Message, Response};
    ///
    /// let response = Response {
    ///     id: "chatcmpl-1".into(),
    ///     object: "chat.completion".into(),
    ///     model: "acme-large".into(),
    ///     choices: vec![Choice {
    ///         message: Message::new("assistant", "Hello"),
    ///         finish_reason: Some("stop".into()),
    ///         ..Choice::default()
    ///     }],
    ///     ..Response::default()
    /// };
    /// assert!(serde_json::to_string(&response)?.contains(r#""finish_reason":"stop""#));
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct Response<'a> {
        /// The upstream's name of the answer.
        pub id: Text<'a> = "id" always,
        /// `chat.completion`.
        pub object: Text<'a> = "object" always,
        /// When, in seconds since 1970; see [`now`](super::now).
        pub created: u64 = "created",
        /// The model that answered.
        pub model: Text<'a> = "model" always,
        /// The answers.
        pub choices: Vec<Choice<'a>> = "choices" always,
        /// What it cost.
        pub usage: Option<Usage<'a>> = "usage",
        /// Extension: what the upstream ran its own tools in, as it is.
        pub container: Option<Json<'a>> = "container",
    }

    /// One answer.
    pub struct Choice<'a> {
        /// Its place among the answers.
        pub index: u64 = "index",
        /// What the model said.
        pub message: Message<'a> = "message" always,
        /// Why it ended: `stop`, `length`, `tool_calls`, `content_filter`.
        pub finish_reason: Option<Text<'a>> = "finish_reason" always,
        /// Extension: the same in the upstream's own words.
        pub native_finish_reason: Option<Text<'a>> = "native_finish_reason",
        /// Extension: the stop sequence that was met.
        pub stop_sequence: Option<Text<'a>> = "stop_sequence",
        /// Extension: more about the end, as the upstream gave it.
        pub stop_details: Option<Json<'a>> = "stop_details",
    }

    /// One chunk of a streamed answer.
    ///
    /// A canonical stream always ends with one chunk whose `choices` are empty and that has the usage, where the
    /// upstream gave any; the host takes it out for a caller that did not ask for it.
    ///
    /// ```
    /// use plugway_sdk::chat::{Chunk, Delta};
    ///
    /// let chunk = Chunk::of(Delta { content: Some("Hel".into()), ..Delta::default() });
    /// assert_eq!(
    ///     serde_json::to_string(&chunk)?,
    ///     r#"{"id":"","object":"chat.completion.chunk","created":0,"model":"","choices":[{"index":0,"delta":{"content":"Hel"},"finish_reason":null}]}"#,
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct Chunk<'a> {
        /// The upstream's name of the answer; the same in all chunks.
        pub id: Text<'a> = "id" always,
        /// `chat.completion.chunk`.
        pub object: Text<'a> = "object" always,
        /// When, in seconds since 1970; the same in all chunks.
        pub created: u64 = "created",
        /// The model that answers.
        pub model: Text<'a> = "model" always,
        /// What is new in each answer.
        pub choices: Vec<DeltaChoice<'a>> = "choices" always,
        /// What it cost, in the last chunk.
        pub usage: Option<Usage<'a>> = "usage",
        /// Extension: what the upstream ran its own tools in, as it is.
        pub container: Option<Json<'a>> = "container",
    }

    /// What is new in one answer.
    pub struct DeltaChoice<'a> {
        /// Its place among the answers.
        pub index: u64 = "index",
        /// What is new.
        pub delta: Delta<'a> = "delta" always,
        /// Why it ended, in the chunk that ends it.
        pub finish_reason: Option<Text<'a>> = "finish_reason" always,
        /// Extension: the same in the upstream's own words.
        pub native_finish_reason: Option<Text<'a>> = "native_finish_reason",
        /// Extension: the stop sequence that was met.
        pub stop_sequence: Option<Text<'a>> = "stop_sequence",
        /// Extension: more about the end, as the upstream gave it.
        pub stop_details: Option<Json<'a>> = "stop_details",
    }

    /// A piece of a message; the members are those of [`Message`].
    pub struct Delta<'a> {
        /// `assistant`, in the first chunk.
        pub role: Option<Text<'a>> = "role",
        /// The next piece of the text.
        pub content: Option<Text<'a>> = "content",
        /// The next piece of the refusal.
        pub refusal: Option<Text<'a>> = "refusal",
        /// Extension: the next piece of the reasoning.
        pub reasoning_content: Option<Text<'a>> = "reasoning_content",
        /// Extension: the same without loss.
        pub reasoning_details: Vec<ReasoningDetail<'a>> = "reasoning_details",
        /// The next pieces of tool calls.
        pub tool_calls: Vec<ToolCall<'a>> = "tool_calls",
        /// Extension: more sources.
        pub citations: Vec<Json<'a>> = "citations",
        /// Extension: a new block of text begins, or, in the chunk that ends the answer, how all of them lay.
        pub text_blocks: Vec<TextBlock<'a>> = "text_blocks",
        /// Extension: blocks that have no canonical form, or pieces of them.
        pub native_blocks: Vec<NativeBlock<'a>> = "native_blocks",
    }

    /// What an answer cost, in tokens.
    pub struct Usage<'a> {
        /// All that was read, whether it came from a cache or not.
        pub prompt_tokens: u64 = "prompt_tokens",
        /// All that was written, reasoning included.
        pub completion_tokens: u64 = "completion_tokens",
        /// Both.
        pub total_tokens: u64 = "total_tokens",
        /// How `prompt_tokens` came about.
        pub prompt_tokens_details: Option<TokenDetails<'a>> = "prompt_tokens_details",
        /// How `completion_tokens` came about.
        pub completion_tokens_details: Option<TokenDetails<'a>> = "completion_tokens_details",
        /// Extension: members of the dialect that it came from, which have no canonical name.
        pub native: Option<Json<'a>> = "native",
    }

    /// Parts of a number of tokens.
    pub struct TokenDetails<'a> {
        /// Of the prompt: read from a cache.
        pub cached_tokens: Option<u64> = "cached_tokens",
        /// Extension, of the prompt: written to a cache.
        pub cache_creation_tokens: Option<u64> = "cache_creation_tokens",
        /// Extension: those of them that are kept for five minutes.
        pub cache_creation_5m_tokens: Option<u64> = "cache_creation_5m_tokens",
        /// Extension: those of them that are kept for an hour.
        pub cache_creation_1h_tokens: Option<u64> = "cache_creation_1h_tokens",
        /// Of the completion: spent on reasoning.
        pub reasoning_tokens: Option<u64> = "reasoning_tokens",
    }

    /// The body of an error reply.
    ///
    /// ```
    /// use plugway_sdk::chat::ErrorReply;
    ///
    /// let reply: ErrorReply =
    ///     serde_json::from_str(r#"{"error": {"message": "no", "type": "server_error", "param": null, "code": null}}"#)?;
    /// assert_eq!(reply.error.message, "no");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct ErrorReply<'a> {
        /// What went wrong.
        pub error: ErrorReplyBody<'a> = "error" always,
    }

    /// What went wrong.
    pub struct ErrorReplyBody<'a> {
        /// In words for the caller.
        pub message: Text<'a> = "message" always,
        /// `invalid_request_error`, `authentication_error`, `rate_limit_error`, `server_error`, …
        pub kind: Text<'a> = "type" always,
        /// The member at fault, as a path.
        pub param: Option<Text<'a>> = "param" always,
        /// A machine-readable code.
        pub code: Option<Json<'a>> = "code" always,
    }
}

macro_rules! always_written {
    ($($name:ident),*) => {$(
        impl super::view::Member for $name<'_> {
            fn is_absent(&self) -> bool {
                false
            }
        }
    )*};
}

always_written!(Message, Delta, ErrorReplyBody);

impl<'a> Chunk<'a> {
    /// A chunk with this piece of the one answer. Give it `id`, `model` and `created` of the stream.
    pub fn of(delta: Delta<'a>) -> Self {
        Chunk {
            object: "chat.completion.chunk".into(),
            choices: vec![DeltaChoice { delta, ..DeltaChoice::default() }],
            ..Chunk::default()
        }
    }
}

impl Usage<'_> {
    /// Tokens read from and written to a cache; both are part of `prompt_tokens`.
    pub fn cached(&self) -> (u64, u64) {
        self.prompt_tokens_details
            .as_ref()
            .map_or((0, 0), |details| (details.cached_tokens.unwrap_or(0), details.cache_creation_tokens.unwrap_or(0)))
    }
}
