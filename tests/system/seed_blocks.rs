//! Every block of a configuration that Bifrost's documentation of custom providers shows is taken as it stands there
//! (`tests/seeds`, copied word for word), and does what it says there.

use crate::dialects::Dialect;
use crate::gateway::{BINARY, Setup, cache_folder, copy_first_party};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Map, Value, json};
use std::path::Path;
use std::process::Stdio;

/// Blocks that stand below `providers`.
const PROVIDERS: [(&str, &str); 6] = [
    ("custom-paths", include_str!("../seeds/custom-paths.json")),
    ("unverified", include_str!("../seeds/unverified.json")),
    ("own-authority", include_str!("../seeds/own-authority.json")),
    ("environments", include_str!("../seeds/environments.json")),
    ("roles", include_str!("../seeds/roles.json")),
    ("rollouts", include_str!("../seeds/rollouts.json")),
];
/// Blocks that stand in a provider's `custom_provider_config`.
const OVERRIDES: [&str; 2] =
    [include_str!("../seeds/overrides-paths.json"), include_str!("../seeds/overrides-urls.json")];
const WHOLE_FILE: &str = include_str!("../seeds/whole-file.json");

/// The variables that they name.
const ENVIRONMENT: [&str; 3] = ["OPENAI_API_KEY", "PROVIDER_API_KEY", "API_KEY"];
const KEY: &str = "sk-of-the-environment";

/// The documentation leaves out the middle of its certificate.
fn with_a_certificate(block: &str) -> String {
    let pem = include_str!("../../host/src/config/tests/ca.pem").trim_end().replace('\n', "\\n");
    block.replace("-----BEGIN CERTIFICATE-----\\n...\\n-----END CERTIFICATE-----", &pem)
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).expect("a JSON object")
}

/// All providers that there are, each by its name.
fn providers() -> Map<String, Value> {
    let mut all: Map<String, Value> =
        PROVIDERS.iter().flat_map(|(_, block)| object(&with_a_certificate(block))).collect();
    let whole: Value = serde_json::from_str(WHOLE_FILE).expect("JSON");
    all.extend(whole["providers"].as_object().cloned().expect("providers"));
    for (number, overrides) in OVERRIDES.iter().enumerate() {
        let mut custom = object(overrides);
        custom.insert("base_provider_type".to_owned(), json!("openai"));
        let keys = json!([{"name": "key-1", "value": "env.API_KEY"}]);
        all.insert(format!("overrides-{number}"), json!({"keys": keys, "custom_provider_config": custom}));
    }
    all
}

async fn check(text: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("plugins")).expect("a folder");
    copy_first_party(&folder.path().join("plugins"));
    std::fs::write(folder.path().join("plugway.yaml"), text).expect("a configuration");
    check_in(folder.path()).await
}

async fn check_in(folder: &Path) -> (Option<i32>, String) {
    let mut command = tokio::process::Command::new(BINARY);
    command.args(["check", "--config", "plugway.yaml"]).current_dir(folder).stdin(Stdio::null());
    command.env("XDG_CACHE_HOME", cache_folder()).envs(ENVIRONMENT.map(|name| (name, KEY)));
    let output = command.output().await.expect("it starts");
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.code(), text)
}

#[tokio::test]
async fn every_block_is_a_good_configuration() {
    let (code, output) = check(WHOLE_FILE).await;
    assert_eq!(code, Some(0), "the whole file: {output}");
    for (name, block) in PROVIDERS {
        let text = format!("{{\"providers\": {}}}", with_a_certificate(block));
        let (code, output) = check(&text).await;
        assert_eq!(code, Some(0), "{name}: {output}");
    }
    let all = json!({"providers": providers()}).to_string();
    let (code, output) = check(&all).await;
    assert_eq!(code, Some(0), "all of them: {output}");
}

/// The certificate is a placeholder, and nothing else is wrong with the block.
#[tokio::test]
async fn the_certificate_that_is_left_out_is_the_only_mistake() {
    let block = include_str!("../seeds/own-authority.json");
    let (code, output) = check(&format!("{{\"providers\": {block}}}")).await;
    assert_ne!(code, Some(0), "{output}");
    assert!(output.contains("1 mistake") && output.contains("network_config.ca_cert_pem"), "{output}");
}

/// Documentation shows blocks by themselves, and that is how they are pasted.
#[tokio::test]
async fn a_block_at_the_top_of_a_file_is_told_where_it_belongs() {
    for (_, block) in PROVIDERS {
        let (code, output) = check(block).await;
        assert_ne!(code, Some(0), "{output}");
        for name in object(block).keys() {
            let told = format!("unknown key `{name}`; it looks like one of `providers`, and belongs below it");
            assert!(output.contains(&told), "{told} in {output}");
        }
    }
}

/// With the address of the service written into it, as whoever has a service of their own does.
#[tokio::test]
async fn every_block_does_what_it_says() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|seen: &Seen| match (seen.path.contains("embed"), seen.json()["stream"] == true) {
        (true, _) => Reply::json(200, &json!({"object": "list", "data": [], "model": "m"})),
        (false, true) => Reply::sse(&Dialect::OpenAi.frames(&Dialect::OpenAi.stream("hi"))),
        (false, false) => Reply::json(200, &Dialect::OpenAi.whole("hi")),
    });
    let mut providers = providers();
    for block in providers.values_mut() {
        block["network_config"]["base_url"] = json!(upstream.url());
        block["network_config"]["allow_private_network"] = json!(true);
    }
    // Whole URLs are addresses, too.
    let to_upstream = json!({"chat_completion": format!("{}/chat", upstream.url()), "embedding": format!("{}/embeddings", upstream.url())});
    providers["overrides-1"]["custom_provider_config"]["request_path_overrides"] = to_upstream;
    let setup = ENVIRONMENT.iter().fold(Setup::new(), |setup, name| setup.environment(name, KEY));
    let gateway = setup.section("providers", Value::Object(providers.clone())).start().await;
    assert_eq!(gateway.get("/api/plugins").await.json()["troubles"], json!([]));

    for (name, block) in &providers {
        let custom = &block["custom_provider_config"];
        let allows = |kind: &str| custom.get("allowed_requests").is_none_or(|allowed| allowed[kind] == true);
        let path = |kind: &str, usual: &str| {
            let over = custom["request_path_overrides"][kind].as_str().unwrap_or(usual);
            over.trim_start_matches(&upstream.url()).to_owned()
        };
        let model = format!("{name}/gpt-4o-mini");
        let chat = "/v1/chat/completions";
        for (kind, usual, answer) in [
            ("chat_completion", chat, gateway.chat(&model, "Hello!").await),
            ("chat_completion_stream", chat, gateway.stream(&model, "Hello!").await),
            (
                "embedding",
                "/v1/embeddings",
                gateway.post("/v1/embeddings", &json!({"model": model, "input": "Hello!"})).await,
            ),
        ] {
            if !allows(kind) {
                assert_eq!(answer.openai_error(501)["code"], "operation_not_supported", "{name}, {kind}");
                continue;
            }
            assert_eq!(answer.status, 200, "{name}, {kind}: {}", answer.text());
            let came = |seen: &Seen| {
                seen.path == path(kind, usual) && seen.header("authorization") == Some(&format!("Bearer {KEY}"))
            };
            assert!(upstream.requests().iter().any(came), "{name}, {kind}: {:?}", upstream.last_request());
        }
    }
}
