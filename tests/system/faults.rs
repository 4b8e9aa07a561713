//! Everything that goes wrong with upstreams, in both dialects, streamed and not. What has not reached the caller yet is
//! rescued where somebody can: another provider, or the same one again. Else it is a well-formed error. What has reached
//! the caller ends with an error event and never as if it were complete. All of it in bounded time, and nothing is left
//! behind.

#[path = "faults/table.rs"]
mod table;

pub use table::{FAULTS, whole_or_stream};

use crate::dialects::{Dialect, Dialect::Anthropic, Dialect::OpenAi};
use crate::gateway::{Answer, Gateway, Setup, chat_body, openai, provider, wait_until};
use crate::trust;
use crate::upstream::Upstream;
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use table::Means::{Broken, Failed, Served};
use tokio::net::TcpListener;

/// A provider that loses patience after a second, and lets go of its connections as soon.
pub fn block(spoken: Dialect, url: &str) -> Value {
    let mut block = match spoken {
        OpenAi => provider("openai", url),
        Anthropic => provider("anthropic", url),
    };
    let network = block["network_config"].as_object_mut().expect("an object");
    for limit in
        ["default_request_timeout_in_seconds", "stream_idle_timeout_in_seconds", "keep_alive_timeout_in_seconds"]
    {
        network.insert(limit.to_owned(), json!(1));
    }
    block
}

pub async fn ask(gateway: &Gateway, caller: Dialect, model: &str, streaming: bool) -> Answer {
    match caller {
        OpenAi => gateway.post("/v1/chat/completions", &chat_body(model, "hello", streaming)).await,
        Anthropic => gateway.message(model, "hello", streaming).await,
    }
}

pub fn is_complete(caller: Dialect, answer: &Answer, streaming: bool) -> bool {
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

/// Who stands by when it goes wrong.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Rescue {
    Nobody,
    AnotherProvider,
    /// It goes wrong once.
    TheSameAgain,
}

/// A request to a provider of its own: what is learned of a provider's keys is no other case's business.
#[derive(Clone, Copy)]
struct Case {
    fault: usize,
    spoken: Dialect,
    caller: Dialect,
    streaming: bool,
    rescue: Rescue,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for fault in 0..FAULTS.len() {
        for (spoken, caller) in [(OpenAi, OpenAi), (OpenAi, Anthropic), (Anthropic, OpenAi), (Anthropic, Anthropic)] {
            for streaming in [true, false] {
                for rescue in [Rescue::Nobody, Rescue::AnotherProvider, Rescue::TheSameAgain] {
                    cases.push(Case { fault, spoken, caller, streaming, rescue });
                }
            }
        }
    }
    cases
}

impl Case {
    fn block(self, url: &str) -> Value {
        let mut block = block(self.spoken, url);
        match self.rescue {
            Rescue::Nobody => {}
            Rescue::AnotherProvider => block["fallbacks"] = json!(["spare/m"]),
            Rescue::TheSameAgain => {
                block["network_config"]["max_retries"] = json!(1);
                block["network_config"]["retry_backoff_initial"] = json!(1);
            }
        }
        block
    }

    /// How often its provider is asked.
    fn requests(self) -> usize {
        match (self.rescue, FAULTS[self.fault].means(self.streaming)) {
            (Rescue::TheSameAgain, Failed) => 2,
            _ => 1,
        }
    }

    async fn run(self, number: usize, gateway: &Gateway) {
        let Case { fault, spoken, caller, streaming, rescue } = self;
        let what = format!("{}: {spoken:?} for {caller:?}, streaming {streaming}, {rescue:?}", FAULTS[fault].name);
        let start = Instant::now();
        let answer = ask(gateway, caller, &format!("p{number}/{number}"), streaming).await;
        assert!(start.elapsed() < Duration::from_secs(20), "{what} took {:?}", start.elapsed());
        match (FAULTS[fault].means(streaming), rescue) {
            (Broken, _) => assert_broken(caller, &answer, &what),
            (Failed, Rescue::Nobody) => assert_error(caller, &answer, &what),
            (Served, _) | (Failed, Rescue::AnotherProvider | Rescue::TheSameAgain) => {
                assert_eq!(answer.status, 200, "{what}: {}", answer.text());
                assert!(is_complete(caller, &answer, streaming), "{what}: {}", answer.text());
            }
        }
    }
}

/// The upstream of all cases, whose models are their numbers; and how often each was asked for.
async fn faulty(cases: Vec<Case>) -> (Upstream, Arc<[AtomicUsize]>) {
    let upstream = Upstream::start().await;
    let asked: Arc<[AtomicUsize]> = cases.iter().map(|_| AtomicUsize::new(0)).collect();
    let counting = asked.clone();
    upstream.otherwise(move |seen| {
        let body = seen.json();
        let number: usize = body["model"].as_str().and_then(|model| model.parse().ok()).expect("a case's number");
        let (case, streams) = (cases[number], body["stream"] == true);
        match counting[number].fetch_add(1, Ordering::SeqCst) {
            1.. if case.rescue == Rescue::TheSameAgain => whole_or_stream(case.spoken, streams),
            _ => (FAULTS[case.fault].reply)(case.spoken, streams),
        }
    });
    (upstream, asked)
}

pub async fn spare() -> Upstream {
    let spare = Upstream::start().await;
    spare.otherwise(|seen| whole_or_stream(OpenAi, seen.json()["stream"] == true));
    spare
}

/// Whole answers may have 2 MB and events 1 MB, which [`FAULTS`] count on.
pub fn setup(spare: &Upstream) -> Setup {
    Setup::new().set("limits", "body_mb", 2).set("limits", "event_mb", 1).provider("spare", block(OpenAi, &spare.url()))
}

#[tokio::test]
async fn every_fault_has_its_outcome_in_every_dialect() {
    let cases = cases();
    let (faulty, asked) = faulty(cases.clone()).await;
    let spare = spare().await;
    let setup = setup(&spare).section("routing", json!({"circuit_failures": 0}));
    let setup = (0..).zip(&cases).fold(setup, |setup, (number, case): (usize, _)| {
        setup.provider(&format!("p{number}"), case.block(&faulty.url()))
    });
    let mut gateway = setup.start().await;
    gateway.hang_up();
    let files = settled_files(&gateway).await;
    let running = cases.iter().enumerate().map(|(number, case)| case.run(number, &gateway));
    let running: Vec<_> = running.collect();
    futures_util::stream::StreamExt::for_each_concurrent(futures_util::stream::iter(running), 24, |case| case).await;
    for (case, asked) in cases.iter().zip(&*asked) {
        let what = format!("{}: {:?}, streaming {}", FAULTS[case.fault].name, case.rescue, case.streaming);
        assert_eq!(asked.load(Ordering::SeqCst), case.requests(), "{what}");
    }
    nothing_is_left(&mut gateway, &[&faulty, &spare], files).await;
    let counted = gateway.metric("plugway_requests_total", "operation=\"chat_completion\"").await;
    assert_eq!(counted, cases.len() as f64, "every request is counted once");
}

/// How many files are open once that stays the same.
pub async fn settled_files(gateway: &Gateway) -> usize {
    loop {
        let before = gateway.files();
        tokio::time::sleep(Duration::from_millis(200)).await;
        if gateway.files() == before {
            return before;
        }
    }
}

/// Every request has ended, and no connection of its is left open on either side.
pub async fn nothing_is_left(gateway: &mut Gateway, upstreams: &[&Upstream], files: usize) {
    wait_until("requests to end", || async { gateway.metric("plugway_requests_in_flight", "").await == 0.0 }).await;
    wait_until("connections to upstreams to be closed", || async {
        upstreams.iter().all(|upstream| upstream.open() == 0)
    })
    .await;
    gateway.hang_up();
    let gateway = &*gateway;
    wait_until("files to be closed", || async { gateway.files() <= files }).await;
}

/// What is no HTTP at all, or not from whom it should be.
#[tokio::test]
async fn an_upstream_that_cannot_be_talked_to_is_a_failure_that_can_be_rescued() {
    let (spare, plain) = (spare().await, Upstream::start().await);
    let stranger = trust::start(trust::identity(&["127.0.0.1"], |_| {})).await;
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
        ("stranger", stranger.url),
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
