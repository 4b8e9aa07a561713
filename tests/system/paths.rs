//! Where a request goes, and with what, is what the configuration says of it.

use crate::dialects::Dialect::{self, Anthropic, OpenAi};
use crate::gateway::{Gateway, openai};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// Streams where it is asked to.
async fn service(spoken: Dialect) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |seen| match seen.json()["stream"] == true {
        true => Reply::sse(&spoken.frames(&spoken.stream("hi"))),
        false => Reply::json(200, &spoken.whole("hi")),
    });
    upstream
}

fn paths(upstream: &Upstream) -> Vec<String> {
    upstream.requests().into_iter().map(|seen| seen.path).collect()
}

#[tokio::test]
async fn each_way_of_an_operation_has_an_override_of_its_own() {
    let (own, other) = (service(OpenAi).await, service(OpenAi).await);
    let mut block = openai(&format!("{}/v1", own.url()));
    block["custom_provider_config"] = json!({"request_path_overrides": {
        "chat_completion": "/api/chat?version=2",
        "chat_completion_stream": format!("{}/live/chat", other.url()),
    }});
    let mut whole_only = block.clone();
    whole_only["supports_streaming"] = json!(false);
    let mut half = block.clone();
    half["custom_provider_config"]["request_path_overrides"] = json!({"chat_completion_stream": "/live"});
    let gateway = Gateway::with(&[("both", block), ("whole-only", whole_only), ("half", half)]).await;

    assert_eq!(gateway.chat("both/m", "hello").await.content(), "hi");
    assert_eq!((paths(&own), paths(&other)), (vec!["/v1/api/chat?version=2".to_owned()], vec![]));

    assert!(gateway.stream("both/m", "hello").await.is_done());
    assert_eq!(paths(&other), ["/live/chat"], "a URL takes the place of the base URL too");
    assert_eq!(other.last_request().header("authorization"), Some("Bearer sk-upstream-key"));
    assert_eq!(other.last_request().header("host"), Some(other.url().trim_start_matches("http://")));

    // What the service is asked for counts, not what the caller gets.
    assert!(gateway.stream("whole-only/m", "hello").await.is_done());
    assert_eq!(paths(&own).last().expect("a request"), "/v1/api/chat?version=2");
    assert_eq!(paths(&other).len(), 1);

    assert!(gateway.stream("half/m", "hello").await.is_done());
    assert_eq!(paths(&own).last().expect("a request"), "/v1/live");
    assert_eq!(gateway.chat("half/m", "hello").await.content(), "hi");
    assert_eq!(paths(&own).last().expect("a request"), "/v1/chat/completions", "the plugin's own");
}

#[tokio::test]
async fn a_provider_without_a_key_sends_no_credential() {
    let upstream = service(OpenAi).await;
    let mut block = openai(&upstream.url());
    block.as_object_mut().expect("an object").remove("keys");
    block["custom_provider_config"] = json!({"is_key_less": true});
    let gateway = Gateway::with(&[("local", block)]).await;
    let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url)).bearer_auth("the-callers-own");
    let request = request.json(&crate::gateway::chat_body("local/m", "hello", false));
    assert_eq!(crate::gateway::read(request).await.content(), "hi");
    assert_eq!(upstream.last_request().header("authorization"), None);
    assert!(!format!("{:?}", upstream.requests()).contains("the-callers-own"));
}

/// A URL, the wire format that is spoken there, and what the models do: no more is needed for a service of one's own.
#[tokio::test]
async fn a_service_of_ones_own_is_a_url_a_format_and_a_flavor() {
    let of = |url: &str, format: &str, flavor: &str| {
        let mut block = openai(url);
        block.as_object_mut().expect("an object").remove("plugin");
        block["format"] = json!(format);
        block["flavor"] = json!(flavor);
        block
    };
    for (spoken, format) in [(OpenAi, "openai"), (Anthropic, "anthropic")] {
        let upstream = service(spoken).await;
        let embeddings = Reply::json(200, &json!({"object": "list", "model": "m", "data": [], "usage": {}}));
        upstream.on_path("/v1/embeddings", embeddings);
        let completion = json!({"id": "1", "object": "text_completion", "created": 1, "model": "m", "choices": [{"index": 0, "text": "hi"}]});
        upstream.on_path("/v1/completions", Reply::json(200, &completion));
        let gateway = Gateway::with(&[
            ("mine", of(&upstream.url(), format, "chat")),
            ("texts", of(&upstream.url(), "openai", "completion")),
            ("vectors", of(&upstream.url(), "openai", "embedding")),
        ])
        .await;
        assert_eq!(gateway.chat("mine/m", "hello").await.content(), "hi", "{format}");
        assert_eq!(upstream.last_request().path, spoken.path());
        let ask = async |provider: &str, path: &str, body: &Value| {
            let mut body = body.clone();
            body["model"] = json!(format!("{provider}/m"));
            gateway.post(path, &body).await
        };
        let input = json!({"input": "hello"});
        let prompt = json!({"prompt": "hello"});
        for (provider, path, body, status) in [
            ("vectors", "/v1/embeddings", &input, 200),
            ("texts", "/v1/completions", &prompt, 200),
            ("mine", "/v1/embeddings", &input, 501),
            ("vectors", "/v1/completions", &prompt, 501),
            ("texts", "/v1/embeddings", &input, 501),
        ] {
            let answer = ask(provider, path, body).await;
            assert_eq!(answer.status, status, "{provider} {path}: {}", answer.text());
        }
        for provider in ["texts", "vectors"] {
            assert_eq!(gateway.chat(&format!("{provider}/m"), "hello").await.status, 501, "{provider}");
        }
    }
}
