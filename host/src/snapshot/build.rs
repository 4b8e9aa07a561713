//! Makes a generation from a configuration and the plugins that are loaded. Nothing here can fail as a whole: what cannot
//! be set up is a trouble, and whether troubles are acceptable is for the one who asked.

mod provider;

use super::routes::{ClientRoute, Routes, Speaker};
use super::trouble::Trouble;
use super::{Alive, PolicyUse, Snapshot, Target};
use crate::config::{self, Callers, Config, Isolation, PluginRequest};
use crate::operation::Operation;
use crate::plugins::api::client::Route;
use crate::plugins::api::policy::Phases;
use crate::plugins::{CallError, Configured, Kind, Plugin, Watcher};
use http::{HeaderName, Method};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// What a generation is made from.
pub struct Ingredients<'a> {
    pub generation: u64,
    pub config: Arc<Config>,
    pub plugins: Vec<Arc<Plugin>>,
    /// Configured plugins that stay the same are taken over, warm instances and all.
    pub previous: Option<&'a Snapshot>,
    pub watcher: Watcher,
}

impl Snapshot {
    pub async fn build(ingredients: Ingredients<'_>) -> Snapshot {
        let Ingredients { generation, config, mut plugins, previous, watcher } = ingredients;
        plugins.sort_by(|a, b| a.name.cmp(&b.name).then_with(|| b.version.cmp(&a.version)));
        let mut builder = Builder {
            plugins: &plugins,
            previous,
            callers: &config.callers,
            watcher,
            configured: Vec::new(),
            troubles: Vec::new(),
        };

        if let Some(reason) = &config.store_trouble {
            builder.trouble("store".to_owned(), reason.clone());
        }
        let (upstream_formats, mut routes) = builder.formats().await;
        if let Some(previous) = previous {
            routes.remember(&previous.routes);
        }
        let mut providers = BTreeMap::new();
        for provider in config.providers.values() {
            let target = builder.target(provider.clone()).await;
            providers.insert(provider.name.clone(), Arc::new(target));
        }
        let policies = builder.policies(&config.policies).await;
        let Builder { configured, troubles, .. } = builder;

        let by_model = index_models(providers.values());
        Snapshot {
            generation,
            config,
            policies,
            troubles,
            providers,
            by_model,
            upstream_formats,
            routes,
            configured,
            plugins,
            _alive: Alive::new(),
        }
    }
}

/// Bare model names, from the providers' lists and from those of their keys, and the keys' aliases.
fn index_models<'a>(targets: impl Iterator<Item = &'a Arc<Target>>) -> HashMap<String, Vec<Arc<Target>>> {
    let mut index: HashMap<String, Vec<Arc<Target>>> = HashMap::new();
    for target in targets {
        for model in target.config.bare_names() {
            let serving = index.entry(model.to_owned()).or_default();
            if !serving.iter().any(|other| Arc::ptr_eq(other, target)) {
                serving.push(target.clone());
            }
        }
    }
    index
}

struct Builder<'a> {
    plugins: &'a [Arc<Plugin>],
    previous: Option<&'a Snapshot>,
    callers: &'a Callers,
    watcher: Watcher,
    configured: Vec<Arc<Configured>>,
    troubles: Vec<Trouble>,
}

impl Builder<'_> {
    /// Notes a trouble and gives its message back.
    fn trouble(&mut self, of: String, message: String) -> String {
        self.troubles.push(Trouble::about(of, message.clone()));
        message
    }

    /// The highest version that matches.
    fn find(&self, request: &PluginRequest, kind: Kind) -> Result<Arc<Plugin>, String> {
        let named: Vec<&Arc<Plugin>> =
            self.plugins.iter().filter(|plugin| plugin.answers_to(&request.name, kind)).collect();
        let matching = named.iter().filter(|plugin| request.versions.matches(&plugin.version));
        if let Some(plugin) = matching.max_by(|a, b| a.version.cmp(&b.version)) {
            return Ok(Arc::clone(plugin));
        }
        let (name, kind) = (&request.name, kind.family());
        if named.is_empty() {
            return Err(format!("there is no {kind} plugin `{name}` in the plugins folder"));
        }
        let versions: Vec<String> = named.iter().map(|plugin| plugin.version.to_string()).collect();
        Err(format!(
            "no version of the {kind} plugin `{name}` matches {}; there is {}",
            request.versions,
            versions.join(", ")
        ))
    }

    /// A configured plugin: one that this or the previous generation has, else a new one.
    async fn configure(
        &mut self,
        plugin: Arc<Plugin>,
        settings: &Map<String, Value>,
        isolation: Isolation,
    ) -> Result<Arc<Configured>, String> {
        let settings = Value::Object(settings.clone()).to_string();
        let known = self.configured.iter().chain(self.previous.into_iter().flat_map(|previous| &previous.configured));
        if let Some(same) = known.into_iter().find(|known| known.serves(&plugin, &settings, isolation)).cloned() {
            if !self.configured.iter().any(|known| Arc::ptr_eq(known, &same)) {
                self.configured.push(same.clone());
            }
            return Ok(same);
        }
        let name = format!("{plugin:?}");
        let made = Configured::new(plugin, settings, isolation, self.watcher.clone()).await;
        let made = Arc::new(made.map_err(|fault| format!("{name}: {fault}"))?);
        self.configured.push(made.clone());
        Ok(made)
    }

    /// The upstream halves by dialect, and the routes of the client halves.
    async fn formats(&mut self) -> (HashMap<String, Arc<Configured>>, Routes) {
        let (mut upstream, mut routes) = (HashMap::new(), Routes::canonical());
        // Highest version first, and the first to claim a dialect or a route has it.
        for plugin in self.plugins {
            if !plugin.is(Kind::FormatUpstream) && !plugin.is(Kind::FormatClient) {
                continue;
            }
            if let Err(message) = self.format(plugin, &mut upstream, &mut routes).await {
                self.trouble(format!("{plugin:?}"), message);
            }
        }
        (upstream, routes)
    }

    async fn format(
        &mut self,
        plugin: &Arc<Plugin>,
        upstream: &mut HashMap<String, Arc<Configured>>,
        routes: &mut Routes,
    ) -> Result<(), String> {
        let superseded = self.plugins.iter().any(|other| other.name == plugin.name && other.version > plugin.version);
        if superseded {
            return Ok(());
        }
        let format = self.configure(plugin.clone(), &Map::new(), Isolation::Shared).await?;
        if plugin.is(Kind::FormatUpstream) {
            let dialect = format.upstream_dialect().await.map_err(in_words)?;
            upstream.entry(dialect).or_insert_with(|| format.clone());
        }
        if plugin.is(Kind::FormatClient) {
            let dialect = format.client_dialect().await.map_err(in_words)?;
            let described = format.routes().await.map_err(in_words)?.into_iter();
            let mounted = described
                .map(|route| client_route(route, &dialect, &format))
                .collect::<Result<_, _>>()
                .and_then(|described| routes.mount(described));
            mounted.map_err(|message| format!("none of its routes is mounted: {message}"))?;
        }
        Ok(())
    }

    async fn policies(&mut self, policies: &[config::Policy]) -> Vec<PolicyUse> {
        let mut uses = Vec::with_capacity(policies.len());
        for (index, policy) in policies.iter().enumerate() {
            let set_up = self.policy(policy).await;
            let name = policy.plugin.name.clone();
            uses.push(match set_up {
                Ok((plugin, phases)) => PolicyUse { name, phases, plugin: Ok(plugin) },
                Err(message) => {
                    let message = self.trouble(format!("policies[{index}]"), message);
                    PolicyUse { name, phases: Phases::REQUEST, plugin: Err(message) }
                }
            });
        }
        uses
    }

    async fn policy(&mut self, policy: &config::Policy) -> Result<(Arc<Configured>, Phases), String> {
        let plugin = self.find(&policy.plugin, Kind::Policy)?;
        let configured = self.configure(plugin, &policy.settings, policy.isolation).await?;
        let phases = configured.phases().await.map_err(in_words)?;
        Ok((configured, phases))
    }
}

fn client_route(route: Route, dialect: &str, format: &Arc<Configured>) -> Result<ClientRoute, String> {
    let Route { method, path, operation: name, model, streaming } = route;
    let (path, header) = match path.split_once(" with ") {
        None => (path, None),
        Some((path, header)) => {
            let wrong = |_| format!("the route {path} asks for {header:?}, which is no name of a header");
            (path.to_owned(), Some(HeaderName::from_bytes(header.as_bytes()).map_err(wrong)?))
        }
    };
    let operation =
        name.parse::<Operation>().map_err(|_| format!("the route {path} has the unknown operation `{name}`"))?;
    let method = Method::from_bytes(method.as_bytes()).map_err(|_| format!("the route {path} has no valid method"))?;
    let format = Speaker::Format(format.clone());
    Ok(ClientRoute { method, path, dialect: dialect.to_owned(), operation, model, streaming, format, header })
}

pub(super) fn in_words(error: CallError) -> String {
    match error {
        CallError::Problem(problem) => problem.message,
        CallError::Fault { plugin, fault } => format!("{plugin}: {fault}"),
    }
}
