//! A model of a provider that keeps failing is tried last for a while, until one request finds out that it is well again.

use crate::dialects::Dialect::OpenAi;
use crate::gateway::{Gateway, Setup, anthropic, chat_body, openai, read, wait_until};
use crate::routing::{always, bad, good, well_after, with};
use crate::spreading::open_stream;
use crate::upstream::{Reply, Upstream};
use serde_json::json;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// `first` fails as often as it takes to be tried last, and `second` rescues.
async fn with_an_open_circuit(open_seconds: f64, later: Reply) -> (Upstream, Upstream, Gateway) {
    let (first, asked) = (Upstream::start().await, AtomicU32::new(0));
    first.otherwise(move |_| if asked.fetch_add(1, Ordering::SeqCst) < 3 { bad(500) } else { later.clone() });
    let second = always(good("from the second")).await;
    let gateway = Setup::new()
        .provider("first", with(&first.url(), json!({"fallbacks": ["second"]})))
        .provider("second", openai(&second.url()))
        .section("routing", json!({"circuit_failures": 3, "circuit_open_seconds": open_seconds}))
        .start()
        .await;
    for _ in 0..3 {
        assert_eq!(gateway.chat("first/m", "hello").await.content(), "from the second");
    }
    gateway.wait_for_log(&["first", "keeps failing"]).await;
    (first, second, gateway)
}

#[tokio::test]
async fn who_keeps_failing_is_not_asked_for_a_while() {
    let (first, _second, gateway) = with_an_open_circuit(60.0, good("well again")).await;
    for _ in 0..5 {
        assert_eq!(gateway.chat("first/m", "hello").await.content(), "from the second");
    }
    assert_eq!(first.requests().len(), 3);
}

#[tokio::test]
async fn one_request_finds_out_whether_it_is_well_again() {
    let slowly = good("well again").after(Duration::from_millis(300));
    let (first, _second, gateway) = with_an_open_circuit(0.5, slowly).await;
    tokio::time::sleep(Duration::from_millis(600)).await;
    let (a, b, c) = tokio::join!(
        gateway.chat("first/m", "hello"),
        gateway.chat("first/m", "hello"),
        gateway.chat("first/m", "hello")
    );
    let mut contents = [a.content(), b.content(), c.content()];
    contents.sort();
    assert_eq!(contents, ["from the second", "from the second", "well again"], "one probe");
    assert_eq!(first.requests().len(), 4);
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "well again");
}

/// To refuse would help nobody.
#[tokio::test]
async fn who_keeps_failing_is_asked_where_there_is_nobody_else() {
    let upstream = well_after(5, bad(500)).await;
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    for _ in 0..5 {
        assert_eq!(gateway.chat("openai/m", "hello").await.status, 500);
    }
    assert_eq!(gateway.chat("openai/m", "hello").await.content(), "well again");
}

/// Another of its models may be well.
#[tokio::test]
async fn a_model_that_keeps_failing_takes_no_other_with_it() {
    let (first, second) = (Upstream::start().await, always(good("from the second")).await);
    first.on_model("broken", bad(500));
    first.on_model("well", good("from the first"));
    let gateway = Setup::new()
        .provider("first", with(&first.url(), json!({"fallbacks": ["second"]})))
        .provider("second", openai(&second.url()))
        .section("routing", json!({"circuit_failures": 2, "circuit_open_seconds": 60}))
        .start()
        .await;
    for _ in 0..4 {
        assert_eq!(gateway.chat("first/broken", "hello").await.content(), "from the second");
    }
    assert_eq!(first.requests().len(), 2);
    assert_eq!(gateway.chat("first/well", "hello").await.content(), "from the first");
}

fn cut_stream() -> Reply {
    let frames = OpenAi.frames(&OpenAi.stream("hello"));
    let first: usize = frames.iter().take(2).map(String::len).sum();
    Reply::sse(&frames).close_after(first)
}

/// The caller has its first content by then, and nobody can rescue that one; but those that come after it.
#[tokio::test]
async fn streams_that_break_off_count_as_failures() {
    let (first, second) = (always(cut_stream()).await, always(good("from the second")).await);
    let gateway = Setup::new()
        .provider("first", with(&first.url(), json!({"fallbacks": ["second"]})))
        .provider("second", openai(&second.url()))
        .start()
        .await;
    for _ in 0..5 {
        let answer = gateway.stream("first/m", "hello").await;
        assert!(!answer.is_done() && answer.text().contains("upstream_cut"), "{}", answer.text());
    }
    gateway.wait_for_log(&["first", "keeps failing"]).await;
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "from the second");
    assert_eq!(first.requests().len(), 5);
}

#[tokio::test]
async fn sound_that_breaks_off_counts_as_a_failure() {
    let sound = Reply::new(200, "audio/mpeg", vec![7; 4_000]).chunked().close_after(2_000);
    let upstream = always(sound).await;
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    for _ in 0..5 {
        let speak = json!({"model": "openai/m", "input": "hello", "voice": "alloy"});
        let request = gateway.http.post(format!("{}/v1/audio/speech", gateway.url)).json(&speak);
        assert!(request.send().await.expect("headers").bytes().await.is_err());
    }
    gateway.wait_for_log(&["openai", "keeps failing"]).await;
}

/// The first content is not yet an answer.
#[tokio::test]
async fn a_provider_whose_streams_break_off_is_not_well_again() {
    let (first, _second, gateway) = with_an_open_circuit(0.3, cut_stream()).await;
    let opened = || gateway.log().lines().filter(|line| line.contains("keeps failing")).count();
    wait_until("a probe", || async {
        gateway.stream("first/m", "hello").await;
        first.requests().len() == 4
    })
    .await;
    wait_until("it to be found ill", || async { opened() == 2 }).await;
}

/// The provider could not help it.
#[tokio::test]
async fn a_stream_that_its_caller_leaves_says_nothing_of_the_provider() {
    let first = Upstream::start().await;
    first.otherwise(|seen| if seen.json()["stream"] == true { open_stream() } else { good("from the first") });
    let second = always(good("from the second")).await;
    let gateway = Setup::new()
        .provider("first", with(&first.url(), json!({"fallbacks": ["second"]})))
        .provider("second", openai(&second.url()))
        .section("routing", json!({"circuit_failures": 1, "circuit_open_seconds": 60}))
        .start()
        .await;
    drop(gateway.open_stream("first/m").await);
    gateway.wait_for_log(&["POST /v1/chat/completions", "outcome=cancelled"]).await;
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "from the first");
}

/// What is refused on this side of the network says nothing of the other.
#[tokio::test]
async fn a_request_that_never_reached_the_provider_does_not_make_it_well() {
    let upstream = always(bad(500)).await;
    let gateway = Setup::new()
        .provider("theirs", anthropic(&upstream.url()))
        .section("routing", json!({"circuit_failures": 2, "circuit_open_seconds": 60}))
        .start()
        .await;
    assert_eq!(gateway.chat("theirs/m", "hello").await.status, 502);
    let mut strict = chat_body("theirs/m", "hello", false);
    strict["seed"] = json!(7);
    let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url)).header("x-plugway-strict", "true");
    assert_eq!(read(request.json(&strict)).await.openai_error(400)["code"], "unsupported_parameter");
    assert_eq!(gateway.chat("theirs/m", "hello").await.status, 502);
    gateway.wait_for_log(&["theirs", "keeps failing"]).await;
    assert_eq!(upstream.requests().len(), 2);
}
