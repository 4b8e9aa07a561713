//! A small upstream format, and cases for it that are right and wrong.

use super::{check, format_upstream};
use crate::{Event, Header, Plugin, Problem, Progress, Translated, UpstreamFormat};
use serde::Deserialize;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// Every event is a word; a chunk says which word of the stream it is. `stop` ends the stream.
struct Words {
    loud: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    #[serde(default)]
    loud: bool,
}

impl Plugin for Words {
    type Settings = Settings;
    const DESCRIPTION: &'static str = "Words";

    fn new(settings: Settings) -> Result<Self, Problem> {
        Ok(Words { loud: settings.loud })
    }
}

impl UpstreamFormat for Words {
    const DIALECT: &'static str = "words";
    type State = u32;

    fn encode_request(&self, operation: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        match body.contains("bad") {
            true => Err(Problem::invalid("bad words").at("messages[0]")),
            false => Ok(Translated::exact(format!("{operation} {model} {}", body.len()))),
        }
    }

    fn decode_reply(&self, _operation: &str, body: &str) -> Result<String, Problem> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        match body {
            "impure" => Ok(CALLS.fetch_add(1, Ordering::Relaxed).to_string()),
            body => Ok(body.to_uppercase()),
        }
    }

    fn decode_problem(&self, status: u16, headers: &[Header], body: &str) -> Problem {
        Problem::upstream(format!("{status} {} {body}", headers.len()))
    }

    fn decode_event(
        &self,
        _operation: &str,
        count: &mut u32,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        if event.data == "stop" {
            return Ok(Progress::Complete);
        }
        *count += 1;
        let word = if self.loud { event.data.to_uppercase() } else { event.data.clone() };
        chunks.push(format!("{count} {word}"));
        Ok(Progress::Open)
    }
}

/// What is wrong with one case of these files.
fn wrong(files: &[(&str, &str)]) -> Vec<String> {
    static FOLDERS: AtomicU32 = AtomicU32::new(0);
    let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
    let folder: PathBuf = std::env::temp_dir().join(format!("plugway-sdk-cases-{}-{number}", std::process::id()));
    fs::create_dir_all(folder.join("case")).expect("a folder for the case");
    for (name, text) in files {
        fs::write(folder.join("case").join(name), text).expect("a file of the case");
    }
    let wrong = check(&folder, &[format_upstream::<Words>()]);
    fs::remove_dir_all(&folder).expect("no folder left behind");
    wrong
}

fn the_one_thing_wrong(files: &[(&str, &str)]) -> String {
    let wrong = wrong(files);
    assert_eq!(wrong.len(), 1, "{wrong:?}");
    wrong.into_iter().next().expect("one")
}

#[test]
fn a_case_that_is_right_passes() {
    for files in [
        [
            ("encode-request.in.json", r#"{"model": "m", "messages": []}"#),
            ("encode-request.out.json", r#"{"dropped": [], "body": "chat_completion m 27"}"#),
        ],
        [
            ("encode-request.in.json", r#"{"operation": "o", "model": "n", "body": {"model": "m"}}"#),
            ("encode-request.out.json", r#"{"body": "o n 13", "dropped": []}"#),
        ],
        [
            ("encode-request.in.json", r#"{"messages": ["bad"]}"#),
            (
                "encode-request.out.json",
                r#"{"problem": {"kind": "invalid-request", "message": "bad words", "param": "messages[0]"}}"#,
            ),
        ],
        [
            ("decode-problem.in.json", r#"{"status": 500, "headers": [["a", "b"]], "body": "<html>"}"#),
            ("decode-problem.out.json", r#"{"kind": "upstream", "message": "500 1 <html>"}"#),
        ],
        [
            (
                "decode-events.in.json",
                r#"[{"data": "a"}, {"name": "x", "data": "b"}, {"data": "stop"}, {"data": "c"}]"#,
            ),
            ("decode-events.out.json", r#"{"chunks": ["1 a", "2 b"], "progress": "complete"}"#),
        ],
        [
            ("decode-events.in.sse", "data: a\n\n: comment\n\ndata: b\n\n"),
            ("decode-events.out.json", r#"{"chunks": ["1 a", "2 b"], "progress": "open"}"#),
        ],
        [("configure.in.json", r#"{"loud": true}"#), ("configure.out.json", "null")],
    ] {
        assert_eq!(wrong(&files), [""; 0], "{files:?}");
    }
}

#[test]
fn settings_are_the_cases_own() {
    let files = [
        ("settings.json", r#"{"loud": true}"#),
        ("decode-events.in.json", r#"[{"data": "a"}]"#),
        ("decode-events.out.json", r#"{"chunks": ["1 A"], "progress": "open"}"#),
    ];
    assert_eq!(wrong(&files), [""; 0]);
    let refused = the_one_thing_wrong(&[("settings.json", r#"{"lout": 1}"#), ("decode-reply.in.json", "{}")]);
    assert!(refused.contains("its settings are refused") && refused.contains("unknown field `lout`"), "{refused}");
}

#[test]
fn another_answer_is_shown_as_a_difference() {
    let difference = the_one_thing_wrong(&[
        ("decode-events.in.json", r#"[{"data": "a"}]"#),
        ("decode-events.out.json", r#"{"chunks": ["1 b"], "progress": "open"}"#),
    ]);
    assert!(difference.starts_with("case/decode-events: "), "{difference}");
    assert!(difference.contains("-{\"chunks\": [\"1 b\"]") && difference.contains("+{\"chunks\": [\"1 a\"]"));
}

#[test]
fn calls_must_be_pure() {
    let difference = the_one_thing_wrong(&[("decode-reply.in.json", r#""impure""#)]);
    assert!(difference.contains("calls must be pure"), "{difference}");
}

#[test]
fn files_that_would_be_passed_over_are_mistakes() {
    for (files, message) in [
        (vec![("decode-event.in.json", "[]")], "`decode-event.in.json` is no file of a case"),
        (vec![("plan.in.json", "{}")], "`plan.in.json` is no file of a case"),
        (vec![("decode-reply.in.sse", "")], "`decode-reply.in.sse` is no file of a case"),
        (vec![("decode-reply.out.json", "{}")], "has no decode-reply.in.json"),
        (vec![("settings.json", "{}")], "it has no file that ends in .in.json"),
        (vec![], "it has no file that ends in .in.json"),
        (vec![("decode-reply.in.json", "{")], "decode-reply.in.json: EOF"),
        (vec![("decode-reply.in.json", "{}")], "there is no decode-reply.out.json; recorded ("),
        (vec![("decode-problem.in.json", r#"{"stat": 1}"#)], "its input makes no sense: unknown field `stat`"),
    ] {
        let told = the_one_thing_wrong(&files);
        assert!(told.contains(message), "{files:?}: {told}");
    }
}
