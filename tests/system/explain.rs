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

fn providers(told: &Value) -> Vec<&str> {
    let candidates = told["candidates"].as_array().expect("a list").iter();
    candidates.map(|candidate| candidate["provider"].as_str().expect("a name")).collect()
}

/// Who keeps failing is tried last, after the fallbacks too.
#[tokio::test]
async fn who_keeps_failing_stands_last() {
    let (failing, well) = (Upstream::start().await, Upstream::start().await);
    failing.otherwise(|_| Reply::json(500, &OpenAi.error(500)));
    well.otherwise(|_| Reply::json(200, &OpenAi.whole("hi")));
    let mut first = openai(&failing.url());
    first["fallbacks"] = json!(["second"]);
    let gateway = Setup::new()
        .provider("first", first)
        .provider("second", openai(&well.url()))
        .section("routing", json!({"circuit_failures": 2, "circuit_open_seconds": 60}))
        .start()
        .await;
    let question = json!({"model": "first/m", "messages": []});
    let before = explained(&gateway, question.clone()).await;
    assert_eq!((providers(&before), &before["candidates"][0]["circuit"]), (vec!["first", "second"], &json!("closed")));
    for _ in 0..2 {
        assert_eq!(gateway.chat("first/m", "hello").await.content(), "hi");
    }
    let after = explained(&gateway, question).await;
    assert_eq!(providers(&after), ["second", "first"]);
    let circuit = after["candidates"][1]["circuit"].as_str().expect("a state");
    assert!(circuit.starts_with("open"), "{circuit}");
    // And so it is.
    let asked = failing.requests().len();
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "hi");
    assert_eq!(failing.requests().len(), asked);
}

#[tokio::test]
async fn a_providers_own_route_is_explained_with_its_model() {
    let upstream = Upstream::start().await;
    let mut block = openai(&upstream.url());
    block["model"] = json!("pinned-one");
    let gateway = Gateway::with(&[("meta-llama/Llama 3", block), ("other", openai(&upstream.url()))]).await;
    let path = "/providers/meta-llama%2FLlama%203/v1/chat/completions";
    let told = explained(&gateway, json!({"path": path, "body": {"messages": []}})).await;
    assert_eq!((providers(&told), &told["candidates"][0]["model"]), (vec!["meta-llama/Llama 3"], &json!("pinned-one")));
    let nobody = json!({"path": "/providers/nobody/v1/chat/completions", "body": {"model": "m", "messages": []}});
    gateway.post("/api/explain", &nobody).await.openai_error(404);
}

#[tokio::test]
async fn other_operations_are_explained_too() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::with(&[("first", openai(&upstream.url())), ("second", anthropic(&upstream.url()))]).await;
    let embed =
        |provider: &str| json!({"path": "/v1/embeddings", "body": {"model": format!("{provider}/m"), "input": "x"}});
    let told = explained(&gateway, embed("first")).await;
    assert_eq!(told["request"]["operation"], "embedding");
    assert_eq!(told["candidates"][0]["url"], format!("{}/v1/embeddings", upstream.url()));
    let told = explained(&gateway, embed("second")).await;
    assert_eq!(told["candidates"], json!([]));
    assert_eq!(told["out"][0]["why"], "the provider `second` does not serve embedding");
    let stream = json!({"path": "/v1/responses", "body": {"model": "second/m", "input": "x", "stream": true}});
    let told = explained(&gateway, stream).await;
    let candidate = &told["candidates"][0];
    assert_eq!((&candidate["streamed"], &candidate["translated"]), (&json!(true), &json!(true)), "{told:#}");
    assert_eq!(candidate["url"], format!("{}/v1/messages", upstream.url()));
}

/// Each with its state, and the one that would be used is one that may be.
#[tokio::test]
async fn of_several_keys_each_has_its_state() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|seen| match seen.header("authorization") {
        Some("Bearer sk-limited-key") => Reply::json(429, &OpenAi.error(429)).header("retry-after", "30"),
        Some("Bearer sk-dead-key") => Reply::json(401, &OpenAi.error(401)),
        _ => Reply::json(200, &OpenAi.whole("hi")),
    });
    let mut block = openai(&upstream.url());
    block["keys"] = json!([
        {"name": "limited", "value": "sk-limited-key"},
        {"name": "dead", "value": "sk-dead-key"},
        {"name": "good", "value": "sk-good-key", "weight": 0.00001},
    ]);
    let gateway = Gateway::with(&[("openai", block)]).await;
    let question = json!({"model": "openai/m", "messages": []});
    let fresh = explained(&gateway, question.clone()).await;
    let states = |told: &Value| -> Vec<String> {
        let keys = told["candidates"][0]["keys"].as_array().expect("a list").clone();
        keys.iter().map(|key| key["state"].as_str().expect("a state").to_owned()).collect()
    };
    assert_eq!(states(&fresh), ["fit", "fit", "fit"]);
    assert_eq!(upstream.connections(), 0, "nothing is sent");
    assert_eq!(gateway.chat("openai/m", "hello").await.content(), "hi");
    // The other two weigh so much more that they were tried first.
    let told = explained(&gateway, question).await;
    let [limited, dead, good] = states(&told).try_into().expect("three keys");
    assert!(limited.starts_with("rests for another"), "{limited}");
    assert!(dead.contains("a last resort"), "{dead}");
    assert_eq!((good.as_str(), &told["candidates"][0]["key"]), ("fit", &json!("good")));
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
