//! What users of other gateways have in their scripts and configurations works here with only the address changed.

use crate::dialects::{ANSWER, Dialect, Dialect::Anthropic, Dialect::OpenAi};
use crate::gateway::{Gateway, Setup, anthropic, openai, place, root};
use crate::operations::{response, response_events};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::Duration;
use tokio::process::Command;

/// Answers questions, calls the tool that it is offered, and judges when it is asked to.
fn answer(spoken: Dialect, seen: &Seen) -> Reply {
    let request = seen.json();
    let tool = request.pointer("/tools/0/function/name").or(request.pointer("/tools/0/name")).and_then(Value::as_str);
    if seen.path == "/v1/responses" {
        return responses_answer(tool.is_some(), request["stream"] == true);
    }
    match (tool, request["stream"] == true) {
        (Some("select_choice"), _) => Reply::json(200, &judgement(spoken)),
        (Some(_), _) => Reply::json(200, &spoken.whole_tool_call()),
        (None, true) => Reply::sse(&spoken.frames(&spoken.stream(ANSWER))),
        (None, false) => Reply::json(200, &spoken.whole(ANSWER)),
    }
}

fn responses_answer(calls: bool, streams: bool) -> Reply {
    let mut whole = response(ANSWER);
    if calls {
        whole["output"] = json!([{"type": "function_call", "id": "fc_1", "call_id": "call_1", "status": "completed",
            "name": "get_weather", "arguments": "{\"city\":\"Paris\"}"}]);
    }
    match streams {
        true => {
            let events = response_events(&ANSWER.split_inclusive(' ').collect::<Vec<_>>());
            let name = |event: &Value| event["type"].as_str().expect("a type").to_owned();
            let frames = events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event)));
            Reply::sse(&frames.collect::<Vec<_>>())
        }
        false => Reply::json(200, &whole),
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

/// As the page has it for Node, word by word, without a prompt.
#[tokio::test]
async fn a_classifier_from_a_spec_asks_a_custom_model() {
    for spoken in [OpenAi, Anthropic] {
        let (upstream, gateway) = gateway(spoken).await;
        run("judge.mjs", &[], &gateway).await;
        assert_eq!(upstream.last_request().json()["model"], "my-custom-model");
    }
}

/// Says which model it is.
async fn speaking(spoken: Dialect) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |seen| {
        let request = seen.json();
        let words = format!("said by {}", request["model"].as_str().expect("a model"));
        match request["stream"] == true {
            true => Reply::sse(&spoken.frames(&spoken.stream(&words))),
            false => Reply::json(200, &spoken.whole(&words)),
        }
    });
    upstream
}

#[tokio::test]
async fn one_loop_asks_the_models_of_three_providers_by_their_names() {
    let [first, second, third] = [speaking(OpenAi).await, speaking(Anthropic).await, speaking(OpenAi).await];
    let listing = |mut block: Value, model: &str| {
        block["models"] = json!([model]);
        block
    };
    let mut custom = listing(openai(&third.url()), "my-custom-model");
    custom["custom_provider_config"] = json!({"base_provider_type": "openai"});
    let gateway = Gateway::with(&[
        ("openai", listing(openai(&first.url()), "gpt-4o-mini")),
        ("anthropic", listing(anthropic(&second.url()), "claude-sonnet-4-5-20250929")),
        ("custom", custom),
    ])
    .await;
    run("compare.py", &[], &gateway).await;
    assert_eq!([&first, &second, &third].map(|upstream| upstream.requests().len()), [2, 2, 2]);
}

/// What `curl` prints for a command as a page has it, but for the address.
async fn curl(command: &str, gateway: &Gateway) -> Value {
    let command = ["http://localhost:8080", "https://gateway.smith.langchain.com"]
        .iter()
        .fold(command.to_owned(), |command, address| command.replace(address, &gateway.url));
    assert!(command.contains(&gateway.url), "{command}");
    let running = Command::new("sh")
        .args(["-c", &command])
        .env("LANGSMITH_API_KEY", "lsv2_callers-own")
        .env("no_proxy", "*")
        .kill_on_drop(true)
        .output();
    let output = running.await.expect("it ends");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}\n{}", gateway.log()))
}

const BIFROSTS_PROVIDER: &str = r#"curl --location 'http://localhost:8080/api/providers' \
--header 'Content-Type: application/json' \
--data '{
"provider": "openai-custom",
"keys": [
{
"name": "openai-custom-key-1",
"value": "env.OPENAI_API_KEY",
"models": [],
"weight": 1.0
}
],
"custom_provider_config": {
"base_provider_type": "openai",
"allowed_requests": {
"list_models": false,
"text_completion": false,
"text_completion_stream": false,
"chat_completion": true,
"chat_completion_stream": true,
"responses": false,
"responses_stream": false,
"embedding": false,
"speech": false,
"speech_stream": false,
"transcription": false,
"transcription_stream": false
},
"request_path_overrides": {
"chat_completion": "/v1/chat/completions"
}
}
}'"#;

const BIFROSTS_CHAT: &str = r#"curl --location 'http://localhost:8080/v1/chat/completions' \
--header 'Content-Type: application/json' \
--data '{
"model": "openai-custom/gpt-4o-mini",
"messages": [
{"role": "user", "content": "Hello!"}
]
}'"#;

const LANGSMITHS_CHAT: &str = r#"curl https://gateway.smith.langchain.com/providers/my-custom-endpoint/v1/chat/completions \
    -H "Authorization: Bearer $LANGSMITH_API_KEY" \
    -H "Content-Type: application/json" \
    -d '{"messages":[{"role":"user","content":"ping"}]}'"#;

#[tokio::test]
async fn commands_are_run_as_they_stand() {
    let upstream = speaking(OpenAi).await;
    let gateway = Setup::new().environment("OPENAI_API_KEY", "sk-from-the-environment").start().await;
    let made = curl(BIFROSTS_PROVIDER, &gateway).await;
    assert_eq!((&made["provider"], &made["state"]), (&json!("openai-custom"), &json!("ready")), "{made}");

    // The same provider, but for where it is.
    let mut block = openai(&upstream.url());
    block["custom_provider_config"] = made["custom_provider_config"].clone();
    let mut pinned = openai(&upstream.url());
    pinned["model"] = json!("meta-llama/Llama-3.1-8B-Instruct");
    let gateway = Gateway::with(&[("openai-custom", block), ("my-custom-endpoint", pinned)]).await;
    let said = |answer: &Value| answer["choices"][0]["message"]["content"].as_str().expect("words").to_owned();
    assert_eq!(said(&curl(BIFROSTS_CHAT, &gateway).await), "said by gpt-4o-mini");
    assert_eq!(said(&curl(LANGSMITHS_CHAT, &gateway).await), "said by meta-llama/Llama-3.1-8B-Instruct");
    assert_eq!(upstream.last_request().header("authorization"), Some("Bearer sk-upstream-key"));
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
