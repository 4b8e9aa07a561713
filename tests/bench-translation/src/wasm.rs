//! The component on a warm instance, in an engine that is set up as the gateway's.
#![expect(clippy::ptr_arg, reason = "`bindgen!` makes `&String` of a named string type")]

use anyhow::{Context, Result};
use plugway_bench_translation::bindings::client::exports::plugway::format::client;
use plugway_bench_translation::bindings::client::{Client, ClientIndices};
use plugway_bench_translation::bindings::lifecycle::LifecycleIndices;
use plugway_bench_translation::bindings::upstream::exports::plugway::format::upstream;
use plugway_bench_translation::bindings::upstream::{Upstream, UpstreamIndices};
use plugway_bench_translation::bindings::{CHAT, refused};
use plugway_bench_translation::guest::{self, Guest};
use wasmtime::Store;
use wasmtime::component::Component;

/// As much as the gateway lets an answer have, by default.
const ANSWER_BYTES: usize = 64 << 20;

pub(crate) struct Instance {
    store: Store<Guest>,
    upstream: Upstream,
    client: Client,
}

impl Instance {
    pub(crate) async fn new(wasm: &[u8]) -> Result<Self> {
        let engine = guest::engine()?;
        let component = Component::new(&engine, wasm)?;
        let pre = guest::linker(&engine)?.instantiate_pre(&component)?;
        let (mut store, instance) = guest::instantiate(&pre).await?;
        let lifecycle = LifecycleIndices::new(&pre)?.load(&mut store, &instance)?;
        let upstream = UpstreamIndices::new(&pre)?.load(&mut store, &instance)?;
        let client = ClientIndices::new(&pre)?.load(&mut store, &instance)?;
        let configured = lifecycle.plugway_plugin_lifecycle().call_configure(&mut store, &"{}".to_owned()).await?;
        configured.map_err(refused).context("configure")?;
        Ok(Instance { store, upstream, client })
    }

    /// What the gateway does before each call.
    fn begin(&mut self) {
        self.store.set_epoch_deadline(1);
        self.store.set_hostcall_fuel(ANSWER_BYTES);
    }

    pub(crate) async fn encode_request(&mut self, model: &str, body: &String) -> Result<String> {
        self.begin();
        let half = self.upstream.plugway_format_upstream();
        let translated = half.call_encode_request(&mut self.store, CHAT, model, body).await?;
        Ok(translated.map_err(refused)?.body)
    }

    pub(crate) async fn decode_reply(&mut self, body: &String) -> Result<String> {
        self.begin();
        let half = self.upstream.plugway_format_upstream();
        half.call_decode_reply(&mut self.store, CHAT, body).await?.map_err(refused)
    }

    pub(crate) async fn decode_events(
        &mut self,
        state: &String,
        events: &[upstream::Event],
    ) -> Result<upstream::Decoded> {
        self.begin();
        let half = self.upstream.plugway_format_upstream();
        half.call_decode_events(&mut self.store, CHAT, state, events, false).await?.map_err(refused)
    }

    pub(crate) async fn decode_request(&mut self, model: &str, body: &String) -> Result<String> {
        self.begin();
        let half = self.client.plugway_format_client();
        let translated = half.call_decode_request(&mut self.store, CHAT, model, true, body).await?;
        Ok(translated.map_err(refused)?.body)
    }

    pub(crate) async fn encode_reply(&mut self, body: &String) -> Result<String> {
        self.begin();
        let half = self.client.plugway_format_client();
        half.call_encode_reply(&mut self.store, CHAT, body).await?.map_err(refused)
    }

    pub(crate) async fn encode_events(&mut self, state: &String, chunks: &[String]) -> Result<client::Encoded> {
        self.begin();
        let half = self.client.plugway_format_client();
        let open = client::Progress::Open;
        half.call_encode_events(&mut self.store, CHAT, state, chunks, &open).await?.map_err(refused)
    }
}

pub(crate) fn event(event: &plugway_sdk::Event) -> upstream::Event {
    upstream::Event { name: event.name.clone(), data: event.data.clone() }
}
