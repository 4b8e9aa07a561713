//! The AWS event stream: length-prefixed binary messages with two checksums, as Bedrock speaks it.
//!
//! ```text
//! total length u32 | headers length u32 | CRC-32 of these u32 | headers | payload | CRC-32 of all before u32
//! ```
//!
//! Numbers are big-endian. Written out here because Amazon's own crate brings a dozen more along for these lines.

use super::{Frame, FramingError, text};
use bytes::Bytes;

/// The two lengths and their checksum.
const PRELUDE: usize = 12;
/// The checksum of the message.
const TRAILER: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// The length of the unfinished message, once its prelude has been checked.
    total: Option<usize>,
}

impl Cutter {
    /// Refuses a message that is too long as soon as it says so, before its bytes are collected.
    pub(super) fn end(&mut self, buffer: &[u8], limit: usize) -> Result<Option<usize>, FramingError> {
        let total = match self.total {
            Some(total) => total,
            None if buffer.len() < PRELUDE => return Ok(None),
            None => *self.total.insert(total_length(&buffer[..PRELUDE])?),
        };
        if total > limit {
            return Err(FramingError::TooLarge { limit });
        }
        if buffer.len() < total {
            return Ok(None);
        }
        self.total = None;
        Ok(Some(total))
    }
}

fn total_length(prelude: &[u8]) -> Result<usize, FramingError> {
    if crc32fast::hash(&prelude[..8]) != number(&prelude[8..]) {
        return Err(FramingError::BadChecksum);
    }
    let (total, headers) = (number(prelude) as usize, number(&prelude[4..]) as usize);
    match total.checked_sub(PRELUDE + TRAILER) {
        Some(room) if headers <= room => Ok(total),
        _ => Err(FramingError::Malformed("its lengths contradict each other")),
    }
}

/// Reads a message whose prelude has been checked.
pub(super) fn read(raw: Bytes) -> Result<Frame, FramingError> {
    let (message, checksum) = raw.split_at(raw.len() - TRAILER);
    if crc32fast::hash(message) != number(checksum) {
        return Err(FramingError::BadChecksum);
    }
    let (headers, payload) = message[PRELUDE..].split_at(number(&message[4..]) as usize);
    let (name, told) = kind(headers)?;
    let data = if payload.is_empty() { told } else { payload };
    Ok(Frame { name: text(name)?.to_owned(), data: text(data)?.to_owned(), raw })
}

/// The name of the message and what its headers tell beside it. An error that the service has no type for carries a
/// code and a message in its headers, and no payload.
fn kind(headers: &[u8]) -> Result<(&[u8], &[u8]), FramingError> {
    let (mut name, mut told): (&[u8], &[u8]) = (b"", b"");
    let mut rest = Headers(headers);
    while !rest.0.is_empty() {
        let (header, value) = rest.next()?;
        match header {
            b":event-type" | b":exception-type" | b":error-code" => name = value,
            b":error-message" => told = value,
            _ => {}
        }
    }
    Ok((name, told))
}

struct Headers<'a>(&'a [u8]);

impl<'a> Headers<'a> {
    /// The next header's name and value. Values that are no strings are skipped and come out empty.
    fn next(&mut self) -> Result<(&'a [u8], &'a [u8]), FramingError> {
        const STRING: u8 = 7;
        let name_length = self.take(1)?[0];
        let name = self.take(name_length.into())?;
        let kind = self.take(1)?[0];
        let length = match kind {
            0 | 1 => 0, // true, false
            2 => 1,     // byte
            3 => 2,     // short
            4 => 4,     // integer
            5 | 8 => 8, // long, timestamp
            9 => 16,    // UUID
            6 | STRING => {
                let length = self.take(2)?;
                usize::from(u16::from_be_bytes([length[0], length[1]]))
            }
            _ => return Err(FramingError::Malformed("a header has a type that does not exist")),
        };
        let value = self.take(length)?;
        Ok((name, if kind == STRING { value } else { b"" }))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], FramingError> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(FramingError::Malformed("a header is cut short"))?;
        self.0 = rest;
        Ok(taken)
    }
}

/// The big-endian number at the start of `bytes`, which the caller knows to be long enough.
fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}
