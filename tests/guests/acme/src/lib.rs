//! A provider that does what its settings say: by default it answers by itself, with its version in the answer, and
//! otherwise it misbehaves in one of the ways that a gateway must survive. Every way is one arm of `act`.

use plugway_sdk::{
    Acquisition, Body, Call, Capabilities, Fetch, Framing, HttpReply, Level, LocalReply, Outgoing, Pause, Plugin,
    Preset, Problem, Provider, Step,
};
use serde::Deserialize;
use serde_json::json;
use std::hint::black_box;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

#[derive(Deserialize)]
#[serde(tag = "behave", rename_all = "kebab-case", deny_unknown_fields)]
enum Behaviour {
    /// Answers by itself: `provider-acme`'s version, then the words `chunk 1` … where it streams.
    Answer {
        #[serde(default = "three")]
        chunks: u32,
    },
    /// Has the call sent. Everything in it can be wrong.
    Send(Sending),
    /// Sends, then answers with what the upstream said.
    Fetch(Sending),
    /// Sends so many times, then answers with what the upstream said last.
    FetchTimes {
        times: u32,
    },
    /// Sends again and again, without ever coming to an answer.
    FetchForever(Sending),
    /// Never comes back from waiting.
    WaitForever,
    /// Waits once, then answers.
    Wait {
        milliseconds: u32,
    },
    /// Sends, with a state of this many megabytes.
    StateBomb {
        megabytes: usize,
    },
    /// Answers, if it was told what it needs.
    Demanding {
        #[serde(rename = "needed")]
        _needed: String,
    },
    /// Derives a credential from the upstream's reply, then puts it into a header; for the model `blind`, it does not look
    /// whether there is one.
    Acquire {
        path: String,
        secret_at: String,
    },
    /// Answers with this text, which need not be JSON.
    Reply {
        text: String,
    },
    /// Answers with these chunks, which need not be JSON.
    ReplyChunks {
        chunks: Vec<String>,
    },
    /// Answers with a text of this size.
    HugeReply {
        megabytes: usize,
    },
    /// Sends with this many headers.
    ManyHeaders {
        count: usize,
    },
    Panic,
    /// Works for so many calls in each instance, then never again.
    PanicAfter {
        calls: u32,
    },
    Loop,
    EatMemory,
    Recurse,
    /// Sleeps through WASI, which asks no epoch.
    Sleep {
        seconds: u64,
    },
    /// Burns about so many milliseconds, then answers.
    Slow {
        milliseconds: u32,
    },
    /// Writes this many lines of this many bytes to the host's log, then answers.
    FloodLog {
        lines: u32,
        bytes: usize,
    },
    /// Prints this many lines to standard output and error, then answers.
    FloodOutput {
        lines: u32,
        bytes: usize,
    },
    /// Keeps a megabyte of every call, and answers.
    Grow,
    /// Answers with all that it can find out: environment, arguments, files, and what it was told.
    Snoop,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Sending {
    method: Option<String>,
    path: Option<String>,
    headers: Vec<(String, String)>,
    dialect: Option<String>,
    credential: Option<String>,
    in_header: Option<String>,
    in_query: Option<String>,
    body: Option<String>,
    /// Edits of the caller's body, in order.
    set: Vec<(String, serde_json::Value)>,
}

fn three() -> u32 {
    3
}

impl Sending {
    fn outgoing(&self) -> Outgoing {
        let mut outgoing = Outgoing::post(self.path.as_deref().unwrap_or("/v1/chat/completions"))
            .dialect(self.dialect.as_deref().unwrap_or("openai-chat"))
            .framing(Framing::Sse);
        if let Some(method) = &self.method {
            outgoing.method.clone_from(method);
        }
        for (name, value) in &self.headers {
            outgoing = outgoing.header(name, value.as_str());
        }
        for (member, value) in &self.set {
            outgoing = outgoing.set(member, value.clone());
        }
        if let Some(body) = &self.body {
            outgoing.body = Body::Replaced(body.clone());
        }
        match (&self.credential, &self.in_header, &self.in_query) {
            (None, _, _) => outgoing,
            (Some(credential), Some(header), _) => outgoing.secret_header(header, credential),
            (Some(credential), None, Some(parameter)) => outgoing.secret_query(parameter, credential),
            (Some(credential), None, None) => outgoing.bearer(credential),
        }
    }
}

struct Acme {
    behaviour: Behaviour,
}

impl Plugin for Acme {
    type Settings = serde_json::Value;
    const DESCRIPTION: &'static str = "Does what its settings say";

    fn new(mut settings: serde_json::Value) -> Result<Self, Problem> {
        if settings == json!({}) {
            settings = json!({"behave": "answer"});
        }
        let behaviour =
            serde_json::from_value(settings).map_err(|error| Problem::invalid(format!("behave: {error}")))?;
        Ok(Acme { behaviour })
    }
}

impl Provider for Acme {
    fn capabilities(&self) -> Capabilities {
        let capabilities = Capabilities::of(["chat_completion", "chat_completion_stream", "file"]).reads(["messages"]);
        let capabilities = match __plugway::stamp().base_url {
            Some(url) => capabilities.base_url(&url),
            None => capabilities,
        };
        match &self.behaviour {
            Behaviour::Send(sending) | Behaviour::Fetch(sending) if sending.credential.is_some() => capabilities,
            Behaviour::Acquire { .. } | Behaviour::Snoop => capabilities,
            _ => capabilities.key_less(),
        }
    }

    /// What the demanding need.
    fn presets() -> Vec<Preset> {
        vec![Preset {
            name: "generous".to_owned(),
            base_url: "http://localhost:9".to_owned(),
            needs_key: false,
            settings: json!({"behave": "demanding", "needed": "this"}).to_string(),
        }]
    }

    fn plan(&self, call: &Call) -> Result<Step, Problem> {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

        __plugway::stamp().in_plan.act();
        Ok(match &self.behaviour {
            Behaviour::Answer { chunks } => answer(call, *chunks),
            Behaviour::Demanding { .. } => answer(call, 3),
            Behaviour::Send(sending) => sending.outgoing().into(),
            Behaviour::Fetch(sending) | Behaviour::FetchForever(sending) => fetch(sending),
            Behaviour::FetchTimes { times } => fetch_again(*times),
            Behaviour::WaitForever => wait(100),
            Behaviour::Wait { milliseconds } => wait(*milliseconds),
            Behaviour::StateBomb { megabytes } => {
                Step::Fetch(Fetch { request: side_request(&Sending::default()), state: megabytes_of("s", *megabytes) })
            }
            Behaviour::Acquire { path, secret_at } => acquire(call, path, secret_at),
            Behaviour::Reply { text } => whole(text.clone()),
            Behaviour::ReplyChunks { chunks } => Step::Reply(LocalReply::Chunks(chunks.clone())),
            Behaviour::HugeReply { megabytes } => say(call, &megabytes_of("x", *megabytes)),
            Behaviour::ManyHeaders { count } => {
                let headers = (0..*count).map(|index| (format!("x-{index}"), "value".to_owned())).collect();
                Sending { headers, ..Sending::default() }.outgoing().into()
            }
            Behaviour::Panic => panic!("as the settings say"),
            Behaviour::PanicAfter { calls } => {
                let before = CALLS.fetch_add(1, Ordering::Relaxed);
                assert!(before < *calls, "the instance has had its {calls} calls");
                answer(call, 3)
            }
            Behaviour::Loop => loop {
                black_box(());
            },
            Behaviour::EatMemory => {
                let mut eaten = Vec::new();
                loop {
                    eaten.push(black_box(vec![1_u8; 1 << 20]));
                }
            }
            Behaviour::Recurse => say(call, &recurse(1).to_string()),
            Behaviour::Sleep { seconds } => {
                std::thread::sleep(Duration::from_secs(*seconds));
                answer(call, 3)
            }
            Behaviour::Slow { milliseconds } => {
                burn(*milliseconds);
                answer(call, 3)
            }
            Behaviour::FloodLog { lines, bytes } => {
                let line = "flood ".repeat(bytes / 6 + 1);
                for _ in 0..*lines {
                    plugway_sdk::log(Level::Info, &line[..*bytes]);
                }
                answer(call, 3)
            }
            Behaviour::FloodOutput { lines, bytes } => {
                let line = "flood ".repeat(bytes / 6 + 1);
                for _ in 0..*lines {
                    println!("{}", &line[..*bytes]);
                    eprintln!("{}", &line[..*bytes]);
                }
                answer(call, 3)
            }
            Behaviour::Grow => {
                let mut kept = KEPT.lock().expect("one thread");
                kept.push(vec![1; 1 << 20]);
                say(call, &format!("keeping {} MB", kept.len()))
            }
            Behaviour::Snoop => snoop(call),
        })
    }

    fn resume(&self, state: String, reply: Option<HttpReply>) -> Result<Step, Problem> {
        match &self.behaviour {
            Behaviour::FetchForever(sending) => Ok(fetch(sending)),
            Behaviour::FetchTimes { .. } if state != "0" => Ok(fetch_again(state.parse().expect("a number"))),
            Behaviour::WaitForever => Ok(wait(100)),
            _ => {
                let call = Call::chat("fetched");
                let said = reply.map_or_else(
                    || "nothing".to_owned(),
                    |reply| {
                        let headers: Vec<String> =
                            reply.headers.iter().map(|header| format!("{}: {}", header.name, header.value)).collect();
                        format!("{} {} {}", reply.status, headers.join("; "), reply.body)
                    },
                );
                plugway_sdk::log(Level::Info, &said);
                Ok(say(&call, &said))
            }
        }
    }
}

/// Version and, where it streams, one chunk after the other.
fn answer(call: &Call, chunks: u32) -> Step {
    let version = __plugway::stamp().version;
    if !call.streaming {
        return say(call, &format!("acme {version}"));
    }
    let mut texts = vec![format!("acme {version}")];
    texts.extend((1..=chunks).map(|number| format!(" chunk {number}")));
    let mut chunks: Vec<String> =
        texts.iter().map(|text| chunk(call, &json!({"role": "assistant", "content": text}), None)).collect();
    chunks.push(chunk(call, &json!({}), Some("stop")));
    Step::Reply(LocalReply::Chunks(chunks))
}

fn chunk(call: &Call, delta: &serde_json::Value, finish_reason: Option<&str>) -> String {
    json!({
        "id": "chatcmpl-acme",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": call.model,
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    })
    .to_string()
}

fn say(call: &Call, text: &str) -> Step {
    whole(
        json!({
            "id": "chatcmpl-acme",
            "object": "chat.completion",
            "created": 0,
            "model": call.model,
            "choices": [{
                "index": 0,
                "message": {"role": "assistant", "content": text},
                "finish_reason": "stop",
            }],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        })
        .to_string(),
    )
}

fn whole(text: String) -> Step {
    Step::Reply(LocalReply::Whole(text))
}

fn fetch(sending: &Sending) -> Step {
    Step::Fetch(Fetch { request: side_request(sending), state: "fetched".to_owned() })
}

/// The state is how many are left.
fn fetch_again(left: u32) -> Step {
    Step::Fetch(Fetch { request: side_request(&Sending::default()), state: (left - 1).to_string() })
}

/// A side request cannot carry the caller's body.
fn side_request(sending: &Sending) -> Outgoing {
    let body = sending.body.clone().unwrap_or_else(|| "{}".to_owned());
    Outgoing { body: Body::Replaced(body), ..sending.outgoing() }
}

fn wait(milliseconds: u32) -> Step {
    Step::Wait(Pause { milliseconds, state: "waited".to_owned() })
}

fn acquire(call: &Call, path: &str, secret_at: &str) -> Step {
    if call.model == "blind" || call.credentials.iter().any(|name| name == "derived") {
        return Outgoing::post("/v1/chat/completions").bearer("derived").into();
    }
    Step::Acquire(Acquisition {
        credential: "derived".to_owned(),
        request: Outgoing { body: Body::Replaced("{}".to_owned()), ..Outgoing::post(path).bearer("api_key") },
        secret_at: secret_at.to_owned(),
        expires_at: Some("/expires_in".to_owned()),
    })
}

fn snoop(call: &Call) -> Step {
    let environment: Vec<_> = std::env::vars().collect();
    let arguments: Vec<_> = std::env::args().collect();
    let files: Vec<_> = ["/etc/passwd", "/proc/self/environ", "plugway.yaml", "."]
        .map(|path| (path, std::fs::read(path).is_ok() || std::fs::read_dir(path).is_ok()))
        .into_iter()
        .filter(|(_, readable)| *readable)
        .collect();
    let written = std::fs::write("/tmp/plugway-guest-was-here", "1").is_ok();
    let found = json!({
        "environment": environment,
        "arguments": arguments,
        "files": files,
        "written": written,
        "told": format!("{call:?}"),
    });
    plugway_sdk::log(Level::Info, &found.to_string());
    say(call, &found.to_string())
}

fn megabytes_of(text: &str, megabytes: usize) -> String {
    text.repeat((megabytes << 20) / text.len())
}

/// Not quite proportional to time, as there is no clock that moves during a call.
fn burn(milliseconds: u32) {
    let mut number = 1_u64;
    for _ in 0..u64::from(milliseconds) * 750_000 {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

#[expect(unconditional_recursion, reason = "that is the point")]
fn recurse(depth: u64) -> u64 {
    let space = black_box([depth; 64]);
    recurse(space[0] + 1) + space[63]
}

stamp::export!(Acme as "provider-acme": provider);
