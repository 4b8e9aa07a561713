//! One version of one plugin, loaded: compiled, linked and asked who it is, but not yet configured.

use super::api::provider::Preset;
use super::api::{Manifest, client, engine, headers, lifecycle, policy, provider, upstream};
use super::artifact::{Artifacts, CompileLimits};
use super::engine::{MAX_INSTANCES, Serving};
use super::guest::Guest;
use super::health::Uses;
use super::inspect::{Kind, MAX_FILE_BYTES, Refusal, Shape, inspect};
use super::log_budget::LogBudget;
use super::record::Recorder;
use super::script::Script;
use super::slots::{Slot, Slots};
use super::stats::{Alive, Stats};
use semver::Version;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use wasmtime::component::{Component, Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

/// What one call may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub call_timeout: Duration,
    pub memory_limit_bytes: usize,
    /// The largest text that a guest may hand back.
    pub answer_bytes: usize,
}

/// Loads plugins.
pub struct Runtime {
    serving: Serving,
    code: Code,
    bounds: Bounds,
    slots: Arc<Slots<Live>>,
    recorder: Option<Arc<Recorder>>,
}

/// Where machine code comes from.
enum Code {
    /// From the folder of compiled plugins, or from a process that compiles for it.
    Kept(Artifacts),
    /// Compiled here and now, for an engine unlike that of a gateway.
    Made,
}

impl Runtime {
    pub fn new(bounds: Bounds, compile: CompileLimits, cache_directory: &Path) -> Result<Self, EngineError> {
        let serving = Serving::new(bounds.memory_limit_bytes).map_err(EngineError)?;
        Ok(Runtime::with(serving, Code::Kept(Artifacts::open(cache_directory, compile)), bounds))
    }

    /// One whose guests run slower and have their instructions counted.
    pub fn counting(bounds: Bounds) -> Result<Self, EngineError> {
        let serving = Serving::counting(bounds.memory_limit_bytes).map_err(EngineError)?;
        Ok(Runtime::with(serving, Code::Made, bounds))
    }

    fn with(serving: Serving, code: Code, bounds: Bounds) -> Self {
        let slots = Arc::new(Slots::new(MAX_INSTANCES as usize));
        Runtime { serving, code, bounds, slots, recorder: None }
    }

    /// Has calls written down that fail.
    pub fn recording(self, recorder: Arc<Recorder>) -> Self {
        Runtime { recorder: Some(recorder), ..self }
    }

    /// Gives back the instances that nobody has asked for in a while.
    pub fn give_back_unused(&self) {
        self.slots.give_back_unused();
    }

    /// Checks, compiles, links and introduces a plugin. Compiling takes long: call it off the serving threads.
    pub async fn load(&self, file: &Path, wasm: &[u8], generation: u64) -> Result<Plugin, LoadError> {
        let mut shape = inspect(wasm)?;
        let digest = super::artifact::digest(wasm);
        let engine = &self.serving.engine;
        let component = match &self.code {
            Code::Kept(artifacts) => artifacts.load(engine, wasm, &digest).await,
            Code::Made => Component::from_binary(engine, wasm),
        };
        let component = component.map_err(LoadError::Compile)?;
        let pre = self.serving.linker.instantiate_pre(&component).map_err(LoadError::Link)?;
        let indices = Indices::find(&pre, &shape).map_err(LoadError::Contract)?;
        if shape.kinds.contains(&Kind::ScriptEngine) {
            // Its other interfaces are those of the scripts that it runs.
            shape.kinds = BTreeSet::from([Kind::ScriptEngine]);
        }
        let stem = stem(file);
        let mut plugin = Plugin {
            name: stem.clone(),
            version: Version::new(0, 0, 0),
            description: String::new(),
            settings_schema: String::new(),
            digest,
            size_bytes: wasm.len(),
            file: file.to_owned(),
            generation,
            shape,
            script: None,
            runs: Vec::new(),
            stats: Arc::default(),
            uses: Uses::default(),
            log: Arc::new(LogBudget::new(stem)),
            bounds: self.bounds,
            slots: self.slots.clone(),
            recorder: self.recorder.clone(),
            ticker: self.serving.ticker.clone(),
            pre,
            indices: Arc::new(indices),
        };
        let live = plugin.bare_instance().await.map_err(LoadError::Describe)?;
        plugin.introduce(live).await?;
        Ok(plugin)
    }
}

fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

/// The bytes of a plugin's file, whole, unless it is unreasonably large.
pub fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    let size = std::fs::metadata(file).map_err(LoadError::Read)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Refusal::TooLarge(size).into());
    }
    std::fs::read(file).map_err(LoadError::Read)
}

/// No plugin can run on this machine.
#[derive(Debug, Error)]
#[error("the plugin engine cannot start: {0:#}")]
pub struct EngineError(wasmtime::Error);

#[derive(Debug, Error)]
pub enum LoadError {
    #[error("the file cannot be read: {0}")]
    Read(std::io::Error),
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("the component cannot be compiled: {0:#}")]
    Compile(wasmtime::Error),
    #[error("the component cannot be linked: {0:#}")]
    Link(wasmtime::Error),
    #[error(
        "an interface of the component is not as the contract says: {0:#}; rebuild the plugin with the SDK of this host"
    )]
    Contract(wasmtime::Error),
    #[error("the script cannot be used: {0}")]
    Script(String),
    #[error("the plugin cannot say who it is, as `describe` failed: {0}")]
    Describe(super::Fault),
    #[error(
        "the plugin says that it is called {0:?}; a name has lower-case letters, digits and hyphens, and at most 64 of them"
    )]
    BadName(String),
    #[error("the plugin says that its version is {0:?}; it must be a semantic version such as 1.4.2")]
    BadVersion(String),
}

/// One version of one plugin.
pub struct Plugin {
    pub name: String,
    pub version: Version,
    pub description: String,
    /// JSON Schema.
    pub settings_schema: String,
    /// sha256 of the file.
    pub digest: String,
    pub size_bytes: usize,
    pub file: PathBuf,
    /// The generation that it came with.
    pub generation: u64,
    pub shape: Shape,
    /// What it is made of, where it is no component.
    pub script: Option<Script>,
    /// The extensions of the files that it makes plugins of, where it is a script engine.
    pub runs: Vec<String>,
    pub stats: Arc<Stats>,
    pub uses: Uses,
    pub(super) log: Arc<LogBudget>,
    pub(super) bounds: Bounds,
    pub(super) slots: Arc<Slots<Live>>,
    pub(super) recorder: Option<Arc<Recorder>>,
    /// Without it, a guest that never returns would never be interrupted.
    ticker: Arc<()>,
    pub(super) pre: InstancePre<Guest>,
    indices: Arc<Indices>,
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl Plugin {
    pub fn is(&self, kind: Kind) -> bool {
        self.shape.kinds.contains(&kind)
    }

    /// Whether a configuration that asks for `name` means this plugin: the kind before its name may be left out.
    pub fn answers_to(&self, name: &str, kind: Kind) -> bool {
        self.is(kind)
            && (self.name == name
                || self.name.strip_prefix(kind.family()).is_some_and(|rest| rest.strip_prefix('-') == Some(name)))
    }

    /// Lines that the plugin wrote and the log did not take.
    pub fn suppressed_log_lines(&self) -> u64 {
        self.log.suppressed.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// Not yet introduced.
    pub(super) fn of_script(script: Script, file: &Path, generation: u64) -> Self {
        let engine = &script.engine;
        let stem = stem(file);
        Plugin {
            name: stem.clone(),
            version: Version::new(0, 0, 0),
            description: String::new(),
            settings_schema: String::new(),
            digest: super::artifact::digest(script.source.as_bytes()),
            size_bytes: script.source.len(),
            file: file.to_owned(),
            generation,
            shape: engine.shape.clone(),
            runs: Vec::new(),
            stats: Arc::default(),
            uses: Uses::default(),
            log: Arc::new(LogBudget::new(stem)),
            bounds: engine.bounds,
            slots: engine.slots.clone(),
            recorder: engine.recorder.clone(),
            ticker: engine.ticker.clone(),
            pre: engine.pre.clone(),
            indices: engine.indices.clone(),
            script: Some(script),
        }
    }

    /// Asks the plugin who it is.
    pub(super) async fn introduce(&mut self, mut live: Live) -> Result<(), LoadError> {
        live.store.data_mut().begin(0, 0);
        let describing = live.exports.lifecycle.plugway_plugin_lifecycle().call_describe(&mut live.store);
        let Manifest { name, version, description, settings_schema } =
            within(self.load_timeout(), describing).await.map_err(LoadError::Describe)?;
        let well_named = (1..=64).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if !well_named {
            return Err(LoadError::BadName(name.chars().take(80).collect()));
        }
        let Ok(parsed) = Version::parse(&version) else {
            return Err(LoadError::BadVersion(version.chars().take(80).collect()));
        };
        if self.is(Kind::ScriptEngine) {
            self.runs = self.ask_extensions(&mut live).await.map_err(LoadError::Describe)?;
        }
        self.log = Arc::new(LogBudget::new(format!("{name}@{parsed}")));
        (self.name, self.version) = (name, parsed);
        (self.description, self.settings_schema) = (description, settings_schema);
        Ok(())
    }

    /// The compatible services that a provider knows. They are asked for before it is configured, as one of them may bring
    /// the very settings that it needs.
    pub async fn presets(&self) -> Result<Vec<Preset>, super::Fault> {
        let mut live = self.instantiate().await?;
        live.store.data_mut().begin(0, 0);
        let Some(provider) = &live.exports.provider else { return Ok(Vec::new()) };
        let asking = provider.plugway_provider_provider().call_get_capabilities(&mut live.store);
        Ok(within(self.load_timeout(), asking).await?.presets)
    }

    /// Loading may take longer than a call: the first run of a guest builds its tables.
    pub(super) fn load_timeout(&self) -> Duration {
        self.bounds.call_timeout.max(Duration::from_secs(5))
    }

    /// A new instance, not yet configured.
    pub(super) async fn instantiate(&self) -> Result<Live, super::Fault> {
        let mut live = self.bare_instance().await?;
        self.become_script(&mut live).await?;
        Ok(live)
    }

    /// A new instance that knows of no script yet.
    pub(super) async fn bare_instance(&self) -> Result<Live, super::Fault> {
        let slot = self.slots.take(self.bounds.call_timeout).await;
        let slot = slot.ok_or(super::Fault::NoSlot(self.slots.count()))?;
        let guest = Guest::new(self.bounds.memory_limit_bytes, self.log.clone());
        let mut store = Store::new(self.pre.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        // Tokio's own yielding lets the network have its turn; the plain one would only go through the other tasks.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        store.set_epoch_deadline(FREE_TICKS);
        store.set_hostcall_fuel(self.bounds.answer_bytes);
        // An error where the runtime does not count instructions.
        let _ = store.set_fuel(u64::MAX);
        let limit = self.load_timeout();
        let made = tokio::time::timeout(limit, self.pre.instantiate_async(&mut store)).await;
        let instance = made
            .map_err(|_| super::Fault::TookTooLong(limit))?
            .map_err(|error| super::Fault::NoInstance(error.root_cause().to_string()))?;
        let exports = self
            .indices
            .load(&mut store, &instance)
            .map_err(|error| super::Fault::NoInstance(error.root_cause().to_string()))?;
        Ok(Live { store, instance, exports, fresh_bytes: 0, _alive: self.stats.instance(), _slot: slot })
    }
}

/// What a call outside of any request gives, if it does in time.
pub(super) async fn within<T>(
    limit: Duration,
    call: impl Future<Output = wasmtime::Result<T>>,
) -> Result<T, super::Fault> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(super::Fault::from_call(&error)),
        Err(_) => Err(super::Fault::TookTooLong(limit)),
    }
}

/// Ticks that pass before a call steps aside for others. The first may come at once, so one would make calls of a few
/// microseconds step aside, and others take more instances meanwhile.
pub(super) const FREE_TICKS: u64 = 2;

/// A running instance and its exports.
pub(super) struct Live {
    pub store: Store<Guest>,
    pub instance: Instance,
    pub exports: Exports,
    /// The memory that it had once it was configured.
    pub fresh_bytes: usize,
    _alive: Alive,
    /// Dropped after the store, which holds what it stands for.
    _slot: Slot,
}

impl Live {
    pub fn memory_bytes(&self) -> usize {
        self.store.data().limits.memory_bytes
    }
}

macro_rules! exports {
    ($($field:ident: $module:ident :: $world:ident, $indices:ident, $kind:ident);+ $(;)?) => {
        /// What an instance exports, by kind.
        pub(super) struct Exports {
            pub lifecycle: lifecycle::Lifecycle,
            $(pub $field: Option<$module::$world>),+
        }

        /// Where in a component its exports are; found once for all instances.
        struct Indices {
            lifecycle: lifecycle::LifecycleIndices,
            $($field: Option<$module::$indices>),+
        }

        impl Indices {
            /// Looks for the kinds that the component exports, each on its own: `bindgen!` wants all or nothing.
            fn find(pre: &InstancePre<Guest>, shape: &Shape) -> wasmtime::Result<Self> {
                Ok(Indices {
                    lifecycle: lifecycle::LifecycleIndices::new(pre)?,
                    $($field: match shape.kinds.contains(&Kind::$kind) {
                        true => Some($module::$indices::new(pre)?),
                        false => None,
                    }),+
                })
            }

            fn load(&self, store: &mut Store<Guest>, instance: &Instance) -> wasmtime::Result<Exports> {
                Ok(Exports {
                    lifecycle: self.lifecycle.load(&mut *store, instance)?,
                    $($field: match &self.$field {
                        Some(indices) => Some(indices.load(&mut *store, instance)?),
                        None => None,
                    }),+
                })
            }
        }
    };
}

exports! {
    provider: provider::Provider, ProviderIndices, Provider;
    upstream: upstream::Upstream, UpstreamIndices, FormatUpstream;
    client: client::Client, ClientIndices, FormatClient;
    headers: headers::Headers, HeadersIndices, Headers;
    policy: policy::Policy, PolicyIndices, Policy;
    engine: engine::Engine, EngineIndices, ScriptEngine;
}
