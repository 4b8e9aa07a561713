//! The little that is read of a conversation.

use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Message {
    role: String,
    /// An assistant's message that only calls tools has none.
    #[serde(default)]
    content: Option<Content>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Content {
    Text(String),
    Parts(Vec<Part>),
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    text: Option<String>,
}

/// What the other side said last: a user's message or a tool's result. A conversation with neither, say a lone system
/// prompt, is taken by its last message.
pub(crate) fn last_said(messages: &[Message]) -> Option<&Message> {
    let said = messages.iter().rfind(|message| matches!(message.role.as_str(), "user" | "tool"));
    said.or(messages.last())
}

impl Message {
    /// The text, with a mark in the place of whatever is no text.
    pub(crate) fn text(&self) -> String {
        match &self.content {
            None => String::new(),
            Some(Content::Text(text)) => text.clone(),
            Some(Content::Parts(parts)) => parts.iter().map(Part::text).collect::<Vec<_>>().join("\n"),
        }
    }
}

impl Part {
    fn text(&self) -> String {
        match (&self.text, self.kind.as_str()) {
            (Some(text), _) => text.clone(),
            (None, "image_url") => "[image]".to_owned(),
            (None, kind) => format!("[{kind}]"),
        }
    }
}
