//! What would become of a request can be asked: who is tried in which order, with what, and who is not, and why. Nothing is
//! sent, and no secret is shown.

use crate::dialects::Dialect::OpenAi;
use crate::gateway::{Gateway, Setup, anthropic, openai, run};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

async fn gateway(upstream: &Upstream) -> Gateway {
    let mut first = openai(&upstream.url());
    first["keys"] = json!([
        {"name": "narrow", "value": "sk-narrow-secret", "models": ["other"]},
        {"name": "wide", "value": "sk-wide-secret", "aliases": {"m": "m-2026"}},
    ]);
    first["headers"] = json!({"X-Caller": "{{request.header.x-user}}", "X-Own": "own {{api_key}}", "X-Written": "tok-written-1 {{model}}"});
    first["network_config"]["extra_headers"] = json!({"x-service-token": "short"});
    first["custom_provider_config"] = json!({"request_path_overrides": {"chat_completion": "/api/v2/chat"}});
    let mut embeds = openai(&upstream.url());
    embeds["flavor"] = json!("embedding");
    Setup::new()
        .provider("first", first)
        .provider("second", anthropic(&upstream.url()))
        .provider("embeds", embeds)
        .section(
            "models",
            json!({"m": {"targets": ["embeds", "first", "gone/m"], "strategy": "in-order", "fallbacks": ["second/claude", "nobody/x"]}}),
        )
        .start()
        .await
}

async fn explained(gateway: &Gateway, question: Value) -> Value {
    let answer = gateway.post("/api/explain", &question).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

#[tokio::test]
async fn candidates_stand_in_order_with_what_they_would_be_sent() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let question = json!({
        "headers": {"x-user": "ada", "authorization": "Bearer sk-callers-own"},
        "body": {"model": "m", "messages": [{"role": "user", "content": "hello"}], "seed": 7},
    });
    let told = explained(&gateway, question).await;
    assert_eq!(told["request"]["operation"], "chat_completion");
    let [first, second] = told["candidates"].as_array().expect("a list").as_slice() else { panic!("{told:#}") };
    assert_eq!(
        (&first["provider"], &first["model"], &first["key"]),
        (&json!("first"), &json!("m-2026"), &json!("wide"))
    );
    assert_eq!(first["keys"][0], json!({"name": "narrow", "state": "does not serve the model"}));
    assert_eq!(first["url"], format!("{}/api/v2/chat", upstream.url()));
    let headers = &first["headers"];
    assert_eq!((&headers["x-caller"], &headers["x-own"]), (&json!("ada"), &json!("own ***")));
    assert_eq!((&headers["authorization"], &headers["x-service-token"]), (&json!("Bearer ***"), &json!("***")));
    assert_eq!((&second["provider"], &second["why"]), (&json!("second"), &json!("a fallback")));
    assert_eq!((&second["translated"], &second["dropped"]), (&json!(true), &json!(["seed"])));

    let out = told["out"].as_array().expect("a list");
    let why = |address: &str| {
        let out = out.iter().find(|out| out["address"] == address);
        out.unwrap_or_else(|| panic!("{address} in {told:#}"))["why"].as_str().expect("a text").to_owned()
    };
    assert!(why("embeds").contains("does not serve chat_completion"));
    assert!(why("gone/m").contains("no provider serves the model `gone/m`"));
    assert!(why("nobody/x").contains("no provider serves"));

    assert_eq!(headers["x-written"], "***");

    let text = told.to_string();
    for secret in ["tok-written-1", "sk-narrow-secret", "sk-wide-secret", "sk-upstream-key", "sk-callers-own"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(upstream.connections(), 0, "nothing is sent");
    assert_eq!(gateway.metric("plugway_requests_total", "").await, 0.0, "nothing is counted");
}

#[tokio::test]
async fn what_was_learned_of_a_provider_is_told() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(429, &OpenAi.error(429)).header("retry-after", "30"));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    gateway.chat("openai/m", "hello").await;
    let told = explained(&gateway, json!({"model": "openai/m", "messages": []})).await;
    let candidate = &told["candidates"][0];
    assert!(candidate["passed_over_now"].as_str().is_some_and(|why| why.contains("all its keys rest")), "{told:#}");
    assert!(candidate["keys"][0]["state"].as_str().is_some_and(|state| state.starts_with("rests")), "{told:#}");
}

#[tokio::test]
async fn a_request_that_would_be_refused_is_refused_here_in_the_same_words() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    for question in [json!({"model": 7}), json!({"body": {"messages": []}}), json!({"path": "/v1/nothing", "body": {}})]
    {
        let answer = gateway.post("/api/explain", &question).await;
        assert!([400, 404].contains(&answer.status), "{question}: {}", answer.text());
        crate::gateway::openai_error_of(&answer.json());
    }
    let nobody = explained(&gateway, json!({"model": "unheard-of", "messages": []})).await;
    assert_eq!(nobody["candidates"], json!([]));
    assert!(nobody["out"][0]["why"].as_str().is_some_and(|why| why.contains("no provider serves")), "{nobody:#}");
    for nonsense in ["", "[]", "{", "{\"body\": {}, \"verb\": \"GET\"}"] {
        let answer = gateway.post_bytes("/api/explain", nonsense).await;
        answer.openai_error(400);
    }
}

#[tokio::test]
async fn the_command_line_tells_the_same_without_a_gateway() {
    let upstream = Upstream::start().await;
    let gateway = gateway(&upstream).await;
    let config = gateway.config_file.to_str().expect("UTF-8").to_owned();
    let (code, text) = run(&["explain", "m", "--config", &config]).await;
    assert_eq!(code, Some(0), "{text}");
    let json = text.find('{').map(|start| &text[start..]).expect("JSON");
    let told: Value = serde_json::from_str(json).unwrap_or_else(|error| panic!("{error} in {text}"));
    assert_eq!(told["candidates"][0]["provider"], "first");
    assert!(!text.contains("-secret"), "{text}");
    let (code, text) = run(&["explain", "--config", &config]).await;
    assert_eq!(code, Some(64), "{text}");
}
