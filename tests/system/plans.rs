//! What a provider's plan says is done as it says, within bounds; what cannot be done so is an error, never something else.
//!
//! `tests/guests/acme` plans what its settings say.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, openai, provider};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

fn acme(url: &str, settings: Value) -> Value {
    let mut block = provider("acme", url);
    block["settings"] = settings;
    block
}

async fn planning(upstream: &Upstream, settings: Value) -> Gateway {
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let setup = Setup::bare().plugin("acme.wasm", Component::acme("1.0.0"));
    setup.provider("acme", acme(&upstream.url(), settings)).start().await
}

#[tokio::test]
async fn attempts_are_numbered_over_the_candidates() {
    let failing = Upstream::start().await;
    failing.otherwise(|_| Reply::json(500, &Dialect::OpenAi.error(500)));
    let serving = |mut block: Value| {
        block["models"] = json!(["m"]);
        block
    };
    let gateway = Setup::new()
        .section("routing", json!({"strategy": "in-order"}))
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("a", serving(openai(&failing.url())))
        .provider("b", serving(openai(&failing.url())))
        .provider("c", serving(acme(&failing.url(), json!({"behave": "snoop"}))))
        .start()
        .await;
    let told: Value = serde_json::from_str(&gateway.chat("m", "hello").await.content()).expect("what it found");
    assert!(told["told"].as_str().unwrap().contains("attempt: 2"), "{told}");
    let told: Value = serde_json::from_str(&gateway.chat("c/m", "hello").await.content()).expect("what it found");
    assert!(told["told"].as_str().unwrap().contains("attempt: 0"), "{told}");
}

#[tokio::test]
async fn all_steps_of_a_plan_have_one_time_limit() {
    let upstream = Upstream::start().await;
    let mut block = acme(&upstream.url(), json!({"behave": "wait-forever"}));
    block["network_config"]["default_request_timeout_in_seconds"] = json!(0.5);
    let setup = Setup::bare().plugin("acme.wasm", Component::acme("1.0.0")).provider("acme", block);
    let gateway = setup.start().await;
    let error = gateway.chat("acme/m", "hello").await.openai_error(504);
    assert_eq!(error["code"], "plan_timeout");
    // The plugin did nothing that the contract forbids.
    assert_eq!(gateway.metric("plugway_plugin_traps_total", "acme").await, 0.0);
}

/// Exactly as many as the contract says, and none that is done before it is found to be one too many.
#[tokio::test]
async fn a_plan_has_sixteen_steps_before_its_end() {
    for (times, status, sent) in [(16, 200, 16), (17, 500, 16)] {
        let upstream = Upstream::start().await;
        let gateway = planning(&upstream, json!({"behave": "fetch-times", "times": times})).await;
        let answer = gateway.chat("acme/m", "hello").await;
        assert_eq!((answer.status, upstream.requests().len()), (status, sent), "{times}: {}", answer.text());
    }
}

#[tokio::test]
async fn a_wait_is_as_long_as_the_plan_says_or_refused() {
    let upstream = Upstream::start().await;
    let gateway = planning(&upstream, json!({"behave": "wait", "milliseconds": 60_001})).await;
    let error = gateway.chat("acme/m", "hello").await.openai_error(500);
    assert_eq!(error["code"], "plugin_failed");
    gateway.wait_for_log(&["60001", "at most 60000"]).await;
}

#[tokio::test]
async fn of_two_edits_of_one_member_the_last_wins() {
    let upstream = Upstream::start().await;
    let edits = json!([["added", 1], ["added", 2], ["model", "first"], ["model", "last"]]);
    let gateway = planning(&upstream, json!({"behave": "send", "set": edits})).await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    let sent = upstream.last_request().text();
    assert_eq!(sent.matches("\"added\"").count(), 1, "{sent}");
    assert_eq!(upstream.last_request().json()["added"], 2);
    assert_eq!(upstream.last_request().json()["model"], "last");
}

/// A job's address and the upstream's clock are what plugins fetch for.
#[tokio::test]
async fn a_fetched_reply_has_its_headers() {
    let upstream = Upstream::start().await;
    let gateway = planning(&upstream, json!({"behave": "fetch"})).await;
    upstream.otherwise(|_| {
        Reply::json(201, &json!({}))
            .header("location", "/jobs/7")
            .header("date", "Sat, 21 Nov 2026 08:00:00 GMT")
            .header("set-cookie", "session=1")
    });
    let seen = gateway.chat("acme/m", "hello").await.content();
    assert!(seen.contains("location: /jobs/7") && seen.contains("date: Sat, 21 Nov 2026 08:00:00 GMT"), "{seen}");
    assert!(!seen.contains("set-cookie") && !seen.contains("content-length"), "{seen}");
}

/// The longest path that can be sent, so that there is no place for the credential behind it.
#[tokio::test]
async fn without_its_credential_nothing_is_sent() {
    let upstream = Upstream::start().await;
    let path = format!("/{}", "x".repeat(65_500));
    let settings = json!({"behave": "send", "credential": "api_key", "in_query": "key", "path": path});
    let mut block = acme(&upstream.url(), settings);
    block["keys"] = json!([{"name": "main", "value": "k".repeat(100)}]);
    let setup = Setup::bare().plugin("acme.wasm", Component::acme("1.0.0")).provider("acme", block);
    let gateway = setup.start().await;
    gateway.chat("acme/m", "hello").await.openai_error(500);
    assert_eq!(upstream.requests().len(), 0);
}
