//! What the operator wants, read from a YAML file, of which JSON is a part.
//!
//! There are two types: as typed (`typed.rs`, where unknown keys are refused and each field says what it is for) and
//! as meant (`meant.rs`, which cannot hold a wrong value). Between them, `reader.rs` notes all mistakes rather than
//! the first one.

mod at_start;
mod elsewhere;
mod meaning;
mod meant;
mod mistakes;
mod models;
mod outgoing;
mod provider;
mod proxy;
mod reader;
mod routing;
mod scalars;
mod stored;
#[cfg(test)]
mod tests;
mod typed;
mod yaml;

pub use at_start::{AtStart, PluginsAtStart};
pub use meant::*;
pub use mistakes::{LoadError, Mistake, Mistakes};
pub use models::{Model, Prices};
pub use outgoing::base_url;
pub use outgoing::{is_host_controlled, may_hold_secret};
pub use proxy::{Login, Proxy, ProxyProtocol, ProxyServer};
pub use stored::{Block, PROVIDER_NAME, Secrets, Stored, keep_secrets, read_block, submitted};

use mistakes::At;
use reader::{Reader, Typed};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use typed::{File, ListedModelSection, ModelEntry, ProviderSection};

/// A configuration that holds, and what is doubtful in it.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub warnings: Vec<String>,
}

/// A configuration file, and what the command line says over it.
#[derive(Clone, Debug)]
pub struct Source {
    pub file: PathBuf,
    pub listen: Option<SocketAddr>,
}

impl Source {
    pub fn load(&self) -> Result<Loaded, LoadError> {
        let mut loaded = load(&self.file)?;
        loaded.config.listen = self.listen.unwrap_or(loaded.config.listen);
        Ok(loaded)
    }
}

/// Reads a configuration file with the environment of this process.
pub fn load(path: &Path) -> Result<Loaded, LoadError> {
    let text =
        std::fs::read_to_string(path).map_err(|reason| LoadError::Unreadable { path: path.to_owned(), reason })?;
    let base = path.parent().unwrap_or(Path::new(""));
    let mut reader = Reader::new(base, &environment);
    let config = read(&text, &mut reader);
    let unread = reader.unread;
    match reader.finish() {
        Ok(warnings) => Ok(Loaded { config, warnings }),
        Err(mistakes) => Err(LoadError::Wrong { path: path.to_owned(), mistakes, reads: config.reads, unread }),
    }
}

/// Reads a configuration. `base` is the folder that relative paths begin in.
#[cfg(test)]
fn parse(text: &str, base: &Path, env: &dyn Fn(&str) -> Option<String>) -> Result<Loaded, Mistakes> {
    let mut reader = Reader::new(base, env);
    let config = read(text, &mut reader);
    Ok(Loaded { config, warnings: reader.finish()? })
}

/// Where mistakes were noted, what is returned is only good for finding more of them.
fn read(text: &str, reader: &mut Reader<'_>) -> Config {
    let yaml::Document { mut value, lines, fault } = yaml::read(text);
    reader.lines = lines;
    if let Some(fault) = fault {
        reader.fault(fault);
    }
    // Editors want to know the file's schema; there is nothing in it for us.
    if let Some(file) = value.as_object_mut() {
        file.remove("$schema");
    }
    let file = File::read(&value, &At::default(), reader).unwrap_or_default();
    let mut config = meaning::config(file, reader);
    config.shown = stored::shown(value, reader);
    config
}

/// An address to listen on, as the configuration's `listen` takes it.
pub fn listen_address(text: &str) -> Result<SocketAddr, String> {
    let scalars::Listen(address) = text.parse().map_err(|()| format!("must be {}", scalars::Listen::shape()))?;
    Ok(address)
}

/// What is served when nobody configured anything: a provider that answers by itself, so that the first request works
/// without an account and without a network. Plugins come from the first candidate that is a folder.
pub fn default_without_file(plugins_directories: &[PathBuf]) -> Config {
    const ECHO: &str = "echo";
    let mut reader = Reader::new(Path::new(""), &environment);
    let model = ModelEntry(ListedModelSection { name: Some(ECHO.to_owned()), ..ListedModelSection::default() });
    let echo = ProviderSection { models: Some(vec![model]), ..ProviderSection::default() };
    let directory = plugins_directories.iter().find(|path| path.is_dir()).or(plugins_directories.first());
    let plugins = typed::PluginsSection {
        directory: directory.cloned().map(scalars::Folder),
        ..typed::PluginsSection::default()
    };
    let store = typed::StoreSection {
        path: Some(scalars::FilePath(meaning::store_without_file(&environment))),
        ..typed::StoreSection::default()
    };
    let providers = Some([(ECHO.to_owned(), echo)].into());
    let mut config =
        meaning::config(File { providers, plugins: Some(plugins), store: Some(store), ..File::default() }, &mut reader);
    let block = serde_json::Map::from_iter([("models".to_owned(), serde_json::json!([ECHO]))]);
    config.shown.insert(ECHO.to_owned(), Shown { block: Some(block), hides_stored: false });
    config
}

fn environment(name: &str) -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "this is the place that reads it")]
    std::env::var(name).ok()
}
