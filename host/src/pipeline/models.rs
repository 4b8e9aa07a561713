//! The list of models: what is configured, by address and by bare name.

use super::call::Call;
use crate::operation::Operation;
use serde_json::json;
use std::collections::BTreeSet;

pub fn is_list(call: &Call) -> bool {
    call.route.operation == Operation::ListModels
}

/// In canonical form; a format that mounts a route for the list says it in its own.
pub fn list(call: &Call) -> String {
    let mut models: BTreeSet<(String, &str)> = BTreeSet::new();
    for target in call.snapshot.providers() {
        let provider = target.config.name.as_str();
        let of_keys = target.config.keys.iter().filter_map(|key| key.models.only.as_ref()).flatten();
        for model in target.config.models.iter().chain(of_keys) {
            models.insert((format!("{provider}/{model}"), provider));
        }
    }
    let data: Vec<_> = models
        .iter()
        .map(|(id, provider)| json!({"id": id, "object": "model", "created": 0, "owned_by": provider}))
        .collect();
    json!({"object": "list", "data": data}).to_string()
}
