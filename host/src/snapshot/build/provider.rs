//! One provider: its plugin with its settings, where its calls go, its header templates. All that is wrong with it is told,
//! each by its place in the block, as far as it can be seen without what is wrong already.

use super::{Builder, in_words};
use crate::config::{self, Isolation, RequestKind};
use crate::plugins::{Kind, Plugin};
use crate::snapshot::listing::Listing;
use crate::snapshot::place::{self, Origin};
use crate::snapshot::templates::Templates;
use crate::snapshot::trouble::Findings;
use crate::snapshot::{Ready, Target};
use crate::vitals::Vitals;
use serde_json::Map;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Builder<'_> {
    /// A provider, usable or not. Where its keys went before by a plugin's word, they go, or nowhere.
    pub(super) async fn target(&mut self, provider: Arc<config::Provider>) -> Target {
        let before = self.previous.and_then(|previous| previous.provider(&provider.name));
        let before = before.filter(|before| before.config == provider);
        let home = before.and_then(|before| before.home.clone());
        let mut findings = Findings::of(provider.place());
        let ready = self.provider(&provider, &mut findings).await;
        let ready = match (ready, &home) {
            (Some(ready), Some(home)) => findings.keep("", home.check(ready)),
            (ready, _) => ready,
        };
        let ready = ready.map(Arc::new).ok_or_else(|| {
            let (told, troubles) = findings.told();
            self.troubles.extend(troubles);
            told
        });
        let home = home.or_else(|| Origin::of_keys(&provider, ready.as_ref().ok()?));
        let vitals = before.map_or_else(|| Arc::new(Vitals::of(&provider)), |before| before.vitals.clone());
        let plugin = |ready: &Result<Arc<Ready>, String>| ready.as_ref().ok().map(|ready| Arc::as_ptr(&ready.plugin));
        let listing = before.filter(|before| plugin(&before.ready) == plugin(&ready));
        let listing = listing.map_or_else(|| Arc::new(Listing::default()), |before| before.listing.clone());
        Target { config: provider, home, ready, vitals, listing }
    }

    /// None where there is a finding.
    async fn provider(&mut self, provider: &config::Provider, findings: &mut Findings) -> Option<Ready> {
        if let Some(reason) = &provider.unusable {
            findings.add("", reason.clone());
            return None;
        }
        let plugin = findings.keep("plugin", self.find(&provider.plugin, Kind::Provider));
        let ready = match plugin {
            Some(plugin) => self.without_headers(plugin, provider, findings).await,
            None => None,
        };
        let headers = self.header_templates(provider, findings).await;
        ready.filter(|_| findings.is_empty()).map(|ready| Ready { headers, ..ready })
    }

    /// The provider as its plugin has it.
    async fn without_headers(
        &mut self,
        plugin: Arc<Plugin>,
        provider: &config::Provider,
        findings: &mut Findings,
    ) -> Option<Ready> {
        if !provider.path_overrides.is_empty() && plugin.has_fixed_paths() {
            let message = format!(
                "{plugin:?} makes its paths from more than the operation, so nothing can take their place; remove it"
            );
            findings.add("custom_provider_config.request_path_overrides", message);
        }
        let preset = findings.keep("preset", place::preset(&plugin, provider).await)?;
        let settings = match &preset {
            Some(preset) => findings.keep("preset", place::lay_over(preset, &provider.settings))?,
            None => provider.settings.clone(),
        };
        let configured = findings.keep("settings", self.configure(plugin, &settings, provider.isolation).await)?;
        let capabilities = findings.keep("plugin", configured.capabilities().await.map_err(in_words))?;
        let needs_key = preset.as_ref().map_or(capabilities.needs_key, |preset| preset.needs_key);
        let key_less = provider.key_less.unwrap_or(!needs_key);
        if !key_less && provider.keys.is_empty() {
            findings.add(
                "keys",
                "it has no keys; add one under `keys`, or say `custom_provider_config: {is_key_less: true}`",
            );
        }
        let base_url = place::base_url(provider, preset.as_ref(), capabilities.default_base_url.as_deref());
        let base_url = findings.keep(BASE_URL, base_url)?;
        let is_served = |kind: &RequestKind| capabilities.operations.contains(&kind.to_string());
        let operations: BTreeSet<RequestKind> = RequestKind::all().into_iter().filter(is_served).collect();
        // One without a key may answer by itself, and needs no address then.
        if base_url.is_none() && !key_less && !place::is_anywhere(provider, &operations) {
            findings.add(BASE_URL, "is missing, and neither the plugin nor a preset says where the service is");
        }
        Some(Ready { plugin: configured, operations, capabilities, base_url, key_less, headers: None })
    }

    /// The provider's header templates, with the plugin that renders them.
    async fn header_templates(&mut self, provider: &config::Provider, findings: &mut Findings) -> Option<Templates> {
        let headers = provider.headers.as_ref()?;
        let plugin = findings.keep("header_templates", self.find(&headers.plugin, Kind::Headers))?;
        let plugin = self.configure(plugin, &Map::new(), Isolation::Shared).await;
        let plugin = findings.keep("header_templates", plugin)?;
        Some(Templates::of(plugin, provider, &headers.templates, self.callers, findings).await)
    }
}

const BASE_URL: &str = "network_config.base_url";
