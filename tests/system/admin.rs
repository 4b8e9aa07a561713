//! Providers can be changed while the gateway runs: with blocks of the file's shape, each change whole or not at all, and
//! never a secret in an answer.

use crate::dialects::Dialect;
use crate::gateway::{BINARY, Gateway, PATIENCE, Setup, copy_first_party, free_address, openai, read, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::task::JoinSet;

const WORDS: &str = "correct horse battery staple";

/// What the documentation of another gateway shows, byte for byte.
const POST_OF_BIFROST: &str = include_str!("../seeds/post.json");

async fn hello(upstream: &Upstream) {
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
}

/// A gateway with one provider in its file and words to encrypt with.
fn setup() -> Setup {
    Setup::new()
        .provider("echo", json!({"models": ["echo"]}))
        .section("encryption_key", json!("env.WORDS"))
        .environment("WORDS", WORDS)
        .environment("OPENAI_API_KEY", "sk-from-the-environment")
}

/// A provider's block with its name in it.
fn named(name: &str, mut block: Value) -> Value {
    block["provider"] = json!(name);
    block
}

pub async fn names(gateway: &Gateway) -> BTreeSet<String> {
    let list = gateway.get("/api/providers").await.json();
    let providers = list["providers"].as_array().expect("a list").iter();
    providers.map(|provider| provider["provider"].as_str().expect("a name").to_owned()).collect()
}

/// On the default setup: no configuration, no key, nothing but the program and its plugins.
#[tokio::test]
async fn the_post_that_others_document_works_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    copy_first_party(&folder.path().join("plugins"));
    let address = free_address();
    let _child = tokio::process::Command::new(BINARY)
        .args(["serve", "--listen", &address.to_string()])
        .current_dir(folder.path())
        .env("OPENAI_API_KEY", "sk-from-the-environment")
        .env("XDG_DATA_HOME", folder.path().join("data"))
        .kill_on_drop(true)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("the binary starts");
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap();
    let url = format!("http://localhost:{}/api/providers", address.port());
    wait_until("the gateway", || async { client.get(&url).send().await.is_ok() }).await;
    let posted = read(client.post(&url).header("Content-Type", "application/json").body(POST_OF_BIFROST)).await;
    assert_eq!(posted.status, 201, "{}", posted.text());
    assert_eq!(posted.header("location"), "/api/providers/openai%2Dcustom");
    let mut expected: Value = serde_json::from_str(POST_OF_BIFROST).unwrap();
    (expected["source"], expected["state"]) = (json!("api"), json!("ready"));
    assert_eq!(posted.json(), expected);
    assert!(folder.path().join("data/plugway/plugway.db").is_file());
}

#[tokio::test]
async fn a_provider_that_was_made_while_it_runs_serves_and_survives() {
    let upstream = Upstream::start().await;
    hello(&upstream).await;
    let mut gateway = setup().start().await;
    gateway.chat("openai-custom/gpt-4o-mini", "Hello!").await.openai_error(404);
    let mut block: Value = serde_json::from_str(POST_OF_BIFROST).unwrap();
    block["network_config"] = openai(&upstream.url())["network_config"].clone();
    assert_eq!(gateway.post("/api/providers", &block).await.status, 201);
    let chats = async |gateway: &Gateway| {
        let answer = gateway.chat("openai-custom/gpt-4o-mini", "Hello!").await;
        assert_eq!((answer.status, answer.content().as_str()), (200, "hi"), "{}", answer.text());
        assert_eq!(upstream.last_request().header("authorization"), Some("Bearer sk-from-the-environment"));
    };
    chats(&gateway).await;
    gateway.restart().await;
    chats(&gateway).await;
    gateway.reconfigure(|config| config["providers"]["second"] = json!({"plugin": "echo"}));
    wait_until("the new file to serve", || async { names(&gateway).await.contains("second") }).await;
    chats(&gateway).await;
}

#[tokio::test]
async fn all_mistakes_are_told_at_once() {
    let gateway = setup().start().await;
    let answer = gateway
        .post(
            "/api/providers",
            &json!({
                "provider": "wrong",
                "keys": [{"name": "a", "value": "env.NOT_SET_ANYWHERE"}, {"name": "a", "value": "sk-1", "wieght": 1}],
                "network_config": {"base_url": "ftp://example.com"},
                "custom_provider_config": {"allowed_requests": {"chat_completions": true}},
            }),
        )
        .await;
    let error = answer.openai_error(400);
    assert_eq!(error["code"], "invalid_provider");
    let mistakes = answer.json()["mistakes"].as_array().expect("a list").clone();
    for (path, word) in [
        ("keys[0].value", "NOT_SET_ANYWHERE"),
        ("keys[1].wieght", "weight"),
        ("keys[1].name", "too"),
        ("network_config.base_url", "http://"),
        ("custom_provider_config.allowed_requests.chat_completions", "chat_completion"),
    ] {
        let told = |mistake: &Value| mistake["path"] == path && mistake["message"].as_str().unwrap().contains(word);
        assert!(mistakes.iter().any(told), "{path} and {word} in {mistakes:?}");
    }
    assert_eq!(mistakes.len(), 5, "{mistakes:?}");
    assert!(!answer.text().contains("sk-1"), "{}", answer.text());
    assert_eq!(names(&gateway).await, ["echo".to_owned()].into());
}

#[tokio::test]
async fn what_is_shown_has_no_secret_and_can_be_sent_back() {
    let upstream = Upstream::start().await;
    hello(&upstream).await;
    let gateway = setup().provider("filed", openai(&upstream.url())).start().await;
    let mut block = openai(&upstream.url());
    block["keys"] =
        json!([{"name": "main", "value": "sk-main-secret"}, {"name": "spare", "value": "env.OPENAI_API_KEY"}]);
    block["network_config"]["extra_headers"] = json!({"x-team": "team-secret"});
    block["headers"] = json!({"X-Basic": "Basic {{model}} dXNlci1zZWNyZXQ"});
    let name = "meta-llama/Llama 3";
    assert_eq!(gateway.post("/api/providers", &named(name, block)).await.status, 201);

    let path = "/api/providers/meta-llama%2FLlama%203";
    let mut shown = gateway.get(path).await.json();
    assert_eq!(
        shown["keys"],
        json!([{"name": "main", "value": "***"}, {"name": "spare", "value": "env.OPENAI_API_KEY"}])
    );
    assert_eq!(shown["network_config"]["extra_headers"]["x-team"], "***");
    assert_eq!(shown["headers"]["X-Basic"], "***");
    assert_eq!((&shown["source"], &shown["state"]), (&json!("api"), &json!("ready")));
    let list = gateway.get("/api/providers").await;
    assert!(!list.text().contains("secret") && !list.text().contains("sk-"), "{}", list.text());

    shown["keys"] = json!([{"name": "main", "weight": 2.0}]);
    let answer = gateway.send("PUT", path, &shown).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["keys"], json!([{"name": "main", "weight": 2.0, "value": "***"}]));
    let answer = gateway.chat(&format!("{name}/m"), "hello").await;
    assert_eq!(answer.status, 200);
    let seen = upstream.last_request();
    assert_eq!(seen.header("authorization"), Some("Bearer sk-main-secret"));
    assert_eq!(seen.header("x-team"), Some("team-secret"));
    assert_eq!(seen.header("x-basic"), Some("Basic m dXNlci1zZWNyZXQ"));
    gateway.wait_for_access_line(&answer).await;
    assert!(!gateway.log().contains("-secret"), "{}", gateway.log());
}

#[tokio::test]
async fn the_file_wins() {
    let mut gateway = setup().start().await;
    for (method, path, body) in [
        ("POST", "/api/providers", json!({"provider": "echo"})),
        ("PUT", "/api/providers/echo", json!({})),
        ("DELETE", "/api/providers/echo", json!({})),
    ] {
        let error = gateway.send(method, path, &body).await.openai_error(409);
        assert_eq!(error["code"], "provider_in_file", "{method}");
        assert!(error["message"].as_str().unwrap().contains("configuration file"), "{error}");
    }
    let block = json!({"provider": "late", "plugin": "echo", "models": ["of-the-api"]});
    assert_eq!(gateway.post("/api/providers", &block).await.status, 201);
    gateway.reconfigure(|config| config["providers"]["late"] = json!({"plugin": "echo", "models": ["of-the-file"]}));
    let late = async |gateway: &Gateway| gateway.get("/api/providers/late").await.json();
    wait_until("the file to win", || async { late(&gateway).await["source"] == "file" }).await;
    let shown = late(&gateway).await;
    assert_eq!((&shown["models"], &shown["hides_stored"]), (&json!(["of-the-file"]), &json!(true)));
    gateway.wait_for_log(&["WARN", "api: providers.late", "configuration file"]).await;
    gateway.send("PUT", "/api/providers/late", &json!({})).await.openai_error(409);

    gateway.restart().await;
    assert_eq!(late(&gateway).await["models"], json!(["of-the-file"]));
    // What is out of the file is the store's again.
    gateway.reconfigure(|_| {});
    wait_until("the stored one", || async { late(&gateway).await["source"] == "api" }).await;
    assert_eq!(late(&gateway).await["models"], json!(["of-the-api"]));
}

/// Then only the stored one goes, and the file's serves on.
#[tokio::test]
async fn a_stored_provider_that_the_file_hides_can_be_removed() {
    let gateway = setup().start().await;
    assert_eq!(gateway.post("/api/providers", &json!({"provider": "late", "plugin": "echo"})).await.status, 201);
    gateway.reconfigure(|config| config["providers"]["late"] = json!({"plugin": "echo", "models": ["late"]}));
    let late = async || gateway.get("/api/providers/late").await.json();
    wait_until("the file to win", || async { late().await["source"] == "file" }).await;
    assert_eq!(gateway.send("DELETE", "/api/providers/late", &json!({})).await.status, 204);
    assert_eq!((late().await["source"].clone(), late().await["hides_stored"].clone()), (json!("file"), Value::Null));
    assert_eq!(gateway.send("DELETE", "/api/providers/late", &json!({})).await.status, 409);
    assert_eq!(gateway.chat("late", "hello").await.status, 200);
}

/// What would not work is refused with the reason, and nothing has changed.
#[tokio::test]
async fn a_provider_that_cannot_be_used_is_refused() {
    let mut gateway = setup().start().await;
    for (block, word) in [
        (json!({"provider": "a", "plugin": "no-such-plugin"}), "no-such-plugin"),
        (json!({"provider": "a", "plugin": "echo@^99"}), "99"),
        (json!({"provider": "a", "plugin": "echo", "settings": {"loudness": 11}}), "loudness"),
        (json!({"provider": "a", "plugin": "openai"}), "key"),
        (json!({"provider": "a", "plugin": "echo", "headers": {"X-Who": "{{whoever}}"}}), "whoever"),
    ] {
        let error = gateway.post("/api/providers", &block).await.openai_error(422);
        assert!(error["message"].as_str().unwrap().contains(word), "{error}");
        assert_eq!(names(&gateway).await, ["echo".to_owned()].into());
    }
    assert_eq!(gateway.post("/api/providers", &json!({"provider": "a", "plugin": "echo"})).await.status, 201);
    gateway.send("PUT", "/api/providers/a", &json!({"plugin": "no-such-plugin"})).await.openai_error(422);
    assert_eq!(gateway.chat("a/m", "still here").await.content(), gateway.chat("echo", "still here").await.content());
    gateway.restart().await;
    assert_eq!(gateway.get("/api/providers/a").await.json()["plugin"], "echo");
}

/// Whoever asks in whatever order: each change is there whole when it is answered, a stream that runs ends well, and a
/// restart finds what was answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_writers_and_a_stream() {
    const WRITERS: usize = 50;
    let upstream = Upstream::start().await;
    let frames = Dialect::OpenAi.frames(&Dialect::OpenAi.stream(&"word ".repeat(60)));
    upstream.on_path("/v1/chat/completions", Reply::sse(&frames).every(Duration::from_millis(100)));
    let mut gateway = setup().set("log", "level", "info").start().await;
    assert_eq!(gateway.post("/api/providers", &named("streamed", openai(&upstream.url()))).await.status, 201);
    let mut stream = gateway.open_stream("streamed/m").await;
    assert!(stream.read(2).await);

    let mut writers = JoinSet::new();
    for number in 0..WRITERS {
        let (http, url) = (gateway.http.clone(), gateway.url.clone());
        writers.spawn(async move {
            // Two writers each are after the same name, and one of them comes first.
            let name = format!("writer-{}", number / 2);
            let one = format!("{url}/api/providers/{name}");
            let block =
                |model: &str| json!({"provider": name, "plugin": "echo", "models": [model], "isolation": "shared"});
            let made = read(http.post(format!("{url}/api/providers")).json(&block("first"))).await.status;
            assert!(made == 201 || made == 409, "{made}");
            for round in 0..3 {
                let model = format!("{name}-{number}-{round}");
                assert_eq!(read(http.put(&one).json(&block(&model))).await.status, 200);
                let seen = read(http.get(&one)).await;
                assert_eq!(seen.json()["isolation"], "shared", "whole: {}", seen.text());
            }
            if number % 4 == 0 {
                let removed = read(http.delete(&one)).await.status;
                assert!(removed == 204 || removed == 404, "{removed}");
            }
        });
    }
    while let Some(ended) = writers.join_next().await {
        ended.expect("a writer that was content");
    }
    assert_eq!(gateway.send("DELETE", "/api/providers/streamed", &json!({})).await.status, 204);
    gateway.chat("streamed/m", "hello").await.openai_error(404);
    assert!(stream.finish().await, "the provider was removed under it: {:?}", stream.events.last());

    let before = gateway.get("/api/providers").await.json();
    gateway.restart().await;
    assert_eq!(gateway.get("/api/providers").await.json(), before);
}

#[tokio::test]
async fn the_rest_of_the_answers() {
    let gateway = setup().start().await;
    gateway.get("/api/providers/nobody").await.openai_error(404);
    gateway.send("DELETE", "/api/providers/nobody", &json!({})).await.openai_error(404);
    assert_eq!(gateway.send("PUT", "/api/providers/new", &json!({"plugin": "echo"})).await.status, 200);
    let exists = gateway.post("/api/providers", &json!({"provider": "new", "plugin": "echo"})).await.openai_error(409);
    assert_eq!(exists["code"], "provider_exists");
    assert_eq!(gateway.send("DELETE", "/api/providers/new", &json!({})).await.status, 204);
    gateway.send("PATCH", "/api/providers/new", &json!({})).await.openai_error(405);
    gateway.send("DELETE", "/api/providers", &json!({})).await.openai_error(405);
    gateway.get("/api/providers/%ff").await.openai_error(400);
}

#[tokio::test]
async fn garbage_is_refused_and_changes_nothing() {
    let gateway = setup().start().await;
    let deep = format!("{{\"provider\": \"a\", \"settings\": {}1{}}}", "[".repeat(5000), "]".repeat(5000));
    let long = format!("{{\"provider\": \"{}\", \"plugin\": \"echo\"}}", "n".repeat(200));
    for body in [
        "",
        "null",
        "[]",
        "\"provider\"",
        "{",
        "{}",
        "{\"provider\": \"\"}",
        "{\"provider\": null}",
        "{\"provider\": \"a\\u0000b\", \"plugin\": \"echo\"}",
        "{\"provider\": \"a\", \"provider\": \"b\", \"plugin\": \"echo\"}",
        "{\"provider\": \"a\", \"keys\": {}}",
        "provider: a\nplugin: echo\n",
        "\u{feff}{\"provider\": \"a\", \"plugin\": \"echo\"}",
        &deep,
        &long,
    ] {
        gateway.post_bytes("/api/providers", body.to_owned()).await.openai_error(400);
    }
    gateway.post_bytes("/api/providers", b"{\"provider\": \"\xff\"}".to_vec()).await.openai_error(400);
    gateway.post_bytes("/api/providers", " ".repeat(2 << 20)).await.openai_error(413);
    assert_eq!(names(&gateway).await, ["echo".to_owned()].into());
}
