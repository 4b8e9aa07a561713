//! What a stream remembers between two batches, as the text that the host keeps.

use crate::Problem;
use crate::chat::push_number;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// What a stream remembers between two batches of events or chunks.
///
/// Whatever serde can write and read is one, as JSON; use no type that JSON cannot give back as it was. A state is
/// written and read once for every batch, which mostly is one event: where that shows, implement the trait with
/// [`Pack`] and [`Unpack`] instead of serde's traits, which is some five times as fast.
///
/// ```
/// use plugway_sdk::{Pack, Problem, StreamState, Unpack};
///
/// #[derive(Default)]
/// struct Words {
///     count: u64,
///     last: String,
/// }
///
/// impl StreamState for Words {
///     fn save(&self) -> Result<String, Problem> {
///         let mut pack = Pack::default();
///         pack.number(self.count);
///         pack.text(&self.last);
///         Ok(pack.into_text())
///     }
///
///     fn restore(state: &str) -> Result<Self, Problem> {
///         let mut unpack = Unpack::new(state);
///         Ok(Words { count: unpack.number()?, last: unpack.text()?.to_owned() })
///     }
/// }
///
/// let words = Words::restore(&Words { count: 2, last: "two words".to_owned() }.save()?)?;
/// assert_eq!((words.count, words.last.as_str()), (2, "two words"));
/// # Ok::<(), Problem>(())
/// ```
pub trait StreamState: Default {
    /// The state as text, which is never empty: an empty one means that the stream has not begun.
    ///
    /// # Errors
    /// It cannot be written.
    fn save(&self) -> Result<String, Problem>;

    /// The state of a text that [`save`](StreamState::save) has written.
    ///
    /// # Errors
    /// The text makes no sense.
    fn restore(state: &str) -> Result<Self, Problem>;
}

impl<S: Default + Serialize + DeserializeOwned> StreamState for S {
    fn save(&self) -> Result<String, Problem> {
        serde_json::to_string(self)
            .map_err(|error| Problem::internal(format!("the stream's state cannot be written: {error}")))
    }

    fn restore(state: &str) -> Result<Self, Problem> {
        serde_json::from_str(state).map_err(unreadable)
    }
}

fn unreadable(why: impl std::fmt::Display) -> Problem {
    Problem::internal(format!("the stream's state cannot be read: {why}"))
}

/// Writes numbers and texts one after the other, for [`Unpack`] to read them in the same order. The text is made of
/// `<number> ` and `<length> <text>`, so nothing has to be escaped or searched.
#[derive(Debug, Default)]
pub struct Pack(String);

impl Pack {
    /// One with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Pack(String::with_capacity(bytes))
    }

    /// The next number.
    pub fn number(&mut self, number: u64) {
        push_number(&mut self.0, number);
        self.0.push(' ');
    }

    /// The next text.
    pub fn text(&mut self, text: &str) {
        self.number(text.len() as u64);
        self.0.push_str(text);
    }

    /// All that has been written.
    pub fn into_text(self) -> String {
        self.0
    }
}

/// Reads what [`Pack`] has written.
#[derive(Debug)]
pub struct Unpack<'s>(&'s str);

impl<'s> Unpack<'s> {
    /// Reads from the beginning of this text.
    pub fn new(text: &'s str) -> Self {
        Unpack(text)
    }

    /// The next number.
    ///
    /// # Errors
    /// There is none.
    pub fn number(&mut self) -> Result<u64, Problem> {
        let mut number = 0u64;
        for (at, byte) in self.0.bytes().enumerate() {
            match byte {
                b'0'..=b'9' => number = number.wrapping_mul(10).wrapping_add(u64::from(byte - b'0')),
                b' ' => {
                    self.0 = &self.0[at + 1..];
                    return Ok(number);
                }
                _ => break,
            }
        }
        Err(unreadable("a number is missing"))
    }

    /// The next number, as the length of a list.
    ///
    /// # Errors
    /// There is none, or it is more than the text can hold.
    pub fn length(&mut self) -> Result<usize, Problem> {
        let length = self.number()? as usize;
        // Each item takes at least two bytes, so a text that was tampered with makes nobody reserve gigabytes.
        if length <= self.0.len() { Ok(length) } else { Err(unreadable("a list is cut off")) }
    }

    /// The next text.
    ///
    /// # Errors
    /// There is none.
    pub fn text(&mut self) -> Result<&'s str, Problem> {
        let length = self.number()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(|| unreadable("a text is cut off"))?;
        self.0 = rest;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::{Pack, StreamState, Unpack};

    #[test]
    fn what_is_packed_comes_out_as_it_was() {
        let mut pack = Pack::default();
        for number in [0, 7, 10, u64::MAX] {
            pack.number(number);
        }
        for text in ["", "two words", "1 2\n", "ünïcödé"] {
            pack.text(text);
        }
        let text = pack.into_text();
        let mut unpack = Unpack::new(&text);
        assert_eq!([(); 4].map(|()| unpack.number().unwrap()), [0, 7, 10, u64::MAX]);
        assert_eq!([(); 4].map(|()| unpack.text().unwrap()), ["", "two words", "1 2\n", "ünïcödé"]);
        assert!(unpack.number().is_err() && unpack.text().is_err());
    }

    #[test]
    fn what_was_tampered_with_is_a_problem() {
        for text in ["", "12", "x ", "5 abc", "1 é", "99999999999999999999 a"] {
            assert!(Unpack::new(text).text().is_err(), "{text:?}");
        }
        assert!(Unpack::new("1000000 ").length().is_err());
        assert!(Vec::<u8>::restore("{").is_err());
    }
}
