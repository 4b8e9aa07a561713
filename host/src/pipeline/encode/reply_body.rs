//! The body of a reply: all at once, or as it comes.

use bytes::Bytes;
use futures_util::Stream;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use thiserror::Error;
use tokio::task::AbortHandle;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// The body cannot go on; the connection is broken off, so that the caller does not take it for whole.
#[derive(Debug, Error)]
#[error("the answer broke off")]
pub struct Broken;

pub struct ReplyBody(Content);

enum Content {
    Whole(Option<Bytes>),
    Stream(Running),
}

impl ReplyBody {
    pub fn whole(body: Bytes) -> Self {
        ReplyBody(Content::Whole(Some(body).filter(|body| !body.is_empty())))
    }

    /// Pieces that end by themselves at the deadline, as long as somebody asks for the next one.
    pub fn stream(pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static, deadline: Instant) -> Self {
        ReplyBody(Content::Stream(Running::until(deadline, Box::pin(pieces))))
    }
}

/// A stream that ends also where its caller has stopped reading. Nobody asks it for a piece then, so it cannot notice its
/// deadline itself; what it holds, a turn with the provider and a connection, is for others to have.
struct Running {
    shared: Arc<Shared>,
    end: AbortHandle,
}

struct Shared {
    /// None once it has been ended from outside.
    pieces: Mutex<Option<Pieces>>,
    /// Whoever waits for the next piece, who would wait in vain for pieces that are gone.
    reader: AtomicWaker,
}

impl Running {
    /// For what a stream has to say in the end: those who read get it.
    const LAST_WORD: Duration = Duration::from_secs(1);

    fn until(deadline: Instant, pieces: Pieces) -> Self {
        let shared = Arc::new(Shared { pieces: Mutex::new(Some(pieces)), reader: AtomicWaker::new() });
        let held = shared.clone();
        let end = tokio::spawn(async move {
            tokio::time::sleep_until((deadline + Self::LAST_WORD).into()).await;
            let pieces = held.pieces.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(pieces);
            held.reader.wake();
        });
        Running { shared, end: end.abort_handle() }
    }

    fn poll_next(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Broken>>> {
        let Shared { pieces, reader } = &*self.shared;
        reader.register(context.waker());
        match pieces.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(pieces) => pieces.as_mut().poll_next(context),
            None => Poll::Ready(Some(Err(Broken))),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end.abort();
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Content::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Content::Stream(running) => running.poll_next(context).map(|piece| Some(piece?.map(Frame::data))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self.0, Content::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Content::Whole(body) => SizeHint::with_exact(body.as_ref().map_or(0, Bytes::len) as u64),
            Content::Stream(_) => SizeHint::default(),
        }
    }
}
