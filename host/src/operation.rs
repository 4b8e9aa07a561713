//! What a caller can ask for, by the names that `allowed_requests` uses.

use std::fmt;
use std::str::FromStr;

macro_rules! operations {
    ($($variant:ident => $name:literal),+ $(,)?) => {
        /// One operation of the OpenAI-shaped API. Whether it is streamed is said beside it, not in it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Operation {
            $($variant),+
        }

        impl Operation {
            pub const ALL: &[Operation] = &[$(Operation::$variant),+];

            /// The name in configurations and in calls of plugins.
            pub fn name(self) -> &'static str {
                match self {
                    $(Operation::$variant => $name),+
                }
            }
        }
    };
}

operations! {
    ListModels => "list_models",
    TextCompletion => "text_completion",
    ChatCompletion => "chat_completion",
    Responses => "responses",
    Embedding => "embedding",
    Speech => "speech",
    Transcription => "transcription",
    ImageGeneration => "image_generation",
    Moderation => "moderation",
    Rerank => "rerank",
    CountTokens => "count_tokens",
    Realtime => "realtime",
    Batch => "batch",
    File => "file",
}

impl Operation {
    /// Whether `<name>_stream` is an operation of its own.
    pub fn has_stream(self) -> bool {
        use Operation::{ChatCompletion, Responses, Speech, TextCompletion, Transcription};
        matches!(self, TextCompletion | ChatCompletion | Responses | Speech | Transcription)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

#[derive(Debug, PartialEq)]
pub struct UnknownOperation;

impl FromStr for Operation {
    type Err = UnknownOperation;

    fn from_str(name: &str) -> Result<Self, UnknownOperation> {
        Operation::ALL.iter().copied().find(|operation| operation.name() == name).ok_or(UnknownOperation)
    }
}
