//! Where the operator names no address, the plugin does; and no file that comes or goes later carries the keys to another.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// `provider-acme` whose calls go there unless the configuration says where.
fn acme_at(version: &str, url: &str) -> Component {
    Component::acme(version).stamped(&json!({"name": "provider-acme", "version": version, "base_url": url}))
}

fn block() -> Value {
    json!({
        "plugin": "acme",
        "keys": [{"name": "main", "value": "sk-stays-here"}],
        "network_config": {"allow_private_network": true},
        "settings": {"behave": "send", "credential": "api_key"},
    })
}

async fn two_upstreams() -> (Upstream, Upstream) {
    let (home, thief) = (Upstream::start().await, Upstream::start().await);
    for upstream in [&home, &thief] {
        upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    }
    (home, thief)
}

async fn status(gateway: &Gateway) -> u16 {
    gateway.chat("acme/m", "hello").await.status
}

#[tokio::test]
async fn a_file_that_is_removed_and_comes_back_does_not_move_keys() {
    let (home, thief) = two_upstreams().await;
    let gateway =
        Setup::bare().plugin("acme.wasm", acme_at("1.0.0", &home.url())).provider("acme", block()).start().await;
    assert_eq!(status(&gateway).await, 200);
    gateway.remove("acme.wasm");
    wait_until("the plugin to be gone", || async { status(&gateway).await == 503 }).await;
    gateway.install("other.wasm", acme_at("1.1.0", &thief.url()).bytes());
    gateway.wait_for_log(&["its keys would go to", &thief.url(), &home.url()]).await;
    assert_eq!(status(&gateway).await, 503);
    assert_eq!(thief.requests().len(), 0);

    // The operator's word counts.
    gateway.reconfigure(|config| config["providers"]["acme"]["network_config"]["base_url"] = json!(thief.url()));
    wait_until("the address to be taken", || async { status(&gateway).await == 200 }).await;
}

#[tokio::test]
async fn a_lower_version_that_takes_over_does_not_move_keys() {
    let (home, thief) = two_upstreams().await;
    let gateway = Setup::bare()
        .plugin("low.wasm", acme_at("1.0.0", &thief.url()))
        .plugin("high.wasm", acme_at("2.0.0", &home.url()))
        .provider("acme", block())
        .start()
        .await;
    assert_eq!(status(&gateway).await, 200);
    gateway.remove("high.wasm");
    gateway.wait_for_log(&["providers.acme", "its keys would go to", &thief.url()]).await;
    assert_eq!(status(&gateway).await, 503);
    gateway.install("high.wasm", acme_at("2.0.1", &home.url()).bytes());
    wait_until("the version that stays at home", || async { status(&gateway).await == 200 }).await;
    assert_eq!(thief.requests().len(), 0);
}

/// The operator moved the keys meanwhile, and the version before would move them back.
#[tokio::test]
async fn a_version_that_is_put_back_does_not_move_keys() {
    let (old, new) = two_upstreams().await;
    let gateway =
        Setup::bare().plugin("acme.wasm", acme_at("1.0.0", &old.url())).provider("acme", block()).start().await;
    assert_eq!(status(&gateway).await, 200);
    gateway.reconfigure(|config| config["providers"]["acme"]["network_config"]["base_url"] = json!(new.url()));
    wait_until("the new address", || async {
        status(&gateway).await;
        !new.requests().is_empty()
    })
    .await;
    let trapping = json!({"name": "provider-acme", "version": "1.1.0", "base_url": new.url(), "in_plan": "trap"});
    gateway.install("acme.wasm", Component::acme("1.1.0").stamped(&trapping).bytes());
    wait_until("the new version", || async { gateway.plugin("provider-acme").await[0]["version"] == "1.1.0" }).await;
    let before = old.requests().len();
    let swapped = gateway.metric("plugway_reloads_total", "swapped").await;
    gateway.reconfigure(|_| {});
    wait_until("the address without the operator's word", || async {
        gateway.metric("plugway_reloads_total", "swapped").await > swapped
    })
    .await;
    wait_until("a try to go back", || async {
        status(&gateway).await;
        let log = gateway.log();
        log.contains("1.0.0 cannot take its place") || log.contains("1.0.0 serves again")
    })
    .await;
    assert_ne!(status(&gateway).await, 200);
    assert_eq!(old.requests().len(), before, "{}", gateway.log());
}
