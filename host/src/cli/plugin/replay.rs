//! `plugway plugin replay`: a call that failed in a gateway, made again.

use super::load::Engine;
use crate::cli::{Exit, small_runtime, usual_plugin_folders};
use crate::config;
use crate::plugins::{self, Bounds, CallRecord, Kind, Moment, Outcome, Plugin, RecordedOutcome};
use crate::reload;
use crate::telemetry::start_log;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Make a call that failed in a gateway again: the same arguments, clock, chance and bounds.
///
/// Gateways write such calls down where the configuration has plugins.record_failed_calls. The exit code is 0 where the same
/// comes out, and 1 where something else does.
#[derive(clap::Args)]
pub struct Replay {
    /// The component or script; another version of it may be given, to see whether it does better.
    #[arg(value_name = "FILE")]
    plugin: PathBuf,
    /// What the gateway wrote.
    #[arg(long, value_name = "RECORD")]
    call: PathBuf,
    #[command(flatten)]
    engine: Engine,
}

pub fn replay(arguments: Replay) -> Exit {
    let Replay { plugin, call, engine } = arguments;
    let replayed = plugins::read_record(&call).and_then(|record| {
        let runtime = small_runtime().map_err(|error| error.to_string())?;
        let outcome = runtime.block_on(again(&plugin, &record, &engine))?;
        Ok((record, outcome))
    });
    match replayed {
        Ok((record, outcome)) => verdict(&record, &outcome),
        Err(reason) => {
            eprintln!("plugway: {reason}");
            Exit::Refused
        }
    }
}

async fn again(file: &Path, record: &CallRecord, engine: &Engine) -> Result<Outcome, String> {
    let plugin = load(file, record, engine).await?;
    if plugin.digest != record.digest {
        eprintln!(
            "plugway: warning: {} is not the {} that failed: the record is of {}@{}, sha256:{}; this is {plugin:?}, \
             sha256:{}",
            file.display(),
            if plugin.script.is_some() { "script" } else { "component" },
            record.plugin,
            record.version,
            record.digest,
            plugin.digest
        );
    }
    let run_by = plugin.script.as_ref().map(|script| &script.engine);
    if let (Some(run_by), Some(recorded)) = (run_by, &record.engine)
        && run_by.digest != *recorded
    {
        eprintln!(
            "plugway: warning: another engine ran the script when it failed: the record is of sha256:{recorded}; this is \
             {}, sha256:{}",
            run_by.name, run_by.digest
        );
    }
    let functions = plugin.functions();
    let is_it = |kind: Option<Kind>, name: &str| {
        kind.is_some_and(|kind| kind.to_string() == record.kind) && name == record.function
    };
    let function = functions.iter().find(|function| is_it(function.kind, &function.name));
    let function = function.ok_or_else(|| format!("{}: it has no function `{}`", file.display(), record.function))?;
    let settings = record.settings.to_string();
    let mut instance = match plugin.instance(&settings).await {
        Ok(instance) => instance,
        Err(outcome) => return Ok(outcome),
    };
    let moment = Moment { now_ms: record.now_ms, seed: record.seed };
    let called = instance.call(moment, function, &record.arguments).await;
    called
        .map(|called| called.outcome)
        .map_err(|error| format!("the recorded arguments do not fit this plugin: {error}"))
}

/// With the bounds that the gateway had.
async fn load(file: &Path, record: &CallRecord, engine: &Engine) -> Result<Plugin, String> {
    let config = config::default_without_file(&usual_plugin_folders());
    start_log(&config.log);
    let bounds = Bounds {
        call_timeout: Duration::from_millis(record.call_timeout_ms),
        memory_limit_bytes: record.memory_limit_bytes,
        answer_bytes: record.answer_bytes,
    };
    let in_words = |error: &dyn std::fmt::Display| format!("{}: {error}", file.display());
    let runtime = reload::runtime_with(&config.at_start().plugins, bounds).map_err(|error| in_words(&error))?;
    engine.load_into(&runtime, file).await.map_err(|error| in_words(&error))
}

fn verdict(record: &CallRecord, outcome: &Outcome) -> Exit {
    let recorded = match &record.outcome {
        RecordedOutcome::Problem(problem) => format!("the problem {problem}"),
        RecordedOutcome::Fault(fault) => fault.clone(),
        RecordedOutcome::Malformed(what) => format!("an answer that the gateway could not use: {what}"),
    };
    let now = match outcome {
        Outcome::Answer(answer) => format!("the answer {answer}"),
        Outcome::Problem(problem) => format!("the problem {problem}"),
        Outcome::Fault(fault) => fault.to_string(),
    };
    let is_same = match (&record.outcome, outcome) {
        (RecordedOutcome::Problem(recorded), Outcome::Problem(problem)) => recorded == problem,
        (RecordedOutcome::Fault(recorded), Outcome::Fault(fault)) => *recorded == fault.to_string(),
        // What was wrong with the answer is seen only in the request that it was for.
        (RecordedOutcome::Malformed(_), Outcome::Answer(_)) => {
            println!("{} answered in the gateway with {recorded}\nnow: {now}", record.function);
            println!("whether a gateway can use this answer, it alone can say");
            return Exit::Fine;
        }
        _ => false,
    };
    println!("{} in the gateway: {recorded}\nnow: {now}", record.function);
    match is_same {
        true => println!("the same"),
        false => println!("not the same"),
    }
    if is_same { Exit::Fine } else { Exit::Refused }
}
