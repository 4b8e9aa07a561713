//! What a policy changes is what happens: routing, streaming and counting go by the request as the policies left it.
//!
//! `tests/guests/judge` does what its settings say.

use crate::dialects::{Dialect, openai_chunk};
use crate::gateway::{Gateway, Setup, anthropic, chat_body, openai, read};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// One upstream that knows both dialects, whole and streamed, behind the providers `openai` and `anthropic`.
async fn judged(upstream: &Upstream, policies: Value) -> Gateway {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.on_path(dialect.path(), Reply::json(200, &dialect.whole("whole")));
    }
    Setup::new()
        .plugin("judge.wasm", Component::judge())
        .section("policies", policies)
        .provider("openai", openai(&upstream.url()))
        .provider("anthropic", anthropic(&upstream.url()))
        .start()
        .await
}

#[tokio::test]
async fn a_changed_model_decides_where_the_request_goes() {
    let upstream = Upstream::start().await;
    let policies = json!([{"plugin": "judge", "settings": {"set": {"model": "anthropic/small"}}}, "judge"]);
    let gateway = judged(&upstream, policies).await;
    let answer = gateway.chat("openai/large", "hello").await;
    assert_eq!((answer.status, answer.content().as_str()), (200, "whole"), "{}", answer.text());
    let seen = upstream.last_request();
    assert_eq!((seen.path.as_str(), &seen.json()["model"]), (Dialect::Anthropic.path(), &json!("small")));
    // The policy behind it judges what will happen, not what the caller wrote.
    gateway.wait_for_log(&["judge asked about anthropic/small"]).await;
}

/// A rule on `<provider>/<model>` would be worth little if another way of asking went around it.
#[tokio::test]
async fn a_policy_is_told_whose_model_it_is_in_each_way_of_asking() {
    let upstream = Upstream::start().await;
    let rules = json!({"rules": [{"name": "m", "models": ["openai/secret"]}]});
    let gateway = judged(&upstream, json!([{"plugin": "deny", "settings": rules}])).await;
    for (path, header, model, status) in [
        ("/v1/chat/completions", None, "openai/secret", 400),
        ("/providers/openai/v1/chat/completions", None, "secret", 400),
        ("/v1/chat/completions", Some("openai"), "secret", 400),
        ("/v1/chat/completions", Some("openai"), "openai/secret", 400),
        ("/providers/openai/v1/chat/completions", None, "other", 200),
        ("/v1/chat/completions", Some("anthropic"), "secret", 200),
    ] {
        let mut request = gateway.http.post(format!("{}{path}", gateway.url)).json(&chat_body(model, "hello", false));
        if let Some(name) = header {
            request = request.header("x-bt-endpoint-name", name);
        }
        assert_eq!(read(request).await.status, status, "{path} {header:?} {model}");
    }
    assert_eq!(upstream.requests().len(), 2);
}

#[tokio::test]
async fn a_model_that_nobody_serves_is_not_found_whoever_wrote_it() {
    let upstream = Upstream::start().await;
    let gateway = judged(&upstream, json!([{"plugin": "judge", "settings": {"set": {"model": "nobody/m"}}}])).await;
    gateway.chat("openai/large", "hello").await.openai_error(404);
    assert_eq!(upstream.requests().len(), 0);
}

/// The upstream is asked for a whole answer; the caller, who waits for a stream, gets one.
#[tokio::test]
async fn a_stream_that_a_policy_forbids_is_not_asked_for() {
    let upstream = Upstream::start().await;
    let whole_only = |mut block: Value| {
        block["custom_provider_config"] = json!({"allowed_requests": {"chat_completion": true}});
        block
    };
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.on_path(dialect.path(), Reply::json(200, &dialect.whole("whole")));
    }
    let gateway = Setup::new()
        .plugin("judge.wasm", Component::judge())
        .section("policies", json!([{"plugin": "judge", "settings": {"set": {"stream": false}}}]))
        .provider("openai", whole_only(openai(&upstream.url())))
        .provider("anthropic", whole_only(anthropic(&upstream.url())))
        .start()
        .await;
    for provider in ["openai", "anthropic"] {
        let answer = gateway.stream(&format!("{provider}/m"), "hello").await;
        assert_eq!(answer.header("content-type"), "text/event-stream; charset=utf-8", "{}", answer.text());
        assert_eq!(answer.content(), "whole");
        assert!(answer.is_done(), "{}", answer.text());
        assert_ne!(upstream.last_request().json()["stream"], true);

        let answer = gateway.message(&format!("{provider}/m"), "hello", true).await;
        assert_eq!(answer.events().last().map(|event| event.name.clone()), Some("message_stop".to_owned()));
    }
}

/// Nobody could read it: the caller waits for one document.
#[tokio::test]
async fn a_stream_that_the_caller_did_not_ask_for_is_the_policys_fault() {
    let upstream = Upstream::start().await;
    let gateway = judged(&upstream, json!([{"plugin": "judge", "settings": {"set": {"stream": true}}}])).await;
    let error = gateway.chat("openai/m", "hello").await.openai_error(500);
    assert_eq!(error["code"], "plugin_failed");
    gateway.wait_for_log(&["judge", "did not ask for a stream"]).await;
    assert_eq!(upstream.requests().len(), 0);
}

#[tokio::test]
async fn a_member_of_the_wrong_type_is_the_policys_fault() {
    for (member, value) in [("model", json!(7)), ("stream", json!("yes")), ("model", json!(" "))] {
        let upstream = Upstream::start().await;
        let gateway = judged(&upstream, json!([{"plugin": "judge", "settings": {"set": {member: value}}}])).await;
        let error = gateway.chat("openai/m", "hello").await.openai_error(500);
        assert_eq!(error["code"], "plugin_failed", "{member}: {error}");
        assert_eq!(upstream.requests().len(), 0);
    }
}

/// The upstream has done the work, and will want to be paid.
#[tokio::test]
async fn tokens_of_a_refused_answer_are_counted() {
    let upstream = Upstream::start().await;
    let gateway = judged(&upstream, json!([{"plugin": "judge", "settings": {"refuse_replies": true}}])).await;
    for provider in ["openai", "anthropic"] {
        gateway.chat(&format!("{provider}/m"), "hello").await.openai_error(400);
        gateway.message(&format!("{provider}/m"), "hello", false).await.anthropic_error(400);
        assert_eq!(
            gateway.metric("plugway_tokens_total", &format!("provider=\"{provider}\",kind=\"prompt\"")).await,
            28.0
        );
    }
}

/// As the SDK's documentation says.
#[tokio::test]
async fn a_policys_own_problem_has_the_status_of_its_kind() {
    for (kind, status) in [("rate-limited", 429), ("internal", 500)] {
        let upstream = Upstream::start().await;
        let gateway = judged(&upstream, json!([{"plugin": "judge", "settings": {"fail": kind}}])).await;
        gateway.chat("openai/m", "hello").await.openai_error(status);
        assert_eq!(upstream.requests().len(), 0);
    }
}

/// Operations without streams carry a `stream` that nobody reads. Often enough that a faulty plugin would rest.
#[tokio::test]
async fn what_a_policy_leaves_as_it_came_is_not_its_fault() {
    let upstream = Upstream::start().await;
    let gateway = judged(&upstream, json!([{"plugin": "judge", "settings": {"set": {"user": "somebody"}}}])).await;
    upstream.otherwise(|_| Reply::json(200, &json!({"object": "list", "data": []})));
    for odd in [json!("maybe"), json!({"a": 1.50}), json!(null)] {
        for _ in 0..6 {
            let body = json!({"model": "openai/vectors", "input": "hello", "stream": odd});
            let answer = gateway.post("/v1/embeddings", &body).await;
            assert_eq!(answer.status, 200, "{odd}: {}", answer.text());
            assert_eq!(upstream.last_request().json()["user"], "somebody");
        }
    }
    assert_eq!(gateway.chat("openai/m", "hello").await.status, 200);
}

/// One that sees everything and changes nothing, before an upstream that answers with `reply`.
async fn watched(reply: Reply, streams: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.on_path("/v1/chat/completions", reply);
    let mut block = openai(&upstream.url());
    block["supports_streaming"] = streams;
    let setup = Setup::new().plugin("spy.wasm", Component::spy()).section("policies", json!(["spy"]));
    let gateway = setup.provider("openai", block).start().await;
    (upstream, gateway)
}

#[tokio::test]
async fn an_odd_chunk_that_a_policy_hands_on_is_not_its_fault() {
    let said = openai_chunk(json!({"content": "hi"}), Value::Null);
    let odd = json!({"choices": [{"text": 7}]});
    let frames = Dialect::OpenAi.frames(&[said, odd, openai_chunk(json!({}), json!("stop"))]);
    let (_upstream, gateway) = watched(Reply::sse(&frames), json!(true)).await;
    for _ in 0..6 {
        let answer = gateway.stream("openai/m", "hello").await;
        assert!(answer.is_done() && answer.text().contains("{\"text\":7}"), "{}", answer.text());
    }
}

#[tokio::test]
async fn an_answer_that_comes_whole_and_leaves_in_pieces_is_reviewed_once() {
    let (_upstream, gateway) = watched(Reply::json(200, &Dialect::OpenAi.whole("whole")), json!(false)).await;
    let answer = gateway.stream("openai/m", "hello").await;
    assert!(answer.is_done() && answer.content() == "whole", "{}", answer.text());
    gateway.wait_for_log(&["POST /v1/chat/completions 200"]).await;
    gateway.wait_for_log(&["spy saw review-reply"]).await;
    assert!(!gateway.log().contains("spy saw review-chunk"), "{}", gateway.log());
}

/// `failing` answers nothing; what it is rescued by must pass the policies as the model does.
async fn rescued(policies: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.on_model("x", Reply::json(500, &Dialect::OpenAi.error(500)));
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("rescued")));
    let setup = Setup::new().plugin("judge.wasm", Component::judge()).section("policies", policies);
    let setup = setup.provider("failing", openai(&upstream.url())).provider("openai", openai(&upstream.url()));
    (upstream, setup.start().await)
}

async fn ask_with(gateway: &Gateway, fallbacks: &Value, header: Option<&str>) -> crate::gateway::Answer {
    let mut body = chat_body("failing/x", "hello", false);
    body["fallbacks"] = fallbacks.clone();
    let mut request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url)).json(&body);
    if let Some(header) = header {
        request = request.header("x-bt-fallback-providers", header);
    }
    read(request).await
}

#[tokio::test]
async fn a_forbidden_model_is_forbidden_as_a_fallback_too() {
    let rules = json!([{"name": "no-large", "models": ["gpt-5*", "openai/x"]}]);
    let (upstream, gateway) = rescued(json!([{"plugin": "deny", "settings": {"rules": rules}}])).await;
    for (fallbacks, header, at) in [
        (json!(["openai/gpt-4", "openai/gpt-5"]), None, "fallbacks[1]"),
        (json!([{"provider": "openai", "model": "gpt-5"}]), None, "fallbacks[0]"),
        (json!(["openai"]), None, "fallbacks[0]"),
        (json!(null), Some("nobody/y, openai/gpt-5"), "fallbacks[1]"),
    ] {
        let error = ask_with(&gateway, &fallbacks, header).await.openai_error(400);
        assert_eq!(error["param"], at, "{fallbacks}: {error}");
    }
    assert_eq!(upstream.requests().len(), 0);
    let allowed = ask_with(&gateway, &json!(["openai/gpt-4"]), Some("openai/gpt-5")).await;
    assert_eq!(allowed.content(), "rescued", "the body's word comes first: {}", allowed.text());
    // Callers of other dialects name them in the same member.
    let mut body = json!({"model": "failing/x", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    body["fallbacks"] = json!(["openai/gpt-5"]);
    gateway.post("/v1/messages", &body).await.anthropic_error(400);
}

#[tokio::test]
async fn what_a_policy_leaves_of_the_fallbacks_is_what_happens() {
    for (set, status) in [(json!(["openai/gpt-4"]), 200), (json!([]), 500), (json!(null), 500)] {
        let policies = json!([{"plugin": "judge", "settings": {"set": {"fallbacks": set}}}]);
        let (upstream, gateway) = rescued(policies).await;
        for (named, header) in [(json!(["openai/other"]), None), (json!(null), Some("openai/other"))] {
            let answer = ask_with(&gateway, &named, header).await;
            assert_eq!(answer.status, status, "{set}: {}", answer.text());
            let sent: Vec<Value> = upstream.requests().iter().map(|seen| seen.json()).collect();
            assert!(sent.iter().all(|sent| sent.get("fallbacks").is_none() && sent["model"] != "other"), "{sent:?}");
        }
    }
}

#[tokio::test]
async fn fallbacks_that_say_nothing_are_not_sent_on_either() {
    let (upstream, gateway) = rescued(json!([])).await;
    ask_with(&gateway, &json!(null), None).await.openai_error(500);
    assert!(upstream.last_request().json().get("fallbacks").is_none());
}

#[tokio::test]
async fn fallbacks_that_make_no_sense_are_the_policys_fault_who_wrote_them() {
    let (_upstream, gateway) = rescued(json!([{"plugin": "judge", "settings": {"set": {"fallbacks": 7}}}])).await;
    assert_eq!(ask_with(&gateway, &json!(null), None).await.openai_error(500)["code"], "plugin_failed");
}
