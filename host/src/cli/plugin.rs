//! `plugway plugin …`

mod build;
mod embedded;
mod new;

pub use build::build;
pub use new::{Kind, Language, new};

use super::{Exit, small_runtime, usual_plugin_folders};
use crate::config;
use crate::plugins::{self, Plugin};
use crate::reload;
use crate::telemetry::start_log;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Loads a plugin as a gateway would, and says why where it cannot.
fn load(file: &Path) -> Result<Plugin, String> {
    let config = config::default_without_file(&usual_plugin_folders());
    // Where a plugin fails, the reason is what it writes there.
    start_log(&config.log);
    let runtime = reload::runtime(&config.at_start().plugins).map_err(|error| error.to_string())?;
    let wasm = plugins::read(file).map_err(|error| error.to_string())?;
    small_runtime()
        .map_err(|error| error.to_string())?
        .block_on(runtime.load(file, &wasm, 0))
        .map_err(|error| error.to_string())
}

pub fn check(files: &[PathBuf]) -> Exit {
    let mut exit = Exit::Fine;
    for file in files {
        match load(file) {
            Ok(plugin) => println!("{}: {plugin:?} would be loaded", file.display()),
            Err(reason) => {
                println!("{}: {reason}", file.display());
                exit = Exit::Refused;
            }
        }
    }
    exit
}

pub fn inspect(files: &[PathBuf], as_json: bool) -> Exit {
    let mut exit = Exit::Fine;
    for file in files {
        match load(file) {
            Ok(plugin) if as_json => println!("{}", in_json(&plugin)),
            Ok(plugin) => print!("{}", in_words(&plugin)),
            Err(reason) => {
                eprintln!("{}: {reason}", file.display());
                exit = Exit::Refused;
            }
        }
    }
    exit
}

fn in_json(plugin: &Plugin) -> serde_json::Value {
    let schema: serde_json::Value = serde_json::from_str(&plugin.settings_schema).unwrap_or_default();
    json!({
        "name": plugin.name,
        "version": plugin.version.to_string(),
        "description": plugin.description,
        "kinds": plugin.shape.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "contract_versions": plugin.shape.contracts,
        "imports": plugin.shape.imports,
        "size_bytes": plugin.size_bytes,
        "digest": format!("sha256:{}", plugin.digest),
        "settings_schema": schema,
    })
}

fn in_words(plugin: &Plugin) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let kinds = list(plugin.shape.kinds.iter().map(ToString::to_string).collect());
    let contracts = list(plugin.shape.contracts.iter().cloned().collect());
    let mut words = format!(
        "{} {}\n  {}\n  kinds      {kinds}\n  contracts  {contracts}\n  size       {} bytes\n  digest     sha256:{}\n  imports\n",
        plugin.name, plugin.version, plugin.description, plugin.size_bytes, plugin.digest,
    );
    for import in &plugin.shape.imports {
        words.push_str(&format!("    {import}\n"));
    }
    words
}
