//! What is counted, logged and told of a request is what happened to it.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, anthropic, openai, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::Duration;

/// In the order in which they are tried for the bare model `m`.
async fn in_order(providers: [(&str, Value); 2]) -> Gateway {
    let setup = Setup::new().section("routing", json!({"strategy": "in-order"}));
    let setup = providers.into_iter().fold(setup, |setup, (name, mut block)| {
        block["models"] = json!(["m"]);
        setup.provider(name, block)
    });
    setup.start().await
}

fn says(words: &str) -> Reply {
    Reply::json(500, &json!({"error": {"message": words, "type": "server_error", "param": null, "code": null}}))
}

#[tokio::test]
async fn tokens_of_a_whole_answer_are_counted_in_every_dialect() {
    let upstream = Upstream::start().await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.on_path(dialect.path(), Reply::json(200, &dialect.whole("hi")));
    }
    let gateway =
        Gateway::with(&[("anthropic", anthropic(&upstream.url())), ("openai", openai(&upstream.url()))]).await;
    for provider in ["anthropic", "openai"] {
        assert_eq!(gateway.chat(&format!("{provider}/m"), "hello").await.status, 200);
        assert_eq!(gateway.message(&format!("{provider}/m"), "hello", false).await.status, 200);
        for (kind, tokens) in [("prompt", 28.0), ("completion", 16.0)] {
            let labels = format!("provider=\"{provider}\",kind=\"{kind}\"");
            assert_eq!(gateway.metric("plugway_tokens_total", &labels).await, tokens, "{labels}");
        }
        gateway
            .wait_for_log(&["/v1/messages", &format!("provider={provider}"), "prompt_tokens=14 completion_tokens=8"])
            .await;
    }
}

/// An answer that cannot be read for its usage passes all the same.
#[tokio::test]
async fn counting_decides_no_calls_fate() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &json!({"type": "message", "content": 7})));
    let gateway = Gateway::with(&[("anthropic", anthropic(&upstream.url()))]).await;
    let answer = gateway.message("anthropic/m", "hello", false).await;
    assert_eq!((answer.status, answer.json()), (200, json!({"type": "message", "content": 7})));
}

#[tokio::test]
async fn each_failed_try_is_logged_once_and_the_outcome_once() {
    let (first, second) = (Upstream::start().await, Upstream::start().await);
    first.otherwise(|_| says("words of the first"));
    second.otherwise(|_| says("words of the second"));
    let gateway = in_order([("a-first", openai(&first.url())), ("b-second", openai(&second.url()))]).await;
    let error = gateway.chat("m", "hello").await.openai_error(500);
    assert_eq!(error["message"], "words of the first");

    // The caller's error is the first one's, and so is the line.
    gateway.wait_for_log(&["POST /v1/chat/completions 500", "provider=a-first", "words of the first"]).await;
    gateway.wait_for_log(&["attempt failed: words of the second"]).await;
    wait_until("the last line", || async { gateway.log().matches("words of the first").count() >= 3 }).await;
    let log = gateway.log();
    let lines = |words: &[&str]| log.lines().filter(|line| words.iter().all(|word| line.contains(word))).count();
    assert_eq!(lines(&["attempt failed: words of the first", "a-first", "attempt=0"]), 1, "{log}");
    assert_eq!(lines(&["attempt failed: words of the second", "b-second", "attempt=1"]), 1, "{log}");
    assert_eq!(lines(&["words of the second"]), 1, "{log}");
    assert_eq!(lines(&["words of the first"]), 3, "the try, the outcome and the access log:\n{log}");
    assert_eq!(gateway.metric("plugway_requests_total", "b-second").await, 0.0);
}

#[tokio::test]
async fn hints_are_those_of_the_candidate_that_answered() {
    let (failing, good) = (Upstream::start().await, Upstream::start().await);
    failing.otherwise(|_| Reply::json(500, &Dialect::Anthropic.error(500)));
    good.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let gateway = in_order([("a-failing", anthropic(&failing.url())), ("b-good", openai(&good.url()))]).await;
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "hello"}], "seed": 7});
    let answer = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(failing.requests().len(), 1);
    assert_eq!(failing.last_request().json().get("seed"), None, "it cannot say it");
    assert_eq!(good.last_request().json()["seed"], 7);
    assert_eq!(answer.header("x-plugway-dropped"), "");
    // Where it answers, its hints are named.
    failing.otherwise(|_| Reply::json(200, &Dialect::Anthropic.whole("hi")));
    let answer = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!(answer.header("x-plugway-dropped"), "seed");
}

#[tokio::test]
async fn strictness_is_the_requests_or_the_configurations() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::Anthropic.whole("hi")));
    let body = json!({"model": "a/m", "messages": [{"role": "user", "content": "hello"}], "seed": 7});
    for (strict, header, status) in [(false, "false", 200), (false, "true", 400), (true, "false", 400)] {
        let setup = Setup::new().provider("a", anthropic(&upstream.url()));
        let gateway = setup.section("strict", json!(strict)).start().await;
        let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url));
        let answer = crate::gateway::read(request.header("x-plugway-strict", header).json(&body)).await;
        assert_eq!(answer.status, status, "{strict} {header}: {}", answer.text());
        match status {
            200 => assert_eq!(answer.header("x-plugway-dropped"), "seed"),
            _ => assert_eq!(answer.openai_error(400)["param"], "seed"),
        }
    }
}

#[tokio::test]
async fn whoever_reads_standard_output_may_stop_and_requests_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("pipe").display().to_string();
    // A reader that has the pipe open and never reads.
    let before = format!("mkfifo '{pipe}'; sleep 120 < '{pipe}' & exec 1> '{pipe}'; ");
    let echo = json!({"models": ["echo"]});
    let mut gateway = Setup::new().provider("echo", echo).before(&before).start().await;
    let long_name = "a".repeat(500);
    // Several times what a pipe holds.
    for number in 0..500 {
        let answer = gateway.chat(&format!("echo/{long_name}{number}"), "hello").await;
        assert_eq!(answer.status, 200, "request {number}");
    }
    gateway.signal("TERM");
    assert_eq!(gateway.exit_code().await, Some(0), "and the end comes all the same");
    gateway.wait_for_log(&["the end of the access log is lost"]).await;
}

#[tokio::test]
async fn all_bodies_together_have_their_bound() {
    let upstream = Upstream::start().await;
    upstream.on_path("/v1/chat/completions", Reply::json(200, &Dialect::OpenAi.whole("hi")));
    upstream.on_model("slow", Reply::json(200, &Dialect::OpenAi.whole("hi")).after(Duration::from_millis(1500)));
    let gateway = Setup::new().set("limits", "bodies_mb", 3).provider("openai", openai(&upstream.url())).start().await;
    let large = "a".repeat(2 * 1024 * 1024);
    let (first, second) = tokio::join!(gateway.chat("openai/slow", &large), async {
        wait_until("the first is with the provider", async || !upstream.requests().is_empty()).await;
        let small = gateway.chat("openai/m", "small").await;
        assert_eq!(small.status, 200, "{}", small.text());
        gateway.message("openai/m", &large, true).await
    });
    assert_eq!(first.status, 200);
    second.anthropic_error(503);
    assert_eq!(second.header("retry-after"), "1");
    assert_eq!(gateway.chat("openai/m", &large).await.status, 200, "what was held is free again");
}
