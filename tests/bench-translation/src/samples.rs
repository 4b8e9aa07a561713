//! What is translated: made here, of the size and the shape that real traffic has.
#![expect(clippy::ptr_arg, reason = "`bindgen!` makes `&String` of a named string type")]

use crate::measure::Bench;
use crate::wasm;
use anyhow::Result;
use plugway_sdk::export::{decode_events, encode_events};
use plugway_sdk::{ClientFormat, Event, Progress, UpstreamFormat};
use serde_json::{Value, json};

const CHAT: &str = "chat_completion";
const MODEL: &str = "claude-sonnet-4-5";

/// As many events as one read brings from a fast upstream.
const BATCH: usize = 16;

pub(crate) fn measure_all(bench: &mut Bench) -> Result<()> {
    for (name, turns) in [("1 KB", 1), ("34 KB", 55)] {
        let body = request(turns).to_string();
        bench.case(
            &format!("encode-request, {name}"),
            0,
            |native| native.encode_request(CHAT, MODEL, &body).expect("it can be said").body,
            async |wasm| wasm.encode_request(MODEL, &body).await,
        )?;
        let translated = bench.native.encode_request(CHAT, MODEL, &body).expect("it can be said").body;
        bench.case(
            &format!("decode-request, {name}"),
            0,
            |native| native.decode_request(CHAT, MODEL, true, &translated).expect("it can be said").body,
            async |wasm| wasm.decode_request(MODEL, &translated).await,
        )?;
    }
    replies(bench)?;
    upstream_streams(bench)?;
    client_streams(bench)
}

fn replies(bench: &mut Bench) -> Result<()> {
    let body = reply().to_string();
    // The time of the call is in the answer, and only the gateway has a clock that stands still.
    let timeless = |body: String| body.split_once("\"model\"").map(|(_, rest)| rest.to_owned());
    bench.case(
        "decode-reply, 1 KB",
        0,
        |native| timeless(native.decode_reply(CHAT, &body).expect("an answer")),
        async |wasm| Ok(timeless(wasm.decode_reply(&body).await?)),
    )?;
    let canonical = bench.native.decode_reply(CHAT, &body).expect("an answer");
    bench.case(
        "encode-reply, 1 KB",
        0,
        |native| native.encode_reply(CHAT, &canonical).expect("an answer"),
        async |wasm| wasm.encode_reply(&canonical).await,
    )
}

/// Events in the middle of a stream, which nearly all are.
fn upstream_streams(bench: &mut Bench) -> Result<()> {
    let state = decode_events(&bench.native, CHAT, "", &stream_start(), false).expect("a stream").state;
    // What a call costs by itself, state included.
    measure_decoding(bench, "decode-events, none", &state, &[])?;
    for (name, event) in
        [("text", text_event()), ("arguments", arguments_event()), ("text, reordered", reordered_text_event())]
    {
        for count in [1, BATCH] {
            measure_decoding(bench, &format!("decode-events, {count} × {name}"), &state, &vec![event.clone(); count])?;
        }
    }
    Ok(())
}

fn measure_decoding(bench: &mut Bench, name: &str, state: &String, events: &[Event]) -> Result<()> {
    let given: Vec<_> = events.iter().map(wasm::event).collect();
    bench.case(
        name,
        events.len(),
        |native| {
            let decoded = decode_events(native, CHAT, state, events, false).expect("events");
            (decoded.state, decoded.chunks)
        },
        async |wasm| {
            let decoded = wasm.decode_events(state, &given).await?;
            Ok((decoded.state, decoded.chunks))
        },
    )
}

fn client_streams(bench: &mut Bench) -> Result<()> {
    let begun = decode_events(&bench.native, CHAT, "", &stream_start(), false).expect("a stream");
    let chunk = decode_events(&bench.native, CHAT, &begun.state, &[text_event()], false).expect("a stream").chunks;
    let state = encode_events(&bench.native, CHAT, "", &chunk, &Progress::Open).expect("a stream").state;
    for count in [1, BATCH] {
        let chunks = vec![chunk[0].clone(); count];
        bench.case(
            &format!("encode-events, {count} × text"),
            count,
            |native| {
                let encoded = encode_events(native, CHAT, &state, &chunks, &Progress::Open).expect("chunks");
                let events = encoded.events.into_iter().map(|event| (event.name, event.data));
                (encoded.state, events.collect::<Vec<(String, String)>>())
            },
            async |wasm| {
                let encoded = wasm.encode_events(&state, &chunks).await?;
                let events = encoded.events.into_iter().map(|event| (event.name, event.data));
                Ok((encoded.state, events.collect::<Vec<(String, String)>>()))
            },
        )?;
    }
    Ok(())
}

/// A conversation with a tool: about 1 KB with one turn and 0.6 KB more with each other.
fn request(turns: usize) -> Value {
    let mut messages = vec![json!({"role": "system", "content": "You answer briefly. Say so where you do not know."})];
    for turn in 0..turns {
        let id = format!("call_{turn}");
        messages.extend([
            json!({"role": "user", "content": format!("Question {turn}: how deep is the lake, and is the \"old\" pump on?\nSay both.")}),
            json!({"role": "assistant", "content": null, "tool_calls": [
                {"id": id, "type": "function", "function": {"name": "pump_state", "arguments": "{\"pump\":\"old\",\"at\":\"noon\"}"}}
            ]}),
            json!({"role": "tool", "tool_call_id": id, "content": "{\"state\":\"on\",\"litres\":1204}"}),
            json!({"role": "assistant", "content": "The lake is 41 metres deep, and the old pump is on: 1204 litres an hour."}),
        ]);
    }
    messages.push(json!({"role": "user", "content": "Thank you. And the new one?"}));
    json!({
        "model": "anthropic/claude-sonnet-4-5",
        "messages": messages,
        "max_completion_tokens": 1024,
        "temperature": 0.7,
        "stream": true,
        "tools": [{"type": "function", "function": {
            "name": "pump_state",
            "description": "Says whether a pump is on.",
            "parameters": {"type": "object", "properties": {"pump": {"type": "string"}, "at": {"type": "string"}}, "required": ["pump"]},
        }}],
    })
}

fn reply() -> Value {
    json!({
        "id": "msg_01E4rZu3RwEwmV9d59n2fST5",
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [
            {"type": "text", "text": "The lake is 41 metres deep.\n".repeat(20)},
            {"type": "tool_use", "id": "toolu_01", "name": "pump_state", "input": {"pump": "new"}},
        ],
        "stop_reason": "tool_use",
        "stop_sequence": null,
        "usage": {"input_tokens": 140, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 57},
    })
}

/// Up to the first delta: a block of text and a call are open.
fn stream_start() -> Vec<Event> {
    let begun = [
        json!({"type": "message_start", "message": {
            "id": "msg_01E4rZu3RwEwmV9d59n2fST5", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5-20250929",
            "content": [], "stop_reason": null, "stop_sequence": null,
            "usage": {
                "input_tokens": 140, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0,
                "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
                "output_tokens": 1, "service_tier": "standard",
            },
        }}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "tool_use", "id": "toolu_01", "name": "pump_state", "input": {}}}),
    ];
    let begun = begun.map(|data| Event::named(data["type"].as_str().unwrap_or_default(), data.to_string()));
    begun.into_iter().chain([arguments_event()]).collect()
}

/// As Anthropic writes it, padding and all.
fn delta(index: u64, delta: &str) -> Event {
    let data = format!(r#"{{"type":"content_block_delta","index":{index},"delta":{delta}   }}"#);
    Event::named("content_block_delta", data)
}

fn text_event() -> Event {
    delta(0, r#"{"type":"text_delta","text":" the old pump is"}"#)
}

fn arguments_event() -> Event {
    delta(1, r#"{"type":"input_json_delta","partial_json":"{\"pump\": \"n"}"#)
}

/// As other servers may write it: the same with its members in another order.
fn reordered_text_event() -> Event {
    let data = r#"{"delta":{"text":" the old pump is","type":"text_delta"},"index":0,"type":"content_block_delta"}"#;
    Event::named("content_block_delta", data)
}
