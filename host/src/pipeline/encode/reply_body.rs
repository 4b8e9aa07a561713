//! The body of a reply: all at once, or as it comes.

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use std::pin::Pin;
use std::task::{Context, Poll};
use thiserror::Error;

type Pieces = Pin<Box<dyn Stream<Item = Result<Bytes, Broken>> + Send>>;

/// The body cannot go on; the connection is broken off, so that the caller does not take it for whole.
#[derive(Debug, Error)]
#[error("the answer broke off")]
pub struct Broken;

pub struct ReplyBody(Content);

enum Content {
    Whole(Option<Bytes>),
    Stream(Pieces),
}

impl ReplyBody {
    pub fn whole(body: Bytes) -> Self {
        ReplyBody(Content::Whole(Some(body).filter(|body| !body.is_empty())))
    }

    pub fn stream(pieces: impl Stream<Item = Result<Bytes, Broken>> + Send + 'static) -> Self {
        ReplyBody(Content::Stream(Box::pin(pieces)))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Broken;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Broken>>> {
        match &mut self.0 {
            Content::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Content::Stream(pieces) => pieces.as_mut().poll_next(context).map(|piece| Some(piece?.map(Frame::data))),
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
