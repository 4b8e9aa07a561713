//! A streamed answer on its way: bytes become frames, frames become canonical chunks, and somebody knows when it is
//! complete.

mod interpreter;

pub use interpreter::Interpreter;

use super::scrub::Scrub;
use super::send::UpstreamBody;
use super::tries::Verdict;
use crate::chat::{self, ChunkFacts, Usage};
use crate::config::Limits;
use crate::error::Failure;
use crate::framing::{Decoder, Frame, Framing, FramingError};
use crate::operation::Operation;
use bytes::Bytes;
use http::HeaderMap;
use std::collections::VecDeque;

/// Frames that are taken together. More would make the first of them wait.
const MAX_BATCH: usize = 64;
/// And their bytes, beyond which no further frame is taken: a plugin gets a batch as a whole, several times over.
const MAX_BATCH_BYTES: usize = 256 * 1024;

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
    /// On who gave it, until it ends.
    pub verdict: Option<Verdict>,
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
    /// The next chunk of a batch, whatever the batches are.
    fn after(self, content: bool) -> Self {
        if content { Look::Glance } else { self }
    }

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
    waiting: Waiting,
    /// Set when the body has ended, or cannot be read any further; what waits comes before it.
    end: Option<Result<(), Failure>>,
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
            verdict: None,
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
        let reading = Reading { body, decoder, interpreter, scrub, waiting: Waiting::default(), end: None };
        let source = Source::Upstream(Box::new(reading));
        let (headers, held) = (HeaderMap::new(), VecDeque::new());
        AnswerStream { headers, passing, verdict: None, held, source, look: Look::Inspect }
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

    /// All of it as one answer. What breaks off is a failure of the call, as nobody has seen anything of it yet.
    pub async fn gather(&mut self, operation: Operation, limit_bytes: usize) -> Result<String, Failure> {
        let (mut gathered, mut bytes) = (chat::Gathered::of(operation), 0);
        loop {
            let batch = self.next().await;
            bytes += batch.chunks.iter().map(String::len).sum::<usize>();
            if bytes > limit_bytes {
                return Err(Failure::upstream(format!("the provider's stream is larger than {limit_bytes} bytes"))
                    .code("upstream_too_large"));
            }
            for chunk in &batch.chunks {
                gathered.push(chunk);
            }
            match batch.end {
                None => {}
                Some(Ok(())) => return Ok(gathered.into_answer()),
                Some(Err(failure)) => return Err(failure),
            }
        }
    }

    pub async fn next(&mut self) -> Batch {
        let batch = match self.held.pop_front() {
            Some(batch) => batch,
            None => self.source.read(self.passing, self.look).await,
        };
        if let Some(end) = &batch.end
            && let Some(verdict) = self.verdict.take()
        {
            verdict.ends(end);
        }
        batch
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
        loop {
            let (frames, end) = self.next().await;
            let mut batch = self.interpreter.interpret(frames, end == Some(Ok(())), passing, look).await;
            if let (None, Some(Err(failure))) = (&batch.end, end) {
                batch.end = Some(Err(failure));
            }
            if batch.end.is_some() || !batch.chunks.is_empty() || !batch.raw.is_empty() {
                return batch;
            }
        }
    }

    /// The frames of the next batch, and how the body ended where they are the last.
    async fn next(&mut self) -> (Vec<Frame>, Option<Result<(), Failure>>) {
        if self.waiting.is_empty() && self.end.is_none() {
            self.end = match self.fill().await {
                Ok(Read::Some) => None,
                Ok(Read::All) => Some(Ok(())),
                Err(failure) => Some(Err(failure)),
            };
        }
        let mut frames = self.waiting.batch();
        frames.iter_mut().for_each(|frame| self.scrub.frame(frame));
        let end = if self.waiting.is_empty() { self.end.take() } else { None };
        (frames, end)
    }

    /// All frames that are here, at least some bytes' worth.
    async fn fill(&mut self) -> Result<Read, Failure> {
        let mut bytes = self.body.next().await?;
        loop {
            match bytes {
                None => {
                    self.waiting.cut(|frames| self.decoder.finish(frames))?;
                    return Ok(Read::All);
                }
                Some(bytes) if bytes.is_empty() => return Ok(Read::Some),
                Some(bytes) => self.waiting.cut(|frames| self.decoder.push(bytes, frames))?,
            }
            if self.waiting.fill_a_batch() {
                return Ok(Read::Some);
            }
            bytes = self.body.more().await?;
        }
    }
}

enum Read {
    Some,
    /// The body has ended as it should.
    All,
}

/// Frames that have been cut and not yet been handed on. One packed read can bring thousands.
#[derive(Default)]
struct Waiting {
    frames: VecDeque<Frame>,
    bytes: usize,
}

impl Waiting {
    fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn fill_a_batch(&self) -> bool {
        self.frames.len() >= MAX_BATCH || self.bytes >= MAX_BATCH_BYTES
    }

    /// Takes what was cut, also where cutting failed in the end.
    fn cut(&mut self, cut: impl FnOnce(&mut Vec<Frame>) -> Result<(), FramingError>) -> Result<(), Failure> {
        let mut frames = Vec::new();
        let outcome = cut(&mut frames);
        self.bytes += frames.iter().map(|frame| frame.raw.len()).sum::<usize>();
        self.frames.extend(frames);
        outcome.map_err(|error| {
            Failure::upstream(format!("the provider's stream broke off: {error}")).code("upstream_cut")
        })
    }

    /// At least one frame, where there is one.
    fn batch(&mut self) -> Vec<Frame> {
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while let Some(next) = self.frames.front()
            && batch.len() < MAX_BATCH
            && (batch.is_empty() || bytes + next.raw.len() <= MAX_BATCH_BYTES)
        {
            bytes += next.raw.len();
            batch.extend(self.frames.pop_front());
        }
        self.bytes -= bytes;
        batch
    }
}

impl Batch {
    pub fn ending(failure: Failure) -> Self {
        Batch { end: Some(Err(failure)), ..Batch::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(count: usize, bytes: usize) -> Waiting {
        let frame = Frame { name: String::new(), data: String::new(), raw: vec![b'x'; bytes].into() };
        Waiting { frames: vec![frame; count].into(), bytes: count * bytes }
    }

    #[test]
    fn batches_are_bounded_in_frames_and_in_bytes() {
        for (mut waiting, expected) in [
            (frames(150, 10), vec![64, 64, 22]),
            (frames(10, 100 * 1024), vec![2, 2, 2, 2, 2]),
            (frames(3, 1024 * 1024), vec![1, 1, 1]),
        ] {
            let batches: Vec<usize> =
                std::iter::from_fn(|| Some(waiting.batch().len()).filter(|len| *len > 0)).collect();
            assert_eq!(batches, expected);
        }
    }
}
