//! Plugway in the lab: started with the configuration of a benchmark, several at once where they are compared.

use crate::lab::{Gateway, Lab, free_address, text};
use crate::process::Process;
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// How long Plugway waits for its folders to be quiet.
pub(crate) const DEBOUNCE: Duration = Duration::from_millis(100);

impl Lab {
    /// Plugway on these cores, or none where there is none yet.
    pub(crate) async fn plugway(&self, cores: &str) -> Result<Option<Gateway>> {
        self.plugway_with(cores, "plugway", self.a_provider_for_each_dialect()).await
    }

    /// The same without waiting until it listens.
    pub(crate) fn start_plugway(&self, cores: &str) -> Result<Option<Gateway>> {
        self.start_plugway_with(cores, "plugway", self.a_provider_for_each_dialect())
    }

    /// One of this name, with a configuration that says all but where it listens and where its files are.
    pub(crate) async fn plugway_with(&self, cores: &str, name: &str, config: Value) -> Result<Option<Gateway>> {
        let Some(mut gateway) = self.start_plugway_with(cores, name, config)? else { return Ok(None) };
        gateway.process.listens(gateway.address).await.with_context(|| name.to_owned())?;
        Ok(Some(gateway))
    }

    pub(crate) fn start_plugway_with(&self, cores: &str, name: &str, config: Value) -> Result<Option<Gateway>> {
        if !self.options.plugway.exists() {
            eprintln!("  {} does not exist; only nginx is measured", self.options.plugway.display());
            return Ok(None);
        }
        let address = free_address()?;
        self.copy_plugins()?;
        let file = self.write_config(name, address, config)?;
        let arguments = ["serve", "--config", text(&file)?];
        let process = Process::start(cores, &self.options.plugway, &arguments, self.file(&format!("{name}.log")))?;
        Ok(Some(Gateway { process, address, unbuffered: address }))
    }

    /// Writes the configuration of the gateway of this name, which may be running.
    pub(crate) fn write_config(&self, name: &str, address: SocketAddr, mut config: Value) -> Result<PathBuf> {
        config["listen"] = json!(address.to_string());
        config["log"] = json!({"access": true});
        config["plugins"] = json!({
            "directory": self.plugins(),
            "cache_directory": self.cache(),
            "debounce_ms": DEBOUNCE.as_millis() as u64,
        });
        // In a folder of its own: Plugway watches it, and logs that grow beside the file would keep waking the watcher.
        let folder = self.file(&format!("config-{name}"));
        fs::create_dir_all(&folder)?;
        let (new, place) = (self.file("new.yaml"), folder.join("plugway.yaml"));
        // JSON is YAML, and it is easier to write well. Moved in, so that no half of it is ever there.
        fs::write(&new, config.to_string())?;
        fs::rename(&new, &place)?;
        Ok(place)
    }

    fn a_provider_for_each_dialect(&self) -> Value {
        json!({
            "providers": {"openai": self.provider(&["gpt-4o-mini"]), "anthropic": self.provider(&["claude-sonnet-4-5"])},
        })
    }

    /// A provider's block: the mock upstream, with these models.
    pub(crate) fn provider(&self, models: &[impl AsRef<str>]) -> Value {
        json!({
            "keys": [{"name": "bench", "value": "sk-bench"}],
            "models": models.iter().map(AsRef::as_ref).collect::<Vec<_>>(),
            "network_config": {"base_url": format!("http://{}", self.upstream.address), "allow_private_network": true},
        })
    }

    /// The gateways' own copy of the plugins, which a benchmark may change.
    pub(crate) fn plugins(&self) -> PathBuf {
        self.file("plugins")
    }

    /// Where compiled plugins lie.
    pub(crate) fn cache(&self) -> PathBuf {
        self.file("cache")
    }

    /// Those that are not there yet: another gateway may be watching the folder.
    fn copy_plugins(&self) -> Result<()> {
        fs::create_dir_all(self.plugins())?;
        let mut found = 0;
        for entry in fs::read_dir(&self.options.plugins).context("the folder of the plugins")? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == "wasm") {
                let place = self.plugins().join(path.file_name().context("a file without a name")?);
                if !place.exists() {
                    fs::copy(&path, place)?;
                }
                found += 1;
            }
        }
        ensure!(found > 0, "no plugins in {}", self.options.plugins.display());
        Ok(())
    }
}
