//! Multipart forms: their fields found in place, and edits that leave every other byte where it lies.

mod parse;
#[cfg(test)]
mod tests;

use crate::chat::Members;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use serde_json::{Map, Value, json};
use std::ops::Range;
use thiserror::Error;

#[derive(Debug, Error, PartialEq)]
pub enum FormError {
    #[error("the form's content type names no boundary, or one that none can be")]
    NoBoundary,
    #[error("the form does not begin with its boundary")]
    NoBeginning,
    #[error("the form is cut short: its closing boundary is missing")]
    CutShort,
    #[error("the head of a part of the form is not readable, or its content-disposition gives it no name")]
    NoName,
    #[error("the form has more than {0} parts")]
    TooManyParts(usize),
    #[error("the field `{0}` of the form is encoded; send it as plain UTF-8, without `content-transfer-encoding`")]
    Encoded(String),
    #[error(
        "the field `{0}` of the form is a file without a name in `filename` (`filename*` is not read by all); leave both out \
         of a text, or name the file"
    )]
    NamelessFile(String),
    #[error("a boundary of the form stands on a line that is not ended by CR and LF, as some read it")]
    LooseBoundary,
}

/// A form in the body that it came in.
#[derive(Debug)]
pub struct Form {
    body: Bytes,
    /// As the caller has it, boundary and all.
    content_type: HeaderValue,
    /// Two hyphens and the boundary.
    delimiter: String,
    parts: Vec<Part>,
}

#[derive(Debug)]
struct Part {
    name: String,
    file: Option<File>,
    /// From its delimiter to the next.
    whole: Range<usize>,
    value: Range<usize>,
}

#[derive(Debug)]
struct File {
    name: String,
    content_type: String,
}

/// A change of one field: set, or removed.
pub type Edit = (String, Option<String>);

impl Form {
    /// None where the headers do not speak of a form.
    pub fn of(headers: &HeaderMap, body: &Bytes) -> Option<Result<Self, FormError>> {
        let content_type = headers.get(header::CONTENT_TYPE)?;
        let text = content_type.to_str().ok()?;
        let (kind, parameters) = text.split_once(';').unwrap_or((text, ""));
        let is_form = kind.trim().eq_ignore_ascii_case("multipart/form-data");
        is_form.then(|| parse::form(body, content_type.clone(), parameters))
    }

    pub fn content_type(&self) -> &HeaderValue {
        &self.content_type
    }

    /// The text of this field; None where there is none.
    pub fn text(&self, name: &str) -> Result<Option<&str>, String> {
        let mut named = self.parts.iter().filter(|part| part.name == name);
        let Some(part) = named.next() else { return Ok(None) };
        if named.next().is_some() {
            // Readers disagree on which of two wins.
            return Err(format!("the field `{name}` stands in the form twice"));
        }
        match (&part.file, std::str::from_utf8(&self.body[part.value.clone()])) {
            (None, Ok(text)) => Ok(Some(text)),
            (Some(_), _) | (None, Err(_)) => Err(format!("the field `{name}` must be a text")),
        }
    }

    /// The truth value of this field; false where there is none.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.text(name)?.map(str::to_ascii_lowercase).as_deref() {
            None | Some("" | "false" | "0") => Ok(false),
            Some("true" | "1") => Ok(true),
            Some(_) => Err(format!("`{name}` must be true or false")),
        }
    }

    /// The form for those who read JSON: texts as strings, lists where a field stands several times, and of a file all
    /// but its content.
    pub fn as_json(&self) -> String {
        let mut object = Map::new();
        for part in &self.parts {
            let bytes = &self.body[part.value.clone()];
            let value = match &part.file {
                None => Value::from(String::from_utf8_lossy(bytes)),
                Some(file) => {
                    json!({"filename": file.name, "content_type": file.content_type, "bytes": bytes.len()})
                }
            };
            match object.get_mut(&part.name) {
                None => _ = object.insert(part.name.clone(), value),
                Some(Value::Array(list)) => list.push(value),
                Some(first) => *first = Value::Array(vec![first.take(), value]),
            }
        }
        Value::Object(object).to_string()
    }

    /// What makes of a form that reads as `before` one that reads as `after`.
    pub fn edits_between(before: &Members<'_>, after: &Members<'_>) -> Result<Vec<Edit>, String> {
        let mut edits = Vec::new();
        for name in before.names().filter(|name| after.get(name).is_none()) {
            edits.push((name.to_owned(), None));
        }
        for name in after.names() {
            let (was, is) = (before.get(name).map(|value| value.get()), after.get(name).map(|value| value.get()));
            let Some(is) = is.filter(|_| was != is) else { continue };
            if [was.unwrap_or_default(), is].iter().any(|value| value.starts_with(['{', '['])) {
                return Err(format!("`{name}` is no text, and only texts of a form can be changed"));
            }
            edits.push((name.to_owned(), Some(is.to_owned())));
        }
        Ok(edits)
    }

    /// The body with these fields set to JSON values or removed, in pieces; what is not edited is not copied. Of two
    /// edits of one field the last wins.
    pub fn edited(&self, edits: &[Edit]) -> Result<Vec<Bytes>, String> {
        let mut changes: Vec<(Range<usize>, Bytes)> = Vec::new();
        for (index, (name, value)) in edits.iter().enumerate() {
            if edits[index + 1..].iter().any(|(later, _)| later == name) {
                continue;
            }
            let text = value.as_deref().map(plain);
            if text.as_deref().is_some_and(|text| text.contains(&self.delimiter)) {
                return Err(format!("the value of `{name}` has the form's boundary in it"));
            }
            changes.extend(self.change(name, text)?);
        }
        changes.sort_by_key(|(place, _)| (place.start, place.end));
        let (mut pieces, mut at) = (Vec::with_capacity(2 * changes.len() + 1), 0);
        for (place, bytes) in changes {
            pieces.push(self.body.slice(at..place.start));
            pieces.push(bytes);
            at = place.end;
        }
        pieces.push(self.body.slice(at..));
        pieces.retain(|piece| !piece.is_empty());
        Ok(pieces)
    }

    /// Which bytes make way for which.
    fn change(&self, name: &str, text: Option<String>) -> Result<Vec<(Range<usize>, Bytes)>, String> {
        let mut named = self.parts.iter().filter(|part| part.name == name);
        let Some(text) = text else { return Ok(named.map(|part| (part.whole.clone(), Bytes::new())).collect()) };
        if let Some(first) = named.next() {
            let others = named.map(|part| (part.whole.clone(), Bytes::new()));
            return Ok(std::iter::once((first.value.clone(), text.into())).chain(others).collect());
        }
        if name.is_empty() || name.contains(|letter: char| letter.is_control() || letter == '"' || letter == '\\') {
            return Err(format!("{name:?} is no name that a form's field can have"));
        }
        let start = self.parts.first().map_or(0, |part| part.whole.start);
        let part = format!("{}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n", self.delimiter);
        Ok(vec![(start..start, part.into())])
    }
}

/// A string without its quotes, anything else as it is.
fn plain(value: &str) -> String {
    serde_json::from_str::<String>(value).unwrap_or_else(|_| value.to_owned())
}
