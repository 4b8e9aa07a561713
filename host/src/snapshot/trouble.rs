//! What could not be set up, and where in the configuration the reason stands.

use std::fmt;

/// Something that could not be set up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// What cannot be used for it: a provider or a policy by its place in the configuration, a plugin, the store.
    pub of: String,
    /// Where the reason stands, seen from there; empty where it is about the whole.
    pub at: String,
    pub message: String,
}

impl Trouble {
    pub fn about(of: impl Into<String>, message: impl Into<String>) -> Self {
        Trouble { of: of.into(), at: String::new(), message: message.into() }
    }

    /// Where in the configuration, or which plugin.
    pub fn path(&self) -> String {
        match self.at.as_str() {
            "" => self.of.clone(),
            at => format!("{}.{at}", self.of),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.path(), self.message)
    }
}

/// All that keeps one thing from being used, gathered while looking goes on.
pub(super) struct Findings {
    of: String,
    troubles: Vec<Trouble>,
}

impl Findings {
    pub fn of(place: String) -> Self {
        Findings { of: place, troubles: Vec::new() }
    }

    pub fn add(&mut self, at: &str, message: impl Into<String>) {
        self.troubles.push(Trouble { of: self.of.clone(), at: at.to_owned(), message: message.into() });
    }

    /// What there is, or a finding.
    pub fn keep<T>(&mut self, at: &str, found: Result<T, String>) -> Option<T> {
        found.map_err(|message| self.add(at, message)).ok()
    }

    pub fn is_empty(&self) -> bool {
        self.troubles.is_empty()
    }

    /// In one sentence, by the places in the block; and one by one.
    pub fn told(self) -> (String, Vec<Trouble>) {
        let told = self.troubles.iter().map(|trouble| match trouble.at.as_str() {
            "" => trouble.message.clone(),
            at => format!("{at}: {}", trouble.message),
        });
        (told.collect::<Vec<_>>().join("; "), self.troubles)
    }
}
