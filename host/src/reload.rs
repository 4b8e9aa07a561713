//! Changes on disk become generations. One loop, one change at a time: everything that can fail is done first, then one
//! pointer is exchanged; whatever failed leaves the generation that serves as it is.

mod files;
mod start;
mod watch;

pub use start::{Started, look, runtime, start};

use crate::config::{self, Config};
use crate::plugins::{Plugin, Runtime, Watcher};
use crate::snapshot::{Ingredients, Live, Snapshot, Trouble};
use crate::telemetry::{Metrics, ReloadOutcome};
use files::{Change, Files};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

/// Why the loop wakes up.
pub enum Event {
    /// Something changed in a watched folder.
    Disk,
    /// A plugin keeps failing.
    Failing(Arc<Plugin>),
}

/// Folders are looked through this often even when the system reports no change: some file systems never do.
const RESCAN: Duration = Duration::from_secs(5);

/// Keeps what serves in step with what lies on disk.
pub struct Reloader {
    live: Arc<Live>,
    runtime: Runtime,
    metrics: Arc<Metrics>,
    config_file: Option<PathBuf>,
    files: Files,
    events: Receiver<Event>,
    /// Handed to every configured plugin.
    watcher: Watcher,
    /// Stops the system's notifications when it is dropped.
    _notifications: Option<watch::Notifications>,
}

impl Reloader {
    /// Until nobody can send events any more.
    pub async fn run(mut self) {
        loop {
            let event = tokio::time::timeout(RESCAN, self.events.recv()).await;
            match event {
                Ok(None) => return,
                Ok(Some(Event::Failing(plugin))) => self.roll_back(&plugin).await,
                Ok(Some(Event::Disk)) => {
                    self.settle().await;
                    self.follow_disk().await;
                }
                Err(_) => self.follow_disk().await,
            }
        }
    }

    /// Waits until the disk has been quiet for a while: editors and copies write in several steps.
    async fn settle(&mut self) {
        let quiet = self.live.current().config.plugins.debounce;
        let deadline = tokio::time::Instant::now() + quiet * 10;
        while tokio::time::Instant::now() < deadline {
            match tokio::time::timeout(quiet, self.events.recv()).await {
                Ok(Some(Event::Disk)) => {}
                Ok(Some(Event::Failing(plugin))) => self.roll_back(&plugin).await,
                Ok(None) | Err(_) => return,
            }
        }
    }

    /// Plugins first, so that a configuration may name what came along with it; removals last, so that a plugin that moved
    /// to another file is never missing.
    async fn follow_disk(&mut self) {
        loop {
            let generation = self.live.current().generation;
            for change in self.files.changes(self.config_file.as_deref()) {
                match change {
                    Change::Written(file) => self.take_plugin(file).await,
                    Change::Configuration(file) => self.take_config(file).await,
                    Change::Removed(file) => self.remove_plugin(file).await,
                }
            }
            if self.live.current().generation == generation {
                return;
            }
            self.files.look_again();
        }
    }

    async fn take_plugin(&mut self, file: PathBuf) {
        let Some(prepared) = self.files.prepare(&file, &self.runtime, self.next_generation()).await else { return };
        let plugin = match prepared {
            Ok(plugin) => Arc::new(plugin),
            Err(reason) => return self.refuse(file, reason),
        };
        if let Some(other) = self.files.clash(&file, &plugin) {
            let reason =
                format!("{plugin:?} is already loaded from {}; give this file another version", other.display());
            return self.does_not_fit(file, reason);
        }
        let snapshot = self.build(None, self.files.plugins_with(&file, &plugin)).await;
        let mut added = self.added_troubles(&snapshot);
        added.extend(redirected(&self.live.current(), &snapshot));
        if !added.is_empty() {
            return self.does_not_fit(file, sentences(&added));
        }
        tracing::info!(?plugin, file = %file.display(), digest = &plugin.digest[..12], "plugin loaded");
        self.files.replace(&file, plugin);
        self.accept(&file, snapshot);
    }

    async fn remove_plugin(&mut self, file: PathBuf) {
        let Some(gone) = self.files.remove(&file) else {
            self.live.accept(&file);
            return;
        };
        let snapshot = self.build(None, self.files.plugins()).await;
        tracing::warn!(plugin = ?gone, file = %file.display(), "plugin removed");
        for trouble in self.added_troubles(&snapshot) {
            tracing::error!("{trouble}");
        }
        self.accept(&file, snapshot);
    }

    async fn take_config(&mut self, file: PathBuf) {
        let loaded = match config::load(&file) {
            Ok(loaded) => loaded,
            Err(error) => return self.refuse(file, error.to_string()),
        };
        let before = self.live.current().config.clone();
        for what in needs_restart(&before, &loaded.config) {
            tracing::warn!("a change of {what} takes effect after a restart");
        }
        for warning in &loaded.warnings {
            tracing::warn!("{warning}");
        }
        let snapshot = self.build(Some(Arc::new(loaded.config)), self.files.plugins()).await;
        let added = self.added_troubles(&snapshot);
        if !added.is_empty() {
            return self.does_not_fit(file, sentences(&added));
        }
        tracing::info!(file = %file.display(), "configuration loaded");
        self.accept(&file, snapshot);
    }

    /// Puts the last version that worked back in the place of one that keeps failing.
    async fn roll_back(&mut self, failing: &Arc<Plugin>) {
        let Some((file, previous)) = self.files.take_previous(failing) else { return };
        let snapshot = self.build(None, self.files.plugins_with(&file, &previous)).await;
        let reason = format!("{failing:?} kept failing and was taken out; {previous:?} serves again");
        tracing::error!(file = %file.display(), "{reason}");
        self.files.put_back(&file, previous);
        self.live.swap(snapshot);
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

    /// Troubles in places that have none now: a change may leave things as bad as they are, but not make them worse.
    fn added_troubles(&self, next: &Snapshot) -> Vec<Trouble> {
        let current = self.live.current();
        let known: BTreeSet<&str> = current.troubles.iter().map(|trouble| trouble.path.as_str()).collect();
        next.troubles.iter().filter(|trouble| !known.contains(trouble.path.as_str())).cloned().collect()
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

    fn accept(&self, file: &std::path::Path, snapshot: Snapshot) {
        self.live.swap(snapshot);
        self.live.accept(file);
        self.metrics.reload(ReloadOutcome::Swapped);
    }
}

/// Providers whose keys another version of their plugin would send to another place: where the operator named no place,
/// the plugin did, and a file dropped into a folder must not be enough to carry keys away.
fn redirected(current: &Snapshot, next: &Snapshot) -> Vec<Trouble> {
    next.providers()
        .filter(|target| !target.config.keys.is_empty())
        .filter_map(|target| {
            let before = current.provider(&target.config.name)?.ready.as_ref().ok()?.base_url.as_ref()?;
            let after = target.ready.as_ref().ok()?.base_url.as_ref()?;
            let moved = before.scheme() != after.scheme() || before.authority() != after.authority();
            moved.then(|| Trouble {
                path: format!("providers.{}", target.config.name),
                message: format!(
                    "its keys would go to {after} instead of {before}; if that is meant, write the new address as \
                     network_config.base_url"
                ),
            })
        })
        .collect()
}

fn sentences(troubles: &[Trouble]) -> String {
    troubles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// What a running gateway cannot change.
fn needs_restart(before: &Config, after: &Config) -> Vec<&'static str> {
    let changed = [
        ("listen", before.listen != after.listen),
        ("plugins", before.plugins != after.plugins),
        ("log", before.log != after.log),
        ("limits.connections", before.limits.connections != after.limits.connections),
    ];
    changed.into_iter().filter_map(|(what, changed)| changed.then_some(what)).collect()
}
