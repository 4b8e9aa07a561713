//! Who gets a request first, of those who serve the same: by weight, in order, by how many requests are with each, by how
//! fast they answer. And nobody gets more at once than is good for it.

use crate::dialects::Dialect::OpenAi;
use crate::gateway::{Answer, Gateway, Setup, openai, wait_until};
use crate::routing::{always, bad, good, with};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

pub fn open_stream() -> Reply {
    let events = OpenAi.stream("hello");
    let frames = OpenAi.frames(&events);
    let first: usize = frames.iter().take(2).map(String::len).sum();
    Reply::sse(&frames).stall_after(first)
}

async fn three(strategy: &str, weights: [f64; 3], replies: [Reply; 3]) -> ([Upstream; 3], Gateway) {
    let [a, b, c] = replies;
    let upstreams = [always(a).await, always(b).await, always(c).await];
    let mut setup = Setup::new().section("routing", json!({"strategy": strategy}));
    for (name, (upstream, weight)) in ["a", "b", "c"].iter().zip(upstreams.iter().zip(weights)) {
        setup = setup.provider(name, with(&upstream.url(), json!({"models": ["m"], "weight": weight})));
    }
    (upstreams, setup.start().await)
}

fn counts(upstreams: &[Upstream; 3]) -> [usize; 3] {
    upstreams.each_ref().map(|upstream| upstream.requests().len())
}

#[tokio::test]
async fn requests_are_spread_by_weight() {
    let (upstreams, gateway) = three("weighted", [1.0, 8.0, 0.0], [good("a"), good("b"), good("c")]).await;
    for _ in 0..200 {
        assert_eq!(gateway.chat("m", "hello").await.status, 200);
    }
    let [a, b, c] = counts(&upstreams);
    assert!((2..70).contains(&a) && b > 120 && c == 0, "1 : 8 : 0 is {a} : {b} : {c}");
}

#[tokio::test]
async fn requests_go_in_order_where_the_configuration_says_so() {
    let (upstreams, gateway) = three("in-order", [1.0, 1.0, 1.0], [bad(500), good("b"), good("c")]).await;
    for _ in 0..3 {
        assert_eq!(gateway.chat("m", "hello").await.content(), "b");
    }
    assert_eq!(counts(&upstreams), [3, 3, 0]);
}

/// Whoever has open streams gets the next request last.
#[tokio::test]
async fn requests_go_to_whom_the_fewest_are_with() {
    let (upstreams, gateway) =
        three("least-in-flight", [1.0, 1.0, 1.0], [open_stream(), open_stream(), open_stream()]).await;
    let mut open = Vec::new();
    for _ in 0..6 {
        open.push(gateway.open_stream("m").await);
    }
    assert_eq!(counts(&upstreams), [2, 2, 2]);
}

#[tokio::test]
async fn requests_go_to_whom_an_answer_is_expected_from_first() {
    let slow = good("b").after(Duration::from_millis(400));
    let (upstreams, gateway) = three("lowest-latency", [1.0, 1.0, 0.0], [good("a"), slow, good("c")]).await;
    for _ in 0..12 {
        assert_eq!(gateway.chat("m", "hello").await.status, 200);
    }
    let [_, slow, last] = counts(&upstreams);
    assert!(slow <= 2 && last == 0, "the slow one was asked {slow} times");
}

/// Those fail fast or never, and would look fast if only answers counted.
#[tokio::test]
async fn who_does_not_answer_is_not_expected_to_answer_first() {
    for failure in [bad(429), bad(500), good("never seen").stall_before_headers()] {
        let (upstreams, gateway) = three("lowest-latency", [1.0, 1.0, 0.0], [failure, good("b"), good("c")]).await;
        for _ in 0..8 {
            assert_eq!(gateway.chat("m", "hello").await.content(), "b");
        }
        let [failing, ..] = counts(&upstreams);
        assert!(failing <= 1, "who fails was asked {failing} times");
    }
}

/// One more than the others have, and then as many in its queue, would wait here for nothing.
#[tokio::test]
async fn nobody_waits_for_a_turn_while_somebody_else_has_one() {
    for strategy in ["least-in-flight", "lowest-latency"] {
        let (narrow, wide) = (always(open_stream()).await, always(open_stream()).await);
        let listing = |mut block: Value| {
            block["models"] = json!(["m"]);
            block
        };
        let gateway = Setup::new()
            .section("routing", json!({"strategy": strategy}))
            .provider("narrow", listing(one_at_a_time(&narrow.url(), 10)))
            .provider("wide", listing(openai(&wide.url())))
            .start()
            .await;
        let mut open = Vec::new();
        for _ in 0..5 {
            open.push(gateway.open_stream("m").await);
        }
        assert!(narrow.requests().len() <= 1 && wide.requests().len() >= 4, "{strategy}");
        assert_eq!(gateway.metric("plugway_failed_tries_total", "").await, 0.0, "{strategy}: nobody waited in vain");
    }
}

#[tokio::test]
async fn weights_count_among_those_with_open_streams() {
    let (upstreams, gateway) =
        three("least-in-flight", [1.0, 3.0, 0.0], [open_stream(), open_stream(), open_stream()]).await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(gateway.open_stream("m").await);
    }
    assert_eq!(counts(&upstreams), [2, 6, 0]);
}

/// Two models of one provider are two targets.
#[tokio::test]
async fn each_model_of_a_provider_is_counted_for_itself() {
    let upstream = always(open_stream()).await;
    let gateway = Setup::new()
        .provider("one", openai(&upstream.url()))
        .section("models", json!({"both": {"targets": ["one/a", "one/b"], "strategy": "least-in-flight"}}))
        .start()
        .await;
    let mut open = Vec::new();
    for _ in 0..8 {
        open.push(gateway.open_stream("both").await);
    }
    let asked = upstream.requests();
    assert_eq!(asked.iter().filter(|seen| seen.json()["model"] == "a").count(), 4);
}

fn one_at_a_time(url: &str, waiting: u32) -> Value {
    with(url, json!({"concurrency_and_buffer_size": {"concurrency": 1, "buffer_size": waiting}}))
}

fn assert_shed(answer: &Answer) {
    assert_eq!(answer.openai_error(429)["code"], "queue_full");
    assert_eq!(answer.header("retry-after"), "1");
}

#[tokio::test]
async fn a_provider_gets_no_more_than_it_may_and_the_rest_waits_or_is_refused() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| good("done").after(Duration::from_millis(300)));
    let gateway = Gateway::with(&[("openai", one_at_a_time(&upstream.url(), 1))]).await;
    let start = Instant::now();
    let (a, b, c) =
        tokio::join!(gateway.chat("openai/m", "1"), gateway.chat("openai/m", "2"), gateway.chat("openai/m", "3"));
    let (shed, served): (Vec<Answer>, Vec<Answer>) = [a, b, c].into_iter().partition(|answer| answer.status != 200);
    assert_eq!((shed.len(), served.len()), (1, 2));
    assert_shed(&shed[0]);
    assert!(start.elapsed() >= Duration::from_millis(600), "one after the other");
}

/// A stream has its turn to its end, and a caller who leaves gives it back.
#[tokio::test]
async fn a_stream_is_on_its_way_until_it_ends() {
    let upstream = Upstream::start().await;
    upstream.on_model("open", open_stream());
    upstream.on_model("quick", good("done"));
    let gateway = Gateway::with(&[("openai", one_at_a_time(&upstream.url(), 0))]).await;
    let open = gateway.open_stream("openai/open").await;
    assert_shed(&gateway.chat("openai/quick", "hello").await);
    let message = gateway.message("openai/quick", "hello", false).await;
    assert_eq!(message.anthropic_error(429)["type"], "rate_limit_error");
    assert_eq!(message.header("retry-after"), "1");
    drop(open);
    wait_until("its turn", || async { gateway.chat("openai/quick", "hello").await.status == 200 }).await;
}

#[tokio::test]
async fn who_finds_a_full_queue_goes_to_the_fallback() {
    let (busy, spare) = (Upstream::start().await, always(good("from the spare one")).await);
    busy.otherwise(|_| open_stream());
    let mut block = one_at_a_time(&busy.url(), 0);
    block["fallbacks"] = json!(["spare"]);
    let gateway = Gateway::with(&[("busy", block), ("spare", openai(&spare.url()))]).await;
    let _open = gateway.open_stream("busy/m").await;
    assert_eq!(gateway.chat("busy/m", "hello").await.content(), "from the spare one");
}

/// The first failure is the outcome, and the log has a line for each.
#[tokio::test]
async fn the_failure_after_a_full_queue_is_told_too() {
    let (busy, spare) = (always(open_stream()).await, always(bad(500)).await);
    let mut block = one_at_a_time(&busy.url(), 0);
    block["fallbacks"] = json!(["spare"]);
    let gateway = Gateway::with(&[("busy", block), ("spare", openai(&spare.url()))]).await;
    let _open = gateway.open_stream("busy/m").await;
    assert_shed(&gateway.chat("busy/m", "hello").await);
    gateway.wait_for_log(&["attempt failed", "provider=\"busy\""]).await;
    gateway.wait_for_log(&["attempt failed", "provider=\"spare\""]).await;
}
