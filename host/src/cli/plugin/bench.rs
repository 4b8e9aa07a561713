//! `plugway plugin bench`: what calls cost, in numbers that can be compared from run to run.

use super::cases::{self, Case, Ran};
use super::load::Engine;
use crate::cli::{Exit, small_runtime, usual_plugin_folders};
use crate::config;
use crate::plugins::{Plugin, Runtime};
use crate::reload;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Say what each case costs: WebAssembly instructions, memory, time.
///
/// Each case is called on a warm instance. Instructions and memory are the same in every run and on every machine; time is
/// the median of many calls and only shown. With --baseline, instructions may grow by --tolerance percent and memory by ten;
/// beyond that the exit code is 1.
#[derive(clap::Args)]
pub struct Bench {
    /// A component or a script.
    #[arg(value_name = "FILE")]
    plugin: PathBuf,
    /// The folder of the cases, as for `plugway plugin test`.
    #[arg(long, value_name = "FOLDER")]
    cases: PathBuf,
    /// Compare with what --save has written.
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write the numbers to compare with later.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
    /// By how many percent the instructions of a case may grow.
    #[arg(long, value_name = "PERCENT", default_value_t = 1.0)]
    tolerance: f64,
    #[command(flatten)]
    engine: Engine,
}

/// Memory grows in pages, so that a little more may be a page more.
const MEMORY_TOLERANCE_PERCENT: f64 = 10.0;
/// How long one case is repeated for its time, and how often at most.
const REPEAT: Duration = Duration::from_millis(100);
const MOST_REPEATS: usize = 1_000;

/// What `--save` writes.
#[derive(Serialize, Deserialize)]
struct Numbers {
    plugin: String,
    cases: BTreeMap<String, Cost>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    instructions: u64,
    memory_bytes: usize,
    time_ns: u64,
}

pub fn bench(arguments: Bench) -> Exit {
    let Bench { plugin, cases, baseline, save, tolerance, engine } = arguments;
    let done = baseline.as_deref().map(read).transpose().and_then(|baseline| {
        let numbers = measure(&plugin, &cases, &engine)?;
        if let Some(file) = &save {
            let text = serde_json::to_string_pretty(&numbers).map_err(|error| error.to_string())?;
            fs::write(file, text + "\n").map_err(|error| format!("{}: {error}", file.display()))?;
        }
        Ok((numbers, baseline))
    });
    match done {
        Err(reason) => {
            eprintln!("plugway: {reason}");
            Exit::Refused
        }
        Ok((numbers, baseline)) => {
            print!("{}", table(&numbers));
            baseline.map_or(Exit::Fine, |baseline| compare(&baseline, &numbers, tolerance))
        }
    }
}

fn read(file: &Path) -> Result<Numbers, String> {
    let text = fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        format!("{}: these are no numbers of a benchmark ({error}); write them with --save", file.display())
    })
}

fn measure(file: &Path, folder: &Path, engine: &Engine) -> Result<Numbers, String> {
    let bounds = reload::bounds(&config::default_without_file(&usual_plugin_folders()).at_start().plugins);
    let in_words = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let counting = Runtime::counting(bounds).map_err(|error| in_words(&error))?;
    let timed = engine.load(file).map_err(|error| in_words(&error))?;
    let runtime = small_runtime().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let counted = engine.load_into(&counting, file).await.map_err(|error| in_words(&error))?;
        let (cases, wrong) = cases::read(folder, &timed);
        if !wrong.is_empty() {
            return Err(wrong.join("\n"));
        }
        let mut costs = BTreeMap::new();
        for case in &cases {
            let cost = cost(&counted, &timed, case).await.map_err(|reason| format!("{}: {reason}", case.name()))?;
            costs.insert(case.name(), cost);
        }
        Ok(Numbers { plugin: format!("{timed:?}"), cases: costs })
    })
}

async fn cost(counted: &Plugin, timed: &Plugin, case: &Case) -> Result<Cost, String> {
    let all_at_once = 0..case.call.items();
    let all_at_once = std::slice::from_ref(&all_at_once);
    let mut instance = cases::instance(counted, case.settings().as_deref()).await?;
    // The first call builds what the guest keeps. An instance can be configured only once, though.
    let mut ran = cases::run(&mut instance, &case.call, all_at_once).await?;
    if case.settings().is_some() {
        ran = cases::run(&mut instance, &case.call, all_at_once).await?;
    }
    let Ran { instructions, memory_bytes, .. } = ran;
    let mut times = Vec::new();
    let (began, mut warm) = (Instant::now(), None);
    while times.len() < MOST_REPEATS && began.elapsed() < REPEAT {
        let mut instance = match warm.take() {
            Some(instance) => instance,
            None => cases::instance(timed, case.settings().as_deref()).await?,
        };
        times.push(cases::run(&mut instance, &case.call, all_at_once).await?.took);
        warm = case.settings().is_some().then_some(instance);
    }
    times.sort();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    Ok(Cost { instructions, memory_bytes, time_ns: u64::try_from(median.as_nanos()).unwrap_or(u64::MAX) })
}

fn table(numbers: &Numbers) -> String {
    let width = numbers.cases.keys().map(String::len).max().unwrap_or(0).max(4);
    let mut table = format!("{:width$}  {:>14}  {:>10}  {:>12}\n", "case", "instructions", "memory KiB", "time µs");
    for (name, cost) in &numbers.cases {
        let (kibibytes, microseconds) = (cost.memory_bytes / 1024, cost.time_ns as f64 / 1000.0);
        table.push_str(&format!("{name:width$}  {:>14}  {kibibytes:>10}  {microseconds:>12.1}\n", cost.instructions));
    }
    table
}

fn compare(baseline: &Numbers, now: &Numbers, tolerance: f64) -> Exit {
    let mut worse = Vec::new();
    for (name, cost) in &now.cases {
        let Some(before) = baseline.cases.get(name) else {
            println!("{name} is new: the baseline does not have it");
            continue;
        };
        let grown = |what, before: u64, after: u64, allowed: f64| {
            let percent = (after as f64 / (before as f64).max(1.0) - 1.0) * 100.0;
            (percent > allowed)
                .then(|| format!("{name}: {what} {before} → {after} (+{percent:.1} %, allowed {allowed} %)"))
        };
        worse.extend(grown("instructions", before.instructions, cost.instructions, tolerance));
        let memory = |cost: &Cost| cost.memory_bytes as u64;
        worse.extend(grown("memory bytes", memory(before), memory(cost), MEMORY_TOLERANCE_PERCENT));
    }
    for name in baseline.cases.keys().filter(|name| !now.cases.contains_key(*name)) {
        println!("{name} is gone: only the baseline has it");
    }
    if worse.is_empty() {
        println!("no worse than {}", baseline.plugin);
        return Exit::Fine;
    }
    println!("worse than {}:\n{}", baseline.plugin, worse.join("\n"));
    Exit::Refused
}
