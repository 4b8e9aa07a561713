//! The body of a request to an upstream: pieces that are sent one after the other, so that a large body of which one word
//! changes need not be copied.

use bytes::Bytes;
use http::HeaderValue;
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

#[derive(Clone, Debug)]
pub struct Payload {
    pub content_type: HeaderValue,
    /// Mostly the only one.
    first: Bytes,
    rest: VecDeque<Bytes>,
}

impl Payload {
    pub fn new(content_type: HeaderValue, pieces: Vec<Bytes>) -> Self {
        let mut rest: VecDeque<Bytes> = pieces.into_iter().filter(|piece| !piece.is_empty()).collect();
        Payload { content_type, first: rest.pop_front().unwrap_or_default(), rest }
    }

    pub fn json(body: impl Into<Bytes>) -> Self {
        Payload { content_type: JSON, first: body.into(), rest: VecDeque::new() }
    }

    pub fn none() -> Self {
        Payload::json(Bytes::new())
    }

    pub fn is_empty(&self) -> bool {
        self.first.is_empty()
    }

    fn len(&self) -> usize {
        self.rest.iter().chain([&self.first]).map(Bytes::len).sum()
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = self.rest.pop_front().unwrap_or_default();
        let piece = std::mem::replace(&mut self.first, next);
        Poll::Ready((!piece.is_empty()).then(|| Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
    }
}
