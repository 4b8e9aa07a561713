//! What goes wrong with upstreams, and what each of it means.

use crate::dialects::{ANSWER, Dialect};
use crate::upstream::Reply;
use std::time::{Duration, SystemTime};

/// What a fault means for a caller of a stream, and for one of a whole answer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Means {
    /// It looked like a fault.
    Served,
    /// Nothing has reached the caller.
    Failed,
    /// The caller has seen the beginning.
    Broken,
}

use Means::{Broken, Failed, Served};

pub struct Fault {
    pub name: &'static str,
    /// What a provider of this dialect answers to who asks for a stream, or for a whole.
    pub reply: fn(Dialect, bool) -> Reply,
    pub streamed: Means,
    pub whole: Means,
}

impl Fault {
    pub fn means(&self, streaming: bool) -> Means {
        if streaming { self.streamed } else { self.whole }
    }
}

/// A row of the table for who meets nothing of the fault.
const fn served(name: &'static str, reply: fn(Dialect, bool) -> Reply) -> Fault {
    Fault { name, reply, streamed: Served, whole: Served }
}

/// One for what has reached nobody when it comes.
const fn failing(name: &'static str, reply: fn(Dialect, bool) -> Reply) -> Fault {
    Fault { name, reply, streamed: Failed, whole: Failed }
}

/// One for what comes in the middle of a stream. A whole answer is held until it is whole.
const fn breaking(name: &'static str, reply: fn(Dialect, bool) -> Reply) -> Fault {
    Fault { name, reply, streamed: Broken, whole: Failed }
}

pub fn whole_or_stream(spoken: Dialect, streaming: bool) -> Reply {
    match streaming {
        true => Reply::sse(&spoken.frames(&spoken.stream(ANSWER))),
        false => Reply::json(200, &spoken.whole(ANSWER)),
    }
}

/// The bytes of a stream up to the end of its first content.
fn first_content(spoken: Dialect) -> usize {
    let frames = spoken.frames(&spoken.stream(ANSWER));
    let content = frames.iter().position(|frame| frame.contains("Paris")).expect("the first word");
    frames.iter().take(content + 1).map(String::len).sum()
}

fn with_frame_after_content(spoken: Dialect, frame: &str) -> Reply {
    let frames = spoken.frames(&spoken.stream(ANSWER));
    let content = frames.iter().position(|frame| frame.contains("Paris")).expect("the first word");
    let (head, tail) = frames.split_at(content + 1);
    Reply::sse(&[head, &[frame.to_owned()], tail].concat())
}

/// An event of 3 MB, where one may have 1 MB and a whole answer 2 MB.
fn giant_event() -> String {
    format!("data: {{\"x\": \"{}\"}}\n\n", "x".repeat(3 * 1024 * 1024))
}

fn too_many_requests(spoken: Dialect, header: &str, value: &str) -> Reply {
    Reply::json(429, &spoken.error(429)).header(header, value)
}

fn in_a_moment() -> SystemTime {
    SystemTime::now() + Duration::from_secs(2)
}

fn error_event(spoken: Dialect) -> String {
    spoken.frames(&[spoken.error_event()]).remove(0)
}

fn without_its_end(spoken: Dialect) -> Reply {
    let mut frames = spoken.frames(&spoken.stream(ANSWER));
    while frames.last().is_some_and(|frame| frame.contains("[DONE]") || frame.contains("message_stop")) {
        frames.pop();
    }
    Reply::sse(&frames)
}

pub const FAULTS: &[Fault] = &[
    failing("closed before headers", |_, _| Reply::new(200, "application/json", "").stall_before_headers().hang_up()),
    failing("silence before headers", |_, _| Reply::new(200, "application/json", "").stall_before_headers()),
    failing("silence after headers", |spoken, streaming| whole_or_stream(spoken, streaming).stall_after(0)),
    failing("silence before the first content", |spoken, streaming| whole_or_stream(spoken, streaming).stall_after(20)),
    failing("silence after the event that opens the stream", |spoken, streaming| match streaming {
        true => whole_or_stream(spoken, true).stall_after(spoken.frames(&spoken.stream(ANSWER))[0].len()),
        false => whole_or_stream(spoken, false).stall_after(1),
    }),
    breaking("silence after the first content", |spoken, streaming| match streaming {
        true => whole_or_stream(spoken, true).stall_after(first_content(spoken)),
        false => whole_or_stream(spoken, false).stall_after(40),
    }),
    failing("reset before the first content", |spoken, streaming| whole_or_stream(spoken, streaming).reset_after(20)),
    breaking("reset after the first content", |spoken, streaming| match streaming {
        true => whole_or_stream(spoken, true).reset_after(first_content(spoken)),
        false => whole_or_stream(spoken, false).reset_after(40),
    }),
    breaking("cut after the first content", |spoken, streaming| match streaming {
        true => whole_or_stream(spoken, true).until_close().close_after(first_content(spoken)),
        false => whole_or_stream(spoken, false).close_after(40),
    }),
    breaking("no terminal marker", |spoken, streaming| match streaming {
        true => without_its_end(spoken),
        false => whole_or_stream(spoken, false).until_close().close_after(40),
    }),
    failing("an error event before any content", |spoken, streaming| match streaming {
        true => Reply::sse(&[error_event(spoken)]),
        false => Reply::json(500, &spoken.error(500)),
    }),
    breaking("an error event after content", |spoken, streaming| match streaming {
        true => with_frame_after_content(spoken, &error_event(spoken)),
        false => Reply::json(503, &spoken.error(503)),
    }),
    failing("a malformed event before content", |_, streaming| match streaming {
        true => Reply::sse(&["data: {\"choices\": [\n\n"]),
        false => Reply::new(200, "application/json", "{\"choices\": ["),
    }),
    breaking("a malformed event after content", |spoken, streaming| match streaming {
        true => with_frame_after_content(spoken, "event: content_block_delta\ndata: {\"type\": \"content_b\n\n"),
        false => Reply::new(200, "application/json", "no JSON at all"),
    }),
    failing("a giant event", |_, streaming| match streaming {
        true => Reply::sse(&[giant_event()]),
        false => Reply::new(200, "application/json", giant_event()),
    }),
    breaking("a giant event after content", |spoken, streaming| match streaming {
        true => with_frame_after_content(spoken, &giant_event()),
        false => Reply::json(200, &spoken.whole(&"x".repeat(3 * 1024 * 1024))).chunked(),
    }),
    failing("an error in a document with a good status", |spoken, _| Reply::json(200, &spoken.error(529))),
    failing("a web page", |_, _| Reply::new(200, "text/html", "<html><body>Welcome to your new server</body></html>")),
    failing("a redirect", |_, _| Reply::new(302, "text/plain", "").header("location", "http://127.0.0.1:1/")),
    failing("429", |spoken, _| Reply::json(429, &spoken.error(429))),
    failing("429, seconds", |spoken, _| too_many_requests(spoken, "retry-after", "1")),
    failing("429, milliseconds", |spoken, _| too_many_requests(spoken, "retry-after-ms", "150")),
    failing("429, a date", |spoken, _| {
        too_many_requests(spoken, "retry-after", &httpdate::fmt_http_date(in_a_moment()))
    }),
    failing("429, a duration", |spoken, _| too_many_requests(spoken, "x-ratelimit-reset-requests", "0m1s")),
    failing("429, a short duration", |spoken, _| too_many_requests(spoken, "x-ratelimit-reset-tokens", "120ms")),
    failing("429, a moment", |spoken, _| {
        let moment = humantime::format_rfc3339_seconds(in_a_moment()).to_string();
        too_many_requests(spoken, "anthropic-ratelimit-requests-reset", &moment)
    }),
    failing("529", |spoken, _| Reply::json(529, &spoken.error(529))),
    failing("a status that no answer has", |spoken, _| Reply::json(777, &spoken.error(500))),
    failing("502 with a web page", |_, _| Reply::new(502, "text/html", "<html><body>Bad Gateway</body></html>")),
    served("a slow drip", |spoken, streaming| whole_or_stream(spoken, streaming).every(Duration::from_millis(20))),
    served("compressed", |spoken, streaming| whole_or_stream(spoken, streaming).gzip()),
    served("a document where a stream should be", |spoken, _| whole_or_stream(spoken, false)),
    Fault {
        name: "a document that calls itself text",
        reply: |spoken, _| whole_or_stream(spoken, false).header("content-type", "text/plain"),
        streamed: Failed,
        whole: Served,
    },
    served("a stream that calls itself text", |spoken, streaming| {
        whole_or_stream(spoken, streaming).header("content-type", "text/plain")
    }),
];
