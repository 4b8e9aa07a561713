//! What cannot be looked at on the disk hides nothing else, and is taken once it can be.

use crate::gateway::{Gateway, Setup, wait_until};
use crate::guests::Component;
use serde_json::{Value, json};
use std::os::unix::fs::symlink;

async fn gateway() -> Gateway {
    let setup = Setup::bare().plugin("acme.wasm", Component::acme("1.0.0"));
    setup.provider("acme", json!({"plugin": "acme"})).start().await
}

async fn serves(gateway: &Gateway, content: &str) {
    wait_until(content, || async { gateway.chat("acme/m", "hello").await.content() == content }).await;
}

async fn refused(gateway: &Gateway) -> Vec<Value> {
    gateway.get("/api/plugins").await.json()["refused"].as_array().cloned().expect("a list")
}

/// A link that leads to itself stands for all that the system does not let us see.
#[tokio::test]
async fn a_file_that_cannot_be_looked_at_hides_no_other() {
    let gateway = gateway().await;
    let link = gateway.plugins.join("loop.wasm");
    symlink("loop.wasm", &link).expect("a link");
    wait_until("it to be refused", || async { !refused(&gateway).await.is_empty() }).await;
    let told = refused(&gateway).await;
    assert_eq!(told[0]["file"], "loop.wasm", "{told:?}");
    assert!(told[0]["last_error"].as_str().is_some_and(|reason| reason.contains("cannot be read")), "{told:?}");

    gateway.install("acme.wasm", Component::acme("1.1.0").bytes());
    serves(&gateway, "acme 1.1.0").await;
    let lines = |log: String| log.lines().filter(|line| line.contains("cannot be read")).count();
    assert_eq!(lines(gateway.log()), 1, "it is looked at again and again, and told once: {}", gateway.log());

    gateway.install("loop.wasm", Component::acme_as("provider-other").bytes());
    wait_until("it to be taken", || async { refused(&gateway).await.is_empty() }).await;
    assert_eq!(gateway.plugin("provider-other").await.len(), 1);
}

/// Whoever mends the configuration need not mend the folder first.
#[tokio::test]
async fn the_configuration_is_followed_while_the_plugins_folder_cannot_be_read() {
    let gateway = gateway().await;
    let away = gateway.plugins.with_file_name("away");
    std::fs::rename(&gateway.plugins, &away).expect("a folder that moves");
    symlink("plugins", &gateway.plugins).expect("a link");
    gateway.wait_for_log(&["ERROR", "the plugins folder cannot be looked through"]).await;
    gateway.reconfigure(|config| config["providers"]["second"] = json!({"plugin": "acme"}));
    wait_until("the new configuration", || async { gateway.chat("second/m", "hello").await.status == 200 }).await;
    serves(&gateway, "acme 1.0.0").await;

    std::fs::remove_file(&gateway.plugins).expect("the link");
    std::fs::rename(&away, &gateway.plugins).expect("a folder that comes back");
    gateway.install("acme.wasm", Component::acme("1.1.0").bytes());
    serves(&gateway, "acme 1.1.0").await;
}
