//! The engine that serves, the one that compiles, and what both agree on.

use super::guest::{self, Guest, MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_TABLES};
use std::sync::{Arc, Weak};
use std::time::Duration;
use wasmtime::component::Linker;
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How often running guests look whether they should step aside for others.
const TICK: Duration = Duration::from_millis(2);
/// Instances alive at once, over all plugins. Each reserves address space, not memory.
pub const MAX_INSTANCES: u32 = 1_000;
/// Enough for deep JSON and small enough that endless recursion ends at once.
const MAX_STACK_BYTES: usize = 512 * 1024;
/// Slots that keep their pages after an instance is gone. Warm instances are kept elsewhere; these serve fresh ones.
const WARM_SLOTS: u32 = 8;
/// Memory that an idle slot keeps instead of giving it back to the system.
const KEEP_RESIDENT_BYTES: usize = 256 * 1024;

/// The engine that runs guests. It holds no compiler: compiling goes through [`compile`].
pub struct Serving {
    pub engine: Engine,
    pub linker: Linker<Guest>,
    /// Keeps the ticker's thread running; whoever outlives this engine and calls guests holds it too.
    pub ticker: Arc<()>,
}

impl Serving {
    pub fn new(memory_limit_bytes: usize) -> wasmtime::Result<Self> {
        Serving::with(shared_config(), memory_limit_bytes)
    }

    /// For tools: every instruction of a guest uses up fuel, so that they can be counted.
    pub fn counting(memory_limit_bytes: usize) -> wasmtime::Result<Self> {
        let mut config = shared_config();
        config.consume_fuel(true);
        Serving::with(config, memory_limit_bytes)
    }

    fn with(mut config: Config, memory_limit_bytes: usize) -> wasmtime::Result<Self> {
        let mut pool = PoolingAllocationConfig::default();
        pool.total_component_instances(MAX_INSTANCES)
            .total_core_instances(MAX_CORE_INSTANCES * MAX_INSTANCES)
            .total_memories(MAX_MEMORIES * MAX_INSTANCES)
            .total_tables(MAX_TABLES * MAX_INSTANCES)
            .total_stacks(MAX_INSTANCES)
            .max_memories_per_component(MAX_MEMORIES)
            .max_memory_size(memory_limit_bytes)
            .max_unused_warm_slots(WARM_SLOTS)
            .linear_memory_keep_resident(KEEP_RESIDENT_BYTES)
            .async_stack_keep_resident(16 * 1024);
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let linker = guest::linker(&engine)?;
        let ticker = Arc::new(());
        start_ticker(engine.clone(), Arc::downgrade(&ticker))?;
        Ok(Serving { engine, linker, ticker })
    }
}

/// Machine code for a component. The engine that makes it is thrown away, and the compiler's memory with it.
pub fn compile(wasm: &[u8]) -> wasmtime::Result<Vec<u8>> {
    Engine::new(&shared_config())?.precompile_component(wasm)
}

/// What decides whether an artifact made by one engine can be loaded by the other, and what a guest may use.
fn shared_config() -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(MAX_STACK_BYTES)
        .async_stack_size(2 * MAX_STACK_BYTES)
        .wasm_component_model_map(false)
        .wasm_component_model_error_context(false)
        .wasm_relaxed_simd(false)
        // Wasmtime's own adapters between the parts of a component copy from one memory to another. A guest whose code
        // names a second memory is refused by `inspect`.
        .wasm_multi_memory(true)
        .wasm_memory64(false)
        .cranelift_nan_canonicalization(true);
    config
}

#[expect(clippy::disallowed_methods, reason = "a thread of its own, which has nothing else to do")]
fn start_ticker(engine: Engine, alive: Weak<()>) -> wasmtime::Result<()> {
    std::thread::Builder::new().name("plugin-ticker".into()).spawn(move || {
        while alive.strong_count() > 0 {
            std::thread::sleep(TICK);
            engine.increment_epoch();
        }
    })?;
    Ok(())
}
