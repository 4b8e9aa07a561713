//! Services that are asked for their models are asked as seldom as may be, by whichever key they take, and what they list
//! can be asked for.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, openai, wait_until};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};

const LISTED: &str = "gpt-listed";

fn list() -> Reply {
    Reply::json(200, &json!({"object": "list", "data": [{"id": LISTED, "object": "model"}]}))
}

/// A service that lists one model, to those keys that it takes.
async fn service(refusal: fn() -> Reply) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |seen: &Seen| match (seen.header("authorization"), seen.path.as_str()) {
        (Some("Bearer sk-bad"), _) => refusal(),
        (_, "/v1/models") => list(),
        _ => Reply::json(200, &Dialect::OpenAi.whole("hi")),
    });
    upstream
}

fn lists(upstream: &Upstream) -> usize {
    upstream.requests().iter().filter(|seen| seen.path == "/v1/models").count()
}

async fn ids(gateway: &Gateway) -> Vec<Value> {
    let list = gateway.get("/v1/models").await.json();
    list["data"].as_array().expect("a list").iter().map(|model| model["id"].clone()).collect()
}

#[tokio::test]
async fn a_key_that_is_not_taken_hides_no_models() {
    // A 403 may be about the list alone.
    let refusals: [(fn() -> Reply, bool); 3] = [
        (|| Reply::json(401, &Dialect::OpenAi.error(401)), true),
        (|| Reply::json(403, &Dialect::OpenAi.error(403)), false),
        (|| Reply::json(429, &Dialect::OpenAi.error(429)).header("retry-after", "30"), true),
    ];
    for (refusal, is_learnt) in refusals {
        let upstream = service(refusal).await;
        let mut block = openai(&upstream.url());
        // One of no weight is chosen after all others.
        block["keys"] = json!([{"name": "bad", "value": "sk-bad"}, {"name": "good", "value": "sk-good", "weight": 0}]);
        let gateway = Gateway::with(&[("one", block)]).await;
        assert_eq!(ids(&gateway).await, [json!(format!("one/{LISTED}"))]);
        assert_eq!(gateway.chat("one/m", "hello").await.status, 200);
        let chats = upstream.requests().len() - lists(&upstream);
        assert_eq!(chats, if is_learnt { 1 } else { 2 }, "what was learnt of the key counts for requests, too");
    }
}

/// `GET /v1/models/NAME` finds it, and so does a request. No request waits for a list, so it must have been heard before.
#[tokio::test]
async fn what_a_service_was_heard_to_list_can_be_asked_for_by_its_bare_name() {
    let upstream = service(|| unreachable!("no such key")).await;
    let gateway = Gateway::with(&[("one", openai(&upstream.url()))]).await;
    assert_eq!(gateway.chat(LISTED, "hello").await.openai_error(404)["code"], "model_not_found");
    assert_eq!(gateway.get(&format!("/v1/models/{LISTED}")).await.json()["id"], format!("one/{LISTED}"));
    let answer = gateway.chat(LISTED, "hello").await;
    assert_eq!((answer.status, answer.header("x-bt-used-endpoint")), (200, "one"), "{}", answer.text());
    assert_eq!(upstream.last_request().json()["model"], LISTED);
    gateway.chat("gpt-unlisted", "hello").await.openai_error(404);
    assert_eq!(lists(&upstream), 1);
}

#[tokio::test]
async fn a_change_of_something_else_asks_nobody_again() {
    let upstream = service(|| unreachable!("no such key")).await;
    let failing = Upstream::start().await;
    failing.otherwise(|_| Reply::json(500, &Dialect::OpenAi.error(500)));
    let gateway = Setup::new()
        .provider("one", openai(&upstream.url()))
        .provider("failing", openai(&failing.url()))
        .section("encryption_key", json!("env.WORDS"))
        .environment("WORDS", "correct horse battery staple")
        .start()
        .await;
    let listed = [json!(format!("one/{LISTED}"))];
    assert_eq!(ids(&gateway).await, listed);
    assert_eq!(
        gateway.post("/api/providers", &json!({"provider": "other", "plugin": "echo", "models": []})).await.status,
        201
    );
    gateway.reconfigure(|config| config["limits"]["event_mb"] = json!(2));
    wait_until("the new file", || async { gateway.metric("plugway_generation", "").await >= 3.0 }).await;
    assert!(ids(&gateway).await.contains(&listed[0]));
    assert_eq!((lists(&upstream), lists(&failing)), (1, 1), "neither the answer nor the failure is forgotten");

    gateway.reconfigure(|config| config["providers"]["one"]["weight"] = json!(2));
    wait_until("another block to be asked for its own list", || async {
        ids(&gateway).await;
        lists(&upstream) == 2
    })
    .await;
    assert_eq!(lists(&failing), 1);
}
