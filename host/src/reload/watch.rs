//! The system's word that something changed on disk. Notify lives here and nowhere else.

use super::Event;
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use std::path::Path;
use tokio::sync::mpsc::Sender;

/// Notifications end when it is dropped.
pub struct Notifications {
    _watcher: RecommendedWatcher,
}

/// Watches folders, not files: editors and copies replace a file, and a watch on the old one would see nothing more.
pub fn watch<'a>(folders: impl Iterator<Item = &'a Path>, events: Sender<Event>) -> Option<Notifications> {
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let reading = matches!(&event, Ok(event) if matches!(event.kind, EventKind::Access(_)));
        if !reading {
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
    for folder in folders {
        if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
            let folder = folder.display();
            tracing::warn!(%folder, %error, "the system reports no changes here; it is looked through every few seconds");
        }
    }
    Some(Notifications { _watcher: watcher })
}
