//! Who understands the frames of a stream: the host, where they are canonical chunks, else a format.

use super::{Batch, Look, Passing};
use crate::chat::{self, ChunkFacts, Vocabulary};
use crate::error::Failure;
use crate::framing::Frame;
use crate::operation::Operation;
use crate::pipeline::call::Call;
use crate::pipeline::problem;
use crate::plugins::api::Event;
use crate::plugins::api::upstream::{Decoded, Progress};
use crate::plugins::{Configured, Moment};
use std::sync::Arc;

pub enum Interpreter {
    Canonical(Canonical),
    Format(Decoding),
}

/// A stream of the canonical dialect.
pub struct Canonical {
    vocabulary: Vocabulary,
    /// The newest event may be the last. Of several images each has one such, and what comes behind it must be completed too.
    complete: bool,
}

/// A stream that a format decodes.
pub struct Decoding {
    format: Arc<Configured>,
    moment: Moment,
    operation: String,
    state: String,
}

impl Interpreter {
    pub fn canonical(vocabulary: Vocabulary) -> Self {
        Interpreter::Canonical(Canonical { vocabulary, complete: false })
    }

    pub fn format(format: Arc<Configured>, call: &Call, operation: Operation) -> Self {
        let operation = operation.name().to_owned();
        Interpreter::Format(Decoding { format, moment: call.moment, operation, state: String::new() })
    }

    /// What the frames say. Where they pass as they came, their bytes go along; what comes after the end does not.
    pub(super) async fn interpret(&mut self, frames: Vec<Frame>, ended: bool, passing: Passing, look: Look) -> Batch {
        let mut batch = match (self, passing) {
            (Interpreter::Canonical(canonical), passing) => canonical.read(frames, ended, passing, look),
            (Interpreter::Format(decoding), Passing::AsItComes { .. }) => decoding.observe(frames, ended, look).await,
            (Interpreter::Format(decoding), Passing::Translated) => {
                let events: Vec<Event> = frames.into_iter().filter_map(event).collect();
                decoding.decode(&events, ended, look).await
            }
        };
        if ended && batch.end.is_none() {
            batch.end = Some(Err(truncated()));
        }
        batch
    }
}

impl Canonical {
    fn read(&mut self, frames: Vec<Frame>, ended: bool, passing: Passing, look: Look) -> Batch {
        let mut batch = Batch::default();
        let passes = passing != Passing::Translated;
        for frame in frames {
            if frame.data.trim().is_empty() {
                batch.raw.extend(passes.then_some(frame.raw));
                continue;
            }
            if frame.data.trim() == chat::DONE {
                batch.raw.extend(passes.then_some(frame.raw));
                batch.end = Some(Ok(()));
                break;
            }
            let Some(facts) = self.facts(&frame.data, look.after(batch.content)) else {
                batch.end = Some(Err(malformed()));
                break;
            };
            if let Some(error) = facts.error {
                batch.end = Some(Err(problem::from_answer(error)));
                break;
            }
            self.complete = facts.last;
            batch.content |= facts.content;
            batch.usage = facts.usage.or(batch.usage);
            match passing {
                Passing::AsItComes { usage: false } if facts.only_usage => {}
                Passing::AsItComes { .. } => batch.raw.push(frame.raw),
                Passing::Translated => batch.chunks.push(frame.data),
            }
        }
        if ended && self.complete && batch.end.is_none() {
            batch.end = Some(Ok(()));
        }
        batch
    }

    fn facts(&self, data: &str, look: Look) -> Option<ChunkFacts> {
        match self.vocabulary {
            Vocabulary::Chunks => look.at(data),
            Vocabulary::Events => chat::inspect_event(data),
        }
    }
}

impl Decoding {
    /// Canonical chunks of events.
    async fn decode(&mut self, events: &[Event], ended: bool, look: Look) -> Batch {
        if events.is_empty() && !ended {
            return Batch::default();
        }
        let Decoded { state, chunks, progress } = match self.call(events, ended).await {
            Ok(decoded) => decoded,
            Err(failure) => return Batch::ending(failure),
        };
        self.state = state;
        let mut batch = Batch::default();
        for chunk in &chunks {
            let Some(facts) = look.after(batch.content).at(chunk) else {
                let broken = self.format.broke_contract("it decoded an event to something that is no chunk");
                return Batch::ending(problem::from_call(broken));
            };
            batch.content |= facts.content;
            batch.usage = facts.usage.or(batch.usage);
        }
        batch.chunks = chunks;
        batch.end = match progress {
            Progress::Open => None,
            Progress::Complete => Some(Ok(())),
            Progress::Failed(problem) => Some(Err(problem::from_plugin(problem))),
        };
        batch
    }

    /// Frames that pass as they came, looked at on the way. Where the stream ends among them, the format says at which: an
    /// error's frame is left out, since the caller gets ours, and nothing passes behind the terminal one.
    async fn observe(&mut self, frames: Vec<Frame>, ended: bool, look: Look) -> Batch {
        let before = self.state.clone();
        let mut events = Vec::with_capacity(frames.len());
        // Each with the number of events up to it.
        let mut passing = Vec::with_capacity(frames.len());
        for frame in frames {
            let raw = frame.raw.clone();
            events.extend(event(frame));
            passing.push((raw, events.len()));
        }
        let mut batch = self.decode(&events, ended, look).await;
        batch.chunks.clear();
        if let Some(end) = &batch.end
            && let Some(last) = self.last_event(before, &events).await
        {
            let kept = if end.is_ok() { last + 1 } else { last };
            passing.retain(|(_, events)| *events <= kept);
        }
        batch.raw = passing.into_iter().map(|(raw, _)| raw).collect();
        batch
    }

    /// The event that ended the stream. Calls are pure, so asking again from the state before is free of consequences.
    async fn last_event(&mut self, before: String, events: &[Event]) -> Option<usize> {
        let after = std::mem::replace(&mut self.state, before);
        let mut found = None;
        for (index, event) in events.iter().enumerate() {
            match self.call(std::slice::from_ref(event), false).await {
                Ok(Decoded { state, progress: Progress::Open, .. }) => self.state = state,
                Ok(_) | Err(_) => {
                    found = Some(index);
                    break;
                }
            }
        }
        self.state = after;
        found
    }

    async fn call(&self, events: &[Event], ended: bool) -> Result<Decoded, Failure> {
        self.format
            .decode_events(self.moment, &self.operation, &self.state, events, ended)
            .await
            .map_err(problem::from_call)
    }
}

/// None for what has nothing in it.
fn event(frame: Frame) -> Option<Event> {
    (!frame.is_comment()).then_some(Event { name: frame.name, data: frame.data })
}

fn truncated() -> Failure {
    Failure::upstream("the provider's stream ended before it was complete").code("upstream_cut")
}

fn malformed() -> Failure {
    Failure::upstream("an event of the provider's stream is not what it should be").code("upstream_malformed")
}
