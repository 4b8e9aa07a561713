//! Rust: Cargo, with what a component needs.

use super::Failure;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub const MANIFEST: &str = "Cargo.toml";
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

/// The component's path.
pub fn build(folder: &Path) -> Result<PathBuf, Failure> {
    check_target().map_err(Failure::missing)?;
    Ok(cargo(&folder.join(MANIFEST))?)
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
