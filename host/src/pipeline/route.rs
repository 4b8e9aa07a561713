//! route: Request → Candidates. Configuration only, and chance among weighted keys; nothing here waits for anything. What
//! counts is the request as the policies left it.

use super::call::Call;
use super::decode::Request;
use crate::config::{Key, RequestKind};
use crate::error::{Failure, FailureKind};
use crate::snapshot::{Ready, Snapshot, Target};
use std::sync::Arc;

/// A provider that may serve the request, by one of its keys.
pub struct Candidate {
    pub target: Arc<Target>,
    pub ready: Arc<Ready>,
    /// As the upstream knows it; empty where the request names none.
    pub model: String,
    /// Index into the provider's keys; None for a key-less one.
    key: Option<usize>,
}

impl Candidate {
    pub fn key(&self) -> Option<&Key> {
        self.key.map(|index| &self.target.config.keys[index])
    }
}

/// At least one, in the order in which they are to be tried.
pub fn route(call: &Call, request: &Request) -> Result<Vec<Candidate>, Failure> {
    let Some(model) = request.model.as_deref() else { return without_model(&call.snapshot, request.kind) };
    if let Some((target, model)) = addressed(&call.snapshot, model) {
        return Ok(vec![candidate(target, Some(model), request.kind)?]);
    }
    let serving = call.snapshot.serving_model(model);
    let mut first_failure = None;
    let mut candidates = Vec::with_capacity(serving.len());
    for target in serving {
        match candidate(target, Some(model), request.kind) {
            Ok(candidate) => candidates.push(candidate),
            Err(failure) => _ = first_failure.get_or_insert(failure),
        }
    }
    match candidates.is_empty() {
        false => Ok(candidates),
        true => Err(first_failure.unwrap_or_else(|| unknown_model(model))),
    }
}

/// Everybody who serves the operation, in the order of their names.
fn without_model(snapshot: &Snapshot, kind: RequestKind) -> Result<Vec<Candidate>, Failure> {
    let candidates: Vec<Candidate> =
        snapshot.providers().filter_map(|target| candidate(target, None, kind).ok()).collect();
    match candidates.is_empty() {
        false => Ok(candidates),
        true => Err(Failure::new(FailureKind::Unsupported, format!("no provider serves {kind}"))
            .code("operation_not_supported")),
    }
}

/// `<provider>/<model>`, where a provider's name may have slashes too: the longest that fits.
fn addressed<'a>(snapshot: &'a Snapshot, address: &'a str) -> Option<(&'a Arc<Target>, &'a str)> {
    address
        .match_indices('/')
        .rev()
        .find_map(|(slash, _)| Some((snapshot.provider(&address[..slash])?, &address[slash + 1..])))
        .filter(|(_, model)| !model.is_empty())
}

fn candidate(target: &Arc<Target>, model: Option<&str>, kind: RequestKind) -> Result<Candidate, Failure> {
    let ready = target.ready.as_ref().map_err(|reason| unavailable(target, reason))?;
    if !target.config.allowed.allows(kind) || !ready.serves(kind) {
        let name = &target.config.name;
        return Err(Failure::new(FailureKind::Unsupported, format!("the provider `{name}` does not serve {kind}"))
            .code("operation_not_supported"));
    }
    let key = match ready.key_less {
        true => None,
        false => Some(pick_key(&target.config.keys, model).ok_or_else(|| {
            let name = &target.config.name;
            let model = model.unwrap_or_default();
            Failure::new(FailureKind::NotFound, format!("no key of the provider `{name}` serves the model `{model}`"))
                .at("model")
                .code("model_not_found")
        })?),
    };
    let alias = key.and_then(|index| target.config.keys[index].aliases.get(model?));
    let model = alias.map(String::as_str).or(model).unwrap_or_default().to_owned();
    Ok(Candidate { target: target.clone(), ready: ready.clone(), model, key })
}

/// By chance, in proportion to the weights.
fn pick_key(keys: &[Key], model: Option<&str>) -> Option<usize> {
    let serves = |key: &Key| model.is_none_or(|model| key.models.serves(model));
    let serving = || keys.iter().enumerate().filter(|(_, key)| serves(key));
    let total: f64 = serving().map(|(_, key)| key.weight).sum();
    let mut point = fastrand::f64() * total;
    for (index, key) in serving() {
        point -= key.weight;
        if point < 0.0 {
            return Some(index);
        }
    }
    // All weights are zero, or rounding left a crumb.
    serving().last().map(|(index, _)| index)
}

fn unavailable(target: &Target, reason: &str) -> Failure {
    let name = &target.config.name;
    Failure::new(FailureKind::Unavailable, format!("the provider `{name}` cannot be used now"))
        .code("provider_unavailable")
        .detail(format!("providers.{name}: {reason}"))
}

fn unknown_model(model: &str) -> Failure {
    Failure::new(
        FailureKind::NotFound,
        format!("no provider serves the model `{model}`; write `<provider>/<model>`, or one of those that GET /v1/models lists"),
    )
    .at("model")
    .code("model_not_found")
}
