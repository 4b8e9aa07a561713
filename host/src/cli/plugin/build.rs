//! `plugway plugin build`: a component from a project in one of three languages, with the tools of that language.

mod javascript;
mod project;
mod python;
mod rust;
mod tool;

use super::Exit;
use super::load::Engine;
use std::fs;
use std::path::{Path, PathBuf};

pub fn build(folders: &[PathBuf], out: &Path) -> Exit {
    let mut exit = Exit::Fine;
    for folder in folders {
        match build_one(folder, out) {
            Ok(line) => println!("{line}"),
            Err(Failure { message, exit: reason }) => {
                eprintln!("plugway: {}: {message}", folder.display());
                // A missing tool is worth more than a build that fails.
                exit = if exit == Exit::Unavailable { exit } else { reason };
            }
        }
    }
    exit
}

/// Why there is no component, and whether the project or the machine is to blame.
struct Failure {
    message: String,
    exit: Exit,
}

impl Failure {
    /// Something is not installed.
    fn missing(message: impl Into<String>) -> Self {
        Failure { message: message.into(), exit: Exit::Unavailable }
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Failure { message, exit: Exit::Refused }
    }
}

fn build_one(folder: &Path, out: &Path) -> Result<String, Failure> {
    let wasm = match Language::of(folder)? {
        Language::Rust => rust::build(folder)?,
        Language::JavaScript => javascript::build(folder)?,
        Language::Python => python::build(folder)?,
    };
    let plugin = Engine::default()
        .load(&wasm)
        .map_err(|reason| format!("it was built, but no gateway would load it: {reason}"))?;
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let target = out.join(format!("{}.wasm", plugin.name));
    // Under another name first: a gateway that watches the folder must not see half a file.
    let unfinished = out.join(format!(".{}.unfinished", plugin.name));
    fs::copy(&wasm, &unfinished)
        .and_then(|_| fs::rename(&unfinished, &target))
        .map_err(|error| format!("{}: {error}", target.display()))?;
    Ok(format!("{} ({plugin:?}, {} bytes)", target.display(), plugin.size_bytes))
}

/// What a plugin is written in, by the manifest that it has.
enum Language {
    Rust,
    JavaScript,
    Python,
}

impl Language {
    fn of(folder: &Path) -> Result<Self, String> {
        let known = [
            (rust::MANIFEST, Language::Rust),
            (javascript::MANIFEST, Language::JavaScript),
            (python::MANIFEST, Language::Python),
        ];
        let mut found: Vec<_> = known.into_iter().filter(|(manifest, _)| folder.join(manifest).is_file()).collect();
        match found.pop() {
            Some((_, language)) if found.is_empty() => Ok(language),
            Some((one, _)) => Err(format!(
                "there are {one} and {} in this folder, so it cannot be told what the plugin is written in; keep one",
                found[0].0
            )),
            None => Err(format!(
                "there is no {}, {} or {} in this folder; `plugway plugin new` makes a project",
                rust::MANIFEST,
                javascript::MANIFEST,
                python::MANIFEST
            )),
        }
    }
}
