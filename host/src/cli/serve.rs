//! `plugway serve`

mod open_files;

use super::{Exit, config_file, small_runtime, usual_plugin_folders};
use crate::config::{self, AtStart, Config, Source};
use crate::reload::{self, Reloader, Started};
use crate::server::{Server, Shared, is_loopback};
use crate::snapshot::Live;
use crate::telemetry::{AccessLog, Metrics, start_log};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

pub fn serve(named: Option<PathBuf>, listen: Option<&str>) -> Exit {
    let listen = match listen_address(listen) {
        Ok(listen) => listen,
        Err(exit) => return exit,
    };
    let source = config_file(named).map(|file| Source { file, listen });
    match read(source.as_ref(), listen) {
        Ok(config) => serve_with(config, source),
        Err(exit) => exit,
    }
}

/// What `--listen` says, its mistake told on standard error.
pub fn listen_address(listen: Option<&str>) -> Result<Option<SocketAddr>, Exit> {
    let Some(listen) = listen else { return Ok(None) };
    config::listen_address(listen).map(Some).map_err(|message| {
        eprintln!("plugway: --listen {listen}: {message}");
        Exit::Usage
    })
}

/// Serves with a configuration that has been read, once the log has been started; `source` is watched for the next one.
pub fn serve_with(config: Config, source: Option<Source>) -> Exit {
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return unavailable(&error),
    };
    runtime.block_on(run(config, source)).unwrap_or_else(|error| unavailable(error.as_ref()))
}

/// The configuration, its mistakes told on standard error.
fn read(source: Option<&Source>, listen: Option<SocketAddr>) -> Result<Config, Exit> {
    let Some(source) = source else {
        let mut config = config::default_without_file(&usual_plugin_folders());
        config.listen = listen.unwrap_or(config.listen);
        start_log(&config.log);
        tracing::info!("no configuration: the provider `echo` answers by itself");
        return Ok(config);
    };
    let loaded = source.load().map_err(|error| {
        eprintln!("plugway: {error}");
        Exit::Config
    })?;
    start_log(&loaded.config.log);
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    Ok(loaded.config)
}

async fn run(config: Config, source: Option<Source>) -> Result<Exit, Box<dyn std::error::Error>> {
    let metrics = Arc::new(Metrics::default());
    let at_start = config.at_start();
    let AtStart { log, connections, .. } = &at_start;
    open_files::allow(*connections);
    let access_log = if log.access { Some(AccessLog::start(log.format)?) } else { None };
    let Started { live, reloader, changes } = reload::start(config, source.clone(), metrics.clone()).await?;
    let shared = Shared { live: live.clone(), metrics, access_log, changes };
    let server = Server::start(at_start.clone(), &shared).await?;
    announce(&live, &at_start, source.as_ref(), &server)?;
    keep_reloading(reloader)?;
    server.run(asked_to_stop()?).await;
    if let Some(log) = shared.access_log {
        log.close().await;
    }
    tracing::info!("stopped");
    Ok(Exit::Fine)
}

/// In a thread of its own: compiling a plugin takes a second of computing, which no request should wait for.
fn keep_reloading(reloader: Reloader) -> std::io::Result<()> {
    let runtime = small_runtime()?;
    std::thread::Builder::new().name("reload".into()).spawn(move || runtime.block_on(reloader.run()))?;
    Ok(())
}

/// Where it listens, what it loaded, what it watches.
fn announce(live: &Live, config: &AtStart, source: Option<&Source>, server: &Server) -> std::io::Result<()> {
    let snapshot = live.current();
    for plugin in &snapshot.plugins {
        let kinds: Vec<String> = plugin.shape.kinds.iter().map(ToString::to_string).collect();
        tracing::info!(kinds = kinds.join(" "), digest = &plugin.digest[..12], "plugin {plugin:?}");
    }
    for target in snapshot.providers() {
        let provider = &target.config.name;
        match &target.ready {
            Ok(ready) => tracing::info!("provider {provider} is served by {:?}", ready.plugin.plugin),
            Err(reason) => tracing::error!("provider {provider} cannot be used: {reason}"),
        }
    }
    tracing::info!("watching {} for plugins", config.plugins.directory.display());
    if let Some(source) = source {
        tracing::info!("watching {} for changes of the configuration", source.file.display());
    }
    announce_admin(snapshot.config.admin.key.is_some(), server.admin_address()?);
    tracing::info!("listening on http://{}", server.address()?);
    Ok(())
}

fn announce_admin(has_key: bool, address: SocketAddr) {
    match (has_key, is_loopback(address.ip())) {
        (true, _) => tracing::info!("the admin API is at http://{address}/api, for whoever has its key"),
        (false, true) => tracing::info!("the admin API is at http://{address}/api, for programs on this machine"),
        (false, false) => tracing::info!(
            "the admin API is closed, as other machines reach {address}: set `admin.key`, or `admin.listen` to an \
             address of this machine alone"
        ),
    }
}

/// Ready when the process is told to end.
fn asked_to_stop() -> std::io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

fn unavailable(error: &dyn std::error::Error) -> Exit {
    eprintln!("plugway: {error}");
    Exit::Unavailable
}
