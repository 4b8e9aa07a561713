//! The first generation.

use super::files::{Change, Files};
use super::{Event, Reloader, watch};
use crate::config::Config;
use crate::plugins::{Bounds, EngineError, Plugin, Runtime, Watcher};
use crate::snapshot::{Ingredients, Live, Snapshot};
use crate::telemetry::Metrics;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events that may wait. More say nothing more.
const QUEUE: usize = 64;

/// A first generation, and the one who will make the next ones.
pub struct Started {
    pub live: Arc<Live>,
    pub reloader: Reloader,
}

/// Loads everything. A plugin that cannot be loaded harms nobody but those who need it.
pub async fn start(
    config: Config,
    config_file: Option<PathBuf>,
    metrics: Arc<Metrics>,
) -> Result<Started, EngineError> {
    let runtime = runtime(&config)?;
    let (sender, events) = mpsc::channel(QUEUE);
    let watcher: Watcher = {
        let sender = sender.clone();
        // A full queue means that the loop is awake; the plugin will fail again.
        Arc::new(move |plugin: &Arc<Plugin>| _ = sender.try_send(Event::Failing(plugin.clone())))
    };
    // Watching begins before the first look, so that nothing falls between the two.
    let notifications = watch::watch(&config.plugins.directory, config_file.as_deref(), sender);

    let mut files = Files::new(config.plugins.directory.clone(), config_file.as_deref());
    let refused = load_all(&mut files, &runtime).await;
    let snapshot = Snapshot::build(Ingredients {
        generation: 1,
        config: Arc::new(config),
        plugins: files.plugins(),
        previous: None,
        watcher: watcher.clone(),
    })
    .await;
    for trouble in &snapshot.troubles {
        tracing::error!("{trouble}");
    }
    let live = Arc::new(Live::new(snapshot));
    for (file, reason) in refused {
        tracing::error!(file = %file.display(), "refused: {reason}");
        live.refuse(file, reason);
    }
    let reloader = Reloader {
        live: live.clone(),
        runtime,
        metrics,
        config_file,
        files,
        events,
        watcher,
        _notifications: notifications,
    };
    Ok(Started { live, reloader })
}

/// The first generation and nothing else: what `check` looks at. Gives the refused files along.
pub async fn look(config: Config) -> Result<(Snapshot, Vec<(PathBuf, String)>), EngineError> {
    let runtime = runtime(&config)?;
    let mut files = Files::new(config.plugins.directory.clone(), None);
    let refused = load_all(&mut files, &runtime).await;
    let snapshot = Snapshot::build(Ingredients {
        generation: 1,
        config: Arc::new(config),
        plugins: files.plugins(),
        previous: None,
        watcher: Arc::new(|_: &Arc<Plugin>| {}),
    })
    .await;
    Ok((snapshot, refused))
}

/// The runtime that a configuration asks for.
pub fn runtime(config: &Config) -> Result<Runtime, EngineError> {
    let bounds = Bounds {
        call_timeout: config.plugins.call_timeout,
        memory_limit_bytes: config.plugins.memory_limit_bytes,
        // A guest may hand back a body and a half: what it was given, and what it made of it.
        answer_bytes: config.limits.body_bytes.saturating_mul(3) / 2,
    };
    Runtime::new(bounds, &config.plugins.cache_directory)
}

/// Everything in the folder; what was refused, and why.
async fn load_all(files: &mut Files, runtime: &Runtime) -> Vec<(PathBuf, String)> {
    let mut refused = Vec::new();
    for change in files.changes(None) {
        let Change::Written(file) = change else { continue };
        match files.prepare(&file, runtime, 1).await {
            Some(Ok(plugin)) => match files.clash(&file, &plugin) {
                Some(other) => {
                    let reason = format!("{plugin:?} is already loaded from {}", other.display());
                    refused.push((file, reason));
                }
                None => files.replace(&file, Arc::new(plugin)),
            },
            Some(Err(reason)) => refused.push((file, reason)),
            None => {}
        }
    }
    refused
}
