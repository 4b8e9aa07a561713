//! Where those fail who should answer, others do: those of the body, of a header, of a name, of a model, of a provider.

use crate::gateway::{Gateway, Setup, chat_body, openai, read};
use crate::routing::{always, bad, good, keys, well_after, with};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

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

/// What the provider's list says of a model comes before what the provider says of all.
#[tokio::test]
async fn a_model_may_have_fallbacks_of_its_own() {
    let (first, second, third) = (always(bad(500)).await, always(good("second")).await, always(good("third")).await);
    let listed = json!({"models": ["plain", {"name": "m", "fallback_models": ["second/big"]}], "fallbacks": ["third"]});
    let gateway = Gateway::with(&[
        ("first", with(&first.url(), listed)),
        ("second", openai(&second.url())),
        ("third", openai(&third.url())),
    ])
    .await;
    for model in ["m", "first/m"] {
        assert_eq!(gateway.chat(model, "hello").await.content(), "second", "{model}");
        assert_eq!(second.last_request().json()["model"], "big");
    }
    assert_eq!(gateway.chat("plain", "hello").await.content(), "third");
}

#[tokio::test]
async fn a_fallback_is_tried_again_by_its_own_rules() {
    let (first, second) = (always(bad(500)).await, well_after(2, bad(500)).await);
    let retries = json!({"network_config": {"max_retries": 2, "retry_backoff_initial": 1, "retry_backoff_max": 5}});
    let gateway = Gateway::with(&[
        ("first", with(&first.url(), json!({"fallbacks": ["second"]}))),
        ("second", with(&second.url(), retries)),
    ])
    .await;
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "well again");
    assert_eq!((first.requests().len(), second.requests().len()), (1, 3));
}

#[tokio::test]
async fn a_fallback_that_cannot_be_used_is_passed_over() {
    let (first, spare) = (always(bad(500)).await, always(good("rescued")).await);
    let mut broken = openai("http://127.0.0.1:9");
    broken["plugin"] = json!("gone");
    let gateway = Gateway::with(&[
        ("first", with(&first.url(), json!({"fallbacks": ["broken", "spare"]}))),
        ("broken", broken),
        ("spare", openai(&spare.url())),
    ])
    .await;
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "rescued");
    assert_eq!(gateway.metric("plugway_failed_tries_total", "provider=\"broken\"").await, 0.0);
}

/// By the model's name or by the path: who asks for one provider by the header gets that one.
#[tokio::test]
async fn who_asks_for_one_provider_and_no_other_gets_its_failure() {
    let (pair, gateway) = pair(bad(500), good("never seen"), json!(["second"])).await;
    for path in ["/v1/chat/completions", "/providers/first/v1/chat/completions"] {
        let request = gateway.http.post(format!("{}{path}", gateway.url)).header("x-bt-endpoint-name", "first");
        let answer = read(request.json(&chat_body("m", "hello", false))).await;
        assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (500, "first"), "{path}");
    }
    assert_eq!((pair.first.requests().len(), pair.second.requests().len()), (2, 0));
    let answer = gateway.post("/providers/first/v1/chat/completions", &chat_body("m", "hello", false)).await;
    assert_eq!(answer.content(), "never seen", "the path alone says nothing of others");
}

/// No model is not the model of no name: keys that serve only some serve it, and nobody is a fallback of its own.
#[tokio::test]
async fn a_request_without_a_model_has_fallbacks_too() {
    let (first, second) = (always(bad(500)).await, always(Reply::json(200, &json!({"results": []}))).await);
    let mut narrow = keys(&["narrow"]);
    narrow[0]["models"] = json!(["judge"]);
    let gateway = Gateway::with(&[
        ("first", with(&first.url(), json!({"fallbacks": ["first", "second"]}))),
        ("second", with(&second.url(), json!({"keys": narrow}))),
    ])
    .await;
    let answer = gateway.post("/providers/first/v1/moderations", &json!({"input": "hello"})).await;
    assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (200, "second"), "{}", answer.text());
    assert_eq!((first.requests().len(), second.requests().len()), (1, 1));
    assert_eq!(second.last_request().json(), json!({"input": "hello"}));
}
