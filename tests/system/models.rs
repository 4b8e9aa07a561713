//! The list of models says what there is and what is known of it, and what a request cost follows from it.

use crate::gateway::{Gateway, Setup, anthropic, openai, read};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

fn ids(list: &Value) -> Vec<String> {
    let data = list["data"].as_array().expect("a list");
    data.iter().map(|model| model["id"].as_str().expect("an id").to_owned()).collect()
}

fn listing(models: &[&str]) -> Reply {
    let data: Vec<Value> =
        models.iter().map(|id| json!({"id": id, "object": "model", "created": 5, "owned_by": "them"})).collect();
    Reply::json(200, &json!({"object": "list", "data": data}))
}

#[tokio::test]
async fn what_is_configured_is_listed_with_what_is_known_of_it() {
    let mut custom = openai("http://127.0.0.1:9");
    custom["models"] = json!([
        "plain",
        {"name": "org/priced", "display_name": "Priced", "multimodal": true, "input_cost_per_mil_tokens": 3,
            "output_cost_per_mil_tokens": 15, "input_cache_write_1h_cost_per_mil_tokens": 6,
            "max_input_tokens": 200_000, "max_output_tokens": 64_000, "fallback_models": ["plain"], "deprecation_date": "2027-01-31"},
    ]);
    custom["model"] = json!("pinned");
    custom["keys"][0]["models"] = json!(["plain", "of-a-key"]);
    let gateway = Gateway::with(&[("my custom", custom)]).await;
    let list = gateway.get("/v1/models").await.json();
    assert_eq!(ids(&list), ["my custom/of-a-key", "my custom/org/priced", "my custom/pinned", "my custom/plain"]);
    let priced = &list["data"][1];
    assert_eq!(
        *priced,
        json!({"id": "my custom/org/priced", "object": "model", "created": 0, "owned_by": "my custom", "display_name": "Priced",
            "multimodal": true, "input_cost_per_mil_tokens": 3.0, "output_cost_per_mil_tokens": 15.0,
            "input_cache_read_cost_per_mil_tokens": 3.0, "input_cache_write_cost_per_mil_tokens": 3.0,
            "input_cache_write_5m_cost_per_mil_tokens": 3.0, "input_cache_write_1h_cost_per_mil_tokens": 6.0,
            "max_input_tokens": 200_000, "max_output_tokens": 64_000, "deprecation_date": "2027-01-31"})
    );
    for id in ["my%20custom%2Forg%2Fpriced", "my%20custom/org/priced", "org/priced"] {
        assert_eq!(gateway.get(&format!("/v1/models/{id}")).await.json(), *priced, "{id}");
    }
    let error = gateway.get("/v1/models/nobody/knows").await.openai_error(404);
    assert_eq!(error["code"], "model_not_found");
    // Below the provider the names are its own.
    let below = gateway.get("/providers/my%20custom/v1/models").await.json();
    assert_eq!(ids(&below), ["of-a-key", "org/priced", "pinned", "plain"]);
    assert_eq!(gateway.get("/providers/my%20custom/v1/models/org/priced").await.json()["id"], "org/priced");
}

#[tokio::test]
async fn a_provider_that_lists_none_is_asked_once() {
    let (good, slow, bad) = (Upstream::start().await, Upstream::start().await, Upstream::start().await);
    good.on_path("/v1/models", listing(&["a", "b/c"]).after(Duration::from_millis(300)));
    slow.on_path("/v1/models", listing(&["d"]).stall_before_headers());
    bad.on_path("/v1/models", Reply::json(500, &json!({"error": {"message": "no"}})));
    let theirs = Upstream::start().await;
    theirs.on_path(
        "/v1/models",
        Reply::json(
            200,
            &json!({"data": [{"type": "model", "id": "e", "display_name": "E",
        "created_at": "2025-01-01T00:00:00Z"}], "has_more": false}),
        ),
    );
    let gateway = Gateway::with(&[
        ("good", openai(&good.url())),
        ("slow", openai(&slow.url())),
        ("bad", openai(&bad.url())),
        ("theirs", anthropic(&theirs.url())),
    ])
    .await;
    let started = Instant::now();
    let lists = futures_util::future::join_all((0..5).map(|_| gateway.get("/v1/models"))).await;
    assert!(started.elapsed() < Duration::from_secs(8), "all are asked at the same time, and none for long");
    for list in lists {
        assert_eq!(
            (list.status, ids(&list.json())),
            (200, vec!["good/a".into(), "good/b/c".into(), "theirs/e".into()])
        );
    }
    gateway.get("/v1/models").await;
    for upstream in [&good, &slow, &bad, &theirs] {
        assert_eq!(upstream.requests().len(), 1, "one flight, and its answer is kept");
    }
    let asked = &good.requests()[0];
    assert_eq!((asked.method.as_str(), asked.header("authorization")), ("GET", Some("Bearer sk-upstream-key")));
    assert_eq!(ids(&gateway.get("/providers/good/v1/models").await.json()), ["a", "b/c"]);
}

#[tokio::test]
async fn callers_of_another_dialect_get_the_list_in_their_own() {
    let mut block = openai("http://127.0.0.1:9");
    block["models"] = json!([{"name": "m", "display_name": "Em", "max_input_tokens": 9, "multimodal": true}]);
    let gateway = Gateway::with(&[("one", block)]).await;
    let get = async |path: &str| {
        let request = gateway.http.get(format!("{}{path}", gateway.url)).header("anthropic-version", "2023-06-01");
        read(request).await.json()
    };
    let model = json!({"type": "model", "id": "one/m", "display_name": "Em", "created_at": "1970-01-01T00:00:00Z",
        "max_input_tokens": 9, "multimodal": true});
    let list = json!({"data": [model], "has_more": false, "first_id": "one/m", "last_id": "one/m"});
    assert_eq!(get("/v1/models").await, list);
    assert_eq!(get("/v1/models/one/m").await, model);
    assert_eq!(gateway.get("/v1/models").await.json()["object"], "list");
}

#[tokio::test]
async fn names_that_stand_for_several_models_are_listed_too() {
    let mut block = openai("http://127.0.0.1:9");
    block["models"] = json!(["m"]);
    let gateway =
        Setup::new().provider("one", block).section("models", json!({"fast": {"targets": ["one/m"]}})).start().await;
    assert_eq!(ids(&gateway.get("/v1/models").await.json()), ["fast", "one/m"]);
    assert_eq!(gateway.get("/v1/models/fast").await.json()["id"], "fast");
    assert_eq!(ids(&gateway.get("/providers/one/v1/models").await.json()), ["m"]);
}

/// What a key calls a model is a name of it: listed, found bare, and served where the model is.
#[tokio::test]
async fn aliases_of_keys_are_names_too() {
    let upstream = Upstream::start().await;
    upstream.on_model("real", Reply::json(200, &json!({"choices": []})));
    upstream.on_path("/v1/models", listing(&["of-the-service"]));
    let mut listed = openai(&upstream.url());
    listed["keys"] = json!([{"name": "main", "value": "sk-upstream-key", "models": ["real"],
        "aliases": {"nick": "real", "useless": "unserved"}}]);
    let mut asked = openai(&upstream.url());
    asked["keys"][0]["aliases"] = json!({"other": "real"});
    let gateway = Gateway::with(&[("listed", listed), ("asked", asked)]).await;
    for model in ["nick", "listed/nick", "other", "asked/other"] {
        let answer = gateway.chat(model, "hello").await;
        assert_eq!(answer.status, 200, "{model}: {}", answer.text());
        assert_eq!(upstream.last_request().json()["model"], "real");
    }
    let error = gateway.chat("listed/useless", "hello").await.openai_error(404);
    assert_eq!(error["code"], "model_not_found");
    let names = ids(&gateway.get("/v1/models").await.json());
    assert_eq!(names, ["asked/of-the-service", "asked/other", "listed/nick", "listed/real"]);
}

/// Tokens that a cache read or wrote have prices of their own, whatever dialect they were counted in.
#[tokio::test]
async fn what_a_request_cost_is_said_counted_and_logged() {
    let upstream = Upstream::start().await;
    let whole = json!({"id": "1", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
        "message": {"role": "assistant", "content": "hi"}}], "usage": {"prompt_tokens": 1000, "completion_tokens": 100,
        "prompt_tokens_details": {"cached_tokens": 400}}});
    upstream.on_model("priced", Reply::json(200, &whole));
    upstream.on_model("upstreams-own", Reply::json(200, &whole));
    let message = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "stop_reason": "end_turn",
        "content": [{"type": "text", "text": "hi"}], "usage": {"input_tokens": 600, "cache_read_input_tokens": 300,
            "cache_creation_input_tokens": 100, "output_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 40, "ephemeral_1h_input_tokens": 60}}});
    upstream.on_model("claude", Reply::json(200, &message));
    let chunk = |text: &str| format!("data: {text}\n\n");
    upstream.on_model(
        "stream",
        Reply::sse(&[
            chunk(r#"{"choices":[{"index":0,"delta":{"content":"hi"},"finish_reason":"stop"}]}"#),
            chunk(r#"{"choices":[],"usage":{"prompt_tokens":1000,"completion_tokens":0}}"#),
            chunk("[DONE]"),
        ]),
    );
    let priced = |name: &str| {
        json!({"name": name, "input_cost_per_mil_tokens": 2.5, "output_cost_per_mil_tokens": 10,
            "input_cache_read_cost_per_mil_tokens": 1.25, "input_cache_write_cost_per_mil_tokens": 3,
            "input_cache_write_1h_cost_per_mil_tokens": 5})
    };
    let mut one = openai(&upstream.url());
    one["models"] = json!([priced("priced"), priced("stream"), priced("alias"), "free"]);
    one["keys"][0]["aliases"] = json!({"alias": "upstreams-own"});
    let mut two = anthropic(&upstream.url());
    two["models"] = json!([priced("claude")]);
    let gateway = Gateway::with(&[("one", one), ("two", two)]).await;

    // 600 × 2.5 + 400 × 1.25 + 100 × 10, of a million
    for model in ["one/priced", "alias"] {
        let answer = gateway.chat(model, "hello").await;
        assert_eq!(answer.header("x-plugway-cost"), "0.003", "{model}");
        assert_eq!(answer.json()["usage"], whole["usage"], "what is counted is left as it is");
    }
    // 600 × 2.5 + 300 × 1.25 + 40 × 3 + 60 × 5 + 100 × 10, of a million; in both dialects
    assert_eq!(gateway.message("two/claude", "hello", false).await.header("x-plugway-cost"), "0.003295");
    assert_eq!(gateway.chat("two/claude", "hello").await.header("x-plugway-cost"), "0.003295");
    let stream = gateway.stream("one/stream", "hello").await;
    assert!(stream.is_done() && stream.header("x-plugway-cost").is_empty(), "it is not known when it begins");
    gateway.wait_for_log(&["model=one/stream", "cost_usd=0.0025"]).await;
    upstream.on_model("free", Reply::json(200, &whole));
    assert_eq!(gateway.chat("one/free", "hello").await.header("x-plugway-cost"), "", "its price is not known");
    let counted = gateway.metric("plugway_cost_usd_total", "provider=\"one\"").await;
    assert!((counted - 0.0085).abs() < 1e-9, "{counted}");
}
