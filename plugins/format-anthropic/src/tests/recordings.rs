//! Real traffic, which stays where it is: in the folder that `PLUGWAY_RECORDINGS` names.

use super::message::{from_chunks, from_events};
use super::{CHAT, decode_request, encode_request, format, parse, read_stream, write_stream};
use plugway_sdk::{ClientFormat, Progress, UpstreamFormat};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};

/// The recordings of a dialect whose name ends so, as `case/dialect/file` and content. Empty, with a word to the
/// reader, where there are none.
#[expect(clippy::disallowed_methods, reason = "a test has no configuration that could name the folder")]
fn recordings(dialect: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<(String, Value)> {
    let folder = std::env::var_os("PLUGWAY_RECORDINGS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/recordings"), PathBuf::from);
    let mut found = Vec::new();
    for case in entries(&folder) {
        for side in entries(&case).into_iter().filter(|side| name(side).ends_with(dialect)) {
            for file in entries(&side).into_iter().filter(|file| is_wanted(&name(file))) {
                let label = format!("{}/{}/{}", name(&case), name(&side), name(&file));
                let text = fs::read_to_string(&file).expect("a recording can be read");
                found.push((label, serde_json::from_str(&text).expect("a recording is JSON")));
            }
        }
    }
    if found.is_empty() {
        eprintln!("SKIPPED: no recordings of {dialect} in {}", folder.display());
    }
    found
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<_> = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn is_request(file: &str) -> bool {
    file.ends_with("request.json")
}

fn is_response(file: &str) -> bool {
    file.ends_with("response.json")
}

fn is_stream(file: &str) -> bool {
    file.ends_with("response-streaming.json")
}

/// A request with the several ways of writing the same thing made one. These are all the differences that a round trip
/// may make.
fn plain(mut request: Value) -> Value {
    let members = request.as_object_mut().expect("a request is an object");
    // A string is short for one text block.
    if let Some(system) = members.get_mut("system") {
        *system = blocks(system);
    }
    for turn in members["messages"].as_array_mut().unwrap() {
        turn["content"] = blocks(&turn["content"]);
        for block in turn["content"].as_array_mut().unwrap() {
            if block["type"] == "tool_result" && !block["content"].is_null() {
                block["content"] = blocks(&block["content"]);
            }
        }
    }
    // Turns of one role in a row are one turn, and one that says nothing is none.
    let turns = members["messages"].as_array_mut().unwrap();
    turns.retain(|turn| turn["content"] != json!([]));
    turns.dedup_by(|later, earlier| {
        let same = later["role"] == earlier["role"];
        if same {
            let more = later["content"].as_array().unwrap().clone();
            earlier["content"].as_array_mut().unwrap().extend(more);
        }
        same
    });
    // Defaults.
    members.retain(|name, value| !(value.is_null() || name == "stream" && *value == json!(false)));
    if members.get("tool_choice").is_some_and(|choice| choice["disable_parallel_tool_use"] == json!(false)) {
        members["tool_choice"].as_object_mut().unwrap().remove("disable_parallel_tool_use");
    }
    // The beta's place of the schema.
    if let Some(format) = members.remove("output_format") {
        members.insert("output_config".to_owned(), json!({"format": format}));
    }
    for tool in members.get_mut("tools").and_then(Value::as_array_mut).into_iter().flatten() {
        let tool = tool.as_object_mut().unwrap();
        if tool.get("type") == Some(&json!("custom")) {
            tool.remove("type");
        }
        tool.retain(|_, value| !value.is_null());
    }
    request
}

fn blocks(content: &Value) -> Value {
    let blocks = match content {
        Value::String(text) => vec![json!({"type": "text", "text": text})],
        Value::Array(blocks) => blocks.clone(),
        other => vec![other.clone()],
    };
    let said = blocks.into_iter().filter(|block| block["text"] != "").map(|mut block| {
        block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
        block
    });
    said.collect()
}

#[test]
fn anthropic_requests_survive_the_canonical_form() {
    for (label, mut request) in recordings("anthropic", is_request) {
        let canonical = decode_request(&request).unwrap_or_else(|problem| panic!("{label}: {problem:?}"));
        let (mut again, dropped) = encode_request(&canonical).unwrap_or_else(|problem| panic!("{label}: {problem:?}"));
        assert_eq!(dropped, Vec::<String>::new(), "{label}");
        // Clouds have the model in the path; the host gives it to both halves.
        if request["model"].is_null() {
            request.as_object_mut().unwrap().remove("model");
            again.as_object_mut().unwrap().remove("model");
        }
        assert_eq!(plain(again), plain(request), "{label}");
    }
}

/// An answer without what has no meaning: `null` and lists that have not been filled.
fn said(mut message: Value) -> Value {
    let members = message.as_object_mut().unwrap();
    members.retain(|_, value| !value.is_null());
    for block in members["content"].as_array_mut().unwrap() {
        block.as_object_mut().unwrap().retain(|_, value| !value.is_null());
    }
    message
}

#[test]
fn anthropic_answers_survive_the_canonical_form() {
    for (label, message) in recordings("anthropic", is_response) {
        let canonical = format().decode_reply(CHAT, &message.to_string()).unwrap_or_else(|p| panic!("{label}: {p:?}"));
        let again = format().encode_reply(CHAT, &canonical).unwrap_or_else(|p| panic!("{label}: {p:?}"));
        assert_eq!(said(parse(&again)), said(message), "{label}");
    }
}

#[test]
fn anthropic_streams_survive_the_canonical_form() {
    for (label, events) in recordings("anthropic", is_stream) {
        let events = events.as_array().unwrap();
        let (chunks, progress) = read_stream(events, &[]);
        assert!(matches!(progress, Progress::Complete), "{label}: {progress:?}");
        let again = said(from_events(&write_stream(&chunks, &[])));
        // A server that ignores `stream` answers with one message.
        let original = if events[0]["type"] == "message" { events[0].clone() } else { from_events(events) };
        assert_eq!(again, said(original), "{label}");
    }
}

#[test]
fn anthropic_streams_come_to_the_shape_of_whole_answers() {
    for (label, events) in recordings("anthropic", is_stream) {
        let events = events.as_array().unwrap();
        let original = if events[0]["type"] == "message" { events[0].clone() } else { from_events(events) };
        let whole = parse(&format().decode_reply(CHAT, &original.to_string()).unwrap());
        let (chunks, _) = read_stream(events, &[]);
        assert_eq!(with_parsed_arguments(from_chunks(&chunks)), with_parsed_arguments(whole), "{label}");
    }
}

/// Pieces of arguments have the spaces that the model wrote; whole answers have none.
fn with_parsed_arguments(mut response: Value) -> Value {
    let calls = &mut response["choices"][0]["message"]["tool_calls"];
    for call in calls.as_array_mut().into_iter().flatten() {
        let arguments = &mut call["function"]["arguments"];
        *arguments = parse(arguments.as_str().unwrap());
    }
    response
}

#[test]
fn a_stream_that_breaks_off_is_never_complete() {
    for (label, events) in recordings("anthropic", is_stream) {
        let events = events.as_array().unwrap();
        if events[0]["type"] == "message" {
            continue;
        }
        for length in 0..events.len() {
            let (_, progress) = read_stream(&events[..length], &[]);
            assert!(matches!(progress, Progress::Open), "{label} cut after {length} events: {progress:?}");
        }
    }
}

#[test]
fn chat_requests_become_anthropics_or_are_refused_by_name() {
    for (label, request) in recordings("chat-completions", is_request) {
        match encode_request(&request) {
            Ok((encoded, _)) => {
                assert!(encoded["max_tokens"].is_u64(), "{label}");
                assert_well_formed(&label, &encoded);
            }
            Err(problem) => assert!(problem.param.is_some(), "{label}: {problem:?}"),
        }
    }
}

/// What Anthropic refuses in any request.
fn assert_well_formed(label: &str, request: &Value) {
    let turns = request["messages"].as_array().unwrap();
    assert!(!turns.is_empty(), "{label}");
    for (position, turn) in turns.iter().enumerate() {
        assert_eq!(turn["role"], ["user", "assistant"][position % 2], "{label}: turns alternate, the user begins");
        let blocks = blocks(&turn["content"]);
        assert_ne!(blocks, json!([]), "{label}: a turn says something");
        let kinds: Vec<&str> = blocks.as_array().unwrap().iter().map(|block| block["type"].as_str().unwrap()).collect();
        let results = kinds.iter().take_while(|kind| **kind == "tool_result").count();
        assert!(!kinds[results..].contains(&"tool_result"), "{label}: results come first");
    }
}

#[test]
fn chat_answers_become_anthropics() {
    for (label, answer) in recordings("chat-completions", is_response) {
        let message = format().encode_reply(CHAT, &answer.to_string()).unwrap_or_else(|p| panic!("{label}: {p:?}"));
        let message = parse(&message);
        let original = &answer["choices"][0]["message"];
        let text: String =
            message["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect();
        let expected = [&original["content"], &original["refusal"]];
        assert_eq!(text, expected.iter().filter_map(|text| text.as_str()).collect::<String>(), "{label}");
        assert_eq!(
            message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use").count(),
            original["tool_calls"].as_array().map_or(0, Vec::len),
            "{label}"
        );
    }
}

#[test]
fn chat_streams_become_well_formed_streams_of_anthropics() {
    for (label, chunks) in recordings("chat-completions", is_stream) {
        let chunks = chunks.as_array().unwrap();
        let message = from_events(&write_stream(chunks, &[]));
        let pieces = |member: &str| -> String {
            let deltas = chunks.iter().map(|chunk| &chunk["choices"][0]["delta"][member]);
            deltas.filter_map(|piece| piece.as_str()).collect()
        };
        let text: String =
            message["content"].as_array().unwrap().iter().filter_map(|block| block["text"].as_str()).collect();
        assert_eq!(text, pieces("content") + &pieces("refusal"), "{label}");
        let arguments: String = chunks
            .iter()
            .flat_map(|chunk| chunk["choices"][0]["delta"]["tool_calls"].as_array().into_iter().flatten())
            .filter_map(|call| call["function"]["arguments"].as_str())
            .collect();
        let calls: Vec<&Value> =
            message["content"].as_array().unwrap().iter().filter(|block| block["type"] == "tool_use").collect();
        if let [call] = calls[..] {
            assert_eq!(call["input"], parse(&arguments), "{label}");
            assert_eq!(message["stop_reason"], "tool_use", "{label}");
        }
    }
}
