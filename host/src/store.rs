//! The providers that came through the admin API, kept in one file. The database and the encryption live here and nowhere
//! else.
//!
//! The file is made when there is something to write, and never made anew over one that cannot be read. A block is sealed
//! as a whole where there is a key to do it with; without one, whoever writes sees to it that it holds no secret.

mod database;
mod seal;

use crate::config::{self, Block, Secrets, Stored};
use database::Database;
use seal::Key;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use thiserror::Error;

/// Why the store did not do what it was to do. What it held before, it holds.
#[derive(Debug, Error)]
pub enum StoreError {
    /// It takes nothing as it is, and nothing was tried.
    #[error("the store takes no changes: {0}")]
    Shut(String),
    #[error("the store could not be written: {0}")]
    Failed(String),
}

/// The one who writes.
pub struct Store {
    settings: config::Store,
    state: State,
}

enum State {
    /// There was no file.
    Absent,
    Open(Database, Key),
    /// A write failed; the next one opens the file anew.
    Failed,
    /// What lies there cannot be used, and is left as it is.
    Shut(String),
}

impl Store {
    /// What is stored, and the one who will change it.
    pub fn open(settings: config::Store) -> (Self, Stored) {
        if !settings.path.exists() {
            return (Store { settings, state: State::Absent }, Stored::default());
        }
        let opened = guarded(&settings.path, || {
            let database = Database::open(&settings.path)?;
            let key = Key::of(settings.encryption_key.as_ref(), &database)?;
            let stored = read(&database, &key)?;
            Ok((database, key, stored))
        });
        match opened {
            Ok((database, key, stored)) => (Store { settings, state: State::Open(database, key) }, stored),
            Err(reason) => {
                let trouble = Some(reason.clone());
                (Store { settings, state: State::Shut(reason) }, Stored { trouble, ..Stored::default() })
            }
        }
    }

    /// Only where blocks are sealed, they may hold secrets.
    pub fn secrets(&self) -> Secrets {
        match self.settings.encryption_key {
            Some(_) => Secrets::Taken,
            None => Secrets::Refused,
        }
    }

    /// Keeps a block. It is on the disk when this returns.
    pub fn put(&mut self, name: &str, block: &Block) -> Result<(), StoreError> {
        self.write(|database, key| {
            let json = serde_json::to_vec(block).map_err(|error| error.to_string())?;
            database.put(name, &key.seal(name, json)?, key.marks())
        })
    }

    pub fn remove(&mut self, name: &str) -> Result<(), StoreError> {
        self.write(|database, _| database.remove(name))
    }

    fn write(&mut self, change: impl FnOnce(&Database, &Key) -> Result<(), String>) -> Result<(), StoreError> {
        let path = &self.settings.path;
        let database = match &self.state {
            State::Open(..) => None,
            State::Shut(reason) => return Err(StoreError::Shut(reason.clone())),
            State::Absent => Some(guarded(path, || Database::create(path))),
            State::Failed => Some(guarded(path, || Database::open(path))),
        };
        if let Some(database) = database {
            let database = database.map_err(StoreError::Failed)?;
            let key = guarded(path, || Key::of(self.settings.encryption_key.as_ref(), &database));
            self.state = State::Open(database, key.map_err(StoreError::Failed)?);
        }
        let State::Open(database, key) = &self.state else { return Err(StoreError::Failed("it is not open".into())) };
        if let Key::Missing(reason) = key {
            return Err(StoreError::Shut(reason.clone()));
        }
        database.is_still(path).map_err(StoreError::Shut)?;
        guarded(path, || change(database, key)).map_err(|reason| {
            self.state = State::Failed;
            StoreError::Failed(reason)
        })
    }
}

/// What is stored, for one who changes nothing.
pub fn look(settings: &config::Store) -> Stored {
    if !settings.path.exists() {
        return Stored::default();
    }
    let looked = guarded(&settings.path, || {
        let database = Database::look(&settings.path)?;
        read(&database, &Key::of(settings.encryption_key.as_ref(), &database)?)
    });
    looked.unwrap_or_else(|reason| Stored { trouble: Some(reason), ..Stored::default() })
}

fn read(database: &Database, key: &Key) -> Result<Stored, String> {
    let entries = database.entries()?;
    let block = |name: &str, bytes: &[u8]| {
        let json = key.open(name, bytes)?;
        serde_json::from_slice(&json).map_err(|_| "the store has something else than a block of it".to_owned())
    };
    let blocks = entries.into_iter().map(|(name, bytes)| {
        let block = block(&name, &bytes);
        (name, block)
    });
    Ok(Stored { blocks: blocks.collect(), trouble: None })
}

/// The database may panic over a damaged file. Reasons are told with the file.
fn guarded<T>(path: &Path, act: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let done = std::panic::catch_unwind(AssertUnwindSafe(act));
    let done = done.unwrap_or_else(|_| Err(database::DAMAGED.to_owned()));
    done.map_err(|reason| format!("{}: {reason}", path.display()))
}
