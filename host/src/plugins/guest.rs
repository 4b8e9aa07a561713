//! What a guest finds around it: a linker with nothing dangerous behind it, and the data of its store.

use super::api::{self, Level};
use super::log_budget::{CallLog, LogBudget};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::AsyncWrite;
use wasmtime::component::{HasSelf, Linker, ResourceTable};
use wasmtime::{Engine, ResourceLimiter, StoreLimits, StoreLimitsBuilder};
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{HostMonotonicClock, HostWallClock, WasiCtx, WasiCtxView, WasiView};

/// What one component may be made of. A guest in Rust is one memory, two tables and three core instances, not counting
/// the adapters that wasmtime adds. One in JavaScript has a second memory, which is empty and belongs to its module
/// loader; one in Python is linked of 38 instances. `Limits` bounds all memories together, so a second one is no more room.
pub const MAX_MEMORIES: u32 = 4;
pub const MAX_TABLES: u32 = 8;
pub const MAX_CORE_INSTANCES: u32 = 64;
/// Table elements of one table; a table of a Rust guest has a few hundred.
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// The largest piece of randomness a guest may ask for.
const MAX_RANDOM_BYTES: u64 = 64 * 1024;

/// The data of one guest's store.
pub struct Guest {
    pub limits: Limits,
    wasi: WasiCtx,
    table: ResourceTable,
    /// The time and the seed of the running call: a call sees no other clock and no other chance.
    moment: Arc<Moment>,
    log: Arc<CallLog>,
}

/// Bounds on all of the guest's memories together. What an instance has never shrinks.
pub struct Limits {
    bounds: StoreLimits,
    memory_limit_bytes: usize,
    pub memory_bytes: usize,
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        let together = self.memory_bytes + desired.saturating_sub(current);
        let allowed = together <= self.memory_limit_bytes && self.bounds.memory_growing(current, desired, maximum)?;
        if allowed {
            self.memory_bytes = together;
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> wasmtime::Result<bool> {
        self.bounds.table_growing(current, desired, maximum)
    }

    fn instances(&self) -> usize {
        self.bounds.instances()
    }

    fn tables(&self) -> usize {
        self.bounds.tables()
    }

    fn memories(&self) -> usize {
        self.bounds.memories()
    }
}

/// What one call knows of the world.
#[derive(Default)]
struct Moment {
    now_ms: AtomicU64,
    random: AtomicU64,
}

impl Guest {
    pub fn new(memory_limit_bytes: usize, log: Arc<LogBudget>) -> Self {
        let moment = Arc::new(Moment::default());
        let log = Arc::new(CallLog::new(log));
        let wasi = WasiCtx::builder()
            .stdout(Lines(log.clone()))
            .stderr(Lines(log.clone()))
            .wall_clock(Clock(moment.clone()))
            .monotonic_clock(Clock(moment.clone()))
            .secure_random(Random(moment.clone()))
            .insecure_random(Random(moment.clone()))
            .insecure_random_seed(0)
            .max_random_size(MAX_RANDOM_BYTES)
            .build();
        let limits = StoreLimitsBuilder::new()
            .memories(MAX_MEMORIES as usize)
            .instances(MAX_CORE_INSTANCES as usize)
            .tables(MAX_TABLES as usize)
            .table_elements(MAX_TABLE_ELEMENTS)
            .build();
        let limits = Limits { bounds: limits, memory_limit_bytes, memory_bytes: 0 };
        Guest { limits, wasi, table: ResourceTable::new(), moment, log }
    }

    /// Sets the stage for one call.
    pub fn begin(&mut self, now_ms: u64, seed: u64) {
        self.moment.now_ms.store(now_ms, Ordering::Relaxed);
        self.moment.random.store(seed, Ordering::Relaxed);
        self.log.begin_call();
    }
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl api::lifecycle::plugway::plugin::clock::Host for Guest {
    fn now_ms(&mut self) -> u64 {
        self.moment.now_ms.load(Ordering::Relaxed)
    }
}

impl api::lifecycle::plugway::plugin::log::Host for Guest {
    fn log(&mut self, level: Level, message: String) {
        self.log.write(level, &message);
    }
}

impl api::lifecycle::plugway::plugin::types::Host for Guest {}

impl api::upstream::plugway::format::types::Host for Guest {}

/// Everything a guest may import. WASI's sockets and HTTP are left out, so that a guest that wants them is refused when
/// it is loaded; the file system is there, because Rust's standard library asks for it, and empty.
///
/// The asynchronous variants matter: with the synchronous ones a guest that prints, sleeps or panics would block, and
/// make the host's own thread panic.
pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    use wasmtime_wasi::cli::{WasiCli, WasiCliView};
    use wasmtime_wasi::clocks::{WasiClocks, WasiClocksView};
    use wasmtime_wasi::filesystem::{WasiFilesystem, WasiFilesystemView};
    use wasmtime_wasi::p2::bindings::{cli, clocks, filesystem, random};
    use wasmtime_wasi::random::{WasiRandom, WasiRandomView};

    let mut linker = Linker::new(engine);
    let l = &mut linker;
    wasmtime_wasi::p2::add_to_linker_proxy_interfaces_async(l)?;
    l.allow_shadowing(true);
    clocks::wall_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    clocks::monotonic_clock::add_to_linker::<Guest, WasiClocks>(l, Guest::clocks)?;
    random::random::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    random::insecure::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    random::insecure_seed::add_to_linker::<Guest, WasiRandom>(l, Guest::random)?;
    cli::environment::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::exit::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_input::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_output::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdin::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stdout::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    cli::terminal_stderr::add_to_linker::<Guest, WasiCli>(l, Guest::cli)?;
    filesystem::types::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    filesystem::preopens::add_to_linker::<Guest, WasiFilesystem>(l, Guest::filesystem)?;
    api::lifecycle::Lifecycle::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    api::upstream::plugway::format::types::add_to_linker::<Guest, HasSelf<Guest>>(l, |guest| guest)?;
    Ok(linker)
}

/// Standard output and error of a guest: lines in the host's log.
struct Lines(Arc<CallLog>);

impl IsTerminal for Lines {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Lines {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineWriter(self.0.clone()))
    }
}

struct LineWriter(Arc<CallLog>);

impl AsyncWrite for LineWriter {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        for line in String::from_utf8_lossy(bytes).lines().filter(|line| !line.trim().is_empty()) {
            self.0.write(Level::Info, line);
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

/// A clock that stands still at the call's time.
struct Clock(Arc<Moment>);

impl HostWallClock for Clock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms.load(Ordering::Relaxed))
    }
}

impl HostMonotonicClock for Clock {
    fn resolution(&self) -> u64 {
        1_000_000
    }

    fn now(&self) -> u64 {
        self.0.now_ms.load(Ordering::Relaxed) * 1_000_000
    }
}

/// Randomness that follows from the call's seed (splitmix64), so that a call repeated is a call with the same answer.
struct Random(Arc<Moment>);

impl rand_core::TryRng for Random {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.try_next_u64().map(|word| (word >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut word = self.0.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Ok(word ^ (word >> 31))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for piece in bytes.chunks_mut(8) {
            let word = self.try_next_u64()?.to_le_bytes();
            piece.copy_from_slice(&word[..piece.len()]);
        }
        Ok(())
    }
}
