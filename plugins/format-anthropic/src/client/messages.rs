//! The conversation: a system prompt and turns as canonical messages.

use crate::assistant::{self, Purpose};
use crate::parts;
use crate::path::Path;
use crate::wire::{Block, Content, Turn};
use plugway_sdk::Problem;
use plugway_sdk::chat::{self, Json, Message, Text, TextOr};

pub(crate) fn decode<'a>(system: Option<Content<'a>>, turns: Vec<Turn<'a>>) -> Result<Vec<Message<'a>>, Problem> {
    let mut messages = Vec::with_capacity(turns.len() + 1);
    messages.extend(system.and_then(|system| heard("system", system)));
    for (position, turn) in turns.into_iter().enumerate() {
        let Some(content) = turn.content else {
            let at = format!("messages[{position}].content");
            return Err(Problem::invalid(format!("{at}: Field required")).at(at));
        };
        match &*turn.role {
            "user" => user(content, position, &mut messages)?,
            "assistant" => messages.push(said(content)),
            "system" => messages.extend(heard("system", content)),
            other => {
                let at = format!("messages[{position}].role");
                return Err(Problem::invalid(format!("{at}: `{other}` must be user or assistant")).at(at));
            }
        }
    }
    Ok(messages)
}

/// Results of tools are messages of their own in the canonical form, and they come right after the call.
fn user<'a>(content: Content<'a>, turn: usize, messages: &mut Vec<Message<'a>>) -> Result<(), Problem> {
    let blocks = match content {
        TextOr::Text(text) => {
            messages.push(Message::new("user", text));
            return Ok(());
        }
        TextOr::Full(blocks) => blocks,
    };
    let mut rest = Vec::with_capacity(blocks.len());
    for (position, block) in blocks.into_iter().enumerate() {
        match &*block.kind {
            "tool_result" => {
                messages.push(tool_result(block, &Path::item_of("messages", turn).item("content", position))?)
            }
            _ => rest.push(block),
        }
    }
    messages.extend(heard("user", TextOr::Full(rest)));
    Ok(())
}

fn heard<'a>(role: &'static str, content: Content<'a>) -> Option<Message<'a>> {
    let content = match content {
        TextOr::Text(text) => TextOr::Text(text),
        TextOr::Full(blocks) if blocks.is_empty() => return None,
        TextOr::Full(blocks) => TextOr::Full(blocks.into_iter().map(parts::from_block).collect()),
    };
    Some(Message { role: role.into(), content: Some(content), ..Message::default() })
}

fn said(content: Content<'_>) -> Message<'_> {
    match content {
        TextOr::Text(text) => Message::new("assistant", text),
        TextOr::Full(blocks) => assistant::from_blocks(blocks, Purpose::Request),
    }
}

fn tool_result<'a>(block: Block<'a>, path: &Path<'_>) -> Result<Message<'a>, Problem> {
    let content = match block.content {
        Some(content) => result_content(&content, path)?,
        None => TextOr::Text(Text::default()),
    };
    Ok(Message {
        role: "tool".into(),
        content: Some(content),
        tool_call_id: block.tool_use_id,
        is_error: block.is_error,
        cache_control: block.cache_control,
        ..Message::default()
    })
}

/// A string, or blocks.
fn result_content<'a>(content: &Json<'a>, path: &Path<'_>) -> Result<chat::Content<'a>, Problem> {
    let wrong = |error: String| {
        let at = format!("{path}.content");
        Problem::invalid(format!("{at}: must be a string or content blocks: {error}")).at(at)
    };
    let text = content.in_body().ok_or_else(|| wrong("it is not part of the request".to_owned()))?;
    Ok(match serde_json::from_str::<Content<'a>>(text).map_err(|error| wrong(error.to_string()))? {
        TextOr::Text(text) => TextOr::Text(text),
        TextOr::Full(blocks) => TextOr::Full(blocks.into_iter().map(parts::from_block).collect()),
    })
}
