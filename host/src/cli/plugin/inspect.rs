//! `plugway plugin inspect`

use super::load;
use crate::cli::Exit;
use crate::plugins::Plugin;
use serde_json::json;
use std::path::PathBuf;

pub fn inspect(files: &[PathBuf], as_json: bool) -> Exit {
    let mut exit = Exit::Fine;
    for file in files {
        match load(file) {
            Ok(plugin) if as_json => println!("{}", in_json(&plugin)),
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
    json!({
        "name": plugin.name,
        "version": plugin.version.to_string(),
        "description": plugin.description,
        "kinds": plugin.shape.kinds.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "contract_versions": plugin.shape.contracts,
        "imports": plugin.shape.imports,
        "size_bytes": plugin.size_bytes,
        "digest": format!("sha256:{}", plugin.digest),
        "settings_schema": schema,
    })
}

pub fn in_words(plugin: &Plugin) -> String {
    let list = |items: Vec<String>| items.join(", ");
    let kinds = list(plugin.shape.kinds.iter().map(ToString::to_string).collect());
    let contracts = list(plugin.shape.contracts.iter().cloned().collect());
    let mut words = format!(
        "{} {}\n  {}\n  kinds      {kinds}\n  contracts  {contracts}\n  size       {} bytes\n  digest     sha256:{}\n  imports\n",
        plugin.name, plugin.version, plugin.description, plugin.size_bytes, plugin.digest,
    );
    for import in &plugin.shape.imports {
        words.push_str(&format!("    {import}\n"));
    }
    words
}
