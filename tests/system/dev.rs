//! `plugway plugin dev`: what is saved serves a moment later, and what cannot be built changes nothing.

use crate::gateway::{BINARY, Gateway, Setup, wait_until};
use crate::guests::Component;
use serde_json::json;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Stands in for Cargo, which would take a minute: it "compiles" `src/lib.rs` by naming a component that lies beside it.
const CARGO: &str = r#"#!/bin/sh
while [ "$1" != --manifest-path ]; do shift; done
folder=$(dirname "$2")
if grep -q mistake "$folder/src/lib.rs"; then
    echo "error[E0425]: cannot find value \`mistake\` in this scope" >&2
    exit 101
fi
echo "{\"filenames\": [\"$folder/$(cat "$folder/src/lib.rs").wasm\"]}"
"#;

fn write(folder: &Path, file: &str, content: &[u8]) {
    let file = folder.join(file);
    std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
    std::fs::write(file, content).expect("a file");
}

/// A gateway that follows this project, with one provider of its plugin.
async fn follow(project: &Path, place: &str, path_before: Option<&Path>) -> Gateway {
    let plugin = project.join(place);
    let mut setup = Setup::bare().provider("acme", json!({"plugin": "acme"})).command(&[
        "plugin",
        "dev",
        plugin.to_str().expect("UTF-8"),
    ]);
    if let Some(before) = path_before {
        let path = std::env::join_paths(std::iter::once(before.to_owned()).chain(std::env::split_paths(&path())))
            .expect("a path");
        setup = setup.environment("PATH", path.to_str().expect("UTF-8"));
    }
    setup.start().await
}

#[expect(clippy::disallowed_methods, reason = "the stand-in for Cargo comes before what is there")]
fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").expect("a path")
}

async fn serves(gateway: &Gateway, content: &str) {
    wait_until(&format!("{content} to serve"), || async {
        let answer = gateway.chat("acme/m", "hello").await;
        answer.status == 200 && answer.content() == content
    })
    .await;
}

#[tokio::test]
async fn a_save_is_built_and_serves_and_one_with_an_error_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let tools = folder.path().join("tools");
    write(&tools, "cargo", CARGO.as_bytes());
    std::fs::set_permissions(tools.join("cargo"), std::fs::Permissions::from_mode(0o755)).expect("a program");
    let project = folder.path().join("acme");
    write(&project, "Cargo.toml", b"");
    write(&project, "src/lib.rs", b"first");
    write(&project, "first.wasm", Component::acme("1.0.0").bytes());
    write(&project, "second.wasm", Component::acme("1.0.1").bytes());

    let gateway = follow(folder.path(), "acme", Some(&tools)).await;
    serves(&gateway, "acme 1.0.0").await;
    gateway.wait_for_log(&["took_us", "plan", "provider-acme@1.0.0"]).await;

    write(&project, "src/lib.rs", b"mistake");
    gateway.wait_for_log(&["error[E0425]: cannot find value `mistake` in this scope"]).await;
    gateway.wait_for_log(&["not built; what served before goes on serving"]).await;
    serves(&gateway, "acme 1.0.0").await;

    write(&project, "src/lib.rs", b"second");
    serves(&gateway, "acme 1.0.1").await;
    gateway.wait_for_log(&["plugin loaded", "provider-acme@1.0.1"]).await;
}

/// Whatever builds it: a component that is written anew serves.
#[tokio::test]
async fn a_component_can_be_followed_too() {
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "acme.wasm", Component::acme("1.0.0").bytes());
    let gateway = follow(folder.path(), "acme.wasm", None).await;
    serves(&gateway, "acme 1.0.0").await;

    write(folder.path(), "acme.wasm", Component::acme("1.0.1").truncated().bytes());
    gateway.wait_for_log(&["the component is damaged or cut short"]).await;
    gateway.catch_up().await;
    serves(&gateway, "acme 1.0.0").await;

    write(folder.path(), "acme.wasm", Component::acme("1.0.1").bytes());
    serves(&gateway, "acme 1.0.1").await;
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_said_to_be_none() {
    let output =
        tokio::process::Command::new(BINARY).args(["plugin", "dev", "nowhere"]).output().await.expect("it ends");
    assert_eq!(output.status.code(), Some(64));
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(told, "plugway: nowhere: there is no such file or folder\n");
}
