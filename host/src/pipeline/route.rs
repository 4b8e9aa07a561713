//! route: Request → Choices, in the order in which they are to be tried. Configuration, how providers fare, and chance;
//! nothing here waits for anything. What counts is the request as the policies left it.

pub mod fallbacks;
pub mod order;

use super::call::Call;
use super::decode::Request;
use crate::config::{Key, RequestKind, Strategy, Streaming};
use crate::error::{Failure, FailureKind};
use crate::snapshot::{Ready, Snapshot, Target};
use std::sync::Arc;

/// A provider that may serve the request, by any of its keys.
pub struct Choice {
    pub target: Arc<Target>,
    pub ready: Arc<Ready>,
    /// As it is asked for, before a key's aliases; None where the request names none.
    pub asked: Option<String>,
    /// What the provider is asked for, whatever the caller gets.
    pub kind: RequestKind,
    /// Its share among those that are as good.
    weight: f64,
}

/// The same by one of its keys.
pub struct Candidate {
    pub target: Arc<Target>,
    pub ready: Arc<Ready>,
    /// As the upstream knows it; empty where the request names none.
    pub model: String,
    pub kind: RequestKind,
    /// Index into the provider's keys; None for a key-less one.
    key: Option<usize>,
}

impl Candidate {
    pub fn key(&self) -> Option<&Key> {
        self.key.map(|index| &self.target.config.keys[index])
    }
}

impl Choice {
    pub fn candidate(&self, key: Option<usize>) -> Candidate {
        let asked = self.asked.as_deref();
        let alias = key.and_then(|index| self.target.config.keys[index].aliases.get(asked?));
        Candidate {
            target: self.target.clone(),
            ready: self.ready.clone(),
            model: alias.map(String::as_str).or(asked).unwrap_or_default().to_owned(),
            kind: self.kind,
            key,
        }
    }

    /// The keys that serve the model, by their places in the configuration.
    pub fn keys(&self) -> impl Iterator<Item = usize> {
        keys_serving(&self.target, self.asked.as_deref())
    }

    fn is_same_as(&self, other: &Choice) -> bool {
        Arc::ptr_eq(&self.target, &other.target) && self.asked == other.asked
    }
}

/// At least one.
pub fn route(call: &Call, request: &Request) -> Result<Vec<Choice>, Failure> {
    let snapshot = &call.snapshot;
    let (mut choices, refused) = match request.model.as_deref() {
        None => (everybody(snapshot, request.kind), None),
        Some(model) => named(snapshot, model, request.kind),
    };
    let refused = refused.filter(|_| choices.is_empty());
    if let Some(refused) = refused.as_ref().filter(|refused| !refused.may_be_rescued()) {
        return Err(refused.clone());
    }
    for address in fallbacks::of(call, request, choices.first())? {
        let asked = request.model.as_deref().unwrap_or_default();
        for fallback in fallbacks::choices(snapshot, &address, asked, request.kind) {
            if !choices.iter().any(|choice| choice.is_same_as(&fallback)) {
                choices.push(fallback);
            }
        }
    }
    match choices.is_empty() {
        false => Ok(choices),
        true => Err(refused.unwrap_or_else(|| nobody_serves(request))),
    }
}

fn nobody_serves(request: &Request) -> Failure {
    match &request.model {
        Some(model) => unknown_model(model),
        None => Failure::new(FailureKind::Unsupported, format!("no provider serves {}", request.kind))
            .code("operation_not_supported"),
    }
}

/// Everybody who serves the operation, in the order of their names.
fn everybody(snapshot: &Snapshot, kind: RequestKind) -> Vec<Choice> {
    snapshot.providers().filter_map(|target| choice(target, None, kind).ok()).collect()
}

/// Who serves a model, by whatever name it is asked for; and why the first who should does not.
fn named(snapshot: &Snapshot, model: &str, kind: RequestKind) -> (Vec<Choice>, Option<Failure>) {
    let (candidates, strategy) = match targets(snapshot, model) {
        Ok(found) => found,
        Err(failure) => return (Vec::new(), Some(failure)),
    };
    let (mut choices, mut refusal) = (Vec::with_capacity(candidates.len()), None);
    for Aimed { target, model, weight } in candidates {
        match choice(target, Some(model), kind) {
            Ok(choice) => choices.push(Choice { weight: weight.unwrap_or(choice.weight), ..choice }),
            Err(failure) => _ = refusal.get_or_insert(failure),
        }
    }
    (order::by(strategy, choices), refusal)
}

/// A provider and its name of a model.
struct Aimed<'a> {
    target: &'a Arc<Target>,
    model: &'a str,
    weight: Option<f64>,
}

/// What a name stands for: a name of the configuration, else an address, else what providers list.
fn targets<'a>(snapshot: &'a Snapshot, name: &'a str) -> Result<(Vec<Aimed<'a>>, Strategy), Failure> {
    let by_default = snapshot.config.routing.strategy;
    let listing = || {
        let aim = |target| Aimed { target, model: name, weight: None };
        snapshot.serving_model(name).iter().map(aim).collect::<Vec<_>>()
    };
    if let Some(route) = snapshot.config.models.get(name) {
        let strategy = route.strategy.unwrap_or(by_default);
        let Some(targets) = &route.targets else { return Ok((listing(), strategy)) };
        let aimed = targets.iter().filter_map(|to| {
            let (target, model) = aim(snapshot, &to.address, name)?;
            Some(Aimed { target, model, weight: to.weight })
        });
        return Ok((aimed.collect(), strategy));
    }
    if let Some((target, model)) = addressed(snapshot, name) {
        return Ok((vec![Aimed { target, model, weight: None }], by_default));
    }
    match listing() {
        listing if listing.is_empty() => Err(unknown_model(name)),
        listing => Ok((listing, by_default)),
    }
}

/// Where an address leads for a request for this model: a provider's name alone means that it has the model, too.
fn aim<'a>(snapshot: &'a Snapshot, address: &'a str, asked: &'a str) -> Option<(&'a Arc<Target>, &'a str)> {
    let under_the_same_name = || Some((snapshot.provider(address)?, asked));
    under_the_same_name().or_else(|| addressed(snapshot, address))
}

/// `<provider>/<model>`, where a provider's name may have slashes too: the longest that fits.
fn addressed<'a>(snapshot: &'a Snapshot, address: &'a str) -> Option<(&'a Arc<Target>, &'a str)> {
    address
        .match_indices('/')
        .rev()
        .find_map(|(slash, _)| Some((snapshot.provider(&address[..slash])?, &address[slash + 1..])))
        .filter(|(_, model)| !model.is_empty())
}

fn choice(target: &Arc<Target>, model: Option<&str>, kind: RequestKind) -> Result<Choice, Failure> {
    let config = &target.config;
    let ready = target.ready.as_ref().map_err(|reason| unavailable(target, reason))?;
    let upstream = RequestKind { streaming: streams(config.streaming, kind), ..kind };
    if !config.allowed.allows(kind) || !ready.serves(upstream) {
        return Err(Failure::new(
            FailureKind::Unsupported,
            format!("the provider `{}` does not serve {kind}", config.name),
        )
        .code("operation_not_supported"));
    }
    if !ready.key_less && keys_serving(target, model).next().is_none() {
        let model = model.unwrap_or_default();
        let message = format!("no key of the provider `{}` serves the model `{model}`", config.name);
        return Err(Failure::new(FailureKind::NotFound, message).at("model").code("model_not_found"));
    }
    Ok(Choice {
        target: target.clone(),
        ready: ready.clone(),
        asked: model.map(str::to_owned),
        kind: upstream,
        weight: config.weight,
    })
}

/// Whether the provider is asked for a stream: as the caller asks, unless its service can do only one of both.
fn streams(service: Streaming, kind: RequestKind) -> bool {
    match service {
        Streaming::AsAsked => kind.streaming,
        Streaming::Never => false,
        Streaming::Only => kind.operation.has_stream(),
    }
}

fn keys_serving(target: &Target, model: Option<&str>) -> impl Iterator<Item = usize> {
    let serves = move |key: &Key| model.is_none_or(|model| key.models.serves(model));
    target.config.keys.iter().enumerate().filter_map(move |(index, key)| serves(key).then_some(index))
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
