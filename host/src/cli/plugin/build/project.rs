//! What a project in JavaScript or Python says of itself in its one manifest, and the contract for its tools.

use crate::cli::plugin::embedded;
use crate::plugins::{self, Kind};
use serde::Deserialize;
use serde_json::{Value, json};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Where the tools find what they need; nothing in it is the author's.
pub const WORKSHOP: &str = ".plugway";
/// The world that a component of this project implements.
pub const WORLD: &str = "component";

/// A plugin, as its manifest says.
pub struct Project {
    pub name: String,
    pub version: String,
    pub description: String,
    pub kinds: Vec<Kind>,
    /// JSON Schema.
    pub settings: Value,
}

/// The part of a manifest that is Plugway's: `plugway` in package.json, `tool.plugway` in pyproject.toml.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Section {
    kinds: Vec<String>,
    #[serde(default = "anything")]
    settings: Value,
}

fn anything() -> Value {
    json!({})
}

impl Section {
    pub fn into_project(self, name: String, version: String, description: String) -> Result<Project, String> {
        let kind = |name: &String| {
            let kind = Kind::named(name).filter(|kind| PROJECTS.contains(kind));
            kind.ok_or_else(|| format!("kinds: there is no kind `{name}`; there are {}", known_kinds()))
        };
        let kinds = self.kinds.iter().map(kind).collect::<Result<Vec<_>, _>>()?;
        if kinds.is_empty() {
            return Err(format!("kinds: a plugin has at least one of {}", known_kinds()));
        }
        Ok(Project { name, version, description, kinds, settings: self.settings })
    }
}

/// What a project in JavaScript or Python can be. An engine for scripts would be an interpreter in an interpreter.
const PROJECTS: [Kind; 5] = [Kind::Provider, Kind::FormatUpstream, Kind::FormatClient, Kind::Headers, Kind::Policy];

fn known_kinds() -> String {
    PROJECTS.map(|kind| kind.to_string()).join(", ")
}

impl Project {
    /// What the plugin's `describe` answers, in the contract's names or, for JavaScript, in its camel case.
    pub fn description_as(&self, settings_schema: &str) -> Value {
        json!({
            "name": self.name,
            "version": self.version,
            "description": self.description,
            settings_schema: self.settings.to_string(),
        })
    }

    pub fn kind_names(&self) -> Vec<String> {
        self.kinds.iter().map(ToString::to_string).collect()
    }

    /// Writes the contract, with a world of this project's kinds, and the files that stand between it and the author's.
    pub fn furnish(&self, folder: &Path, files: &[(&str, &str)]) -> io::Result<PathBuf> {
        let workshop = folder.join(WORKSHOP);
        if workshop.exists() {
            fs::remove_dir_all(&workshop)?;
        }
        let wit = workshop.join("wit");
        for (path, text) in embedded::CONTRACT.iter().filter(|(path, _)| path.ends_with(".wit")) {
            put(&wit.join("deps").join(path), text)?;
        }
        let world = plugins::world(WORLD, &self.kinds);
        put(&wit.join("world.wit"), &format!("package plugway:project;\n\n{world}"))?;
        put(&workshop.join(".gitignore"), "*\n")?;
        for (path, text) in files {
            put(&workshop.join(path), text)?;
        }
        Ok(workshop)
    }
}

fn put(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text)
}
