//! The official client libraries talk to the running binary as they would to their own vendor, whoever is behind it:
//! plain, streaming, tools, images, and errors that come out as the libraries' typed exceptions.
//!
//! The checks themselves are Python, in `tests/clients`.

use crate::dialects::{Dialect, play};
use crate::gateway::{Gateway, anthropic, openai, place, root};
use crate::upstream::Upstream;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::process::Command;

/// Runs a client script to its end.
async fn run(script: &str, gateway: &Gateway, provider: &str) {
    run_at(script, gateway, "", &[provider]).await;
}

/// The same below this path.
pub async fn run_at(script: &str, gateway: &Gateway, path: &str, arguments: &[&str]) {
    let python = place("PLUGWAY_PYTHON", "target/venv/bin/python");
    assert!(python.exists(), "{} is not there; `make test` sets it up", python.display());
    let running = Command::new(python)
        .arg(root().join("tests/clients").join(script))
        .arg(format!("{}{path}", gateway.url))
        .args(arguments)
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), running).await.expect("the client ends");
    let output = output.expect("the client starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(
        output.status.success(),
        "{script} over {path}{arguments:?}:\n{text}\nthe gateway's log:\n{}",
        gateway.log()
    );
}

fn listing_plain(mut block: Value) -> Value {
    block["models"] = json!(["plain"]);
    block
}

/// A gateway with both providers, one of which is asked, before an upstream that plays this dialect.
async fn scripted(dialect: Dialect) -> (Gateway, Upstream, &'static str) {
    let upstream = Upstream::start().await;
    play(dialect, &upstream);
    let (name, block) = match dialect {
        Dialect::OpenAi => ("openai", openai(&upstream.url())),
        Dialect::Anthropic => ("anthropic", anthropic(&upstream.url())),
    };
    (Gateway::with(&[(name, listing_plain(block))]).await, upstream, name)
}

async fn echo() -> Gateway {
    Gateway::with(&[("echo", json!({"plugin": "echo", "models": ["plain"]}))]).await
}

#[tokio::test]
async fn openai_client_over_openai() {
    let (gateway, upstream, provider) = scripted(Dialect::OpenAi).await;
    run("openai_client.py", &gateway, provider).await;

    let image = upstream.only_request("image").json();
    assert!(image["messages"][0]["content"][1]["image_url"]["url"].as_str().unwrap().starts_with("data:image/png"));
}

#[tokio::test]
async fn openai_client_over_anthropic() {
    let (gateway, upstream, provider) = scripted(Dialect::Anthropic).await;
    run("openai_client.py", &gateway, provider).await;

    let image = upstream.only_request("image").json();
    let source = &image["messages"][0]["content"][1]["source"];
    assert_eq!(source["type"], "base64", "{image}");
    assert_eq!(source["media_type"], "image/png", "{image}");
    assert!(source["data"].as_str().unwrap().starts_with("iVBORw0KGgo"), "{image}");
    let requests = upstream.requests();
    let with_results = requests.iter().map(|request| request.json()).find(|body| body["messages"][2]["role"] == "user");
    let result = &with_results.expect("the tool's result has arrived")["messages"][2]["content"][0];
    assert_eq!(result["type"], "tool_result", "{result}");
    assert_eq!(result["tool_use_id"], "call_1", "{result}");
    assert!(requests.iter().all(|request| request.header("x-api-key") == Some("sk-upstream-key")));
    assert!(requests.iter().all(|request| request.header("anthropic-version").is_some()));
}

#[tokio::test]
async fn openai_client_over_echo() {
    run("openai_client.py", &echo().await, "echo").await;
}

#[tokio::test]
async fn anthropic_client_over_anthropic() {
    let (gateway, upstream, provider) = scripted(Dialect::Anthropic).await;
    run("anthropic_client.py", &gateway, provider).await;

    let image = upstream.only_request("image").json();
    assert_eq!(image["messages"][0]["content"][1]["source"]["media_type"], "image/png", "{image}");
}

#[tokio::test]
async fn anthropic_client_over_openai() {
    let (gateway, upstream, provider) = scripted(Dialect::OpenAi).await;
    run("anthropic_client.py", &gateway, provider).await;

    let image = upstream.only_request("image").json();
    let parts = image["messages"][0]["content"].as_array().expect("parts");
    let url = parts.iter().find_map(|part| part["image_url"]["url"].as_str()).expect("an image");
    assert!(url.starts_with("data:image/png;base64,iVBORw0KGgo"), "{image}");
    let requests = upstream.requests();
    let bodies = requests.iter().map(|request| request.json());
    let mut messages = bodies.flat_map(|body| body["messages"].as_array().cloned().unwrap_or_default());
    assert!(
        messages.any(|message| message["role"] == "tool" && message["tool_call_id"] == "toolu_1"),
        "the tool's result has arrived"
    );
    assert!(requests.iter().all(|request| request.header("authorization") == Some("Bearer sk-upstream-key")));
}

#[tokio::test]
async fn anthropic_client_over_echo() {
    run("anthropic_client.py", &echo().await, "echo").await;
}
