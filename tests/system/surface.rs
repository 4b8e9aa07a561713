//! What operators and tools find: the routes beside the chats, the first start without a configuration, and the end.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, openai, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test]
async fn health_models_metrics_and_plugins_are_there() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let mut block = openai(&upstream.url());
    block["models"] = json!(["gpt-x", "meta-llama/Llama-3.1-8B-Instruct"]);
    let gateway = Gateway::with(&[("openai", block), ("echo", json!({"plugin": "echo"}))]).await;
    assert_eq!(gateway.get("/healthz").await.status, 200);

    let models = gateway.get("/v1/models").await.json();
    assert_eq!(models["object"], "list");
    let ids: Vec<&str> = models["data"].as_array().unwrap().iter().filter_map(|model| model["id"].as_str()).collect();
    for name in ["gpt-x", "Llama-3.1-8B-Instruct"] {
        let model = ids.iter().find(|id| id.ends_with(name)).unwrap_or_else(|| panic!("{name} in {ids:?}"));
        let answer = gateway.chat(model, "hello").await;
        assert_eq!(answer.status, 200, "a listed model answers: {}", answer.text());
    }
    assert_eq!(upstream.last_request().json()["model"], "meta-llama/Llama-3.1-8B-Instruct");

    assert_eq!(gateway.metric("plugway_requests_total", "openai").await, 2.0);
    gateway.chat("nobody/m", "hello").await.openai_error(404);
    assert!(gateway.metric("plugway_requests_total", "404").await >= 1.0);
    assert!(gateway.metric("plugway_tokens_total", "prompt").await >= 28.0);

    let plugins = gateway.get("/api/plugins").await.json();
    for plugin in plugins["plugins"].as_array().expect("a list") {
        for member in ["name", "version", "digest", "state"] {
            assert!(plugin[member].is_string(), "{member} in {plugin}");
        }
        for member in ["generation", "calls", "traps", "seconds_in_wasm"] {
            assert!(plugin[member].is_number(), "{member} in {plugin}");
        }
        for member in ["kinds", "contract_versions"] {
            assert!(!plugin[member].is_null(), "{member} in {plugin}");
        }
        assert!(plugin.as_object().unwrap().contains_key("last_error"), "{plugin}");
    }
    let openai = gateway.plugin("provider-openai").await.remove(0);
    assert_eq!(openai["kinds"], json!(["provider", "format-upstream"]), "{openai}");
    assert!(openai["calls"].as_u64().unwrap() >= 2, "{openai}");
    assert_eq!(openai["traps"], 0, "{openai}");
}

/// `allowed_requests` has the last word; what is not allowed is not there.
#[tokio::test]
async fn operations_that_are_not_allowed_are_not_implemented() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let mut block = openai(&upstream.url());
    block["custom_provider_config"] = json!({"allowed_requests": {"chat_completion": true}});
    let gateway = Gateway::with(&[("plain-only", block)]).await;
    assert_eq!(gateway.chat("plain-only/m", "hello").await.status, 200);
    let error = gateway.stream("plain-only/m", "hello").await.openai_error(501);
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("plain-only") && message.contains("chat_completion_stream"), "{message}");
    assert_eq!(upstream.requests().len(), 1);
}

/// Aliases and keys' models decide what the upstream is asked for, and with which key.
#[tokio::test]
async fn the_key_that_serves_the_model_is_used() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let mut block = openai(&upstream.url());
    block["keys"] = json!([
        {"name": "a", "value": "key-a", "models": ["small"]},
        {"name": "b", "value": "key-b", "models": ["large"], "aliases": {"large": "large-2025-01-01"}},
    ]);
    let gateway = Gateway::with(&[("openai", block)]).await;
    for (model, key, sent) in [("small", "Bearer key-a", "small"), ("large", "Bearer key-b", "large-2025-01-01")] {
        assert_eq!(gateway.chat(&format!("openai/{model}"), "hello").await.status, 200);
        let seen = upstream.last_request();
        assert_eq!(seen.header("authorization"), Some(key));
        assert_eq!(seen.json()["model"], sent);
    }
    gateway.chat("openai/other", "hello").await.openai_error_of_class(4);
}

/// A policy sees every request, and what it refuses goes nowhere.
#[tokio::test]
async fn the_spy_policy_sees_the_canonical_form_and_changes_no_byte() {
    let upstream = Upstream::start().await;
    upstream.on_path("/v1/messages", Reply::json(200, &Dialect::Anthropic.whole("hi")));
    let gateway = Setup::new()
        .plugin("spy.wasm", Component::spy())
        .section("policies", json!([{"plugin": "spy"}]))
        .provider("anthropic", crate::gateway::anthropic(&upstream.url()))
        .start()
        .await;
    let body =
        r#"{ "model":"anthropic/m" ,"max_tokens": 9,"x_future":1.10, "messages":[{"role":"user","content":"hello"}]}"#;
    let answer = gateway.post_bytes("/v1/messages", body).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json(), Dialect::Anthropic.whole("hi"));
    assert_eq!(upstream.last_request().text(), body.replace("anthropic/m", "m"));
    gateway.wait_for_log(&["spy saw review-request", "hello"]).await;
}

#[tokio::test]
async fn without_a_configuration_echo_answers() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    crate::gateway::copy_first_party(&folder.path().join("plugins"));
    let address = crate::gateway::free_address();
    let _child = tokio::process::Command::new(crate::gateway::BINARY)
        .args(["serve", "--listen", &address.to_string()])
        .current_dir(folder.path())
        .kill_on_drop(true)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let body = crate::gateway::chat_body("echo", "hello from a newcomer", false);
    wait_until("the first answer", || async {
        let sent = client.post(format!("http://{address}/v1/chat/completions")).json(&body).send().await;
        match sent {
            Ok(response) if response.status() == 200 => {
                let answer: Value = response.json().await.expect("JSON");
                answer["choices"][0]["message"]["content"].as_str().unwrap().contains("hello from a newcomer")
            }
            Ok(_) | Err(_) => false,
        }
    })
    .await;
}

/// What it prints first says where it listens, what it loaded and what it watches.
#[tokio::test]
async fn the_start_says_what_there_is() {
    let gateway = Gateway::with(&[("echo", json!({"plugin": "echo"}))]).await;
    let address = gateway.url.trim_start_matches("http://").to_owned();
    gateway.wait_for_log(&[&address]).await;
    gateway.wait_for_log(&["provider-echo", "0.1.0"]).await;
    gateway.wait_for_log(&[gateway.plugins.to_str().unwrap()]).await;
}

#[tokio::test]
async fn running_streams_end_before_the_gateway_does() {
    let upstream = Upstream::start().await;
    let frames = Dialect::OpenAi.frames(&Dialect::OpenAi.stream("one two three four five six"));
    upstream.otherwise(move |_| Reply::sse(&frames).every(Duration::from_millis(200)));
    let mut gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let mut stream = gateway.open_stream("openai/m").await;
    assert!(stream.read(1).await);
    gateway.signal("TERM");
    assert!(stream.finish().await, "the stream is complete: {:?}", stream.events);
    assert_eq!(gateway.exit_code().await, Some(0));
}

#[tokio::test]
async fn a_stream_that_outlives_the_grace_period_is_told_so() {
    let upstream = Upstream::start().await;
    let frames = Dialect::OpenAi.frames(&Dialect::OpenAi.stream("one two three four five six"));
    let sent = frames[0].len() + frames[1].len();
    upstream.otherwise(move |_| Reply::sse(&frames).stall_after(sent));
    let mut block = openai(&upstream.url());
    block["network_config"]["stream_idle_timeout_in_seconds"] = json!(60);
    let setup = Setup::new().provider("openai", block).set("limits", "shutdown_grace_seconds", 1);
    let mut gateway = setup.start().await;
    let mut stream = gateway.open_stream("openai/m").await;
    assert!(stream.read(2).await);
    gateway.signal("TERM");
    assert!(!stream.finish().await, "a cut stream is not complete: {:?}", stream.events);
    gateway.exit_code().await;
}
