//! What operators ask: is it well, what does it count, which plugins serve.

use crate::pipeline::Gateway;
use crate::plugins::Plugin;
use crate::snapshot::Snapshot;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

pub async fn health(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    Json(json!({"status": "ok", "reloading": gateway.metrics.is_following_disk()}))
}

pub async fn metrics(State(gateway): State<Arc<Gateway>>) -> Response {
    let mut registry = Registry::with_prefix("plugway");
    registry.register_collector(Box::new(Plugins { gateway: gateway.clone() }));
    match gateway.metrics.render(&registry) {
        Ok(text) => {
            ([(CONTENT_TYPE, "application/openmetrics-text; version=1.0.0; charset=utf-8")], text).into_response()
        }
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

pub async fn plugins(State(gateway): State<Arc<Gateway>>) -> Json<Value> {
    let snapshot = gateway.live.current();
    let loaded = snapshot.plugins.iter().map(|plugin| describe(&snapshot, plugin));
    let refused = gateway.live.refused().into_iter().map(|(file, refused)| {
        let since = refused.since.duration_since(UNIX_EPOCH).unwrap_or_default();
        json!({
            "file": file.file_name().map(|name| name.to_string_lossy().into_owned()),
            "state": "refused",
            "last_error": refused.reason,
            "since_unix_seconds": since.as_secs(),
        })
    });
    Json(json!({
        "generation": snapshot.generation,
        "plugins": loaded.collect::<Vec<_>>(),
        "refused": refused.collect::<Vec<_>>(),
        "troubles": snapshot.troubles.iter().map(ToString::to_string).collect::<Vec<_>>(),
    }))
}

fn describe(snapshot: &Snapshot, plugin: &Arc<Plugin>) -> Value {
    json!({
        "name": plugin.name,
        "version": plugin.version.to_string(),
        "description": plugin.description,
        "kinds": plugin.shape.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "contract_versions": plugin.shape.contracts,
        "digest": format!("sha256:{}", plugin.digest),
        "size_bytes": plugin.size_bytes,
        "file": plugin.file.file_name().map(|name| name.to_string_lossy().into_owned()),
        "generation": plugin.generation,
        "state": state(snapshot, plugin),
        "resting": snapshot.resting(plugin),
        "last_error": plugin.stats.last_error(),
        "calls": plugin.stats.calls(),
        "traps": plugin.stats.traps(),
        "seconds_in_wasm": plugin.stats.time().as_secs_f64(),
        "suppressed_log_lines": plugin.suppressed_log_lines(),
    })
}

fn state(snapshot: &Snapshot, plugin: &Arc<Plugin>) -> &'static str {
    let mut uses = snapshot.uses(plugin).peekable();
    if uses.peek().is_none() {
        return "idle";
    }
    if uses.all(|configured| configured.is_resting()) { "resting" } else { "serving" }
}

/// What plugins count themselves, read when somebody asks.
struct Plugins {
    gateway: Arc<Gateway>,
}

impl std::fmt::Debug for Plugins {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Plugins")
    }
}

impl Collector for Plugins {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> std::fmt::Result {
        let snapshot = self.gateway.live.current();
        let generation = ConstGauge::new(i64::try_from(snapshot.generation).unwrap_or(i64::MAX));
        encode(&mut encoder, "generation", "The generation that serves", &generation)?;
        let alive = ConstGauge::new(i64::try_from(Snapshot::alive()).unwrap_or(i64::MAX));
        encode(&mut encoder, "generations_alive", "Generations that some request still holds", &alive)?;
        let refused = ConstGauge::new(i64::try_from(self.gateway.live.refused().len()).unwrap_or(i64::MAX));
        encode(&mut encoder, "plugin_files_refused", "Files that lie in the folder and were refused", &refused)?;
        let mut per_plugin = PerPlugin { encoder: &mut encoder, snapshot: &snapshot };
        per_plugin.encode("plugin_calls", "Calls into a plugin", |plugin| ConstCounter::new(plugin.stats.calls()))?;
        per_plugin.encode("plugin_traps", "Calls that failed by the plugin's fault", |plugin| {
            ConstCounter::new(plugin.stats.traps())
        })?;
        per_plugin.encode("plugin_seconds", "Time in a plugin", |plugin| {
            ConstCounter::new(plugin.stats.time().as_secs_f64())
        })?;
        per_plugin.encode("plugin_instances_made", "Instances of a plugin that were made", |plugin| {
            ConstCounter::new(plugin.stats.instances_made())
        })?;
        per_plugin.encode("plugin_instances", "Instances that are alive, idle ones too", |plugin| {
            ConstGauge::new(i64::try_from(plugin.stats.instances()).unwrap_or(i64::MAX))
        })
    }
}

fn encode(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> std::fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

/// One sample for each plugin.
struct PerPlugin<'a, 'b> {
    encoder: &'a mut DescriptorEncoder<'b>,
    snapshot: &'a Snapshot,
}

impl PerPlugin<'_, '_> {
    fn encode<M: EncodeMetric>(&mut self, name: &str, help: &str, metric: impl Fn(&Plugin) -> M) -> std::fmt::Result {
        let Some(first) = self.snapshot.plugins.first() else { return Ok(()) };
        let kind = metric(first).metric_type();
        let mut family = self.encoder.encode_descriptor(name, help, None, kind)?;
        for plugin in &self.snapshot.plugins {
            let labels = [("plugin", plugin.name.clone()), ("version", plugin.version.to_string())];
            metric(plugin).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
