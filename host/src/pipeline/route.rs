//! route: Request → Choices, in the order in which they are to be tried. Configuration, how providers fare, and chance;
//! nothing here waits for anything. What counts is the request as the policies left it.

pub mod fallbacks;
pub mod order;

use super::call::Call;
use super::decode::Request;
use crate::config::{Key, Prices, RequestKind, Strategy, Streaming};
use crate::error::{Failure, FailureKind};
use crate::snapshot::{Ready, Snapshot, Target};
use crate::telemetry::Record;
use crate::vitals::Pulse;
use std::sync::Arc;

/// A provider that may serve the request, by any of its keys.
pub struct Choice {
    pub target: Arc<Target>,
    pub ready: Arc<Ready>,
    /// How the provider fares with what it is asked for.
    pub pulse: Arc<Pulse>,
    /// As it is asked for, before a key's aliases; None where the request names none.
    pub asked: Option<String>,
    /// What the provider is asked for, whatever the caller gets.
    pub kind: RequestKind,
    pub why: Why,
    /// The only key that the caller wants, by its name.
    only_key: Option<String>,
    /// Its share among those that are as good.
    weight: f64,
}

/// Why somebody is to be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The model, or the caller, says so.
    Asked,
    /// Those who were asked may fail.
    Fallback,
}

/// Who is to be tried, in order, and who is passed over.
#[derive(Default)]
pub struct Lineup {
    pub choices: Vec<Choice>,
    pub out: Vec<Out>,
}

/// Somebody who should serve and does not.
pub struct Out {
    pub address: String,
    pub failure: Failure,
    /// Who that is, and what it was to be asked for; None where there is nobody of that address.
    meant: Option<(Arc<Target>, Option<String>)>,
}

/// A choice by one of its keys.
pub struct Candidate {
    pub target: Arc<Target>,
    pub ready: Arc<Ready>,
    pub pulse: Arc<Pulse>,
    /// As the upstream knows it; empty where the request names none.
    pub model: String,
    pub kind: RequestKind,
    /// What the model costs, as far as the configuration says.
    pub prices: Option<Prices>,
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
        let config = &self.target.config;
        let alias = key.and_then(|index| config.keys[index].aliases.get(asked?));
        let model = alias.map(String::as_str).or(asked).unwrap_or_default();
        let prices = config.prices(asked.unwrap_or_default()).or_else(|| config.prices(model));
        Candidate {
            target: self.target.clone(),
            ready: self.ready.clone(),
            pulse: self.pulse.clone(),
            model: model.to_owned(),
            prices: prices.copied(),
            kind: self.kind,
            key,
        }
    }

    /// The keys that serve the model, by their places in the configuration.
    pub fn keys(&self) -> impl Iterator<Item = usize> {
        keys_serving(&self.target, self.asked.as_deref(), self.only_key.as_deref())
    }

    fn is_same_as(&self, other: &Choice) -> bool {
        Arc::ptr_eq(&self.target, &other.target) && self.asked == other.asked
    }
}

/// At least one. Where there is none, the record is about who was meant.
pub fn route(call: &Call, request: &Request, record: &mut Record) -> Result<Vec<Choice>, Failure> {
    let Lineup { choices, out } = lineup(call, request)?;
    if !choices.is_empty() {
        return Ok(choices);
    }
    let Some(Out { failure, meant, .. }) = out.into_iter().next() else { return Err(nobody_serves(request)) };
    if let Some((target, _)) = meant {
        record.provider.clone_from(&target.config.name);
    }
    Err(failure)
}

pub fn lineup(call: &Call, request: &Request) -> Result<Lineup, Failure> {
    let find = |model| addressed(&call.snapshot, model).map(|(target, model)| (target.clone(), model));
    let addressee = call.addressee.provider(request.model.as_deref(), find)?;
    let mut lineup = Lineup::default();
    match (addressee, request.model.as_deref()) {
        (Some((target, model)), _) => lineup.add(target, model, choice(call, target, model, request.kind)),
        (None, None) => lineup.choices = everybody(call, request.kind),
        (None, Some(model)) => lineup = named(call, model, request.kind),
    }
    let is_final = lineup.out.first().is_some_and(|out| !out.failure.may_be_rescued());
    if lineup.choices.is_empty() && is_final {
        return Ok(lineup);
    }
    for address in fallbacks::of(call, request, lineup.first()) {
        lineup.fall_back_on(fallbacks::lineup(call, &address, request.model.as_deref(), request.kind));
    }
    Ok(lineup)
}

impl Lineup {
    fn add(&mut self, target: &Arc<Target>, model: Option<&str>, choice: Result<Choice, Failure>) {
        match choice {
            Ok(choice) => self.choices.push(choice),
            Err(failure) => {
                let meant = Some((target.clone(), model.map(str::to_owned)));
                self.out.push(Out { address: target.config.name.clone(), failure, meant });
            }
        }
    }

    fn add_nobody(&mut self, address: &str) {
        self.out.push(Out { address: address.to_owned(), failure: unknown_model(address), meant: None });
    }

    /// Who is asked first, or would be if it could be used, and for what.
    fn first(&self) -> Option<(&Target, Option<&str>)> {
        let chosen = self.choices.first().map(|choice| (choice.target.as_ref(), choice.asked.as_deref()));
        let meant = || self.out.iter().find_map(|out| out.meant.as_ref());
        chosen.or_else(|| meant().map(|(target, asked)| (target.as_ref(), asked.as_deref())))
    }

    fn fall_back_on(&mut self, more: Lineup) {
        for choice in more.choices {
            if !self.choices.iter().any(|other| other.is_same_as(&choice)) {
                self.choices.push(Choice { why: Why::Fallback, ..choice });
            }
        }
        self.out.extend(more.out);
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
fn everybody(call: &Call, kind: RequestKind) -> Vec<Choice> {
    call.snapshot.providers().filter_map(|target| choice(call, target, None, kind).ok()).collect()
}

/// Who serves a model, by whatever name it is asked for.
fn named(call: &Call, model: &str, kind: RequestKind) -> Lineup {
    let mut lineup = Lineup::default();
    let (targets, strategy) = targets(&call.snapshot, model, &mut lineup);
    for Aimed { target, model, weight } in targets {
        let choice = choice(call, target, model, kind);
        let choice = choice.map(|choice| Choice { weight: weight.unwrap_or(choice.weight), ..choice });
        lineup.add(target, model, choice);
    }
    Lineup { choices: order::by(strategy, lineup.choices), ..lineup }
}

/// A provider and its name of a model.
struct Aimed<'a> {
    target: &'a Arc<Target>,
    model: Option<&'a str>,
    weight: Option<f64>,
}

/// What a name stands for: a name of the configuration, else an address, else what providers list.
fn targets<'a>(snapshot: &'a Snapshot, name: &'a str, lineup: &mut Lineup) -> (Vec<Aimed<'a>>, Strategy) {
    let by_default = snapshot.config.routing.strategy;
    let listing = || {
        let aim = |target| Aimed { target, model: Some(name), weight: None };
        snapshot.serving_model(name).into_iter().map(aim).collect::<Vec<_>>()
    };
    if let Some(route) = snapshot.config.models.get(name) {
        let strategy = route.strategy.unwrap_or(by_default);
        let Some(targets) = &route.targets else { return (listing(), strategy) };
        let mut aimed = Vec::with_capacity(targets.len());
        for to in targets {
            match aim(snapshot, &to.address, Some(name)) {
                Some((target, model)) => aimed.push(Aimed { target, model, weight: to.weight }),
                None => lineup.add_nobody(&to.address),
            }
        }
        return (aimed, strategy);
    }
    if let Some((target, model)) = addressed(snapshot, name) {
        return (vec![Aimed { target, model: Some(model), weight: None }], by_default);
    }
    let listing = listing();
    if listing.is_empty() {
        lineup.add_nobody(name);
    }
    (listing, by_default)
}

/// A provider, and the model as it knows it; None where the request names none.
type Aim<'a> = (&'a Arc<Target>, Option<&'a str>);

/// Where an address leads for a request for this model: a provider's name alone means that it has the model, too.
fn aim<'a>(snapshot: &'a Snapshot, address: &'a str, asked: Option<&'a str>) -> Option<Aim<'a>> {
    let under_the_same_name = || Some((snapshot.provider(address)?, asked));
    under_the_same_name().or_else(|| addressed(snapshot, address).map(|(target, model)| (target, Some(model))))
}

/// `<provider>/<model>`, where a provider's name may have slashes too: the longest that fits.
fn addressed<'a>(snapshot: &'a Snapshot, address: &'a str) -> Option<(&'a Arc<Target>, &'a str)> {
    address
        .match_indices('/')
        .rev()
        .find_map(|(slash, _)| Some((snapshot.provider(&address[..slash])?, &address[slash + 1..])))
        .filter(|(_, model)| !model.is_empty())
}

/// One provider, whatever the name was that led to it.
pub fn choice(call: &Call, target: &Arc<Target>, model: Option<&str>, kind: RequestKind) -> Result<Choice, Failure> {
    let config = &target.config;
    let ready = target.ready.as_ref().map_err(|reason| unavailable(target, reason))?;
    let upstream = served_as(call, target, ready, kind).ok_or_else(|| does_not_serve(target, kind))?;
    let only_key = call.addressee.key();
    let can_pay = match ready.key_less {
        true => only_key.is_none(),
        false => keys_serving(target, model, only_key).next().is_some(),
    };
    if !can_pay {
        let model = model.unwrap_or_default();
        let message = format!("no key of the provider `{}` serves the model `{model}`", config.name);
        return Err(Failure::new(FailureKind::NotFound, message).at("model").code("model_not_found"));
    }
    Ok(Choice {
        target: target.clone(),
        ready: ready.clone(),
        pulse: target.vitals.of_model(model.unwrap_or_default()),
        asked: model.map(str::to_owned),
        kind: upstream,
        why: Why::Asked,
        only_key: only_key.map(str::to_owned),
        weight: config.weight,
    })
}

/// What the provider is asked for, where it may be asked at all: the same, or what says the same in other words. What
/// callers may ask for is a matter of their own words.
fn served_as(call: &Call, target: &Target, ready: &Ready, asked: RequestKind) -> Option<RequestKind> {
    if !target.config.allowed.allows(asked) {
        return None;
    }
    let other = asked.operation.in_other_words().filter(|_| !call.is_canonical());
    let upstream = |operation| {
        let kind = RequestKind { operation, ..asked };
        RequestKind { streaming: streams(target.config.streaming, kind), ..kind }
    };
    [Some(asked.operation), other].into_iter().flatten().map(upstream).find(|kind| ready.serves(*kind))
}

/// Whether the provider is asked for a stream: as the caller asks, unless its service can do only one of both.
fn streams(service: Streaming, kind: RequestKind) -> bool {
    match service {
        Streaming::AsAsked => kind.streaming,
        Streaming::Never => false,
        // Events of other operations cannot be put together to a whole.
        Streaming::Only => kind.streaming || kind.operation.has_stream() && !kind.operation.streams_events(),
    }
}

fn keys_serving(target: &Target, model: Option<&str>, only: Option<&str>) -> impl Iterator<Item = usize> {
    let serves =
        move |key: &Key| only.is_none_or(|name| *name == key.name) && model.is_none_or(|model| key.serves(model));
    target.config.keys.iter().enumerate().filter_map(move |(index, key)| serves(key).then_some(index))
}

pub fn does_not_serve(target: &Target, kind: RequestKind) -> Failure {
    let message = format!("the provider `{}` does not serve {kind}", target.config.name);
    Failure::new(FailureKind::Unsupported, message).code("operation_not_supported")
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
