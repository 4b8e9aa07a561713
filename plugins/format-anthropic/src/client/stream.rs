//! A stream, chunk by chunk.
//!
//! Anthropic's blocks come one after the other and each has an end; canonical deltas say neither where a block ends nor
//! that two calls will not grow in turns. So a chunk is taken apart into [`Piece`]s, and a piece that has to wait for a
//! call to be whole does.

use super::pieces::{Piece, Whole};
use super::problem;
use crate::broken_answer;
use crate::finish::End;
use crate::usage;
use crate::wire::{Block, Delta, Message, StreamEvent, Usage};
use plugway_sdk::chat::{
    Chunk, Delta as ChatDelta, DeltaChoice, Json, ReasoningDetail, Text, ToolCall, push_number, push_text,
};
use plugway_sdk::{Event, Pack, Problem, StreamState, Unpack};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::borrow::Cow;

/// What is remembered between two chunks.
#[derive(Debug, Default)]
pub struct Writing {
    started: bool,
    /// The index of the next block.
    next: u64,
    open: Option<Open>,
    /// The calls so far, by the index and the id that the upstream gave them.
    calls: Vec<(u64, String)>,
    owed: Owed,
}

/// What is written later, which at most times is nothing.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Owed {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Piece<'static>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<Ending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<Box<RawValue>>,
}

impl Owed {
    fn is_nothing(&self) -> bool {
        self.waiting.is_empty() && self.end.is_none() && self.usage.is_none() && self.container.is_none()
    }
}

/// The block that is being written.
#[derive(Debug)]
struct Open {
    index: u64,
    what: What,
}

#[derive(Debug, PartialEq)]
enum What {
    Text,
    /// By the position of the reasoning in the upstream's answer.
    Thinking(u64),
    /// By its place in `calls`.
    Tool(u64, Whole),
    /// By its position in the upstream's answer.
    Native(u64),
}

/// Written and read with every chunk, so by hand; but for what is owed, which is seldom anything.
impl StreamState for Writing {
    fn save(&self) -> Result<String, Problem> {
        let mut pack = Pack::with_capacity(64);
        pack.number(self.started.into());
        pack.number(self.next);
        pack.number(self.calls.len() as u64);
        for (index, id) in &self.calls {
            pack.number(*index);
            pack.text(id);
        }
        match &self.open {
            None => pack.number(0),
            Some(Open { index, what }) => {
                pack.number(index + 1);
                what.save(&mut pack);
            }
        }
        pack.text(&if self.owed.is_nothing() { String::new() } else { self.owed.save()? });
        Ok(pack.into_text())
    }

    fn restore(state: &str) -> Result<Self, Problem> {
        let mut unpack = Unpack::new(state);
        let mut writing = Writing { started: unpack.number()? == 1, next: unpack.number()?, ..Writing::default() };
        for _ in 0..unpack.length()? {
            writing.calls.push((unpack.number()?, unpack.text()?.to_owned()));
        }
        if let Some(index) = unpack.number()?.checked_sub(1) {
            writing.open = Some(Open { index, what: What::restore(&mut unpack)? });
        }
        let owed = unpack.text()?;
        if !owed.is_empty() {
            writing.owed = Owed::restore(owed)?;
        }
        Ok(writing)
    }
}

impl What {
    fn save(&self, pack: &mut Pack) {
        let (kind, number) = match self {
            What::Text => (0, 0),
            What::Thinking(position) => (1, *position),
            What::Native(position) => (2, *position),
            What::Tool(number, _) => (3, *number),
        };
        pack.number(kind);
        pack.number(number);
        if let What::Tool(_, whole) = self {
            whole.save(pack);
        }
    }

    fn restore(unpack: &mut Unpack<'_>) -> Result<Self, Problem> {
        let (kind, number) = (unpack.number()?, unpack.number()?);
        Ok(match kind {
            0 => What::Text,
            1 => What::Thinking(number),
            2 => What::Native(number),
            _ => What::Tool(number, Whole::restore(unpack)?),
        })
    }
}

/// Why the answer ended, until the usage has come too.
#[derive(Debug, Serialize, Deserialize)]
struct Ending {
    finish_reason: Option<String>,
    native_finish_reason: Option<String>,
    stop_sequence: Option<String>,
    stop_details: Option<Box<RawValue>>,
}

pub(crate) fn encode(writing: &mut Writing, chunk: &str, events: &mut Vec<Event>) -> Result<(), Problem> {
    let chunk: Chunk<'_> = serde_json::from_str(chunk).map_err(|error| broken_answer(&error))?;
    writing.start(&chunk, events);
    if let Some(usage) = &chunk.usage {
        writing.owed.usage = raw(&usage::anthropic(usage));
    }
    if let Some(container) = &chunk.container {
        writing.owed.container = raw(container);
    }
    // Nobody who speaks this dialect can have asked for a second answer.
    for choice in chunk.choices.into_iter().filter(|choice| choice.index == 0) {
        writing.note_end(&choice);
        writing.take_apart(choice.delta, events);
    }
    Ok(())
}

/// Everything that is still owed, and the terminal marker.
pub(crate) fn finish(writing: &mut Writing, events: &mut Vec<Event>) {
    writing.start(&Chunk::default(), events);
    writing.close(events);
    while !writing.owed.waiting.is_empty() {
        writing.go_on(events);
        writing.close(events);
    }
    events.push(Event::named("message_delta", writing.message_delta().to_string()));
    events.push(Event::named("message_stop", r#"{"type":"message_stop"}"#));
}

/// An error event, and no terminal marker.
pub(crate) fn fail(problem: &Problem, events: &mut Vec<Event>) {
    events.push(Event::named("error", problem::encode(None, problem, None)));
}

impl Writing {
    fn start(&mut self, chunk: &Chunk<'_>, events: &mut Vec<Event>) {
        if std::mem::replace(&mut self.started, true) {
            return;
        }
        let usage = match &chunk.usage {
            Some(usage) => usage::anthropic(usage),
            // Not known yet: the true numbers come with `message_delta`.
            None => Usage { input_tokens: Some(0), output_tokens: Some(0), ..Usage::default() },
        };
        let message = Message {
            id: chunk.id.share(),
            kind: "message".into(),
            role: "assistant".into(),
            model: chunk.model.share(),
            usage,
            ..Message::default()
        };
        emit(events, StreamEvent { message: Some(message.into()), ..of("message_start") });
    }

    fn note_end(&mut self, choice: &DeltaChoice<'_>) {
        if choice.finish_reason.is_none() {
            return;
        }
        let owned = |text: &Option<Text<'_>>| text.as_deref().map(str::to_owned);
        self.owed.end = Some(Ending {
            finish_reason: owned(&choice.finish_reason),
            native_finish_reason: owned(&choice.native_finish_reason),
            stop_sequence: owned(&choice.stop_sequence),
            stop_details: choice.stop_details.as_ref().and_then(raw),
        });
    }

    fn take_apart(&mut self, delta: ChatDelta<'_>, events: &mut Vec<Event>) {
        self.reasoning(delta.reasoning_content, delta.reasoning_details, events);
        // With the end comes how all the text lay, which has been written by then.
        if delta.text_blocks.iter().any(|block| block.length.is_none()) {
            self.take(Piece::NewText, events);
        }
        for text in [delta.content, delta.refusal].into_iter().flatten().filter(|text| !text.is_empty()) {
            self.take(Piece::Text(text.into_cow()), events);
        }
        for citation in delta.citations.iter().filter_map(raw) {
            self.take(Piece::Citation(citation), events);
        }
        for native in delta.native_blocks {
            if let Some(block) = native.block.as_ref().and_then(raw) {
                self.take(Piece::Native(native.index, block), events);
            }
            if let Some(input) = native.partial_json {
                self.take(Piece::NativeInput(native.index, input.into_cow()), events);
            }
        }
        for call in delta.tool_calls {
            self.call(call, events);
        }
    }

    /// The flat text and the details say the same; the flat text is for upstreams that have nothing else.
    fn reasoning(&mut self, flat: Option<Text<'_>>, details: Vec<ReasoningDetail<'_>>, events: &mut Vec<Event>) {
        let in_full = details.iter().any(|detail| detail.text.is_some());
        if let Some(flat) = flat.filter(|flat| !flat.is_empty() && !in_full) {
            let index = details.first().and_then(|detail| detail.index).unwrap_or(0);
            self.take(Piece::Thinking(index, flat.into_cow()), events);
        }
        for detail in details {
            let index = detail.index.unwrap_or(0);
            if let Some(data) = detail.data {
                self.take(Piece::Redacted(data.into_cow()), events);
            }
            if let Some(text) = detail.text {
                self.take(Piece::Thinking(index, text.into_cow()), events);
            }
            if let Some(signature) = detail.signature {
                self.take(Piece::Signature(index, signature.into_cow()), events);
            }
        }
    }

    fn call(&mut self, call: ToolCall<'_>, events: &mut Vec<Event>) {
        let index = call.index.unwrap_or(0);
        let id = call.id.as_deref().unwrap_or_default();
        // Some servers repeat the id with every piece, others number all calls 0 and tell them apart by the id alone.
        let known = self.calls.iter().rposition(|(known, its)| *known == index && (id.is_empty() || its == id));
        let number = match known {
            Some(number) => number as u64,
            None => {
                let number = self.calls.len() as u64;
                self.calls.push((index, id.to_owned()));
                let id = if id.is_empty() { format!("call_{number}").into() } else { Text::from(id) };
                let block = Block {
                    id: Some(id),
                    name: Some(call.function.name),
                    input: Some(Json::of(&Map::new())),
                    ..Block::of("tool_use")
                };
                self.take(Piece::Call(number, always_raw(&block.with_extra(call.native.as_ref()))), events);
                number
            }
        };
        if !call.function.arguments.is_empty() {
            self.take(Piece::Arguments(number, call.function.arguments.into_cow()), events);
        }
    }

    /// Writes a piece, or puts it aside: nothing may come between the pieces of a call, and nothing may overtake.
    fn take(&mut self, piece: Piece<'_>, events: &mut Vec<Event>) {
        let (mine, unfinished) = match (&self.open, &piece) {
            (Some(Open { what: What::Tool(open, whole), .. }), Piece::Arguments(number, _)) => {
                (open == number, !whole.is_reached())
            }
            (Some(Open { what: What::Tool(_, whole), .. }), _) => (false, !whole.is_reached()),
            (Some(_) | None, _) => (false, false),
        };
        if !mine && (unfinished || !self.owed.waiting.is_empty()) {
            self.owed.waiting.push(piece.into_owned());
            return;
        }
        self.write(piece, events);
        if mine && unfinished && !self.owed.waiting.is_empty() && self.is_whole() {
            self.go_on(events);
        }
    }

    fn is_whole(&self) -> bool {
        matches!(&self.open, Some(Open { what: What::Tool(_, whole), .. }) if whole.is_reached())
    }

    /// Writes what waited, as far as it need not wait again.
    fn go_on(&mut self, events: &mut Vec<Event>) {
        for piece in std::mem::take(&mut self.owed.waiting) {
            self.take(piece, events);
        }
    }

    fn write(&mut self, piece: Piece<'_>, events: &mut Vec<Event>) {
        match piece {
            Piece::NewText => self.close_if(|what| *what == What::Text, events),
            Piece::Text(text) => {
                self.open(What::Text, events, || Block::text(Text::default()));
                self.grow(TEXT, &text, events);
            }
            Piece::Citation(citation) => {
                self.open(What::Text, events, || Block::text(Text::default()));
                let delta =
                    Delta { kind: "citations_delta".into(), citation: Some(Json::of(&citation)), ..Delta::default() };
                let index = self.open.as_ref().map(|open| open.index);
                emit(events, StreamEvent { index, delta: Some(delta), ..of("content_block_delta") });
            }
            Piece::Thinking(index, text) => {
                self.open(What::Thinking(index), events, empty_thinking);
                self.grow(THINKING, &text, events);
            }
            Piece::Signature(index, signature) => {
                self.open(What::Thinking(index), events, empty_thinking);
                self.grow(SIGNATURE, &signature, events);
            }
            Piece::Redacted(data) => {
                self.close(events);
                let index = self.begin(&Block::redacted(cow(data)), events);
                self.open = Some(Open { index, what: What::Native(u64::MAX) });
            }
            Piece::Call(number, block) => self.begin_raw(What::Tool(number, Whole::default()), &block, events),
            Piece::Native(position, block) => self.begin_raw(What::Native(position), &block, events),
            Piece::Arguments(number, arguments) => self.feed(number, &arguments, events),
            Piece::NativeInput(position, input) => {
                if matches!(&self.open, Some(Open { what: What::Native(open), .. }) if *open == position) {
                    self.grow(INPUT, &input, events);
                }
            }
        }
    }

    fn feed(&mut self, number: u64, arguments: &str, events: &mut Vec<Event>) {
        // What comes for a call that has been closed belongs to no block any more; only a broken stream has that.
        let Some(Open { what: What::Tool(open, whole), .. }) = &mut self.open else { return };
        if *open == number {
            whole.read(arguments);
            self.grow(INPUT, arguments, events);
        }
    }

    /// Makes sure that the open block is this one.
    fn open<'b>(&mut self, what: What, events: &mut Vec<Event>, block: impl FnOnce() -> Block<'b>) {
        if self.open.as_ref().is_some_and(|open| open.what == what) {
            return;
        }
        self.close(events);
        let index = self.begin(&block(), events);
        self.open = Some(Open { index, what });
    }

    fn begin_raw(&mut self, what: What, block: &RawValue, events: &mut Vec<Event>) {
        self.close(events);
        let index = self.begin(&block, events);
        self.open = Some(Open { index, what });
    }

    fn begin(&mut self, block: &impl Serialize, events: &mut Vec<Event>) -> u64 {
        let index = self.next;
        self.next += 1;
        let start =
            StreamEvent { index: Some(index), content_block: Some(Json::of(block)), ..of("content_block_start") };
        emit(events, start);
        index
    }

    /// The open block grows by a piece of text. Nearly all events say this, so they are written by hand.
    fn grow(&self, Growth(delta): Growth, piece: &str, events: &mut Vec<Event>) {
        let mut data = String::with_capacity(96 + piece.len());
        data.push_str(r#"{"type":"content_block_delta","index":"#);
        push_number(&mut data, self.open.as_ref().map_or(0, |open| open.index));
        data.push_str(delta);
        push_text(&mut data, piece);
        data.push_str("}}");
        events.push(Event::named("content_block_delta", data));
    }

    fn close(&mut self, events: &mut Vec<Event>) {
        if let Some(open) = self.open.take() {
            emit(events, StreamEvent { index: Some(open.index), ..of("content_block_stop") });
        }
    }

    fn close_if(&mut self, is: impl FnOnce(&What) -> bool, events: &mut Vec<Event>) {
        if self.open.as_ref().is_some_and(|open| is(&open.what)) {
            self.close(events);
        }
    }

    fn message_delta(&self) -> Value {
        let ending = self.owed.end.as_ref();
        let end = End {
            finish_reason: ending.and_then(|end| end.finish_reason.as_deref()),
            native_finish_reason: ending.and_then(|end| end.native_finish_reason.as_deref()),
            stop_sequence: ending.and_then(|end| end.stop_sequence.as_deref()),
            has_tool_calls: !self.calls.is_empty(),
        };
        let mut delta = json!({"stop_reason": &*end.stop_reason(), "stop_sequence": end.stop_sequence});
        if let Some(details) = ending.and_then(|end| end.stop_details.as_ref()) {
            delta["stop_details"] = json!(details);
        }
        if let Some(container) = &self.owed.container {
            delta["container"] = json!(container);
        }
        let usage = self.owed.usage.as_ref().map_or(json!({"output_tokens": 0}), |usage| json!(usage));
        json!({"type": "message_delta", "delta": delta, "usage": usage})
    }
}

/// How a block grows: what stands between its index and the piece.
#[derive(Clone, Copy)]
struct Growth(&'static str);

const TEXT: Growth = Growth(r#","delta":{"type":"text_delta","text":"#);
const THINKING: Growth = Growth(r#","delta":{"type":"thinking_delta","thinking":"#);
const SIGNATURE: Growth = Growth(r#","delta":{"type":"signature_delta","signature":"#);
const INPUT: Growth = Growth(r#","delta":{"type":"input_json_delta","partial_json":"#);

fn empty_thinking<'b>() -> Block<'b> {
    Block::thinking(Text::default(), Text::default())
}

fn of(kind: &'static str) -> StreamEvent<'static> {
    StreamEvent { kind: kind.into(), ..StreamEvent::default() }
}

fn cow(text: Cow<'_, str>) -> Text<'_> {
    match text {
        Cow::Borrowed(text) => text.into(),
        Cow::Owned(text) => text.into(),
    }
}

fn emit(events: &mut Vec<Event>, event: StreamEvent<'_>) {
    events.push(Event::named(&event.kind, serde_json::to_string(&event).expect("a view can be written")));
}

fn raw(value: &impl Serialize) -> Option<Box<RawValue>> {
    serde_json::value::to_raw_value(value).ok()
}

fn always_raw(value: &impl Serialize) -> Box<RawValue> {
    serde_json::value::to_raw_value(value).expect("a view can be written")
}
