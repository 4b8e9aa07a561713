//! The list of models: names and models of the configuration, and what services list themselves where the configuration
//! names none.

mod ask;

use super::call::{Call, Gateway};
use super::route;
use crate::config::{Model, Prices, RequestKind};
use crate::error::{Failure, FailureKind};
use crate::operation::Operation;
use crate::snapshot::{Names, Target};
use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;

const KIND: RequestKind = RequestKind { operation: Operation::ListModels, streaming: false };

/// Who has the names that the configuration gives to several models together.
const OURS: &str = "plugway";

pub fn is_list(call: &Call) -> bool {
    call.route.operation == Operation::ListModels
}

/// The list, or one of it, in canonical form; a format that mounts a route for the list says it in its own.
pub async fn answer(gateway: &Gateway, call: &Call) -> Result<String, Failure> {
    let targets: Vec<&Arc<Target>> = match call.addressee.target() {
        Some(target) => vec![allowed(target)?],
        None => call.snapshot.providers().collect(),
    };
    let names = join_all(targets.iter().map(|target| names(gateway, call, target))).await;
    let mut models = BTreeMap::new();
    for (target, names) in targets.into_iter().zip(&names) {
        for name in names.iter() {
            let id = match call.addressee.is_by_path() {
                true => name.clone(),
                false => format!("{}/{name}", target.config.name),
            };
            models.entry(id.clone()).or_insert_with(|| Entry { id, name, target });
        }
    }
    let mut described: BTreeMap<&str, Value> = models.iter().map(|(id, entry)| (&**id, entry.describe())).collect();
    if call.addressee.target().is_none() {
        for name in call.snapshot.config.models.keys() {
            described.insert(name, entry(name, OURS));
        }
    }
    match call.parameter("id") {
        None => Ok(json!({"object": "list", "data": described.into_values().collect::<Vec<_>>()}).to_string()),
        Some(id) => {
            let by_name = || models.values().find(|entry| entry.name == id).map(Entry::describe);
            described.remove(id).or_else(by_name).map(|entry| entry.to_string()).ok_or_else(|| {
                Failure::new(FailureKind::NotFound, format!("there is no model `{id}`; GET /v1/models lists all"))
                    .at("model")
                    .code("model_not_found")
            })
        }
    }
}

fn entry(id: &str, owner: &str) -> Value {
    json!({"id": id, "object": "model", "created": 0, "owned_by": owner})
}

fn allowed(target: &Arc<Target>) -> Result<&Arc<Target>, Failure> {
    match target.config.allowed.allows(KIND) {
        true => Ok(target),
        false => Err(route::does_not_serve(target, KIND)),
    }
}

/// What the configuration names, else what the service does; and what keys call some of them.
async fn names(gateway: &Gateway, call: &Call, target: &Arc<Target>) -> Names {
    let configured: Names = Arc::new(target.config.model_names().map(str::to_owned).collect());
    let can_be_asked = || target.ready.as_ref().is_ok_and(|ready| ready.serves(KIND)) && allowed(target).is_ok();
    let models = match configured.is_empty() && can_be_asked() {
        false => configured,
        true => target.listing.names(ask::ask(gateway, call, target)).await,
    };
    Arc::new(models.iter().cloned().chain(target.config.aliases().map(str::to_owned)).collect())
}

struct Entry<'a> {
    id: String,
    name: &'a str,
    target: &'a Target,
}

impl Entry<'_> {
    fn describe(&self) -> Value {
        let mut entry = entry(&self.id, &self.target.config.name);
        let model = self.target.config.models.iter().find(|model| model.name == self.name);
        if let (Some(entry), Some(model)) = (entry.as_object_mut(), model) {
            entry.extend(metadata(model));
        }
        entry
    }
}

/// What the configuration says of a model, by the names that it uses. Whom it falls back to is nobody else's business.
fn metadata(model: &Model) -> Map<String, Value> {
    let Model { name: _, display_name, multimodal, prices, max_input_tokens, max_output_tokens, .. } = model;
    let price = |price: fn(&Prices) -> f64| prices.as_ref().map(|prices| json!(price(prices)));
    let members = [
        ("display_name", display_name.as_ref().map(|name| json!(name))),
        ("multimodal", multimodal.map(Value::from)),
        ("input_cost_per_mil_tokens", price(|prices| prices.input)),
        ("output_cost_per_mil_tokens", price(|prices| prices.output)),
        ("input_cache_read_cost_per_mil_tokens", price(|prices| prices.cache_read)),
        ("input_cache_write_cost_per_mil_tokens", price(|prices| prices.cache_write)),
        ("input_cache_write_5m_cost_per_mil_tokens", price(|prices| prices.cache_write_5m)),
        ("input_cache_write_1h_cost_per_mil_tokens", price(|prices| prices.cache_write_1h)),
        ("max_input_tokens", max_input_tokens.map(Value::from)),
        ("max_output_tokens", max_output_tokens.map(Value::from)),
        ("deprecation_date", model.deprecation_date.as_ref().map(|day| json!(day))),
    ];
    members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
