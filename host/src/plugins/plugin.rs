//! One version of one plugin, loaded: compiled, linked and asked who it is, but not yet configured.

use super::api::Manifest;
use super::api::provider::Preset;
use super::artifact::digest;
use super::exports::{Exports, Indices};
use super::fault::Fault;
use super::guest::Guest;
use super::health::Uses;
use super::inspect::{Kind, Shape};
use super::load::LoadError;
use super::log_budget::LogBudget;
use super::record::Recorder;
use super::script::Script;
use super::slots::{Slot, Slots};
use super::stats::{Alive, Stats};
use semver::Version;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::OnceCell;
use wasmtime::component::{Instance, InstancePre};
use wasmtime::{Store, UpdateDeadline};

/// What one call may cost.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    pub call_timeout: Duration,
    pub memory_limit_bytes: usize,
    /// The largest text that a guest may hand back.
    pub answer_bytes: usize,
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
    presets: OnceCell<Vec<Preset>>,
    pub(super) mould: Mould,
}

/// What a plugin's instances are made of. Scripts have that of their engine.
#[derive(Clone)]
pub(super) struct Mould {
    pub bounds: Bounds,
    pub slots: Arc<Slots<Live>>,
    pub recorder: Option<Arc<Recorder>>,
    /// Without it, a guest that never returns would never be interrupted.
    pub _ticker: Arc<()>,
    pub pre: InstancePre<Guest>,
    pub indices: Arc<Indices>,
}

/// A plugin's file as it was found.
pub(super) struct Found {
    file: PathBuf,
    pub digest: String,
    size_bytes: usize,
    /// The generation that is to have it.
    generation: u64,
}

impl Found {
    pub fn new(file: &Path, bytes: &[u8], generation: u64) -> Self {
        Found { file: file.to_owned(), digest: digest(bytes), size_bytes: bytes.len(), generation }
    }
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

    /// Whether it is an engine for files of this extension.
    pub fn runs(&self, extension: &str) -> bool {
        self.runs.iter().any(|runs| runs == extension)
    }

    /// Lines that the plugin wrote and the log did not take.
    pub fn suppressed_log_lines(&self) -> u64 {
        self.log.suppressed.load(std::sync::atomic::Ordering::Relaxed)
    }

    /// One that has not said yet who it is.
    pub(super) fn nameless(found: Found, shape: Shape, mould: Mould) -> Self {
        let Found { file, digest, size_bytes, generation } = found;
        let name = stem(&file);
        Plugin {
            log: Arc::new(LogBudget::new(name.clone())),
            name,
            version: Version::new(0, 0, 0),
            description: String::new(),
            settings_schema: String::new(),
            digest,
            size_bytes,
            file,
            generation,
            shape,
            script: None,
            runs: Vec::new(),
            stats: Arc::default(),
            uses: Uses::default(),
            presets: OnceCell::new(),
            mould,
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

    /// Whether a provider's paths depend on more than the operation, so that a configuration cannot replace them.
    pub fn has_fixed_paths(&self) -> bool {
        let schema: serde_json::Value = serde_json::from_str(&self.settings_schema).unwrap_or_default();
        schema["x-plugway-fixed-paths"] == true
    }

    /// The compatible services that a provider knows. They are asked for before it is configured, as one of them may bring
    /// the very settings that it needs; and once, as they are the same whatever the settings are.
    pub async fn presets(&self) -> Result<&[Preset], Fault> {
        Ok(self.presets.get_or_try_init(|| self.ask_presets()).await?)
    }

    async fn ask_presets(&self) -> Result<Vec<Preset>, Fault> {
        let mut live = self.instantiate().await?;
        live.store.data_mut().begin(0, 0);
        let Some(provider) = &live.exports.provider else { return Ok(Vec::new()) };
        let asking = provider.plugway_provider_provider().call_get_capabilities(&mut live.store);
        Ok(within(self.load_timeout(), asking).await?.presets)
    }

    /// Loading may take longer than a call: the first run of a guest builds its tables.
    pub(super) fn load_timeout(&self) -> Duration {
        self.mould.bounds.call_timeout.max(Duration::from_secs(5))
    }

    /// A new instance, not yet configured.
    pub(super) async fn instantiate(&self) -> Result<Live, Fault> {
        let mut live = self.bare_instance().await?;
        self.become_script(&mut live).await?;
        Ok(live)
    }

    /// A new instance that knows of no script yet.
    pub(super) async fn bare_instance(&self) -> Result<Live, Fault> {
        let slot = self.mould.slots.take(self.mould.bounds.call_timeout).await;
        let slot = slot.ok_or(Fault::NoSlot(self.mould.slots.count()))?;
        let guest = Guest::new(self.mould.bounds.memory_limit_bytes, self.log.clone());
        let mut store = Store::new(self.mould.pre.engine(), guest);
        store.limiter(|guest| &mut guest.limits);
        // Tokio's own yielding lets the network have its turn; the plain one would only go through the other tasks.
        store.epoch_deadline_callback(|_| Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))));
        store.set_epoch_deadline(FREE_TICKS);
        store.set_hostcall_fuel(self.mould.bounds.answer_bytes);
        // An error where the runtime does not count instructions.
        let _ = store.set_fuel(u64::MAX);
        let limit = self.load_timeout();
        let made = tokio::time::timeout(limit, self.mould.pre.instantiate_async(&mut store)).await;
        let instance = made
            .map_err(|_| Fault::TookTooLong(limit))?
            .map_err(|error| Fault::NoInstance(error.root_cause().to_string()))?;
        let exports = self
            .mould
            .indices
            .load(&mut store, &instance)
            .map_err(|error| Fault::NoInstance(error.root_cause().to_string()))?;
        Ok(Live { store, instance, exports, fresh_bytes: 0, _alive: self.stats.instance(), _slot: slot })
    }
}

/// What a call outside of any request gives, if it does in time.
pub(super) async fn within<T>(limit: Duration, call: impl Future<Output = wasmtime::Result<T>>) -> Result<T, Fault> {
    match tokio::time::timeout(limit, call).await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(Fault::from_call(&error)),
        Err(_) => Err(Fault::TookTooLong(limit)),
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

/// The name of a file without its extension.
pub(super) fn stem(file: &Path) -> String {
    file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}
