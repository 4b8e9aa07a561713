//! A request gets its answer as long as somebody can give one: the next key, the same one again. Who asked for a pause gets
//! it, and everything has a bound in time. Of other providers there is more in `fallbacks`, of those who keep failing in
//! `circuits`.

use crate::dialects::Dialect::OpenAi;
use crate::gateway::{Gateway, Setup, openai, wait_until};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

pub fn good(text: &str) -> Reply {
    Reply::json(200, &OpenAi.whole(text))
}

pub fn bad(status: u16) -> Reply {
    Reply::json(status, &OpenAi.error(status))
}

/// A provider's block with this laid over its parts.
pub fn with(url: &str, more: Value) -> Value {
    let mut block = openai(url);
    for (name, value) in more.as_object().expect("an object") {
        match (block.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
            (Some(there), Some(more)) => there.extend(more.clone()),
            _ => block[name] = value.clone(),
        }
    }
    block
}

pub fn keys(names: &[&str]) -> Value {
    names.iter().map(|name| json!({"name": name, "value": format!("sk-{name}-secret")})).collect()
}

/// Which key a request came with.
fn key_of(seen: &Seen) -> String {
    let bearer = seen.header("authorization").unwrap_or_default();
    bearer.trim_start_matches("Bearer sk-").trim_end_matches("-secret").to_owned()
}

/// An upstream whose answer depends on the key.
async fn by_key(reply: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |seen| reply(&key_of(seen)));
    upstream
}

pub async fn always(reply: Reply) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |_| reply.clone());
    upstream
}

/// Fails so often, then is well.
pub async fn well_after(failures: u32, failure: Reply) -> Upstream {
    let (upstream, left) = (Upstream::start().await, AtomicU32::new(failures));
    upstream.otherwise(move |_| {
        let fails = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if fails { failure.clone() } else { good("well again") }
    });
    upstream
}

fn requests_by_key(upstream: &Upstream, key: &str) -> usize {
    upstream.requests().iter().filter(|seen| key_of(seen) == key).count()
}

#[tokio::test]
async fn what_fails_for_a_moment_is_tried_again() {
    for failure in
        [bad(500), bad(503), bad(529), good("never seen").close_after(0), Reply::sse(&["data: {\"error\":{}}\n\n"])]
    {
        let upstream = well_after(2, failure).await;
        let retries = json!({"network_config": {"max_retries": 2, "retry_backoff_initial": 1, "retry_backoff_max": 5}});
        let gateway = Gateway::with(&[("openai", with(&upstream.url(), retries))]).await;
        let answer = gateway.chat("openai/m", "hello").await;
        assert_eq!((answer.status, upstream.requests().len()), (200, 3), "{}", answer.text());
        assert_eq!(answer.content(), "well again");
        gateway.wait_for_log(&["attempt failed", "attempt=0"]).await;
        gateway.wait_for_log(&["POST /v1/chat/completions 200", "tries=3"]).await;
        assert_eq!(gateway.metric("plugway_failed_tries_total", "provider=\"openai\"").await, 2.0);
    }
}

#[tokio::test]
async fn after_the_last_retry_the_first_failure_is_the_outcome() {
    let upstream = well_after(2, bad(500)).await;
    let retries = json!({"network_config": {"max_retries": 1, "retry_backoff_initial": 1, "retry_backoff_max": 5}});
    let gateway = Gateway::with(&[("openai", with(&upstream.url(), retries))]).await;
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 500);
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn without_max_retries_there_is_one_try() {
    let upstream = well_after(1, bad(500)).await;
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 500);
    assert_eq!(upstream.requests().len(), 1);
}

#[tokio::test]
async fn what_is_wrong_with_the_request_is_tried_once() {
    let spare = always(good("never seen")).await;
    for status in [400, 404, 413, 422] {
        let upstream = always(bad(status)).await;
        let block = json!({
            "keys": keys(&["a", "b"]),
            "network_config": {"max_retries": 3, "retry_backoff_initial": 1},
            "fallbacks": ["spare"],
        });
        let gateway = Gateway::with(&[("openai", with(&upstream.url(), block)), ("spare", openai(&spare.url()))]).await;
        assert_eq!(gateway.chat("openai/m", "hello").await.status, status);
        assert_eq!((upstream.requests().len(), spare.requests().len()), (1, 0), "{status}");
    }
}

/// A pause that is longer than any back-off is not waited for while the caller waits.
#[tokio::test]
async fn a_service_that_asks_for_a_long_pause_is_not_tried_again() {
    let upstream = well_after(1, bad(503).header("retry-after", "20")).await;
    let retries = json!({"network_config": {"max_retries": 5, "retry_backoff_initial": 1}});
    let gateway = Gateway::with(&[("openai", with(&upstream.url(), retries))]).await;
    let answer = gateway.chat("openai/m", "hello").await;
    assert_eq!((answer.status, upstream.requests().len()), (503, 1), "{}", answer.text());
}

#[tokio::test]
async fn a_short_pause_is_waited_for() {
    let upstream = well_after(1, bad(429).header("retry-after-ms", "300")).await;
    let retries = json!({"network_config": {"max_retries": 1, "retry_backoff_initial": 1}});
    let gateway = Gateway::with(&[("openai", with(&upstream.url(), retries))]).await;
    let start = Instant::now();
    assert_eq!(gateway.chat("openai/m", "hello").await.content(), "well again");
    assert!(start.elapsed() >= Duration::from_millis(300));
}

/// In every spelling, shared by all requests: nobody asks with a key that is to be left alone.
#[tokio::test]
async fn a_limited_key_makes_way_for_the_next_and_rests() {
    for (name, value) in [
        ("retry-after", "30"),
        ("retry-after", "Fri, 31 Dec 2100 23:59:59 GMT"),
        ("x-ratelimit-reset-requests", "6m0s"),
        ("acme-ratelimit-tokens-reset", "2100-12-31T23:59:59Z"),
    ] {
        let upstream = by_key(move |key| match key {
            "limited" => bad(429).header(name, value),
            _ => good("from the other"),
        })
        .await;
        let block = with(&upstream.url(), json!({"keys": keys(&["limited", "other"])}));
        let gateway = Gateway::with(&[("openai", block)]).await;
        for _ in 0..20 {
            assert_eq!(gateway.chat("openai/m", "hello").await.content(), "from the other", "{name}: {value}");
        }
        assert_eq!(requests_by_key(&upstream, "limited"), 1, "{name}: {value}");
    }
}

#[tokio::test]
async fn where_all_keys_rest_nobody_is_asked() {
    let upstream = always(bad(429).header("retry-after", "30")).await;
    let gateway = Gateway::with(&[("openai", with(&upstream.url(), json!({"keys": keys(&["a", "b"])})))]).await;
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 429);
    assert_eq!(upstream.requests().len(), 2, "each key once");
    let answer = gateway.chat("openai/m", "hello").await;
    assert_eq!(answer.openai_error(429)["code"], "keys_resting");
    let seconds: u32 = answer.header("retry-after").parse().expect("a number of seconds");
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(upstream.requests().len(), 2);
}

/// However long a service asks for: a slip of its clock must not take a key out for ever.
#[tokio::test]
async fn a_rest_has_a_bound() {
    let upstream = well_after(1, bad(429).header("retry-after", "3600")).await;
    let gateway = Setup::new()
        .provider("openai", openai(&upstream.url()))
        .section("routing", json!({"longest_rest_seconds": 0.2}))
        .start()
        .await;
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 429);
    wait_until("the rest to end", || async { gateway.chat("openai/m", "hello").await.status == 200 }).await;
}

#[tokio::test]
async fn a_key_that_is_refused_is_out_and_later_requests_know() {
    for status in [401, 402, 403] {
        let upstream = by_key(move |key| if key == "dead" { bad(status) } else { good("from the other") }).await;
        let block = with(&upstream.url(), json!({"keys": keys(&["dead", "other"])}));
        let gateway = Gateway::with(&[("openai", block)]).await;
        for _ in 0..20 {
            assert_eq!(gateway.chat("openai/m", "hello").await.content(), "from the other", "{status}");
        }
        if status == 401 {
            assert!(requests_by_key(&upstream, "dead") <= 1, "a key that is not taken is a last resort");
        }
    }
}

/// It may have been topped up or allowed again, and there is nobody else to ask.
#[tokio::test]
async fn the_only_key_is_tried_even_if_it_was_refused() {
    let upstream = well_after(1, bad(401)).await;
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 401);
    assert_eq!(gateway.chat("openai/m", "hello").await.content(), "well again");
}

#[tokio::test]
async fn keys_are_chosen_by_weight_and_model() {
    let upstream = by_key(good).await;
    let block = json!({"keys": [
        {"name": "light", "value": "sk-light-secret", "weight": 1.0},
        {"name": "heavy", "value": "sk-heavy-secret", "weight": 9.0},
        {"name": "special", "value": "sk-special-secret", "models": ["special"], "aliases": {"special": "special-2026"}},
        {"name": "none", "value": "sk-none-secret", "weight": 0.0, "blacklisted_models": ["special"]},
    ]});
    let gateway = Gateway::with(&[("openai", with(&upstream.url(), block))]).await;
    for _ in 0..200 {
        assert_eq!(gateway.chat("openai/m", "hello").await.status, 200);
    }
    let count = |key| requests_by_key(&upstream, key);
    let (light, heavy) = (count("light"), count("heavy"));
    assert!((2..70).contains(&light) && heavy > 120, "1 : 9 is {light} : {heavy}");
    assert_eq!((count("special"), count("none")), (0, 0));
    while count("special") == 0 {
        assert_eq!(gateway.chat("openai/special", "hello").await.status, 200);
    }
    let special = upstream.requests().into_iter().find(|seen| key_of(seen) == "special").expect("one");
    assert_eq!(special.json()["model"], "special-2026");
}

#[tokio::test]
async fn all_that_is_tried_has_a_bound_in_time() {
    let upstream = always(bad(500)).await;
    let retries =
        json!({"network_config": {"max_retries": 20, "retry_backoff_initial": 300, "retry_backoff_max": 300}});
    let gateway = Setup::new()
        .provider("openai", with(&upstream.url(), retries))
        .set("limits", "total_timeout_seconds", 1)
        .start()
        .await;
    let start = Instant::now();
    assert_eq!(gateway.chat("openai/m", "hello").await.openai_error(504)["code"], "total_timeout");
    assert!(start.elapsed() < Duration::from_secs(5));
}

/// Whose time ran out may not be who is to be mended.
#[tokio::test]
async fn where_time_runs_out_what_failed_first_is_told() {
    let failure =
        json!({"error": {"message": "the disk is full", "type": "server_error", "param": null, "code": null}});
    let (first, second) = (always(Reply::json(500, &failure)).await, always(good("").stall_before_headers()).await);
    let gateway = Setup::new()
        .provider("first", with(&first.url(), json!({"fallbacks": ["second"]})))
        .provider("second", openai(&second.url()))
        .set("limits", "total_timeout_seconds", 1)
        .start()
        .await;
    let answer = gateway.chat("first/m", "hello").await;
    let error = answer.openai_error(504);
    assert_eq!(error["code"], "total_timeout");
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with("the disk is full")), "{error}");
    assert_eq!(answer.header("x-bt-used-endpoint"), "second");
    gateway.wait_for_log(&["attempt failed", "provider=\"first\"", "the disk is full"]).await;
}

#[tokio::test]
async fn a_stream_has_a_bound_in_time_too() {
    let upstream = Upstream::start().await;
    let frames = OpenAi.frames(&OpenAi.stream("a long story that goes on and on and on and on and on and on"));
    let endless: Vec<String> = frames.iter().take(3).cycle().take(3_000).cloned().collect();
    upstream.on_model("endless", Reply::sse(&endless).every(Duration::from_millis(10)));
    let gateway = Setup::new()
        .provider("openai", openai(&upstream.url()))
        .set("limits", "total_timeout_seconds", 1)
        .start()
        .await;
    let answer = gateway.stream("openai/endless", "hello").await;
    assert!(!answer.is_done());
    assert!(answer.text().contains("total_timeout"), "{}", answer.text().lines().rev().take(3).collect::<String>());
}

#[tokio::test]
async fn state_survives_a_reload_as_long_as_the_block_stays_the_same() {
    let upstream = always(bad(429).header("retry-after", "30")).await;
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 429);
    gateway.reconfigure(|config| config["providers"]["another"] = openai("http://127.0.0.1:9"));
    wait_until("the reload", || async { gateway.chat("another/m", "hello").await.status != 404 }).await;
    assert_eq!(gateway.chat("openai/m", "hello").await.openai_error(429)["code"], "keys_resting");
    gateway.reconfigure(|config| config["providers"]["openai"]["keys"][0]["value"] = json!("sk-a-new-one"));
    wait_until("the new key to be asked with", || async {
        gateway.chat("openai/m", "hello").await;
        upstream.last_request().header("authorization") == Some("Bearer sk-a-new-one")
    })
    .await;
}
