//! Whether something was printed as a page shows it.

use regex::Regex;
use serde_json::Value;
use std::sync::LazyLock;

/// What is another with each run.
static VARYING: LazyLock<[(Regex, &str); 4]> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", "<time>"),
        (r"\b(req_|sha256:)?[0-9a-f]{12,}\b", "<id>"),
        (r"\b\d+(\.\d+)?(µs|ms|s)\b", "<duration>"),
        (r"\d{5,}", "<number>"),
    ]
    .map(|(pattern, name)| (Regex::new(pattern).expect("a pattern"), name))
});

fn masked(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
    let text = lines.join("\n").trim_end().to_owned();
    VARYING.iter().fold(text, |text, (pattern, name)| pattern.replace_all(&text, *name).into_owned())
}

/// The error is a sentence with both.
pub fn same_text(shown: &str, printed: &str) -> Result<(), String> {
    match fits(&masked(shown), &masked(printed), true) {
        true => Ok(()),
        false => Err(format!("what is printed is not what is shown; it is\n{printed}")),
    }
}

/// Whether some line of the log has this in it.
pub fn is_in_log(shown: &str, log: &str) -> bool {
    let shown = masked(shown);
    log.lines().any(|line| fits(&shown, &masked(line), false))
}

/// JSON may be laid out otherwise than it was printed. Where one member is `"…": "…"`, there are others; where one item of a
/// list is `"…"`, there may be more.
pub fn same_json(shown: &str, printed: &str) -> Result<(), String> {
    let shown = serde_json::from_str(shown).map_err(|error| format!("this is no JSON: {error}"))?;
    let value =
        serde_json::from_str(printed).map_err(|error| format!("what is printed is no JSON: {error}\n{printed}"))?;
    match same_value(&shown, &value) {
        true => Ok(()),
        false => Err(format!("what is printed is not what is shown; it is\n{value:#}")),
    }
}

fn same_value(shown: &Value, printed: &Value) -> bool {
    match (shown, printed) {
        (Value::String(text), _) if text == "…" => true,
        (Value::Object(some), Value::Object(all)) => {
            let known: Vec<_> = some.iter().filter(|(name, _)| *name != "…").collect();
            let complete = known.len() < some.len() || known.len() == all.len();
            complete
                && known.into_iter().all(|(name, shown)| all.get(name).is_some_and(|value| same_value(shown, value)))
        }
        (Value::Array(some), Value::Array(all)) => match some.split_last() {
            Some((Value::String(more), some)) if more == "…" => {
                some.iter().all(|shown| all.iter().any(|value| same_value(shown, value)))
            }
            _ => some.len() == all.len() && some.iter().zip(all).all(|(shown, value)| same_value(shown, value)),
        },
        _ => fits(&masked(&shown.to_string()), &masked(&printed.to_string()), true),
    }
}

/// `…` is anything. Where not all of it must fit, there may be more before and after.
fn fits(shown: &str, printed: &str, all: bool) -> bool {
    let anything = if all { "" } else { "(?s:.*)" };
    let pieces: Vec<String> = shown.split('…').map(regex::escape).collect();
    let pattern = format!("^{anything}{}{anything}$", pieces.join("(?s:.*)"));
    Regex::new(&pattern).expect("a pattern").is_match(printed)
}
