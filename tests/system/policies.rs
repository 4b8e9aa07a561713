//! What a policy changes is what happens: routing, streaming and counting go by the request as the policies left it.
//!
//! `tests/guests/judge` does what its settings say.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, anthropic, openai};
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
