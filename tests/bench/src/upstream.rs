//! The mock upstream: a canned answer of about 1 KB, or a stream of events, in OpenAI's and Anthropic's dialects.
//!
//! Written on bare sockets, because a slow upstream would leave the gateways idle and measure their wake-ups.

use crate::stamp;
use anyhow::{Context, Result};
use bytes::{Buf, BytesMut};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

/// What the upstream is to do with the next streams.
#[derive(Default)]
struct Script {
    events: AtomicU32,
    /// How many of them go out with one write.
    batch: AtomicU32,
    /// From one write to the next; 0 for at once.
    interval_micros: AtomicU64,
    /// The longest that a write with an interval was behind its time, in microseconds: then this program was too slow.
    behind: AtomicU64,
}

pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
}

impl Upstream {
    /// Serves on a thread of its own until the program ends.
    pub(crate) fn start() -> Result<Upstream> {
        let script = Arc::new(Script::default());
        let (sender, receiver) = std::sync::mpsc::channel();
        let shared = script.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(listen(shared, sender))
        });
        let address = receiver.recv().context("the mock upstream did not start")?;
        Ok(Upstream { address, script })
    }

    /// Streams carry so many content events from now on, `batch` of them in each write.
    pub(crate) fn stream(&self, events: u32, batch: u32, interval: Duration) {
        self.script.events.store(events, Relaxed);
        self.script.batch.store(batch, Relaxed);
        self.script.interval_micros.store(interval.as_micros() as u64, Relaxed);
        self.forget_behind();
    }

    /// Begins to watch anew how late the upstream is.
    pub(crate) fn forget_behind(&self) {
        self.script.behind.store(0, Relaxed);
    }

    /// How late the upstream itself was at worst, since it was last told to forget it.
    pub(crate) fn behind(&self) -> Duration {
        Duration::from_micros(self.script.behind.load(Relaxed))
    }
}

async fn listen(script: Arc<Script>, address: std::sync::mpsc::Sender<SocketAddr>) -> std::io::Result<()> {
    let listener = listener()?;
    let _ = address.send(listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        let script = script.clone();
        // A caller that hangs up in the middle of a stream is how a measurement ends.
        tokio::spawn(async move { serve(socket, &script).await.ok() });
    }
}

fn listener() -> std::io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(4096)
}

async fn serve(mut socket: TcpStream, script: &Script) -> std::io::Result<()> {
    socket.set_nodelay(true)?;
    let mut input = BytesMut::with_capacity(16 << 10);
    loop {
        let request = loop {
            if let Some(request) = Request::read(&input) {
                break request;
            }
            if socket.read_buf(&mut input).await? == 0 {
                return Ok(());
            }
        };
        match (request.dialect, request.streaming) {
            (Dialect::OpenAi, false) => socket.write_all(OPENAI_REPLY.as_bytes()).await?,
            (Dialect::Anthropic, false) => socket.write_all(ANTHROPIC_REPLY.as_bytes()).await?,
            (dialect, true) => stream(&mut socket, dialect, script).await?,
        }
        input.advance(request.length);
    }
}

/// As much of a request as the mock cares for.
struct Request {
    length: usize,
    dialect: Dialect,
    streaming: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    OpenAi,
    Anthropic,
}

impl Dialect {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Dialect::OpenAi => "/v1/chat/completions",
            Dialect::Anthropic => "/v1/messages",
        }
    }
}

impl Request {
    /// The request at the start of `input`, once all of it is there.
    fn read(input: &[u8]) -> Option<Request> {
        let head = input.windows(4).position(|bytes| bytes == b"\r\n\r\n")? + 4;
        let head_text = std::str::from_utf8(&input[..head]).expect("gateways send ASCII headers");
        let header = |name: &str| {
            head_text
                .split("\r\n")
                .skip(1)
                .filter_map(|line| line.split_once(':'))
                .find_map(|(header, value)| header.eq_ignore_ascii_case(name).then_some(value.trim()))
        };
        assert!(header("transfer-encoding").is_none(), "the mock upstream takes bodies of known length only");
        let length = head + header("content-length").map_or(0, |value| value.parse().expect("a content-length"));
        let body = std::str::from_utf8(input.get(head..length)?).expect("gateways send UTF-8 bodies");
        let messages = head_text.split(' ').nth(1).is_some_and(|path| path.starts_with(Dialect::Anthropic.path()));
        Some(Request {
            length,
            dialect: if messages { Dialect::Anthropic } else { Dialect::OpenAi },
            streaming: body.contains("\"stream\":true") || body.contains("\"stream\": true"),
        })
    }
}

/// Each event is a chunk of its own, as real providers send them.
async fn stream(socket: &mut TcpStream, dialect: Dialect, script: &Script) -> std::io::Result<()> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n\
        transfer-encoding: chunked\r\n\r\n";
    let (before, event, after) = match dialect {
        Dialect::OpenAi => OPENAI_STREAM,
        Dialect::Anthropic => ANTHROPIC_STREAM,
    };
    socket.write_all(HEAD).await?;
    for event in before {
        socket.write_all(&chunk(event)).await?;
    }
    let event = chunk(event);
    let stamp = event.windows(stamp::LENGTH).position(|text| text == STAMP.as_bytes()).expect("a stamp");
    let mut batch = event.repeat(script.batch.load(Relaxed) as usize);
    let interval = Duration::from_micros(script.interval_micros.load(Relaxed));
    let mut due = Instant::now();
    let mut left = script.events.load(Relaxed) as usize;
    while left > 0 {
        if !interval.is_zero() {
            tokio::time::sleep_until(due).await;
            script.behind.fetch_max(due.elapsed().as_micros() as u64, Relaxed);
            due += interval;
        }
        let now = stamp::now();
        batch.truncate(left.saturating_mul(event.len()));
        for event in batch.chunks_mut(event.len()) {
            stamp::write(now, &mut event[stamp..]);
            left -= 1;
        }
        socket.write_all(&batch).await?;
    }
    for event in after {
        socket.write_all(&chunk(event)).await?;
    }
    socket.write_all(b"0\r\n\r\n").await
}

fn chunk(event: &str) -> Vec<u8> {
    format!("{:x}\r\n{event}\r\n", event.len()).into_bytes()
}

/// What stands in an event where the time goes.
const STAMP: &str = "@0000000000000000";

/// The events before the content, the content event, and the events behind the content.
type Stream = (&'static [&'static str], &'static str, &'static [&'static str]);

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

const OPENAI_STREAM: Stream = (
    &[openai_chunk!(r#""delta":{"role":"assistant","content":""},"finish_reason":null"#)],
    openai_chunk!(r#""delta":{"content":"@0000000000000000"},"finish_reason":null"#),
    &[openai_chunk!(r#""delta":{},"finish_reason":"stop""#), "data: [DONE]\n\n"],
);

const ANTHROPIC_STREAM: Stream = (
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
    ($length:literal, $($part:expr),+ $(,)?) => {
        concat!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: ", $length, "\r\n\r\n", $($part),+)
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

const OPENAI_REPLY: &str = reply!(
    1026,
    r#"{"id":"chatcmpl-BenchBenchBenchBenchBench","object":"chat.completion","created":1760000000,"#,
    r#""model":"gpt-4o-mini-2024-07-18","choices":[{"index":0,"message":{"role":"assistant","content":""#,
    six_sentences!(),
    r#"","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":250,"#,
    r#""completion_tokens":140,"total_tokens":390,"prompt_tokens_details":{"cached_tokens":0}},"#,
    r#""service_tier":"default","system_fingerprint":"fp_0123456789"}"#,
);

const ANTHROPIC_REPLY: &str = reply!(
    905,
    r#"{"id":"msg_BenchBenchBenchBenchBench","type":"message","role":"assistant","model":"claude-sonnet-4-5","#,
    r#""content":[{"type":"text","text":""#,
    six_sentences!(),
    r#""}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":250,"output_tokens":140,"#,
    r#""cache_creation_input_tokens":0,"cache_read_input_tokens":0,"service_tier":"standard"}}"#,
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn canned_replies_are_as_long_as_they_say_and_json() {
        for reply in [OPENAI_REPLY, ANTHROPIC_REPLY] {
            let (head, body) = reply.split_once("\r\n\r\n").unwrap();
            assert!(head.ends_with(&format!("content-length: {}", body.len())), "the body has {} bytes", body.len());
            assert!((900..1_200).contains(&body.len()));
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
