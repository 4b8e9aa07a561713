//! Typed views of Anthropic's own JSON. Like the canonical views they borrow, and keep what they have no name for.

use plugway_sdk::chat::{Extra, Json, Member, Text, TextOr};
use serde_json::Number;

/// What a turn says: a string, or blocks.
pub(crate) type Content<'a> = TextOr<'a, Vec<Block<'a>>>;

plugway_sdk::json_view! {
    pub(crate) struct Request<'a> {
        pub(crate) model: Text<'a> = "model",
        pub(crate) max_tokens: Option<u64> = "max_tokens",
        pub(crate) system: Option<Content<'a>> = "system",
        pub(crate) messages: Option<Vec<Turn<'a>>> = "messages",
        pub(crate) tools: Vec<Tool<'a>> = "tools",
        pub(crate) tool_choice: Option<ToolChoice<'a>> = "tool_choice",
        pub(crate) thinking: Option<Json<'a>> = "thinking",
        pub(crate) output_config: Option<OutputConfig<'a>> = "output_config",
        pub(crate) stop_sequences: Vec<Text<'a>> = "stop_sequences",
        pub(crate) temperature: Option<Number> = "temperature",
        pub(crate) top_p: Option<Number> = "top_p",
        pub(crate) top_k: Option<Number> = "top_k",
        pub(crate) metadata: Option<Metadata<'a>> = "metadata",
        pub(crate) service_tier: Option<Text<'a>> = "service_tier",
        pub(crate) stream: Option<bool> = "stream",
    }

    pub(crate) struct Turn<'a> {
        pub(crate) role: Text<'a> = "role",
        pub(crate) content: Option<Content<'a>> = "content",
    }

    /// A block of any type; which members it has is up to the type.
    pub(crate) struct Block<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) text: Option<Text<'a>> = "text",
        pub(crate) thinking: Option<Text<'a>> = "thinking",
        pub(crate) signature: Option<Text<'a>> = "signature",
        pub(crate) data: Option<Text<'a>> = "data",
        pub(crate) source: Option<TextOr<'a, Source<'a>>> = "source",
        pub(crate) id: Option<Text<'a>> = "id",
        pub(crate) name: Option<Text<'a>> = "name",
        pub(crate) input: Option<Json<'a>> = "input",
        pub(crate) tool_use_id: Option<Text<'a>> = "tool_use_id",
        pub(crate) content: Option<Json<'a>> = "content",
        pub(crate) is_error: Option<bool> = "is_error",
        pub(crate) title: Option<Text<'a>> = "title",
        pub(crate) citations: Option<Json<'a>> = "citations",
        pub(crate) cache_control: Option<Json<'a>> = "cache_control",
    }

    /// Where an image or a document is.
    pub(crate) struct Source<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) media_type: Option<Text<'a>> = "media_type",
        pub(crate) data: Option<Text<'a>> = "data",
        pub(crate) url: Option<Text<'a>> = "url",
        pub(crate) file_id: Option<Text<'a>> = "file_id",
    }

    pub(crate) struct Tool<'a> {
        pub(crate) kind: Option<Text<'a>> = "type",
        pub(crate) name: Option<Text<'a>> = "name",
        pub(crate) description: Option<Text<'a>> = "description",
        pub(crate) input_schema: Option<Json<'a>> = "input_schema",
        pub(crate) strict: Option<bool> = "strict",
        pub(crate) cache_control: Option<Json<'a>> = "cache_control",
    }

    pub(crate) struct ToolChoice<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) name: Option<Text<'a>> = "name",
        pub(crate) disable_parallel_tool_use: Option<bool> = "disable_parallel_tool_use",
    }

    pub(crate) struct OutputConfig<'a> {
        pub(crate) effort: Option<Text<'a>> = "effort",
        pub(crate) format: Option<OutputFormat<'a>> = "format",
    }

    pub(crate) struct OutputFormat<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) schema: Option<Json<'a>> = "schema",
    }

    pub(crate) struct Metadata<'a> {
        pub(crate) user_id: Option<Text<'a>> = "user_id",
    }

    /// `{"type": "enabled", "budget_tokens": …}` and the like.
    pub(crate) struct Thinking<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) budget_tokens: Option<u64> = "budget_tokens",
    }

    /// An answer, whole or as `message_start` has it.
    pub(crate) struct Message<'a> {
        pub(crate) id: Text<'a> = "id" always,
        pub(crate) kind: Text<'a> = "type" always,
        pub(crate) role: Text<'a> = "role" always,
        pub(crate) model: Text<'a> = "model" always,
        pub(crate) content: Vec<Block<'a>> = "content" always,
        pub(crate) stop_reason: Option<Text<'a>> = "stop_reason" always,
        pub(crate) stop_sequence: Option<Text<'a>> = "stop_sequence" always,
        pub(crate) stop_details: Option<Json<'a>> = "stop_details",
        pub(crate) container: Option<Json<'a>> = "container",
        pub(crate) usage: Usage<'a> = "usage" always,
    }

    pub(crate) struct Usage<'a> {
        pub(crate) input_tokens: Option<u64> = "input_tokens",
        pub(crate) cache_creation_input_tokens: Option<u64> = "cache_creation_input_tokens",
        pub(crate) cache_read_input_tokens: Option<u64> = "cache_read_input_tokens",
        pub(crate) cache_creation: Option<CacheCreation<'a>> = "cache_creation",
        pub(crate) output_tokens: Option<u64> = "output_tokens",
        pub(crate) output_tokens_details: Option<OutputDetails<'a>> = "output_tokens_details",
    }

    pub(crate) struct CacheCreation<'a> {
        pub(crate) ephemeral_5m_input_tokens: Option<u64> = "ephemeral_5m_input_tokens",
        pub(crate) ephemeral_1h_input_tokens: Option<u64> = "ephemeral_1h_input_tokens",
    }

    pub(crate) struct OutputDetails<'a> {
        pub(crate) thinking_tokens: Option<u64> = "thinking_tokens",
    }

    /// An event of a stream, of any type. What few events have is kept apart: nearly all are short deltas, and an event
    /// is moved several times while it is read.
    pub(crate) struct StreamEvent<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) index: Option<u64> = "index",
        pub(crate) message: Option<Box<Message<'a>>> = "message",
        pub(crate) content_block: Option<Json<'a>> = "content_block",
        pub(crate) delta: Option<Delta<'a>> = "delta",
        pub(crate) usage: Option<Box<Usage<'a>>> = "usage",
        pub(crate) error: Option<Box<ErrorBody<'a>>> = "error",
    }

    /// What is new in a block, or at the end of the message.
    pub(crate) struct Delta<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) text: Option<Text<'a>> = "text",
        pub(crate) partial_json: Option<Text<'a>> = "partial_json",
        pub(crate) thinking: Option<Text<'a>> = "thinking",
        pub(crate) signature: Option<Text<'a>> = "signature",
        pub(crate) citation: Option<Json<'a>> = "citation",
        pub(crate) stop_reason: Option<Text<'a>> = "stop_reason",
        pub(crate) stop_sequence: Option<Text<'a>> = "stop_sequence",
        pub(crate) stop_details: Option<Json<'a>> = "stop_details",
        pub(crate) container: Option<Json<'a>> = "container",
    }

    pub(crate) struct ErrorBody<'a> {
        pub(crate) kind: Text<'a> = "type",
        pub(crate) message: Text<'a> = "message" always,
    }
}

impl Member for Usage<'_> {
    fn is_absent(&self) -> bool {
        false
    }
}

impl<'a> Block<'a> {
    pub(crate) fn of(kind: &'a str) -> Self {
        Block { kind: kind.into(), ..Block::default() }
    }

    pub(crate) fn text(text: Text<'a>) -> Self {
        Block { text: Some(text), ..Block::of("text") }
    }

    pub(crate) fn thinking(text: Text<'a>, signature: Text<'a>) -> Self {
        Block { thinking: Some(text), signature: Some(signature), ..Block::of("thinking") }
    }

    pub(crate) fn redacted(data: Text<'a>) -> Self {
        Block { data: Some(data), ..Block::of("redacted_thinking") }
    }

    /// A block that an upstream sent. Types to come may use the names of members that are known here in other ways.
    pub(crate) fn read(json: &Json<'a>) -> Self {
        if let Some(Ok(block)) = json.in_body().map(serde_json::from_str) {
            return block;
        }
        let mut extra = members(json);
        let kind = extra.take("type").and_then(|kind| kind.read::<String>().ok()).unwrap_or_default();
        Block { kind: kind.into(), extra, ..Block::default() }
    }

    /// The block without any member that the canonical form has no name for, and those members as one object.
    pub(crate) fn without_extra(mut self) -> (Self, Option<Json<'a>>) {
        let extra = std::mem::take(&mut self.extra);
        let native = (!extra.is_empty()).then(|| Json::of(&extra));
        (self, native)
    }

    /// Puts back what [`without_extra`](Block::without_extra) took out.
    pub(crate) fn with_extra(mut self, native: Option<&Json<'a>>) -> Self {
        if let Some(native) = native {
            self.extra.extend(members(native));
        }
        self
    }
}

/// The members of a `native` object, each on its own.
pub(crate) fn members<'a>(native: &Json<'a>) -> Extra<'a> {
    if let Some(text) = native.in_body() {
        return serde_json::from_str(text).unwrap_or_default();
    }
    let members = native.read::<Extra<'_>>().unwrap_or_default();
    members.into_iter().map(|(name, value)| (name.into_string().into(), Json::of(&value))).collect()
}
