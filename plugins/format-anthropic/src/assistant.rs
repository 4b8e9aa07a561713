//! What the assistant said, as a canonical message and as Anthropic's blocks. Both directions serve both halves: the
//! message of an answer and the same message handed back in the next request.
//!
//! Anthropic's blocks stand in one order; the canonical form has a member for each kind. So what has a place of its own
//! carries it as `index`, and the rest (text, then tool calls) fills the places that are left.

use crate::parts;
use crate::path::Path;
use crate::wire::Block;
use plugway_sdk::Problem;
use plugway_sdk::chat::{
    Content, ContentPart, Json, Message, NativeBlock, ReasoningDetail, Text, TextBlock, TextOr, ToolCall,
};
use std::collections::VecDeque;

/// Which of the two a message is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Purpose {
    /// Part of a request: reasoning without a signature is refused upstream, so it is dropped and named.
    Request,
    /// An answer: everything is shown.
    Reply,
}

/// A canonical message as blocks. `path` is where it stands in the body.
pub(crate) fn to_blocks<'a>(
    message: Message<'a>,
    purpose: Purpose,
    path: &Path<'_>,
    dropped: &mut Vec<String>,
) -> Result<Vec<Block<'a>>, Problem> {
    let Message {
        content,
        refusal,
        reasoning_content,
        reasoning_details,
        tool_calls,
        citations,
        text_blocks,
        native_blocks,
        ..
    } = message;
    let mut layout = Layout::default();
    reasoning(reasoning_content, reasoning_details, purpose, path, dropped, &mut layout);
    for NativeBlock { index, block, .. } in native_blocks {
        if let Some(block) = block {
            layout.place(Some(index), Block::read(&block));
        }
    }
    let texts = texts(content, refusal, path, dropped)?;
    place_texts(texts, &text_blocks, citations, &mut layout);
    for (position, call) in tool_calls.into_iter().enumerate() {
        layout.place(None, tool_use(call, &path.item("tool_calls", position))?);
    }
    Ok(layout.in_order())
}

/// Blocks with and without a place of their own.
#[derive(Default)]
struct Layout<'a> {
    placed: Vec<(u64, Block<'a>)>,
    rest: VecDeque<Block<'a>>,
}

impl<'a> Layout<'a> {
    fn place(&mut self, index: Option<u64>, block: Block<'a>) {
        match index {
            Some(index) => self.placed.push((index, block)),
            None => self.rest.push_back(block),
        }
    }

    fn in_order(mut self) -> Vec<Block<'a>> {
        self.placed.sort_by_key(|(index, _)| *index);
        let mut blocks = Vec::with_capacity(self.placed.len() + self.rest.len());
        let mut placed = self.placed.into_iter().peekable();
        loop {
            let next = placed.next_if(|(index, _)| *index <= blocks.len() as u64 || self.rest.is_empty());
            match next.map(|(_, block)| block).or_else(|| self.rest.pop_front()) {
                Some(block) => blocks.push(block),
                None => return blocks,
            }
        }
    }
}

fn reasoning<'a>(
    flat: Option<Text<'a>>,
    details: Vec<ReasoningDetail<'a>>,
    purpose: Purpose,
    path: &Path<'_>,
    dropped: &mut Vec<String>,
    layout: &mut Layout<'a>,
) {
    let mut in_full = false;
    for (position, detail) in details.into_iter().enumerate() {
        let index = Some(detail.index.unwrap_or(0));
        let signature = detail.signature.filter(|signature| !signature.is_empty());
        match (&*detail.kind, signature, detail.data) {
            ("reasoning.text", Some(signature), _) => {
                layout.place(index, Block::thinking(detail.text.unwrap_or_default(), signature));
            }
            ("reasoning.text", None, _) if purpose == Purpose::Reply => {
                layout.place(index, Block::thinking(detail.text.unwrap_or_default(), Text::default()));
            }
            ("reasoning.encrypted", _, Some(data)) => {
                layout.place(index, Block::redacted(data));
                continue;
            }
            _ => dropped.push(format!("{path}.reasoning_details[{position}]")),
        }
        in_full = true;
    }
    let Some(flat) = flat.filter(|flat| !flat.is_empty() && !in_full) else { return };
    match purpose {
        Purpose::Reply => layout.place(Some(0), Block::thinking(flat, Text::default())),
        Purpose::Request => dropped.push(format!("{path}.reasoning_content")),
    }
}

/// The text of a message, block by block as far as its parts say.
fn texts<'a>(
    content: Option<Content<'a>>,
    refusal: Option<Text<'a>>,
    path: &Path<'_>,
    dropped: &mut Vec<String>,
) -> Result<Vec<Block<'a>>, Problem> {
    let mut texts = Vec::new();
    match content {
        Some(TextOr::Text(text)) if !text.is_empty() => texts.push(Block::text(text)),
        Some(TextOr::Full(content)) => {
            for (position, part) in content.into_iter().enumerate() {
                texts.extend(parts::to_block(part, &path.item("content", position), dropped)?);
            }
        }
        Some(TextOr::Text(_)) | None => {}
    }
    // A refusal is what the model said in place of an answer.
    texts.extend(refusal.filter(|refusal| !refusal.is_empty()).map(Block::text));
    Ok(texts)
}

fn place_texts<'a>(
    mut texts: Vec<Block<'a>>,
    text_blocks: &[TextBlock<'a>],
    citations: Vec<Json<'a>>,
    layout: &mut Layout<'a>,
) {
    if let [Block { text: Some(whole), .. }] = &texts[..]
        && let Some(split) = cut(whole, text_blocks)
    {
        texts = split;
    }
    let placed = texts.len() == text_blocks.len();
    let mut citations = citations.into_iter();
    let last = texts.len().saturating_sub(1);
    for (position, mut text) in texts.into_iter().enumerate() {
        let place = text_blocks.get(position).filter(|_| placed);
        let sources: Vec<Json<'a>> = match place.and_then(|place| place.citations) {
            Some(count) => citations.by_ref().take(count as usize).collect(),
            None if !placed && position == last => citations.by_ref().collect(),
            None => Vec::new(),
        };
        if !sources.is_empty() {
            text.citations = Some(Json::of(&sources));
        }
        layout.place(place.map(|place| place.index), text);
    }
}

/// The text cut as `text_blocks` says; None where that does not fit, because somebody has changed the text since.
fn cut<'a>(whole: &Text<'a>, text_blocks: &[TextBlock<'a>]) -> Option<Vec<Block<'a>>> {
    let mut rest: &str = whole;
    let mut pieces = Vec::with_capacity(text_blocks.len());
    for block in text_blocks {
        let length = block.length? as usize;
        let end = match rest.char_indices().nth(length) {
            Some((end, _)) => end,
            None if rest.chars().count() == length => rest.len(),
            None => return None,
        };
        pieces.push(Block::text(rest[..end].to_owned().into()));
        rest = &rest[end..];
    }
    (rest.is_empty() && !pieces.is_empty()).then_some(pieces)
}

fn tool_use<'a>(call: ToolCall<'a>, path: &Path<'_>) -> Result<Block<'a>, Problem> {
    if call.kind.as_ref().is_some_and(|kind| kind != "function") {
        let at = format!("{path}.type");
        return Err(Problem::invalid(format!("{at}: this model's API knows calls of functions only")).at(at));
    }
    let block = Block {
        id: call.id,
        name: Some(call.function.name),
        input: Some(input(call.function.arguments, path)?),
        cache_control: call.cache_control,
        ..Block::of("tool_use")
    };
    Ok(block.with_extra(call.native.as_ref()))
}

/// The arguments of a call, which the canonical form has as a string, as the object that they are.
fn input<'a>(arguments: Text<'a>, path: &Path<'_>) -> Result<Json<'a>, Problem> {
    if matches!(arguments.trim(), "" | "null") {
        return Ok(Json::of(&serde_json::Map::new()));
    }
    let at = || format!("{path}.function.arguments");
    let input =
        Json::parse(arguments).map_err(|error| Problem::invalid(format!("{}: is not JSON: {error}", at())).at(at()))?;
    if input.is_object() {
        return Ok(input);
    }
    Err(Problem::invalid(format!("{}: must be a JSON object", at())).at(at()))
}

/// Blocks as a canonical message.
pub(crate) fn from_blocks(blocks: Vec<Block<'_>>, purpose: Purpose) -> Message<'_> {
    let mut message = Message { role: "assistant".into(), ..Message::default() };
    let mut texts = Texts::default();
    let mut flat: Option<String> = None;
    for (index, block) in blocks.into_iter().enumerate() {
        let index = index as u64;
        match &*block.kind {
            "text" => texts.push(index, block, !message.tool_calls.is_empty()),
            "thinking" => {
                flat.get_or_insert_default().push_str(block.thinking.as_deref().unwrap_or_default());
                message.reasoning_details.push(ReasoningDetail::text(
                    block.thinking.unwrap_or_default(),
                    block.signature.filter(|signature| !signature.is_empty()),
                    index,
                ));
            }
            "redacted_thinking" => {
                message.reasoning_details.push(ReasoningDetail::encrypted(block.data.unwrap_or_default(), index));
            }
            "tool_use" => message.tool_calls.push(tool_call(block)),
            _ => {
                message.native_blocks.push(NativeBlock {
                    index,
                    block: Some(Json::of(&block)),
                    ..NativeBlock::default()
                });
            }
        }
    }
    message.reasoning_content = flat.filter(|flat| !flat.is_empty()).map(Text::from);
    texts.into_message(purpose, &mut message);
    message
}

fn tool_call(block: Block<'_>) -> ToolCall<'_> {
    let (block, native) = block.without_extra();
    let arguments = block.input.map_or("{}".into(), Json::into_text);
    ToolCall {
        cache_control: block.cache_control,
        native,
        ..ToolCall::function(block.id.unwrap_or_default(), block.name.unwrap_or_default(), arguments)
    }
}

/// The text blocks of a message on their way into `content`.
#[derive(Default)]
struct Texts<'a> {
    parts: Vec<ContentPart<'a>>,
    places: Vec<TextBlock<'a>>,
    citations: Vec<Json<'a>>,
    /// A text comes after a tool call, where filling the places that are left would not put it.
    out_of_order: bool,
}

impl<'a> Texts<'a> {
    fn push(&mut self, index: u64, block: Block<'a>, after_tool_call: bool) {
        let sources: Vec<Json<'a>> = block.citations.as_ref().map(list).unwrap_or_default();
        self.places.push(TextBlock {
            index,
            length: Some(block.text.as_deref().unwrap_or_default().chars().count() as u64),
            citations: (!sources.is_empty()).then_some(sources.len() as u64),
            ..TextBlock::default()
        });
        self.citations.extend(sources);
        self.out_of_order |= after_tool_call;
        self.parts.push(parts::text_part(block));
    }

    fn into_message(self, purpose: Purpose, message: &mut Message<'a>) {
        let plain = self.parts.iter().all(|part| part.cache_control.is_none() && part.native.is_none());
        let split = self.parts.len() > 1;
        let places_matter = self.out_of_order || !message.native_blocks.is_empty() && split;
        if purpose == Purpose::Request && (split || !plain || !self.citations.is_empty()) {
            // Each part keeps its own citations and marks, as a request may have them.
            message.content = Some(TextOr::Full(self.parts));
            if places_matter {
                message.text_blocks = bare(self.places);
            }
            return;
        }
        if split || places_matter || !self.citations.is_empty() {
            message.text_blocks = self.places;
        }
        message.citations = self.citations;
        message.content = joined(self.parts).map(TextOr::Text);
    }
}

/// Only the positions: the parts say the rest.
fn bare(places: Vec<TextBlock<'_>>) -> Vec<TextBlock<'_>> {
    places.into_iter().map(|TextBlock { index, .. }| TextBlock { index, ..TextBlock::default() }).collect()
}

fn joined<'a>(mut parts: Vec<ContentPart<'a>>) -> Option<Text<'a>> {
    if parts.len() <= 1 {
        return parts.pop().and_then(|part| part.text);
    }
    let whole: String = parts.iter().filter_map(|part| part.text.as_deref()).collect();
    Some(whole.into())
}

/// The items of a JSON list, each as it is.
fn list<'a>(json: &Json<'_>) -> Vec<Json<'a>> {
    let items = json.read::<Vec<Json<'_>>>().unwrap_or_default();
    items.iter().map(Json::of).collect()
}
