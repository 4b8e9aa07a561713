//! What a stream comes to: readers as a caller of either dialect would have them.

use serde_json::{Map, Value, json};

/// Reads Anthropic's events as its own clients do, and insists on the order that they rely on: one `message_start`;
/// blocks one after the other with ascending indices, each begun, grown and ended; `message_delta`; `message_stop`.
pub(crate) fn from_events(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut open: Option<(u64, String)> = None;
    let mut stopped = false;
    for event in events {
        assert!(!stopped, "nothing comes after message_stop, but {event}");
        let kind = event["type"].as_str().expect("every event has a type");
        assert!(kind == "message_start" || kind == "ping" || message.is_object(), "message_start comes first: {event}");
        match kind {
            "message_start" => {
                assert!(message.is_null(), "a message starts once");
                message = event["message"].clone();
                assert_eq!(message["content"], json!([]));
                assert!(message["usage"]["input_tokens"].is_u64() && message["usage"]["output_tokens"].is_u64());
            }
            "content_block_start" => {
                assert!(open.is_none(), "blocks do not nest: {event}");
                let blocks = message["content"].as_array_mut().unwrap();
                assert_eq!(event["index"], blocks.len(), "indices ascend by one");
                blocks.push(event["content_block"].clone());
                open = Some((event["index"].as_u64().unwrap(), String::new()));
            }
            "content_block_delta" => {
                let (index, input) = open.as_mut().unwrap_or_else(|| panic!("no block is open for {event}"));
                assert_eq!(event["index"], *index, "only the open block grows");
                grow(&mut message["content"][*index as usize], &event["delta"], input);
            }
            "content_block_stop" => {
                let (index, input) = open.take().expect("a block is open");
                assert_eq!(event["index"], index);
                if !input.trim().is_empty() {
                    message["content"][index as usize]["input"] =
                        serde_json::from_str(&input).unwrap_or_else(|error| panic!("{error} in {input}"));
                }
            }
            "message_delta" => {
                assert!(open.is_none(), "all blocks have ended");
                assert!(event["delta"]["stop_reason"].is_string(), "{event}");
                merge(&mut message, &event["delta"]);
                merge(&mut message["usage"], &event["usage"]);
            }
            "message_stop" => stopped = true,
            "ping" => {}
            other => panic!("an event of type {other}"),
        }
    }
    assert!(stopped, "the stream ends with message_stop");
    message
}

fn grow(block: &mut Value, delta: &Value, input: &mut String) {
    let (member, piece) = match delta["type"].as_str().unwrap() {
        "text_delta" => ("text", "text"),
        "thinking_delta" => ("thinking", "thinking"),
        "signature_delta" => ("signature", "signature"),
        "input_json_delta" => return input.push_str(delta["partial_json"].as_str().unwrap()),
        "citations_delta" => {
            let citations = block.as_object_mut().unwrap().entry("citations").or_insert(Value::Null);
            if citations.is_null() {
                *citations = json!([]);
            }
            return citations.as_array_mut().unwrap().push(delta["citation"].clone());
        }
        other => panic!("a delta of type {other}"),
    };
    let text = block[member].as_str().unwrap_or_else(|| panic!("{delta} in {block}")).to_owned();
    block[member] = json!(text + delta[piece].as_str().unwrap());
}

fn merge(into: &mut Value, members: &Value) {
    for (name, value) in members.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

/// Puts canonical chunks together as `wit/README.md` says: texts are joined, pieces with one index belong together, and
/// the usage comes in the last chunk, whose choices are empty.
pub(crate) fn from_chunks(chunks: &[Value]) -> Value {
    let mut message = Map::new();
    let mut choice = json!({"index": 0});
    let mut usage = Value::Null;
    let first = &chunks[0];
    for (position, chunk) in chunks.iter().enumerate() {
        assert_eq!(chunk["object"], "chat.completion.chunk");
        for member in ["id", "model", "created"] {
            assert_eq!(chunk[member], first[member], "all chunks name the same answer");
        }
        if chunk["choices"] == json!([]) {
            assert_eq!(position, chunks.len() - 1, "the usage comes last");
            usage = chunk["usage"].clone();
            continue;
        }
        let piece = &chunk["choices"][0];
        for (name, value) in piece.as_object().unwrap().iter().filter(|(name, _)| *name != "delta") {
            choice[name] = value.clone();
        }
        for (name, value) in piece["delta"].as_object().unwrap() {
            join(message.entry(name).or_insert(Value::Null), name, value);
        }
    }
    let content = message.entry("content").or_insert(Value::Null);
    if *content == "" {
        *content = Value::Null;
    }
    for call in message.get_mut("tool_calls").and_then(Value::as_array_mut).into_iter().flatten() {
        call.as_object_mut().unwrap().remove("index");
    }
    choice["message"] = Value::Object(message);
    json!({
        "id": first["id"], "object": "chat.completion", "created": first["created"], "model": first["model"],
        "choices": [choice], "usage": usage,
    })
}

fn join(whole: &mut Value, name: &str, piece: &Value) {
    match (whole, piece) {
        (whole @ Value::Null, Value::Array(_)) => {
            *whole = json!([]);
            join(whole, name, piece);
        }
        (Value::Array(items), Value::Array(pieces)) => {
            for piece in pieces {
                let same = |item: &&mut Value| name != "citations" && item["index"] == piece["index"];
                match items.iter_mut().find(same) {
                    Some(item) => {
                        for (name, value) in piece.as_object().unwrap() {
                            join(item.as_object_mut().unwrap().entry(name).or_insert(Value::Null), name, value);
                        }
                    }
                    None => items.push(piece.clone()),
                }
            }
        }
        (Value::Object(whole), Value::Object(piece)) => {
            for (name, value) in piece {
                join(whole.entry(name).or_insert(Value::Null), name, value);
            }
        }
        (Value::String(whole), Value::String(piece)) if !["type", "id", "role", "name"].contains(&name) => {
            whole.push_str(piece);
        }
        (whole, piece) => *whole = piece.clone(),
    }
}
