//! A streamed answer on its way: bytes become frames, frames become canonical chunks, and somebody knows when it is
//! complete.

mod interpreter;

pub use interpreter::Interpreter;

use super::scrub::Scrub;
use super::send::UpstreamBody;
use crate::chat::{self, ChunkFacts, Usage};
use crate::config::Limits;
use crate::error::Failure;
use crate::framing::{Decoder, Frame, Framing, FramingError};
use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;

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
    pub passing: Passing,
    /// Batches that were read to find the first content.
    held: VecDeque<Batch>,
    source: Source,
    look: Look,
}

/// Whether frames go on as they come.
#[derive(Clone, Copy, PartialEq)]
pub enum Passing {
    AsItComes {
        /// Whether the caller wants the chunk with nothing but the usage, which some upstreams send unasked.
        usage: bool,
    },
    Translated,
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
    Upstream(Box<Reading>),
}

/// A body that is being read.
struct Reading {
    body: UpstreamBody,
    decoder: Decoder,
    interpreter: Interpreter,
    scrub: Scrub,
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
            passing: Passing::Translated,
            held: VecDeque::from([batch]),
            source: Source::Spent,
            look: Look::Glance,
        }
    }

    pub fn upstream(
        body: UpstreamBody,
        framing: Framing,
        interpreter: Interpreter,
        passing: Passing,
        scrub: Scrub,
        limits: &Limits,
    ) -> Self {
        let decoder = Decoder::new(framing, limits.event_bytes);
        let source = Source::Upstream(Box::new(Reading { body, decoder, interpreter, scrub }));
        AnswerStream { headers: HeaderMap::new(), passing, held: VecDeque::new(), source, look: Look::Inspect }
    }

    /// Reads up to the first content. A failure here is one of the call, as if the stream had never begun.
    pub async fn commit(&mut self, limit_bytes: usize) -> Result<(), Failure> {
        let mut held_bytes = 0;
        loop {
            let batch = self.source.read(self.passing, self.look).await;
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
            None => self.source.read(self.passing, self.look).await,
        }
    }
}

impl Source {
    /// The next batch with anything in it.
    async fn read(&mut self, passing: Passing, look: Look) -> Batch {
        match self {
            Source::Spent => Batch { end: Some(Ok(())), ..Batch::default() },
            Source::Upstream(reading) => {
                let mut batch = reading.read(passing, look).await;
                batch.end = batch.end.map(|end| end.map_err(|failure| reading.scrub.failure(failure)));
                batch
            }
        }
    }
}

impl Reading {
    async fn read(&mut self, passing: Passing, look: Look) -> Batch {
        let Reading { body, decoder, interpreter, scrub } = self;
        loop {
            let mut frames = Vec::new();
            let taken = take(body, decoder, &mut frames).await;
            frames.iter_mut().for_each(|frame| scrub.frame(frame));
            let (cut, ended) = match taken {
                Ok(Taken::Some(cut)) => (cut, false),
                Ok(Taken::Last(cut)) => (cut, true),
                Err(failure) if frames.is_empty() => return Batch::ending(failure),
                Err(failure) => {
                    // What came before it is good.
                    let mut batch = interpreter.interpret(frames, false, passing, look).await;
                    batch.end.get_or_insert(Err(failure));
                    return batch;
                }
            };
            let mut batch = interpreter.interpret(frames, ended && cut.is_none(), passing, look).await;
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
