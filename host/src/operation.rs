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
    Translation => "translation",
    ImageGeneration => "image_generation",
    ImageEdit => "image_edit",
    ImageVariation => "image_variation",
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
        use Operation::{ChatCompletion, Responses, TextCompletion};
        matches!(self, TextCompletion | ChatCompletion | Responses) || self.streams_events()
    }

    /// Whether its stream is made of events that say their type, rather than of chunks.
    pub fn streams_events(self) -> bool {
        use Operation::{ImageEdit, ImageGeneration, Speech, Transcription};
        matches!(self, Speech | Transcription | ImageGeneration | ImageEdit)
    }

    /// The word by which its requests ask for a stream, where they do not say yes or no.
    pub fn stream_word(self) -> Option<&'static str> {
        // All speech may come in pieces; what is asked for is whether they come as events.
        (self == Operation::Speech).then_some("sse")
    }

    /// Whether callers may send a form, in which files stand, instead of JSON.
    pub fn takes_form(self) -> bool {
        use Operation::{File, ImageEdit, ImageVariation, Transcription, Translation};
        matches!(self, Transcription | Translation | ImageEdit | ImageVariation | File)
    }

    /// Whether a good answer may be something else than JSON: sound, or a text.
    pub fn answers_in_bytes(self) -> bool {
        use Operation::{File, Speech, Transcription, Translation};
        matches!(self, Speech | Transcription | Translation | File)
    }

    /// Whether a service has a model of its own for requests that name none.
    pub fn goes_without_model(self) -> bool {
        use Operation::{ImageEdit, ImageGeneration, ImageVariation, Moderation};
        matches!(self, Moderation | ImageGeneration | ImageEdit | ImageVariation)
    }

    /// The operation that says the same in other words: what a provider is asked for which does not serve this one.
    pub fn in_other_words(self) -> Option<Operation> {
        (self == Operation::Responses).then_some(Operation::ChatCompletion)
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
