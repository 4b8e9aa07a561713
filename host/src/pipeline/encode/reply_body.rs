//! The body of a reply: all at once, or as it comes.

use bytes::Bytes;
use futures_util::Stream;
use http_body::{Body, Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

type Pieces = Pin<Box<dyn Stream<Item = Bytes> + Send>>;

pub struct ReplyBody(Content);

enum Content {
    Whole(Option<Bytes>),
    Stream(Pieces),
}

impl ReplyBody {
    pub fn whole(body: Bytes) -> Self {
        ReplyBody(Content::Whole(Some(body).filter(|body| !body.is_empty())))
    }

    pub fn stream(pieces: impl Stream<Item = Bytes> + Send + 'static) -> Self {
        ReplyBody(Content::Stream(Box::pin(pieces)))
    }
}

impl Body for ReplyBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut self.0 {
            Content::Whole(body) => Poll::Ready(body.take().map(|body| Ok(Frame::data(body)))),
            Content::Stream(pieces) => pieces.as_mut().poll_next(context).map(|piece| Some(Ok(Frame::data(piece?)))),
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
