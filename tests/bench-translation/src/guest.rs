//! An engine, and what a guest finds around it.

use crate::bindings::{lifecycle, upstream};
use wasmtime::component::{HasSelf, Instance, InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

pub struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl lifecycle::plugway::plugin::log::Host for Guest {
    fn log(&mut self, level: lifecycle::plugway::plugin::log::Level, message: String) {
        eprintln!("{level:?}: {message}");
    }
}

impl lifecycle::plugway::plugin::clock::Host for Guest {
    fn now_ms(&mut self) -> u64 {
        1_700_000_000_000
    }
}

impl lifecycle::plugway::plugin::types::Host for Guest {}

impl upstream::plugway::format::types::Host for Guest {}

pub fn engine() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(64).max_memories_per_component(4).max_memory_size(256 << 20);
    let mut config = Config::new();
    config
        .concurrency_support(false)
        .epoch_interruption(true)
        .max_wasm_stack(512 * 1024)
        .async_stack_size(1024 * 1024)
        .cranelift_nan_canonicalization(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&config)
}

pub fn linker(engine: &Engine) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    lifecycle::Lifecycle::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    upstream::plugway::format::types::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    Ok(linker)
}

/// A new instance, not yet configured.
pub async fn instantiate(pre: &InstancePre<Guest>) -> wasmtime::Result<(Store<Guest>, Instance)> {
    let guest = Guest { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
    let mut store = Store::new(pre.engine(), guest);
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    let instance = pre.instantiate_async(&mut store).await?;
    Ok((store, instance))
}
