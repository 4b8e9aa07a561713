//! What lies in the plugins folder, and what was made of it.

mod config;
mod stamp;

use crate::plugins::{self, LoadError, Plugin, Runtime, extension, is_component};
use config::ConfigFiles;
use stamp::{Stamp, stamp};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A change on disk, in the order in which changes are taken.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileChange {
    Written(PathBuf),
    /// After the components, one of which is its engine.
    ScriptWritten(PathBuf),
    Configuration(PathBuf),
    Removed(PathBuf),
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
    /// It is looked at with the next look, changed or not.
    again: bool,
    /// Why it could not be read the last time.
    unread: Option<String>,
    /// How often these bytes could not be compiled in time, or for want of memory.
    hard_to_compile: u32,
}

/// What takes minutes to compile must not do so after each change for ever.
const MOST_COMPILATIONS: u32 = 3;

pub struct Files {
    folder: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
    pub config: ConfigFiles,
    /// Why the folder could not be looked through the last time.
    blind: Option<String>,
}

impl Entry {
    /// It could not be read, and is tried again with the next look unless it is to blame for that: nothing need change on
    /// the disk for it to be readable. False where the reason is known already.
    fn unread(&mut self, error: &LoadError) -> bool {
        self.again = error.may_pass();
        self.digest.clear();
        let reason = Some(error.to_string());
        let known = std::mem::replace(&mut self.unread, reason);
        known != self.unread
    }
}

impl Files {
    pub fn new(folder: PathBuf, config_file: Option<&Path>, reads: &BTreeSet<PathBuf>) -> Self {
        let config = ConfigFiles::new(config_file, reads);
        Files { folder, entries: BTreeMap::new(), config, blind: None }
    }

    /// What may have changed since the last look.
    pub fn changes(&mut self, config_file: Option<&Path>) -> Vec<FileChange> {
        let mut changes = self.plugin_changes();
        let config = config_file.filter(|file| self.config.may_have_changed(file));
        changes.extend(config.map(|file| FileChange::Configuration(file.to_owned())));
        changes.sort();
        changes
    }

    fn plugin_changes(&mut self) -> Vec<FileChange> {
        let present = match self.scan() {
            Ok(present) => present,
            Err(error) => {
                // No sight of the folder is no sign that it is empty: out of file descriptors, above all.
                let error = error.to_string();
                if self.blind.as_ref() != Some(&error) {
                    tracing::error!(folder = %self.folder.display(), error, "the plugins folder cannot be looked through");
                }
                self.blind = Some(error);
                return Vec::new();
            }
        };
        self.blind = None;
        let mut changes = Vec::new();
        for (file, stamp) in &present {
            let entry = self.entries.entry(file.clone()).or_default();
            let is_other = stamp.is_none() || entry.stamp != *stamp;
            if is_other {
                entry.stamp = stamp.clone();
                entry.hard_to_compile = 0;
            }
            if std::mem::take(&mut entry.again) || is_other {
                let written = if is_component(file) { FileChange::Written } else { FileChange::ScriptWritten };
                changes.push(written(file.clone()));
            }
        }
        let gone = self.entries.keys().filter(|file| !present.contains_key(*file));
        changes.extend(gone.cloned().map(FileChange::Removed));
        changes
    }

    /// The files that are there; without a stamp where one cannot be looked at, which is no reason to see no other.
    fn scan(&self) -> io::Result<BTreeMap<PathBuf, Option<Stamp>>> {
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            entries => entries?,
        };
        let mut present = BTreeMap::new();
        for entry in entries {
            let path = entry?.path();
            if is_component(&path) || self.is_script(&path) {
                match stamp(&path) {
                    Ok(None) => {}
                    Ok(Some(stamp)) => _ = present.insert(path, Some(stamp)),
                    Err(_) => _ = present.insert(path, None),
                }
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
        let read = plugins::read(file);
        let entry = self.entries.entry(file.to_owned()).or_default();
        let bytes = match read {
            Ok(bytes) => bytes,
            Err(error) => return entry.unread(&error).then(|| Err(error.to_string())),
        };
        let digest = plugins::digest(&bytes);
        (entry.retry, entry.unread) = (false, None);
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
            Err(error) => {
                if error.may_pass() {
                    self.was_hard_to_compile(file);
                }
                return Some(Err(error.to_string()));
            }
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
            None => self.config.does_not_fit(),
        }
    }

    /// The machine may have had too much to do; after the next change that was taken it is tried again, if not too often.
    fn was_hard_to_compile(&mut self, file: &Path) {
        let entry = self.entries.entry(file.to_owned()).or_default();
        entry.hard_to_compile += 1;
        entry.retry = entry.hard_to_compile < MOST_COMPILATIONS;
    }

    /// Something has changed: what did not fit may fit now.
    pub fn look_again(&mut self) {
        for entry in self.entries.values_mut().filter(|entry| entry.retry) {
            (entry.again, entry.retry) = (true, false);
            entry.digest.clear();
        }
        self.config.look_again();
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
