//! `plugway plugin build`: Cargo, with what a component needs.

use super::{Exit, load};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const TARGET: &str = "wasm32-wasip2";

/// Small and fast: a plugin is compiled again on every machine, and a panic ends its instance anyway.
const PROFILE: &[&str] = &[
    "profile.plugway-plugin.inherits='release'",
    "profile.plugway-plugin.lto='fat'",
    "profile.plugway-plugin.codegen-units=1",
    "profile.plugway-plugin.panic='abort'",
    "profile.plugway-plugin.debug=false",
    "profile.plugway-plugin.strip='debuginfo'",
    "profile.plugway-plugin.incremental=false",
];

pub fn build(folders: &[PathBuf], out: &Path) -> Exit {
    if let Err(message) = check_target() {
        eprintln!("plugway: {message}");
        return Exit::Unavailable;
    }
    let mut exit = Exit::Fine;
    for folder in folders {
        match build_one(folder, out) {
            Ok(line) => println!("{line}"),
            Err(message) => {
                eprintln!("plugway: {}: {message}", folder.display());
                exit = Exit::Refused;
            }
        }
    }
    exit
}

/// Without the target Cargo's own error says `can't find crate for core`, which helps nobody.
fn check_target() -> Result<(), String> {
    let printed = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .output()
        .map_err(|error| format!("rustc cannot be run ({error}); install Rust from https://rustup.rs"))?;
    let folder = String::from_utf8_lossy(&printed.stdout).trim().to_owned();
    match Path::new(&folder).is_dir() {
        true => Ok(()),
        false => Err(format!("Rust's target {TARGET} is not installed; run `rustup target add {TARGET}`")),
    }
}

fn build_one(folder: &Path, out: &Path) -> Result<String, String> {
    let manifest = folder.join("Cargo.toml");
    if !manifest.is_file() {
        return Err("there is no Cargo.toml in this folder".to_owned());
    }
    let wasm = cargo(&manifest)?;
    let plugin = load(&wasm).map_err(|reason| format!("it was built, but no gateway would load it: {reason}"))?;
    fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
    let target = out.join(format!("{}.wasm", plugin.name));
    // Under another name first: a gateway that watches the folder must not see half a file.
    let unfinished = out.join(format!(".{}.unfinished", plugin.name));
    fs::copy(&wasm, &unfinished)
        .and_then(|_| fs::rename(&unfinished, &target))
        .map_err(|error| format!("{}: {error}", target.display()))?;
    Ok(format!("{} ({plugin:?}, {} bytes)", target.display(), plugin.size_bytes))
}

/// Builds a crate; the component's path.
fn cargo(manifest: &Path) -> Result<PathBuf, String> {
    let mut command = Command::new("cargo");
    command.args(["build", "--lib", "--target", TARGET, "--profile", "plugway-plugin"]);
    command.args(["--message-format", "json-render-diagnostics", "--manifest-path"]).arg(manifest);
    for line in PROFILE {
        command.args(["--config", line]);
    }
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo cannot be run ({error}); install Rust from https://rustup.rs"))?;
    if !output.status.success() {
        return Err("cargo could not build it; its errors stand above".to_owned());
    }
    let built = String::from_utf8_lossy(&output.stdout);
    let artifacts = built.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    artifacts
        .filter_map(|message| message.get("filenames")?.as_array().cloned())
        .flatten()
        .filter_map(|name| name.as_str().map(PathBuf::from))
        .rfind(|name| name.extension().is_some_and(|extension| extension == "wasm"))
        .ok_or_else(|| "cargo made no .wasm file; the manifest needs `[lib] crate-type = [\"cdylib\"]`".to_owned())
}
