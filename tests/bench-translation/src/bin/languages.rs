//! What the same provider costs in each language: `languages <name>=<component> …`. Prints the table of
//! `docs/languages.md`.

use anyhow::{Context, Result, anyhow};
use exports::plugway::{format::upstream::Event, provider::provider::Call};
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker, ResourceTable};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

wasmtime::component::bindgen!({
    inline: "package plugway:bench; world languages { include plugway:plugin/plugin@0.1.0; export plugway:provider/provider@0.1.0; export plugway:format/upstream@0.1.0; }",
    path: ["../../wit/plugin", "../../wit/provider", "../../wit/format"],
    exports: { default: async },
});

/// Instances alive at once, to see what one of them takes.
const CROWD: usize = 16;
/// How long each call is repeated.
const PATIENCE: Duration = Duration::from_millis(1_500);

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
        1_700_000_000_000
    }
}

impl plugway::plugin::types::Host for Guest {}

impl plugway::format::types::Host for Guest {}

/// As the gateway has it (`host/src/plugins/engine.rs`).
fn config() -> Config {
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
    config
}

struct Live {
    store: Store<Guest>,
    exports: Languages,
}

async fn instantiate(pre: &InstancePre<Guest>) -> Result<Live> {
    let guest = Guest { wasi: WasiCtx::builder().build(), table: ResourceTable::new() };
    let mut store = Store::new(pre.engine(), guest);
    store.epoch_deadline_async_yield_and_update(1);
    store.set_epoch_deadline(1);
    let exports = LanguagesPre::new(pre.clone())?.instantiate_async(&mut store).await?;
    let configured = exports.plugway_plugin_lifecycle().call_configure(&mut store, &"{}".to_owned()).await?;
    configured.map_err(refused)?;
    Ok(Live { store, exports })
}

impl Live {
    async fn plan(&mut self) -> Result<()> {
        let call = Call {
            operation: CHAT.to_owned(),
            model: "acme-large".to_owned(),
            streaming: true,
            dialect: "openai-chat".to_owned(),
            attempt: 0,
            now_ms: 0,
            credentials: vec!["api_key".to_owned()],
            members: "{}".to_owned(),
        };
        let provider = self.exports.plugway_provider_provider();
        provider.call_plan(&mut self.store, &call).await?.map_err(refused)?;
        Ok(())
    }

    async fn encode(&mut self, body: &String) -> Result<()> {
        let upstream = self.exports.plugway_format_upstream();
        upstream.call_encode_request(&mut self.store, CHAT, "acme-large", body).await?.map_err(refused)?;
        Ok(())
    }

    async fn decode(&mut self, state: &String, events: &[Event]) -> Result<String> {
        let upstream = self.exports.plugway_format_upstream();
        let decoded = upstream.call_decode_events(&mut self.store, CHAT, state, events, false).await?;
        Ok(decoded.map_err(refused)?.state)
    }
}

const CHAT: &str = "chat_completion";

fn refused(problem: plugway::plugin::types::Problem) -> anyhow::Error {
    anyhow!("refused: {}", problem.message)
}

fn event(data: &str) -> Event {
    Event { name: String::new(), data: data.to_owned() }
}

/// A thousand bytes of conversation.
fn question() -> String {
    let turn = |role: &str| format!(r#"{{"role":"{role}","content":"{}"}}"#, "some words of a talk ".repeat(10));
    let turns: Vec<String> = ["user", "assistant", "user", "assistant"].map(turn).into();
    format!(r#"{{"model":"m","stream":true,"temperature":0.5,"messages":[{}]}}"#, turns.join(","))
}

/// The tenth percentile: on a machine with other tenants, most of the rest is theirs.
async fn typical(mut call: impl AsyncFnMut() -> Result<()>) -> Result<Duration> {
    let (mut took, began) = (Vec::new(), Instant::now());
    while took.len() < 20 || began.elapsed() < PATIENCE {
        let start = Instant::now();
        call().await?;
        took.push(start.elapsed());
    }
    took.sort();
    Ok(took[took.len() / 10])
}

async fn row(name: &str, file: &Path) -> Result<String> {
    let wasm = std::fs::read(file).with_context(|| file.display().to_string())?;
    let engine = Engine::new(&config())?;
    let start = Instant::now();
    let code = engine.precompile_component(&wasm)?;
    let compiled = start.elapsed();

    let cached = std::env::temp_dir().join(format!("plugway-languages-{}.cwasm", std::process::id()));
    std::fs::write(&cached, code)?;
    let loaded = typical(async || {
        // SAFETY: it was compiled by this engine a moment ago.
        #[expect(unsafe_code, reason = "loading machine code is what is measured")]
        unsafe { Component::deserialize_file(&engine, &cached) }?;
        Ok(())
    })
    .await?;
    #[expect(unsafe_code, reason = "as above")]
    let component = unsafe { Component::deserialize_file(&engine, &cached) }?;
    std::fs::remove_file(&cached)?;

    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    Languages::add_to_linker::<Guest, HasSelf<Guest>>(&mut linker, |guest| guest)?;
    let pre = linker.instantiate_pre(&component)?;

    let fresh = typical(async || instantiate(&pre).await?.plan().await).await?;
    let mut live = instantiate(&pre).await?;
    let plan = typical(async || live.plan().await).await?;
    let question = question();
    let encode = typical(async || live.encode(&question).await).await?;
    let begin = event(r#"{"at":"begin","talk":"tk-81","engine":"acme-large"}"#);
    let state = live.decode(&String::new(), &[begin]).await?;
    let words = vec![event(r#"{"at":"word","says":"some words "}"#); 16];
    let one = typical(async || live.decode(&state, &words[..1]).await.map(drop)).await?;
    let sixteen = typical(async || live.decode(&state, &words).await.map(drop)).await?;

    let before = resident()?;
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        let mut live = instantiate(&pre).await?;
        live.encode(&question).await?;
        live.decode(&state, &words).await?;
        crowd.push(live);
    }
    let each = resident()?.saturating_sub(before) as f64 / CROWD as f64;
    Ok(format!(
        "| {name} | {:.1} MB | {} | {} | {} | {} | {} | {} | {} | {:.1} MB |",
        wasm.len() as f64 / 1e6,
        shown(compiled),
        shown(loaded),
        shown(fresh),
        shown(plan),
        shown(encode),
        shown(one),
        shown(sixteen),
        each / 1e6,
    ))
}

/// The memory of this process that nothing else shares, in bytes.
fn resident() -> Result<usize> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).context("RssAnon")?;
    let kilobytes: usize = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

fn shown(time: Duration) -> String {
    match time.as_secs_f64() {
        seconds if seconds >= 1.0 => format!("{seconds:.1} s"),
        seconds if seconds >= 1e-3 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{:.1} µs", seconds * 1e6),
    }
}

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    println!("| guest | size | compile | load cached | fresh instance + first call | plan | encode 1 KB | 1 event | 16 events | memory an instance |");
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for argument in std::env::args().skip(1) {
        let (name, file) = argument.split_once('=').context("languages <name>=<component> …")?;
        println!("{}", runtime.block_on(row(name, Path::new(file)))?);
    }
    Ok(())
}
