//! A stream on its way to the caller. After its first byte there is no other status: what fails now becomes an error event
//! in the caller's dialect, and never a clean end.

use super::course::Course;
use super::reply_body::Broken;
use crate::chat;
use crate::error::Failure;
use crate::framing::write_sse;
use crate::pipeline::problem;
use crate::pipeline::review::ChunkReview;
use crate::pipeline::stream::{AnswerStream, Batch, Passing};
use crate::plugins::api::upstream::Progress;
use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use futures_util::stream::unfold;

pub struct Outflow {
    course: Course,
    stream: Box<AnswerStream>,
    review: Option<ChunkReview>,
    /// Whether the chunk with nothing but the usage goes to the caller.
    wants_usage: bool,
    /// The client format's state.
    state: String,
}

impl Outflow {
    pub fn new(course: Course, stream: Box<AnswerStream>, review: Option<ChunkReview>, wants_usage: bool) -> Self {
        Outflow { course, stream, review, wants_usage, state: String::new() }
    }

    pub fn into_stream(self) -> impl Stream<Item = Result<Bytes, Broken>> + Send {
        unfold(self, |mut outflow| async move {
            let bytes = outflow.next().await?;
            Some((Ok(bytes), outflow))
        })
    }

    async fn next(&mut self) -> Option<Bytes> {
        while !self.course.is_over() {
            let batch = self.next_in_time().await;
            if batch.content {
                self.course.record.first_token();
            }
            self.course.record.usage = batch.usage.or(self.course.record.usage);
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
        let in_time = self.course.in_time(self.stream.next()).await;
        in_time.unwrap_or_else(|| Batch::ending(self.course.call.out_of_time("the stream went on")))
    }

    /// Frames as they came, copied: a frame that waits for a slow caller would hold the whole buffer that it was read into.
    async fn pass(&mut self, batch: Batch) -> Bytes {
        let mut out = BytesMut::with_capacity(batch.raw.iter().map(Bytes::len).sum());
        batch.raw.iter().for_each(|frame| out.extend_from_slice(frame));
        self.end(batch.end, &mut out).await;
        out.freeze()
    }

    /// Canonical chunks, past the policies, in the caller's dialect.
    async fn translate(&mut self, batch: Batch) -> Bytes {
        let Batch { mut chunks, mut end, .. } = batch;
        if let Some(review) = &mut self.review {
            let (passed, refused) = review.review(&self.course.call, chunks, end.is_some()).await;
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
        self.end(end, &mut out).await;
        out.freeze()
    }

    async fn encode(&mut self, chunks: &[String], complete: bool, out: &mut BytesMut) -> Result<(), Failure> {
        let call = self.course.call.clone();
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

    async fn end(&mut self, end: Option<Result<(), Failure>>, out: &mut BytesMut) {
        match end {
            None => {}
            Some(Ok(())) => self.course.complete(),
            Some(Err(failure)) => self.fail(&failure, out).await,
        }
    }

    /// An error event, and no terminal marker.
    async fn fail(&mut self, failure: &Failure, out: &mut BytesMut) {
        self.course.fail(failure);
        let call = &self.course.call;
        if let Ok(Some(speaker)) = call.speaker() {
            let progress = Progress::Failed(problem::to_plugin(failure));
            let operation = call.route.operation.name();
            let encoded = speaker.encode_events(call.moment, operation, &self.state, &[], &progress).await;
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
