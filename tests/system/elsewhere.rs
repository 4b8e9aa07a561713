//! Secrets that are mounted as files are taken as they change, without a restart.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, openai, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::json;
use std::path::PathBuf;

fn file_of(gateway: &Gateway, name: &str) -> PathBuf {
    gateway.config_file.with_file_name(name)
}

/// As those do who mount secrets: written beside it, then renamed.
fn write_key(gateway: &Gateway, name: &str, key: &str) {
    let beside = file_of(gateway, ".key.part");
    std::fs::write(&beside, format!("{key}\n")).expect("a key beside its place");
    std::fs::rename(beside, file_of(gateway, name)).expect("a key in its place");
}

async fn gateway_with_spare(upstream: &Upstream) -> Gateway {
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    Setup::new().provider("one", openai(&upstream.url())).start().await
}

/// The provider `one` with its key in this file.
fn take_key_from(gateway: &Gateway, name: &str) {
    let value = json!(format!("file.{name}"));
    gateway.reconfigure(|config| config["providers"]["one"]["keys"][0]["value"] = value);
}

async fn wait_for_key(gateway: &Gateway, upstream: &Upstream, key: &str) {
    let bearer = format!("Bearer {key}");
    wait_until(&format!("{key} to be used"), || async {
        assert_eq!(gateway.chat("one/m", "hello").await.status, 200);
        upstream.last_request().header("authorization") == Some(&bearer)
    })
    .await;
}

#[tokio::test]
async fn a_key_that_changes_in_its_file_is_taken() {
    let upstream = Upstream::start().await;
    let gateway = gateway_with_spare(&upstream).await;
    write_key(&gateway, "key", "sk-first");
    take_key_from(&gateway, "key");
    wait_for_key(&gateway, &upstream, "sk-first").await;
    write_key(&gateway, "key", "sk-second");
    wait_for_key(&gateway, &upstream, "sk-second").await;
    let shown = gateway.get("/api/providers/one").await.json();
    assert_eq!(shown["keys"][0]["value"], "file.key", "a reference is no secret");
    assert!(!gateway.log().contains("sk-second"), "{}", gateway.log());
}

/// What is missing may come: the file itself, or what a link of its name leads to.
#[tokio::test]
async fn a_key_that_is_missing_is_waited_for() {
    let upstream = Upstream::start().await;
    let gateway = gateway_with_spare(&upstream).await;
    std::os::unix::fs::symlink("nowhere-yet", file_of(&gateway, "link")).expect("a link");
    for (name, target, key) in [("key", "key", "sk-came-late"), ("link", "nowhere-yet", "sk-behind-a-link")] {
        take_key_from(&gateway, name);
        let place = file_of(&gateway, name).display().to_string();
        gateway.wait_for_log(&["refused", "providers.one.keys[0].value", &place, "cannot be read"]).await;
        assert_eq!(gateway.chat("one/m", "hello").await.status, 200, "what served before goes on serving");
        write_key(&gateway, target, key);
        wait_for_key(&gateway, &upstream, key).await;
        assert_eq!(gateway.get("/api/plugins").await.json()["refused"], json!([]));
    }
}
