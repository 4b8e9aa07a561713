//! What fails is taken out of use, and no more than that; what comes back has served before and harms nobody.

use crate::gateway::{Gateway, Setup, wait_until};
use crate::guests::Component;
use serde_json::json;

/// `provider-acme` that traps whenever it is asked for a plan.
fn trapping(version: &str) -> Component {
    Component::acme(version).stamped(&json!({"name": "provider-acme", "version": version, "in_plan": "trap"}))
}

async fn ask_until_it_rests(gateway: &Gateway, provider: &str) {
    let model = format!("{provider}/m");
    wait_until("the plugin to rest", || async {
        let error = gateway.chat(&model, "hello").await;
        error.status == 503 && error.json()["error"]["code"] == "plugin_out_of_use"
    })
    .await;
}

async fn version_of(gateway: &Gateway, version: &str) {
    wait_until("the version to be loaded", || async {
        gateway.plugin("provider-acme").await.iter().any(|plugin| plugin["version"] == version)
    })
    .await;
}

#[tokio::test]
async fn a_version_that_never_served_a_request_is_not_put_back() {
    let gateway =
        Setup::bare().plugin("acme.wasm", trapping("1.0.0")).provider("acme", json!({"plugin": "acme"})).start().await;
    gateway.install("acme.wasm", trapping("1.1.0").bytes());
    version_of(&gateway, "1.1.0").await;
    ask_until_it_rests(&gateway, "acme").await;
    gateway.catch_up().await;
    assert_eq!(gateway.metric("plugway_reloads_total", "rolled_back").await, 0.0);
    version_of(&gateway, "1.1.0").await;
}

/// The version before would leave another provider without a plugin, until that provider is gone.
#[tokio::test]
async fn a_version_is_put_back_only_where_that_harms_nobody() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("any", json!({"plugin": "acme"}))
        .start()
        .await;
    assert_eq!(gateway.chat("any/m", "hello").await.content(), "acme 1.0.0");
    gateway.install("acme.wasm", trapping("2.0.0").bytes());
    version_of(&gateway, "2.0.0").await;
    gateway.reconfigure(|config| {
        config["providers"]["two"] = json!({"plugin": "acme@^2", "settings": {"behave": "answer"}})
    });
    wait_until("the second provider", || async { gateway.chat("two/m", "hello").await.status != 404 }).await;
    ask_until_it_rests(&gateway, "any").await;
    gateway.wait_for_log(&["1.0.0 cannot take its place", "providers.two"]).await;
    assert_eq!(gateway.metric("plugway_reloads_total", "rolled_back").await, 0.0);

    gateway.reconfigure(|_| {});
    wait_until("the version that worked", || async { gateway.chat("any/m", "hello").await.content() == "acme 1.0.0" })
        .await;
}

/// What one provider's settings do to the plugin is no other provider's trouble.
#[tokio::test]
async fn settings_that_fail_take_only_their_own_use_out_of_service() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("good", json!({"plugin": "acme"}))
        .provider("bad", json!({"plugin": "acme", "settings": {"behave": "panic"}}))
        .start()
        .await;
    ask_until_it_rests(&gateway, "bad").await;
    assert_eq!(gateway.chat("good/m", "hello").await.content(), "acme 1.0.0");
    let plugin = gateway.plugin("provider-acme").await.remove(0);
    assert_eq!((&plugin["state"], &plugin["resting"]), (&json!("serving"), &json!(["providers.bad"])), "{plugin}");
}

/// The version before never served with those settings: it would fail no less, and others are content with this one.
#[tokio::test]
async fn settings_that_never_worked_bring_no_version_back() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("good", json!({"plugin": "acme"}))
        .provider("bad", json!({"plugin": "acme", "settings": {"behave": "panic"}}))
        .start()
        .await;
    assert_eq!(gateway.chat("good/m", "hello").await.content(), "acme 1.0.0");
    gateway.install("acme.wasm", Component::acme("1.1.0").bytes());
    version_of(&gateway, "1.1.0").await;
    ask_until_it_rests(&gateway, "bad").await;
    gateway.catch_up().await;
    assert_eq!(gateway.chat("good/m", "hello").await.content(), "acme 1.1.0");
}

#[tokio::test]
async fn a_change_that_comes_while_a_plugin_rests_is_taken() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("bad", json!({"plugin": "acme", "settings": {"behave": "panic-after", "calls": 1}}))
        .start()
        .await;
    ask_until_it_rests(&gateway, "bad").await;
    gateway.reconfigure(|config| config["providers"]["more"] = json!({"plugin": "acme"}));
    wait_until("the new provider", || async { gateway.chat("more/m", "hello").await.status == 200 }).await;
    assert_eq!(gateway.get("/api/plugins").await.json()["troubles"], json!([]));
}
