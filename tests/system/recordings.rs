//! Recordings of real provider traffic, which lie outside the repository; a test that finds none says so and passes.

use crate::dialects::Dialect;
use crate::gateway::place;
use serde_json::Value;
use std::path::Path;

/// One recorded call.
pub struct Recording {
    /// `simpleRequest`.
    pub case: String,
    pub request: Value,
    pub response: Option<Value>,
    /// The events of the streamed answer.
    pub stream: Option<Vec<Value>>,
}

/// All of a dialect, in order of their names.
pub fn of(dialect: Dialect) -> Vec<Recording> {
    let folder = place("PLUGWAY_RECORDINGS", "../shared/recordings");
    let Ok(cases) = std::fs::read_dir(&folder) else {
        println!("SKIPPED: no recordings in {}; PLUGWAY_RECORDINGS names their folder", folder.display());
        return Vec::new();
    };
    let name = match dialect {
        Dialect::OpenAi => "chat-completions",
        Dialect::Anthropic => "anthropic",
    };
    let mut recordings: Vec<Recording> = cases
        .filter_map(|case| {
            let case = case.expect("an entry");
            let folder = case.path().join(name);
            Some(Recording {
                case: case.file_name().to_string_lossy().into_owned(),
                request: json(&folder.join("request.json"))?,
                response: json(&folder.join("response.json")),
                stream: json(&folder.join("response-streaming.json")).and_then(|events| events.as_array().cloned()),
            })
        })
        .collect();
    recordings.sort_by(|one, other| one.case.cmp(&other.case));
    recordings
}

fn json(file: &Path) -> Option<Value> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", file.display())))
}
