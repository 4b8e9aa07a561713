//! The file: names to blocks, open or sealed, and what the key is checked by.

use redb::backends::{FileBackend, InMemoryBackend};
use redb::{
    Builder, ConcurrencyMode, DatabaseError, ReadOnlyDatabase, ReadTransaction, ReadableDatabase, ReadableTable,
    StorageBackend, TableDefinition,
};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

const PROVIDERS: TableDefinition<&str, &[u8]> = TableDefinition::new("providers");
const ABOUT: TableDefinition<&str, &[u8]> = TableDefinition::new("about");
const FORMAT: &str = "format";
/// Of this module and of what `seal.rs` writes.
const THIS_FORMAT: &[u8] = b"1";

pub const DAMAGED: &str =
    "it is damaged, and was left as it is; put a copy of it in its place, or move it away to begin anew";

pub struct Database {
    handle: Handle,
    /// Device and inode.
    file: (u64, u64),
}

enum Handle {
    Writing(redb::Database),
    Reading(ReadOnlyDatabase),
}

impl Database {
    /// A new one in a place that is free, for the eyes of this user alone.
    pub fn create(path: &Path) -> Result<Self, String> {
        // Beside its place until it is whole, so that nobody ever finds half of one.
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let beside = folder.join(format!(".{name}.{}.part", std::process::id()));
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder).and_then(|()| {
            OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&beside)
        });
        let file = made.map_err(|error| cannot_write(&error))?;
        let database =
            Database { file: identity(&file)?, handle: Handle::Writing(Database::begin(file).map_err(in_words)?) };
        if path.exists() {
            let _ = fs::remove_file(&beside);
            return Err("it was made by somebody else since this gateway started; restart to use it".to_owned());
        }
        let placed = fs::rename(&beside, path).and_then(|()| File::open(folder)?.sync_all());
        placed.map_err(|error| cannot_write(&error))?;
        Ok(database)
    }

    fn begin(file: File) -> Result<redb::Database, redb::Error> {
        let database = builder().create_with_backend(FileBackend::new(file)?)?;
        let transaction = database.begin_write()?;
        transaction.open_table(PROVIDERS)?;
        transaction.open_table(ABOUT)?.insert(FORMAT, THIS_FORMAT)?;
        transaction.commit()?;
        Ok(database)
    }

    /// One that is there, mended where it was not closed properly.
    pub fn open(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        if file.metadata().is_ok_and(|metadata| metadata.permissions().mode() & 0o077 != 0) {
            tracing::warn!(store = %path.display(), "other users of this machine may read the store: chmod 600");
        }
        let handle = builder().set_check_integrity_on_open(true).open(path).map_err(|error| in_words(error.into()))?;
        Database { file: identity(&file)?, handle: Handle::Writing(handle) }.of_this_format()
    }

    /// The same for one who changes nothing, while somebody else may write.
    pub fn look(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| error.to_string())?;
        let handle = match builder().open_read_only(path) {
            Ok(database) => Handle::Reading(database),
            // A gateway that was killed left it so; it is mended in a copy.
            Err(DatabaseError::RepairAborted) => Handle::Writing(copy(path)?),
            Err(error) => return Err(in_words(error.into())),
        };
        Database { file: identity(&file)?, handle }.of_this_format()
    }

    fn of_this_format(self) -> Result<Self, String> {
        match self.mark(FORMAT).map(|format| format.as_deref() == Some(THIS_FORMAT)) {
            Ok(true) => Ok(self),
            Ok(false) => Err("it was written by another version of plugway, and was left as it is".to_owned()),
            Err(_) => Err("it is a database, but no store of plugway, and was left as it is".to_owned()),
        }
    }

    /// Whether the file at its place is the one that is open: what is written to one that was moved away is lost.
    pub fn is_still(&self, path: &Path) -> Result<(), String> {
        match fs::metadata(path) {
            Ok(metadata) if (metadata.dev(), metadata.ino()) == self.file => Ok(()),
            Ok(_) | Err(_) => Err(format!(
                "{} was removed or exchanged while this gateway had it open; restart the gateway",
                path.display()
            )),
        }
    }

    pub fn entries(&self) -> Result<Vec<(String, Vec<u8>)>, String> {
        let read = |transaction: ReadTransaction| {
            let mut entries = Vec::new();
            for entry in transaction.open_table(PROVIDERS)?.iter()? {
                let (name, bytes) = entry?;
                entries.push((name.value().to_owned(), bytes.value().to_vec()));
            }
            Ok(entries)
        };
        self.begin_read().and_then(read).map_err(in_words)
    }

    pub fn mark(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let read = |transaction: ReadTransaction| {
            let mark = transaction.open_table(ABOUT)?.get(name)?;
            Ok(mark.map(|mark| mark.value().to_vec()))
        };
        self.begin_read().and_then(read).map_err(in_words)
    }

    fn begin_read(&self) -> Result<ReadTransaction, redb::Error> {
        Ok(match &self.handle {
            Handle::Writing(database) => database.begin_read()?,
            Handle::Reading(database) => database.begin_read()?,
        })
    }

    pub fn put(&self, name: &str, bytes: &[u8], marks: Vec<(&str, &[u8])>) -> Result<(), String> {
        self.write(|transaction| {
            let mut about = transaction.open_table(ABOUT)?;
            for (mark, bytes) in marks {
                about.insert(mark, bytes)?;
            }
            transaction.open_table(PROVIDERS)?.insert(name, bytes)?;
            Ok(())
        })
    }

    pub fn remove(&self, name: &str) -> Result<(), String> {
        self.write(|transaction| {
            transaction.open_table(PROVIDERS)?.remove(name)?;
            Ok(())
        })
    }

    /// All or nothing, and on the disk when it returns.
    fn write(&self, change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>) -> Result<(), String> {
        let Handle::Writing(database) = &self.handle else { return Err("it was opened to be looked at".to_owned()) };
        let write = || {
            let transaction = database.begin_write()?;
            change(&transaction)?;
            transaction.commit()?;
            Ok(())
        };
        write().map_err(in_words)
    }
}

/// One writes, and others may look at the same time.
fn builder() -> Builder {
    const CACHE_BYTES: usize = 1024 * 1024;
    let mut builder = Builder::new();
    builder.set_concurrency_mode(ConcurrencyMode::SingleWriter).set_cache_size(CACHE_BYTES);
    builder
}

/// One in memory, for nobody but this process.
fn copy(path: &Path) -> Result<redb::Database, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    let memory = InMemoryBackend::new();
    let filled = memory.set_len(bytes.len() as u64).and_then(|()| memory.write(0, &bytes));
    filled.map_err(|error| error.to_string())?;
    let opened = Builder::new().set_check_integrity_on_open(true).create_with_backend(memory);
    opened.map_err(|error| in_words(error.into()))
}

fn identity(file: &File) -> Result<(u64, u64), String> {
    let metadata = file.metadata().map_err(|error| error.to_string())?;
    Ok((metadata.dev(), metadata.ino()))
}

fn cannot_write(error: &io::Error) -> String {
    format!("it cannot be made: {error}; `store.path` chooses another place")
}

fn in_words(error: redb::Error) -> String {
    match error {
        redb::Error::DatabaseAlreadyOpen => {
            "another gateway uses it; give each one a file of its own with `store.path`".to_owned()
        }
        redb::Error::Corrupted(what) => {
            tracing::error!("the store is damaged: {what}");
            DAMAGED.to_owned()
        }
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            "it is no store of plugway, and was left as it is".to_owned()
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;
    use crate::store::{Store, StoreError, look};
    use serde_json::json;
    use std::path::PathBuf;

    fn settings(path: PathBuf, words: Option<&str>) -> config::Store {
        config::Store { path, encryption_key: words.map(|words| config::Passphrase::new(words.to_owned())) }
    }

    fn block() -> config::Block {
        json!({"keys": [{"value": "sk-kept-secret"}]}).as_object().cloned().expect("an object")
    }

    /// A store with one provider in it.
    fn made(words: Option<&str>) -> (tempfile::TempDir, config::Store) {
        let folder = tempfile::tempdir().expect("a folder");
        let settings = settings(folder.path().join("below/plugway.db"), words);
        let (mut store, stored) = Store::open(settings.clone());
        assert!(stored.blocks.is_empty() && stored.trouble.is_none());
        assert!(!settings.path.exists(), "nothing is made before there is something to write");
        store.put("one", &block()).expect("written");
        (folder, settings)
    }

    #[test]
    fn what_is_put_is_there_again() {
        for words in [None, Some("correct horse battery staple")] {
            let (_folder, settings) = made(words);
            let (mut store, stored) = Store::open(settings.clone());
            assert_eq!(stored.blocks["one"], Ok(block()));
            store.put("two", &block()).expect("written");
            store.remove("one").expect("removed");
            drop(store);
            let stored = look(&settings);
            assert_eq!(stored.blocks.keys().collect::<Vec<_>>(), ["two"]);
            let mode = fs::metadata(&settings.path).expect("a file").permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let beside = settings.path.parent().expect("a folder").read_dir().expect("readable").count();
            assert_eq!(beside, 1, "no half of a file is left beside it");
        }
    }

    #[test]
    fn one_writes_and_others_may_look() {
        let (_folder, settings) = made(None);
        let (mut first, _) = Store::open(settings.clone());
        let (mut second, stored) = Store::open(settings.clone());
        assert!(stored.trouble.is_some_and(|trouble| trouble.contains("another gateway uses it")));
        assert!(matches!(second.put("two", &block()), Err(StoreError::Shut(_))));
        first.put("three", &block()).expect("written");
        assert_eq!(look(&settings).blocks.keys().collect::<Vec<_>>(), ["one", "three"]);
    }

    /// Whatever happens to the words, what was sealed is neither shown nor overwritten.
    #[test]
    fn another_key_or_none_opens_nothing_and_writes_nothing() {
        let (_folder, sealed) = made(Some("correct horse battery staple"));
        for (words, told) in
            [(None, "set `encryption_key`"), (Some("wrong horse battery staple"), "another `encryption_key`")]
        {
            let (mut store, stored) = Store::open(settings(sealed.path.clone(), words));
            assert!(stored.blocks["one"].as_ref().is_err_and(|reason| reason.contains(told)), "{words:?}");
            assert!(store.put("one", &block()).is_err_and(|error| matches!(error, StoreError::Shut(_))));
            assert!(store.remove("one").is_err());
        }
        assert_eq!(Store::open(sealed).1.blocks["one"], Ok(block()));
    }

    #[test]
    fn what_is_no_store_is_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, bytes) in [("text", b"not a database".as_slice()), ("empty", b""), ("zeros", &[0; 8192])] {
            let path = folder.path().join(name);
            fs::write(&path, bytes).expect("written");
            let (mut store, stored) = Store::open(settings(path.clone(), None));
            let trouble = stored.trouble.expect("trouble");
            assert!(trouble.starts_with(&path.display().to_string()), "{trouble}");
            assert!(matches!(store.put("one", &block()), Err(StoreError::Shut(_))), "{name}");
            assert_eq!(fs::read(&path).expect("still there"), bytes, "{name}");
            assert!(look(&settings(path, None)).trouble.is_some());
        }
    }

    /// Neither a panic nor a wrong block: what was damaged is told or does not matter.
    #[test]
    fn a_damaged_file_is_told() {
        let (_folder, settings) = made(Some("correct horse battery staple"));
        let good = fs::read(&settings.path).expect("a file");
        let path = settings.path.with_extension("damaged");
        let damaged = config::Store { path: path.clone(), ..settings };
        let (mut told, places) = (0, 40);
        for place in 0..places {
            let mut bytes = good.clone();
            let at = place * bytes.len() / places;
            let until = bytes.len().min(at + 600);
            bytes[at..until].iter_mut().for_each(|byte| *byte ^= 0x5a);
            fs::write(&path, &bytes).expect("written");
            for stored in [look(&damaged), Store::open(damaged.clone()).1] {
                let right = stored.trouble.is_none() && stored.blocks.get("one") == Some(&Ok(block()));
                told += usize::from(!right);
                if let Some(Ok(other)) = stored.blocks.get("one") {
                    assert_eq!(*other, block());
                }
            }
            let cut = &good[..at];
            fs::write(&path, cut).expect("written");
            assert_ne!(Store::open(damaged.clone()).1.blocks.get("one"), Some(&Ok(block())), "cut at {at}");
        }
        assert!(told > 0, "some of it was in the way");
    }

    #[test]
    fn a_file_that_was_exchanged_takes_nothing() {
        let (_folder, settings) = made(None);
        let (mut store, _) = Store::open(settings.clone());
        fs::rename(&settings.path, settings.path.with_extension("away")).expect("moved");
        assert!(store.put("two", &block()).is_err_and(|error| error.to_string().contains("restart")));
        fs::copy(settings.path.with_extension("away"), &settings.path).expect("copied");
        assert!(store.put("two", &block()).is_err_and(|error| error.to_string().contains("restart")));
    }
}
