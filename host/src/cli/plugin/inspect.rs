//! `plugway plugin inspect`

use super::load::Engine;
use crate::cli::Exit;
use crate::plugins::{Plugin, RunBy};
use serde_json::json;
use std::path::PathBuf;

/// Show what a plugin is: kinds, versions, imports, size, digest.
#[derive(clap::Args)]
pub struct Inspect {
    /// Components or scripts.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// One JSON object for each file.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    engine: Engine,
}

pub fn inspect(arguments: Inspect) -> Exit {
    let Inspect { files, json, engine } = arguments;
    let mut exit = Exit::Fine;
    for file in &files {
        match engine.load(file) {
            Ok(plugin) if json => println!("{}", in_json(&plugin)),
            Ok(plugin) => print!("{}", in_words(&plugin)),
            Err(reason) => {
                eprintln!("{}: {reason}", file.display());
                exit = Exit::Refused;
            }
        }
    }
    exit
}

pub fn in_json(plugin: &Plugin) -> serde_json::Value {
    let schema: serde_json::Value = serde_json::from_str(&plugin.settings_schema).unwrap_or_default();
    let mut told = json!({
        "name": plugin.name,
        "version": plugin.version.to_string(),
        "description": plugin.description,
        "kinds": plugin.shape.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "contract_versions": plugin.shape.contracts,
        "imports": plugin.shape.imports,
        "size_bytes": plugin.size_bytes,
        "digest": format!("sha256:{}", plugin.digest),
        "settings_schema": schema,
    });
    if let Some(RunBy { name, digest, .. }) = run_by(plugin) {
        told["engine"] = json!({"name": name, "digest": format!("sha256:{digest}")});
    }
    told
}

fn run_by(plugin: &Plugin) -> Option<&RunBy> {
    plugin.script.as_ref().map(|script| &script.engine)
}

pub fn in_words(plugin: &Plugin) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let kinds = list(plugin.shape.kinds.iter().map(ToString::to_string).collect());
    let contracts = list(plugin.shape.contracts.iter().cloned().collect());
    let mut words = format!(
        "{} {}\n  {}\n  kinds      {kinds}\n  contracts  {contracts}\n  size       {} bytes\n  digest     sha256:{}\n",
        plugin.name, plugin.version, plugin.description, plugin.size_bytes, plugin.digest,
    );
    if let Some(RunBy { name, file, .. }) = run_by(plugin) {
        words.push_str(&format!("  run by     {name}, {}\n", file.display()));
    }
    words.push_str("  imports\n");
    for import in &plugin.shape.imports {
        words.push_str(&format!("    {import}\n"));
    }
    words
}
