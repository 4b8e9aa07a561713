//! A stream, event by event.

use super::delta::{self, Growth};
use super::{bedrock, problem, reply};
use crate::wire::{Block, Delta, Message, StreamEvent, Usage};
use crate::{broken_answer, finish, usage};
use plugway_sdk::chat::{
    self, Chunk, Delta as ChatDelta, DeltaChoice, Head, Json, NativeBlock, ReasoningDetail, TextBlock, ToolCall,
};
use plugway_sdk::{Event, Pack, Problem, Progress, StreamState, Unpack};
use std::borrow::Cow;

/// What is remembered between two events.
#[derive(Debug, Default, PartialEq)]
pub struct Reading {
    head: Head,
    /// What `message_start` and `message_delta` counted, as they wrote it; empty before.
    usage: String,
    open: Vec<Open>,
    texts: Vec<TextSoFar>,
    tools: u64,
    text_after_tool: bool,
}

/// A block that has begun and not ended.
#[derive(Debug, PartialEq)]
struct Open {
    index: u64,
    kind: Kind,
}

#[derive(Debug, PartialEq)]
enum Kind {
    Text,
    Thinking,
    /// The call's number among the calls, and its input so far as `content_block_start` had it; `Fed` once pieces of
    /// it have come.
    Tool(u64, Input),
    Native,
}

#[derive(Debug, PartialEq)]
enum Input {
    AtStart(String),
    Fed,
}

#[derive(Debug, PartialEq)]
struct TextSoFar {
    index: u64,
    length: u64,
    citations: u64,
}

/// Written and read with every event, so by hand.
impl StreamState for Reading {
    fn save(&self) -> Result<String, Problem> {
        let mut pack = Pack::with_capacity(self.head.text().len() + self.usage.len() + 64);
        pack.text(self.head.text());
        pack.text(&self.usage);
        pack.number(self.tools);
        pack.number(self.text_after_tool.into());
        pack.number(self.texts.len() as u64);
        for TextSoFar { index, length, citations } in &self.texts {
            pack.number(*index);
            pack.number(*length);
            pack.number(*citations);
        }
        pack.number(self.open.len() as u64);
        for Open { index, kind } in &self.open {
            pack.number(*index);
            match kind {
                Kind::Text => pack.number(0),
                Kind::Thinking => pack.number(1),
                Kind::Native => pack.number(2),
                Kind::Tool(number, Input::Fed) => {
                    pack.number(3);
                    pack.number(*number);
                }
                Kind::Tool(number, Input::AtStart(input)) => {
                    pack.number(4);
                    pack.number(*number);
                    pack.text(input);
                }
            }
        }
        Ok(pack.into_text())
    }

    fn restore(state: &str) -> Result<Self, Problem> {
        let mut unpack = Unpack::new(state);
        let mut reading = Reading {
            head: Head::of_text(unpack.text()?),
            usage: unpack.text()?.to_owned(),
            tools: unpack.number()?,
            text_after_tool: unpack.number()? == 1,
            ..Reading::default()
        };
        for _ in 0..unpack.length()? {
            let (index, length, citations) = (unpack.number()?, unpack.number()?, unpack.number()?);
            reading.texts.push(TextSoFar { index, length, citations });
        }
        for _ in 0..unpack.length()? {
            let index = unpack.number()?;
            let kind = match unpack.number()? {
                0 => Kind::Text,
                1 => Kind::Thinking,
                2 => Kind::Native,
                3 => Kind::Tool(unpack.number()?, Input::Fed),
                _ => Kind::Tool(unpack.number()?, Input::AtStart(unpack.text()?.to_owned())),
            };
            reading.open.push(Open { index, kind });
        }
        Ok(reading)
    }
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
    if let Some(Growth { index, kind, piece }) = delta::read(&data) {
        reading.grow_by(index, kind, &piece, chunks);
        return Ok(Progress::Open);
    }
    let event: StreamEvent<'_> = serde_json::from_str(&data).map_err(|error| broken_answer(&error))?;
    let index = event.index.unwrap_or(0);
    match &*event.kind {
        "content_block_delta" => reading.grow(index, event.delta.unwrap_or_default(), chunks),
        "content_block_start" => reading.begin(index, Block::read(&event.content_block.unwrap_or_default()), chunks),
        "content_block_stop" => reading.end(index, chunks),
        "message_start" => reading.start(*event.message.unwrap_or_default(), chunks),
        "message_delta" => reading.conclude(event.delta.unwrap_or_default(), event.usage, chunks),
        "message_stop" => {
            reading.report_usage(chunks);
            return Ok(Progress::Complete);
        }
        "error" => return Ok(Progress::Failed(problem::from_body(*event.error.unwrap_or_default(), None))),
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
        self.head = Head::new(&message.id, &message.model, chat::now());
        self.usage = written(&message.usage);
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
            "text_delta" => self.grow_by(index, delta::Kind::Text, &delta.text.unwrap_or_default(), chunks),
            "input_json_delta" => {
                self.grow_by(index, delta::Kind::Input, &delta.partial_json.unwrap_or_default(), chunks);
            }
            "thinking_delta" => {
                self.grow_by(index, delta::Kind::Thinking, &delta.thinking.unwrap_or_default(), chunks);
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

    fn grow_by(&mut self, index: u64, kind: delta::Kind, piece: &str, chunks: &mut Vec<String>) {
        match kind {
            delta::Kind::Text => {
                if let Some(so_far) = self.texts.iter_mut().rfind(|so_far| so_far.index == index) {
                    so_far.length += piece.chars().count() as u64;
                }
                chunks.push(self.head.content(piece));
            }
            delta::Kind::Input => self.feed(index, piece, chunks),
            delta::Kind::Thinking => chunks.push(self.head.reasoning(index, piece)),
        }
    }

    /// The next piece of a tool's input.
    fn feed(&mut self, index: u64, piece: &str, chunks: &mut Vec<String>) {
        let Some(open) = self.open.iter_mut().find(|open| open.index == index) else { return };
        match &mut open.kind {
            _ if piece.is_empty() => {}
            Kind::Tool(number, input) => {
                *input = Input::Fed;
                chunks.push(self.head.arguments(*number, piece));
            }
            Kind::Native => {
                let piece = NativeBlock { index, partial_json: Some(piece.into()), ..NativeBlock::default() };
                self.push(ChatDelta { native_blocks: vec![piece], ..ChatDelta::default() }, chunks);
            }
            Kind::Text | Kind::Thinking => {}
        }
    }

    /// A call without arguments must still say `{}`: callers parse what has come together.
    fn end(&mut self, index: u64, chunks: &mut Vec<String>) {
        let Some(position) = self.open.iter().position(|open| open.index == index) else { return };
        if let Kind::Tool(number, Input::AtStart(input)) = self.open.remove(position).kind {
            chunks.push(self.head.arguments(number, &input));
        }
    }

    fn conclude(&mut self, delta: Delta<'_>, later: Option<Box<Usage<'_>>>, chunks: &mut Vec<String>) {
        if let Some(later) = later {
            self.usage = match serde_json::from_str(&self.usage) {
                Ok(earlier) => written(&usage::merge(earlier, *later)),
                Err(_) => written(&later),
            };
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
        let chunk = Chunk { choices: vec![choice], container: delta.container, ..Chunk::default() };
        chunks.push(self.head.chunk(&chunk));
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
        if let Ok(usage) = serde_json::from_str(&self.usage) {
            chunks.push(self.head.chunk(&Chunk { usage: Some(usage::canonical(usage)), ..Chunk::default() }));
        }
    }

    fn whole(&mut self, message: Message<'_>, chunks: &mut Vec<String>) {
        let response = reply::canonical(message);
        self.head = Head::new(&response.id, &response.model, response.created);
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
            chunks.push(self.head.chunk(&Chunk { choices: vec![choice], ..Chunk::default() }));
        }
        chunks.push(self.head.chunk(&Chunk { usage: response.usage, ..Chunk::default() }));
    }

    fn push(&self, delta: ChatDelta<'_>, chunks: &mut Vec<String>) {
        chunks.push(self.head.delta(&delta));
    }
}

fn thought(text: Option<chat::Text<'_>>, index: u64) -> ReasoningDetail<'_> {
    ReasoningDetail { kind: "reasoning.text".into(), text, index: Some(index), ..ReasoningDetail::default() }
}

fn reasoned(detail: ReasoningDetail<'_>) -> ChatDelta<'_> {
    ChatDelta { reasoning_details: vec![detail], ..ChatDelta::default() }
}

fn written(usage: &Usage<'_>) -> String {
    serde_json::to_string(usage).expect("a view can be written")
}

#[cfg(test)]
mod tests {
    use super::{Head, Input, Kind, Open, Reading, TextSoFar};
    use plugway_sdk::StreamState;

    #[test]
    fn what_is_remembered_comes_back_as_it_was() {
        let kinds = [
            Kind::Text,
            Kind::Thinking,
            Kind::Native,
            Kind::Tool(1, Input::Fed),
            Kind::Tool(2, Input::AtStart(r#"{"city": "Malmö"}"#.to_owned())),
        ];
        let reading = Reading {
            head: Head::new("msg_\"1\"", "claude", 1_700_000_000),
            usage: r#"{"input_tokens": 14}"#.to_owned(),
            open: kinds.into_iter().enumerate().map(|(at, kind)| Open { index: at as u64, kind }).collect(),
            texts: vec![TextSoFar { index: 7, length: 8, citations: 9 }],
            tools: 3,
            text_after_tool: true,
        };
        for reading in [Reading::default(), reading] {
            assert_eq!(Reading::restore(&reading.save().unwrap()).unwrap(), reading);
        }
        assert!(Reading::restore("{}").is_err());
    }
}
