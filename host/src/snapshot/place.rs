//! Where a provider's calls go, and what says so: the configuration, a preset or the plugin.

use super::Ready;
use crate::config::{self, PathOverride, RequestKind};
use crate::plugins::Plugin;
use crate::plugins::api::provider::Preset;
use http::Uri;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// The compatible service that the configuration names, as the plugin knows it.
pub async fn preset(plugin: &Plugin, provider: &config::Provider) -> Result<Option<Preset>, String> {
    let Some(name) = &provider.preset else { return Ok(None) };
    let presets = plugin.presets().await.map_err(|fault| format!("{plugin:?}: {fault}"))?;
    if let Some(preset) = presets.iter().find(|preset| preset.name == *name) {
        return Ok(Some(preset.clone()));
    }
    let known: Vec<&str> = presets.iter().map(|preset| preset.name.as_str()).collect();
    match known.is_empty() {
        true => Err(format!("the plugin `{}` has no presets", provider.plugin.name)),
        false => Err(format!("there is no preset `{name}`; the plugin has {}", known.join(", "))),
    }
}

/// The preset's settings with the configuration's own laid over them.
pub fn lay_over(preset: &Preset, own: &Map<String, Value>) -> Result<Map<String, Value>, String> {
    let mut settings: Map<String, Value> = match preset.settings.trim() {
        "" => Map::new(),
        text => {
            serde_json::from_str(text).map_err(|error| format!("the preset's settings are no JSON object: {error}"))?
        }
    };
    settings.extend(own.clone());
    Ok(settings)
}

/// Where calls go: as configured, else as the preset says, else as the plugin says.
pub fn base_url(
    provider: &config::Provider,
    preset: Option<&Preset>,
    default: Option<&str>,
) -> Result<Option<Uri>, String> {
    if let Some(url) = &provider.network.base_url {
        return Ok(Some(url.clone()));
    }
    let Some(text) = preset.map(|preset| preset.base_url.as_str()).or(default) else { return Ok(None) };
    let url: Uri = text.parse().map_err(|_| format!("the plugin's own base URL `{text}` is none"))?;
    match url.scheme_str() {
        Some("http" | "https") if url.authority().is_some() => {
            let reach = provider.network.line.reach;
            reach.check_host(url.host().unwrap_or_default()).map_err(|forbidden| format!("its address {forbidden}"))?;
            Ok(Some(url))
        }
        _ => Err(format!("the plugin's own base URL `{text}` is neither http nor https")),
    }
}

/// Whether at least one of these operations has an address of its own.
pub fn is_anywhere(provider: &config::Provider, operations: &BTreeSet<RequestKind>) -> bool {
    let has_url = |kind: &RequestKind| matches!(provider.path_overrides.get(kind), Some(PathOverride::Url(_)));
    operations.iter().any(has_url)
}

/// Scheme, host and port.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin(Uri);

impl Origin {
    /// Where the plugin sends keys; None where there are none, or where the operator says where.
    pub fn of_keys(provider: &config::Provider, ready: &Ready) -> Option<Self> {
        let chosen_by_plugin = provider.network.base_url.is_none() && !provider.keys.is_empty();
        ready.base_url.clone().filter(|_| chosen_by_plugin).map(Origin)
    }

    /// A file dropped into a folder, or taken out of it, must not be enough to carry keys to another place.
    pub fn check(&self, ready: Ready) -> Result<Ready, String> {
        let Origin(before) = self;
        match &ready.base_url {
            Some(after) if (after.scheme(), after.authority()) != (before.scheme(), before.authority()) => {
                Err(format!(
                    "its keys would go to {after} instead of {before}; if that is meant, write the new address as \
                 network_config.base_url"
                ))
            }
            Some(_) | None => Ok(ready),
        }
    }
}
