//! The system's word that something changed on disk. Notify lives here and nowhere else.

use super::Event;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use tokio::sync::mpsc::Sender;

/// Notifications end when it is dropped.
pub struct Notifications {
    _watcher: RecommendedWatcher,
}

/// Watches folders, not files: editors and copies replace a file, and a watch on the old one would see nothing more.
pub fn watch(plugins: &Path, config_file: Option<&Path>, events: Sender<Event>) -> Option<Notifications> {
    let config_name = config_file.and_then(Path::file_name).map(OsStr::to_owned);
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if event.as_ref().map_or(true, |event| concerns_us(event, config_name.as_deref())) {
            // A full queue holds a wake-up already.
            let _ = events.try_send(Event::Disk);
        }
    });
    let mut watcher = match watcher {
        Ok(watcher) => watcher,
        Err(error) => {
            tracing::warn!(%error, "the system reports no changes; folders are looked through every few seconds");
            return None;
        }
    };
    for folder in std::iter::once(plugins).chain(config_file.and_then(Path::parent).map(or_here)) {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "the system reports no changes here; it is looked through every few seconds");
        }
    }
    Some(Notifications { _watcher: watcher })
}

/// Others may write to the same folders all the time. Kubernetes exchanges a mounted configuration by moving `..data`.
fn concerns_us(event: &notify::Event, config_name: Option<&OsStr>) -> bool {
    let is_ours = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "wasm")
            || path.file_name().is_some_and(|name| Some(name) == config_name || name == "..data")
    };
    !matches!(event.kind, EventKind::Access(_)) && (event.need_rescan() || event.paths.iter().any(is_ours))
}

/// The folder of a file that was named without one.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}
