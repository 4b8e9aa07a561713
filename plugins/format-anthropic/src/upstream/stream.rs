//! A stream, event by event.

use super::{bedrock, problem, reply};
use crate::wire::{Block, Delta, Message, StreamEvent, Usage};
use crate::{broken_answer, finish, usage};
use plugway_sdk::chat::{
    self, Chunk, Delta as ChatDelta, DeltaChoice, FunctionCall, Json, NativeBlock, ReasoningDetail, TextBlock, ToolCall,
};
use plugway_sdk::{Event, Problem, Progress};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What is remembered between two events. The host keeps it as JSON, so names are short and what is not needed yet is
/// not written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    id: String,
    model: String,
    created: u64,
    /// What `message_start` and `message_delta` counted, as they wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    open: Vec<Open>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    texts: Vec<TextSoFar>,
    tools: u64,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    text_after_tool: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    native: bool,
}

/// A block that has begun and not ended.
#[derive(Debug, Serialize, Deserialize)]
struct Open {
    index: u64,
    kind: Kind,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Text,
    Thinking,
    /// The call's number among the calls, and its input so far as `content_block_start` had it; `Fed` once pieces of
    /// it have come.
    Tool(u64, Input),
    Native,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Input {
    AtStart(String),
    Fed,
}

#[derive(Debug, Serialize, Deserialize)]
struct TextSoFar {
    #[serde(rename = "i")]
    index: u64,
    #[serde(rename = "l")]
    length: u64,
    #[serde(rename = "c")]
    citations: u64,
}

pub(crate) fn decode(reading: &mut Reading, event: &Event, chunks: &mut Vec<String>) -> Result<Progress, Problem> {
    let data: Cow<'_, str> = match bedrock::unwrap(event)? {
        Some(bedrock::Unwrapped::Data(data)) => Cow::Owned(data),
        Some(bedrock::Unwrapped::Failed(problem)) => return Ok(Progress::Failed(problem)),
        None => Cow::Borrowed(&event.data),
    };
    // Some compatible servers end with OpenAI's marker, some keep the line alive with empty events.
    if data.is_empty() || data == "[DONE]" {
        return Ok(Progress::Open);
    }
    let event: StreamEvent<'_> = serde_json::from_str(&data).map_err(|error| broken_answer(&error))?;
    let index = event.index.unwrap_or(0);
    match &*event.kind {
        "content_block_delta" => reading.grow(index, event.delta.unwrap_or_default(), chunks),
        "content_block_start" => reading.begin(index, Block::read(&event.content_block.unwrap_or_default()), chunks),
        "content_block_stop" => reading.end(index, chunks),
        "message_start" => reading.start(event.message.unwrap_or_default(), chunks),
        "message_delta" => reading.conclude(event.delta.unwrap_or_default(), event.usage, chunks),
        "message_stop" => {
            reading.report_usage(chunks);
            return Ok(Progress::Complete);
        }
        "error" => return Ok(Progress::Failed(problem::from_body(event.error.unwrap_or_default(), None))),
        // A server that ignores `stream` answers in one piece.
        "message" => {
            let message: Message<'_> = serde_json::from_str(&data).map_err(|error| broken_answer(&error))?;
            reading.whole(message, chunks);
            return Ok(Progress::Complete);
        }
        // `ping`, and whatever comes to be.
        _ => {}
    }
    Ok(Progress::Open)
}

impl Reading {
    fn start(&mut self, message: Message<'_>, chunks: &mut Vec<String>) {
        self.created = chat::now();
        self.usage = raw(&message.usage);
        self.id = message.id.into_string();
        self.model = message.model.into_string();
        self.push(
            ChatDelta { role: Some("assistant".into()), content: Some("".into()), ..ChatDelta::default() },
            chunks,
        );
    }

    fn begin(&mut self, index: u64, block: Block<'_>, chunks: &mut Vec<String>) {
        let kind = match &*block.kind {
            "text" => {
                self.begin_text(index, block, chunks);
                Kind::Text
            }
            "thinking" => {
                let text = block.thinking.filter(|text| !text.is_empty());
                let signature = block.signature.filter(|signature| !signature.is_empty());
                if text.is_some() || signature.is_some() {
                    let detail = ReasoningDetail { signature, ..thought(text.clone(), index) };
                    self.push(ChatDelta { reasoning_content: text, ..reasoned(detail) }, chunks);
                }
                Kind::Thinking
            }
            "redacted_thinking" => {
                self.push(reasoned(ReasoningDetail::encrypted(block.data.unwrap_or_default(), index)), chunks);
                Kind::Native
            }
            "tool_use" => self.begin_tool(block, chunks),
            _ => {
                self.native = true;
                let block = NativeBlock { index, block: Some(Json::of(&block)), ..NativeBlock::default() };
                self.push(ChatDelta { native_blocks: vec![block], ..ChatDelta::default() }, chunks);
                Kind::Native
            }
        };
        self.open.push(Open { index, kind });
    }

    fn begin_text(&mut self, index: u64, block: Block<'_>, chunks: &mut Vec<String>) {
        let text = block.text.unwrap_or_default();
        let citations: Vec<Json<'_>> =
            block.citations.as_ref().and_then(|citations| citations.read().ok()).unwrap_or_default();
        let text_blocks = match self.texts.is_empty() {
            true => Vec::new(),
            false => vec![TextBlock { index, ..TextBlock::default() }],
        };
        self.text_after_tool |= self.tools > 0;
        self.texts.push(TextSoFar { index, length: text.chars().count() as u64, citations: citations.len() as u64 });
        if !text.is_empty() || !citations.is_empty() || !text_blocks.is_empty() {
            let delta = ChatDelta { content: Some(text), citations, text_blocks, ..ChatDelta::default() };
            self.push(delta, chunks);
        }
    }

    fn begin_tool(&mut self, block: Block<'_>, chunks: &mut Vec<String>) -> Kind {
        let number = self.tools;
        self.tools += 1;
        let (block, native) = block.without_extra();
        let call = ToolCall {
            index: Some(number),
            native,
            ..ToolCall::function(block.id.unwrap_or_default(), block.name.unwrap_or_default(), "")
        };
        self.push(ChatDelta { tool_calls: vec![call], ..ChatDelta::default() }, chunks);
        // Real streams begin with `{}` and send the input in pieces; others have it here and send none.
        Kind::Tool(number, Input::AtStart(block.input.map_or("{}".to_owned(), Json::into_string)))
    }

    fn grow(&mut self, index: u64, delta: Delta<'_>, chunks: &mut Vec<String>) {
        match &*delta.kind {
            "text_delta" => {
                let text = delta.text.unwrap_or_default();
                if let Some(so_far) = self.texts.iter_mut().rfind(|so_far| so_far.index == index) {
                    so_far.length += text.chars().count() as u64;
                }
                self.push(ChatDelta { content: Some(text), ..ChatDelta::default() }, chunks);
            }
            "input_json_delta" => self.feed(index, delta, chunks),
            "thinking_delta" => {
                let text = delta.thinking;
                self.push(ChatDelta { reasoning_content: text.clone(), ..reasoned(thought(text, index)) }, chunks);
            }
            "signature_delta" => {
                self.push(reasoned(ReasoningDetail { signature: delta.signature, ..thought(None, index) }), chunks);
            }
            "citations_delta" => {
                if let Some(so_far) = self.texts.iter_mut().rfind(|so_far| so_far.index == index) {
                    so_far.citations += 1;
                }
                let citations = delta.citation.into_iter().collect();
                self.push(ChatDelta { citations, ..ChatDelta::default() }, chunks);
            }
            _ => {}
        }
    }

    /// The next piece of a tool's input.
    fn feed(&mut self, index: u64, delta: Delta<'_>, chunks: &mut Vec<String>) {
        let Some(piece) = delta.partial_json.filter(|piece| !piece.is_empty()) else { return };
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else { return };
        match &mut open.kind {
            Kind::Tool(number, input) => {
                *input = Input::Fed;
                let delta = arguments(*number, piece.share());
                self.push(delta, chunks);
            }
            Kind::Native => {
                let piece = NativeBlock { index, partial_json: Some(piece), ..NativeBlock::default() };
                self.push(ChatDelta { native_blocks: vec![piece], ..ChatDelta::default() }, chunks);
            }
            Kind::Text | Kind::Thinking => {}
        }
    }

    /// A call without arguments must still say `{}`: callers parse what has come together.
    fn end(&mut self, index: u64, chunks: &mut Vec<String>) {
        let Some(position) = self.open.iter().position(|open| open.index == index) else { return };
        if let Kind::Tool(number, Input::AtStart(input)) = self.open.remove(position).kind {
            self.push(arguments(number, input.into()), chunks);
        }
    }

    fn conclude(&mut self, delta: Delta<'_>, later: Option<Usage<'_>>, chunks: &mut Vec<String>) {
        if let Some(later) = later {
            let merged = match self.usage.as_deref().and_then(|usage| serde_json::from_str(usage.get()).ok()) {
                Some(earlier) => raw(&usage::merge(earlier, later)),
                None => raw(&later),
            };
            self.usage = merged;
        }
        let Some(reason) = delta.stop_reason else { return };
        let choice = DeltaChoice {
            delta: ChatDelta { text_blocks: self.text_blocks(), ..ChatDelta::default() },
            finish_reason: Some(finish::canonical(&reason).into()),
            native_finish_reason: Some(reason),
            stop_sequence: delta.stop_sequence,
            stop_details: delta.stop_details,
            ..DeltaChoice::default()
        };
        let chunk = Chunk { choices: vec![choice], container: delta.container, ..self.chunk() };
        chunks.push(written(&chunk));
    }

    /// How the text lay in blocks, where that is not plain; the same rule as for whole answers.
    fn text_blocks(&self) -> Vec<TextBlock<'static>> {
        let split = self.texts.len() > 1;
        let plain = !split && !self.text_after_tool && self.texts.iter().all(|text| text.citations == 0);
        if plain {
            return Vec::new();
        }
        let blocks = self.texts.iter().map(|text| TextBlock {
            index: text.index,
            length: Some(text.length),
            citations: (text.citations > 0).then_some(text.citations),
            ..TextBlock::default()
        });
        blocks.collect()
    }

    fn report_usage(&self, chunks: &mut Vec<String>) {
        let Some(usage) = self.usage.as_deref().and_then(|usage| serde_json::from_str(usage.get()).ok()) else {
            return;
        };
        chunks.push(written(&Chunk { usage: Some(usage::canonical(usage)), ..self.chunk() }));
    }

    fn whole(&mut self, message: Message<'_>, chunks: &mut Vec<String>) {
        let mut response = reply::canonical(message);
        self.id = std::mem::take(&mut response.id).into_string();
        self.model = std::mem::take(&mut response.model).into_string();
        self.created = response.created;
        for choice in response.choices {
            let message = choice.message;
            let numbered = message.tool_calls.into_iter().enumerate();
            let delta = ChatDelta {
                role: Some(message.role),
                content: message.content.and_then(|content| match content {
                    chat::TextOr::Text(text) => Some(text),
                    chat::TextOr::Full(_) => None,
                }),
                reasoning_content: message.reasoning_content,
                reasoning_details: message.reasoning_details,
                tool_calls: numbered.map(|(n, call)| ToolCall { index: Some(n as u64), ..call }).collect(),
                citations: message.citations,
                text_blocks: message.text_blocks,
                native_blocks: message.native_blocks,
                ..ChatDelta::default()
            };
            let choice = DeltaChoice {
                delta,
                finish_reason: choice.finish_reason,
                native_finish_reason: choice.native_finish_reason,
                stop_sequence: choice.stop_sequence,
                stop_details: choice.stop_details,
                ..DeltaChoice::default()
            };
            chunks.push(written(&Chunk { choices: vec![choice], ..self.chunk() }));
        }
        chunks.push(written(&Chunk { usage: response.usage, ..self.chunk() }));
    }

    /// A chunk with nothing but this delta. Nearly all chunks are, so what is always the same is written by hand; that
    /// halves the time an event takes.
    fn push(&self, delta: ChatDelta<'_>, chunks: &mut Vec<String>) {
        let mut chunk = Vec::with_capacity(256);
        chunk.extend_from_slice(br#"{"id":"#);
        append(&mut chunk, &self.id);
        chunk.extend_from_slice(br#","object":"chat.completion.chunk","created":"#);
        append(&mut chunk, &self.created);
        chunk.extend_from_slice(br#","model":"#);
        append(&mut chunk, &self.model);
        chunk.extend_from_slice(br#","choices":[{"index":0,"delta":"#);
        append(&mut chunk, &delta);
        chunk.extend_from_slice(br#","finish_reason":null}]}"#);
        chunks.push(String::from_utf8(chunk).expect("JSON is UTF-8"));
    }

    fn chunk(&self) -> Chunk<'_> {
        Chunk {
            id: self.id.as_str().into(),
            object: "chat.completion.chunk".into(),
            created: self.created,
            model: self.model.as_str().into(),
            ..Chunk::default()
        }
    }
}

fn thought(text: Option<chat::Text<'_>>, index: u64) -> ReasoningDetail<'_> {
    ReasoningDetail { kind: "reasoning.text".into(), text, index: Some(index), ..ReasoningDetail::default() }
}

fn reasoned(detail: ReasoningDetail<'_>) -> ChatDelta<'_> {
    ChatDelta { reasoning_details: vec![detail], ..ChatDelta::default() }
}

fn arguments(number: u64, piece: chat::Text<'_>) -> ChatDelta<'_> {
    let function = FunctionCall { arguments: piece, ..FunctionCall::default() };
    let call = ToolCall { index: Some(number), function, ..ToolCall::default() };
    ChatDelta { tool_calls: vec![call], ..ChatDelta::default() }
}

fn raw(usage: &Usage<'_>) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(usage).ok()
}

fn append(chunk: &mut Vec<u8>, value: &impl Serialize) {
    serde_json::to_writer(chunk, value).expect("a view can be written");
}

fn written(chunk: &Chunk<'_>) -> String {
    serde_json::to_string(chunk).expect("a view can be written")
}
