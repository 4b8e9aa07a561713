//! What lies in the plugins folder, and what was made of it.

use crate::plugins::{self, Plugin, Runtime};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A change on disk, in the order in which changes are taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    Written(PathBuf),
    Configuration(PathBuf),
    Removed(PathBuf),
}

/// Enough to see that a file may have changed; whether it has, its digest tells.
#[derive(Clone, PartialEq)]
struct Stamp {
    modified: Option<SystemTime>,
    size: u64,
    inode: u64,
}

/// A file of the folder.
#[derive(Default)]
struct Entry {
    stamp: Option<Stamp>,
    /// Of the bytes that were looked at last, good or bad.
    digest: String,
    serving: Option<Arc<Plugin>>,
    /// The version before, in case the one that serves turns out to be bad.
    previous: Option<Arc<Plugin>>,
}

pub struct Files {
    folder: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
    config: Option<Stamp>,
}

impl Files {
    pub fn new(folder: PathBuf, config_file: Option<&Path>) -> Self {
        Files { folder, entries: BTreeMap::new(), config: config_file.and_then(stamp) }
    }

    /// What may have changed since the last look.
    pub fn changes(&mut self, config_file: Option<&Path>) -> Vec<Change> {
        let mut changes = Vec::new();
        let present = self.scan();
        for (file, stamp) in &present {
            let entry = self.entries.entry(file.clone()).or_default();
            if entry.stamp.as_ref() != Some(stamp) {
                entry.stamp = Some(stamp.clone());
                changes.push(Change::Written(file.clone()));
            }
        }
        let gone = self.entries.keys().filter(|file| !present.contains_key(*file));
        changes.extend(gone.cloned().map(Change::Removed));
        if let Some(file) = config_file {
            let stamp = stamp(file);
            // A configuration that is being replaced is missing for a moment.
            if stamp.is_some() && stamp != self.config {
                self.config = stamp;
                changes.push(Change::Configuration(file.to_owned()));
            }
        }
        changes.sort();
        changes
    }

    fn scan(&self) -> BTreeMap<PathBuf, Stamp> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return BTreeMap::new() };
        entries
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "wasm"))
            .filter_map(|path| stamp(&path).map(|stamp| (path, stamp)))
            .collect()
    }

    /// Reads and loads a file; None where its bytes are those of the last time.
    pub async fn prepare(&mut self, file: &Path, runtime: &Runtime, generation: u64) -> Option<Result<Plugin, String>> {
        let wasm = match plugins::read(file) {
            Ok(wasm) => wasm,
            Err(error) => return Some(Err(error.to_string())),
        };
        let digest = plugins::digest(&wasm);
        let entry = self.entries.entry(file.to_owned()).or_default();
        if entry.digest == digest {
            return None;
        }
        entry.digest = digest;
        Some(runtime.load(file, &wasm, generation).await.map_err(|error| error.to_string()))
    }

    /// Another file with a plugin of this name and version.
    pub fn clash(&self, file: &Path, plugin: &Plugin) -> Option<&Path> {
        let others = self.entries.iter().filter(|(other, _)| *other != file);
        others
            .filter_map(|(other, entry)| Some((other, entry.serving.as_ref()?)))
            .find(|(_, other)| other.name == plugin.name && other.version == plugin.version)
            .map(|(other, _)| other.as_path())
    }

    pub fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.entries.values().filter_map(|entry| entry.serving.clone()).collect()
    }

    /// The plugins as they would be with another one from this file.
    pub fn plugins_with(&self, file: &Path, plugin: Option<&Arc<Plugin>>) -> Vec<Arc<Plugin>> {
        let others = self.entries.iter().filter(|(other, _)| *other != file);
        others.filter_map(|(_, entry)| entry.serving.as_ref()).chain(plugin).cloned().collect()
    }

    pub fn replace(&mut self, file: &Path, plugin: Arc<Plugin>) {
        let entry = self.entries.entry(file.to_owned()).or_default();
        let before = entry.serving.replace(plugin);
        // One that never answered is not worth going back to.
        if let Some(before) = before.filter(|before| before.health.has_worked()) {
            entry.previous = Some(before);
        }
    }

    pub fn remove(&mut self, file: &Path) -> Option<Arc<Plugin>> {
        self.entries.remove(file)?.serving
    }

    /// The version to go back to from a plugin that keeps failing, and the file it came from.
    pub fn take_previous(&mut self, failing: &Arc<Plugin>) -> Option<(PathBuf, Arc<Plugin>)> {
        let serves = |entry: &Entry| entry.serving.as_ref().is_some_and(|serving| Arc::ptr_eq(serving, failing));
        let (file, entry) = self.entries.iter_mut().find(|(_, entry)| serves(entry))?;
        Some((file.clone(), entry.previous.take()?))
    }

    pub fn put_back(&mut self, file: &Path, previous: Arc<Plugin>) {
        if let Some(entry) = self.entries.get_mut(file) {
            entry.serving = Some(previous);
        }
    }
}

fn stamp(file: &Path) -> Option<Stamp> {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(file).ok().filter(fs::Metadata::is_file)?;
    Some(Stamp { modified: metadata.modified().ok(), size: metadata.len(), inode: metadata.ino() })
}
