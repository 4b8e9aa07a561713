//! An upstream's body: bounded in time and size, and unpacked where it comes packed.

use crate::config::{Limits, Timeouts};
use crate::error::{Failure, FailureKind};
use bytes::{Bytes, BytesMut};
use flate2::write::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use http_body_util::BodyExt;
use hyper::body::{Body, Frame, Incoming};
use std::future::poll_fn;
use std::io::{self, Write};
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
    pub fn new(incoming: Incoming, headers: &HeaderMap, timeouts: &Timeouts, limits: &Limits) -> Result<Self, Failure> {
        let encoding =
            headers.get(CONTENT_ENCODING).map_or(Ok("identity"), |value| value.to_str()).unwrap_or("unreadable");
        let unpack = match encoding.trim().to_ascii_lowercase().as_str() {
            "" | "identity" => None,
            "gzip" | "x-gzip" => Some(Unpack::Gzip(MultiGzDecoder::new(Bounded::new(limits.body_bytes)))),
            "deflate" => Some(Unpack::Unsure(limits.body_bytes)),
            other => {
                return Err(Failure::upstream("the provider's answer is packed in a way that it was not asked for")
                    .detail(format!("content-encoding: {other}")));
            }
        };
        let (whole_timeout, idle_timeout) = (timeouts.request, timeouts.stream_idle);
        Ok(UpstreamBody { incoming, unpack, limit: limits.body_bytes, whole_timeout, idle_timeout })
    }

    /// The next bytes of a stream; None at its end.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let read = tokio::time::timeout(self.idle_timeout, self.read()).await.map_err(|_| {
                Failure::new(
                    FailureKind::Timeout,
                    format!("the provider's stream was silent for {} s", self.idle_timeout.as_secs_f64()),
                )
                .code("stream_idle_timeout")
            })?;
            match read? {
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
        let limit = self.whole_timeout;
        tokio::time::timeout(limit, self.gather()).await.map_err(|_| {
            Failure::new(
                FailureKind::Timeout,
                format!("the rest of the provider's answer did not come within {} s", limit.as_secs_f64()),
            )
            .code("upstream_timeout")
        })?
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
        unpack.push(&data).map(Some).map_err(|error| match error.kind() {
            io::ErrorKind::QuotaExceeded => too_large(),
            _ => Failure::upstream("the provider's answer cannot be unpacked").detail(error.to_string()),
        })
    }
}

/// Lets every task that is ready have its turn. Tokio's `yield_now` will not do: hyper polls a reply's body several times
/// in one turn of its task, and the second poll ends the yielding.
async fn others_first() {
    // It ends like every task, and brings nothing.
    let _ = tokio::spawn(std::future::ready(())).await;
}

fn too_large() -> Failure {
    Failure::upstream("the provider's answer is larger than the gateway takes").code("upstream_too_large")
}

/// What a packed body is unpacked with.
enum Unpack {
    Gzip(MultiGzDecoder<Bounded>),
    Zlib(ZlibDecoder<Bounded>),
    Raw(DeflateDecoder<Bounded>),
    /// `deflate` means zlib by the standard and raw deflate with some servers; the first byte tells.
    Unsure(usize),
}

impl Unpack {
    /// What was cut within the packing ends as any body does, unless somebody asks.
    fn finish(&mut self) -> Result<(), Failure> {
        let whole = match self {
            Unpack::Gzip(decoder) => decoder.try_finish(),
            Unpack::Zlib(decoder) => decoder.try_finish(),
            Unpack::Raw(decoder) => decoder.try_finish(),
            Unpack::Unsure(_) => Ok(()),
        };
        whole.map_err(|error| {
            Failure::upstream("the provider's answer broke off").code("upstream_cut").detail(error.to_string())
        })
    }

    fn push(&mut self, data: &[u8]) -> io::Result<Bytes> {
        if let (Unpack::Unsure(limit), Some(first)) = (&*self, data.first()) {
            let out = Bounded::new(*limit);
            *self = match first & 0x0F {
                8 => Unpack::Zlib(ZlibDecoder::new(out)),
                _ => Unpack::Raw(DeflateDecoder::new(out)),
            };
        }
        let out = match self {
            Unpack::Gzip(decoder) => unpack(decoder, data, MultiGzDecoder::get_mut)?,
            Unpack::Zlib(decoder) => unpack(decoder, data, ZlibDecoder::get_mut)?,
            Unpack::Raw(decoder) => unpack(decoder, data, DeflateDecoder::get_mut)?,
            Unpack::Unsure(_) => return Ok(Bytes::new()),
        };
        Ok(out)
    }
}

fn unpack<D: Write>(decoder: &mut D, data: &[u8], out: impl Fn(&mut D) -> &mut Bounded) -> io::Result<Bytes> {
    decoder.write_all(data)?;
    decoder.flush()?;
    Ok(std::mem::take(&mut out(decoder).bytes).into())
}

/// Bytes up to a limit: a few packed kilobytes can be gigabytes.
struct Bounded {
    bytes: Vec<u8>,
    limit: usize,
}

impl Bounded {
    fn new(limit: usize) -> Self {
        Bounded { bytes: Vec::new(), limit }
    }
}

impl Write for Bounded {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + data.len() > self.limit {
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, "it unpacks to too much"));
        }
        self.bytes.extend_from_slice(data);
        Ok(data.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
