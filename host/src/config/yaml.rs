//! From text to a tree of values that remembers its lines. YAML is known here and nowhere else.

use super::mistakes::At;
use serde::Deserializer;
use serde::de::{DeserializeSeed, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use serde_saphyr::options::{DuplicateKeyPolicy, NonFiniteFloatPolicy};
use serde_saphyr::{MessageFormatter, Spanned};
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;

/// Deeper than any configuration, and far from the end of the stack.
const MAX_DEPTH: usize = 64;

#[derive(Default)]
pub(super) struct Document {
    pub value: Value,
    pub lines: HashMap<At, u64>,
    /// Set where the text is no YAML, or holds a key twice. Of several such keys it is the first one, as the parser
    /// goes no further.
    pub fault: Option<Fault>,
}

pub(super) struct Fault {
    pub at: At,
    pub line: Option<u64>,
    pub message: String,
}

/// Reads as much as can be read: after a key that stands twice, the rest is still worth checking.
pub(super) fn read(text: &str) -> Document {
    let (document, error) = attempt(text, DuplicateKeyPolicy::Error);
    let Some((at, error)) = error else {
        return document;
    };
    let line = error.location().map(|location| location.line());
    match &error {
        serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } => {
            let message = DUPLICATE.to_owned();
            let (rest, _) = attempt(text, DuplicateKeyPolicy::FirstWins);
            Document { fault: Some(Fault { at: at.key(key), line, message }), ..rest }
        }
        other => {
            let message = explain(other, text);
            Document { fault: Some(Fault { at: At::default(), line, message }), ..Document::default() }
        }
    }
}

/// A key that stands twice in a text that is JSON, for which nobody else looks.
pub(super) fn duplicate_key(text: &str) -> Option<Fault> {
    let (_, error) = attempt(text, DuplicateKeyPolicy::Error);
    let (at, error) = error?;
    let serde_saphyr::Error::DuplicateMappingKey { key: Some(key), .. } = &error else { return None };
    Some(Fault { at: at.key(key), line: None, message: DUPLICATE.to_owned() })
}

const DUPLICATE: &str = "this key stands here twice";

fn attempt(text: &str, duplicate_keys: DuplicateKeyPolicy) -> (Document, Option<(At, serde_saphyr::Error)>) {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: MAX_DEPTH },
        duplicate_keys: duplicate_keys,
        non_finite_float_policy: NonFiniteFloatPolicy::AsString,
        strict_booleans: true,
        // A snippet would show the lines around the fault, and keys stand in them.
        with_snippet: false,
    };
    let progress = RefCell::default();
    let seed = Node { at: At::default(), progress: &progress };
    let result = serde_saphyr::with_deserializer_from_str_with_options(text, options, |yaml| seed.deserialize(yaml));
    let Progress { at, lines } = progress.into_inner();
    match result {
        Ok(value) => (Document { value, lines, fault: None }, None),
        Err(error) => (Document::default(), Some((at, error))),
    }
}

fn explain(error: &serde_saphyr::Error, text: &str) -> String {
    let what = serde_saphyr::UserMessageFormatter.format_message(error);
    let what = without_quotations(&what, text);
    match error.location() {
        Some(location) => format!("not valid YAML at column {}: {what}", location.column()),
        None => format!("not valid YAML: {what}"),
    }
}

/// The parser's messages may quote the text, and any long word of the text may be a secret.
fn without_quotations(message: &str, text: &str) -> String {
    const LONG: usize = 12;
    let words = message.split_whitespace();
    let harmless = |word: &str| {
        let bare = word.trim_matches(|character: char| !character.is_alphanumeric());
        bare.len() < LONG || !text.contains(bare)
    };
    words.map(|word| if harmless(word) { word } else { "…" }).collect::<Vec<_>>().join(" ")
}

/// Where reading stands. After an error this is where it happened.
#[derive(Default)]
struct Progress {
    at: At,
    lines: HashMap<At, u64>,
}

struct Node<'a> {
    at: At,
    progress: &'a RefCell<Progress>,
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, yaml: D) -> Result<Value, D::Error> {
        self.progress.borrow_mut().at = self.at.clone();
        yaml.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("a number that is not finite"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) =
            items.next_element_seed(Node { at: self.at.item(list.len()), progress: self.progress })?
        {
            list.push(item);
            self.progress.borrow_mut().at = self.at.clone();
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<Spanned<String>>()? {
            let at = self.at.key(&key.value);
            {
                let mut progress = self.progress.borrow_mut();
                // A mapping in a list has no key of its own; it begins where its first key stands.
                progress.lines.entry(self.at.clone()).or_insert(key.referenced.line());
                progress.lines.insert(at.clone(), key.referenced.line());
            }
            map.insert(key.value, entries.next_value_seed(Node { at, progress: self.progress })?);
            self.progress.borrow_mut().at = self.at.clone();
        }
        Ok(Value::Object(map))
    }

    fn visit_i128<E: serde::de::Error>(self, _: i128) -> Result<Value, E> {
        Err(E::custom("a number that is too large"))
    }

    fn visit_u128<E: serde::de::Error>(self, _: u128) -> Result<Value, E> {
        Err(E::custom("a number that is too large"))
    }
}
