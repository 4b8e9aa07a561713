//! Who has a credential and who needs none: a provider that wants no key is sent none, one that wants a key is not asked
//! without it, and a fallback is a request of its own.

use crate::dialects::Dialect::{Anthropic, OpenAi};
use crate::gateway::{Gateway, anthropic, chat_body, openai, read};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

fn without_keys(mut block: Value) -> Value {
    block.as_object_mut().expect("an object").remove("keys");
    block
}

/// Whatever it is built on, and whatever its callers send.
#[tokio::test]
async fn a_provider_without_keys_is_sent_no_credential() {
    for (base, spoken) in [("openai", OpenAi), ("anthropic", Anthropic)] {
        let upstream = Upstream::start().await;
        upstream.otherwise(move |_| Reply::json(200, &spoken.whole("hi")));
        let mut block =
            without_keys(if spoken == OpenAi { openai(&upstream.url()) } else { anthropic(&upstream.url()) });
        block.as_object_mut().expect("an object").remove("plugin");
        block["custom_provider_config"] = json!({"base_provider_type": base, "is_key_less": true});
        let gateway = Gateway::with(&[("local", block)]).await;
        let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url));
        let request = request.bearer_auth("sk-callers-own").header("x-api-key", "sk-callers-own");
        let answer = read(request.json(&chat_body("local/m", "hello", false))).await;
        assert_eq!((answer.status, answer.content().as_str()), (200, "hi"), "{}", answer.text());
        let seen = upstream.last_request();
        for name in ["authorization", "x-api-key", "api-key"] {
            assert_eq!(seen.header(name), None, "{base}: {name}");
        }
        assert!(!format!("{seen:?}").contains("sk-"), "{seen:?}");
    }
}

#[tokio::test]
async fn who_wants_a_key_is_out_of_service_without_one() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::with(&[("openai", without_keys(openai(&upstream.url())))]).await;
    gateway.chat("openai/m", "hello").await.openai_error(503);
    let troubles = gateway.get("/api/plugins").await.json()["troubles"].to_string();
    assert!(troubles.contains("is_key_less: true"), "{troubles}");
    assert_eq!(upstream.connections(), 0);
}

#[tokio::test]
async fn who_has_no_credential_is_passed_over() {
    let (failing, nobody, spare) = (Upstream::start().await, Upstream::start().await, Upstream::start().await);
    failing.otherwise(|_| Reply::json(500, &OpenAi.error(500)));
    spare.otherwise(|_| Reply::json(200, &OpenAi.whole("rescued")));
    let mut first = openai(&failing.url());
    first["fallbacks"] = json!(["keyless/m", "choosy/m", "spare/m"]);
    let mut choosy = openai(&nobody.url());
    choosy["keys"][0]["models"] = json!(["another"]);
    let gateway = Gateway::with(&[
        ("first", first),
        ("keyless", without_keys(openai(&nobody.url()))),
        ("choosy", choosy),
        ("spare", openai(&spare.url())),
    ])
    .await;
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "rescued");
    assert_eq!(nobody.connections(), 0);
    gateway.wait_for_log(&["provider=spare", "tries=2"]).await;
}

#[tokio::test]
async fn a_fallback_has_retries_of_its_own() {
    let (failing, flaky, asked) = (Upstream::start().await, Upstream::start().await, AtomicUsize::new(0));
    failing.otherwise(|_| Reply::json(500, &OpenAi.error(500)));
    flaky.otherwise(move |_| match asked.fetch_add(1, Ordering::SeqCst) {
        0 | 1 => Reply::json(503, &OpenAi.error(503)),
        _ => Reply::json(200, &OpenAi.whole("at last")),
    });
    let retrying = |url: &str, retries: u32| {
        let mut block = openai(url);
        block["network_config"]["max_retries"] = json!(retries);
        block["network_config"]["retry_backoff_initial"] = json!(1);
        block
    };
    let mut first = retrying(&failing.url(), 1);
    first["fallbacks"] = json!(["second/m"]);
    let gateway = Gateway::with(&[("first", first), ("second", retrying(&flaky.url(), 2))]).await;
    assert_eq!(gateway.chat("first/m", "hello").await.content(), "at last");
    assert_eq!((failing.requests().len(), flaky.requests().len()), (2, 3));
}
