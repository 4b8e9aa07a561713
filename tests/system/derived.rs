//! A derived credential is used by whom it was got for, where it was got, and as long as it is good.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, provider, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// Gives out `<name>-1`, `<name>-2`, … and answers whatever it is asked, but for tokens that are revoked.
async fn token_service(name: &'static str, lifetime_seconds: f64, revoked: &'static [&'static str]) -> Upstream {
    let upstream = Upstream::start().await;
    let count = Arc::new(AtomicU32::new(0));
    upstream.otherwise(move |seen| match seen.path.as_str() {
        "/token" => {
            let token = format!("{name}-{}", count.fetch_add(1, Ordering::Relaxed) + 1);
            Reply::json(200, &json!({"access_token": token, "expires_in": lifetime_seconds}))
        }
        _ => {
            let token = seen.header("authorization").unwrap_or_default().trim_start_matches("Bearer ");
            match revoked.contains(&token) {
                true => Reply::json(401, &json!({"error": {"message": format!("{token} is revoked"), "type": "auth"}})),
                false => Reply::json(200, &Dialect::OpenAi.whole("hi")),
            }
        }
    });
    upstream
}

fn acquiring(url: &str) -> Value {
    let mut block = provider("acme", url);
    block["settings"] = json!({"behave": "acquire", "path": "/token", "secret_at": "/access_token"});
    block
}

async fn gateway_before(upstream: &Upstream) -> Gateway {
    Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", acquiring(&upstream.url()))
        .start()
        .await
}

/// The tokens that chats came with.
fn carried(upstream: &Upstream) -> Vec<String> {
    let chats = upstream.requests().into_iter().filter(|request| request.path != "/token");
    chats.filter_map(|chat| Some(chat.header("authorization")?.trim_start_matches("Bearer ").to_owned())).collect()
}

#[tokio::test]
async fn a_plan_is_told_which_credentials_live() {
    let upstream = token_service("token", 3600.0, &[]).await;
    let gateway = gateway_before(&upstream).await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    let before = gateway.plugin("provider-acme").await[0]["calls"].as_u64().unwrap();
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    let after = gateway.plugin("provider-acme").await[0]["calls"].as_u64().unwrap();
    assert_eq!(after - before, 1, "one plan, without acquiring first");
}

#[tokio::test]
async fn a_token_of_another_version_is_not_used() {
    let upstream = token_service("token", 3600.0, &[]).await;
    let gateway = gateway_before(&upstream).await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    gateway.install("acme.wasm", Component::acme("1.1.0").bytes());
    wait_until("the new version", || async { gateway.plugin("provider-acme").await[0]["version"] == "1.1.0" }).await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    assert_eq!(carried(&upstream), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_token_goes_to_no_other_address() {
    let first = token_service("first", 3600.0, &[]).await;
    let second = token_service("second", 3600.0, &[]).await;
    let gateway = gateway_before(&first).await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    gateway.reconfigure(|config| config["providers"]["acme"] = acquiring(&second.url()));
    wait_until("the other address", || async {
        gateway.chat("acme/m", "hello").await;
        !carried(&second).is_empty()
    })
    .await;
    assert!(carried(&second).iter().all(|token| token == "second-1"), "{:?}", carried(&second));
}

/// Whatever the plugin asks for.
#[tokio::test]
async fn an_expired_token_is_not_used() {
    let upstream = token_service("token", 0.5, &[]).await;
    let gateway = gateway_before(&upstream).await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    tokio::time::sleep(Duration::from_millis(600)).await;
    gateway.chat("acme/blind", "hello").await.openai_error_of_class(5);
    assert_eq!(carried(&upstream), ["token-1"]);
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    assert_eq!(carried(&upstream), ["token-1", "token-2"]);
}

#[tokio::test]
async fn a_token_that_is_refused_is_got_anew_and_nobody_notices() {
    let upstream = token_service("token", 3600.0, &["token-1"]).await;
    let gateway = gateway_before(&upstream).await;
    let answers = [gateway.chat("acme/m", "hello").await, gateway.chat("acme/m", "hello").await];
    assert_eq!(answers.map(|answer| answer.status), [200, 200]);
    assert_eq!(carried(&upstream), ["token-1", "token-2", "token-2"]);
}

#[tokio::test]
async fn a_token_that_is_refused_again_ends_the_call() {
    let upstream = token_service("token", 3600.0, &["token-1", "token-2", "token-3"]).await;
    let gateway = gateway_before(&upstream).await;
    let answer = gateway.chat("acme/m", "hello").await;
    assert_eq!(answer.status, 401, "{}", answer.text());
    assert!(!answer.text().contains("token-2"), "what the upstream quotes stays secret: {}", answer.text());
    assert_eq!(carried(&upstream), ["token-1", "token-2"]);
}
