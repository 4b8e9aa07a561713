//! Typed views of the canonical form: OpenAI's Chat Completions JSON with Plugway's extension members, as
//! `wit/README.md` describes it.
//!
//! The views borrow from the body that they are read from and keep what they have no name for, so that reading and
//! writing loses nothing:
//!
//! ```
//! use plugway_sdk::chat::Request;
//!
//! let body = r#"{"model":"gpt-4o","messages":[{"role":"user","content":"Hello","mood":"good"}],"brand_new":[1,2]}"#;
//! let request: Request = serde_json::from_str(body)?;
//! assert_eq!(request.messages[0].role, "user");
//! assert_eq!(request.extra.get("brand_new").unwrap().text(), "[1,2]");
//! assert_eq!(serde_json::to_string(&request)?, body);
//! # Ok::<(), serde_json::Error>(())
//! ```
//!
//! Plugins declare views of their own dialect in the same way with [`json_view!`](crate::json_view).

mod head;
mod reply;
mod request;
mod view;
mod write;

pub use head::Head;
pub use reply::{Choice, Chunk, Delta, DeltaChoice, ErrorReply, ErrorReplyBody, Response, TokenDetails, Usage};
pub use request::{
    Content, ContentPart, File, Function, FunctionCall, ImageUrl, JsonSchema, Message, NamedFunction, NamedTool,
    NativeBlock, ReasoningDetail, Request, ResponseFormat, Stop, StreamOptions, TextBlock, Tool, ToolCall, ToolChoice,
};
pub use view::{Extra, Json, Member, Text, TextOr};
pub use write::{push_number, push_text};

/// The call's time in seconds since 1970-01-01T00:00:00Z, for the `created` of answers whose upstream gives none. In a
/// component this is the host's clock for the call, so a call that is replayed gives the same; in native tests it is 0.
pub fn now() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_secs());
    #[cfg(not(target_arch = "wasm32"))]
    0
}
