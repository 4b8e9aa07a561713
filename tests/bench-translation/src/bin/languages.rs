//! What the same provider costs in each language. Prints the table of `docs/languages.md`.

use anyhow::{Context, Result};
use plugway_bench_translation::bindings::lifecycle::{Lifecycle, LifecycleIndices};
use plugway_bench_translation::bindings::provider::exports::plugway::provider::provider::Call;
use plugway_bench_translation::bindings::provider::{Provider, ProviderIndices};
use plugway_bench_translation::bindings::script::{Engine, EngineIndices};
use plugway_bench_translation::bindings::upstream::exports::plugway::format::upstream::Event;
use plugway_bench_translation::bindings::upstream::{Upstream, UpstreamIndices};
use plugway_bench_translation::bindings::{CHAT, refused};
use plugway_bench_translation::guest::{self, Guest};
use std::path::Path;
use std::time::{Duration, Instant};
use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

const USAGE: &str = "languages <name>=<component> <name>=<engine>+<script> …";
/// Instances alive at once, to see what one of them takes.
const CROWD: usize = 16;
/// How long each call is repeated.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// What is measured: a component, or a script and its engine.
struct Sample<'a> {
    name: &'a str,
    component: &'a Path,
    script: Option<&'a Path>,
}

impl<'a> Sample<'a> {
    fn parse(argument: &'a str) -> Result<Self> {
        let (name, files) = argument.split_once('=').context(USAGE)?;
        let (component, script) =
            files.split_once('+').map_or((files, None), |(engine, script)| (engine, Some(script)));
        Ok(Sample { name, component: Path::new(component), script: script.map(Path::new) })
    }
}

/// A component that is ready to be instantiated, and the script that each instance gets.
struct Plugin {
    pre: InstancePre<Guest>,
    lifecycle: LifecycleIndices,
    provider: ProviderIndices,
    upstream: UpstreamIndices,
    script: Option<(EngineIndices, String)>,
}

struct Live {
    store: Store<Guest>,
    provider: Provider,
    upstream: Upstream,
}

impl Plugin {
    fn new(pre: InstancePre<Guest>, script: Option<String>) -> Result<Self> {
        let script = script.map(|source| Ok::<_, anyhow::Error>((EngineIndices::new(&pre)?, source))).transpose()?;
        Ok(Plugin {
            lifecycle: LifecycleIndices::new(&pre)?,
            provider: ProviderIndices::new(&pre)?,
            upstream: UpstreamIndices::new(&pre)?,
            script,
            pre,
        })
    }

    async fn instance(&self) -> Result<Live> {
        let (mut store, instance) = guest::instantiate(&self.pre).await?;
        if let Some((engine, source)) = &self.script {
            let engine: Engine = engine.load(&mut store, &instance)?;
            let loading = engine.plugway_script_engine().call_load(&mut store, "provider-acme", source);
            loading.await?.map_err(refused)?;
        }
        let lifecycle: Lifecycle = self.lifecycle.load(&mut store, &instance)?;
        let provider = self.provider.load(&mut store, &instance)?;
        let upstream = self.upstream.load(&mut store, &instance)?;
        let configured = lifecycle.plugway_plugin_lifecycle().call_configure(&mut store, &"{}".to_owned()).await?;
        configured.map_err(refused)?;
        Ok(Live { store, provider, upstream })
    }
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
        let provider = self.provider.plugway_provider_provider();
        provider.call_plan(&mut self.store, &call).await?.map_err(refused)?;
        Ok(())
    }

    async fn encode(&mut self, body: &String) -> Result<()> {
        let upstream = self.upstream.plugway_format_upstream();
        upstream.call_encode_request(&mut self.store, CHAT, "acme-large", body).await?.map_err(refused)?;
        Ok(())
    }

    async fn decode(&mut self, state: &String, events: &[Event]) -> Result<String> {
        let upstream = self.upstream.plugway_format_upstream();
        let decoded = upstream.call_decode_events(&mut self.store, CHAT, state, events, false).await?;
        Ok(decoded.map_err(refused)?.state)
    }
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

async fn row(Sample { name, component, script }: Sample<'_>) -> Result<String> {
    let wasm = std::fs::read(component).with_context(|| component.display().to_string())?;
    let script =
        script.map(|file| std::fs::read_to_string(file).with_context(|| file.display().to_string())).transpose()?;
    let megabytes = format!("{:.1} MB", wasm.len() as f64 / 1e6);
    let size = match &script {
        Some(source) => format!("{:.0} KB + {megabytes}", source.len() as f64 / 1e3),
        None => megabytes,
    };
    let engine = guest::engine()?;
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

    let plugin = Plugin::new(guest::linker(&engine)?.instantiate_pre(&component)?, script)?;

    let fresh = typical(async || plugin.instance().await?.plan().await).await?;
    let mut live = plugin.instance().await?;
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
        let mut live = plugin.instance().await?;
        live.encode(&question).await?;
        live.decode(&state, &words).await?;
        crowd.push(live);
    }
    let each = resident()?.saturating_sub(before) as f64 / CROWD as f64;
    Ok(format!(
        "| {name} | {size} | {} | {} | {} | {} | {} | {} | {} | {:.1} MB |",
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
    println!(
        "| guest | size | compile | load cached | fresh instance + first call | plan | encode 1 KB | 1 event | 16 events | memory an instance |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|");
    for argument in std::env::args().skip(1) {
        println!("{}", runtime.block_on(row(Sample::parse(&argument)?))?);
    }
    Ok(())
}
