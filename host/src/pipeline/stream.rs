//! A streamed answer on its way: bytes become frames, frames become canonical chunks, and somebody knows when it is
//! complete.

use super::call::Call;
use super::problem;
use super::send::UpstreamBody;
use crate::chat::{self, ChunkFacts, Usage};
use crate::config::Limits;
use crate::error::{Failure, FailureKind};
use crate::framing::{Decoder, Frame, Framing, FramingError};
use crate::plugins::api::Event;
use crate::plugins::api::upstream::Progress;
use crate::plugins::{Configured, Moment};
use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;
use std::sync::Arc;

/// The largest state that a plugin may keep for one stream.
pub const MAX_STATE_BYTES: usize = 256 * 1024;
/// Frames that are taken together. More would make the first of them wait.
const MAX_BATCH: usize = 64;

/// What one read brought.
#[derive(Default)]
pub struct Batch {
    /// The frames as they came, where they pass as they came.
    pub raw: Vec<Bytes>,
    /// Canonical chunks, where they do not.
    pub chunks: Vec<String>,
    /// Something that the caller can see is in it.
    pub content: bool,
    pub usage: Option<Usage>,
    /// Set with the last batch: complete, or failed.
    pub end: Option<Result<(), Failure>>,
}

pub struct AnswerStream {
    /// The upstream's headers, where the stream passes as it comes.
    pub headers: HeaderMap,
    /// Whether frames pass as they come.
    pub passes: bool,
    /// Batches that were read to find the first content.
    held: VecDeque<Batch>,
    source: Source,
    look: Look,
}

/// How closely chunks are looked at: content matters until the first of it.
#[derive(Clone, Copy)]
enum Look {
    Inspect,
    Glance,
}

impl Look {
    fn at(self, chunk: &str) -> Option<ChunkFacts> {
        match self {
            Look::Inspect => chat::inspect_chunk(chunk),
            Look::Glance => chat::glance(chunk),
        }
    }
}

enum Source {
    /// A provider that answers by itself has said everything at once.
    Spent,
    Upstream {
        body: UpstreamBody,
        decoder: Decoder,
        interpreter: Interpreter,
    },
}

/// Who understands the frames.
pub enum Interpreter {
    /// The host: they are canonical chunks.
    Canonical,
    Format {
        format: Arc<Configured>,
        moment: Moment,
        operation: String,
        state: String,
    },
}

impl Interpreter {
    pub fn format(format: Arc<Configured>, call: &Call) -> Self {
        let operation = call.route.operation.name().to_owned();
        Interpreter::Format { format, moment: call.moment, operation, state: String::new() }
    }
}

impl AnswerStream {
    /// Of chunks that are all there, and known to be chunks.
    pub fn local(chunks: Vec<String>) -> Self {
        let mut batch = Batch { content: true, ..Batch::default() };
        batch.end = Some(Ok(()));
        for chunk in chunks {
            batch.usage = chat::glance(&chunk).and_then(|facts| facts.usage).or(batch.usage);
            batch.chunks.push(chunk);
        }
        AnswerStream {
            headers: HeaderMap::new(),
            passes: false,
            held: VecDeque::from([batch]),
            source: Source::Spent,
            look: Look::Glance,
        }
    }

    pub fn upstream(
        body: UpstreamBody,
        framing: Framing,
        interpreter: Interpreter,
        passes: bool,
        limits: &Limits,
    ) -> Self {
        let decoder = Decoder::new(framing, limits.event_bytes);
        let source = Source::Upstream { body, decoder, interpreter };
        AnswerStream { headers: HeaderMap::new(), passes, held: VecDeque::new(), source, look: Look::Inspect }
    }

    /// Reads up to the first content. A failure here is one of the call, as if the stream had never begun.
    pub async fn commit(&mut self, limit_bytes: usize) -> Result<(), Failure> {
        let mut held_bytes = 0;
        loop {
            let batch = self.source.read(self.passes, self.look).await;
            if let (false, Some(Err(failure))) = (batch.content, &batch.end) {
                return Err(failure.clone());
            }
            held_bytes += batch.raw.iter().map(Bytes::len).sum::<usize>();
            held_bytes += batch.chunks.iter().map(String::len).sum::<usize>();
            let done = batch.content || batch.end.is_some();
            self.held.push_back(batch);
            if done {
                self.look = Look::Glance;
                return Ok(());
            }
            if held_bytes > limit_bytes {
                return Err(Failure::upstream("the provider's stream brought no content in all it sent"));
            }
        }
    }

    pub async fn next(&mut self) -> Batch {
        match self.held.pop_front() {
            Some(batch) => batch,
            None => self.source.read(self.passes, self.look).await,
        }
    }
}

impl Source {
    /// The next batch with anything in it.
    async fn read(&mut self, passes: bool, look: Look) -> Batch {
        let Source::Upstream { body, decoder, interpreter } = self else {
            return Batch { end: Some(Ok(())), ..Batch::default() };
        };
        loop {
            let mut frames = Vec::new();
            let (cut, ended) = match take(body, decoder, &mut frames).await {
                Ok(Taken::Some(cut)) => (cut, false),
                Ok(Taken::Last(cut)) => (cut, true),
                Err(failure) if frames.is_empty() => return Batch::ending(failure),
                Err(failure) => {
                    // What came before it is good.
                    let mut batch = interpreter.interpret(frames, false, passes, look).await;
                    batch.end.get_or_insert(Err(failure));
                    return batch;
                }
            };
            let mut batch = interpreter.interpret(frames, ended, passes, look).await;
            if batch.end.is_none()
                && let Some(error) = cut
            {
                batch.end = Some(Err(
                    Failure::upstream(format!("the provider's stream broke off: {error}")).code("upstream_cut")
                ));
            }
            if batch.end.is_some() || !batch.chunks.is_empty() || !batch.raw.is_empty() {
                return batch;
            }
        }
    }
}

/// What a look at the body brought, and why it cannot be cut further, where it cannot.
enum Taken {
    Some(Option<FramingError>),
    Last(Option<FramingError>),
}

/// All frames that are here, at least some bytes' worth.
async fn take(body: &mut UpstreamBody, decoder: &mut Decoder, frames: &mut Vec<Frame>) -> Result<Taken, Failure> {
    let Some(bytes) = body.next().await? else { return Ok(Taken::Last(decoder.finish(frames).err())) };
    let mut cut = decoder.push(bytes, frames).err();
    while cut.is_none() && frames.len() < MAX_BATCH {
        match body.more().await? {
            None => return Ok(Taken::Last(decoder.finish(frames).err())),
            Some(bytes) if bytes.is_empty() => break,
            Some(bytes) => cut = decoder.push(bytes, frames).err(),
        }
    }
    Ok(Taken::Some(cut))
}

impl Batch {
    fn ending(failure: Failure) -> Self {
        Batch { end: Some(Err(failure)), ..Batch::default() }
    }
}

impl Interpreter {
    /// What the frames say. Where they pass as they came, their bytes go along; what comes after the end does not.
    async fn interpret(&mut self, frames: Vec<Frame>, ended: bool, passes: bool, look: Look) -> Batch {
        let mut batch = match self {
            Interpreter::Canonical => interpret_canonical(frames, passes, look),
            Interpreter::Format { format, moment, operation, state } => {
                let raw = if passes { frames.iter().map(|frame| frame.raw.clone()).collect() } else { Vec::new() };
                let mut batch = interpret_format(format, *moment, operation, state, frames, ended, look).await;
                if passes {
                    batch.raw = raw;
                    batch.chunks.clear();
                }
                batch
            }
        };
        if ended && batch.end.is_none() {
            batch.end = Some(Err(truncated()));
        }
        batch
    }
}

fn interpret_canonical(frames: Vec<Frame>, passes: bool, look: Look) -> Batch {
    let mut batch = Batch::default();
    for frame in frames {
        if frame.is_comment() {
            batch.raw.extend(passes.then_some(frame.raw));
            continue;
        }
        if frame.data.trim() == chat::DONE {
            batch.raw.extend(passes.then_some(frame.raw));
            batch.end = Some(Ok(()));
            break;
        }
        let Some(facts) = look.at(&frame.data) else {
            batch.end = Some(Err(malformed()));
            break;
        };
        if let Some(error) = facts.error {
            batch.end = Some(Err(reported(&error)));
            break;
        }
        batch.content |= facts.content;
        batch.usage = facts.usage.or(batch.usage);
        match passes {
            true => batch.raw.push(frame.raw),
            false => batch.chunks.push(frame.data),
        }
    }
    batch
}

async fn interpret_format(
    format: &Arc<Configured>,
    moment: Moment,
    operation: &str,
    state: &mut String,
    frames: Vec<Frame>,
    ended: bool,
    look: Look,
) -> Batch {
    let events: Vec<Event> = frames
        .into_iter()
        .filter(|frame| !frame.is_comment())
        .map(|frame| Event { name: frame.name, data: frame.data })
        .collect();
    if events.is_empty() && !ended {
        return Batch::default();
    }
    let decoded = match format.decode_events(moment, operation, state, &events, ended).await {
        Ok(decoded) => decoded,
        Err(error) => return Batch::ending(problem::from_call(error)),
    };
    if decoded.state.len() > MAX_STATE_BYTES {
        return Batch::ending(problem::from_call(format.broke_contract("its state has grown too large")));
    }
    *state = decoded.state;
    let mut batch = Batch { chunks: decoded.chunks, ..Batch::default() };
    for chunk in &batch.chunks {
        let Some(facts) = look.at(chunk) else {
            let failure =
                problem::from_call(format.broke_contract("it decoded an event to something that is no chunk"));
            return Batch::ending(failure);
        };
        batch.content |= facts.content;
        batch.usage = facts.usage.or(batch.usage);
    }
    batch.end = match decoded.progress {
        Progress::Open => None,
        Progress::Complete => Some(Ok(())),
        Progress::Failed(problem) => Some(Err(problem::from_plugin(problem))),
    };
    batch
}

fn truncated() -> Failure {
    Failure::upstream("the provider's stream ended before it was complete").code("upstream_cut")
}

fn malformed() -> Failure {
    Failure::upstream("an event of the provider's stream is not what it should be").code("upstream_malformed")
}

/// An error event inside a stream that began well.
fn reported(error: &chat::ChunkError) -> Failure {
    let code = match &error.code {
        serde_json::Value::String(code) => Some(code.clone()),
        serde_json::Value::Number(code) => Some(code.to_string()),
        _ => None,
    };
    let says = |word: &str| {
        code.as_deref().is_some_and(|code| code.contains(word))
            || error.kind.as_deref().is_some_and(|kind| kind.contains(word))
    };
    let kind = if says("overloaded") || says("529") || says("503") {
        FailureKind::Overloaded
    } else if says("rate_limit") || says("429") {
        FailureKind::RateLimited
    } else {
        FailureKind::Upstream
    };
    let message =
        if error.message.is_empty() { "the provider reported an error in its stream" } else { &error.message };
    let failure = Failure::new(kind, message);
    match code {
        Some(code) => failure.code(code),
        None => failure,
    }
}
