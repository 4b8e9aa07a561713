//! The conversation: canonical messages as a system prompt and turns that alternate.

use crate::assistant::{self, Purpose};
use crate::parts;
use crate::path::Path;
use crate::wire::{Block, Content, Turn};
use plugway_sdk::Problem;
use plugway_sdk::chat::{Json, Message, TextOr};

pub(crate) struct Conversation<'a> {
    pub(crate) system: Option<Content<'a>>,
    pub(crate) turns: Vec<Turn<'a>>,
}

pub(crate) fn encode<'a>(messages: Vec<Message<'a>>, dropped: &mut Vec<String>) -> Result<Conversation<'a>, Problem> {
    let mut conversation = Conversation { system: None, turns: Vec::new() };
    for (position, message) in messages.into_iter().enumerate() {
        let path = Path::item_of("messages", position);
        name_losses(&message, &path, dropped);
        match &*message.role {
            // Anthropic has one place for instructions, before the conversation.
            "system" | "developer" => {
                let content = content(message, &path, dropped)?;
                only_text(&content, &path)?;
                join(&mut conversation.system, content);
            }
            "user" => {
                let content = content(message, &path, dropped)?;
                conversation.push("user", content);
            }
            "assistant" => conversation.push("assistant", said(message, &path, dropped)?),
            "tool" => conversation.push_result(tool_result(message, &path, dropped)?),
            other => {
                let at = format!("{path}.role");
                let message = format!("{at}: `{other}` must be system, developer, user, assistant or tool");
                return Err(Problem::invalid(message).at(at));
            }
        }
    }
    if conversation.turns.is_empty() {
        return Err(Problem::invalid("messages: at least one must say something to the model").at("messages"));
    }
    Ok(conversation)
}

impl<'a> Conversation<'a> {
    /// Adds to the last turn where it is of the same role. What says nothing is left out: Anthropic refuses it.
    fn push(&mut self, role: &'static str, content: Option<Content<'a>>) {
        let Some(content) = content else { return };
        match self.turns.last_mut() {
            Some(last) if last.role == role => join(&mut last.content, Some(content)),
            _ => self.turns.push(Turn { role: role.into(), content: Some(content), ..Turn::default() }),
        }
    }

    /// Results come first in their turn, whatever the user said between the call and its result.
    fn push_result(&mut self, result: Block<'a>) {
        self.push("user", Some(Content::Full(Vec::new())));
        let Some(Turn { content: Some(Content::Full(blocks)), .. }) = self.turns.last_mut() else { return };
        let results = blocks.iter().take_while(|block| block.kind == "tool_result").count();
        blocks.insert(results, result);
    }
}

fn join<'a>(first: &mut Option<Content<'a>>, second: Option<Content<'a>>) {
    let Some(second) = second else { return };
    *first = Some(match first.take() {
        None => second,
        Some(first) => {
            let mut blocks = blocks(first);
            blocks.extend(self::blocks(second));
            Content::Full(blocks)
        }
    });
}

fn blocks(content: Content<'_>) -> Vec<Block<'_>> {
    match content {
        TextOr::Text(text) => vec![Block::text(text)],
        TextOr::Full(blocks) => blocks,
    }
}

/// Members that have no place in Anthropic's messages.
fn name_losses(message: &Message<'_>, path: &Path<'_>, dropped: &mut Vec<String>) {
    if message.name.is_some() {
        dropped.push(format!("{path}.name"));
    }
    // What OpenAI writes into answers and callers hand back; links are also in the text.
    const PART_OF_ANSWERS: [&str; 1] = ["annotations"];
    for (name, value) in message.extra.iter() {
        if !PART_OF_ANSWERS.contains(&name) && !value.is_blank() && name != "audio" {
            dropped.push(format!("{path}.{name}"));
        }
    }
}

/// What a message says; None where that is nothing.
fn content<'a>(
    message: Message<'a>,
    path: &Path<'_>,
    dropped: &mut Vec<String>,
) -> Result<Option<Content<'a>>, Problem> {
    let mark = message.cache_control;
    let blocks = match message.content {
        Some(TextOr::Text(text)) if text.is_empty() => return Ok(None),
        Some(TextOr::Text(text)) if mark.is_none() => return Ok(Some(TextOr::Text(text))),
        Some(TextOr::Text(text)) => vec![Block::text(text)],
        Some(TextOr::Full(parts)) => {
            let mut blocks = Vec::with_capacity(parts.len());
            for (position, part) in parts.into_iter().enumerate() {
                blocks.extend(parts::to_block(part, &path.item("content", position), dropped)?);
            }
            blocks
        }
        None => return Ok(None),
    };
    Ok(Some(marked(blocks, mark)).filter(|blocks| !blocks.is_empty()).map(TextOr::Full))
}

/// A mark on a message is one on its last block.
fn marked<'a>(mut blocks: Vec<Block<'a>>, mark: Option<Json<'a>>) -> Vec<Block<'a>> {
    if let (Some(last), Some(mark)) = (blocks.last_mut(), mark) {
        last.cache_control.get_or_insert(mark);
    }
    blocks
}

fn only_text(content: &Option<Content<'_>>, path: &Path<'_>) -> Result<(), Problem> {
    let Some(TextOr::Full(blocks)) = content else { return Ok(()) };
    match blocks.iter().position(|block| block.kind != "text") {
        None => Ok(()),
        Some(position) => {
            let at = format!("{path}.content[{position}]");
            Err(Problem::invalid(format!("{at}: instructions must be text for this model's API")).at(at))
        }
    }
}

fn said<'a>(
    mut message: Message<'a>,
    path: &Path<'_>,
    dropped: &mut Vec<String>,
) -> Result<Option<Content<'a>>, Problem> {
    if message.extra.get("audio").is_some_and(|audio| !audio.is_blank()) {
        let at = format!("{path}.audio");
        return Err(Problem::invalid(format!("{at}: this model's API cannot take audio")).at(at));
    }
    let mark = message.cache_control.take();
    let mut blocks = assistant::to_blocks(message, Purpose::Request, path, dropped)?;
    if mark.is_none() && blocks.len() == 1 && is_plain_text(&blocks[0]) {
        return Ok(blocks.pop().and_then(|block| block.text).map(TextOr::Text));
    }
    Ok(Some(marked(blocks, mark)).filter(|blocks| !blocks.is_empty()).map(TextOr::Full))
}

fn is_plain_text(block: &Block<'_>) -> bool {
    block.kind == "text" && block.citations.is_none() && block.cache_control.is_none() && block.extra.is_empty()
}

fn tool_result<'a>(mut message: Message<'a>, path: &Path<'_>, dropped: &mut Vec<String>) -> Result<Block<'a>, Problem> {
    let Some(id) = message.tool_call_id.take() else {
        let at = format!("{path}.tool_call_id");
        return Err(Problem::invalid(format!("{at}: is missing")).at(at));
    };
    let mut block = Block {
        tool_use_id: Some(id),
        is_error: message.is_error,
        cache_control: message.cache_control.take(),
        ..Block::of("tool_result")
    };
    block.content = content(message, path, dropped)?.map(|content| Json::of(&content));
    Ok(block)
}
