//! The canonical chat form, as far as the host must know it: where a request says which model and whether to stream, and
//! what a stream chunk means for the stream's fate. Everything else in it is the plugins' business.

mod chunk;
mod error;
mod event;
mod gathered;
mod members;
mod usage;
mod whole;

pub use chunk::{ChunkFacts, ReplyFacts, glance, inspect_chunk, inspect_members, inspect_reply, is_only_usage};
pub use error::ReportedError;
pub use event::{Vocabulary, inspect_event};
pub use gathered::Gathered;
pub use members::Members;
pub use usage::Usage;
pub use whole::as_stream;

/// The canonical dialect, by the name that plugins use.
pub const DIALECT: &str = "openai-chat";
/// What ends a stream of the canonical dialect.
pub const DONE: &str = "[DONE]";
