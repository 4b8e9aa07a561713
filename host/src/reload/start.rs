//! The first generation.

use super::files::{FileChange, Files};
use super::{Changes, Event, Reloader, watch};
use crate::config::{Config, Loaded, PluginsAtStart, Source};
use crate::plugins::{Bounds, CompileLimits, EngineError, Failing, Recorder, Runtime, Watcher};
use crate::snapshot::{Ingredients, Live, Snapshot};
use crate::store::{self, Store};
use crate::telemetry::Metrics;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Events that may wait. More say nothing more.
const QUEUE: usize = 64;

/// A first generation, and the one who will make the next ones.
pub struct Started {
    pub live: Arc<Live>,
    pub reloader: Reloader,
    /// Where the admin API asks for changes.
    pub changes: Changes,
}

/// Loads everything. A plugin that cannot be loaded harms nobody but those who need it.
pub async fn start(config: Config, source: Option<Source>, metrics: Arc<Metrics>) -> Result<Started, EngineError> {
    let (sender, events) = mpsc::channel(QUEUE);
    let watcher: Watcher = {
        let sender = sender.clone();
        // A full queue means that the loop is awake; the plugin will fail again.
        Arc::new(move |failing: Failing| _ = sender.try_send(Event::Failing(failing)))
    };
    let config_file = source.as_ref().map(|source| source.file.as_path());
    // Watching begins before the first look, so that nothing falls between the two.
    let notifications = watch::watch(&config.plugins.directory, config_file, sender);
    let started_with = config.at_start();
    let runtime = recording(runtime(&started_with.plugins)?, &started_with.plugins);
    let (store, stored) = Store::open(started_with.store.clone());
    let from_file = Arc::new(config);
    let Loaded { config, warnings } = from_file.with_stored(&stored);
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    let First { runtime, files, snapshot, refused } = first(runtime, config, config_file, watcher.clone()).await;
    for trouble in &snapshot.troubles {
        tracing::error!("{trouble}");
    }
    let live = Arc::new(Live::new(snapshot));
    for (file, reason) in refused {
        tracing::error!(file = %file.display(), "refused: {reason}");
        live.refuse(file, reason);
    }
    let (changes, asked) = Changes::new(QUEUE);
    let reloader = Reloader {
        live: live.clone(),
        runtime,
        metrics,
        source,
        started_with,
        from_file,
        stored,
        store,
        files,
        events,
        changes: asked,
        watcher,
        _notifications: notifications,
    };
    Ok(Started { live, reloader, changes })
}

/// What `check` looks at.
pub struct Looked {
    pub snapshot: Snapshot,
    /// Files that were refused, and why.
    pub refused: Vec<(PathBuf, String)>,
    /// About what is stored.
    pub warnings: Vec<String>,
}

/// The first generation and nothing else.
pub async fn look(config: Config) -> Result<Looked, EngineError> {
    let at_start = config.at_start();
    let Loaded { config, warnings } = config.with_stored(&store::look(&at_start.store));
    let runtime = runtime(&at_start.plugins)?;
    let First { snapshot, refused, .. } = first(runtime, config, None, Arc::new(|_: Failing| {})).await;
    Ok(Looked { snapshot, refused, warnings })
}

struct First {
    runtime: Runtime,
    files: Files,
    snapshot: Snapshot,
    /// And why.
    refused: Vec<(PathBuf, String)>,
}

async fn first(runtime: Runtime, config: Config, config_file: Option<&Path>, watcher: Watcher) -> First {
    let mut files = Files::new(config.plugins.directory.clone(), config_file, &config.reads);
    let refused = load_all(&mut files, &runtime).await;
    let snapshot = Snapshot::build(Ingredients {
        generation: 1,
        config: Arc::new(config),
        plugins: files.plugins(),
        previous: None,
        watcher,
    })
    .await;
    First { runtime, files, snapshot, refused }
}

/// The runtime that a configuration asks for.
pub fn runtime(plugins: &PluginsAtStart) -> Result<Runtime, EngineError> {
    runtime_with(plugins, bounds(plugins))
}

/// What it lets a call cost.
pub fn bounds(plugins: &PluginsAtStart) -> Bounds {
    Bounds {
        call_timeout: plugins.call_timeout,
        memory_limit_bytes: plugins.memory_limit_bytes,
        answer_bytes: plugins.answer_bytes,
    }
}

/// The same with other bounds.
pub fn runtime_with(plugins: &PluginsAtStart, bounds: Bounds) -> Result<Runtime, EngineError> {
    let compile = CompileLimits { time: plugins.compile_timeout, memory_bytes: plugins.compile_memory_bytes };
    Runtime::new(bounds, compile, &plugins.cache_directory)
}

/// Whoever asked for records and cannot have them should know it, and be served all the same.
fn recording(runtime: Runtime, plugins: &PluginsAtStart) -> Runtime {
    let Some(failed_calls) = &plugins.record_failed_calls else { return runtime };
    let folder = failed_calls.directory.display();
    match Recorder::start(failed_calls) {
        Ok(recorder) => {
            tracing::warn!(%folder, "calls into plugins that fail are written down, with what users wrote in them");
            runtime.recording(Arc::new(recorder))
        }
        Err(error) => {
            tracing::error!(%folder, %error, "failed calls cannot be written down here, and are not");
            runtime
        }
    }
}

/// Everything in the folder; what was refused, and why.
async fn load_all(files: &mut Files, runtime: &Runtime) -> Vec<(PathBuf, String)> {
    let mut refused = Vec::new();
    for change in files.changes(None) {
        let (FileChange::Written(file) | FileChange::ScriptWritten(file)) = change else { continue };
        match files.load(&file, runtime, 1).await {
            Some(Ok(plugin)) => _ = files.replace(&file, plugin),
            Some(Err(reason)) => refused.push((file, reason)),
            None => {}
        }
    }
    refused
}
