//! `plugway plugin dev`: a gateway that follows what is written in an editor.

use super::build::build;
use super::load::{Engine, is_script};
use crate::cli::{Exit, config_file, serve, usual_plugin_folders};
use crate::config::{self, Config, Source};
use crate::plugins::{is_component, read as read_plugin};
use crate::reload::watch_tree;
use crate::telemetry::start_log;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;
use tracing::level_filters::LevelFilter;

/// Build a plugin whenever it is saved, and serve with it.
///
/// Runs a gateway in the foreground and copies the component, or the script, into its plugins folder after each build that succeeds; what
/// fails is shown, and the version before goes on serving. The log shows each reload, what the plugin writes, and each call
/// into a plugin with the time it took.
#[derive(clap::Args)]
pub struct Dev {
    /// The folder of the plugin's source, a component that something else builds, or a script.
    #[arg(value_name = "FOLDER|FILE")]
    plugin: PathBuf,
    /// The gateway's configuration. Default: plugway.yaml in this folder; without one, only `echo` can be asked.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Where to listen, in place of the configuration's `listen`.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
}

/// How long a folder must be quiet before it is built: editors write several files in several steps.
const QUIET: Duration = Duration::from_millis(200);

pub fn dev(arguments: Dev) -> Exit {
    let Dev { plugin, config, listen } = arguments;
    if !plugin.exists() {
        eprintln!("plugway: {}: there is no such file or folder", plugin.display());
        return Exit::Usage;
    }
    let listen = match serve::listen_address(listen.as_deref()) {
        Ok(listen) => listen,
        Err(exit) => return exit,
    };
    let source = config_file(config).map(|file| Source { file, listen });
    let mut config = match read(source.as_ref(), &plugin) {
        Ok(config) => config,
        Err(error) => {
            eprintln!("plugway: {error}");
            return Exit::Config;
        }
    };
    config.listen = listen.unwrap_or(config.listen);
    config.log.level = config.log.level.max(LevelFilter::DEBUG);
    start_log(&config.log);
    let following = follow(plugin, config.plugins.directory.clone());
    if let Err(error) = following {
        eprintln!("plugway: {error}");
        return Exit::Unavailable;
    }
    serve::serve_with(config, source)
}

fn read(source: Option<&Source>, plugin: &Path) -> Result<Config, String> {
    if let Some(source) = source {
        return source.load().map(|loaded| loaded.config).map_err(|error| error.to_string());
    }
    // Not among the usual plugins: what is tried out is not installed.
    let usual = config::default_without_file(&usual_plugin_folders());
    let name = plugin.file_stem().unwrap_or_default().to_string_lossy();
    let folder = std::env::temp_dir().join(format!("plugway-dev-{}-{name}", std::process::id()));
    let copied = fs::create_dir_all(&folder).and_then(|()| {
        for entry in fs::read_dir(&usual.plugins.directory)?.flatten() {
            let from = entry.path();
            if is_component(&from) {
                fs::copy(&from, folder.join(entry.file_name()))?;
            }
        }
        Ok(())
    });
    copied.map_err(|error| format!("{}: {error}", usual.plugins.directory.display()))?;
    println!("no configuration: only `echo` can be asked; name one with --config whose providers use the plugin");
    let mut config = usual;
    config.plugins.directory = folder;
    Ok(config)
}

/// Builds once, and then in a thread of its own whenever something is saved.
fn follow(plugin: PathBuf, plugins: PathBuf) -> Result<(), String> {
    let (saved, saves) = sync_channel(1);
    // A wake-up that waits already is enough.
    let notifications = watch_tree(&plugin, move || _ = saved.try_send(()))?;
    bring(&plugin, &plugins);
    let following = std::thread::Builder::new().name("dev-build".into()).spawn(move || {
        let _notifications = notifications;
        while settled(&saves) {
            bring(&plugin, &plugins);
        }
    });
    following.map(|_| ()).map_err(|error: io::Error| error.to_string())
}

/// Waits for a save and for the quiet after it; false when there will be none.
fn settled(saves: &Receiver<()>) -> bool {
    if saves.recv().is_err() {
        return false;
    }
    loop {
        match saves.recv_timeout(QUIET) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Brings the component into the gateway's folder, or says why not.
fn bring(plugin: &Path, plugins: &Path) {
    if plugin.is_dir() {
        println!("building {}", plugin.display());
        if build(&[plugin.to_owned()], plugins) != Exit::Fine {
            println!("not built; what served before goes on serving");
        }
        return;
    }
    match install(plugin, plugins) {
        Ok(name) => println!("{name} from {}", plugin.display()),
        Err(reason) => println!("{}: {reason}\nwhat served before goes on serving", plugin.display()),
    }
}

fn install(plugin: &Path, plugins: &Path) -> Result<String, String> {
    let bytes = read_plugin(plugin).map_err(|error| error.to_string())?;
    let (name, file) = match is_script(plugin, &bytes) {
        // The gateway has the engine, and says what it thinks of the script.
        true => {
            let file = plugin.file_name().unwrap_or_default().to_string_lossy().into_owned();
            (file.clone(), file)
        }
        false => {
            let loaded = Engine::default().load(plugin)?;
            (format!("{loaded:?}"), format!("{}.wasm", loaded.name))
        }
    };
    let (target, unfinished) = (plugins.join(&file), plugins.join(format!(".{file}.unfinished")));
    if target.canonicalize().is_ok_and(|target| plugin.canonicalize().is_ok_and(|plugin| plugin == target)) {
        return Ok(name);
    }
    fs::create_dir_all(plugins)
        .and_then(|()| fs::write(&unfinished, &bytes))
        .and_then(|()| fs::rename(&unfinished, &target))
        .map_err(|error| format!("{}: {error}", plugins.display()))?;
    Ok(name)
}
