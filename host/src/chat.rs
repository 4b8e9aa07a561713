//! The canonical chat form, as far as the host must know it: where a request says which model and whether to stream, and
//! what a stream chunk means for the stream's fate. Everything else in it is the plugins' business.

mod chunk;
mod error;
mod gathered;
mod members;
mod whole;

pub use chunk::{ChunkFacts, Usage, glance, inspect_chunk, inspect_reply, is_only_usage};
pub use error::ReportedError;
pub use gathered::Gathered;
pub use members::Members;
pub use whole::as_chunks;

/// The canonical dialect, by the name that plugins use.
pub const DIALECT: &str = "openai-chat";
/// What ends a stream of the canonical dialect.
pub const DONE: &str = "[DONE]";
