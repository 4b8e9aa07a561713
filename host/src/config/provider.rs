//! What a provider's block means.

use super::meaning::seconds;
use super::meant::{
    AllowedRequests, HeaderTemplates, Isolation, Key, Line, ModelFilter, Network, Owner, PathOverride, PluginRequest,
    Provider, Streaming, Timeouts, Tls,
};
use super::mistakes::At;
use super::models;
use super::outgoing::{BaseUrl, Certificates, Headers, Requests, Template};
use super::proxy;
use super::reader::Reader;
use super::routing::{self, Flavor, Format};
use super::scalars::{Weight, Whole, is_plugin_name};
use super::typed::{CustomSection, KeySection, NetworkSection, ProviderSection, ProxySection};
use crate::address::Reach;
use http::Uri;
use semver::VersionReq;
use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::Arc;

const DEFAULT_HEADER_TEMPLATES: &str = "mustache";
/// Stands for every model in lists of models.
const ANY_MODEL: &str = "*";

pub(super) fn provider(name: String, section: ProviderSection, reader: &mut Reader<'_>) -> Option<Provider> {
    let ProviderSection { at, plugin, preset, settings, isolation, models, model, keys, .. } = section;
    let mut custom = section.custom_provider_config.unwrap_or_default();
    let plugin = plugin.or(section.format.map(|Format(plugin)| plugin));
    let allowed = allowed_requests(custom.allowed_requests.take(), section.flavor, &at, reader);
    check_name(&name, &at, reader);
    check_key_less(custom.is_key_less, keys.as_deref(), &at, reader);
    let keys = keys.map(|sections| keys_meant(sections, &at.key("keys"), reader)).unwrap_or_default();
    let headers = header_templates(section.headers, section.header_templates, &at, reader);
    let mut network_section = section.network_config.unwrap_or_default();
    let retries = routing::retries(&mut network_section, reader);
    let network = network(network_section, section.proxy_config, reader);
    check_header_owners(headers.as_ref(), &network, &at.key("headers"), reader);
    check_overrides(custom.request_path_overrides.as_ref(), &network, &at, reader);
    Some(Provider {
        plugin: plugin_request(plugin, &custom, &name, &at, reader)?,
        owner: reader.owner,
        unusable: None,
        name,
        preset,
        settings: settings.unwrap_or_default(),
        isolation: isolation.unwrap_or(Isolation::Shared),
        key_less: custom.is_key_less,
        keys,
        models: models::models(models.unwrap_or_default(), model.as_deref(), reader),
        model,
        network,
        allowed,
        path_overrides: custom.request_path_overrides.map(|Requests(overrides)| overrides).unwrap_or_default(),
        headers,
        fallbacks: routing::addresses(section.fallbacks),
        weight: section.weight.map_or(1.0, |Weight(weight)| weight),
        retries,
        concurrency: section.concurrency_and_buffer_size.map(routing::concurrency),
        streaming: section.supports_streaming.unwrap_or(Streaming::AsAsked),
    })
}

/// Almost any name will do, as routes carry it URL-encoded.
fn check_name(name: &str, at: &At, reader: &mut Reader<'_>) {
    const LONGEST: usize = 128;
    if name.trim().is_empty() {
        reader.mistake(at, "the name of a provider must not be empty");
    }
    if name.chars().count() > LONGEST {
        reader.mistake(at, format!("the name of a provider must not be longer than {LONGEST} characters"));
    }
    if [".", ".."].contains(&name) {
        reader.mistake(at, "the name of a provider must not be `.` or `..`, which no path can hold");
    }
    if name.chars().any(char::is_control) {
        reader.mistake(at, "the name of a provider must not contain control characters");
    }
}

fn check_key_less(key_less: Option<bool>, keys: Option<&[KeySection]>, at: &At, reader: &mut Reader<'_>) {
    let at = at.key("keys");
    match (key_less, keys.map_or(0, <[_]>::len)) {
        (Some(true), 1..) => reader.mistake(&at, "a provider with `is_key_less: true` has no keys; remove one of both"),
        (Some(false), 0) => reader.missing(&at, "at least one key is needed, as `is_key_less` is false"),
        _ => {}
    }
}

/// The plugin by its own key, else by Bifrost's, else by the provider's name.
fn plugin_request(
    plugin: Option<PluginRequest>,
    custom: &CustomSection,
    name: &str,
    at: &At,
    reader: &mut Reader<'_>,
) -> Option<PluginRequest> {
    match (plugin, custom.base_provider_type.clone()) {
        (Some(plugin), Some(base)) => {
            // A Bifrost block with a version pinned to it names the plugin twice, and means one.
            let agree = plugin == base || (plugin.name == base.name && base.versions == VersionReq::STAR);
            if !agree {
                let message =
                    "names another plugin than `custom_provider_config.base_provider_type`; remove one of both";
                reader.mistake(&at.key("plugin"), message);
            }
            Some(plugin)
        }
        (Some(request), None) | (None, Some(request)) => Some(request),
        (None, None) if is_plugin_name(name) => {
            Some(PluginRequest { name: name.to_owned(), versions: VersionReq::STAR })
        }
        (None, None) => {
            reader.missing(&at.key("plugin"), "is missing, and the provider's name is not one that a plugin can have");
            None
        }
    }
}

fn allowed_requests(
    typed: Option<Requests<bool>>,
    flavor: Option<Flavor>,
    at: &At,
    reader: &mut Reader<'_>,
) -> AllowedRequests {
    match (typed, flavor) {
        (None, None) => AllowedRequests::All,
        (None, Some(flavor)) => AllowedRequests::Only(flavor.requests()),
        (Some(Requests(requests)), flavor) => {
            if flavor.is_some() {
                let message =
                    "is short for `custom_provider_config.allowed_requests`, which is there too; remove one of both";
                reader.mistake(&at.key("flavor"), message);
            }
            AllowedRequests::Only(requests.into_iter().filter_map(|(kind, allowed)| allowed.then_some(kind)).collect())
        }
    }
}

fn header_templates(
    headers: Option<Headers<Template>>,
    plugin: Option<PluginRequest>,
    at: &At,
    reader: &mut Reader<'_>,
) -> Option<HeaderTemplates> {
    let Some(Headers(templates)) = headers else {
        if plugin.is_some() {
            reader.missing(&at.key("headers"), "is missing; `header_templates` has nothing to fill in without it");
        }
        return None;
    };
    let default = || PluginRequest { name: DEFAULT_HEADER_TEMPLATES.to_owned(), versions: VersionReq::STAR };
    let templates: Vec<_> = templates.into_iter().map(|(name, Template(template))| (name, template)).collect();
    (!templates.is_empty()).then(|| HeaderTemplates { plugin: plugin.unwrap_or_else(default), templates })
}

/// Of two values for one header, one would be lost.
fn check_header_owners(headers: Option<&HeaderTemplates>, network: &Network, at: &At, reader: &mut Reader<'_>) {
    let fixed = |name| network.extra_headers.iter().any(|(other, _)| other == name);
    for (name, _) in headers.iter().flat_map(|headers| &headers.templates).filter(|(name, _)| fixed(name)) {
        reader.mistake(at, format!("`{name}` is in `network_config.extra_headers` too; remove one of both"));
    }
}

fn keys_meant(sections: Vec<KeySection>, at: &At, reader: &mut Reader<'_>) -> Vec<Key> {
    let mut names = BTreeSet::new();
    let mut keys = Vec::new();
    for (index, section) in sections.into_iter().enumerate() {
        let name = section.name.clone().unwrap_or_else(|| default_key_name(index));
        if !names.insert(name.clone()) {
            reader.mistake(&section.at.key("name"), format!("another key of this provider is named `{name}` too"));
        }
        keys.extend(key(name, section, reader));
    }
    if !keys.is_empty() && keys.iter().all(|key: &Key| key.weight == 0.0) {
        reader.warn(at, "every key has weight 0");
    }
    keys
}

pub(super) fn default_key_name(index: usize) -> String {
    format!("key-{}", index + 1)
}

fn key(name: String, section: KeySection, reader: &mut Reader<'_>) -> Option<Key> {
    let KeySection { at, name: _, value, models, blacklisted_models, weight, aliases } = section;
    let weight = weight.map_or(1.0, |Weight(weight)| weight);
    if weight == 0.0 {
        reader.warn(&at.key("weight"), "a key with weight 0 is not chosen while another one serves the model");
    }
    let never: BTreeSet<String> = blacklisted_models.unwrap_or_default().into_iter().collect();
    if never.contains(ANY_MODEL) {
        reader.mistake(&at.key("blacklisted_models"), "must name models; a key that serves none can be removed");
    }
    let only: BTreeSet<String> = models.unwrap_or_default().into_iter().collect();
    let only = Some(only).filter(|models| !models.is_empty() && !models.contains(ANY_MODEL));
    let at_value = at.key("value");
    let Some(value) = value else {
        reader.missing(&at_value, "is missing; write env.NAME for the value of an environment variable");
        return None;
    };
    if value.literal && reader.owner == Owner::File {
        reader.warn(&at_value, "the key stands in the file; env.NAME would keep it out");
    }
    let models = ModelFilter { only, never };
    Some(Key { name, secret: value.value, models, weight, aliases: aliases.unwrap_or_default() })
}

/// Where an override is a whole URL, it is a place like `base_url`.
fn check_overrides(overrides: Option<&Requests<PathOverride>>, network: &Network, at: &At, reader: &mut Reader<'_>) {
    let at = at.key("custom_provider_config").key("request_path_overrides");
    for (kind, over) in overrides.iter().flat_map(|Requests(overrides)| overrides) {
        if let PathOverride::Url(url) = over {
            check_reach(network.line.reach, url, &at.key(&kind.to_string()), reader);
        }
    }
}

/// What can be seen of an address before its name is resolved.
fn check_reach(reach: Reach, url: &Uri, at: &At, reader: &mut Reader<'_>) {
    if let Err(forbidden) = reach.check_host(url.host().unwrap_or_default()) {
        reader.mistake(at, forbidden.to_string());
    }
}

fn network(section: NetworkSection, proxy: Option<ProxySection>, reader: &mut Reader<'_>) -> Network {
    let at = section.at;
    let request = seconds(section.default_request_timeout_in_seconds, 30);
    let timeouts = Timeouts {
        request,
        first_token: section.first_token_timeout_in_seconds.map_or(request, |limit| seconds(Some(limit), 0)),
        stream_idle: seconds(section.stream_idle_timeout_in_seconds, 60),
    };
    let (proxy, of_proxy) = match proxy {
        Some(section) => proxy::proxy(section, reader),
        None => (proxy::Proxy::None, Vec::new()),
    };
    let own = section.ca_cert_pem.map(|Certificates(certificates)| certificates).unwrap_or_default();
    let certificates = [own, of_proxy].concat();
    let tls = match (section.insecure_skip_verify.unwrap_or_default(), certificates.is_empty()) {
        (true, false) => {
            let message = "`insecure_skip_verify` and `ca_cert_pem` exclude each other; remove one of both";
            reader.mistake(&at.key("insecure_skip_verify"), message);
            Tls::Public
        }
        (true, true) => {
            reader.warn(
                &at.key("insecure_skip_verify"),
                "anyone on the way to this provider can read and change what is sent, the keys too",
            );
            Tls::Unverified
        }
        (false, false) => Tls::CustomCa(certificates),
        (false, true) => Tls::Public,
    };
    let reach = if section.allow_private_network.unwrap_or_default() { Reach::Private } else { Reach::Public };
    let base_url = section.base_url.map(|BaseUrl(url)| url);
    if let Some(url) = &base_url {
        check_reach(reach, url, &at.key("base_url"), reader);
    }
    let max_connections = section.max_conns_per_host.and_then(|Whole(count)| usize::try_from(count).ok());
    let line = Line {
        reach,
        tls,
        proxy,
        connect_timeout: seconds(section.connect_timeout_in_seconds, 10),
        keep_alive: seconds(section.keep_alive_timeout_in_seconds, 50),
        max_connections: max_connections.and_then(NonZeroUsize::new),
    };
    let extra_headers = section.extra_headers.map(|Headers(headers)| headers).unwrap_or_default();
    Network { base_url, extra_headers, line: Arc::new(line), timeouts }
}
