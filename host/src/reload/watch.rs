//! The system's word that something changed on disk. Notify lives here and nowhere else.

use super::Event;
use super::files::is_surely_a_plugin;
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

/// Watches all of a source folder but what building it writes, or one file.
pub fn watch_tree(place: &Path, changed: impl Fn() + Send + 'static) -> Result<Notifications, String> {
    let in_words = |error: &dyn std::fmt::Display| format!("{}: {error}", place.display());
    // Notify tells absolute paths.
    let place_told = place.canonicalize().map_err(|error| in_words(&error))?;
    let is_file = place_told.is_file();
    let folder = if is_file { place_told.parent().unwrap_or(&place_told).to_owned() } else { place_told.clone() };
    let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return changed() };
        let is_source = |path: &PathBuf| match is_file {
            true => *path == place_told,
            false => path.strip_prefix(&place_told).is_ok_and(|path| !path.iter().any(is_built)),
        };
        if !matches!(event.kind, EventKind::Access(_)) && event.paths.iter().any(is_source) {
            changed();
        }
    });
    let mut watcher = watcher.map_err(|error| in_words(&error))?;
    let mode = if is_file { RecursiveMode::NonRecursive } else { RecursiveMode::Recursive };
    watcher.watch(&folder, mode).map_err(|error| in_words(&error))?;
    Ok(Notifications { _watcher: watcher })
}

/// What builds and editors write beside sources.
fn is_built(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with('.') || name.ends_with('~') || ["target", "node_modules", "dist", "Cargo.lock"].contains(&&*name)
}

/// Others may write to the same folders all the time. What only an engine knows to be a script is found by looking through
/// the folder. Kubernetes exchanges a mounted configuration by moving `..data`.
fn concerns_us(event: &notify::Event, config_name: Option<&OsStr>) -> bool {
    let is_ours = |path: &PathBuf| {
        is_surely_a_plugin(path) || path.file_name().is_some_and(|name| Some(name) == config_name || name == "..data")
    };
    !matches!(event.kind, EventKind::Access(_)) && (event.need_rescan() || event.paths.iter().any(is_ours))
}

/// The folder of a file that was named without one.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_as_a_plugin_concerns_us_at_once() {
        let written = |name: &str| notify::Event::new(EventKind::Any).add_path(Path::new("plugins").join(name));
        for (name, ours) in [("acme.wasm", true), ("acme.js", true), ("acme.js.part", false), ("notes.txt", false)] {
            assert_eq!(concerns_us(&written(name), None), ours, "{name}");
        }
    }
}
