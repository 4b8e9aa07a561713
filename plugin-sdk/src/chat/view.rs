//! What typed views of JSON are made of: text and values that borrow from the body, and a macro that writes the code.

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

/// A string of a JSON body: borrowed from it where it has no escapes, owned otherwise.
///
/// ```
/// use plugway_sdk::chat::Text;
///
/// let text: Text = serde_json::from_str(r#""hello""#)?;
/// assert_eq!(text, "hello");
/// assert_eq!(text.len(), 5);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Text<'a>(Cow<'a, str>);

impl<'a> Text<'a> {
    /// The same text, borrowed from this one.
    pub fn share(&self) -> Text<'_> {
        Text(Cow::Borrowed(&self.0))
    }

    /// The text as a string of its own.
    pub fn into_string(self) -> String {
        self.0.into_owned()
    }

    /// The text as it is held.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Text(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Text(Cow::Owned(text))
    }
}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for Text<'_> {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

impl fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

impl Serialize for Text<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;

        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }

            fn visit_string<E: de::Error>(self, text: String) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text)))
            }
        }

        deserializer.deserialize_str(TextVisitor)
    }
}

/// Any JSON value as its text, carried from one body to another without being looked at: a schema, the input of a
/// tool, a member that a view has no name for.
///
/// ```
/// use plugway_sdk::chat::Json;
///
/// let schema: Json = serde_json::from_str(r#"{"type": "object"}"#)?;
/// assert_eq!(schema.text(), r#"{"type": "object"}"#);
/// assert!(schema.is_object());
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone)]
pub struct Json<'a>(Cow<'a, RawValue>);

impl<'a> Json<'a> {
    /// The JSON text of a value.
    ///
    /// # Panics
    /// Where the value cannot be written as JSON, such as a map whose keys are no strings.
    pub fn of(value: &impl Serialize) -> Self {
        Json(Cow::Owned(serde_json::value::to_raw_value(value).expect("the value can be written as JSON")))
    }

    /// Takes text that must be one JSON value.
    ///
    /// # Errors
    /// It is not.
    pub fn parse(text: Text<'a>) -> serde_json::Result<Self> {
        match text.into_cow() {
            Cow::Borrowed(text) => serde_json::from_str::<&RawValue>(text).map(|raw| Json(Cow::Borrowed(raw))),
            Cow::Owned(text) => RawValue::from_string(text).map(|raw| Json(Cow::Owned(raw))),
        }
    }

    /// The JSON text.
    pub fn text(&self) -> &str {
        self.0.get()
    }

    /// Reads the value as a type, which may borrow from it.
    ///
    /// # Errors
    /// It is of another shape.
    pub fn read<'s, T: Deserialize<'s>>(&'s self) -> serde_json::Result<T> {
        serde_json::from_str(self.text())
    }

    /// The JSON text with the lifetime of the body that it was read from, so that what is read from it may outlive this
    /// value; None where the value was made here.
    ///
    /// ```
    /// use plugway_sdk::chat::{Json, Text};
    ///
    /// let body = r#"["a", "b"]"#;
    /// let words: Vec<Text> = {
    ///     let list: Json = serde_json::from_str(body)?;
    ///     serde_json::from_str(list.in_body().expect("it was read from a body"))?
    /// };
    /// assert_eq!(words[1], "b");
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn in_body(&self) -> Option<&'a str> {
        match self.0 {
            Cow::Borrowed(raw) => Some(raw.get()),
            Cow::Owned(_) => None,
        }
    }

    /// The same value, borrowed from this one.
    pub fn share(&self) -> Json<'_> {
        Json(Cow::Borrowed(&self.0))
    }

    /// Whether it is `null`.
    pub fn is_null(&self) -> bool {
        self.text() == "null"
    }

    /// Whether it is an object.
    pub fn is_object(&self) -> bool {
        self.text().starts_with('{')
    }

    /// Whether it says nothing: `null`, `false`, `0`, `""`, `[]` or `{}`.
    pub fn is_blank(&self) -> bool {
        let text = self.text();
        matches!(text, "null" | "false" | "0" | "0.0" | "\"\"")
            || (text.len() < 32 && matches!(text.replace(char::is_whitespace, "").as_str(), "[]" | "{}"))
    }

    /// The text as a string, where there is nothing left to borrow from.
    pub fn into_string(self) -> String {
        match self.0 {
            Cow::Borrowed(raw) => raw.get().to_owned(),
            Cow::Owned(raw) => Box::<str>::from(raw).into(),
        }
    }

    /// The text itself as a string of the body that this value is from.
    pub fn into_text(self) -> Text<'a> {
        match self.0 {
            Cow::Borrowed(raw) => Text(Cow::Borrowed(raw.get())),
            Cow::Owned(raw) => Text(Cow::Owned(Box::<str>::from(raw).into())),
        }
    }
}

impl Default for Json<'_> {
    fn default() -> Self {
        Json(Cow::Borrowed(RawValue::NULL))
    }
}

impl PartialEq for Json<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Json<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.text())
    }
}

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Json<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        <&'de RawValue>::deserialize(deserializer).map(|raw| Json(Cow::Borrowed(raw)))
    }
}

/// The members of an object that its view has no name for, in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extra<'a>(Vec<(Text<'a>, Json<'a>)>);

impl<'a> Extra<'a> {
    /// Adds a member.
    pub fn push(&mut self, name: impl Into<Text<'a>>, value: Json<'a>) {
        self.0.push((name.into(), value));
    }

    /// Gives a member this value, in its place where it is there already.
    ///
    /// ```
    /// use plugway_sdk::chat::{Extra, Json};
    ///
    /// let mut members: Extra = serde_json::from_str(r#"{"model": "a", "n": 1}"#)?;
    /// members.set("model", Json::of(&"b"));
    /// assert_eq!(serde_json::to_string(&members)?, r#"{"model":"b","n":1}"#);
    /// # Ok::<(), serde_json::Error>(())
    /// ```
    pub fn set(&mut self, name: impl Into<Text<'a>>, value: Json<'a>) {
        let name = name.into();
        match self.0.iter_mut().find(|(member, _)| *member == name) {
            Some((_, old)) => *old = value,
            None => self.0.push((name, value)),
        }
    }

    /// The member of this name.
    pub fn get(&self, name: &str) -> Option<&Json<'a>> {
        self.iter().find(|(member, _)| *member == name).map(|(_, value)| value)
    }

    /// Takes the member of this name out; `null` counts as absent.
    pub fn take(&mut self, name: &str) -> Option<Json<'a>> {
        let position = self.0.iter().position(|(member, _)| member == name)?;
        Some(self.0.remove(position).1).filter(|value| !value.is_null())
    }

    /// All members.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(name, value)| (&**name, value))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> IntoIterator for Extra<'a> {
    type Item = (Text<'a>, Json<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> FromIterator<(Text<'a>, Json<'a>)> for Extra<'a> {
    fn from_iter<I: IntoIterator<Item = (Text<'a>, Json<'a>)>>(members: I) -> Self {
        Extra(members.into_iter().collect())
    }
}

impl<'a> Extend<(Text<'a>, Json<'a>)> for Extra<'a> {
    fn extend<I: IntoIterator<Item = (Text<'a>, Json<'a>)>>(&mut self, members: I) {
        self.0.extend(members);
    }
}

impl Serialize for Extra<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Extra<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ExtraVisitor;

        impl<'de> Visitor<'de> for ExtraVisitor {
            type Value = Extra<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Extra<'de>, A::Error> {
                let mut extra = Extra::default();
                while let Some((name, value)) = map.next_entry::<Text<'de>, Json<'de>>()? {
                    extra.push(name, value);
                }
                Ok(extra)
            }
        }

        deserializer.deserialize_map(ExtraVisitor)
    }
}

/// A member that is either a string or something longer: a message's content, a stop rule, a choice of tools.
#[derive(Debug, Clone, PartialEq)]
pub enum TextOr<'a, T> {
    /// The short form.
    Text(Text<'a>),
    /// The long form.
    Full(T),
}

impl<T: Default> Default for TextOr<'_, T> {
    fn default() -> Self {
        TextOr::Full(T::default())
    }
}

impl<T: Serialize> Serialize for TextOr<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            TextOr::Text(text) => text.serialize(serializer),
            TextOr::Full(full) => full.serialize(serializer),
        }
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for TextOr<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrVisitor<'a, T>(PhantomData<(&'a (), T)>);

        impl<'de: 'a, 'a, T: Deserialize<'de>> Visitor<'de> for TextOrVisitor<'a, T> {
            type Value = TextOr<'a, T>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a string or its long form")
            }

            fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Text(Cow::Borrowed(text))))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(TextOr::Text(Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Self::Value, A::Error> {
                T::deserialize(SeqAccessDeserializer::new(seq)).map(TextOr::Full)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(TextOr::Full)
            }
        }

        deserializer.deserialize_any(TextOrVisitor(PhantomData))
    }
}

/// What [`json_view!`](crate::json_view) asks of the type of a member.
pub trait Member {
    /// Whether the member is left out when the view is written.
    fn is_absent(&self) -> bool;
}

impl<T> Member for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T> Member for Vec<T> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Member for Text<'_> {
    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl Member for u64 {
    fn is_absent(&self) -> bool {
        false
    }
}

/// Declares typed views of JSON objects that keep the members they have no name for (in `extra`) and borrow from the
/// body instead of copying it.
///
/// Serde's own `flatten` would do the same at several times the cost, and it cannot carry raw JSON. Every member is
/// optional on the way in, and `null` counts as absent; on the way out, members that are absent (`None`, an empty list,
/// an empty text) are left out unless they are marked `always`.
///
/// ```
/// use plugway_sdk::chat::Text;
///
/// plugway_sdk::json_view! {
///     /// A guest at the door.
///     pub struct Guest<'a> {
///         /// As on the invitation.
///         pub name: Text<'a> = "name",
///         /// Who comes along.
///         pub with: Vec<Text<'a>> = "with" always,
///     }
/// }
///
/// let guest: Guest = serde_json::from_str(r#"{"name": "Ada", "hat": {"colour": "red"}}"#)?;
/// assert_eq!(guest.name, "Ada");
/// assert_eq!(serde_json::to_string(&guest)?, r#"{"name":"Ada","with":[],"hat":{"colour": "red"}}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[macro_export]
macro_rules! json_view {
    (@always) => { false };
    (@always always) => { true };
    ($(
        $(#[$meta:meta])*
        $vis:vis struct $name:ident<$life:lifetime> {
            $(
                $(#[$member_meta:meta])*
                $member_vis:vis $member:ident: $type:ty = $key:literal $($always:ident)?
            ),* $(,)?
        }
    )*) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, Default, PartialEq)]
        $vis struct $name<$life> {
            $($(#[$member_meta])* $member_vis $member: $type,)*
            /// Members that this view has no name for.
            $vis extra: $crate::chat::Extra<$life>,
        }

        const _: () = {
            use $crate::__serde as serde;

            impl<'de: $life, $life> serde::Deserialize<'de> for $name<$life> {
                fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                    struct View<$life>(std::marker::PhantomData<&$life ()>);

                    impl<'de: $life, $life> serde::de::Visitor<'de> for View<$life> {
                        type Value = $name<$life>;

                        fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                            formatter.write_str("an object")
                        }

                        fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                            let mut view = $name::default();
                            while let Some(key) = map.next_key::<$crate::chat::Text<$life>>()? {
                                match &*key {
                                    $($key => view.$member = map.next_value::<Option<_>>()?.unwrap_or_default(),)*
                                    _ => view.extra.push(key, map.next_value()?),
                                }
                            }
                            Ok(view)
                        }
                    }

                    deserializer.deserialize_map(View(std::marker::PhantomData))
                }
            }

            impl<$life> serde::Serialize for $name<$life> {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    use serde::ser::SerializeMap as _;
                    let mut map = serializer.serialize_map(None)?;
                    $(
                        if $crate::json_view!(@always $($always)?) || !$crate::chat::Member::is_absent(&self.$member) {
                            map.serialize_entry($key, &self.$member)?;
                        }
                    )*
                    for (name, value) in self.extra.iter() {
                        map.serialize_entry(name, value)?;
                    }
                    map.end()
                }
            }
        };
    )*};
}
