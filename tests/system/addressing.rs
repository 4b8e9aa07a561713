//! A provider can be addressed by a path, and a provider or a key by a header; every answer says who gave it.

use crate::gateway::{Answer, Gateway, Setup, anthropic, openai, read};
use crate::operations::response;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

fn answer() -> Reply {
    Reply::json(
        200,
        &json!({"id": "1", "object": "chat.completion", "choices": [{"index": 0, "finish_reason": "stop",
            "message": {"role": "assistant", "content": "hi"}}]}),
    )
}

fn chat(more: Value) -> Value {
    let mut body = json!({"messages": [{"role": "user", "content": "hello"}]});
    body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    body
}

async fn ask(gateway: &Gateway, path: &str, endpoint: &str, body: &Value) -> Answer {
    let request = gateway.http.post(format!("{}{path}", gateway.url)).header("x-bt-endpoint-name", endpoint);
    read(request.json(body)).await
}

#[tokio::test]
async fn a_path_names_the_provider_and_its_model_is_pinned() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| answer());
    let mut block = openai(&upstream.url());
    block["model"] = json!("llama-3.1-8b");
    let gateway = Gateway::with(&[("meta-llama/Llama-3.1-8B-Instruct", block)]).await;
    let path = "/providers/meta-llama%2FLlama-3.1-8B-Instruct/v1/chat/completions";
    for body in [chat(json!({})), chat(json!({"model": "gpt-4o"})), chat(json!({"model": 7}))] {
        let answer = gateway.post(path, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.header("x-bt-used-endpoint"), "meta-llama/Llama-3.1-8B-Instruct");
        assert_eq!(upstream.last_request().json()["model"], "llama-3.1-8b");
    }
    // By its name among the models nothing is pinned.
    gateway.chat("meta-llama/Llama-3.1-8B-Instruct/other", "hello").await;
    assert_eq!(upstream.last_request().json()["model"], "other");
    // And what is pinned is found by its name.
    gateway.chat("llama-3.1-8b", "hello").await;
    assert_eq!(upstream.last_request().json()["model"], "llama-3.1-8b");
}

/// On each of its routes, whatever the caller asks for.
#[tokio::test]
async fn a_pinned_model_is_that_of_every_operation() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|seen| match seen.path.as_str() {
        "/v1/responses" => Reply::json(200, &response("hi")),
        "/v1/embeddings" => Reply::json(200, &json!({"object": "list", "data": [], "model": "m"})),
        "/v1/completions" => Reply::json(200, &json!({"object": "text_completion", "choices": []})),
        _ => answer(),
    });
    let mut block = openai(&upstream.url());
    block["model"] = json!("pinned/one");
    let gateway = Gateway::with(&[("one", block)]).await;
    for (path, body) in [
        ("chat/completions", chat(json!({}))),
        ("responses", json!({"input": "hello"})),
        ("completions", json!({"prompt": "hello"})),
        ("embeddings", json!({"input": "hello"})),
        ("messages", chat(json!({"max_tokens": 10}))),
    ] {
        for model in [None, Some("gpt-4o"), Some("one/another"), Some("nobody/m")] {
            let mut body = body.clone();
            if let Some(model) = model {
                body["model"] = json!(model);
            }
            let answer = gateway.post(&format!("/providers/one/v1/{path}"), &body).await;
            assert_eq!(answer.status, 200, "{path}, {model:?}: {}", answer.text());
            assert_eq!(upstream.last_request().json()["model"], "pinned/one", "{path}, {model:?}");
        }
    }
}

#[tokio::test]
async fn every_route_of_every_dialect_is_found_below_a_provider() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| answer());
    let gateway = Gateway::with(&[("one", openai(&upstream.url())), ("two", anthropic(&upstream.url()))]).await;
    for path in ["/v1/chat/completions", "/v1/proxy/chat/completions", "/v1/messages"] {
        let body = chat(json!({"model": "some/model", "max_tokens": 10}));
        let answer = gateway.post(&format!("/providers/one{path}"), &body).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(upstream.last_request().json()["model"], "some/model", "the name is the provider's own");
    }
    // Nothing is pinned, so a model must be named.
    gateway.post("/providers/one/v1/chat/completions", &chat(json!({}))).await.openai_error(400);
    let body = chat(json!({"model": "m"}));
    for path in ["/providers/one/v1/nothing", "/providers/one/v1/files", "/providers/one", "/providers/one/healthz"] {
        gateway.post(path, &body).await.openai_error(501);
    }
    let error = gateway.post("/providers/nobody/v1/chat/completions", &body).await.openai_error(404);
    assert_eq!(error["message"], "there is no provider `nobody`");
    let answer = gateway.post("/providers/two/v1/embeddings", &json!({"model": "m", "input": "x"})).await;
    assert_eq!(answer.openai_error(501)["message"], "the provider `two` does not serve embedding");
}

#[tokio::test]
async fn below_a_provider_too_only_what_is_allowed_is_served() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| answer());
    let mut block = openai(&upstream.url());
    block["custom_provider_config"] =
        json!({"base_provider_type": "openai", "allowed_requests": {"chat_completion": true}});
    let gateway = Gateway::with(&[("one", block)]).await;
    let body = chat(json!({"model": "m"}));
    assert_eq!(gateway.post("/providers/one/v1/chat/completions", &body).await.status, 200);
    gateway
        .post("/providers/one/v1/chat/completions", &chat(json!({"model": "m", "stream": true})))
        .await
        .openai_error(501);
    gateway.post("/providers/one/v1/responses", &json!({"model": "m", "input": "x"})).await.openai_error(501);
    gateway.get("/providers/one/v1/models").await.openai_error(501);
}

#[tokio::test]
async fn a_header_asks_for_one_provider_or_one_key() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| answer());
    let mut one = openai(&upstream.url());
    one["models"] = json!(["m"]);
    one["keys"] =
        json!([{"name": "blue", "value": "sk-blue-key"}, {"name": "red", "value": "sk-red-key", "weight": 0.001}]);
    let mut two = openai(&upstream.url());
    two["models"] = json!(["m"]);
    two["keys"] = json!([{"name": "green", "value": "sk-green-key"}]);
    let gateway = Gateway::with(&[("one", one), ("two", two)]).await;
    let path = "/v1/chat/completions";
    let body = chat(json!({"model": "m"}));
    for (endpoint, provider, key) in
        [("two", "two", "green"), ("red", "one", "red"), ("green", "two", "green"), ("blue", "one", "blue")]
    {
        let answer = ask(&gateway, path, endpoint, &body).await;
        assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (200, provider), "{endpoint}");
        assert_eq!(
            upstream.last_request().header("authorization"),
            Some(&*format!("Bearer sk-{key}-key")),
            "{endpoint}"
        );
        assert_eq!(upstream.last_request().header("x-bt-endpoint-name"), None);
    }
    // A provider that does not list the model, but is asked for by name.
    let answer = ask(&gateway, path, "two", &chat(json!({"model": "unlisted"}))).await;
    assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (200, "two"));
    let error = ask(&gateway, path, "nobody", &body).await.openai_error(404);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("`nobody`")), "{error}");
    ask(&gateway, path, "two", &chat(json!({"model": "one/m"}))).await.openai_error(400);
    ask(&gateway, "/providers/one/v1/chat/completions", "green", &body).await.openai_error(404);
    let answer = ask(&gateway, "/providers/one/v1/chat/completions", "red", &body).await;
    assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (200, "one"));
}

#[tokio::test]
async fn streams_and_failures_say_who_it_was_too() {
    let upstream = Upstream::start().await;
    let chunk = |delta: &str| {
        format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{delta}\"}},\"finish_reason\":null}}]}}\n\n"
        )
    };
    upstream.on_model("stream", Reply::sse(&[chunk("hi"), "data: [DONE]\n\n".to_owned()]));
    upstream.on_model("error", Reply::json(429, &json!({"error": {"message": "slow down"}})));
    upstream.on_model("silent", Reply::new(200, "text/plain", "hm"));
    let gateway = Setup::new().provider("café", openai(&upstream.url())).start().await;
    for (model, streams, status) in [("stream", true, 200), ("error", false, 429), ("silent", false, 502)] {
        let answer = gateway
            .post("/v1/chat/completions", &chat(json!({"model": format!("café/{model}"), "stream": streams})))
            .await;
        assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (status, "caf%C3%A9"), "{model}");
    }
    assert_eq!(gateway.chat("nobody/m", "hello").await.header("x-bt-used-endpoint"), "");
}

/// Also where it was never asked: its plugin is missing, it may not do that, none of its keys serves the model.
#[tokio::test]
async fn failures_say_who_was_meant() {
    let mut gone = openai("http://127.0.0.1:9");
    gone["plugin"] = json!("gone");
    let mut narrow = openai("http://127.0.0.1:9");
    narrow["keys"][0]["models"] = json!(["other"]);
    let gateway = Setup::new()
        .provider("gone", gone)
        .provider("narrow", narrow)
        .provider("chats", anthropic("http://127.0.0.1:9"))
        .start()
        .await;
    let body = |model: &str| chat(json!({"model": model, "input": "hello"}));
    for (path, model, status, provider) in [
        ("/v1/chat/completions", "gone/m", 503, "gone"),
        ("/v1/chat/completions", "narrow/m", 404, "narrow"),
        ("/v1/embeddings", "chats/m", 501, "chats"),
        ("/providers/chats/v1/nothing", "m", 501, "chats"),
        ("/providers/chats/v1/chat/completions", "", 400, "chats"),
    ] {
        let answer = gateway.post(path, &body(model)).await;
        assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (status, provider), "{path} {model}");
    }
    assert_eq!(gateway.metric("plugway_requests_total", "provider=\"gone\"").await, 1.0);
}
