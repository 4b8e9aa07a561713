//! Python: `componentize-py`, which puts the modules and CPython into one component.

use super::Failure;
use super::project::{Project, Section, WORKSHOP, WORLD};
use super::tool::{self, Failed};
use crate::cli::plugin::embedded;
use serde::Deserialize;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const MANIFEST: &str = "pyproject.toml";
const TOOL: &str = "componentize-py";
/// The modules that every project has.
const MODULES: [&str; 2] = ["plugin.py", "plugway.py"];
/// The module that the component is made of, and what it stands on; their names must be nobody else's.
const ENTRY: &str = "plugway_entry";
const GLUE: &str = "plugway_glue";

/// The tables of pyproject.toml that matter here.
#[derive(Deserialize)]
struct Manifest {
    project: Metadata,
    tool: Tools,
}

#[derive(Deserialize)]
struct Metadata {
    name: String,
    version: String,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
struct Tools {
    plugway: Section,
}

/// The component's path.
pub fn build(folder: &Path) -> Result<PathBuf, Failure> {
    let text = fs::read_to_string(folder.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let Manifest { project, tool } =
        toml::from_str(&text).map_err(|error| format!("{MANIFEST}: {}", error.to_string().trim_end()))?;
    let project = tool
        .plugway
        .into_project(project.name, project.version, project.description)
        .map_err(|message| format!("{MANIFEST}: tool.plugway.{message}"))?;
    if let Some(missing) = MODULES.iter().find(|module| !folder.join(module).is_file()) {
        let advice = "`plugway plugin new --lang python` shows what a project has";
        return Err(format!("there is no {missing} in this folder; {advice}").into());
    }
    let (entry_file, glue_file) = (format!("{ENTRY}.py"), format!("{GLUE}.py"));
    let entry = entry(&project);
    let files = [(entry_file.as_str(), entry.as_str()), (glue_file.as_str(), embedded::template("python/glue.py"))];
    let workshop = project.furnish(folder, &files).map_err(|error| format!("{WORKSHOP}: {error}"))?;
    componentize(folder)?;
    Ok(workshop.join("component.wasm"))
}

fn entry(project: &Project) -> String {
    let exports: Vec<String> = project.kinds.iter().map(|kind| capitalized(kind.interface_name())).collect();
    format!(
        "import json\n\nimport plugin\nfrom {GLUE} import component\n\n\
         Lifecycle, {exports} = component(plugin, {kinds}, json.loads({description}))\n",
        exports = exports.join(", "),
        kinds = json!(project.kind_names()),
        // Twice: JSON text as a string, which Python reads as JSON writes it.
        description = json!(project.description_as("settings_schema").to_string()),
    )
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}

/// Without WASI, since CPython would import sockets, which no gateway offers. Output, clock and errors go through the
/// contract instead; `glue.py` sees to that.
fn componentize(folder: &Path) -> Result<(), Failure> {
    let program = tool::find(folder, &format!(".venv/bin/{TOOL}")).unwrap_or_else(|| TOOL.into());
    let inside = |name: &str| format!("{WORKSHOP}/{name}");
    let mut command = Command::new(program);
    command.args(["--quiet", "--wit-path", &inside("wit"), "--world", WORLD, "componentize", "--stub-wasi"]);
    command.args(["--python-path", WORKSHOP, "--python-path", ".", "--output", &inside("component.wasm"), ENTRY]);
    tool::run(&mut command, folder).map_err(|failed| match failed {
        Failed::Missing => Failure::missing(format!(
            "{TOOL} is not installed; run `python3 -m venv .venv` and `.venv/bin/pip install -r requirements.txt` \
             in the project's folder (it needs Python 3.11 or later from https://python.org)"
        )),
        Failed::Said(said) => format!("{TOOL} could not build it:\n{said}").into(),
    })
}
