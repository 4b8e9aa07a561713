//! What the mock upstream says.

/// What stands in an event where the time goes.
pub(crate) const STAMP: &str = "@0000000000000000";

/// The events before the content, the content event, and the events behind the content.
pub(crate) type Stream = (&'static [&'static str], &'static str, &'static [&'static str]);

macro_rules! openai_chunk {
    ($choice:literal) => {
        concat!(
            r#"data: {"id":"chatcmpl-BenchBenchBenchBenchBench","object":"chat.completion.chunk","created":1760000000,"#,
            r#""model":"gpt-4o-mini","choices":[{"index":0,"#,
            $choice,
            "}]}\n\n"
        )
    };
}

pub(crate) const OPENAI_STREAM: Stream = (
    &[openai_chunk!(r#""delta":{"role":"assistant","content":""},"finish_reason":null"#)],
    openai_chunk!(r#""delta":{"content":"@0000000000000000"},"finish_reason":null"#),
    &[openai_chunk!(r#""delta":{},"finish_reason":"stop""#), "data: [DONE]\n\n"],
);

pub(crate) const ANTHROPIC_STREAM: Stream = (
    &[
        concat!(
            "event: message_start\ndata: ",
            r#"{"type":"message_start","message":{"id":"msg_BenchBenchBenchBenchBench","type":"message","#,
            r#""role":"assistant","model":"claude-sonnet-4-5","content":[],"stop_reason":null,"stop_sequence":null,"#,
            r#""usage":{"input_tokens":250,"output_tokens":1}}}"#,
            "\n\n"
        ),
        concat!(
            "event: content_block_start\ndata: ",
            r#"{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}"#,
            "\n\n"
        ),
        "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    ],
    concat!(
        "event: content_block_delta\ndata: ",
        r#"{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"@0000000000000000"}}"#,
        "\n\n"
    ),
    &[
        "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n",
        concat!(
            "event: message_delta\ndata: ",
            r#"{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"#,
            r#""usage":{"output_tokens":200}}"#,
            "\n\n"
        ),
        "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
    ],
);

/// A JSON reply with its head. The length is that of the body, which a test holds.
macro_rules! reply {
    ($status:literal, $length:literal, $($part:expr),+ $(,)?) => {
        concat!("HTTP/1.1 ", $status, "\r\ncontent-type: application/json\r\ncontent-length: ", $length, "\r\n\r\n", $($part),+)
    };
}

macro_rules! six_sentences {
    () => {
        concat!(
            "A gateway stands between programs and the models that they ask, and speaks for each to the other. ",
            "What it adds in time must not be seen, and what it takes in memory must not grow with the day. ",
            "It is given a word at a time and hands on a word at a time, in whatever tongue the other side knows. ",
            "When one source runs dry, it turns to the next, and the caller never learns that there were two. ",
            "Its keys are its own and are shown to nobody, not to those who call and not to those who extend it. ",
            "And when a part of it is made anew, those who are being served go on being served by the old."
        )
    };
}

pub(crate) const OPENAI_REPLY: &str = reply!(
    "200 OK",
    1026,
    r#"{"id":"chatcmpl-BenchBenchBenchBenchBench","object":"chat.completion","created":1760000000,"#,
    r#""model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":""#,
    six_sentences!(),
    r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":250,"#,
    r#""completion_tokens":140,"total_tokens":390,"prompt_tokens_details":{"cached_tokens":0}},"#,
    r#""service_tier":"default","system_fingerprint":"fp_0123456789"}"#,
);

pub(crate) const ANTHROPIC_REPLY: &str = reply!(
    "200 OK",
    905,
    r#"{"id":"msg_BenchBenchBenchBenchBench","type":"message","role":"assistant","model":"claude-sonnet-4-5","#,
    r#""content":[{"type":"text","text":""#,
    six_sentences!(),
    r#""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":250,"output_tokens":140,"#,
    r#""cache_creation_input_tokens":0,"cache_read_input_tokens":0,"service_tier":"standard"}}"#,
);

/// In both dialects, as nobody looks into it.
pub(crate) const FAILURE: &str = reply!(
    "500 Internal Server Error",
    126,
    r#"{"type":"error","error":{"type":"server_error","message":"The server had an error while processing your request","code":null}}"#,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canned_replies_are_as_long_as_they_say_and_json() {
        for (reply, length) in [(OPENAI_REPLY, 900..1_200), (ANTHROPIC_REPLY, 900..1_200), (FAILURE, 100..200)] {
            let (head, body) = reply.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "the body has {} bytes", body.len());
            assert!(length.contains(&body.len()));
            serde_json::from_str::<serde_json::Value>(body).unwrap();
        }
    }

    #[test]
    fn canned_events_are_json() {
        for (before, event, after) in [OPENAI_STREAM, ANTHROPIC_STREAM] {
            assert!(event.contains(STAMP));
            for event in before.iter().chain([&event]).chain(after) {
                let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
                assert!(data == "[DONE]" || serde_json::from_str::<serde_json::Value>(data).is_ok(), "{data}");
                assert!(event.ends_with("\n\n"));
            }
        }
    }
}
