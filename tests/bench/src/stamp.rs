//! Times inside of events. The upstream writes when it sent an event, and the client reads it off on arrival. Both run
//! in this process, so they share a clock; whatever stands between them passes the text on, translated or not.

use std::sync::LazyLock;
use std::time::Instant;

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

const MARK: u8 = b'@';
const DIGITS: usize = 16;
/// How long a stamp is as text.
pub(crate) const LENGTH: usize = 1 + DIGITS;

/// Microseconds since this program first asked.
pub(crate) fn now() -> u64 {
    START.elapsed().as_micros() as u64
}

/// Writes a stamp over the start of `text`.
pub(crate) fn write(micros: u64, text: &mut [u8]) {
    text[0] = MARK;
    let mut rest = micros;
    for digit in text[1..LENGTH].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}

/// Finds the stamps in a text that arrives in pieces.
#[derive(Default)]
pub(crate) struct Finder {
    /// A stamp whose end has not arrived.
    started: Vec<u8>,
}

impl Finder {
    /// Calls `found` with each stamp that `piece` completes.
    pub(crate) fn feed(&mut self, mut piece: &[u8], mut found: impl FnMut(u64)) {
        loop {
            if self.started.is_empty() {
                let Some(at) = piece.iter().position(|&byte| byte == MARK) else { return };
                piece = &piece[at..];
            }
            let taken = piece.len().min(LENGTH - self.started.len());
            self.started.extend_from_slice(&piece[..taken]);
            piece = &piece[taken..];
            if self.started.len() < LENGTH {
                return;
            }
            found(self.started[1..].iter().fold(0, |micros, digit| micros * 10 + u64::from(digit - b'0')));
            self.started.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stamps_are_found_however_the_text_is_split() {
        let mut text = b"a @0000000000000000 b @0000000000000000".to_vec();
        write(1234567, &mut text[2..]);
        write(u64::from(u32::MAX), &mut text[22..]);
        for size in 1..=text.len() {
            let (mut finder, mut found) = (Finder::default(), vec![]);
            text.chunks(size).for_each(|piece| finder.feed(piece, |micros| found.push(micros)));
            assert_eq!(found, [1234567, u64::from(u32::MAX)]);
        }
    }
}
