//! What is wrong with a configuration, and where.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// A place in the configuration: `providers.openai.keys[0].weight`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct At(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    Item(usize),
}

impl At {
    pub(super) fn key(&self, name: &str) -> At {
        self.with(Step::Key(name.to_owned()))
    }

    pub(super) fn item(&self, index: usize) -> At {
        self.with(Step::Item(index))
    }

    pub(super) fn parent(&self) -> Option<At> {
        let (_, front) = self.0.split_last()?;
        Some(At(front.to_vec()))
    }

    pub(super) fn contains(&self, other: &At) -> bool {
        other.0.starts_with(&self.0)
    }

    /// What stands there.
    pub(super) fn find<'v>(&self, root: &'v mut Value) -> Option<&'v mut Value> {
        self.0.iter().try_fold(root, |value, step| match step {
            Step::Key(name) => value.get_mut(name),
            Step::Item(index) => value.get_mut(index),
        })
    }

    fn with(&self, step: Step) -> At {
        At(self.0.iter().cloned().chain([step]).collect())
    }
}

impl fmt::Display for At {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return formatter.write_str("the configuration");
        }
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Item(index) => write!(formatter, "[{index}]")?,
                Step::Key(name) => {
                    let dot = if position == 0 { "" } else { "." };
                    write!(formatter, "{dot}{}", Quoted(name))?;
                }
            }
        }
        Ok(())
    }
}

/// A name as it stands in a path: quoted where a dot or a space in it would make the path ambiguous, and cut at a
/// colon. To YAML `{value:sk-1}` is one long key, as a space is missing, and what follows the colon may be a secret.
struct Quoted<'a>(&'a str);

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        match self.0.split_once(':') {
            Some((front, _)) => write!(formatter, "{:?}", format!("{front}:…")),
            None if !self.0.is_empty() && self.0.bytes().all(plain) => formatter.write_str(self.0),
            None => write!(formatter, "{:?}", self.0),
        }
    }
}

/// The name of a key that nobody knows, unless it looks as if a secret had slipped into its place.
pub(super) fn unknown_name(name: &str) -> &str {
    const SHORT: usize = 16;
    const LONG: usize = 48;
    let letters =
        |limit| name.len() <= limit && name.bytes().all(|byte| byte.is_ascii_alphabetic() || b"_-$".contains(&byte));
    let any = |limit| name.len() <= limit && !name.contains(':');
    if any(SHORT) || letters(LONG) { name } else { "…" }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `providers.openai.keys[0].weight`
    pub path: String,
    /// Where in the file, when it came from one.
    pub line: Option<u64>,
    /// What would be right, and what stands there instead unless that might be a secret.
    pub message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(formatter, "{} (line {line}): {}", self.path, self.message),
            None => write!(formatter, "{}: {}", self.path, self.message),
        }
    }
}

/// Everything that is wrong with a configuration, in the order of the file. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(formatter, "1 mistake in the configuration")?,
            count => write!(formatter, "{count} mistakes in the configuration")?,
        }
        self.0.iter().try_for_each(|mistake| write!(formatter, "\n  {mistake}"))
    }
}

impl std::error::Error for Mistakes {}

/// Why a configuration file could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("cannot read {}: {reason}", path.display())]
    Unreadable { path: PathBuf, reason: std::io::Error },
    #[error("{}: {mistakes}", path.display())]
    Wrong {
        path: PathBuf,
        mistakes: Mistakes,
        /// The files that it looked into beside its own; one of them may be what is wrong.
        reads: BTreeSet<PathBuf>,
        /// One of them is there and could not be read.
        unread: bool,
    },
}

impl LoadError {
    /// Whether the same file may do on another day.
    pub fn may_pass(&self) -> bool {
        match self {
            LoadError::Unreadable { .. } => true,
            LoadError::Wrong { unread, .. } => *unread,
        }
    }
}
