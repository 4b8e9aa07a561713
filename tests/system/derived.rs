//! A derived credential is used by whom it was got for, where it was got, and as long as it is good.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, provider, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use futures_util::future::join_all;
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

/// It may be good for the one request that it was got for.
#[tokio::test]
async fn a_token_that_expires_at_once_is_used_once() {
    let upstream = token_service("token", 0.0, &[]).await;
    let gateway = gateway_before(&upstream).await;
    let answers = [gateway.chat("acme/m", "hello").await, gateway.chat("acme/m", "hello").await];
    assert_eq!(answers.map(|answer| answer.status), [200, 200]);
    assert_eq!(carried(&upstream), ["token-1", "token-2"]);
}

/// The plan of one request was told of a token that the answer to another gives up: no plugin has done anything wrong.
#[tokio::test]
async fn a_token_that_others_give_up_meanwhile_is_nobodys_fault() {
    let (upstream, tokens, uses) = (Upstream::start().await, AtomicU32::new(0), AtomicU32::new(0));
    upstream.otherwise(move |seen| match seen.path.as_str() {
        "/token" => {
            let token = format!("token-{}", tokens.fetch_add(1, Ordering::Relaxed));
            Reply::json(200, &json!({"access_token": token, "expires_in": 3600}))
        }
        // Every fifth time, whichever token it is.
        _ if uses.fetch_add(1, Ordering::Relaxed) % 5 == 4 => Reply::json(401, &Dialect::OpenAi.error(401)),
        _ => Reply::json(200, &Dialect::OpenAi.whole("hi")),
    });
    let gateway = gateway_before(&upstream).await;
    let answers = join_all((0..300).map(|_| gateway.chat("acme/m", "hello"))).await;
    for answer in &answers {
        assert!([200, 401].contains(&answer.status), "{}", answer.text());
    }
    assert!(carried(&upstream).len() > answers.len(), "some went out twice");
    assert_eq!(gateway.metric("plugway_plugin_traps_total", "acme").await, 0.0);
}

/// What is wrong with the place where tokens come from says nothing of the key that they are got with.
#[tokio::test]
async fn where_no_token_is_given_out_the_status_says_whose_trouble_that_is() {
    let page = Reply::new(200, "text/html", "<html>Be right back</html>");
    for (reply, status, kind) in [
        (Reply::json(400, &json!({"error": "invalid_grant"})), 401, "authentication_error"),
        (Reply::json(401, &json!({"error": "invalid_client"})), 401, "authentication_error"),
        (Reply::json(403, &json!({})), 401, "authentication_error"),
        (Reply::json(404, &json!({})), 502, "upstream_error"),
        (Reply::json(429, &json!({})).header("retry-after", "30"), 429, "rate_limit_error"),
        (Reply::json(500, &json!({})), 502, "upstream_error"),
        (Reply::json(503, &json!({})).header("retry-after", "7"), 503, "overloaded_error"),
        (page, 502, "upstream_error"),
        (Reply::json(200, &json!({"token": "elsewhere"})), 502, "upstream_error"),
        (Reply::json(200, &json!({"access_token": "a\r\nb"})), 502, "upstream_error"),
        (Reply::json(200, &json!({"access_token": "token"})).close_after(5), 502, "upstream_error"),
        // What cannot be read does not hide what the status says.
        (Reply::json(401, &json!({"error": "invalid_client"})).close_after(5), 401, "authentication_error"),
    ] {
        let upstream = Upstream::start().await;
        let patience = format!("{reply:?}").contains("retry-after");
        upstream.on_path("/token", reply.clone());
        let gateway = gateway_before(&upstream).await;
        let answer = gateway.chat("acme/m", "hello").await;
        assert_eq!(answer.openai_error(status)["type"], kind, "{reply:?}");
        assert_eq!(answer.header("retry-after").is_empty(), !patience, "{reply:?}");
        assert!(carried(&upstream).is_empty(), "nothing is sent without one");
    }
}

/// So another try is worth it, and the key is not put aside.
#[tokio::test]
async fn where_tokens_come_from_may_be_out_for_a_moment() {
    let (outage, left) = (Upstream::start().await, AtomicU32::new(2));
    outage.otherwise(move |seen| {
        match (seen.path.as_str(), left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))) {
            ("/token", Ok(_)) => Reply::json(503, &json!({})),
            ("/token", Err(_)) => Reply::json(200, &json!({"access_token": "token-1", "expires_in": 3600})),
            _ => Reply::json(200, &Dialect::OpenAi.whole("hi")),
        }
    });
    let mut block = acquiring(&outage.url());
    block["network_config"]["max_retries"] = json!(2);
    block["network_config"]["retry_backoff_initial"] = json!(1);
    let setup = Setup::bare().plugin("acme.wasm", Component::acme("1.0.0")).provider("acme", block);
    let gateway = setup.start().await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    assert_eq!(carried(&outage), ["token-1"]);
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
