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

pub async fn health() -> Json<Value> {
    Json(json!({"status": "ok"}))
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
        "last_error": plugin.stats.last_error(),
        "calls": plugin.stats.calls(),
        "traps": plugin.stats.traps(),
        "seconds_in_wasm": plugin.stats.time().as_secs_f64(),
        "suppressed_log_lines": plugin.suppressed_log_lines(),
    })
}

fn state(snapshot: &Snapshot, plugin: &Arc<Plugin>) -> &'static str {
    match (plugin.health.resting(), snapshot.uses(plugin)) {
        (Some(_), _) => "resting",
        (None, true) => "serving",
        (None, false) => "idle",
    }
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
        per_plugin(&mut encoder, &snapshot, "plugin_calls", "Calls into a plugin", |plugin| {
            plugin.stats.calls() as f64
        })?;
        per_plugin(&mut encoder, &snapshot, "plugin_traps", "Calls that failed by the plugin's fault", |plugin| {
            plugin.stats.traps() as f64
        })?;
        per_plugin(&mut encoder, &snapshot, "plugin_seconds", "Time in a plugin", |plugin| {
            plugin.stats.time().as_secs_f64()
        })
    }
}

fn encode(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, metric: &impl EncodeMetric) -> std::fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn per_plugin(
    encoder: &mut DescriptorEncoder<'_>,
    snapshot: &Snapshot,
    name: &str,
    help: &str,
    value: impl Fn(&Plugin) -> f64,
) -> std::fmt::Result {
    let kind = ConstCounter::new(0.0_f64).metric_type();
    let mut family = encoder.encode_descriptor(name, help, None, kind)?;
    for plugin in &snapshot.plugins {
        let labels = [("plugin", plugin.name.clone()), ("version", plugin.version.to_string())];
        ConstCounter::new(value(plugin)).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}
