//! Who gets which request, and who gets it next: addresses, strategies, retries, bounds.

use super::meaning::{as_usize, milliseconds, seconds};
use super::meant::{
    CircuitRule, Concurrency, Config, ModelRoute, PluginRequest, RequestKind, Retries, Routing, Strategy, Streaming,
    WeightedAddress,
};
use super::mistakes::At;
use super::reader::{Field, Reader, Typed};
use super::scalars::{Weight, Whole, text};
use super::typed::{ConcurrencySection, ModelSection, NetworkSection, RoutingSection, TargetSection};
use crate::operation::Operation;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// `<provider>/<model>`, the name of a provider, or that of a model: which, is found out when it is looked up, as providers
/// come and go.
pub(super) struct Address(pub String);

impl Typed for Address {
    const SHOWN: bool = true;

    fn shape() -> String {
        "`<provider>/<model>`, a provider or a model".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        text::<Self>(value, at, reader).map(|address| Address(address.to_owned()))
    }
}

/// A target: a section, or the address alone where it has no share of its own.
pub(super) struct TargetEntry(TargetSection);

impl Typed for TargetEntry {
    fn shape() -> String {
        "an address or a mapping".to_owned()
    }

    fn fields() -> &'static [Field] {
        TargetSection::fields()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let section = match value {
            Value::Object(_) => TargetSection::read(value, at, reader)?,
            Value::String(_) => {
                TargetSection { at: at.clone(), address: Address::read(value, at, reader), weight: None }
            }
            other => {
                reader.wrong::<Self>(at, other);
                return None;
            }
        };
        if section.address.is_none() {
            reader.missing(&at.key("address"), "is missing; it says where requests go, such as acme/large");
        }
        Some(TargetEntry(section))
    }
}

impl Typed for Streaming {
    const SHOWN: bool = true;

    fn shape() -> String {
        "true, false, or \"only\"".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        match value {
            Value::Bool(true) => Some(Streaming::AsAsked),
            Value::Bool(false) => Some(Streaming::Never),
            Value::String(text) if text == "only" => Some(Streaming::Only),
            other => {
                reader.wrong::<Self>(at, other);
                None
            }
        }
    }
}

/// A wire format by the name of the plugin that speaks it.
pub(super) struct Format(pub PluginRequest);

impl Typed for Format {
    const SHOWN: bool = true;

    fn shape() -> String {
        PluginRequest::shape()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        let message = match value.as_str() {
            Some("window") => {
                "`window` is a model inside a browser, which no gateway can reach; call it from the page itself"
            }
            Some("js") => {
                "`js` is code of your own: drop the file into the plugins folder and write its name as `plugin`"
            }
            _ => return PluginRequest::read(value, at, reader).map(Format),
        };
        reader.mistake(at, message);
        None
    }
}

/// What models do, in one word.
#[derive(Clone, Copy)]
pub(super) enum Flavor {
    Chat,
    Completion,
    Embedding,
}

impl Flavor {
    pub(super) fn requests(self) -> BTreeSet<RequestKind> {
        let operation = match self {
            Flavor::Chat => Operation::ChatCompletion,
            Flavor::Completion => Operation::TextCompletion,
            Flavor::Embedding => Operation::Embedding,
        };
        RequestKind::all().into_iter().filter(|kind| kind.operation == operation).collect()
    }
}

impl Typed for Flavor {
    const SHOWN: bool = true;

    fn shape() -> String {
        "one of chat, completion, embedding".to_owned()
    }

    fn read(value: &Value, at: &At, reader: &mut Reader<'_>) -> Option<Self> {
        match value.as_str() {
            Some("chat") => Some(Flavor::Chat),
            Some("completion") => Some(Flavor::Completion),
            Some("embedding") => Some(Flavor::Embedding),
            _ => {
                reader.wrong::<Self>(at, value);
                None
            }
        }
    }
}

pub(super) fn addresses(typed: Option<Vec<Address>>) -> Vec<String> {
    typed.unwrap_or_default().into_iter().map(|Address(address)| address).collect()
}

pub(super) fn models(typed: BTreeMap<String, ModelSection>) -> BTreeMap<String, ModelRoute> {
    let target = |TargetEntry(section): TargetEntry| {
        let Address(address) = section.address?;
        Some(WeightedAddress { address, weight: section.weight.map(|Weight(weight)| weight) })
    };
    let route = |section: ModelSection| ModelRoute {
        targets: section.targets.map(|targets| targets.into_iter().filter_map(target).collect()),
        strategy: section.strategy,
        fallbacks: addresses(section.fallbacks),
    };
    typed.into_iter().map(|(name, section)| (name, route(section))).collect()
}

pub(super) fn routing(section: RoutingSection) -> Routing {
    let RoutingSection { at: _, strategy, circuit_failures, circuit_open_seconds, longest_rest_seconds } = section;
    Routing {
        strategy: strategy.unwrap_or(Strategy::Weighted),
        circuit: CircuitRule { failures: count(circuit_failures, 5), open: seconds(circuit_open_seconds, 10) },
        longest_rest: seconds(longest_rest_seconds, 60),
    }
}

pub(super) fn retries(section: &mut NetworkSection, reader: &mut Reader<'_>) -> Retries {
    let at = section.at.key("retry_backoff_max");
    let retries = Retries {
        max: count(section.max_retries.take(), 0),
        backoff_initial: milliseconds(section.retry_backoff_initial.take(), 500),
        backoff_max: milliseconds(section.retry_backoff_max.take(), 5_000),
    };
    if retries.backoff_max < retries.backoff_initial {
        reader.mistake(&at, "must not be below `retry_backoff_initial`, which is 500 unless it is set");
    }
    retries
}

pub(super) fn concurrency(section: ConcurrencySection) -> Concurrency {
    Concurrency {
        running: section.concurrency.map_or(1_000, |Whole(count)| as_usize(count)),
        waiting: section.buffer_size.map_or(5_000, |Whole(count)| as_usize(count)),
    }
}

fn count<const MIN: u64, const MAX: u64>(typed: Option<Whole<MIN, MAX>>, default: u32) -> u32 {
    typed.map_or(default, |Whole(number)| u32::try_from(number).unwrap_or(u32::MAX))
}

/// Only warned about: who is missing now may be added while the gateway runs. Looked for once all providers are together,
/// wherever they come from.
pub(super) fn unknown_addresses(config: &Config) -> Vec<String> {
    let root = At::default();
    let (models, providers) = (root.key("models"), root.key("providers"));
    let of_models = config.models.iter().map(|(name, model)| (models.key(name).key("fallbacks"), &model.fallbacks));
    let of_providers =
        config.providers.iter().map(|(name, provider)| (providers.key(name).key("fallbacks"), &provider.fallbacks));
    let of_listed = config.providers.iter().flat_map(|(name, provider)| {
        let listed = providers.key(name).key("models");
        let at = move |model: &str| listed.key(model).key("fallback_models");
        provider.models.iter().map(move |model| (at(&model.name), &model.fallback_models))
    });
    let fallbacks = of_models.chain(of_providers).chain(of_listed).flat_map(|(at, addresses)| {
        addresses.iter().enumerate().map(move |(index, address)| (at.item(index), address)).collect::<Vec<_>>()
    });
    let targets = config.models.iter().flat_map(|(name, model)| {
        let at = models.key(name).key("targets");
        let targets = model.targets.iter().flatten().enumerate();
        targets.map(move |(index, target)| (at.item(index), &target.address))
    });
    let unknown = fallbacks.chain(targets).filter(|(_, address)| !is_known(config, address));
    unknown
        .map(|(at, address)| format!("{at}: there is no provider and no model for `{address}`, so it is passed over"))
        .collect()
}

fn is_known(config: &Config, address: &str) -> bool {
    let provider = |name: &str| config.providers.contains_key(name);
    let prefixes = address.match_indices('/').map(|(slash, _)| &address[..slash]);
    let listed = |provider: &super::Provider| provider.bare_names().any(|name| name == address);
    provider(address)
        || prefixes.into_iter().any(provider)
        || config.models.contains_key(address)
        || config.providers.values().any(|provider| listed(provider))
}
