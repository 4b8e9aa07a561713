//! What users of other gateways have in their scripts and configurations works here with only the address changed.

use crate::dialects::{ANSWER, Dialect, Dialect::Anthropic, Dialect::OpenAi};
use crate::gateway::{Gateway, Setup, anthropic, openai, place, root};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;

/// Answers questions, calls the tool that it is offered, and judges when it is asked to.
fn answer(spoken: Dialect, seen: &Seen) -> Reply {
    let request = seen.json();
    let tool = request.pointer("/tools/0/function/name").or(request.pointer("/tools/0/name")).and_then(Value::as_str);
    match (tool, request["stream"] == true) {
        (Some("select_choice"), _) => Reply::json(200, &judgement(spoken)),
        (Some(_), _) => Reply::json(200, &spoken.whole_tool_call()),
        (None, true) => Reply::sse(&spoken.frames(&spoken.stream(ANSWER))),
        (None, false) => Reply::json(200, &spoken.whole(ANSWER)),
    }
}

fn judgement(spoken: Dialect) -> Value {
    let arguments = json!({"reasons": "1. It names the capital.", "choice": "Relevant"});
    let mut reply = spoken.whole_tool_call();
    match spoken {
        OpenAi => {
            let function = json!({"name": "select_choice", "arguments": arguments.to_string()});
            reply["choices"][0]["message"]["tool_calls"][0]["function"] = function;
        }
        Anthropic => {
            let block = json!({"type": "tool_use", "id": "toolu_1", "name": "select_choice", "input": arguments});
            reply["content"] = json!([block]);
        }
    }
    reply
}

/// A custom provider over each dialect, which lists `my-custom-model`; and one with a model pinned to it.
async fn gateway(spoken: Dialect) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |seen| answer(spoken, seen));
    let mut block = match spoken {
        OpenAi => openai(&upstream.url()),
        Anthropic => anthropic(&upstream.url()),
    };
    block["models"] = json!(["my-custom-model"]);
    let mut pinned = block.clone();
    pinned["model"] = json!("meta-llama/Llama-3.1-8B-Instruct");
    let setup = Setup::new().provider("my-provider", block).provider("my custom/endpoint", pinned);
    (upstream, setup.start().await)
}

fn node_clients() -> PathBuf {
    let folder = place("PLUGWAY_NODE_CLIENTS", "target/clients-node");
    assert!(folder.join("node_modules").exists(), "{} is not there; `make test` sets it up", folder.display());
    folder
}

/// Runs a client's script with these arguments to its end.
async fn run(script: &str, arguments: &[&str], gateway: &Gateway) {
    let program = match script.ends_with(".mjs") {
        true => PathBuf::from("node"),
        false => place("PLUGWAY_PYTHON", "target/venv/bin/python"),
    };
    let running = Command::new(program)
        .arg(root().join("tests/clients").join(script))
        .arg(&gateway.url)
        .args(arguments)
        .env_remove("http_proxy")
        .env_remove("HTTP_PROXY")
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PLUGWAY_NODE_CLIENTS", node_clients())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(Duration::from_secs(120), running).await.expect("the client ends");
    let output = output.expect("the client starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{script} {arguments:?}:\n{text}\nthe gateway's log:\n{}", gateway.log());
}

#[tokio::test]
async fn openais_node_library_asks_a_custom_model() {
    for spoken in [OpenAi, Anthropic] {
        let (_upstream, gateway) = gateway(spoken).await;
        for model in ["my-custom-model", "my-provider/my-custom-model"] {
            run("openai_client.mjs", &[model], &gateway).await;
        }
    }
}

#[tokio::test]
async fn a_custom_model_is_the_judge_of_another() {
    for spoken in [OpenAi, Anthropic] {
        let (upstream, gateway) = gateway(spoken).await;
        run("judge.py", &["my-custom-model"], &gateway).await;
        assert_eq!(upstream.last_request().json()["model"], "my-custom-model");
    }
}

#[tokio::test]
async fn langchain_uses_the_route_of_one_provider() {
    for spoken in [OpenAi, Anthropic] {
        let (upstream, gateway) = gateway(spoken).await;
        run("langchain_client.py", &["my%20custom%2Fendpoint"], &gateway).await;
        let models: Vec<Value> = upstream.requests().iter().map(|seen| seen.json()["model"].clone()).collect();
        assert!(models.iter().all(|model| model == "meta-llama/Llama-3.1-8B-Instruct"), "{models:?}");
    }
}
