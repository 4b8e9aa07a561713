//! An upstream's body: bounded in time and size, and unpacked where it comes packed.

use super::unpack::Unpack;
use crate::config::{Limits, Timeouts};
use crate::error::Failure;
use crate::pipeline::limit::within;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

pub struct UpstreamBody {
    incoming: Incoming,
    unpack: Option<Unpack>,
    /// The most bytes that are held at once.
    limit: usize,
    /// For the whole body of an answer that is not streamed.
    whole_timeout: Duration,
    /// Between two reads of a stream.
    idle_timeout: Duration,
}

impl UpstreamBody {
    pub fn new(incoming: Incoming, headers: &HeaderMap, timeouts: &Timeouts, limits: &Limits) -> Self {
        let limit = limits.body_bytes;
        let (whole_timeout, idle_timeout) = (timeouts.request, timeouts.stream_idle);
        UpstreamBody { incoming, unpack: Unpack::of(headers, limit), limit, whole_timeout, idle_timeout }
    }

    /// The next bytes of a stream; None at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let silent = || "the provider's stream brought nothing";
            match within(self.idle_timeout, "stream_idle_timeout", silent, self.read()).await? {
                // A packed stream may take several reads for its first bytes.
                Some(bytes) if bytes.is_empty() => {}
                read => return Ok(read),
            }
        }
    }

    /// More bytes of a stream, where they are here already. Servers send an event in a chunk, and hyper hands over chunk by
    /// chunk; taking together what came together saves a pass through everything behind for each.
    pub async fn more(&mut self) -> Result<Option<Bytes>, Failure> {
        for attempt in 0..2 {
            let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut self.incoming).poll_frame(context))).await;
            match polled {
                Poll::Ready(frame) => return self.unpacked(frame),
                // The connection's task had no turn since the last frame was taken.
                Poll::Pending if attempt == 0 => others_first().await,
                Poll::Pending => {}
            }
        }
        Ok(Some(Bytes::new()))
    }

    /// The whole body.
    pub async fn whole(mut self) -> Result<Bytes, Failure> {
        let late = || "the rest of the provider's answer did not come";
        within(self.whole_timeout, "upstream_timeout", late, self.gather()).await
    }

    async fn gather(&mut self) -> Result<Bytes, Failure> {
        let Some(first) = self.read().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.read().await? else { return Ok(first) };
        let mut body = BytesMut::from(first.as_ref());
        body.extend_from_slice(&second);
        while let Some(bytes) = self.read().await? {
            body.extend_from_slice(&bytes);
            if body.len() > self.limit {
                return Err(too_large());
            }
        }
        Ok(body.freeze())
    }

    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        let frame = self.incoming.frame().await;
        self.unpacked(frame)
    }

    /// The bytes of a frame; none for trailers, which say nothing to us, and None at the end.
    fn unpacked(&mut self, frame: Option<hyper::Result<Frame<Bytes>>>) -> Result<Option<Bytes>, Failure> {
        let data = match frame {
            None => return self.unpack.as_mut().map_or(Ok(()), Unpack::finish).map(|()| None),
            Some(Err(error)) => {
                let failure = Failure::upstream("the provider's answer broke off").code("upstream_cut");
                return Err(failure.detail(error.to_string()));
            }
            Some(Ok(frame)) => frame.into_data().unwrap_or_default(),
        };
        let Some(unpack) = &mut self.unpack else { return Ok(Some(data)) };
        unpack.push(&data).map(Some)
    }
}

/// Lets every task that is ready have its turn. Tokio's `yield_now` will not do: hyper polls a reply's body several times
/// in one turn of its task, and the second poll ends the yielding.
async fn others_first() {
    // It ends like every task, and brings nothing.
    let _ = tokio::spawn(std::future::ready(())).await;
}

pub fn too_large() -> Failure {
    Failure::upstream("the provider's answer is larger than the gateway takes").code("upstream_too_large")
}
