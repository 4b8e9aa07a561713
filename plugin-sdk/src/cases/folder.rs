//! The files: what is in `cases/`, and what is written there.

use super::{diff, layout};
use crate::sse;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// An input and where its output belongs.
pub struct Pair {
    /// The folder.
    pub case: String,
    /// By the name of the WIT.
    pub function: String,
    /// What `configure` gets.
    pub settings: Value,
    /// What the function gets.
    pub input: Value,
    output: PathBuf,
}

/// What one case has of one function.
const INPUT: &str = ".in.json";
const RECORDING: &str = ".in.sse";
const OUTPUT: &str = ".out.json";
const SETTINGS: &str = "settings.json";

/// All pairs in order, and what is wrong with the rest.
pub fn read(cases: &Path, known: &[&str]) -> (Vec<Pair>, Vec<String>) {
    let (mut pairs, mut wrong) = (Vec::new(), Vec::new());
    let folders = entries(cases);
    if folders.is_empty() {
        wrong.push(format!(
            "there is no case in {}; a case is a folder with files such as plan.in.json",
            cases.display()
        ));
    }
    for case in folders {
        match read_case(&case, &cases.join(&case), known) {
            Ok(of_case) => pairs.extend(of_case),
            Err(message) => wrong.push(format!("{case}: {message}")),
        }
    }
    (pairs, wrong)
}

fn read_case(case: &str, folder: &Path, known: &[&str]) -> Result<Vec<Pair>, String> {
    if !folder.is_dir() {
        return Err("a case is a folder; there is nothing else in `cases`".to_owned());
    }
    let files = entries(folder);
    let inputs = inputs(&files, known)?;
    let settings = match files.contains(SETTINGS) {
        true => parse(&folder.join(SETTINGS))?,
        false => json!({}),
    };
    let pair = |(function, file): (String, String)| {
        Ok(Pair {
            case: case.to_owned(),
            settings: settings.clone(),
            input: parse(&folder.join(file))?,
            output: folder.join(format!("{function}{OUTPUT}")),
            function,
        })
    };
    inputs.into_iter().map(pair).collect()
}

/// Functions and the files of their inputs; a file with any other name is a mistake, or a test that never runs.
fn inputs(files: &BTreeSet<String>, known: &[&str]) -> Result<Vec<(String, String)>, String> {
    let mut inputs: Vec<(String, String)> = Vec::new();
    let function =
        |file: &str, ending| file.strip_suffix(ending).filter(|name| known.contains(name)).map(str::to_owned);
    for file in files {
        let input = function(file, INPUT).or(function(file, RECORDING).filter(|name| name == "decode-events"));
        if let Some(function) = input {
            inputs.push((function, file.clone()));
        } else if let Some(function) = function(file, OUTPUT) {
            if !files.contains(&format!("{function}{INPUT}")) && !files.contains(&format!("{function}{RECORDING}")) {
                return Err(format!("`{file}` has no {function}{INPUT}"));
            }
        } else if file != SETTINGS {
            return Err(format!(
                "`{file}` is no file of a case; there are {SETTINGS} and, each with {INPUT} and {OUTPUT}, {}",
                known.join(", ")
            ));
        }
    }
    match inputs.is_empty() {
        true => Err(format!("it has no file that ends in {INPUT}")),
        false => Ok(inputs),
    }
}

impl Pair {
    /// Whether this is what must come out; or writes it down, where that is asked for.
    pub fn settle(&self, answer: &Value, record: bool) -> Result<(), String> {
        let expected = match self.output.exists() {
            true => Some(parse(&self.output)?),
            false => None,
        };
        match expected {
            Some(expected) if expected == *answer => Ok(()),
            _ if record => fs::write(&self.output, layout::text(answer))
                .map_err(|error| format!("its output cannot be written: {error}")),
            Some(expected) => Err(diff::of(&expected, answer)),
            None => Err(format!(
                "there is no {}{OUTPUT}; recorded (PLUGWAY_RECORD=1 cargo test, or plugway plugin test --record) it would be\n{}",
                self.function,
                layout::text(answer)
            )),
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a switch for who runs the tests; a plugin has no configuration here")]
pub(super) fn recording() -> bool {
    std::env::var_os("PLUGWAY_RECORD").is_some_and(|value| value == "1")
}

fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn parse(file: &Path) -> Result<Value, String> {
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let text = fs::read_to_string(file).map_err(|error| format!("{name}: {error}"))?;
    if name.ends_with(RECORDING) {
        return Ok(super::json::events(&sse::read(&text)));
    }
    serde_json::from_str(&text).map_err(|error| format!("{name}: {error}"))
}
