//! A format plugin's routes are served as it describes them, all of them or none.
//!
//! `tests/guests/broken` serves `POST /v1/broken` and, without body or model, `GET /v1/things` and `GET /v1/broken/models`.

use crate::gateway::{Gateway, Setup, openai, provider};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

async fn with_provider(block: Value) -> Gateway {
    Setup::new()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("broken.wasm", Component::broken_format())
        .provider("acme", block)
        .provider("z-openai", openai("http://127.0.0.1:9"))
        .start()
        .await
}

fn acme(url: &str, settings: Value) -> Value {
    let mut block = provider("acme", url);
    block["settings"] = settings;
    block
}

#[tokio::test]
async fn a_request_without_body_and_model_goes_to_who_serves_its_operation() {
    let upstream = Upstream::start().await;
    upstream.on_path("/v1/things", Reply::json(200, &json!({"things": [1, 2]})));
    let settings = json!({"behave": "send", "method": "GET", "path": "/v1/things", "dialect": "broken-client",
        "credential": "api_key"});
    let gateway = with_provider(acme(&upstream.url(), settings)).await;
    let answer = gateway.get("/v1/things").await;
    assert_eq!((answer.status, answer.text().as_str()), (200, r#"{"things":[1,2]}"#));
    let seen = upstream.last_request();
    assert_eq!((seen.method.as_str(), seen.body.as_slice()), ("GET", &b""[..]));
    assert_eq!(seen.header("authorization"), Some("Bearer sk-upstream-key"));
}

/// The format translates a request that is not there as an empty object.
#[tokio::test]
async fn a_request_without_body_can_be_translated() {
    let gateway = with_provider(acme("http://127.0.0.1:9", json!({"behave": "answer"}))).await;
    let answer = gateway.get("/v1/things").await;
    assert_eq!((answer.status, answer.content().as_str()), (200, "acme 1.0.0"), "{}", answer.text());
}

#[tokio::test]
async fn a_format_lists_the_models_in_its_own_words() {
    let mut block = acme("http://127.0.0.1:9", json!({"behave": "answer"}));
    block["models"] = json!(["m"]);
    let gateway = with_provider(block).await;
    assert_eq!(gateway.get("/v1/broken/models").await.json(), json!({"broken-models": "acme/m"}));
}

#[tokio::test]
async fn an_operation_that_nobody_serves_is_not_implemented() {
    let setup = Setup::new().plugin("broken.wasm", Component::broken_format());
    let gateway = setup.provider("openai", openai("http://127.0.0.1:9")).start().await;
    let answer = gateway.get("/v1/things").await;
    assert_eq!((answer.status, answer.json()["status"].as_u64()), (501, Some(501)), "{}", answer.text());
}

#[tokio::test]
async fn a_format_whose_routes_clash_mounts_none_and_both_are_named() {
    let rival = Component::broken_format().stamped(&json!({"name": "format-rival", "version": "2.0.0"}));
    let gateway =
        Setup::bare().plugin("broken.wasm", Component::broken_format()).plugin("rival.wasm", rival).start().await;
    gateway.post("/v1/rival", &json!({"model": "m"})).await.openai_error(404);
    let troubles = gateway.get("/api/plugins").await.json()["troubles"].to_string();
    for word in ["format-rival@2.0.0", "POST /v1/broken", "format-broken@1.0.0"] {
        assert!(troubles.contains(word), "{word} in {troubles}");
    }
}

/// Clients of a dialect ask for more than the gateway serves, and read what they are told.
#[tokio::test]
async fn who_asks_for_too_much_is_told_so_in_the_own_dialect() {
    let gateway = Gateway::with(&[("echo", json!({"models": ["echo"]}))]).await;
    for path in ["/v1/messages/batches", "/v1/proxy/v1/messages/batches/msgbatch_1/results"] {
        let error = gateway.get(path).await.anthropic_error(501);
        assert!(error["message"].as_str().unwrap().starts_with("batch is not served"), "{error}");
    }
    gateway.get("/providers/echo/v1/messages/batches").await.anthropic_error(501);
    gateway.get("/v1/messages/nothing").await.anthropic_error(404);
    gateway.get("/v1/messages").await.anthropic_error(405);
    gateway.get("/v1/chat/nothing").await.openai_error(404);
    gateway.get("/v1/batches").await.openai_error(501);
}
