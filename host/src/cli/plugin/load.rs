//! What tools are given, loaded as a gateway would load it: a component, or a script with the engine that runs it.

use crate::cli::{small_runtime, usual_plugin_folders};
use crate::config;
use crate::plugins::{self, Plugin, Runtime, extension, is_component};
use crate::reload;
use crate::telemetry::start_log;
use std::path::{Path, PathBuf};

/// Where the engine of a script is.
#[derive(clap::Args, Default)]
pub struct Engine {
    /// What runs a script: an engine's component, or a folder that has one. Default: the script's own folder, then the
    /// plugins that came with this program.
    #[arg(long = "engine", value_name = "FILE|FOLDER")]
    place: Option<PathBuf>,
}

impl Engine {
    /// Loads a plugin, and says why where it cannot. What the plugin writes goes to standard error.
    pub fn load(&self, file: &Path) -> Result<Plugin, String> {
        let config = config::default_without_file(&usual_plugin_folders());
        start_log(&config.log);
        let runtime = reload::runtime(&config.at_start().plugins).map_err(|error| error.to_string())?;
        small_runtime().map_err(|error| error.to_string())?.block_on(self.load_into(&runtime, file))
    }

    /// The same with a runtime of its own kind.
    pub async fn load_into(&self, runtime: &Runtime, file: &Path) -> Result<Plugin, String> {
        let bytes = plugins::read(file).map_err(|error| error.to_string())?;
        let loaded = match is_script(file, &bytes) {
            true => {
                let engine = self.of(runtime, file).await?;
                runtime.load_script(&engine, file, &bytes, 0).await
            }
            false => runtime.load(file, &bytes, 0).await,
        };
        loaded.map_err(|error| error.to_string())
    }

    /// The newest in the first place that has one, as a gateway takes the newest in its folder.
    async fn of(&self, runtime: &Runtime, script: &Path) -> Result<Plugin, String> {
        let places = self.places(script);
        for place in &places {
            let mut engines = Vec::new();
            for file in components(place) {
                let Ok(wasm) = plugins::read(&file) else { continue };
                if plugins::is_script_engine(&wasm) {
                    let engine = runtime.load(&file, &wasm, 0).await;
                    engines.push(engine.map_err(|error| format!("{}: {error}", file.display()))?);
                }
            }
            let fit = engines.into_iter().filter(|engine| engine.runs(extension(script)));
            if let Some(newest) = fit.max_by(|one, other| one.version.cmp(&other.version)) {
                return Ok(newest);
            }
        }
        let places: Vec<String> = places.iter().map(|place| place.display().to_string()).collect();
        Err(format!(
            "this is no component, and no engine that runs .{} files was found in {}; name one with --engine (for \
             JavaScript `script.wasm`, which comes with the gateway)",
            extension(script),
            places.join(" or ")
        ))
    }

    fn places(&self, script: &Path) -> Vec<PathBuf> {
        match &self.place {
            Some(place) => vec![place.clone()],
            None => std::iter::once(folder_of(script).to_owned()).chain(usual_plugin_folders()).collect(),
        }
    }
}

/// Whether a file is meant as a script. Whatever is a component or is called so is none, and neither is what has no extension.
pub fn is_script(file: &Path, bytes: &[u8]) -> bool {
    !is_component(file) && !extension(file).is_empty() && !bytes.starts_with(b"\0asm")
}

/// The folder of a file that may be named without one.
pub fn folder_of(file: &Path) -> &Path {
    match file.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

fn components(place: &Path) -> Vec<PathBuf> {
    if !place.is_dir() {
        return vec![place.to_owned()];
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(place).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.retain(|file| is_component(file));
    files.sort();
    files
}
