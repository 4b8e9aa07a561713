//! What the format does, as tests: hand-made cases, recordings of real traffic, and properties.

mod message;
mod properties;
mod recordings;

use crate::AnthropicMessages;
use plugway_sdk::export::{decode_events, encode_events};
use plugway_sdk::{ClientFormat, Event, Plugin, Problem, Progress, UpstreamFormat};
use serde_json::{Value, json};

plugway_sdk::cases!(AnthropicMessages: format_upstream, format_client);

const CHAT: &str = "chat_completion";

fn format() -> AnthropicMessages {
    AnthropicMessages::new(serde_json::from_str("{}").unwrap()).unwrap()
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

fn encode_request(chat: &Value) -> Result<(Value, Vec<String>), Problem> {
    let translated = format().encode_request(CHAT, chat["model"].as_str().unwrap_or_default(), &chat.to_string())?;
    Ok((parse(&translated.body), translated.dropped))
}

fn decode_request(request: &Value) -> Result<Value, Problem> {
    let streaming = request["stream"] == true;
    let model = request["model"].as_str().unwrap_or("a-model");
    let translated = format().decode_request(CHAT, model, streaming, &request.to_string())?;
    assert_eq!(translated.dropped, Vec::<String>::new(), "the canonical form can say all that Anthropic's can");
    Ok(parse(&translated.body))
}

/// The chunks of a stream of Anthropic's events, and how it ended. `cuts` says after how many events a batch ends.
fn read_stream(events: &[Value], cuts: &[usize]) -> (Vec<Value>, Progress) {
    let events: Vec<Event> = events
        .iter()
        .map(|event| Event::named(event["type"].as_str().unwrap_or_default(), event.to_string()))
        .collect();
    let (mut state, mut chunks) = (String::new(), Vec::new());
    let mut progress = Progress::Open;
    for batch in batches(&events, cuts) {
        let decoded = decode_events(&format(), CHAT, &state, batch, false).unwrap();
        state = decoded.state;
        chunks.extend(decoded.chunks);
        progress = decoded.progress;
        if !matches!(progress, Progress::Open) {
            break;
        }
    }
    (chunks.iter().map(|chunk| parse(chunk)).collect(), progress)
}

/// Anthropic's events for a stream of chunks that came to a good end.
fn write_stream(chunks: &[Value], cuts: &[usize]) -> Vec<Value> {
    let chunks: Vec<String> = chunks.iter().map(Value::to_string).collect();
    let (mut state, mut events) = (String::new(), Vec::new());
    for batch in batches(&chunks, cuts) {
        let encoded = encode_events(&format(), CHAT, &state, batch, &Progress::Open).unwrap();
        state = encoded.state;
        events.extend(encoded.events);
    }
    events.extend(encode_events(&format(), CHAT, &state, &[], &Progress::Complete).unwrap().events);
    events
        .iter()
        .map(|event| {
            let data = parse(&event.data);
            assert_eq!(data["type"], json!(event.name), "an event is named after its type");
            data
        })
        .collect()
}

fn batches<'t, T>(items: &'t [T], cuts: &[usize]) -> Vec<&'t [T]> {
    let (mut rest, mut batches) = (items, Vec::new());
    for cut in cuts {
        let (batch, later) = rest.split_at((*cut).min(rest.len()));
        batches.push(batch);
        rest = later;
    }
    batches.push(rest);
    batches
}

#[test]
fn a_failure_is_an_error_event_and_never_the_end_marker() {
    let chunk = json!({"id": "c", "choices": [{"index": 0, "delta": {"content": "Hel"}}]}).to_string();
    let problem = Problem::new(plugway_sdk::ProblemKind::Overloaded, "try again later");
    let encoded = encode_events(&format(), CHAT, "", &[chunk], &Progress::Failed(problem)).unwrap();
    let last = encoded.events.last().unwrap();
    assert_eq!(last.name, "error");
    let expected = json!({"type": "error", "error": {"type": "overloaded_error", "message": "try again later"}});
    assert_eq!(parse(&last.data), expected);
    assert!(encoded.events.iter().all(|event| event.name != "message_stop"));
}

#[test]
fn other_operations_are_served_between_equals_only() {
    let problem = format().decode_request("count_tokens", "claude", false, "{}").unwrap_err();
    assert_eq!(problem.kind, plugway_sdk::ProblemKind::Unsupported);
    let routes: Vec<String> = format().routes().into_iter().map(|route| route.path).collect();
    let lists = ["/v1/models with anthropic-version", "/v1/models/{*id} with anthropic-version"];
    assert_eq!(routes[..2], ["/v1/messages", "/v1/messages/count_tokens"]);
    assert_eq!(routes[2..], lists);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let new = |settings: &str| serde_json::from_str(settings).map(<AnthropicMessages as Plugin>::new);
    assert!(matches!(new(r#"{"default_max_tokens": 100, "thinking": "budget"}"#), Ok(Ok(_))));
    assert!(matches!(new(r#"{"default_max_tokens": 0}"#), Ok(Err(_))));
    assert!(new(r#"{"max_token": 1}"#).is_err());
}
