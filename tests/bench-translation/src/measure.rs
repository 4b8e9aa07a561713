//! Criterion measures; the table is made of what it measured.

use crate::wasm::Instance;
use anyhow::{Context, Result, ensure};
use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};
use format_anthropic::AnthropicMessages;
use plugway_sdk::Plugin;
use serde::Deserialize;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;

pub(crate) struct Bench {
    criterion: Criterion,
    runtime: Runtime,
    pub(crate) native: AnthropicMessages,
    instance: Instance,
    only: String,
    samples: PathBuf,
    cases: Vec<Case>,
}

struct Case {
    name: String,
    /// Events or chunks in one call.
    items: usize,
}

impl Bench {
    pub(crate) fn new(runtime: Runtime, wasm: &[u8], seconds: f64, only: String) -> Result<Self> {
        let samples = std::env::temp_dir().join(format!("plugway-bench-translation-{}", std::process::id()));
        let criterion = Criterion::default()
            .output_directory(&samples)
            .without_plots()
            .warm_up_time(Duration::from_millis(500))
            .measurement_time(Duration::from_secs_f64(seconds));
        let settings = serde_json::from_str("{}").context("settings")?;
        let native = AnthropicMessages::new(settings).map_err(|problem| anyhow::anyhow!(problem.message))?;
        let instance = runtime.block_on(Instance::new(wasm))?;
        Ok(Bench { criterion, runtime, native, instance, only, samples, cases: Vec::new() })
    }

    /// Measures one call both ways, after a look whether both give the same.
    pub(crate) fn case<T: PartialEq + std::fmt::Debug>(
        &mut self,
        name: &str,
        items: usize,
        native: impl Fn(&AnthropicMessages) -> T,
        wasm: impl AsyncFn(&mut Instance) -> Result<T>,
    ) -> Result<()> {
        if !name.contains(&self.only) {
            return Ok(());
        }
        let (expected, given) = (native(&self.native), self.runtime.block_on(wasm(&mut self.instance))?);
        ensure!(expected == given, "{name}: native gives\n{expected:?}\nand wasm\n{given:?}");

        let mut group = self.criterion.benchmark_group(name);
        group.bench_function("native", |bencher| bencher.iter(|| native(&self.native)));
        in_wasm(&mut group, &self.runtime, &mut self.instance, &wasm);
        group.finish();
        self.cases.push(Case { name: name.to_owned(), items });
        Ok(())
    }

    pub(crate) fn table(&self) -> Result<String> {
        let mut table =
            String::from("| call | native | wasm | wasm ÷ native | wasm, each event |\n|---|---|---|---|---|\n");
        for Case { name, items } in &self.cases {
            let (native, wasm) = (self.nanoseconds(name, "native")?, self.nanoseconds(name, "wasm")?);
            let each = if *items == 0 { String::new() } else { microseconds(wasm / *items as f64) };
            let ratio = wasm / native;
            writeln!(table, "| {name} | {} | {} | {ratio:.2} | {each} |", microseconds(native), microseconds(wasm))?;
        }
        Ok(table)
    }

    /// The time of one call, from Criterion's samples.
    fn nanoseconds(&self, case: &str, side: &str) -> Result<f64> {
        let folder = case.replace(['/', '?', '"', '\\', '*', '<', '>', ':', '|'], "_");
        let file = self.samples.join(folder).join(side).join("new/sample.json");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        let samples: Samples = serde_json::from_str(&text)?;
        samples.undisturbed().with_context(|| format!("{}: no samples", file.display()))
    }
}

/// What Criterion keeps of a measurement: how often each sample called, and how long that took.
#[derive(Deserialize)]
struct Samples {
    iters: Vec<f64>,
    times: Vec<f64>,
}

impl Samples {
    /// The tenth percentile. On a machine with other tenants the mean and the median are theirs too, and the two sides
    /// of a ratio would not even share them.
    fn undisturbed(&self) -> Option<f64> {
        let mut each: Vec<f64> = self.times.iter().zip(&self.iters).map(|(time, calls)| time / calls).collect();
        each.sort_by(f64::total_cmp);
        each.get(each.len() / 10).copied()
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        // Nobody compares two runs on a shared machine; what is left of it is only in the way.
        let _ = std::fs::remove_dir_all(&self.samples);
    }
}

/// All calls of a measurement in one future, so that the runtime is entered once.
fn in_wasm<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    runtime: &Runtime,
    instance: &mut Instance,
    call: &impl AsyncFn(&mut Instance) -> Result<T>,
) {
    group.bench_function("wasm", |bencher| {
        bencher.iter_custom(|times| {
            runtime.block_on(async {
                let start = Instant::now();
                for _ in 0..times {
                    std::hint::black_box(call(instance).await.expect("it went well the first time"));
                }
                start.elapsed()
            })
        });
    });
}

fn microseconds(nanoseconds: f64) -> String {
    format!("{:.2} µs", nanoseconds / 1e3)
}
