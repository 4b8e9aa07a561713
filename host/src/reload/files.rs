//! What lies in the plugins folder, and what was made of it.

use crate::plugins::{self, Plugin, Runtime, extension, is_component};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// A change on disk, in the order in which changes are taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileChange {
    Written(PathBuf),
    /// After the components, one of which is its engine.
    ScriptWritten(PathBuf),
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
    /// It was refused for what stood around it, not for what it is: another change may make it fit.
    retry: bool,
}

pub struct Files {
    folder: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
    config: ConfigFiles,
}

/// The configuration, and what it reads.
#[derive(Default)]
struct ConfigFiles {
    /// None: it is to be looked at.
    stamp: Option<Stamp>,
    /// Files with secrets or certificates, as they were when it was read.
    reads: BTreeMap<PathBuf, Option<Stamp>>,
    /// As with plugins.
    retry: bool,
}

impl Files {
    pub fn new(folder: PathBuf, config_file: Option<&Path>, reads: &BTreeSet<PathBuf>) -> Self {
        let config = ConfigFiles { stamp: config_file.and_then(look_at), ..ConfigFiles::default() };
        let mut files = Files { folder, entries: BTreeMap::new(), config };
        files.configuration_reads(reads);
        files
    }

    /// What the configuration was made from beside its own file, whether it was good or not.
    pub fn configuration_reads(&mut self, reads: &BTreeSet<PathBuf>) {
        let mut before = std::mem::take(&mut self.config.reads);
        // What was looked at before it was read counts: a file that changed meanwhile is read again.
        let stamp = |file: &PathBuf| before.remove(file).unwrap_or_else(|| look_at(file));
        self.config.reads = reads.iter().cloned().zip(reads.iter().map(stamp)).collect();
    }

    /// What may have changed since the last look.
    pub fn changes(&mut self, config_file: Option<&Path>) -> Vec<FileChange> {
        let mut changes = Vec::new();
        let present = match self.scan() {
            Ok(present) => present,
            Err(error) => {
                // No sight of the folder is no sign that it is empty: out of file descriptors, above all.
                tracing::error!(folder = %self.folder.display(), %error, "the plugins folder cannot be looked through");
                return changes;
            }
        };
        for (file, stamp) in &present {
            let entry = self.entries.entry(file.clone()).or_default();
            if entry.stamp.as_ref() != Some(stamp) {
                entry.stamp = Some(stamp.clone());
                let written = if is_component(file) { FileChange::Written } else { FileChange::ScriptWritten };
                changes.push(written(file.clone()));
            }
        }
        let gone = self.entries.keys().filter(|file| !present.contains_key(*file));
        changes.extend(gone.cloned().map(FileChange::Removed));
        if let Some(file) = config_file {
            let stamp = look_at(file);
            let mut reads_other = false;
            for (file, stamp) in &mut self.config.reads {
                let before = std::mem::replace(stamp, look_at(file));
                reads_other |= before != *stamp;
            }
            // A configuration that is being replaced is missing for a moment.
            if stamp.is_some() && (stamp != self.config.stamp || reads_other) {
                self.config.stamp = stamp;
                changes.push(FileChange::Configuration(file.to_owned()));
            }
        }
        changes.sort();
        changes
    }

    fn scan(&self) -> io::Result<BTreeMap<PathBuf, Stamp>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            entries => entries?,
        };
        let mut present = BTreeMap::new();
        for entry in entries {
            let path = entry?.path();
            if (is_component(&path) || self.is_script(&path))
                && let Some(stamp) = stamp(&path)?
            {
                present.insert(path, stamp);
            }
        }
        Ok(present)
    }

    fn is_script(&self, file: &Path) -> bool {
        SCRIPTS.contains(&extension(file)) || self.engine(extension(file)).is_some()
    }

    /// The newest plugin that runs files with this extension.
    fn engine(&self, extension: &str) -> Option<&Arc<Plugin>> {
        let serving = self.entries.values().filter_map(|entry| entry.serving.as_ref());
        let engines = serving.filter(|plugin| plugin.runs(extension));
        engines.max_by(|one, other| one.version.cmp(&other.version))
    }

    /// An engine came or went: its scripts are looked at again.
    fn engine_changed(&mut self, engine: &Plugin) {
        for (file, entry) in &mut self.entries {
            entry.retry |= engine.runs(extension(file));
        }
    }

    /// Takes out the scripts that nothing runs any more. Their files stay, in case an engine comes.
    fn without_engine(&mut self) -> Vec<Arc<Plugin>> {
        let left = with_their_engines(self.plugins());
        let is_left = |plugin: &mut Arc<Plugin>| left.iter().any(|left| Arc::ptr_eq(left, plugin));
        let entries = self.entries.values_mut();
        entries
            .filter_map(|entry| {
                let gone = entry.serving.take_if(|plugin| !is_left(plugin))?;
                (entry.previous, entry.retry) = (None, true);
                Some(gone)
            })
            .collect()
    }

    /// Reads and loads a file, and looks whether it can stand beside the others; None where its bytes are those of the last
    /// time.
    pub async fn load(
        &mut self,
        file: &Path,
        runtime: &Runtime,
        generation: u64,
    ) -> Option<Result<Arc<Plugin>, String>> {
        let bytes = match plugins::read(file) {
            Ok(bytes) => bytes,
            Err(error) => return Some(Err(error.to_string())),
        };
        let digest = plugins::digest(&bytes);
        let entry = self.entries.entry(file.to_owned()).or_default();
        entry.retry = false;
        if entry.digest == digest {
            return None;
        }
        entry.digest = digest;
        let loaded = match is_component(file) {
            true => runtime.load(file, &bytes, generation).await,
            false => {
                let extension = extension(file);
                let Some(engine) = self.engine(extension).cloned() else {
                    self.does_not_fit(file);
                    return Some(Err(format!(
                        "no plugin runs .{extension} files; put one that does (for JavaScript `script.wasm`) into the \
                         plugins folder"
                    )));
                };
                runtime.load_script(&engine, file, &bytes, generation).await
            }
        };
        let plugin = match loaded {
            Ok(plugin) => plugin,
            Err(error) => return Some(Err(error.to_string())),
        };
        let Some(other) = self.clash(file, &plugin) else { return Some(Ok(Arc::new(plugin))) };
        let reason = format!("{plugin:?} is already loaded from {}; give this file another version", other.display());
        self.does_not_fit(file);
        Some(Err(reason))
    }

    /// The file did not fit among the others; it is looked at again after the next change that was taken.
    pub fn does_not_fit(&mut self, file: &Path) {
        match self.entries.get_mut(file) {
            Some(entry) => entry.retry = true,
            None => self.config.retry = true,
        }
    }

    /// Something has changed: what did not fit may fit now.
    pub fn look_again(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.retry) {
            (entry.stamp, entry.retry) = (None, false);
            entry.digest.clear();
        }
        if std::mem::take(&mut self.config.retry) {
            self.config.stamp = None;
        }
    }

    /// Another file with a plugin of this name and version.
    fn clash(&self, file: &Path, plugin: &Plugin) -> Option<&Path> {
        // A file that has gone is one that was given this one's name, or will be taken out next.
        let others = self.entries.iter().filter(|(other, _)| *other != file && other.exists());
        others
            .filter_map(|(other, entry)| Some((other, entry.serving.as_ref()?)))
            .find(|(_, other)| other.name == plugin.name && other.version == plugin.version)
            .map(|(other, _)| other.as_path())
    }

    pub fn plugins(&self) -> Vec<Arc<Plugin>> {
        self.entries.values().filter_map(|entry| entry.serving.clone()).collect()
    }

    /// The plugins as they would be with this one from this file.
    pub fn plugins_with(&self, file: &Path, plugin: &Arc<Plugin>) -> Vec<Arc<Plugin>> {
        let others = self.entries.iter().filter(|(other, _)| *other != file);
        let others = others.filter_map(|(_, entry)| entry.serving.as_ref());
        let is_same = |other: &&Arc<Plugin>| other.name == plugin.name && other.version == plugin.version;
        with_their_engines(others.filter(|other| !is_same(other)).chain([plugin]).cloned().collect())
    }

    /// Gives the scripts that cannot be run any more, where the file was an engine's and is none now.
    pub fn replace(&mut self, file: &Path, plugin: Arc<Plugin>) -> Vec<Arc<Plugin>> {
        self.engine_changed(&plugin);
        let entry = self.entries.entry(file.to_owned()).or_default();
        let before = entry.serving.replace(plugin);
        // One that never answered is not worth going back to.
        if let Some(before) = before.filter(|before| before.uses.have_worked()) {
            entry.previous = Some(before);
        }
        self.without_engine()
    }

    /// Gives what goes with the file: its plugin, and the scripts that no other engine runs.
    pub fn remove(&mut self, file: &Path) -> Vec<Arc<Plugin>> {
        let Some(gone) = self.entries.remove(file).and_then(|entry| entry.serving) else { return Vec::new() };
        self.engine_changed(&gone);
        std::iter::once(gone).chain(self.without_engine()).collect()
    }

    /// The version to go back to from one that serves, and the file that held both.
    pub fn previous(&self, serving: &Arc<Plugin>) -> Option<(PathBuf, Arc<Plugin>)> {
        let serves = |entry: &Entry| entry.serving.as_ref().is_some_and(|plugin| Arc::ptr_eq(plugin, serving));
        let (file, entry) = self.entries.iter().find(|(_, entry)| serves(entry))?;
        Some((file.clone(), entry.previous.clone()?))
    }

    /// That version serves again.
    pub fn put_back(&mut self, file: &Path) {
        if let Some(entry) = self.entries.get_mut(file)
            && let Some(previous) = entry.previous.take()
        {
            entry.serving = Some(previous);
        }
    }
}

/// Files that are surely meant as plugins: without an engine for them it is said that one is missing.
const SCRIPTS: [&str; 1] = ["js"];

/// Whether a file's name alone says that it is a plugin.
pub fn is_surely_a_plugin(file: &Path) -> bool {
    is_component(file) || SCRIPTS.contains(&extension(file))
}

/// All of them but the scripts that none of them runs.
fn with_their_engines(plugins: Vec<Arc<Plugin>>) -> Vec<Arc<Plugin>> {
    let is_run =
        |plugin: &Plugin| plugin.script.is_none() || plugins.iter().any(|engine| engine.runs(extension(&plugin.file)));
    plugins.iter().filter(|plugin| is_run(plugin)).cloned().collect()
}

/// None where there is no such file.
fn stamp(file: &Path) -> io::Result<Option<Stamp>> {
    let metadata = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    let stamp = Stamp { modified: metadata.modified().ok(), size: metadata.len(), inode: metadata.ino() };
    Ok(metadata.is_file().then_some(stamp))
}

fn look_at(file: &Path) -> Option<Stamp> {
    stamp(file).ok().flatten()
}
