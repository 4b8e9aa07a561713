//! `plugway plugin check`: everything that can be said about a component before somebody depends on it.

mod findings;
mod schema;

use super::inspect;
use super::load::{Engine, folder_of};
use crate::cli::{Exit, small_runtime};
use crate::plugins::{self, Footprint, Plugin};
use findings::{Finding, Severity};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// Say what a plugin is, on which hosts it runs, and everything that is wrong with it.
///
/// Errors are what a gateway would refuse, at once or when it is used; the exit code is 1. Warnings work, but surprise
/// somebody.
#[derive(clap::Args)]
pub struct Check {
    /// Components or scripts.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object for each file; docs/author.md says what is in it.
    #[arg(long)]
    json: bool,
    /// The folder that it will lie in, to see whether it goes with the plugins there. Default: the file's own.
    #[arg(long, value_name = "FOLDER")]
    beside: Option<PathBuf>,
    #[command(flatten)]
    engine: Engine,
}

pub fn check(arguments: Check) -> Exit {
    let Check { files, json, beside, engine } = arguments;
    let mut exit = Exit::Fine;
    for file in &files {
        let report = Report::of(file, beside.as_deref(), &engine);
        match json {
            true => println!("{}", report.in_json()),
            false => print!("{}", report.in_words()),
        }
        if report.findings.iter().any(|finding| finding.severity == Severity::Error) {
            exit = Exit::Refused;
        }
    }
    exit
}

struct Report<'a> {
    file: &'a Path,
    /// None: no gateway would load it.
    loaded: Option<(Plugin, Footprint)>,
    findings: Vec<Finding>,
}

impl<'a> Report<'a> {
    fn of(file: &'a Path, beside: Option<&Path>, engine: &Engine) -> Self {
        match look(file, beside, engine) {
            Ok((plugin, footprint, findings)) => Report { file, loaded: Some((plugin, footprint)), findings },
            Err(reason) => Report { file, loaded: None, findings: vec![Finding::error(reason)] },
        }
    }

    fn in_json(&self) -> Value {
        let mut report = match &self.loaded {
            None => json!({}),
            Some((plugin, footprint)) => {
                let mut report = inspect::in_json(plugin);
                report["hosts"] = json!(hosts(plugin));
                report["initial_memory_bytes"] = json!(footprint.initial_memory_bytes);
                report["maximum_memory_bytes"] = json!(footprint.maximum_memory_bytes);
                report["table_elements"] = json!(footprint.table_elements);
                report
            }
        };
        report["file"] = json!(self.file.display().to_string());
        report["loads"] = json!(self.loaded.is_some());
        report["findings"] = self.findings.iter().map(Finding::in_json).collect();
        report
    }

    fn in_words(&self) -> String {
        let findings: String = self.findings.iter().map(|finding| format!("  {finding}\n")).collect();
        let Some((plugin, footprint)) = &self.loaded else {
            return format!("{}: no gateway would load it\n{findings}", self.file.display());
        };
        let Footprint { initial_memory_bytes, maximum_memory_bytes, table_elements } = footprint;
        let kibibytes = |bytes: u64| format!("{} KiB", bytes / 1024);
        let most = maximum_memory_bytes.map_or_else(|| "as much as the host allows".to_owned(), kibibytes);
        let wrong = self.findings.iter().filter(|finding| finding.severity == Severity::Error).count();
        let verdict = match (wrong, self.findings.len()) {
            (0, 0) => "nothing is wrong with it".to_owned(),
            (0, some) => format!("it works; {some} to look at"),
            (wrong, _) => format!("{wrong} wrong"),
        };
        format!(
            "{}  hosts      {}\n  memory     {} at first, {most} at most; {table_elements} table elements\n{findings}{}: {verdict}\n",
            inspect::in_words(plugin),
            hosts(plugin).join("; "),
            kibibytes(*initial_memory_bytes),
            self.file.display(),
        )
    }
}

fn look(file: &Path, beside: Option<&Path>, engine: &Engine) -> Result<(Plugin, Footprint, Vec<Finding>), String> {
    let plugin = engine.load(file)?;
    let component = plugin.script.as_ref().map_or(file, |script| &script.engine.file);
    let wasm = plugins::read(component).map_err(|error| error.to_string())?;
    let runtime = small_runtime().map_err(|error| error.to_string())?;
    let mut findings = runtime.block_on(findings::of(&plugin));
    findings.extend(findings::beside(&plugin, beside.unwrap_or_else(|| folder_of(file)), engine));
    findings.sort_by_key(|finding| finding.severity);
    Ok((plugin, plugins::footprint(&wasm), findings))
}

/// Which hosts it runs on, by the contracts that they offer.
fn hosts(plugin: &Plugin) -> Vec<String> {
    let range = |contract: &String| {
        let (package, version) = contract.split_once('@').unwrap_or((contract, ""));
        format!("{package} {}", plugins::host_range(version))
    };
    plugin.shape.contracts.iter().map(range).collect()
}
