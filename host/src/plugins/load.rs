//! How a file becomes a plugin: read, checked, compiled, linked and introduced. Scripts take the same way from where they
//! have an engine (`script.rs`).

use super::artifact::{Artifacts, CompileLimits, OutOfBounds};
use super::engine::{MAX_INSTANCES, Serving};
use super::exports::Indices;
use super::fault::Fault;
use super::inspect::{Kind, MAX_FILE_BYTES, Refusal, inspect};
use super::plugin::{Bounds, Found, Live, Mould, Plugin};
use super::record::Recorder;
use super::slots::Slots;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use thiserror::Error;
use wasmtime::component::Component;

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
        let found = Found::new(file, wasm, generation);
        let engine = &self.serving.engine;
        let component = match &self.code {
            Code::Kept(artifacts) => artifacts.load(engine, wasm, &found.digest).await,
            Code::Made => Component::from_binary(engine, wasm),
        };
        let component = component.map_err(LoadError::Compile)?;
        let pre = self.serving.linker.instantiate_pre(&component).map_err(LoadError::Link)?;
        let indices = Arc::new(Indices::find(&pre, &shape).map_err(LoadError::Contract)?);
        if shape.kinds.contains(&Kind::ScriptEngine) {
            // Its other interfaces are those of the scripts that it runs.
            shape.kinds = BTreeSet::from([Kind::ScriptEngine]);
        }
        let mould = Mould {
            bounds: self.bounds,
            slots: self.slots.clone(),
            recorder: self.recorder.clone(),
            _ticker: self.serving.ticker.clone(),
            pre,
            indices,
        };
        let mut plugin = Plugin::nameless(found, shape, mould);
        let live = plugin.bare_instance().await.map_err(LoadError::Describe)?;
        plugin.introduce(live).await?;
        Ok(plugin)
    }
}

/// The bytes of a plugin's file, whole, unless it is unreasonably large.
pub fn read(file: &Path) -> Result<Vec<u8>, LoadError> {
    let size = std::fs::metadata(file).map_err(LoadError::Read)?.len();
    if size > MAX_FILE_BYTES {
        return Err(Refusal::TooLarge(size).into());
    }
    std::fs::read(file).map_err(LoadError::Read)
}

/// What a file's name ends in, without the dot; empty where there is nothing.
pub fn extension(file: &Path) -> &str {
    file.extension().and_then(|extension| extension.to_str()).unwrap_or_default()
}

/// Whether a file's name says that it is a component.
pub fn is_component(file: &Path) -> bool {
    extension(file) == "wasm"
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
    Describe(Fault),
    #[error(
        "the plugin says that it is called {0:?}; a name has lower-case letters, digits and hyphens, and at most 64 of them"
    )]
    BadName(String),
    #[error("the plugin says that its version is {0:?}; it must be a semantic version such as 1.4.2")]
    BadVersion(String),
}

impl LoadError {
    /// Whether the same file may do on another day: the machine had no file descriptor, no time or no memory for it.
    pub fn may_pass(&self) -> bool {
        match self {
            LoadError::Read(_) => true,
            LoadError::Compile(error) => error.is::<OutOfBounds>(),
            LoadError::Refused(_)
            | LoadError::Link(_)
            | LoadError::Contract(_)
            | LoadError::Script(_)
            | LoadError::Describe(_)
            | LoadError::BadName(_)
            | LoadError::BadVersion(_) => false,
        }
    }
}
