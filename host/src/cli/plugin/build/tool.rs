//! The componentizers: programs that a project brings along, or that are installed.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Looks for `inside` (`node_modules/.bin/x`) in the project's folder and in those around it, as the languages' own
/// tools do. What is only on the `PATH` is found by its bare name.
pub fn find(folder: &Path, inside: &str) -> Option<PathBuf> {
    let folder = folder.canonicalize().ok()?;
    folder.ancestors().map(|ancestor| ancestor.join(inside)).find(|tool| tool.is_file())
}

/// Runs it in the project's folder. Componentizers talk much when all is well, so what they say is shown only where it
/// is not.
pub fn run(command: &mut Command, folder: &Path) -> Result<(), Failed> {
    let output = command.current_dir(folder).output().map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Failed::Missing,
        _ => Failed::Said(error.to_string()),
    })?;
    if output.status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].concat();
    Err(Failed::Said(String::from_utf8_lossy(&said).trim().to_owned()))
}

pub enum Failed {
    Missing,
    Said(String),
}
