//! A request gets its answer as long as somebody can give one: the next key, the same one again, the next provider. Who
//! failed lately is tried last, who asked for a pause gets it, and nobody gets more at once than is good for it.

use crate::dialects::Dialect::OpenAi;
use crate::gateway::{Answer, Gateway, Setup, chat_body, openai, read, wait_until};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

fn good(text: &str) -> Reply {
    Reply::json(200, &OpenAi.whole(text))
}

fn bad(status: u16) -> Reply {
    Reply::json(status, &OpenAi.error(status))
}

/// A provider's block with this laid over its parts.
fn with(url: &str, more: Value) -> Value {
    let mut block = openai(url);
    for (name, value) in more.as_object().expect("an object") {
        match (block.get_mut(name).and_then(Value::as_object_mut), value.as_object()) {
            (Some(there), Some(more)) => there.extend(more.clone()),
            _ => block[name] = value.clone(),
        }
    }
    block
}

fn keys(names: &[&str]) -> Value {
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

async fn always(reply: Reply) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |_| reply.clone());
    upstream
}

/// Fails so often, then is well.
async fn well_after(failures: u32, failure: Reply) -> Upstream {
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

struct Pair {
    first: Upstream,
    second: Upstream,
}

/// `first`, whose provider has these fallbacks, and `second`, both listing `m`.
async fn pair(first: Reply, second: Reply, fallbacks: Value) -> (Pair, Gateway) {
    let pair = Pair { first: always(first).await, second: always(second).await };
    let gateway = Gateway::with(&[
        ("first", with(&pair.first.url(), json!({"fallbacks": fallbacks}))),
        ("second", openai(&pair.second.url())),
    ])
    .await;
    (pair, gateway)
}

#[tokio::test]
async fn fallbacks_of_the_configuration_rescue_a_request() {
    let (pair, gateway) = pair(bad(500), good("rescued"), json!(["nobody/x", "second/other"])).await;
    for streaming in [false, true] {
        let answer = gateway.post("/v1/chat/completions", &chat_body("first/m", "hello", streaming)).await;
        assert_eq!(answer.content(), "rescued");
    }
    assert_eq!(pair.second.last_request().json()["model"], "other");
    gateway.wait_for_log(&["200", "provider=second", "tries=2"]).await;
}

/// One whose plugin is not there needs them most.
#[tokio::test]
async fn a_provider_that_cannot_be_used_is_rescued_by_its_own_fallbacks() {
    let spare = always(good("rescued")).await;
    let mut broken = openai("http://127.0.0.1:9");
    broken["plugin"] = json!("gone");
    broken["fallbacks"] = json!(["spare"]);
    let gateway = Gateway::with(&[("broken", broken), ("spare", openai(&spare.url()))]).await;
    assert_eq!(gateway.chat("broken/m", "hello").await.content(), "rescued");
    assert_eq!(spare.last_request().json()["model"], "m");
}

#[tokio::test]
async fn fallbacks_of_the_body_come_before_those_of_the_configuration_and_go_no_further() {
    let (pair, gateway) = pair(bad(500), good("rescued"), json!(["nobody/x"])).await;
    for fallbacks in
        [json!(["second/a"]), json!([{"provider": "second", "model": "a"}]), json!(["second/a", "first/m"])]
    {
        let mut body = chat_body("first/m", "hello", false);
        body["fallbacks"] = fallbacks;
        assert_eq!(gateway.post("/v1/chat/completions", &body).await.content(), "rescued");
        for upstream in [&pair.first, &pair.second] {
            let sent = upstream.last_request().json();
            assert!(sent.get("fallbacks").is_none(), "{sent}");
        }
        assert_eq!(pair.second.last_request().json()["model"], "a");
    }
    // An empty list means none.
    let mut body = chat_body("first/m", "hello", false);
    body["fallbacks"] = json!([]);
    assert_eq!(gateway.post("/v1/chat/completions", &body).await.status, 500);
}

#[tokio::test]
async fn fallbacks_of_a_header_name_providers_or_addresses() {
    let (pair, gateway) = pair(bad(500), good("rescued"), json!([])).await;
    for (header, model) in [("second", "m"), ("nobody, second/b", "b")] {
        let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url));
        let request = request.header("x-bt-fallback-providers", header).json(&chat_body("first/m", "hello", false));
        assert_eq!(read(request).await.content(), "rescued", "{header}");
        assert_eq!(pair.second.last_request().json()["model"], model);
        assert_eq!(pair.second.last_request().header("x-bt-fallback-providers"), None);
    }
}

#[tokio::test]
async fn fallbacks_that_make_no_sense_are_refused_by_name() {
    let (_pair, gateway) = pair(good("fine"), good("fine"), json!([])).await;
    for fallbacks in [json!("second/a"), json!([1]), json!([{"model": "a"}]), json!(vec!["second/a"; 17])] {
        let mut body = chat_body("first/m", "hello", false);
        body["fallbacks"] = fallbacks.clone();
        let answer = gateway.post("/v1/chat/completions", &body).await;
        assert_eq!(answer.openai_error(400)["param"], "fallbacks", "{fallbacks}");
    }
}

#[tokio::test]
async fn where_all_fail_the_first_error_is_the_answer() {
    let (pair, gateway) = pair(bad(500), bad(503), json!(["second"])).await;
    let answer = gateway.chat("first/m", "hello").await;
    assert_eq!(answer.status, 500, "{}", answer.text());
    assert_eq!((pair.first.requests().len(), pair.second.requests().len()), (1, 1));
    gateway.wait_for_log(&["POST /v1/chat/completions 500", "provider=first", "tries=2"]).await;
}

/// A name of the configuration stands for targets, with a strategy and fallbacks of its own.
#[tokio::test]
async fn a_name_can_stand_for_several_targets() {
    let (first, second) = (always(bad(503)).await, always(good("from the second")).await);
    let gateway = Setup::new()
        .provider("first", openai(&first.url()))
        .provider("second", openai(&second.url()))
        .section(
            "models",
            json!({
                "fast": {"targets": ["first/small", {"address": "second/tiny"}], "strategy": "in-order"},
                "safe": {"targets": ["first"], "fallbacks": ["fast"]},
            }),
        )
        .start()
        .await;
    assert_eq!(gateway.chat("fast", "hello").await.content(), "from the second");
    assert_eq!(first.last_request().json()["model"], "small");
    assert_eq!(second.last_request().json()["model"], "tiny");
    assert_eq!(gateway.chat("safe", "hello").await.content(), "from the second");
    let asked: Vec<Value> = first.requests().iter().map(|seen| seen.json()["model"].clone()).collect();
    assert_eq!(asked, ["small", "safe", "small"]);
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

fn open_stream() -> Reply {
    let events = OpenAi.stream("hello");
    let frames = OpenAi.frames(&events);
    let first: usize = frames.iter().take(2).map(String::len).sum();
    Reply::sse(&frames).stall_after(first)
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

/// What other gateways' configurations say of retries and queues pastes in.
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
