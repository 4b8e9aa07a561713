//! Everything that goes wrong with upstreams, in both dialects, streamed and not. What has not reached the caller yet is
//! rescued where there is somebody to rescue it, else it is a well-formed error; what has, ends with an error event and
//! never as if it were complete. All of it in bounded time, and nothing is left behind.

use crate::dialects::{ANSWER, Dialect, Dialect::Anthropic, Dialect::OpenAi};
use crate::gateway::{Answer, Gateway, Setup, chat_body, openai, place, provider, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::net::TcpListener;

/// What a fault means for a caller of a stream, and for one of a whole answer.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Means {
    /// It looked like a fault.
    Served,
    /// Nothing has reached the caller.
    Failed,
    /// The caller has seen the beginning.
    Broken,
}

use Means::{Broken, Failed, Served};

struct Fault {
    name: &'static str,
    /// None: there is no server, or none that speaks HTTP.
    reply: fn(Dialect, bool) -> Reply,
    streamed: Means,
    whole: Means,
}

fn whole_or_stream(spoken: Dialect, streaming: bool) -> Reply {
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

const FAULTS: &[Fault] = &[
    Fault {
        name: "closed before headers",
        reply: |_, _| Reply::new(200, "application/json", "").stall_before_headers().hang_up(),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "silence before headers",
        reply: |_, _| Reply::new(200, "application/json", "").stall_before_headers(),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "silence after headers",
        reply: |spoken, streaming| whole_or_stream(spoken, streaming).stall_after(0),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "silence before the first content",
        reply: |spoken, streaming| whole_or_stream(spoken, streaming).stall_after(20),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "silence after the first content",
        reply: |spoken, streaming| match streaming {
            true => whole_or_stream(spoken, true).stall_after(first_content(spoken)),
            false => whole_or_stream(spoken, false).stall_after(40),
        },
        streamed: Broken,
        whole: Failed,
    },
    Fault {
        name: "reset before the first content",
        reply: |spoken, streaming| whole_or_stream(spoken, streaming).reset_after(20),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "reset after the first content",
        reply: |spoken, streaming| match streaming {
            true => whole_or_stream(spoken, true).reset_after(first_content(spoken)),
            false => whole_or_stream(spoken, false).reset_after(40),
        },
        streamed: Broken,
        whole: Failed,
    },
    Fault {
        name: "cut after the first content",
        reply: |spoken, streaming| match streaming {
            true => whole_or_stream(spoken, true).until_close().close_after(first_content(spoken)),
            false => whole_or_stream(spoken, false).close_after(40),
        },
        streamed: Broken,
        whole: Failed,
    },
    Fault {
        name: "no terminal marker",
        reply: |spoken, streaming| match streaming {
            true => without_its_end(spoken),
            false => whole_or_stream(spoken, false).until_close().close_after(40),
        },
        streamed: Broken,
        whole: Failed,
    },
    Fault {
        name: "an error event before any content",
        reply: |spoken, streaming| match streaming {
            true => Reply::sse(&[error_event(spoken)]),
            false => Reply::json(500, &spoken.error(500)),
        },
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "an error event after content",
        reply: |spoken, streaming| match streaming {
            true => with_frame_after_content(spoken, &error_event(spoken)),
            false => Reply::json(503, &spoken.error(503)),
        },
        streamed: Broken,
        whole: Failed,
    },
    Fault {
        name: "a malformed event before content",
        reply: |_, streaming| match streaming {
            true => Reply::sse(&["data: {\"choices\": [\n\n"]),
            false => Reply::new(200, "application/json", "{\"choices\": ["),
        },
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "a malformed event after content",
        reply: |spoken, streaming| match streaming {
            true => with_frame_after_content(spoken, "event: content_block_delta\ndata: {\"type\": \"content_b\n\n"),
            false => Reply::new(200, "application/json", "no JSON at all"),
        },
        streamed: Broken,
        whole: Failed,
    },
    Fault {
        name: "a giant event",
        reply: |_, streaming| {
            let giant = format!("data: {{\"x\": \"{}\"}}\n\n", "x".repeat(3 * 1024 * 1024));
            if streaming { Reply::sse(&[giant]) } else { Reply::new(200, "application/json", giant) }
        },
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "an error in a document with a good status",
        reply: |spoken, _| Reply::json(200, &spoken.error(529)),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "a web page",
        reply: |_, _| Reply::new(200, "text/html", "<html><body>Welcome to your new server</body></html>"),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "a redirect",
        reply: |_, _| Reply::new(302, "text/plain", "").header("location", "http://127.0.0.1:1/"),
        streamed: Failed,
        whole: Failed,
    },
    Fault { name: "429", reply: |spoken, _| Reply::json(429, &spoken.error(429)), streamed: Failed, whole: Failed },
    Fault { name: "529", reply: |spoken, _| Reply::json(529, &spoken.error(529)), streamed: Failed, whole: Failed },
    Fault {
        name: "502 with a web page",
        reply: |_, _| Reply::new(502, "text/html", "<html><body>Bad Gateway</body></html>"),
        streamed: Failed,
        whole: Failed,
    },
    Fault {
        name: "a slow drip",
        reply: |spoken, streaming| whole_or_stream(spoken, streaming).every(Duration::from_millis(20)),
        streamed: Served,
        whole: Served,
    },
    Fault {
        name: "compressed",
        reply: |spoken, streaming| whole_or_stream(spoken, streaming).gzip(),
        streamed: Served,
        whole: Served,
    },
    Fault {
        name: "a document where a stream should be",
        reply: |spoken, _| whole_or_stream(spoken, false),
        streamed: Served,
        whole: Served,
    },
];

fn block(spoken: Dialect, url: &str) -> Value {
    let mut block = match spoken {
        OpenAi => provider("openai", url),
        Anthropic => provider("anthropic", url),
    };
    block["network_config"]["default_request_timeout_in_seconds"] = json!(1);
    block["network_config"]["stream_idle_timeout_in_seconds"] = json!(1);
    block
}

/// Providers `<dialect>` alone and `safe-<dialect>` with a fallback, over one upstream whose models are faults by number.
async fn faulty() -> (Upstream, Upstream, Gateway) {
    let (faulty, spare) = (Upstream::start().await, Upstream::start().await);
    faulty.otherwise(|seen| {
        let body = seen.json();
        let spoken = if seen.path.contains("messages") { Anthropic } else { OpenAi };
        let index: usize = body["model"].as_str().and_then(|model| model.parse().ok()).expect("a fault's number");
        (FAULTS[index].reply)(spoken, body["stream"] == true)
    });
    spare.otherwise(|seen| whole_or_stream(OpenAi, seen.json()["stream"] == true));
    let mut setup = Setup::new()
        .set("limits", "body_mb", 2)
        .set("limits", "event_mb", 1)
        .section("routing", json!({"circuit_failures": 0}))
        .provider("spare", openai(&spare.url()));
    for (name, spoken) in [("openai", OpenAi), ("anthropic", Anthropic)] {
        let alone = block(spoken, &faulty.url());
        let mut safe = alone.clone();
        safe["fallbacks"] = json!(["spare/m"]);
        setup = setup.provider(name, alone).provider(&format!("safe-{name}"), safe);
    }
    (faulty, spare, setup.start().await)
}

async fn ask(gateway: &Gateway, caller: Dialect, model: &str, streaming: bool) -> Answer {
    match caller {
        OpenAi => gateway.post("/v1/chat/completions", &chat_body(model, "hello", streaming)).await,
        Anthropic => gateway.message(model, "hello", streaming).await,
    }
}

fn is_complete(caller: Dialect, answer: &Answer, streaming: bool) -> bool {
    let whole = |pointer: &str| answer.json().pointer(pointer).is_some_and(Value::is_string);
    match (caller, streaming) {
        (OpenAi, false) => whole("/choices/0/message/content"),
        (Anthropic, false) => whole("/content/0/text"),
        (OpenAi, true) => answer.is_done(),
        (Anthropic, true) => answer.events().last().is_some_and(|event| event.name == "message_stop"),
    }
}

/// A well-formed error in the caller's dialect.
fn assert_error(caller: Dialect, answer: &Answer, what: &str) {
    assert!(answer.status >= 400, "{what}: {}", answer.text());
    match caller {
        OpenAi => _ = answer.openai_error_of_class(answer.status / 100),
        Anthropic => _ = answer.anthropic_error(answer.status),
    }
}

fn assert_broken(caller: Dialect, answer: &Answer, what: &str) {
    assert_eq!(answer.status, 200, "{what}: {}", answer.text());
    assert!(!is_complete(caller, answer, true), "{what} looks complete: {}", answer.text());
    let last = answer.events().pop().expect("an event");
    match caller {
        OpenAi => assert!(last.json()["error"]["message"].is_string(), "{what}: {last:?}"),
        Anthropic => assert_eq!((last.name.as_str(), &last.json()["type"]), ("error", &json!("error")), "{what}"),
    }
}

#[tokio::test]
async fn every_fault_has_its_outcome_in_every_dialect() {
    let (_faulty, _spare, gateway) = faulty().await;
    let gateway = &gateway;
    let mut cases = Vec::new();
    for (index, fault) in FAULTS.iter().enumerate() {
        for (spoken, caller) in [(OpenAi, OpenAi), (OpenAi, Anthropic), (Anthropic, OpenAi), (Anthropic, Anthropic)] {
            for streaming in [true, false] {
                for safe in [true, false] {
                    cases.push(async move {
                        let means = if streaming { fault.streamed } else { fault.whole };
                        let provider = if spoken == OpenAi { "openai" } else { "anthropic" };
                        let provider = if safe { format!("safe-{provider}") } else { provider.to_owned() };
                        let what = format!("{}: {provider} for {caller:?}, streaming {streaming}", fault.name);
                        let start = Instant::now();
                        let answer = ask(gateway, caller, &format!("{provider}/{index}"), streaming).await;
                        assert!(start.elapsed() < Duration::from_secs(20), "{what} took {:?}", start.elapsed());
                        match (means, safe) {
                            (Broken, _) => assert_broken(caller, &answer, &what),
                            (Failed, false) => assert_error(caller, &answer, &what),
                            (Served, _) | (Failed, true) => {
                                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                                assert!(is_complete(caller, &answer, streaming), "{what}: {}", answer.text());
                            }
                        }
                    });
                }
            }
        }
    }
    let count = cases.len();
    futures_util::stream::StreamExt::for_each_concurrent(futures_util::stream::iter(cases), 16, |case| case).await;
    accounted_for(gateway, count).await;
}

/// Every request has ended and is counted, and no connection of its is left open.
async fn accounted_for(gateway: &Gateway, count: usize) {
    wait_until("all requests to be accounted for", || async {
        gateway.metric("plugway_requests_in_flight", "").await == 0.0
            && gateway.metric("plugway_requests_total", "operation=\"chat_completion\"").await == count as f64
    })
    .await;
}

/// What is no HTTP at all.
#[tokio::test]
async fn an_upstream_that_cannot_be_talked_to_is_a_failure_that_can_be_rescued() {
    let spare = Upstream::start().await;
    spare.otherwise(|seen| whole_or_stream(OpenAi, seen.json()["stream"] == true));
    let plain = Upstream::start().await;
    let deaf = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let refused = TcpListener::bind("127.0.0.1:0").await.expect("a free port").local_addr().expect("bound");
    let address = deaf.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((connection, _)) = deaf.accept().await {
            // Closed with a reset before anything was read.
            let _ = connection.set_zero_linger();
        }
    });
    let urls = [
        ("refused", format!("http://{refused}")),
        ("reset", format!("http://{address}")),
        ("no-tls", plain.url().replace("http:", "https:")),
        ("nowhere", "http://no-such-host.invalid".to_owned()),
    ];
    let mut setup = Setup::new().provider("spare", openai(&spare.url()));
    for (name, url) in &urls {
        let mut safe = openai(url);
        safe["fallbacks"] = json!(["spare/m"]);
        setup = setup.provider(name, openai(url)).provider(&format!("safe-{name}"), safe);
    }
    let gateway = setup.start().await;
    for (name, _) in &urls {
        for (caller, streaming) in [(OpenAi, true), (OpenAi, false), (Anthropic, true), (Anthropic, false)] {
            let failed = ask(&gateway, caller, &format!("{name}/m"), streaming).await;
            assert!([502, 504].contains(&failed.status), "{name}: {}", failed.text());
            assert_error(caller, &failed, name);
            assert!(!failed.text().contains("127.0.0.1"), "{}", failed.text());
            let rescued = ask(&gateway, caller, &format!("safe-{name}/m"), streaming).await;
            assert!(is_complete(caller, &rescued, streaming), "{name}: {}", rescued.text());
        }
    }
}

/// As many seconds as `PLUGWAY_SOAK_SECONDS` says.
fn soak() -> Duration {
    let seconds = place("PLUGWAY_SOAK_SECONDS", "").to_string_lossy().parse().unwrap_or(20);
    Duration::from_secs(seconds)
}

/// A while of everything at once. Memory settles early and stays, and the metrics know every request.
#[tokio::test]
async fn under_load_of_mixed_faults_nothing_grows() {
    let (_faulty, _spare, gateway) = faulty().await;
    let gateway = Arc::new(gateway);
    let (sent, start, length) = (Arc::new(AtomicU64::new(0)), Instant::now(), soak());
    let files_before = gateway.files();
    let workers: Vec<_> = (0..24_usize)
        .map(|worker| {
            let (gateway, sent) = (gateway.clone(), sent.clone());
            tokio::spawn(async move {
                let mut turn = worker;
                while start.elapsed() < length {
                    let index = turn % FAULTS.len();
                    let provider = ["openai", "anthropic", "safe-openai", "safe-anthropic"][turn / FAULTS.len() % 4];
                    let (caller, streaming) =
                        ([OpenAi, Anthropic][turn / 2 % 2], [true, false][turn / (4 * FAULTS.len()) % 2]);
                    ask(&gateway, caller, &format!("{provider}/{index}"), streaming).await;
                    sent.fetch_add(1, Ordering::Relaxed);
                    turn += 5;
                }
            })
        })
        .collect();
    tokio::time::sleep(length / 3).await;
    let settled = gateway.memory();
    for worker in workers {
        worker.await.expect("no worker fails");
    }
    accounted_for(&gateway, usize::try_from(sent.load(Ordering::Relaxed)).expect("not that many")).await;
    let (grown, mib) = (gateway.memory().saturating_sub(settled), 1024 * 1024);
    assert!(grown < 48 * mib, "memory grew by {} MiB after {} MiB", grown / mib, settled / mib);
    wait_until("connections to be closed", || async { gateway.files() < files_before + 80 }).await;
}
