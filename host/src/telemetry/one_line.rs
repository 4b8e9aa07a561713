//! One line for each event, whatever stands in it: who reads the log line by line, or ships it, misses nothing then.

use std::io::{Result, Write};

/// Takes each event in one write, as the subscriber makes it, and escapes the line breaks inside.
pub struct OneLine<W>(pub W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> Result<usize> {
        let text = event.strip_suffix(b"\n").unwrap_or(event);
        if memchr::memchr2(b'\n', b'\r', text).is_none() {
            return self.0.write_all(event).map(|()| event.len());
        }
        let mut line = Vec::with_capacity(event.len() + 16);
        for byte in text {
            match byte {
                b'\n' => line.extend_from_slice(b"\\n"),
                b'\r' => line.extend_from_slice(b"\\r"),
                other => line.push(*other),
            }
        }
        line.extend_from_slice(&event[text.len()..]);
        self.0.write_all(&line).map(|()| event.len())
    }

    fn flush(&mut self) -> Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_breaks_inside_are_escaped_and_the_one_at_the_end_stays() {
        let mut lines = OneLine(Vec::new());
        lines.write_all(b"ERROR a\n  b\r\nERROR c\n").expect("a vector takes everything");
        lines.write_all(b"INFO d\n").expect("a vector takes everything");
        assert_eq!(lines.0, b"ERROR a\\n  b\\r\\nERROR c\nINFO d\n");
    }
}
