use super::view::{Json, Text, TextOr};
use serde_json::Number;

/// What a message says: a string, or parts.
pub type Content<'a> = TextOr<'a, Vec<ContentPart<'a>>>;

/// One stop sequence, or a list of them.
pub type Stop<'a> = TextOr<'a, Vec<Text<'a>>>;

/// `auto`, `none`, `required`, or one tool by name.
pub type ToolChoice<'a> = TextOr<'a, NamedTool<'a>>;

crate::json_view! {
    /// A request.
    ///
    /// ```
    /// use plugway_sdk::chat::{Message, Request};
    ///
    /// let request = Request {
    ///     model: "gpt-4o".into(),
    ///     messages: vec![Message::new("user", "Hello")],
    ///     max_completion_tokens: Some(100),
    ///     ..Request::default()
    /// };
    /// assert_eq!(
    ///     serde_json::to_string(&request)?,
    ///     r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":100}"#,
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct Request<'a> {
        /// The model, by the name that the reader knows.
        pub model: Text<'a> = "model",
        /// The conversation.
        pub messages: Vec<Message<'a>> = "messages" always,
        /// The bound on the answer's tokens, reasoning included. Read [`token_limit`](Request::token_limit), which
        /// also knows the older name.
        pub max_completion_tokens: Option<u64> = "max_completion_tokens",
        /// The older name of `max_completion_tokens`.
        pub max_tokens: Option<u64> = "max_tokens",
        /// Whether a stream is wanted.
        pub stream: Option<bool> = "stream",
        /// What a stream should carry.
        pub stream_options: Option<StreamOptions<'a>> = "stream_options",
        /// Where to stop.
        pub stop: Option<Stop<'a>> = "stop",
        /// Sampling temperature, 0 to 2.
        pub temperature: Option<Number> = "temperature",
        /// Nucleus sampling.
        pub top_p: Option<Number> = "top_p",
        /// Extension: sample from so many candidates.
        pub top_k: Option<Number> = "top_k",
        /// How many answers.
        pub n: Option<u64> = "n",
        /// The tools that the model may call.
        pub tools: Vec<Tool<'a>> = "tools",
        /// Which of them it should call.
        pub tool_choice: Option<ToolChoice<'a>> = "tool_choice",
        /// Whether it may call several at once.
        pub parallel_tool_calls: Option<bool> = "parallel_tool_calls",
        /// What the answer must look like.
        pub response_format: Option<ResponseFormat<'a>> = "response_format",
        /// How hard to think: `none`, `minimal`, `low`, `medium`, `high`, `xhigh`.
        pub reasoning_effort: Option<Text<'a>> = "reasoning_effort",
        /// Extension: Anthropic's `thinking`, as it is. It says more than `reasoning_effort` and wins over it.
        pub thinking: Option<Json<'a>> = "thinking",
        /// Who is asking, as an opaque name.
        pub user: Option<Text<'a>> = "user",
    }

    /// The part of a request that says what a stream should carry.
    pub struct StreamOptions<'a> {
        /// Whether the caller wants the last chunk with the usage. Plugins need not look: see [`Chunk`](super::Chunk).
        pub include_usage: Option<bool> = "include_usage",
    }

    /// One message of a conversation, or the message of an answer.
    ///
    /// ```
    /// use plugway_sdk::chat::{Content, Message};
    ///
    /// let message: Message = serde_json::from_str(
    ///     r#"{"role": "assistant", "content": null, "tool_calls": [
    ///         {"id": "call_1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
    ///     ]}"#,
    /// )?;
    /// assert!(message.content.is_none());
    /// assert_eq!(message.tool_calls[0].function.name, "now");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct Message<'a> {
        /// `system`, `developer`, `user`, `assistant` or `tool`.
        pub role: Text<'a> = "role",
        /// What it says; null where there are only tool calls.
        pub content: Option<Content<'a>> = "content" always,
        /// The name of the speaker.
        pub name: Option<Text<'a>> = "name",
        /// What the model said instead of an answer.
        pub refusal: Option<Text<'a>> = "refusal",
        /// Extension: the reasoning as one flat text.
        pub reasoning_content: Option<Text<'a>> = "reasoning_content",
        /// Extension: the reasoning without loss, for handing back.
        pub reasoning_details: Vec<ReasoningDetail<'a>> = "reasoning_details",
        /// What the model wants called.
        pub tool_calls: Vec<ToolCall<'a>> = "tool_calls",
        /// In a `tool` message, the call that it answers.
        pub tool_call_id: Option<Text<'a>> = "tool_call_id",
        /// Extension, in a `tool` message: the call failed.
        pub is_error: Option<bool> = "is_error",
        /// Extension: a mark for prompt caches at the end of this message.
        pub cache_control: Option<Json<'a>> = "cache_control",
        /// Extension: the sources of the text, as the upstream gave them.
        pub citations: Vec<Json<'a>> = "citations",
        /// Extension: how the text lay in blocks, where that is not plain.
        pub text_blocks: Vec<TextBlock<'a>> = "text_blocks",
        /// Extension: blocks that have no canonical form.
        pub native_blocks: Vec<NativeBlock<'a>> = "native_blocks",
    }

    /// One part of a message's content: `text`, `image_url`, `input_audio`, `file`, `refusal`, or the extension
    /// `native`.
    ///
    /// ```
    /// use plugway_sdk::chat::ContentPart;
    ///
    /// let part: ContentPart =
    ///     serde_json::from_str(r#"{"type": "image_url", "image_url": {"url": "https://acme.example/cat.png"}}"#)?;
    /// assert_eq!(part.image_url.unwrap().url, "https://acme.example/cat.png");
    /// assert_eq!(serde_json::to_string(&ContentPart::text("hi"))?, r#"{"type":"text","text":"hi"}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct ContentPart<'a> {
        /// Which of the members below it has.
        pub kind: Text<'a> = "type",
        /// Of a `text` part. Possibly empty, never left out there.
        pub text: Option<Text<'a>> = "text",
        /// Of an `image_url` part.
        pub image_url: Option<ImageUrl<'a>> = "image_url",
        /// Of an `input_audio` part: `{"data", "format"}`.
        pub input_audio: Option<Json<'a>> = "input_audio",
        /// Of a `file` part.
        pub file: Option<File<'a>> = "file",
        /// Of a `refusal` part.
        pub refusal: Option<Text<'a>> = "refusal",
        /// Of a `native` part (extension): a block that has no canonical form, as it is.
        pub block: Option<Json<'a>> = "block",
        /// Extension: a mark for prompt caches at the end of this part.
        pub cache_control: Option<Json<'a>> = "cache_control",
        /// Extension, of a `text` part: its sources.
        pub citations: Option<Json<'a>> = "citations",
        /// Extension: members of the dialect that it came from, which have no canonical name.
        pub native: Option<Json<'a>> = "native",
    }

    /// An image, by its address or as a `data:` URL.
    pub struct ImageUrl<'a> {
        /// `https://…` or `data:image/png;base64,…`.
        pub url: Text<'a> = "url",
        /// `auto`, `low` or `high`.
        pub detail: Option<Text<'a>> = "detail",
    }

    /// A file.
    pub struct File<'a> {
        /// Its content as a `data:` URL.
        pub file_data: Option<Text<'a>> = "file_data",
        /// Its name at the provider's own store.
        pub file_id: Option<Text<'a>> = "file_id",
        /// Extension: its address.
        pub file_url: Option<Text<'a>> = "file_url",
        /// What to call it.
        pub filename: Option<Text<'a>> = "filename",
    }

    /// A call of a tool that the model asks for; in a stream, a piece of one.
    pub struct ToolCall<'a> {
        /// In a stream, which call this is a piece of.
        pub index: Option<u64> = "index",
        /// The name by which the result refers to the call.
        pub id: Option<Text<'a>> = "id",
        /// `function`.
        pub kind: Option<Text<'a>> = "type",
        /// What to call.
        pub function: FunctionCall<'a> = "function" always,
        /// Extension: a mark for prompt caches at the end of this call.
        pub cache_control: Option<Json<'a>> = "cache_control",
        /// Extension: members of the dialect that it came from, which have no canonical name.
        pub native: Option<Json<'a>> = "native",
    }

    /// The function that a tool call names. Always written whole, but for the name, which only the first piece of a
    /// streamed call has.
    pub struct FunctionCall<'a> {
        /// The function's name.
        pub name: Text<'a> = "name",
        /// Its arguments: JSON, as a string.
        pub arguments: Text<'a> = "arguments" always,
    }

    /// A piece of reasoning that can be handed back.
    ///
    /// ```
    /// use plugway_sdk::chat::ReasoningDetail;
    ///
    /// let detail = ReasoningDetail::text("Let me see.", Some("c2lnbmVk".into()), 0);
    /// assert_eq!(
    ///     serde_json::to_string(&detail)?,
    ///     r#"{"type":"reasoning.text","text":"Let me see.","signature":"c2lnbmVk","index":0}"#,
    /// );
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub struct ReasoningDetail<'a> {
        /// `reasoning.text` or `reasoning.encrypted`.
        pub kind: Text<'a> = "type",
        /// The text, of `reasoning.text`.
        pub text: Option<Text<'a>> = "text",
        /// What proves to the upstream that the text is its own.
        pub signature: Option<Text<'a>> = "signature",
        /// What only the upstream can read, of `reasoning.encrypted`.
        pub data: Option<Text<'a>> = "data",
        /// The position of the block in the answer; pieces of a stream with the same index belong together.
        pub index: Option<u64> = "index",
    }

    /// How one block of the text lay in the answer: at which position, how many characters (Unicode scalar values) of
    /// the text it has, and how many of the citations.
    pub struct TextBlock<'a> {
        /// The position of the block in the answer.
        pub index: u64 = "index",
        /// How many characters. Absent while a stream has not come to its end.
        pub length: Option<u64> = "length",
        /// How many citations.
        pub citations: Option<u64> = "citations",
    }

    /// A block that has no canonical form, such as a search that the upstream ran by itself.
    pub struct NativeBlock<'a> {
        /// The position of the block in the answer; pieces of a stream with the same index belong together.
        pub index: u64 = "index",
        /// The block, as it is.
        pub block: Option<Json<'a>> = "block",
        /// In a stream, the next piece of the JSON text of the block's `input`.
        pub partial_json: Option<Text<'a>> = "partial_json",
    }

    /// A tool that the model may call. Kinds other than `function` are carried as they are, in `extra`.
    pub struct Tool<'a> {
        /// `function`.
        pub kind: Text<'a> = "type",
        /// What can be called.
        pub function: Option<Function<'a>> = "function",
        /// Extension: a mark for prompt caches at the end of this tool.
        pub cache_control: Option<Json<'a>> = "cache_control",
        /// Extension: members of the dialect that it came from, which have no canonical name.
        pub native: Option<Json<'a>> = "native",
    }

    /// A function that the model may call.
    pub struct Function<'a> {
        /// Its name.
        pub name: Text<'a> = "name",
        /// What it does, for the model.
        pub description: Option<Text<'a>> = "description",
        /// JSON Schema of its arguments.
        pub parameters: Option<Json<'a>> = "parameters",
        /// Whether the arguments must follow the schema to the letter.
        pub strict: Option<bool> = "strict",
    }

    /// The long form of `tool_choice`.
    pub struct NamedTool<'a> {
        /// `function`.
        pub kind: Text<'a> = "type",
        /// Which one.
        pub function: Option<NamedFunction<'a>> = "function",
    }

    /// A function by its name.
    pub struct NamedFunction<'a> {
        /// Its name.
        pub name: Text<'a> = "name",
    }

    /// What the answer must look like.
    pub struct ResponseFormat<'a> {
        /// `text`, `json_object` or `json_schema`.
        pub kind: Text<'a> = "type",
        /// Of `json_schema`.
        pub json_schema: Option<JsonSchema<'a>> = "json_schema",
    }

    /// A named schema for the answer.
    pub struct JsonSchema<'a> {
        /// A label.
        pub name: Text<'a> = "name",
        /// What the answer is, for the model.
        pub description: Option<Text<'a>> = "description",
        /// The schema.
        pub schema: Option<Json<'a>> = "schema",
        /// Whether the answer must follow the schema to the letter.
        pub strict: Option<bool> = "strict",
    }
}

impl Request<'_> {
    /// The bound on the answer's tokens under either of its names; the newer one wins.
    pub fn token_limit(&self) -> Option<u64> {
        self.max_completion_tokens.or(self.max_tokens)
    }
}

impl<'a> Message<'a> {
    /// A message of this role that says this.
    pub fn new(role: &'a str, text: impl Into<Text<'a>>) -> Self {
        Message { role: role.into(), content: Some(TextOr::Text(text.into())), ..Message::default() }
    }
}

impl<'a> ContentPart<'a> {
    /// A part that is text.
    pub fn text(text: impl Into<Text<'a>>) -> Self {
        ContentPart { kind: "text".into(), text: Some(text.into()), ..ContentPart::default() }
    }
}

impl<'a> ReasoningDetail<'a> {
    /// Reasoning that can be read, with what proves it genuine where that is known.
    pub fn text(text: impl Into<Text<'a>>, signature: Option<Text<'a>>, index: u64) -> Self {
        ReasoningDetail {
            kind: "reasoning.text".into(),
            text: Some(text.into()),
            signature,
            index: Some(index),
            ..ReasoningDetail::default()
        }
    }

    /// Reasoning that only the upstream can read.
    pub fn encrypted(data: impl Into<Text<'a>>, index: u64) -> Self {
        ReasoningDetail {
            kind: "reasoning.encrypted".into(),
            data: Some(data.into()),
            index: Some(index),
            ..ReasoningDetail::default()
        }
    }
}

impl<'a> ToolCall<'a> {
    /// A call of a function.
    ///
    /// ```
    /// use plugway_sdk::chat::ToolCall;
    ///
    /// let call = ToolCall::function("call_1", "weather", r#"{"city":"Oslo"}"#);
    /// assert_eq!(call.function.arguments, r#"{"city":"Oslo"}"#);
    /// ```
    pub fn function(id: impl Into<Text<'a>>, name: impl Into<Text<'a>>, arguments: impl Into<Text<'a>>) -> Self {
        ToolCall {
            id: Some(id.into()),
            kind: Some("function".into()),
            function: FunctionCall { name: name.into(), arguments: arguments.into(), ..FunctionCall::default() },
            ..ToolCall::default()
        }
    }
}

impl super::view::Member for FunctionCall<'_> {
    fn is_absent(&self) -> bool {
        false
    }
}
