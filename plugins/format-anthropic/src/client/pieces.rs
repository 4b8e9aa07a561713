//! What a chunk says, in the order in which Anthropic's blocks can say it.

use plugway_sdk::{Pack, Problem, Unpack};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a chunk says, piece by piece.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum Piece<'a> {
    NewText,
    Text(Cow<'a, str>),
    Citation(Box<RawValue>),
    Thinking(u64, Cow<'a, str>),
    Signature(u64, Cow<'a, str>),
    Redacted(Cow<'a, str>),
    Call(u64, Box<RawValue>),
    Arguments(u64, Cow<'a, str>),
    Native(u64, Box<RawValue>),
    NativeInput(u64, Cow<'a, str>),
}

impl Piece<'_> {
    pub(super) fn into_owned(self) -> Piece<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Piece::NewText => Piece::NewText,
            Piece::Text(text) => Piece::Text(owned(text)),
            Piece::Citation(citation) => Piece::Citation(citation),
            Piece::Thinking(index, text) => Piece::Thinking(index, owned(text)),
            Piece::Signature(index, signature) => Piece::Signature(index, owned(signature)),
            Piece::Redacted(data) => Piece::Redacted(owned(data)),
            Piece::Call(number, block) => Piece::Call(number, block),
            Piece::Arguments(number, arguments) => Piece::Arguments(number, owned(arguments)),
            Piece::Native(position, block) => Piece::Native(position, block),
            Piece::NativeInput(position, input) => Piece::NativeInput(position, owned(input)),
        }
    }
}

/// Whether the arguments of a call, which come in any pieces, are one whole JSON value by now.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Whole {
    depth: u32,
    begun: bool,
    in_string: bool,
    escaped: bool,
}

impl Whole {
    pub(super) fn save(&self, pack: &mut Pack) {
        pack.number(self.depth.into());
        pack.number(u64::from(self.begun) | u64::from(self.in_string) << 1 | u64::from(self.escaped) << 2);
    }

    pub(super) fn restore(unpack: &mut Unpack<'_>) -> Result<Self, Problem> {
        let (depth, flags) = (unpack.number()?, unpack.number()?);
        Ok(Whole { depth: depth as u32, begun: flags & 1 != 0, in_string: flags & 2 != 0, escaped: flags & 4 != 0 })
    }

    pub(super) fn read(&mut self, piece: &str) {
        for byte in piece.bytes() {
            if std::mem::take(&mut self.escaped) {
                continue;
            }
            match byte {
                b'\\' if self.in_string => self.escaped = true,
                b'"' => self.in_string = !self.in_string,
                _ if self.in_string => {}
                b'{' | b'[' => {
                    self.depth += 1;
                    self.begun = true;
                }
                b'}' | b']' => self.depth = self.depth.saturating_sub(1),
                _ => {}
            }
        }
    }

    pub(super) fn is_reached(&self) -> bool {
        self.begun && self.depth == 0 && !self.in_string
    }
}
