//! Reading typed values out of a tree without stopping at the first mistake.

use super::meant::Owner;
use super::mistakes::{At, Mistake, Mistakes, unknown_name};
use super::yaml::Fault;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

/// Notes what is wrong while reading goes on.
pub(super) struct Reader<'a> {
    /// The environment that `env.NAME` reads.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// Relative paths begin here.
    pub base: &'a Path,
    /// Whose words these are.
    pub owner: Owner,
    /// The files that values came from, or should have come from.
    pub reads: BTreeSet<PathBuf>,
    /// One of them is there and could not be read, which may be otherwise at the next look.
    pub unread: bool,
    /// Of the file, where things stand in one.
    pub lines: HashMap<At, u64>,
    mistakes: Vec<Noted>,
    warnings: Vec<(At, String)>,
    secrets: Vec<At>,
}

struct Noted {
    at: At,
    /// None: that of its place.
    line: Option<u64>,
    message: String,
}

impl<'a> Reader<'a> {
    pub(super) fn new(base: &'a Path, env: &'a dyn Fn(&str) -> Option<String>) -> Self {
        Reader {
            env,
            base,
            owner: Owner::File,
            reads: BTreeSet::new(),
            unread: false,
            lines: HashMap::new(),
            mistakes: Vec::new(),
            warnings: Vec::new(),
            secrets: Vec::new(),
        }
    }

    pub(super) fn mistake(&mut self, at: &At, message: impl Into<String>) {
        self.mistakes.push(Noted { at: at.clone(), line: None, message: message.into() });
    }

    pub(super) fn fault(&mut self, Fault { at, line, message }: Fault) {
        self.mistakes.push(Noted { at, line, message });
    }

    /// For a value that must be there. Says nothing where a wrong one stands: that is noted already.
    pub(super) fn missing(&mut self, at: &At, message: impl Into<String>) {
        if !self.mistakes.iter().any(|noted| at.contains(&noted.at)) {
            self.mistake(at, message);
        }
    }

    /// Notes a value of the wrong type or outside of its range.
    pub(super) fn wrong<T: Typed>(&mut self, at: &At, value: &Value) {
        self.mistake(at, format!("must be {}, is {}", T::shape(), describe(value, T::SHOWN)));
    }

    pub(super) fn warn(&mut self, at: &At, message: impl Into<String>) {
        self.warnings.push((at.clone(), message.into()));
    }

    /// Notes that a secret itself stands here, rather than where to find it. What is shown has a mask in its place, and
    /// what is stored is encrypted.
    pub(super) fn secret(&mut self, at: &At) {
        self.secrets.push(at.clone());
    }

    pub(super) fn secrets(&self) -> &[At] {
        &self.secrets
    }

    pub(super) fn finish(self) -> Result<Vec<String>, Mistakes> {
        let Reader { lines, mistakes, warnings, .. } = self;
        if mistakes.is_empty() {
            return Ok(warnings.into_iter().map(|(at, message)| format!("{at}: {message}")).collect());
        }
        let ancestors = |at: &At| std::iter::successors(Some(at.clone()), At::parent);
        let line_of = |at: &At| ancestors(at).find_map(|at| lines.get(&at).copied());
        let located = |Noted { at, line, message }| Mistake {
            path: at.to_string(),
            line: line.or_else(|| line_of(&at)),
            message,
        };
        let mut mistakes: Vec<Mistake> = mistakes.into_iter().map(located).collect();
        mistakes.sort_by_key(|mistake| mistake.line);
        Err(Mistakes(mistakes))
    }
}

/// A value as the user types it.
pub(super) trait Typed: Sized {
    /// Whether a wrong value may be quoted to the user. Not where it might be a secret.
    const SHOWN: bool = false;
    /// Whether a key with nothing behind it is as good as none.
    const EMPTY_IS_ABSENT: bool = true;

    /// Whether its keys are the user's names.
    const NAMED: bool = false;

    /// What a right value looks like: "a number such as 1.0".
    fn shape() -> String;

    /// What may stand inside.
    fn fields() -> &'static [Field] {
        &[]
    }

    /// None after a mistake was noted.
    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self>;
}

/// One key of a mapping.
pub(super) struct Field {
    pub name: &'static str,
    #[allow(dead_code, reason = "only the reference is made from it, and that only on demand")]
    pub help: &'static str,
    #[allow(dead_code, reason = "only the reference is made from it, and that only on demand")]
    pub shape: fn() -> String,
    pub inside: fn() -> &'static [Field],
    /// Whether what is inside stands there under names of the user's.
    pub named: bool,
}

impl Field {
    /// Whether this is a value such as stands inside under a name.
    fn has_such(&self, value: &Value) -> bool {
        let is_known = |key: &String| (self.inside)().iter().any(|field| field.name == key);
        let keys = value.as_object().into_iter().flat_map(Map::keys);
        let (known, unknown): (Vec<_>, Vec<_>) = keys.partition(|key| is_known(key));
        self.named && known.len() > unknown.len()
    }
}

/// Declares a mapping as the user types it. The doc comment of a field is the help a user reads. `later` are keys
/// that other gateways have and this one will have.
macro_rules! typed {
    ($($(#[doc = $about:literal])+ $name:ident {
        $($(#[doc = $help:literal])+ $field:ident: $type:ty,)+
    } later [$($later:literal),* $(,)?])+) => {$(
        $(#[doc = $about])+
        #[derive(Default)]
        pub(super) struct $name {
            #[allow(dead_code, reason = "not every mapping has rules that span its keys")]
            pub at: At,
            $($(#[doc = $help])+ pub $field: Option<$type>,)+
        }

        impl Typed for $name {
            fn shape() -> String {
                format!("a mapping of {}", [$(stringify!($field)),+].join(", "))
            }

            fn fields() -> &'static [Field] {
                const {
                    &[$(Field {
                        name: plain(stringify!($field)),
                        help: concat!($($help),+),
                        shape: <$type>::shape,
                        inside: <$type>::fields,
                        named: <$type>::NAMED,
                    }),+]
                }
            }

            fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
                let map = mapping::<Self>(value, at, reader)?;
                refuse_unknown_keys(map, at, Self::fields(), &[$($later),*], reader);
                Some($name { at: at.clone(), $($field: field(map, plain(stringify!($field)), at, reader),)+ })
            }
        }
    )+};
}
pub(super) use typed;

/// A name without what Rust wants before a word of its own: `type` of `r#type`.
pub(super) const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', rest @ ..] => match std::str::from_utf8(rest) {
            Ok(rest) => rest,
            Err(_) => name,
        },
        _ => name,
    }
}

/// The mapping, where nothing counts as an empty one.
pub(super) fn mapping<'v, T: Typed>(
    value: &'v Value,
    at: &At,
    reader: &mut Reader<'_>,
) -> Option<&'v Map<String, Value>> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match value {
        Value::Object(map) => Some(map),
        Value::Null => Some(&EMPTY),
        other => {
            reader.wrong::<T>(at, other);
            None
        }
    }
}

pub(super) fn field<T: Typed>(map: &Map<String, Value>, name: &str, at: &At, reader: &mut Reader<'_>) -> Option<T> {
    match map.get(name)? {
        Value::Null if T::EMPTY_IS_ABSENT => None,
        value => T::read(value, &at.key(name), reader),
    }
}

pub(super) fn refuse_unknown_keys(
    map: &Map<String, Value>,
    at: &At,
    fields: &'static [Field],
    later: &[&str],
    reader: &mut Reader<'_>,
) {
    for (name, value) in map.iter().filter(|(name, _)| fields.iter().all(|field| field.name != name.as_str())) {
        let shown = unknown_name(name);
        let section = || fields.iter().find(|field| (field.inside)().iter().any(|inner| inner.name == name));
        let glued =
            || fields.iter().find(|field| name.strip_prefix(field.name).is_some_and(|rest| rest.starts_with(':')));
        let message = if later.contains(&name.as_str()) {
            format!("`{name}` is not supported yet")
        } else if let Some(section) = section() {
            format!("unknown key `{name}` here; it belongs inside `{}`", section.name)
        } else if let Some(names) = fields.iter().find(|field| field.has_such(value)) {
            // Documentation often shows a block by itself.
            format!("unknown key `{shown}`; it looks like one of `{names}`, and belongs below it", names = names.name)
        } else if let Some(field) = glued() {
            format!("a space is missing after `{}:`", field.name)
        } else {
            format!("unknown key `{shown}`; {}", suggest(name, fields.iter().map(|field| field.name)))
        };
        let line = reader.lines.get(&at.key(name)).copied();
        reader.fault(Fault { at: at.key(glued().map_or(shown, |field| field.name)), line, message });
    }
}

/// "did you mean `keys`?", or what there is.
pub(super) fn suggest<'n>(name: &str, known: impl Iterator<Item = &'n str>) -> String {
    let known: Vec<&str> = known.collect();
    let distance = |candidate: &&&str| strsim::damerau_levenshtein(&name.to_lowercase(), candidate);
    match known.iter().min_by_key(distance).filter(|nearest| distance(nearest) <= (name.chars().count() / 3).max(1)) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known here: {}", known.join(", ")),
    }
}

/// A value in words. Strings are shown where they are short, as a misplaced key is long.
fn describe(value: &Value, shown: bool) -> String {
    const SHORT: usize = 16;
    match value {
        Value::Null => "empty".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a mapping".to_owned(),
        Value::Bool(value) if shown => value.to_string(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(value) if shown => value.to_string(),
        Value::Number(_) => "a number".to_owned(),
        Value::String(value) if shown && value.len() <= SHORT => format!("the string {value:?}"),
        Value::String(_) => "a string".to_owned(),
    }
}

impl<T: Typed> Typed for Vec<T> {
    fn shape() -> String {
        "a list".to_owned()
    }

    fn fields() -> &'static [Field] {
        T::fields()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let Value::Array(items) = value else {
            reader.wrong::<Self>(at, value);
            return None;
        };
        Some(items.iter().enumerate().filter_map(|(index, item)| T::read(item, &at.item(index), reader)).collect())
    }
}

/// A mapping whose keys are the user's names.
impl<T: Typed> Typed for BTreeMap<String, T> {
    const NAMED: bool = true;

    fn shape() -> String {
        "a mapping from names".to_owned()
    }

    fn fields() -> &'static [Field] {
        T::fields()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let map = mapping::<Self>(value, at, reader)?;
        Some(
            map.iter()
                .filter_map(|(name, value)| Some((name.clone(), T::read(value, &at.key(name), reader)?)))
                .collect(),
        )
    }
}
