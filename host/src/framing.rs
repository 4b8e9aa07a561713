//! Turns the bytes of a streamed body, however they are split, into whole events, and whole events into SSE.
//!
//! Each framing has a cutter that knows two things: where the frame at the start of a buffer ends, and what it says.
//! The `Decoder` around it owns the buffer. A read that brings whole frames is sliced, not copied; only the rest that a
//! read leaves behind is.

mod aws;
mod ndjson;
mod sse;
#[cfg(test)]
mod tests;

use bytes::{Bytes, BytesMut};

pub use sse::write_sse;

/// How a body is cut into frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// Server-sent events, as in the WHATWG standard.
    Sse,
    /// One JSON document a line.
    NdJson,
    /// `application/vnd.amazon.eventstream`, with its checksums.
    AwsEventStream,
}

/// One whole frame. The `raw` parts of all frames, one after the other, are the body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// SSE: the `event:` field. AWS event stream: the event or exception type. NDJSON: empty.
    pub name: String,
    /// SSE: the `data:` lines joined by line feeds. NDJSON: the line. AWS event stream: the payload.
    pub data: String,
    /// The bytes that it came in, with comments before it and the terminator behind it, to pass on as they are.
    pub raw: Bytes,
}

impl Frame {
    /// Whether there is nothing in it to decode: a keep-alive comment, a blank line, an SSE block without data. Such a
    /// frame is passed on where the caller speaks the upstream's dialect, and left out elsewhere.
    pub fn is_comment(&self) -> bool {
        self.name.is_empty() && self.data.is_empty()
    }
}

/// Why a body cannot be cut any further.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FramingError {
    #[error("an event of the stream is longer than {limit} bytes")]
    TooLarge { limit: usize },
    #[error("an event of the stream is not UTF-8")]
    NotUtf8,
    #[error("the stream ended inside an event")]
    Truncated,
    #[error("an event of the stream has a wrong checksum")]
    BadChecksum,
    #[error("an event of the stream is malformed: {0}")]
    Malformed(&'static str),
}

/// Cuts one body into frames. It holds at most one unfinished frame and the read that it came with.
#[derive(Debug)]
pub struct Decoder {
    cutter: Cutter,
    /// The start of a frame whose end has not been read yet.
    held: BytesMut,
    limit: usize,
    /// After an error nothing says where the next frame would start, so the error stays.
    failed: Option<FramingError>,
}

#[derive(Debug)]
enum Cutter {
    Sse(sse::Cutter),
    NdJson(ndjson::Cutter),
    Aws(aws::Cutter),
}

impl Decoder {
    /// A decoder that refuses frames of more than `max_frame_bytes`, terminator included.
    pub fn new(framing: Framing, max_frame_bytes: usize) -> Self {
        let cutter = match framing {
            Framing::Sse => Cutter::Sse(sse::Cutter::default()),
            Framing::NdJson => Cutter::NdJson(ndjson::Cutter::default()),
            Framing::AwsEventStream => Cutter::Aws(aws::Cutter::default()),
        };
        Decoder { cutter, held: BytesMut::new(), limit: max_frame_bytes, failed: None }
    }

    /// Takes what one read brought and appends the frames that are whole by now. On an error, the frames before the
    /// bad one have been appended.
    pub fn push(&mut self, bytes: Bytes, frames: &mut Vec<Frame>) -> Result<(), FramingError> {
        self.unless_failed(|decoder| decoder.cut(bytes, frames))
    }

    /// The body ended. An event that is not whole is an error, but for NDJSON, whose last line needs no line feed.
    pub fn finish(&mut self, frames: &mut Vec<Frame>) -> Result<(), FramingError> {
        self.unless_failed(|decoder| {
            let rest = std::mem::take(&mut decoder.held).freeze();
            if let Some(frame) = decoder.cutter.last(rest)? {
                frames.push(frame);
            }
            Ok(())
        })
    }

    fn unless_failed(&mut self, step: impl FnOnce(&mut Self) -> Result<(), FramingError>) -> Result<(), FramingError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        step(self).inspect_err(|error| {
            self.failed = Some(*error);
            self.held = BytesMut::new();
        })
    }

    fn cut(&mut self, mut bytes: Bytes, frames: &mut Vec<Frame>) -> Result<(), FramingError> {
        if self.held.is_empty() {
            while let Some(len) = self.cutter.end(&bytes, self.limit)? {
                frames.push(self.cutter.read(bytes.split_to(len))?);
            }
            // Copied rather than kept: a slice would hold the connection's whole read buffer as long as the stream idles.
            self.held.extend_from_slice(&bytes);
        } else {
            self.held.extend_from_slice(&bytes);
            while let Some(len) = self.cutter.end(&self.held, self.limit)? {
                frames.push(self.cutter.read(self.held.split_to(len).freeze())?);
            }
            if self.held.is_empty() {
                self.held = BytesMut::new();
            }
        }
        Ok(())
    }
}

impl Cutter {
    /// Where the frame at the start of `buffer` ends, if it does. Until it does, the next call must bring the same
    /// bytes and more; what has been looked at is not looked at again.
    fn end(&mut self, buffer: &[u8], limit: usize) -> Result<Option<usize>, FramingError> {
        let end = match self {
            Cutter::Sse(cutter) => cutter.end(buffer),
            Cutter::NdJson(cutter) => cutter.end(buffer),
            Cutter::Aws(cutter) => cutter.end(buffer, limit)?,
        };
        if end.unwrap_or(buffer.len()) > limit {
            return Err(FramingError::TooLarge { limit });
        }
        Ok(end)
    }

    fn read(&mut self, raw: Bytes) -> Result<Frame, FramingError> {
        match self {
            Cutter::Sse(cutter) => cutter.read(raw),
            Cutter::NdJson(_) => ndjson::read(raw),
            Cutter::Aws(_) => aws::read(raw),
        }
    }

    /// What is left when the body has ended: a frame, nothing, or the start of one that will never be whole.
    fn last(&mut self, rest: Bytes) -> Result<Option<Frame>, FramingError> {
        if rest.is_empty() {
            return Ok(None);
        }
        match self {
            Cutter::Sse(cutter) => cutter.last(rest),
            Cutter::NdJson(_) => ndjson::read(rest).map(Some),
            Cutter::Aws(_) => Err(FramingError::Truncated),
        }
    }
}

/// The bytes as text of a frame.
fn text(bytes: &[u8]) -> Result<&str, FramingError> {
    std::str::from_utf8(bytes).map_err(|_| FramingError::NotUtf8)
}
