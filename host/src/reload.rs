//! Changes on disk and through the admin API become generations. One loop, one change at a time: everything that can fail
//! is done first, then one pointer is exchanged; whatever failed leaves the generation that serves as it is.

mod changes;
mod files;
mod start;
mod watch;

pub use changes::{Change, Changes, Refusal};
pub use start::{Looked, Started, bounds, look, runtime, runtime_with, start};
pub use watch::watch_tree;

use crate::config::{AtStart, Config, LoadError, Loaded, Source, Stored};
use crate::plugins::{Failing, Plugin, Runtime, Watcher};
use crate::snapshot::{Ingredients, Live, Snapshot, Trouble};
use crate::store::Store;
use crate::telemetry::{Metrics, ReloadOutcome};
use changes::Asked;
use files::{FileChange, Files};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;
use tokio::time::Instant;

/// Why the loop wakes up.
pub enum Event {
    /// Something changed in a watched folder.
    Disk,
    /// A plugin keeps failing.
    Failing(Failing),
}

/// Folders are looked through this often even when the system reports no change: some file systems never do.
const RESCAN: Duration = Duration::from_secs(5);

/// Keeps what serves in step with what lies on disk and with what the admin API is asked for.
pub struct Reloader {
    live: Arc<Live>,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    source: Option<Source>,
    /// What the running gateway was made with, whatever the configuration says since.
    started_with: AtStart,
    /// The configuration as the file alone has it.
    from_file: Arc<Config>,
    stored: Stored,
    store: Store,
    files: Files,
    events: Receiver<Event>,
    changes: Receiver<Asked>,
    /// Handed to every configured plugin.
    watcher: Watcher,
    /// Stops the system's notifications when it is dropped.
    _notifications: Option<watch::Notifications>,
}

impl Reloader {
    /// Until nobody can send events any more.
    pub async fn run(mut self) {
        let _following = Following::begin(self.metrics.clone());
        let mut next_look = Instant::now() + RESCAN;
        loop {
            self.runtime.give_back_unused();
            tokio::select! {
                event = self.events.recv() => match event {
                    None => return,
                    Some(Event::Failing(failing)) => {
                        self.roll_back(&failing).await;
                        continue;
                    }
                    Some(Event::Disk) => self.settle().await,
                },
                Some(asked) = self.changes.recv() => {
                    self.take_change(asked).await;
                    continue;
                }
                () = tokio::time::sleep_until(next_look) => {}
            }
            self.follow_disk().await;
            next_look = Instant::now() + RESCAN;
        }
    }

    /// Waits until the disk has been quiet for a while: editors and copies write in several steps.
    async fn settle(&mut self) {
        let quiet = self.live.current().config.plugins.debounce;
        let deadline = Instant::now() + quiet * 10;
        while Instant::now() < deadline {
            tokio::select! {
                event = tokio::time::timeout(quiet, self.events.recv()) => match event {
                    Ok(Some(Event::Disk)) => {}
                    Ok(Some(Event::Failing(failing))) => self.roll_back(&failing).await,
                    Ok(None) | Err(_) => return,
                },
                Some(asked) = self.changes.recv() => self.take_change(asked).await,
            }
        }
    }

    /// Plugins first, so that a configuration may name what came along with it; removals last, so that a plugin that moved
    /// to another file is never missing.
    async fn follow_disk(&mut self) {
        loop {
            let generation = self.live.current().generation;
            for change in self.files.changes(self.source.as_ref().map(|source| source.file.as_path())) {
                match change {
                    FileChange::Written(file) | FileChange::ScriptWritten(file) => self.take_plugin(file).await,
                    FileChange::Configuration(file) => self.take_config(file).await,
                    FileChange::Removed(file) => self.remove_plugin(file).await,
                }
            }
            if self.live.current().generation == generation {
                return;
            }
            self.files.look_again();
        }
    }

    async fn take_plugin(&mut self, file: PathBuf) {
        let plugin = match self.files.load(&file, &self.runtime, self.next_generation()).await {
            None => return,
            Some(Ok(plugin)) => plugin,
            Some(Err(reason)) => return self.refuse(file, reason),
        };
        let snapshot = self.build(None, self.files.plugins_with(&file, &plugin)).await;
        let added = self.added_troubles(&snapshot);
        if !added.is_empty() {
            return self.does_not_fit(file, sentences(&added));
        }
        tracing::info!(?plugin, file = %file.display(), digest = &plugin.digest[..12], "plugin loaded");
        let gone = self.files.replace(&file, plugin);
        told_as_removed(&gone, &file);
        self.accept(&file, snapshot);
    }

    async fn remove_plugin(&mut self, file: PathBuf) {
        let gone = self.files.remove(&file);
        if gone.is_empty() {
            self.live.accept(&file);
            return;
        }
        let snapshot = self.build(None, self.files.plugins()).await;
        told_as_removed(&gone, &file);
        self.accept(&file, snapshot);
    }

    async fn take_config(&mut self, file: PathBuf) {
        let Some(source) = &self.source else { return };
        let Loaded { config: from_file, warnings } = match source.load() {
            Ok(loaded) => loaded,
            Err(error) => return self.refuse_config(file, &error),
        };
        self.files.config.reads(&from_file.reads);
        self.files.config.unread(None);
        for key in self.started_with.differences(&from_file.at_start()) {
            tracing::warn!("a change of {key} takes effect after a restart");
        }
        let Loaded { config, warnings: of_stored } = from_file.with_stored(&self.stored);
        for warning in warnings.iter().chain(&of_stored) {
            tracing::warn!("{warning}");
        }
        let snapshot = self.build(Some(Arc::new(config)), self.files.plugins()).await;
        let added = self.added_troubles(&snapshot);
        if !added.is_empty() {
            return self.does_not_fit(file, sentences(&added));
        }
        tracing::info!(file = %file.display(), "configuration loaded");
        self.from_file = Arc::new(from_file);
        self.accept(&file, snapshot);
    }

    fn refuse_config(&mut self, file: PathBuf, error: &LoadError) {
        if let LoadError::Wrong { reads, .. } = error {
            self.files.config.reads(reads);
        }
        let reason = error.to_string();
        if self.files.config.unread(error.may_pass().then(|| reason.clone())) {
            self.refuse(file, reason);
        }
    }

    /// Puts the last version that worked back in the place of one that keeps failing, where that harms nobody. Else it stays
    /// where it is, to be tried at the next rest.
    async fn roll_back(&mut self, failing: &Failing) {
        let plugin = &failing.plugin;
        let Some((file, previous)) = self.files.previous(plugin) else { return };
        // Where it never served with these settings, or rests with them too, the settings are to blame.
        if !previous.uses.serve_well(&failing.settings) {
            return;
        }
        let snapshot = self.build(None, self.files.plugins_with(&file, &previous)).await;
        let added = self.added_troubles(&snapshot);
        if !added.is_empty() {
            tracing::error!("{plugin:?} keeps failing, but {previous:?} cannot take its place: {}", sentences(&added));
            return;
        }
        let reason = format!("{plugin:?} kept failing and was taken out; {previous:?} serves again");
        tracing::error!(file = %file.display(), "{reason}");
        self.files.put_back(&file);
        self.swap(snapshot);
        self.live.refuse(file, reason);
        self.metrics.reload(ReloadOutcome::RolledBack);
    }

    async fn build(&self, config: Option<Arc<Config>>, plugins: Vec<Arc<Plugin>>) -> Snapshot {
        let current = self.live.current();
        Snapshot::build(Ingredients {
            generation: self.next_generation(),
            config: config.unwrap_or_else(|| current.config.clone()),
            plugins,
            previous: Some(&current),
            watcher: self.watcher.clone(),
        })
        .await
    }

    fn next_generation(&self) -> u64 {
        self.live.current().generation + 1
    }

    /// Troubles of what has none now: a change may leave things as bad as they are, but not make them worse.
    fn added_troubles(&self, next: &Snapshot) -> Vec<Trouble> {
        let current = self.live.current();
        let known: BTreeSet<&str> = current.troubles.iter().map(|trouble| trouble.of.as_str()).collect();
        next.troubles.iter().filter(|trouble| !known.contains(trouble.of.as_str())).cloned().collect()
    }

    fn swap(&self, next: Snapshot) {
        self.live.swap(next);
        let current = self.live.current();
        self.metrics.keep_providers(|name| current.provider(name).is_some());
    }

    fn refuse(&self, file: PathBuf, reason: String) {
        tracing::error!(file = %file.display(), "refused, what served before goes on serving: {reason}");
        self.live.refuse(file, reason);
        self.metrics.reload(ReloadOutcome::Refused);
    }

    /// Refused for what stands around it.
    fn does_not_fit(&mut self, file: PathBuf, reason: String) {
        self.files.does_not_fit(&file);
        self.refuse(file, reason);
    }

    fn accept(&self, file: &Path, snapshot: Snapshot) {
        let current = self.live.current();
        for trouble in snapshot.troubles.iter().filter(|trouble| !current.troubles.contains(trouble)) {
            tracing::error!("{trouble}");
        }
        self.swap(snapshot);
        self.live.accept(file);
        self.metrics.reload(ReloadOutcome::Swapped);
    }
}

fn told_as_removed(gone: &[Arc<Plugin>], file: &Path) {
    for plugin in gone {
        match plugin.script {
            Some(_) if plugin.file != file => {
                tracing::warn!(?plugin, file = %plugin.file.display(), "script removed, as nothing runs it any more");
            }
            _ => tracing::warn!(?plugin, file = %file.display(), "plugin removed"),
        }
    }
}

/// Says so when the loop ends, however it does: what serves goes on serving, but nothing new is taken.
struct Following(Arc<Metrics>);

impl Following {
    fn begin(metrics: Arc<Metrics>) -> Self {
        metrics.follows_disk(true);
        Following(metrics)
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.follows_disk(false);
        tracing::error!("changes of plugins and configuration are no longer taken; restart the gateway");
    }
}

fn sentences(troubles: &[Trouble]) -> String {
    troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_panics_is_seen() {
        let metrics = Arc::new(Metrics::default());
        let following = metrics.clone();
        let panicking = std::thread::spawn(move || {
            let _following = Following::begin(following);
            panic!("as a test wants it");
        });
        assert!(panicking.join().is_err());
        assert!(!metrics.is_following_disk());
    }
}
