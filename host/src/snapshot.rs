//! One immutable generation: the configuration and the plugins that serve it. A request takes one at its start and keeps
//! it to its end, so that no reload can change anything under it.

mod build;
mod listing;
mod live;
mod place;
mod routes;
mod templates;
mod trouble;

pub use build::Ingredients;
pub use listing::{Listing, Names};
pub use live::Live;
pub use routes::{ClientRoute, RouteError, Served, Speaker};
pub use templates::{HEADER_VARIABLE, Template, Templates};
pub use trouble::Trouble;

use crate::config::{self, Config};
use crate::plugins::api::policy::Phases;
use crate::plugins::api::provider::Capabilities;
use crate::plugins::{Configured, Plugin};
use crate::vitals::Vitals;
use http::Uri;
use place::Origin;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One generation.
pub struct Snapshot {
    pub generation: u64,
    pub config: Arc<Config>,
    /// All that are loaded, also those that nothing uses; highest version first within one name.
    pub plugins: Vec<Arc<Plugin>>,
    pub policies: Vec<PolicyUse>,
    /// What could not be set up; the rest serves.
    pub troubles: Vec<Trouble>,
    providers: BTreeMap<String, Arc<Target>>,
    by_model: HashMap<String, Vec<Arc<Target>>>,
    upstream_formats: HashMap<String, Arc<Configured>>,
    routes: routes::Routes,
    /// Everything configured, so that the next generation can go on with it.
    configured: Vec<Arc<Configured>>,
    _alive: Alive,
}

/// A provider as it stands in the configuration, and whether it can be used.
pub struct Target {
    pub config: Arc<config::Provider>,
    /// Where its keys go because a plugin said so. No other plugin may say otherwise, until the operator says something.
    home: Option<Origin>,
    /// Why it cannot be used, in words for the operator, where it cannot.
    pub ready: Result<Arc<Ready>, String>,
    pub vitals: Arc<Vitals>,
    /// Its models by its own word, where the configuration has none. The next generation has it too, where block and plugin
    /// are the same.
    pub listing: Arc<Listing>,
}

/// What a usable provider is made of.
pub struct Ready {
    pub plugin: Arc<Configured>,
    pub capabilities: Arc<Capabilities>,
    operations: BTreeSet<config::RequestKind>,
    /// None for a provider that answers by itself.
    pub base_url: Option<Uri>,
    pub key_less: bool,
    pub headers: Option<Templates>,
}

impl Ready {
    /// Whether the plugin serves an operation, streamed or not.
    pub fn serves(&self, kind: config::RequestKind) -> bool {
        self.operations.contains(&kind)
    }
}

/// A policy and when it wants to be asked.
pub struct PolicyUse {
    pub name: String,
    pub phases: Phases,
    /// Why it cannot be asked, where it cannot: then nothing passes, since a policy that is not there must not mean that
    /// everything may.
    pub plugin: Result<Arc<Configured>, String>,
}

impl Snapshot {
    pub fn provider(&self, name: &str) -> Option<&Arc<Target>> {
        self.providers.get(name)
    }

    pub fn providers(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.providers.values()
    }

    /// The providers that have a model of this bare name, in the order of their names: those that the configuration says it
    /// of, else those whose service was heard to list it. Nobody is asked for it.
    pub fn serving_model(&self, model: &str) -> Vec<&Arc<Target>> {
        match self.by_model.get(model) {
            Some(configured) => configured.iter().collect(),
            None => self.providers.values().filter(|target| target.listing.has(model)).collect(),
        }
    }

    /// The upstream half of a dialect's format.
    pub fn upstream_format(&self, dialect: &str) -> Option<&Arc<Configured>> {
        self.upstream_formats.get(dialect)
    }

    pub fn route(
        &self,
        method: &http::Method,
        path: &str,
        headers: &http::HeaderMap,
    ) -> Result<Served<'_>, RouteError> {
        self.routes.find(method, path, headers)
    }

    /// The route whose dialect a caller of this path speaks, where no route is for it.
    pub fn nearest_route(&self, path: &str, headers: &http::HeaderMap) -> Option<&Arc<ClientRoute>> {
        self.routes.nearest(path, headers)
    }

    /// Whether some policy wants to see the chunks of streams; then they cannot pass untouched.
    pub fn reviews_chunks(&self) -> bool {
        self.policies.iter().any(|policy| policy.phases.contains(Phases::CHUNKS))
    }

    /// What this plugin is used for, each with settings of its own.
    pub fn uses(&self, plugin: &Arc<Plugin>) -> impl Iterator<Item = &Arc<Configured>> {
        self.configured.iter().filter(move |configured| Arc::ptr_eq(&configured.plugin, plugin))
    }

    /// Where in the configuration this plugin is out of use after faults.
    pub fn resting(&self, plugin: &Arc<Plugin>) -> Vec<String> {
        let rests = |configured: &Configured| Arc::ptr_eq(&configured.plugin, plugin) && configured.is_resting();
        let providers =
            self.providers.values().filter(|target| target.ready.as_ref().is_ok_and(|it| rests(&it.plugin)));
        let policies = self.policies.iter().enumerate();
        let policies = policies.filter(|(_, policy)| policy.plugin.as_ref().is_ok_and(|plugin| rests(plugin)));
        providers
            .map(|target| format!("providers.{}", target.config.name))
            .chain(policies.map(|(index, _)| format!("policies[{index}]")))
            .collect()
    }

    /// Generations that some request still holds, this one included.
    pub fn alive() -> usize {
        ALIVE.load(Ordering::Relaxed)
    }
}

static ALIVE: AtomicUsize = AtomicUsize::new(0);

/// Counts the generations that are alive.
struct Alive;

impl Alive {
    fn new() -> Self {
        ALIVE.fetch_add(1, Ordering::Relaxed);
        Alive
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Ordering::Relaxed);
    }
}
