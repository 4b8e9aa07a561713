//! What the store holds is nobody else's to read, is never lost to a write that fails, and harms no provider of the file.

use crate::admin::names;
use crate::gateway::{Gateway, Setup, openai};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const WORDS: &str = "correct horse battery staple";
const SECRET: &str = "sk-1f0c9e7bd2a84365";

fn setup() -> Setup {
    Setup::new()
        .provider("echo", json!({"models": ["echo"]}))
        .section("encryption_key", json!("env.WORDS"))
        .environment("WORDS", WORDS)
}

fn store(gateway: &Gateway) -> PathBuf {
    gateway.config_file.with_file_name("plugway.db")
}

fn contains(file: &Path, text: &str) -> bool {
    let bytes = std::fs::read(file).expect("the store's file");
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// With secrets wherever a block can have them.
fn secretive(name: &str) -> Value {
    let mut block = openai("https://llm.example.com");
    block["provider"] = json!(name);
    block["keys"] = json!([{"name": "main", "value": SECRET}]);
    block["network_config"]["extra_headers"] = json!({"x-extra": format!("{SECRET}-extra")});
    block["headers"] = json!({"X-Basic": format!("Basic {SECRET}-template")});
    block
}

async fn post(gateway: &Gateway, block: &Value) {
    let answer = gateway.post("/api/providers", block).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}

#[tokio::test]
async fn the_file_holds_no_byte_of_a_secret_and_is_its_owners() {
    use std::os::unix::fs::PermissionsExt;
    let gateway = setup().start().await;
    assert!(!store(&gateway).exists(), "nothing is made before there is something to keep");
    post(&gateway, &secretive("one")).await;
    assert_eq!(gateway.send("PUT", "/api/providers/one", &secretive("one")).await.status, 200);
    post(&gateway, &secretive("two")).await;
    assert_eq!(gateway.send("DELETE", "/api/providers/two", &json!({})).await.status, 204);
    for secret in [SECRET, WORDS, "llm.example.com"] {
        assert!(!contains(&store(&gateway), secret), "{secret}");
    }
    assert_eq!(std::fs::metadata(store(&gateway)).unwrap().permissions().mode() & 0o777, 0o600);
}

#[tokio::test]
async fn without_words_references_are_kept_and_secrets_refused() {
    let mut gateway = Setup::new().environment("SOME_KEY", SECRET).start().await;
    let answer = gateway.post("/api/providers", &secretive("one")).await;
    answer.openai_error(400);
    let mistakes = answer.json()["mistakes"].as_array().cloned().expect("a list");
    assert_eq!(mistakes.len(), 3, "{mistakes:?}");
    assert!(mistakes.iter().all(|mistake| mistake["message"].as_str().unwrap().contains("encryption_key")));
    let mut block = openai("https://llm.example.com");
    block["provider"] = json!("one");
    block["keys"] = json!([{"name": "main", "value": "env.SOME_KEY"}]);
    post(&gateway, &block).await;
    assert!(contains(&store(&gateway), "env.SOME_KEY"));
    assert!(!contains(&store(&gateway), SECRET));

    // A variable that is gone takes its provider out of use, and says so to everybody.
    gateway.restart_with(&[]).await;
    let one = gateway.get("/api/providers/one").await.json();
    assert_eq!((&one["state"], &one["source"]), (&json!("trouble"), &json!("api")));
    assert!(one["trouble"].as_str().unwrap().contains("SOME_KEY is not set"), "{one}");
    let error = gateway.chat("one/m", "hello").await.openai_error(503);
    assert_eq!(error["code"], "provider_unavailable");
    gateway.wait_for_log(&["ERROR", "api: providers.one", "SOME_KEY is not set"]).await;
}

/// The file's providers serve; the stored ones come back with the right words.
#[tokio::test]
async fn other_words_open_nothing_and_lose_nothing() {
    let mut gateway = setup().start().await;
    post(&gateway, &secretive("one")).await;
    let before = std::fs::read(store(&gateway)).unwrap();
    gateway.restart_with(&[("WORDS", "something else altogether")]).await;
    assert_eq!(gateway.chat("echo", "hello").await.status, 200);
    let one = gateway.get("/api/providers/one").await.json();
    assert_eq!(one["state"], "trouble");
    assert!(one["trouble"].as_str().unwrap().contains("encryption_key"), "{one}");
    assert!(one["keys"].is_null(), "{one}");
    gateway.wait_for_log(&["ERROR", "api: providers.one", "encryption_key"]).await;
    for (method, path) in [("POST", "/api/providers"), ("PUT", "/api/providers/one"), ("DELETE", "/api/providers/one")]
    {
        let body = if method == "POST" { secretive("two") } else { secretive("one") };
        let error = gateway.send(method, path, &body).await.openai_error(503);
        assert_eq!(error["code"], "store_unavailable", "{error}");
    }
    gateway.restart_with(&[("WORDS", WORDS)]).await;
    assert_eq!(gateway.get("/api/providers/one").await.json()["state"], "ready");
    assert!(!before.is_empty());
}

#[tokio::test]
async fn a_damaged_store_is_left_as_it_is_and_told() {
    let mut gateway = setup().start().await;
    post(&gateway, &secretive("one")).await;
    for damage in [b"not a store at all".to_vec(), Vec::new()] {
        std::fs::write(store(&gateway), &damage).unwrap();
        gateway.restart().await;
        assert_eq!(gateway.chat("echo", "hello").await.status, 200);
        let list = gateway.get("/api/providers").await.json();
        assert!(list["store_trouble"].as_str().unwrap().contains("plugway.db"), "{list}");
        let troubles = gateway.get("/api/plugins").await.json()["troubles"].clone();
        assert!(troubles.to_string().contains("plugway.db"), "{troubles}");
        gateway.post("/api/providers", &secretive("two")).await.openai_error(503);
        assert_eq!(std::fs::read(store(&gateway)).unwrap(), damage);
    }
}

#[tokio::test]
async fn two_gateways_do_not_share_a_store() {
    let first = setup().start().await;
    post(&first, &json!({"provider": "one", "plugin": "echo"})).await;
    let second = setup().section("store", json!({"path": store(&first)})).start().await;
    let list = second.get("/api/providers").await.json();
    assert!(list["store_trouble"].as_str().unwrap().contains("another gateway uses it"), "{list}");
    second.post("/api/providers", &json!({"provider": "two", "plugin": "echo"})).await.openai_error(503);
    post(&first, &json!({"provider": "two", "plugin": "echo"})).await;
    assert_eq!(names(&first).await.len(), 3);
}

/// The path is a file's child, or the disk takes no more: nothing serves that is not kept.
#[tokio::test]
async fn a_write_that_fails_changes_nothing() {
    let gateway = setup().section("store", json!({"path": "plugway.yaml/store.db"})).start().await;
    let error = gateway.post("/api/providers", &json!({"provider": "one", "plugin": "echo"})).await.openai_error(500);
    assert_eq!(error["code"], "store_failed");
    assert!(error["message"].as_str().unwrap().contains("store.path"), "{error}");
    assert_eq!(names(&gateway).await, ["echo".to_owned()].into());
}

#[tokio::test]
async fn a_disk_that_is_full_loses_nothing_and_mends() {
    // Files of at most 2 MB; a block of a few of them is more.
    let mut gateway = setup().before("trap '' XFSZ; ulimit -f 4096; ").start().await;
    let large = |number: usize| {
        let settings = json!({"prefix": "x".repeat(700_000)});
        json!({"provider": format!("large-{number}"), "plugin": "echo", "preset": null, "models": [settings.to_string()]})
    };
    let mut kept = 0;
    let error = loop {
        let answer = gateway.post("/api/providers", &large(kept)).await;
        if answer.status != 201 {
            break answer.openai_error(500);
        }
        kept += 1;
        assert!(kept < 20, "the limit is never met");
    };
    assert_eq!(error["code"], "store_failed", "{error}");
    assert_eq!(names(&gateway).await.len(), kept + 1);
    // A small one may still fit or not; what is answered is what is there.
    let small = gateway.post("/api/providers", &json!({"provider": "small", "plugin": "echo"})).await.status;
    assert!(small == 201 || small == 500, "{small}");
    let before = names(&gateway).await;
    gateway.restart().await;
    assert_eq!(names(&gateway).await, before);
}

/// Also while a gateway runs on it, and after one was killed.
#[tokio::test]
async fn check_looks_at_the_store() {
    let mut gateway = setup().environment("SOME_KEY", SECRET).start().await;
    let config = gateway.config_file.display().to_string();
    let check = async |environment: &[(&str, &str)]| {
        let output = tokio::process::Command::new(crate::gateway::BINARY)
            .args(["check", "--config", &config])
            .env_remove("WORDS")
            .envs(environment.iter().copied())
            .output()
            .await
            .expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let mut block = openai("https://llm.example.com");
    block["provider"] = json!("one");
    block["keys"] = json!([{"name": "main", "value": "env.SOME_KEY"}]);
    post(&gateway, &block).await;
    let (code, output) = check(&[("WORDS", WORDS), ("SOME_KEY", SECRET)]).await;
    assert_eq!(code, Some(0), "{output}");
    assert!(output.contains("2 providers"), "{output}");
    let (code, output) = check(&[("WORDS", WORDS)]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(
        output.contains("api: providers.one: keys[0].value: the environment variable SOME_KEY is not set"),
        "{output}"
    );
    let (code, output) = check(&[("WORDS", "other words than those")]).await;
    assert_eq!(code, Some(1), "{output}");
    assert!(output.contains("another `encryption_key`"), "{output}");
    gateway.restart().await;
    assert_eq!(gateway.get("/api/providers/one").await.json()["state"], "ready");
    gateway.signal("KILL");
    gateway.exit_code().await;
    let before = std::fs::read(store(&gateway)).unwrap();
    let (code, output) = check(&[("WORDS", WORDS), ("SOME_KEY", SECRET)]).await;
    assert_eq!(code, Some(0), "a gateway that was killed leaves nothing to be afraid of: {output}");
    assert_eq!(std::fs::read(store(&gateway)).unwrap(), before, "looking changes nothing");
}
