//! The top-level members of a JSON object, found without building anything of what is inside them.

use serde::de::{Deserializer, Error, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;
use std::ops::Range;
use thiserror::Error;

/// As deep as `serde_json` goes, which is what most plugins read with.
const MAX_DEPTH: usize = 128;
/// More members than any request has, but for those that are meant to hurt.
const FEW: usize = 64;

#[derive(Debug, Error, PartialEq)]
pub enum BodyError {
    #[error("the body is empty; send a JSON object")]
    Empty,
    #[error("the body is not UTF-8: byte {0} is wrong")]
    NotUtf8(usize),
    #[error("the body is nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    #[error("the body cannot be read as a JSON object: {0}")]
    NotJson(String),
}

/// The members of one object, in order, each as the text that it came as.
pub struct Members<'a> {
    text: &'a str,
    members: Vec<(Cow<'a, str>, &'a RawValue)>,
}

impl<'a> Members<'a> {
    pub fn of(body: &'a [u8]) -> Result<Self, BodyError> {
        let text = std::str::from_utf8(body).map_err(|error| BodyError::NotUtf8(error.valid_up_to()))?;
        if text.trim_start().is_empty() {
            return Err(BodyError::Empty);
        }
        if !is_shallow(body) {
            return Err(BodyError::TooDeep);
        }
        let mut reader = serde_json::Deserializer::from_str(text);
        let members = reader
            .deserialize_map(Collect)
            .and_then(|members| reader.end().map(|()| members))
            .map_err(|error| BodyError::NotJson(error.to_string()))?;
        Ok(Members { text, members })
    }

    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.members.iter().find(|(member, _)| member == name).map(|(_, value)| *value)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.members.iter().map(|(name, _)| name.as_ref())
    }

    /// The string that this member is; None where it is absent or null.
    pub fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        let Some(raw) = self.get(name).filter(|raw| raw.get() != "null") else { return Ok(None) };
        let text = raw.get();
        // Without escapes the text between the quotes is the string.
        if let Some(plain) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'))
            && !plain.contains('\\')
        {
            return Ok(Some(Cow::Borrowed(plain)));
        }
        serde_json::from_str::<String>(text)
            .map(|string| Some(Cow::Owned(string)))
            .map_err(|_| format!("`{name}` must be a string"))
    }

    /// The truth value that this member is; false where it is absent or null.
    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self.get(name).map(RawValue::get) {
            None | Some("null" | "false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(format!("`{name}` must be true or false")),
        }
    }

    /// A JSON object of these members, as far as they are there.
    pub fn pick(&self, names: &[String]) -> String {
        let mut object = String::from("{");
        for (name, value) in self.members.iter().filter(|(name, _)| names.iter().any(|wanted| wanted == name)) {
            push_member(&mut object, name, value.get());
        }
        object.push('}');
        object
    }

    /// The object with these members set (`Some`) or removed, of two edits of one member by the last; the values of all
    /// others stay as they came.
    pub fn edit(&self, edits: &[(&str, Option<&str>)]) -> String {
        if let [(name, Some(value))] = edits
            && let Some(span) = self.span(name)
        {
            // The common case, the model's name: one splice.
            return [&self.text[..span.start], value, &self.text[span.end..]].concat();
        }
        let mut object = String::with_capacity(self.text.len() + 64);
        object.push('{');
        for (name, value) in &self.members {
            match edits.iter().rfind(|(edited, _)| edited == name) {
                None => push_member(&mut object, name, value.get()),
                Some((_, Some(value))) => push_member(&mut object, name, value),
                Some((_, None)) => {}
            }
        }
        for (index, (name, value)) in edits.iter().enumerate() {
            let is_last = !edits[index + 1..].iter().any(|(edited, _)| edited == name);
            if let Some(value) = value
                && is_last
                && self.get(name).is_none()
            {
                push_member(&mut object, name, value);
            }
        }
        object.push('}');
        object
    }

    /// The object without this member, where it is there.
    pub fn without(&self, name: &str) -> Option<String> {
        self.get(name).map(|_| self.edit(&[(name, None)]))
    }

    /// Where in the text the value of a member stands.
    fn span(&self, name: &str) -> Option<Range<usize>> {
        let value = self.get(name)?.get();
        let start = (value.as_ptr() as usize).checked_sub(self.text.as_ptr() as usize)?;
        Some(start..start + value.len())
    }
}

fn push_member(object: &mut String, name: &str, value: &str) {
    if object.len() > 1 {
        object.push(',');
    }
    object.push_str(&serde_json::Value::from(name).to_string());
    object.push(':');
    object.push_str(value);
}

/// Whether brackets stand at most [`MAX_DEPTH`] deep. Most bodies have fewer of them altogether.
fn is_shallow(body: &[u8]) -> bool {
    if memchr::memchr2_iter(b'{', b'[', body).take(MAX_DEPTH + 1).count() <= MAX_DEPTH {
        return true;
    }
    let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
    for byte in body {
        match (in_string, *byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => depth += 1,
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            (true | false, _) => {}
        }
        if depth > MAX_DEPTH {
            return false;
        }
    }
    true
}

struct Collect;

impl<'a> Visitor<'a> for Collect {
    type Value = Vec<(Cow<'a, str>, &'a RawValue)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members: Self::Value = Vec::with_capacity(16);
        let mut seen = HashSet::new();
        while let Some(Name(name)) = map.next_key()? {
            // Of a few, the list itself is looked through faster than a set is filled; of many, that would take for ever.
            let is_known = match members.len() {
                0..FEW => members.iter().any(|(member, _)| *member == name),
                FEW => {
                    seen.extend(members.iter().map(|(member, _)| member.clone()));
                    !seen.insert(name.clone())
                }
                _ => !seen.insert(name.clone()),
            };
            // Readers disagree on which of two wins, and a check that reads one must not pass on the other.
            if is_known {
                return Err(A::Error::custom(format_args!("the member `{name}` stands in it twice")));
            }
            members.push((name, map.next_value()?));
        }
        Ok(members)
    }
}

/// A member's name, borrowed where it has no escapes.
struct Name<'a>(Cow<'a, str>);

impl<'a> serde::Deserialize<'a> for Name<'a> {
    fn deserialize<D: Deserializer<'a>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl<'a> Visitor<'a> for Text {
            type Value = Name<'a>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'a str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Borrowed(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Name<'a>, E> {
                Ok(Name(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(Text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edit(body: &str, edits: &[(&str, Option<&str>)]) -> String {
        Members::of(body.as_bytes()).expect("an object").edit(edits)
    }

    #[test]
    fn members_beyond_number_are_read_and_repetitions_among_them_found() {
        let members: Vec<String> = (0..200_000).map(|index| format!("\"k{index}\":{index}")).collect();
        let body = format!("{{{}}}", members.join(","));
        assert!(Members::of(body.as_bytes()).is_ok());
        for again in ["k3", "k70", "k199999"] {
            let twice = format!("{{{},\"{again}\":0}}", members.join(","));
            assert!(Members::of(twice.as_bytes()).is_err(), "{again}");
        }
    }

    #[test]
    fn setting_the_model_leaves_every_other_byte() {
        let body = "{ \"model\" : \"openai/gpt\",\n \"x_unknown\": 1.0e+2 }";
        assert_eq!(edit(body, &[("model", Some("\"gpt\""))]), "{ \"model\" : \"gpt\",\n \"x_unknown\": 1.0e+2 }");
    }

    #[test]
    fn members_are_added_and_removed() {
        assert_eq!(edit("{\"a\":1,\"b\":2}", &[("a", None), ("c", Some("3"))]), "{\"b\":2,\"c\":3}");
        assert_eq!(edit("{}", &[("model", Some("\"m\""))]), "{\"model\":\"m\"}");
    }

    #[test]
    fn the_last_edit_of_a_member_wins() {
        let edits = [("a", Some("1")), ("b", Some("2")), ("a", None), ("b", None), ("c", Some("3")), ("c", Some("4"))];
        assert_eq!(edit("{\"a\":0}", &edits), "{\"c\":4}");
        assert_eq!(edit("{\"a\":0}", &[("a", None), ("a", Some("1"))]), "{\"a\":1}");
    }

    #[test]
    fn what_is_no_object_is_refused_with_a_reason() {
        let reason = |body: &[u8]| Members::of(body).err().expect("refused").to_string();
        assert_eq!(reason(b""), "the body is empty; send a JSON object");
        assert_eq!(reason(b"\xff"), "the body is not UTF-8: byte 0 is wrong");
        assert!(reason(b"[1]").starts_with("the body cannot be read as a JSON object: invalid type: sequence"));
        assert!(reason(b"{\"model\":").contains("EOF"));
        assert!(reason(b"{} {}").contains("trailing characters"));
        assert!(reason(b"{\"model\":\"a\",\"mod\\u0065l\":\"b\"}").contains("`model` stands in it twice"));
    }

    #[test]
    fn depth_is_bounded_and_brackets_in_strings_do_not_count() {
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(200), "]".repeat(200));
        assert_eq!(Members::of(deep.as_bytes()).err(), Some(BodyError::TooDeep));
        let wide = format!("{{\"a\":[{}1],\"b\":\"{}\"}}", "[1],".repeat(500), "[".repeat(500));
        assert!(Members::of(wide.as_bytes()).is_ok());
    }

    #[test]
    fn strings_and_flags_are_checked() {
        let body = br#"{"model":"a\/b","stream":"yes","n":null}"#;
        let members = Members::of(body).expect("an object");
        assert_eq!(members.string("model"), Ok(Some("a/b".into())));
        assert_eq!(members.string("n"), Ok(None));
        assert_eq!(members.flag("stream"), Err("`stream` must be true or false".to_owned()));
        assert_eq!(members.flag("absent"), Ok(false));
    }
}
