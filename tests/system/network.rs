//! How connections to providers are made and kept, and how long each part may take.

use crate::dialects::Dialect;
use crate::gateway::{Answer, Gateway, Setup, openai, wait_until};
use crate::upstream::{Reply, Upstream};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

async fn upstream() -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    upstream
}

fn with(mut block: Value, network: Value) -> Value {
    let network = network.as_object().expect("a mapping").clone();
    block["network_config"].as_object_mut().expect("a mapping").extend(network);
    block
}

/// As many as the gateway has serving threads.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

#[tokio::test]
async fn the_first_token_has_a_limit_of_its_own() {
    let upstream = upstream().await;
    let frames = Dialect::OpenAi.frames(&Dialect::OpenAi.stream("one"));
    upstream.on_model("silent", Reply::sse(&frames).stall_after(0));
    upstream.on_model("slow", Reply::sse(&frames).at_once().every(Duration::from_millis(1_200)));
    let patient = json!({"default_request_timeout_in_seconds": 20, "first_token_timeout_in_seconds": 0.4,
        "stream_idle_timeout_in_seconds": 20});
    let hasty = json!({"default_request_timeout_in_seconds": 0.4, "first_token_timeout_in_seconds": 20});
    let gateway = Setup::new()
        .provider("patient", with(openai(&upstream.url()), patient))
        .provider("hasty", with(openai(&upstream.url()), hasty))
        .start()
        .await;
    let start = Instant::now();
    let error = gateway.stream("patient/silent", "hello").await.openai_error(504);
    assert_eq!(error["code"], "first_token_timeout");
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
    let answer = gateway.stream("hasty/slow", "hello").await;
    assert!(answer.is_done(), "{}", answer.text());
}

#[tokio::test]
async fn idle_connections_are_kept_as_long_as_the_configuration_says() {
    for (seconds, connections) in [(0.2, 3), (30.0, 1)] {
        let upstream = upstream().await;
        let block = with(openai(&upstream.url()), json!({"keep_alive_timeout_in_seconds": seconds}));
        let gateway = Gateway::with(&[("openai", block)]).await;
        for _ in 0..3 {
            // One connection to the gateway, and so one of its threads.
            assert_eq!(gateway.chat("openai/m", "hello").await.status, 200);
            tokio::time::sleep(Duration::from_millis(600)).await;
        }
        assert_eq!(upstream.connections(), connections, "{seconds} s");
    }
}

#[tokio::test]
async fn connections_to_a_host_are_bounded_and_requests_wait_for_one() {
    let upstream = upstream().await;
    upstream.on_model("slow", Reply::json(200, &Dialect::OpenAi.whole("hi")).after(Duration::from_millis(50)));
    let network = json!({"max_conns_per_host": 1, "default_request_timeout_in_seconds": 20});
    let gateway = Gateway::with(&[("openai", with(openai(&upstream.url()), network))]).await;
    let answers = join_all((0..20).map(|_| gateway.chat("openai/slow", "hello"))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    assert!(upstream.connections() <= threads() as u64, "{} connections", upstream.connections());
}

#[tokio::test]
async fn a_request_waits_for_a_connection_no_longer_than_connecting_may_take() {
    let upstream = upstream().await;
    upstream.on_model("stall", Reply::json(200, &json!({})).stall_before_headers());
    let network = json!({"max_conns_per_host": 1, "connect_timeout_in_seconds": 0.5,
        "default_request_timeout_in_seconds": 5});
    let block = with(openai(&upstream.url()), network);
    let gateway = Gateway::with(&[("openai", block)]).await;
    let count = 6 * threads();
    let chats = join_all((0..count).map(|_| gateway.chat("openai/stall", "hello")));
    let messages = join_all((0..count).map(|_| gateway.message("openai/stall", "hello", false)));
    let (chats, messages) = tokio::join!(chats, messages);
    for answers in [&chats, &messages] {
        let busy = answers.iter().filter(|answer| answer.status == 503).count();
        let stalled = answers.iter().filter(|answer| answer.status == 504).count();
        assert_eq!(busy + stalled, count);
        assert!(busy >= count - threads(), "{busy} of {count} found no connection");
    }
    let busy = |answers: &[Answer]| answers.iter().find(|answer| answer.status == 503).cloned().expect("one");
    let (chat, message) = (busy(&chats), busy(&messages));
    assert_eq!(chat.openai_error(503)["code"], "upstream_busy");
    assert_eq!(message.anthropic_error(503)["type"], "overloaded_error");
    assert_eq!((chat.header("retry-after"), message.header("retry-after")), ("1", "1"));
    gateway.wait_for_log(&["max_conns_per_host"]).await;
    // Places come back.
    wait_until("a free place", || async { gateway.chat("openai/m", "hello").await.status == 200 }).await;
}

/// Waiting and connecting share one limit: who has waited for most of it does not get it once more.
#[tokio::test]
async fn waiting_for_a_connection_and_making_it_share_one_limit() {
    // It takes connections and never says a word, so that TLS does not come about.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("https://{}", listener.local_addr().expect("bound"));
    let network = json!({"max_conns_per_host": 1, "connect_timeout_in_seconds": 2,
        "default_request_timeout_in_seconds": 20});
    let gateway = Gateway::with(&[("openai", with(openai(&url), network))]).await;
    let ask = |count| join_all((0..count).map(|_| gateway.chat("openai/m", "hello")));
    // The first take all places, and nobody waits behind them; those who come later get the places when half of their
    // time is over.
    let (first, later) = tokio::join!(ask(threads()), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = Instant::now();
        let answers = ask(4 * threads()).await;
        assert!(start.elapsed() < Duration::from_millis(2_700), "it took {:?}", start.elapsed());
        answers
    });
    assert!(first.iter().chain(&later).all(|answer| [502, 503].contains(&answer.status)));
}
