//! A stream on its way to the caller. After its first byte there is no other status: what fails now becomes an error event
//! in the caller's dialect, and never a clean end.

use super::curfew::Curfew;
use super::reply_body::Broken;
use crate::chat;
use crate::error::Failure;
use crate::framing::write_sse;
use crate::pipeline::call::Call;
use crate::pipeline::problem;
use crate::pipeline::review::ChunkReview;
use crate::pipeline::stream::{AnswerStream, Batch, Passing};
use crate::plugins::api::upstream::Progress;
use crate::telemetry::{Outcome, Record};
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::unfold;
use std::sync::Arc;

pub struct Outflow {
    call: Arc<Call>,
    stream: Box<AnswerStream>,
    review: Option<ChunkReview>,
    /// Whether the chunk with nothing but the usage goes to the caller.
    wants_usage: bool,
    /// The client format's state.
    state: String,
    record: Record,
    curfew: Curfew,
    ended: bool,
}

impl Outflow {
    pub fn new(
        call: Arc<Call>,
        stream: Box<AnswerStream>,
        review: Option<ChunkReview>,
        wants_usage: bool,
        record: Record,
    ) -> Self {
        let curfew = Curfew::at(call.deadline);
        Outflow { call, stream, review, wants_usage, state: String::new(), record, curfew, ended: false }
    }

    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        unfold(self, |mut outflow| async move {
            let bytes = outflow.next().await?;
            Some((Ok(bytes), outflow))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        while !self.ended {
            let batch = self.next_in_time().await;
            if batch.content {
                self.record.first_token();
            }
            self.record.usage = batch.usage.or(self.record.usage);
            let bytes = match self.stream.passing {
                Passing::AsItComes { .. } => self.pass(batch).await,
                Passing::Translated => self.translate(batch).await,
            };
            if !bytes.is_empty() {
                return Some(bytes);
            }
        }
        None
    }

    /// How long a stream may be silent is the upstream's bound; how long it may go on is the request's.
    async fn next_in_time(&mut self) -> Batch {
        let in_time = self.curfew.before(self.stream.next()).await;
        in_time.unwrap_or_else(|| Batch::ending(self.call.out_of_time("the stream went on")))
    }

    /// Frames as they came, copied: a frame that waits for a slow caller would hold the whole buffer that it was read into.
    async fn pass(&mut self, batch: Batch) -> Bytes {
        let mut out: BytesMut = batch.raw.iter().flatten().collect();
        match batch.end {
            None => {}
            Some(Ok(())) => self.complete(),
            Some(Err(failure)) => self.fail(&failure, &mut out).await,
        }
        out.freeze()
    }

    /// Canonical chunks, past the policies, in the caller's dialect.
    async fn translate(&mut self, batch: Batch) -> Bytes {
        let Batch { mut chunks, mut end, .. } = batch;
        if let Some(review) = &mut self.review {
            let (passed, refused) = review.review(&self.call, chunks, end.is_some()).await;
            chunks = passed;
            if let Some(failure) = refused {
                end = Some(Err(failure));
            }
        }
        if !self.wants_usage {
            chunks.retain(|chunk| !chat::is_only_usage(chunk));
        }
        let mut out = BytesMut::new();
        let complete = matches!(end, Some(Ok(())));
        if let Err(failure) = self.encode(&chunks, complete, &mut out).await {
            end = Some(Err(failure));
        }
        match end {
            None => {}
            Some(Ok(())) => self.complete(),
            Some(Err(failure)) => self.fail(&failure, &mut out).await,
        }
        out.freeze()
    }

    async fn encode(&mut self, chunks: &[String], complete: bool, out: &mut BytesMut) -> Result<(), Failure> {
        let call = self.call.clone();
        let Some(speaker) = call.speaker()? else {
            for chunk in chunks {
                write_sse("", chunk, out);
            }
            // Events say by themselves which of them is the last.
            if complete && !call.route.operation.streams_events() {
                write_sse("", chat::DONE, out);
            }
            return Ok(());
        };
        if chunks.is_empty() && !complete {
            return Ok(());
        }
        let progress = if complete { Progress::Complete } else { Progress::Open };
        let operation = call.route.operation.name();
        let encoded = speaker
            .encode_events(call.moment, operation, &self.state, chunks, &progress)
            .await
            .map_err(problem::from_call)?;
        self.state = encoded.state;
        for event in &encoded.events {
            write_sse(&event.name, &event.data, out);
        }
        Ok(())
    }

    fn complete(&mut self) {
        self.ended = true;
        self.record.outcome = Outcome::Complete;
    }

    /// An error event, and no terminal marker.
    async fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.ended = true;
        failure.log(&self.call.id);
        self.record.outcome = Outcome::Failed;
        self.record.error = Some(failure.message.to_string());
        if let Ok(Some(speaker)) = self.call.speaker() {
            let progress = Progress::Failed(problem::to_plugin(failure));
            let operation = self.call.route.operation.name();
            let encoded = speaker.encode_events(self.call.moment, operation, &self.state, &[], &progress).await;
            match encoded {
                Ok(encoded) if !encoded.events.is_empty() => {
                    for event in &encoded.events {
                        write_sse(&event.name, &event.data, out);
                    }
                    return;
                }
                // The format cannot even say that something failed.
                Ok(_) | Err(_) => {}
            }
        }
        write_sse("", &failure.body().to_string(), out);
    }
}
