//! What a stream remembers between two chunks: all that was said, as it is. It goes to the host and comes back with every
//! batch, so a long answer is copied and never parsed on its way.

use super::items::{Head, What};
use crate::text;
use plugway_sdk::{Pack, Problem, StreamState, Unpack};
use serde_json::Value;

/// As large as the host lets the state of a caller's stream be.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// What an item takes beside its texts, and more than that: places, lengths.
const ITEM_BYTES: usize = 128;
/// What will be said next should fit without another copy of all.
const ROOM_BYTES: usize = 4 * 1024;

#[derive(Debug, Default)]
pub struct Writing {
    pub(super) head: Option<Head>,
    /// The number of the next event.
    pub(super) next: u64,
    pub(super) items: Vec<Item>,
    pub(super) finish_reason: String,
    /// In JSON.
    pub(super) usage: String,
}

#[derive(Debug)]
pub(super) struct Item {
    pub(super) what: What,
    /// Its place among the upstream's calls.
    pub(super) call: u64,
    pub(super) text: String,
    /// A list in JSON, or nothing.
    pub(super) details: String,
    pub(super) open: bool,
}

impl Writing {
    /// Refuses what could not be said again.
    pub(super) fn is_bounded(&self) -> Result<(), Problem> {
        if self.bytes() <= MOST_BYTES {
            return Ok(());
        }
        let message = "the answer is longer than what can be said again at its end, as the Responses API does";
        Err(Problem::upstream(message).code("upstream_too_large"))
    }

    /// At least as many as the text has that is saved.
    fn bytes(&self) -> usize {
        let head = self.head.as_ref().map_or(0, |head| head.id.len() + head.model.len());
        let items: usize = self.items.iter().map(Item::bytes).sum();
        ITEM_BYTES + head + self.finish_reason.len() + self.usage.len() + items
    }
}

impl StreamState for Writing {
    fn save(&self) -> Result<String, Problem> {
        let mut pack = Pack::with_capacity(self.bytes());
        pack.number(u64::from(self.head.is_some()));
        if let Some(Head { id, model, created }) = &self.head {
            pack.text(id);
            pack.text(model);
            pack.number(*created);
        }
        pack.number(self.next);
        pack.text(&self.finish_reason);
        pack.text(&self.usage);
        pack.number(self.items.len() as u64);
        for item in &self.items {
            item.save(&mut pack);
        }
        Ok(pack.into_text())
    }

    fn restore(state: &str) -> Result<Self, Problem> {
        let mut unpack = Unpack::new(state);
        let head = match unpack.number()? {
            0 => None,
            _ => Some(Head {
                id: unpack.text()?.to_owned(),
                model: unpack.text()?.to_owned(),
                created: unpack.number()?,
            }),
        };
        let next = unpack.number()?;
        let finish_reason = unpack.text()?.to_owned();
        let usage = unpack.text()?.to_owned();
        let items = unpack.length()?;
        let items = (0..items).map(|_| Item::restore(&mut unpack)).collect::<Result<_, Problem>>()?;
        Ok(Writing { head, next, items, finish_reason, usage })
    }
}

impl Item {
    fn bytes(&self) -> usize {
        let named = match &self.what {
            What::Call(id, name) => id.len() + name.len(),
            What::Reasoning | What::Text | What::Refusal => 0,
        };
        ITEM_BYTES + named + self.text.len() + self.details.len()
    }

    /// Pieces of one detail, told by their index, become one.
    pub(super) fn remember(&mut self, pieces: &[Value]) -> Result<(), Problem> {
        if pieces.is_empty() {
            return Ok(());
        }
        let mut details: Vec<Value> = match self.details.as_str() {
            "" => Vec::new(),
            details => serde_json::from_str(details)?,
        };
        for piece in pieces {
            match details.iter_mut().find(|known| known["index"] == piece["index"] && known["type"] == piece["type"]) {
                None => details.push(piece.clone()),
                Some(known) => {
                    if let Some(more) = text(piece, "text") {
                        known["text"] = format!("{}{more}", text(known, "text").unwrap_or_default()).into();
                    }
                    if let Some(signature) = piece.get("signature").filter(|signature| !signature.is_null()) {
                        known["signature"] = signature.clone();
                    }
                }
            }
        }
        self.details = Value::from(details).to_string();
        Ok(())
    }

    fn save(&self, pack: &mut Pack) {
        match &self.what {
            What::Reasoning => pack.number(0),
            What::Text => pack.number(1),
            What::Refusal => pack.number(2),
            What::Call(id, name) => {
                pack.number(3);
                pack.text(id);
                pack.text(name);
            }
        }
        pack.number(self.call);
        pack.number(u64::from(self.open));
        pack.text(&self.details);
        pack.text(&self.text);
    }

    fn restore(unpack: &mut Unpack<'_>) -> Result<Self, Problem> {
        let what = match unpack.number()? {
            0 => What::Reasoning,
            1 => What::Text,
            2 => What::Refusal,
            _ => What::Call(unpack.text()?.to_owned(), unpack.text()?.to_owned()),
        };
        let (call, open) = (unpack.number()?, unpack.number()? != 0);
        let details = unpack.text()?.to_owned();
        let said = unpack.text()?;
        let mut text = String::with_capacity(said.len() + if open { ROOM_BYTES } else { 0 });
        text.push_str(said);
        Ok(Item { what, call, text, details, open })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn long(text: &str) -> Writing {
        let item = |what: What| Item { what, call: 7, text: text.to_owned(), details: "[1]".to_owned(), open: true };
        let items = [What::Reasoning, What::Text, What::Refusal, What::Call("id".to_owned(), "name".to_owned())];
        Writing {
            head: Some(Head { id: "1".to_owned(), model: "m".to_owned(), created: 2 }),
            next: 9,
            items: items.map(item).into(),
            finish_reason: "stop".to_owned(),
            usage: "{}".to_owned(),
        }
    }

    #[test]
    fn what_is_remembered_comes_back_as_it_was() {
        for writing in [Writing::default(), long("\"quoted\"\n\u{0} ünïcödé")] {
            let state = writing.save().unwrap();
            assert!(state.len() <= writing.bytes());
            assert_eq!(format!("{:?}", Writing::restore(&state).unwrap()), format!("{writing:?}"));
        }
    }

    #[test]
    fn what_passes_fits_into_what_the_host_takes() {
        assert!(long(&"\n".repeat(500_000)).is_bounded().is_ok());
        let too_long = long(&"\n".repeat(600_000));
        assert_eq!(too_long.is_bounded().unwrap_err().code.as_deref(), Some("upstream_too_large"));
    }
}
