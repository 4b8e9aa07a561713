//! A component says what the same code says when it runs natively, and it says it however the bytes of a stream arrive.

use crate::dialects::Dialect;
use crate::gateway::{Answer, Gateway, anthropic, openai};
use crate::recordings;
use crate::sse::Event;
use crate::upstream::{Reply, Upstream};
use format_anthropic::AnthropicMessages;
use plugway_sdk::export::{decode_events, encode_events};
use plugway_sdk::{Plugin as _, Progress};
use serde_json::{Value, json};
use std::time::Duration;

use Dialect::{Anthropic, OpenAi};

const CHAT: &str = "chat_completion";

/// Ways of cutting each stream by chance, and cuts into two at any byte.
const BY_CHANCE: u64 = 6;
const IN_TWO: u64 = 4;

/// So few pieces are sent with a pause between them, or reads would bring several at once.
const PAUSES: usize = 24;

#[tokio::test]
async fn wasm_and_native_agree_on_each_stream_however_it_arrives() {
    let upstream = Upstream::start().await;
    let providers = [("openai", openai(&upstream.url())), ("anthropic", anthropic(&upstream.url()))];
    let gateway = Gateway::with(&providers).await;
    for (spoken, provider) in [(OpenAi, "openai"), (Anthropic, "anthropic")] {
        for (label, events) in streams(spoken) {
            let frames = frames(spoken, &events);
            for caller in [OpenAi, Anthropic] {
                let expected = native(spoken, caller, &events);
                for (way, reply) in deliveries(&frames) {
                    upstream.on_model("recorded", reply);
                    let answer = ask(&gateway, caller, &format!("{provider}/recorded")).await;
                    assert_eq!(answer.status, 200, "{label}: {}", answer.text());
                    let given = timeless(answer.events());
                    assert_eq!(given, expected, "{label}: {caller:?} over {spoken:?}, {way}");
                }
            }
        }
    }
}

/// Hand-made ones first, so that something is tested where there are no recordings.
fn streams(spoken: Dialect) -> Vec<(String, Vec<Value>)> {
    let words = ("words".to_owned(), spoken.stream("Ünïcödé 日本語 🦀, \"quotes\\\" and\nlines"));
    let call = ("a call".to_owned(), spoken.stream_tool_call());
    let recorded = recordings::of(spoken).into_iter().filter_map(|recording| Some((recording.case, recording.stream?)));
    [words, call].into_iter().chain(recorded).collect()
}

/// What the caller must get, by the same Rust code without any wasm: the whole stream in one batch.
fn native(spoken: Dialect, caller: Dialect, events: &[Value]) -> Vec<Event> {
    let format = AnthropicMessages::new(serde_json::from_str("{}").expect("settings")).expect("a format");
    let texts: Vec<String> = events.iter().map(|event| text(spoken, event)).collect();
    let done = || Event { name: String::new(), data: "[DONE]".to_owned() };
    let data = |data: String| Event { name: String::new(), data };
    let expected = match (spoken, caller) {
        (OpenAi, OpenAi) => texts.into_iter().map(data).chain([done()]).collect(),
        (Anthropic, Anthropic) => named(events, texts),
        (Anthropic, OpenAi) => {
            let events = events.iter().zip(texts).map(|(event, text)| plugway_sdk::Event::named(kind(event), text));
            let decoded = decode_events(&format, CHAT, "", &events.collect::<Vec<_>>(), true).expect("a stream");
            assert!(matches!(decoded.progress, Progress::Complete), "{:?}", decoded.progress);
            decoded.chunks.into_iter().map(data).chain([done()]).collect()
        }
        (OpenAi, Anthropic) => {
            let encoded = encode_events(&format, CHAT, "", &texts, &Progress::Complete).expect("a stream");
            let events = encoded.events.into_iter();
            events.map(|plugway_sdk::Event { name, data }| Event { name, data }).collect()
        }
    };
    timeless(expected)
}

fn frames(spoken: Dialect, events: &[Value]) -> Vec<String> {
    match spoken {
        OpenAi => spoken.frames(events),
        Anthropic => {
            let frame = |event: &Value| format!("event: {}\ndata: {}\n\n", kind(event), text(spoken, event));
            events.iter().map(frame).collect()
        }
    }
}

/// An event as its provider writes it. The order of the members matters to the quick way on which Anthropic's deltas are
/// read; half of them, those of odd blocks, go the other way.
fn text(spoken: Dialect, event: &Value) -> String {
    let sorted = event.to_string();
    let (Anthropic, Some(delta)) = (spoken, event["delta"].as_object()) else { return sorted };
    let Some(index) = event["index"].as_u64().filter(|index| index % 2 == 0) else { return sorted };
    let members = delta.iter().filter(|(name, _)| *name != "type").map(|(name, value)| format!(",\"{name}\":{value}"));
    let (delta, members) = (&delta["type"], members.collect::<String>());
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":{delta}{members}}}    }}"#)
}

fn named(events: &[Value], texts: Vec<String>) -> Vec<Event> {
    events.iter().zip(texts).map(|(event, data)| Event { name: kind(event).to_owned(), data }).collect()
}

fn kind(event: &Value) -> &str {
    event["type"].as_str().expect("a type")
}

/// Byte for byte, but for the time of the call: only the gateway has a clock.
fn timeless(mut events: Vec<Event>) -> Vec<Event> {
    const TIME: &str = "\"created\":";
    for event in &mut events {
        if let Some((before, after)) = event.data.split_once(TIME) {
            let after = after.trim_start_matches(|digit: char| digit.is_ascii_digit());
            event.data = format!("{before}{TIME}0{after}");
        }
    }
    events
}

async fn ask(gateway: &Gateway, caller: Dialect, model: &str) -> Answer {
    let question = json!([{"role": "user", "content": "hello"}]);
    let mut body = json!({"model": model, "messages": question, "stream": true, "max_tokens": 100});
    if caller == OpenAi {
        // Formats always say the usage; without this the gateway would take it out.
        body["stream_options"] = json!({"include_usage": true});
    }
    gateway.post(caller.path(), &body).await
}

fn deliveries(frames: &[String]) -> Vec<(String, Reply)> {
    let whole = frames.concat();
    let reply = Reply::sse(frames);
    let mut ways = vec![
        ("at once".to_owned(), reply.clone().at_once()),
        ("byte by byte".to_owned(), reply.clone().byte_by_byte()),
    ];
    for seed in 1..=BY_CHANCE {
        let pieces = pieces(&whole, seed);
        let reply = Reply::sse(&pieces);
        let reply = if pieces.len() <= PAUSES { reply.every(Duration::from_millis(1)) } else { reply };
        ways.push((format!("cut by chance, seed {seed}"), reply));
    }
    let mut chance = Chance(1);
    for _ in 0..IN_TWO {
        let at = 1 + chance.below(whole.len() - 1);
        ways.push((format!("cut at byte {at}"), reply.clone().split_at(at)));
    }
    ways
}

/// Of sizes that go from a few bytes to most of the stream, by the seed.
fn pieces(whole: &str, seed: u64) -> Vec<&str> {
    let mut chance = Chance(seed);
    let largest = [7, 90, 700, whole.len().div_ceil(4)][(seed % 4) as usize];
    let (mut rest, mut pieces) = (whole, Vec::new());
    while !rest.is_empty() {
        let mut end = rest.len().min(1 + chance.below(largest));
        while !rest.is_char_boundary(end) {
            end += 1;
        }
        let (piece, later) = rest.split_at(end);
        pieces.push(piece);
        rest = later;
    }
    pieces
}

/// Numbers that are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        // The constants of Knuth's MMIX generator; its high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
