//! The component on a warm instance, in an engine that is set up as the gateway's.
#![expect(clippy::ptr_arg, reason = "`bindgen!` makes `&String` of a named string type")]

use anyhow::{Context, Result};
use exports::plugway::format::{client, upstream};
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

wasmtime::component::bindgen!({
    path: ["../../wit/plugin", "../../wit/format"],
    world: "plugway:format/format-plugin",
    exports: { default: async },
});

/// As much as the gateway lets an answer have, by default.
const ANSWER_BYTES: usize = 64 << 20;

pub(crate) struct Instance {
    store: Store<Guest>,
    exports: FormatPlugin,
}

struct Guest {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Guest {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl plugway::plugin::log::Host for Guest {
    fn log(&mut self, level: plugway::plugin::log::Level, message: String) {
        eprintln!("{level:?}: {message}");
    }
}

impl plugway::plugin::clock::Host for Guest {
    fn now_ms(&mut self) -> u64 {
        0
    }
}

impl plugway::plugin::types::Host for Guest {}

impl plugway::format::types::Host for Guest {}

/// The gateway's configuration, as far as it decides how fast code runs (`host/src/plugins/engine.rs`).
fn engine() -> wasmtime::Result<Engine> {
    let mut pool = PoolingAllocationConfig::default();
    pool.total_component_instances(8).max_memory_size(64 << 20);
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

impl Instance {
    pub(crate) async fn new(wasm: &[u8]) -> Result<Self> {
        let engine = engine()?;
        let component = Component::new(&engine, wasm)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        FormatPlugin::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
        let guest = Guest { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
        let mut store = Store::new(&engine, guest);
        store.epoch_deadline_async_yield_and_update(1);
        store.set_epoch_deadline(1);
        let exports = FormatPlugin::instantiate_async(&mut store, &component, &linker).await?;
        let configured = exports.plugway_plugin_lifecycle().call_configure(&mut store, &"{}".to_owned()).await?;
        configured.map_err(|problem| anyhow::anyhow!(problem.message)).context("configure")?;
        Ok(Instance { store, exports })
    }

    /// What the gateway does before each call.
    fn begin(&mut self) {
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(ANSWER_BYTES);
    }

    pub(crate) async fn encode_request(&mut self, model: &str, body: &String) -> Result<String> {
        self.begin();
        let half = self.exports.plugway_format_upstream();
        let translated = half.call_encode_request(&mut self.store, CHAT, model, body).await?;
        Ok(translated.map_err(refused)?.body)
    }

    pub(crate) async fn decode_reply(&mut self, body: &String) -> Result<String> {
        self.begin();
        let half = self.exports.plugway_format_upstream();
        half.call_decode_reply(&mut self.store, CHAT, body).await?.map_err(refused)
    }

    pub(crate) async fn decode_events(
        &mut self,
        state: &String,
        events: &[upstream::Event],
    ) -> Result<upstream::Decoded> {
        self.begin();
        let half = self.exports.plugway_format_upstream();
        half.call_decode_events(&mut self.store, CHAT, state, events, false).await?.map_err(refused)
    }

    pub(crate) async fn decode_request(&mut self, model: &str, body: &String) -> Result<String> {
        self.begin();
        let half = self.exports.plugway_format_client();
        let translated = half.call_decode_request(&mut self.store, CHAT, model, true, body).await?;
        Ok(translated.map_err(refused)?.body)
    }

    pub(crate) async fn encode_reply(&mut self, body: &String) -> Result<String> {
        self.begin();
        let half = self.exports.plugway_format_client();
        half.call_encode_reply(&mut self.store, CHAT, body).await?.map_err(refused)
    }

    pub(crate) async fn encode_events(&mut self, state: &String, chunks: &[String]) -> Result<client::Encoded> {
        self.begin();
        let half = self.exports.plugway_format_client();
        let open = client::Progress::Open;
        half.call_encode_events(&mut self.store, CHAT, state, chunks, &open).await?.map_err(refused)
    }
}

const CHAT: &str = "chat_completion";

fn refused(problem: plugway::plugin::types::Problem) -> anyhow::Error {
    anyhow::anyhow!("refused: {}", problem.message)
}

pub(crate) fn event(event: &plugway_sdk::Event) -> upstream::Event {
    upstream::Event { name: event.name.clone(), data: event.data.clone() }
}
