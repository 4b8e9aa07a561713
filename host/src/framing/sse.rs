//! Server-sent events: <https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream>.

use super::{Frame, FramingError, text};
use bytes::{BufMut, Bytes, BytesMut};
use memchr::memchr2;

const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

/// Finds the blank line that ends an event.
///
/// A line ends with LF, CR or CRLF. A CR that is the last byte of a read may yet be followed by its LF. Where that CR
/// ends an event, waiting for the next byte would hold the event back, and not waiting would leave the LF to the next
/// frame. So: if the line before ended with CRLF, the LF is sure to come, and the frame waits for it; otherwise the
/// frame ends at the CR, and a LF behind it becomes the first byte of the next frame. Frames are thus the same however
/// the bytes are split.
#[derive(Debug, Default)]
pub(super) struct Cutter {
    /// Up to here the lines of the unfinished frame are known.
    scanned: usize,
    /// Where the line begins that `scanned` stands in.
    line: usize,
    /// The byte before `scanned`, in this frame or the one before, is a CR: an LF here belongs to it.
    after_cr: bool,
    /// The last line end was a CRLF.
    crlf: bool,
    /// The blank line has been seen; only the LF behind its CR is missing.
    ending: bool,
    /// A frame has been cut, so no byte order mark can follow.
    started: bool,
}

impl Cutter {
    pub(super) fn end(&mut self, buffer: &[u8]) -> Option<usize> {
        loop {
            if self.after_cr {
                let next = *buffer.get(self.scanned)?;
                self.after_cr = false;
                self.crlf = next == b'\n';
                if self.crlf {
                    self.scanned += 1;
                    self.line = self.scanned;
                }
                if self.ending {
                    return Some(self.next_frame());
                }
            }
            let Some(at) = memchr2(b'\n', b'\r', &buffer[self.scanned..]) else {
                self.scanned = buffer.len();
                return None;
            };
            let at = self.scanned + at;
            let blank = at == self.line || (!self.started && &buffer[..at] == BYTE_ORDER_MARK);
            self.scanned = at + 1;
            self.line = at + 1;
            self.after_cr = buffer[at] == b'\r';
            self.ending = blank && self.after_cr && self.crlf;
            self.crlf &= self.after_cr;
            if blank && !self.ending {
                return Some(self.next_frame());
            }
        }
    }

    /// Forgets the frame that ends at `scanned`, which it returns.
    fn next_frame(&mut self) -> usize {
        self.ending = false;
        self.line = 0;
        std::mem::take(&mut self.scanned)
    }

    pub(super) fn read(&mut self, raw: Bytes) -> Result<Frame, FramingError> {
        let mut body = &raw[..];
        if !std::mem::replace(&mut self.started, true) {
            body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
        }
        let mut name: &[u8] = b"";
        let mut data: Option<String> = None;
        for line in lines(body) {
            if let Some(value) = field(line, b"data") {
                let value = text(value)?;
                match &mut data {
                    None => data = Some(value.to_owned()),
                    Some(data) => {
                        data.push('\n');
                        data.push_str(value);
                    }
                }
            } else if let Some(value) = field(line, b"event") {
                name = value;
            }
        }
        // Without data there is no event, says the standard, whatever its name.
        let (name, data) = match data {
            Some(data) => (text(name)?.to_owned(), data),
            None => (String::new(), String::new()),
        };
        Ok(Frame { name, data, raw })
    }

    /// A frame that only waited for the LF of its last CR is whole. Comments and blank lines without an event behind
    /// them take nothing away from what the stream said.
    pub(super) fn last(&mut self, rest: Bytes) -> Result<Option<Frame>, FramingError> {
        let body = if self.started { &rest[..] } else { rest.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&rest) };
        let idle = lines(body).all(|line| line.is_empty() || line.starts_with(b":"));
        if self.ending || idle { self.read(rest).map(Some) } else { Err(FramingError::Truncated) }
    }
}

/// The value of the line's field, if it is the field of this name. A field without a colon has an empty value.
fn field<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    match line.strip_prefix(name)? {
        [] => Some(b""),
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        _ => None,
    }
}

/// What stands between the line ends, the empty pieces too.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(text);
    std::iter::from_fn(move || {
        let text = rest?;
        let Some(at) = memchr2(b'\n', b'\r', text) else {
            return rest.take();
        };
        let next = if text[at..].starts_with(b"\r\n") { at + 2 } else { at + 1 };
        rest = Some(&text[next..]);
        Some(&text[..at])
    })
}

/// Appends one event. A line end in `data` starts another `data:` line; `name` ends at its first one, so that no name
/// can smuggle a field in.
pub fn write_sse(name: &str, data: &str, out: &mut BytesMut) {
    out.reserve(name.len() + data.len() + "event: \ndata: \n\n".len());
    let name = lines(name.as_bytes()).next().unwrap_or_default();
    if !name.is_empty() {
        write_field(b"event: ", name, out);
    }
    for line in lines(data.as_bytes()) {
        write_field(b"data: ", line, out);
    }
    out.put_u8(b'\n');
}

fn write_field(field: &[u8], value: &[u8], out: &mut BytesMut) {
    out.put_slice(field);
    out.put_slice(value);
    out.put_u8(b'\n');
}
