//! The mock upstream: a canned answer of about 1 KB, or a stream of events, in OpenAI's and Anthropic's dialects; or, for
//! a share of the requests, a failure.
//!
//! Written on bare sockets, because a slow upstream would leave the gateways idle and measure their wake-ups.

use crate::canned::{ANTHROPIC_REPLY, ANTHROPIC_STREAM, FAILURE, OPENAI_REPLY, OPENAI_STREAM, STAMP};
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

/// What the upstream is to do with the next requests.
#[derive(Default)]
struct Script {
    events: AtomicU32,
    /// How many of them go out with one write.
    batch: AtomicU32,
    /// From one write to the next; 0 for at once.
    interval_micros: AtomicU64,
    /// The longest that a write with an interval was behind its time, in microseconds: then this program was too slow.
    behind: AtomicU64,
    /// How many of a thousand answers are a failure.
    failing: AtomicU32,
    /// Draws which ones.
    draw: AtomicU64,
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

    /// So many of a thousand answers are a failure from now on: by chance, each for itself.
    pub(crate) fn fail(&self, of_thousand: u32) {
        self.script.failing.store(of_thousand, Relaxed);
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

impl Script {
    /// Whether the next answer is to be a failure. Not every hundredth, say: then what is tried again would have another
    /// chance than what is tried first.
    fn fails(&self) -> bool {
        let failing = self.failing.load(Relaxed);
        failing > 0 && mixed(self.draw.fetch_add(1, Relaxed)) % 1_000 < u64::from(failing)
    }
}

/// One number after the other becomes one as good as random (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
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
            _ if script.fails() => socket.write_all(FAILURE.as_bytes()).await?,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_answers_fail_as_is_said_whatever_came_before() {
        let script = Script::default();
        assert!((0..1_000).all(|_| !script.fails()));
        script.failing.store(200, Relaxed);
        let answers: Vec<bool> = (0..100_000).map(|_| script.fails()).collect();
        let failed = answers.iter().filter(|failed| **failed).count();
        assert!((19_500..20_500).contains(&failed), "{failed} of 100000");
        let twice = answers.windows(2).filter(|pair| pair[0] && pair[1]).count();
        assert!((3_700..4_300).contains(&twice), "{twice} behind a failure");
    }
}
