//! Newline-delimited JSON: a line is a frame.

use super::{Frame, FramingError, text};
use bytes::Bytes;
use memchr::memchr;

#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Up to here the unfinished line is known to have no end.
    scanned: usize,
}

impl Cutter {
    pub(super) fn end(&mut self, buffer: &[u8]) -> Option<usize> {
        match memchr(b'\n', &buffer[self.scanned..]) {
            Some(at) => Some(std::mem::take(&mut self.scanned) + at + 1),
            None => {
                self.scanned = buffer.len();
                None
            }
        }
    }
}

/// A line without the blanks around it, which mean nothing in JSON: the line feed and the carriage return among them.
pub(super) fn read(raw: Bytes) -> Result<Frame, FramingError> {
    let data = text(raw.trim_ascii())?.to_owned();
    Ok(Frame { name: String::new(), data, raw })
}
