//! `plugway plugin …`

mod bench;
mod build;
mod cases;
mod check;
mod dev;
mod embedded;
mod inspect;
mod new;
mod replay;
mod test;

pub use bench::{Bench, bench};
pub use build::build;
pub use check::{Check, check};
pub use dev::{Dev, dev};
pub use inspect::inspect;
pub use new::{Kind, Language, new};
pub use replay::{Replay, replay};
pub use test::{Test, test};

use super::{Exit, small_runtime, usual_plugin_folders};
use crate::config;
use crate::plugins::{self, Plugin};
use crate::reload;
use crate::telemetry::start_log;
use std::path::{Path, PathBuf};

/// Loads a plugin as a gateway would, and says why where it cannot. What the plugin writes goes to standard error.
fn load(file: &Path) -> Result<Plugin, String> {
    let config = config::default_without_file(&usual_plugin_folders());
    start_log(&config.log);
    let runtime = reload::runtime(&config.at_start().plugins).map_err(|error| error.to_string())?;
    let wasm = plugins::read(file).map_err(|error| error.to_string())?;
    small_runtime()
        .map_err(|error| error.to_string())?
        .block_on(runtime.load(file, &wasm, 0))
        .map_err(|error| error.to_string())
}

/// The component that is meant: a file, or what is built from a folder.
fn built(place: &Path) -> Result<PathBuf, String> {
    if !place.is_dir() {
        return Ok(place.to_owned());
    }
    let out = std::env::temp_dir().join(format!("plugway-built-{}", std::process::id()));
    if build(&[place.to_owned()], &out) != Exit::Fine {
        return Err("it could not be built".to_owned());
    }
    let files = std::fs::read_dir(&out).map_err(|error| format!("{}: {error}", out.display()))?;
    let mut files = files.flatten().map(|file| file.path());
    let component = files.find(|file| file.extension().is_some_and(|extension| extension == "wasm"));
    component.ok_or_else(|| "building it made no component".to_owned())
}
