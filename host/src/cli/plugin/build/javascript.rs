//! JavaScript: `componentize-qjs`, which puts the module and the engine QuickJS into one component.

use super::Failure;
use super::project::{Project, Section, WORKSHOP, WORLD};
use super::tool::{self, Failed};
use crate::cli::plugin::embedded;
use serde::Deserialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

pub const MANIFEST: &str = "package.json";
const TOOL: &str = "componentize-qjs";
const HELPER: &str = "plugway.js";

/// The members of package.json that matter here.
#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    #[serde(default)]
    description: String,
    main: String,
    #[serde(default)]
    scripts: BTreeMap<String, String>,
    plugway: Section,
}

/// The component's path.
pub fn build(folder: &Path) -> Result<PathBuf, Failure> {
    let text = fs::read_to_string(folder.join(MANIFEST)).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let package: Package = serde_json::from_str(&text).map_err(|error| format!("{MANIFEST}: {error}"))?;
    let Package { name, version, description, main, scripts, plugway } = package;
    let project =
        plugway.into_project(name, version, description).map_err(|message| format!("{MANIFEST}: plugway.{message}"))?;
    if scripts.contains_key("build") {
        run_script(folder)?;
    }
    for file in [&main, HELPER] {
        if !folder.join(file).is_file() {
            let advice = "`plugway plugin new --lang js` shows what a project has";
            return Err(format!("there is no {file} in this folder; {advice}").into());
        }
    }
    let entry = entry(&project, &main);
    let of_ours = |name: &'static str| (name, embedded::template(&format!("js/{name}")));
    let files = [("entry.js", entry.as_str()), of_ours("glue.js"), of_ours("kinds.js")];
    let workshop = project.furnish(folder, &files).map_err(|error| format!("{WORKSHOP}: {error}"))?;
    componentize(folder)?;
    Ok(workshop.join("component.wasm"))
}

/// TypeScript, bundlers and the like: whatever makes `main`.
fn run_script(folder: &Path) -> Result<(), Failure> {
    tool::run(Command::new("npm").args(["run", "--silent", "build"]), folder).map_err(|failed| match failed {
        Failed::Missing => Failure::missing("npm cannot be run; install Node.js 20 or later from https://nodejs.org"),
        Failed::Said(said) => format!("`npm run build` failed:\n{said}").into(),
    })
}

/// The module that the component is made of.
fn entry(project: &Project, main: &str) -> String {
    let kinds = project.kind_names();
    let exports: Vec<&str> = project.kinds.iter().map(|kind| kind.interface_name()).collect();
    format!(
        "import * as plugin from {module};\nimport {{ component }} from \"./glue.js\";\n\n\
         export const {{ lifecycle, {exports} }} = component(plugin, {kinds}, {description});\n",
        module = json!(format!("../{}", main.trim_start_matches("./"))),
        exports = exports.join(", "),
        kinds = json!(kinds),
        description = project.description_as("settingsSchema"),
    )
}

/// WASI stays among the imports, since what the engine says about an uncaught error goes to standard error.
fn componentize(folder: &Path) -> Result<(), Failure> {
    let program = tool::find(folder, &format!("node_modules/.bin/{TOOL}")).unwrap_or_else(|| TOOL.into());
    let inside = |name: &str| format!("{WORKSHOP}/{name}");
    let mut command = Command::new(program);
    command.args(["--sync", "--world", WORLD, "--module-root", "."]);
    command.args(["--wit", &inside("wit"), "--js", &inside("entry.js"), "--output", &inside("component.wasm")]);
    tool::run(&mut command, folder).map_err(|failed| match failed {
        Failed::Missing => Failure::missing(format!(
            "{TOOL} is not installed; run `npm install` in the project's folder \
             (it needs Node.js 20 or later from https://nodejs.org)"
        )),
        Failed::Said(said) => format!("{TOOL} could not build it:\n{said}").into(),
    })
}
