//! A message without its extension members.

use super::request::cannot_say;
use plugway_sdk::Problem;
use plugway_sdk::chat::{Extra, Json, Text};

/// A mark for prompt caches. Services of this dialect cache without being told to, so what it asks for happens anyway:
/// it is not among the losses.
pub(super) const CACHE_MARK: &str = "cache_control";

/// What an answer had beyond OpenAI's form, handed back by the caller. No caller of this dialect could hand it back, so
/// nothing is lost that a conversation in it would have had.
const ECHOES: [&str; 4] = ["reasoning_content", "reasoning_details", "text_blocks", "citations"];

pub(super) fn encode_all<'a>(
    mut messages: Vec<Extra<'a>>,
    dropped: &mut Vec<String>,
) -> Result<Vec<Extra<'a>>, Problem> {
    for (position, message) in messages.iter_mut().enumerate() {
        encode(message, position, dropped)?;
    }
    Ok(messages)
}

fn encode(message: &mut Extra<'_>, position: usize, dropped: &mut Vec<String>) -> Result<(), Problem> {
    message.take(CACHE_MARK);
    for echo in ECHOES {
        message.take(echo);
    }
    if message.take("native_blocks").is_some_and(|blocks| !blocks.is_blank()) {
        let what = "what another API's own tools have brought";
        return Err(cannot_say(format!("messages[{position}].native_blocks"), what));
    }
    let failed = message.take("is_error").is_some_and(|failed| failed.text() == "true");
    if let Some(parts) = list(message, "content") {
        let parts = encode_parts(parts, position, dropped)?;
        message.set("content", Json::of(&parts));
    }
    if failed {
        let content = failure(message);
        message.set("content", content);
    }
    if let Some(mut calls) = list(message, "tool_calls") {
        for call in &mut calls {
            call.take(CACHE_MARK);
            // An echo too: how the other service came to call the tool.
            call.take("native");
        }
        message.set("tool_calls", Json::of(&calls));
    }
    Ok(())
}

/// The items of a member that is a list of objects.
fn list<'a>(message: &Extra<'a>, member: &str) -> Option<Vec<Extra<'a>>> {
    let text = message.get(member)?.in_body()?;
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

fn encode_parts<'a>(
    mut parts: Vec<Extra<'a>>,
    message: usize,
    dropped: &mut Vec<String>,
) -> Result<Vec<Extra<'a>>, Problem> {
    for (position, part) in parts.iter_mut().enumerate() {
        let at = || format!("messages[{message}].content[{position}]");
        if part.get("type").is_some_and(|kind| kind.text() == "\"native\"") {
            return Err(cannot_say(at(), "a block of another API's own"));
        }
        if let Some(file) = part.get("file") {
            let file: Extra<'_> = file.read().unwrap_or_default();
            if file.get("file_url").is_some_and(|url| !url.is_null()) {
                return Err(cannot_say(format!("{}.file.file_url", at()), "the address of a file; send its content"));
            }
        }
        part.take(CACHE_MARK);
        part.take("citations");
        if let Some(native) = part.take("native") {
            name_members(&at(), &native, dropped);
        }
    }
    Ok(parts)
}

/// Names the members of a `native` object as its dialect has them: where the object lies.
pub(super) fn name_members(at: &str, native: &Json<'_>, dropped: &mut Vec<String>) {
    let members = native.read::<Extra<'_>>().unwrap_or_default();
    dropped.extend(members.iter().map(|(name, _)| format!("{at}.{name}")));
}

/// The content of a tool's result that says in words that the call failed; OpenAI has no other way.
fn failure<'a>(message: &Extra<'a>) -> Json<'a> {
    const WORD: &str = "Error";
    let Some(content) = message.get("content").filter(|content| !content.is_blank()) else { return Json::of(&WORD) };
    if let Ok(text) = content.read::<Text<'_>>() {
        let says_so = text.get(..WORD.len()).is_some_and(|start| start.eq_ignore_ascii_case(WORD));
        return if says_so { content.clone() } else { Json::of(&format!("{WORD}: {}", &*text)) };
    }
    let mut parts: Vec<Json<'_>> = content.read().unwrap_or_default();
    parts.insert(0, Json::of(&plugway_sdk::chat::ContentPart::text(WORD)));
    Json::of(&parts)
}
