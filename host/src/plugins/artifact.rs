//! Precompiled components on disk. The key says everything that the machine code depends on, so a stale entry is a miss
//! and never an error.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Artifacts beyond this many are removed, the longest unused first.
const MAX_ENTRIES: usize = 256;
/// The hidden command that compiles for a gateway.
pub const COMPILE: &str = "compile-for-parent";
/// How it ends where the component is at fault.
const REFUSED: i32 = 1;

/// The sha256 of a plugin's bytes, in hexadecimal: what a plugin is, whatever it is called.
pub fn digest(wasm: &[u8]) -> String {
    Sha256::digest(wasm).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What compiling one component may cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CompileLimits {
    pub time: Duration,
    pub memory_bytes: usize,
}

/// Why a component that may be good was not compiled.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct OutOfBounds(String);

/// A private folder of machine code.
pub struct Artifacts {
    limits: CompileLimits,
    /// None: the folder cannot be used, and everything is compiled at each start.
    folder: Option<PathBuf>,
}

impl Artifacts {
    /// What lies in the folder is trusted like the program itself, so a folder that others can write to is not used.
    pub fn open(folder: &Path, limits: CompileLimits) -> Self {
        match private_folder(folder) {
            Ok(()) => Artifacts { limits, folder: Some(folder.to_owned()) },
            Err(error) => {
                tracing::warn!(folder = %folder.display(), %error, "compiled plugins are not kept; start-up will be slower");
                Artifacts { limits, folder: None }
            }
        }
    }

    /// Loads the component, compiling it where no artifact fits. Takes long: never call it on a serving thread.
    pub async fn load(&self, engine: &Engine, wasm: &[u8], digest: &str) -> wasmtime::Result<Component> {
        let path = self.folder.as_ref().map(|folder| folder.join(entry_name(engine, digest)));
        if let Some(component) = path.as_deref().and_then(|path| read(engine, path)) {
            return Ok(component);
        }
        let code = match compile_apart(wasm, self.limits).await {
            Apart::Compiled(code) => code,
            Apart::Failed(reason) => return Err(wasmtime::Error::msg(reason)),
            Apart::OutOfBounds(reason) => return Err(wasmtime::Error::new(OutOfBounds(reason))),
            Apart::NoProcess => super::engine::compile(wasm)?,
        };
        if let Some(path) = path {
            match write(&path, &code) {
                Ok(()) => {
                    self.prune();
                    // From the file, the code is shared with the page cache instead of copied.
                    if let Some(component) = read(engine, &path) {
                        return Ok(component);
                    }
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "a compiled plugin could not be kept"),
            }
        }
        deserialize(engine, &code)
    }

    fn prune(&self) {
        let Some(folder) = &self.folder else { return };
        let Ok(entries) = fs::read_dir(folder) else { return };
        let mut entries: Vec<(SystemTime, PathBuf)> = entries
            .flatten()
            .filter(|entry| entry.path().extension().is_some_and(|extension| extension == "cwasm"))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        entries.sort();
        let excess = entries.len().saturating_sub(MAX_ENTRIES);
        for (_, path) in &entries[..excess] {
            // Losing an entry costs one compilation.
            let _ = fs::remove_file(path);
        }
    }
}

/// Compiles in a process of its own: a compiler takes a hundred megabytes that no allocator gives back in full, and what
/// crashes it, or keeps it busy for ever, must not do that to the gateway.
async fn compile_apart(wasm: &[u8], limits: CompileLimits) -> Apart {
    let mut command = Command::new("/proc/self/exe");
    command.arg(COMPILE).arg(limits.memory_bytes.to_string());
    // Memory that the allocator takes ahead would count against the limit.
    command.env("MIMALLOC_ARENA_EAGER_COMMIT", "0");
    // A backtrace says nothing to an operator, and one that runs out of memory itself never ends.
    command.env("RUST_BACKTRACE", "0");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let Ok(mut child) = command.spawn() else { return Apart::NoProcess };
    let compiling = async {
        // It reads everything before it writes anything, so neither waits for the other. Where it dies early, its status
        // says more than the broken pipe.
        if let Some(mut input) = child.stdin.take() {
            let _ = input.write_all(wasm).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(limits.time, compiling).await {
        Ok(Ok(output)) if output.status.success() => Apart::Compiled(output.stdout),
        Ok(Ok(output)) => limits.failure(output.status, &String::from_utf8_lossy(&output.stderr)),
        Ok(Err(error)) => Apart::OutOfBounds(error.to_string()),
        Err(_) => Apart::OutOfBounds(format!(
            "that takes longer than the {} s that it may; raise plugins.compile_timeout_seconds, or make it smaller",
            limits.time.as_secs_f64()
        )),
    }
}

impl CompileLimits {
    /// Why a compiler failed. One that ran out of memory is ended in the middle of whatever it did.
    fn failure(&self, status: ExitStatus, said: &str) -> Apart {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        if status.code() == Some(REFUSED) && !said.contains("out of memory") {
            return Apart::Failed(said);
        }
        Apart::OutOfBounds(format!(
            "the compiler ended with {status}: {said}; it may use {} MB, and if those are too few, raise \
             plugins.compile_memory_mb",
            self.memory_bytes >> 20
        ))
    }
}

/// What came of compiling in another process.
enum Apart {
    Compiled(Vec<u8>),
    /// The component is at fault.
    Failed(String),
    /// It took more than it may, or was ended by somebody else. Another time it may go well.
    OutOfBounds(String),
    /// The system allows no process.
    NoProcess,
}

/// What that process does: a component on standard input, machine code on standard output, within so much memory.
pub fn compile_for_parent(memory_limit_bytes: u64) -> Result<(), String> {
    // What is written to counts; address space that is only reserved does not.
    let maximum = getrlimit(Resource::Data).maximum;
    let current = maximum.map_or(memory_limit_bytes, |maximum| maximum.min(memory_limit_bytes));
    setrlimit(Resource::Data, Rlimit { current: Some(current), maximum }).map_err(|error| error.to_string())?;
    let mut wasm = Vec::new();
    io::stdin().read_to_end(&mut wasm).map_err(|error| error.to_string())?;
    let code = super::engine::compile(&wasm).map_err(|error| format!("{error:#}"))?;
    io::stdout().write_all(&code).map_err(|error| error.to_string())
}

fn entry_name(engine: &Engine, digest: &str) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{digest}-{:016x}.cwasm", hasher.finish())
}

fn private_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let metadata = fs::metadata(folder)?;
    let probe = fs::metadata("/proc/self").map(|own| own.uid());
    if probe.is_ok_and(|uid| uid != metadata.uid()) {
        return Err(io::Error::other("the folder belongs to another user"));
    }
    if metadata.permissions().mode() & 0o022 != 0 {
        return Err(io::Error::other("others can write to the folder; `chmod 700` it"));
    }
    Ok(())
}

/// None for anything but a good artifact: a missing, cut or foreign file is compiled again.
#[expect(
    unsafe_code,
    reason = "loading machine code is what an artifact is for; the folder is private and keyed by content"
)]
fn read(engine: &Engine, path: &Path) -> Option<Component> {
    let file = fs::OpenOptions::new().read(true).write(true).open(path).ok()?;
    // Pruning goes by the time of last use.
    let _ = file.set_modified(SystemTime::now());
    unsafe { Component::deserialize_file(engine, path) }
        .inspect_err(|error| tracing::debug!(path = %path.display(), %error, "compiled anew"))
        .ok()
}

#[expect(unsafe_code, reason = "the code was made by `compile` a moment ago")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    unsafe { Component::deserialize(engine, code) }
}

/// Atomically, so that another process never loads half an artifact.
fn write(path: &Path, code: &[u8]) -> io::Result<()> {
    let unfinished = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut file = fs::File::create(&unfinished)?;
    file.write_all(code)?;
    // Without it, a power cut can leave the new name on an empty file.
    file.sync_all()?;
    drop(file);
    fs::rename(&unfinished, path)
}
