//! What holds for any input.

use super::message::from_events;
use super::{CHAT, format, read_stream, write_stream};
use plugway_sdk::Event;
use plugway_sdk::export::decode_events;
use proptest::prelude::*;
use serde_json::{Value, json};

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn chunks_do_not_depend_on_how_events_were_batched(
        blocks in prop::collection::vec(block(), 0..6),
        cuts in prop::collection::vec(0usize..4, 0..12),
    ) {
        let events = stream_of(&blocks);
        prop_assert_eq!(read_stream(&events, &cuts).0, read_stream(&events, &[]).0);
    }

    #[test]
    fn chunks_do_not_depend_on_the_order_of_members(blocks in prop::collection::vec(block(), 0..6)) {
        let events = stream_of(&blocks);
        let sorted = events.iter().map(Value::to_string);
        let as_written = events.iter().map(as_anthropic_writes);
        prop_assert_eq!(read_texts(sorted), read_texts(as_written));
    }

    #[test]
    fn events_do_not_depend_on_how_chunks_were_batched(
        deltas in prop::collection::vec(delta(), 0..12),
        cuts in prop::collection::vec(0usize..4, 0..12),
    ) {
        let chunks = chunks_of(&deltas);
        prop_assert_eq!(write_stream(&chunks, &cuts), write_stream(&chunks, &[]));
    }

    #[test]
    fn any_chunks_become_a_well_formed_stream(deltas in prop::collection::vec(delta(), 0..12)) {
        from_events(&write_stream(&chunks_of(&deltas), &[]));
    }

    /// Calls may grow in turns: each must come out whole, in the order in which they began.
    #[test]
    fn calls_that_grow_in_turns_come_out_whole(
        inputs in prop::collection::vec("[a-z{}\"\\\\ ]{0,12}", 1..4),
        turns in prop::collection::vec((0usize..4, 1usize..5), 0..24),
    ) {
        let arguments: Vec<String> = inputs.iter().map(|input| json!({ "said": input }).to_string()).collect();
        let message = from_events(&write_stream(&chunks_of(&interleaved(&arguments, &turns)), &[]));
        let calls = message["content"].as_array().unwrap();
        prop_assert_eq!(calls.len(), inputs.len());
        for (call, input) in calls.iter().zip(&inputs) {
            prop_assert_eq!(&call["input"], &json!({ "said": input }));
        }
    }

    #[test]
    fn anthropics_streams_survive_the_canonical_form(blocks in prop::collection::vec(block(), 0..6)) {
        let events = stream_of(&blocks);
        let again = from_events(&write_stream(&read_stream(&events, &[]).0, &[]));
        prop_assert_eq!(&again["content"], &from_events(&events)["content"]);
    }
}

fn read_texts(data: impl Iterator<Item = String>) -> Vec<String> {
    let events: Vec<Event> = data.map(Event::data).collect();
    decode_events(&format(), CHAT, "", &events, true).unwrap().chunks
}

/// Deltas with the type and the index first, and some padding.
fn as_anthropic_writes(event: &Value) -> String {
    let Some(delta) = event["delta"].as_object().filter(|_| event["type"] == "content_block_delta") else {
        return event.to_string();
    };
    let members = delta.iter().filter(|(name, _)| *name != "type").map(|(name, value)| format!(r#","{name}":{value}"#));
    let (index, kind, members) = (&event["index"], &delta["type"], members.collect::<String>());
    format!(r#"{{"type":"content_block_delta","index":{index},"delta":{{"type":{kind}{members}}}  }}"#)
}

/// A content block and the deltas that make it grow.
type Grown = (Value, Vec<Value>);

fn block() -> impl Strategy<Value = Grown> {
    let pieces = || prop::collection::vec("[a-zä ]{1,5}", 1..4);
    prop_oneof![
        pieces().prop_map(|pieces| {
            let deltas = pieces.iter().map(|piece| json!({"type": "text_delta", "text": piece}));
            (json!({"type": "text", "text": ""}), deltas.collect())
        }),
        (pieces(), "[a-z]{4}").prop_map(|(pieces, signature)| {
            let thoughts = pieces.iter().map(|piece| json!({"type": "thinking_delta", "thinking": piece}));
            let signature = json!({"type": "signature_delta", "signature": signature});
            (json!({"type": "thinking", "thinking": "", "signature": ""}), thoughts.chain([signature]).collect())
        }),
        "[a-z]{4}".prop_map(|data| (json!({"type": "redacted_thinking", "data": data}), vec![])),
        ("[a-z]{4}", "[a-z\"]{0,6}", 0usize..8).prop_map(|(id, word, cut)| {
            let input = json!({ "word": word }).to_string();
            let cut = cut.min(input.len());
            let deltas =
                [&input[..cut], &input[cut..]].map(|piece| json!({"type": "input_json_delta", "partial_json": piece}));
            (json!({"type": "tool_use", "id": id, "name": "look", "input": {}}), deltas.to_vec())
        }),
        ("[a-z]{4}", "[a-z]{0,6}").prop_map(|(id, word)| {
            let input = json!({ "query": word }).to_string();
            let delta = json!({"type": "input_json_delta", "partial_json": input});
            (json!({"type": "server_tool_use", "id": id, "name": "web_search", "input": {}}), vec![delta])
        }),
    ]
}

fn stream_of(blocks: &[Grown]) -> Vec<Value> {
    let mut events = vec![json!({"type": "message_start", "message": {
        "id": "msg_1", "type": "message", "role": "assistant", "model": "claude", "content": [], "stop_reason": null,
        "stop_sequence": null, "usage": {"input_tokens": 3, "output_tokens": 1},
    }})];
    for (index, (block, deltas)) in blocks.iter().enumerate() {
        events.push(json!({"type": "content_block_start", "index": index, "content_block": block}));
        events.push(json!({"type": "ping"}));
        events
            .extend(deltas.iter().map(|delta| json!({"type": "content_block_delta", "index": index, "delta": delta})));
        events.push(json!({"type": "content_block_stop", "index": index}));
    }
    events.push(json!({"type": "message_delta", "delta": {"stop_reason": "end_turn", "stop_sequence": null},
        "usage": {"output_tokens": 9}}));
    events.push(json!({"type": "message_stop"}));
    events
}

fn delta() -> impl Strategy<Value = Value> {
    let text = "[a-z]{0,4}";
    prop_oneof![
        text.prop_map(|text| json!({ "content": text })),
        text.prop_map(|text| json!({ "reasoning_content": text })),
        (text, 0u64..3).prop_map(|(text, index)| {
            json!({"reasoning_details": [{"type": "reasoning.text", "text": text, "index": index}]})
        }),
        (text, 0u64..3).prop_map(|(text, index)| {
            json!({"reasoning_details": [{"type": "reasoning.text", "signature": text, "index": index}]})
        }),
        text.prop_map(|data| json!({"reasoning_details": [{"type": "reasoning.encrypted", "data": data, "index": 0}]})),
        (text, text, 0u64..3).prop_map(|(text, thought, index)| json!({
            "content": text,
            "reasoning_content": thought,
            "tool_calls": [{"index": index, "function": {"name": "f", "arguments": " "}}],
        })),
        Just(json!({"text_blocks": [{"index": 3}]})),
        Just(json!({"native_blocks": [{"index": 4, "block": {"type": "web_search_tool_result", "content": []}}]})),
        text.prop_map(|id| json!({"tool_calls": [
            {"index": 4, "id": format!("1{id}"), "function": {"name": "f", "arguments": "{"}},
            {"index": 5, "id": format!("2{id}"), "function": {"name": "g", "arguments": ""}},
            {"index": 4, "id": format!("1{id}"), "function": {"arguments": "}"}},
        ]})),
    ]
}

fn chunks_of(deltas: &[Value]) -> Vec<Value> {
    let chunk = |delta: &Value| {
        json!({"id": "c", "object": "chat.completion.chunk", "created": 0, "model": "m",
            "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
    };
    deltas.iter().map(chunk).collect()
}

/// All calls begin, then grow piece by piece in the order of `turns`; what is left follows.
fn interleaved(arguments: &[String], turns: &[(usize, usize)]) -> Vec<Value> {
    let begin = |index: usize| json!({"index": index, "id": format!("call_{index}"), "function": {"name": "f", "arguments": ""}});
    let grow = |index: usize, piece: &str| json!({"index": index, "function": {"arguments": piece}});
    let mut rest: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut calls: Vec<Value> = (0..arguments.len()).map(begin).collect();
    for (call, length) in turns {
        let call = call % arguments.len();
        let (piece, later) = rest[call].split_at((*length).min(rest[call].len()));
        calls.push(grow(call, piece));
        rest[call] = later;
    }
    calls.extend(rest.iter().enumerate().map(|(index, rest)| grow(index, rest)));
    calls.into_iter().map(|call| json!({ "tool_calls": [call] })).collect()
}
