//! What only plugins can find wrong with a provider's block is a mistake of the configuration all the same: told with its
//! path, all at once, by `check`, by a reload and by the admin API; and never a reason for others not to be served.

use crate::gateway::{BINARY, Gateway, Setup, openai, wait_until};
use crate::guests::Component;
use serde_json::{Value, json};

/// `provider-acme`, whose paths nothing can take the place of.
fn acme_with_fixed_paths() -> Component {
    let schema = json!({"x-plugway-fixed-paths": true}).to_string();
    Component::acme("1.0.0").stamped(&json!({"name": "provider-acme", "version": "1.0.0", "settings_schema": schema}))
}

/// With the first-party plugins, `acme`, and a provider that works.
async fn gateway(acme: Component) -> Gateway {
    Setup::new().plugin("acme.wasm", acme).provider("echo", json!({"models": ["echo"]})).start().await
}

/// `check` with this provider in the configuration: the code, and what is told.
async fn check(gateway: &Gateway, block: &Value) -> (Option<i32>, String) {
    let mut config = gateway.config.clone();
    config["providers"]["wrong"] = block.clone();
    let file = gateway.config_file.with_file_name("checked.yaml");
    std::fs::write(&file, Value::Object(config).to_string()).expect("a configuration");
    let output = tokio::process::Command::new(BINARY).arg("check").arg("--config").arg(&file).output().await;
    let output = output.expect("it starts");
    (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
}

/// Each of these is told by its path in the block and a word, in each of the three ways; and nothing else is.
async fn assert_told(gateway: &Gateway, block: &Value, expected: &[(&str, &str)]) {
    let (code, output) = check(gateway, block).await;
    assert_eq!(code, Some(1), "{output}");
    for (path, word) in expected {
        let start = format!("providers.wrong.{path}: ");
        let told = output.lines().any(|line| line.starts_with(&start) && line.contains(word));
        assert!(told, "a line for {path} with {word} in\n{output}");
    }
    assert_eq!(output.lines().filter(|line| line.starts_with("providers.wrong")).count(), expected.len(), "{output}");

    let mut posted = block.clone();
    posted["provider"] = json!("wrong");
    let answer = gateway.post("/api/providers", &posted).await;
    assert_eq!(answer.openai_error(422)["code"], "provider_unusable");
    let mistakes = answer.json()["mistakes"].as_array().cloned().expect("a list");
    for (path, word) in expected {
        let told = |told: &Value| told["path"] == *path && told["message"].as_str().unwrap().contains(word);
        assert!(mistakes.iter().any(told), "{path} and {word} in {mistakes:?}");
    }
    assert_eq!(mistakes.len(), expected.len(), "{mistakes:?}");

    gateway.reconfigure(|config| config["providers"]["wrong"] = block.clone());
    for (path, word) in expected {
        gateway.wait_for_log(&["ERROR", "refused", &format!("providers.wrong.{path}: "), word]).await;
    }
    assert_eq!(gateway.chat("echo", "still here").await.status, 200);
    gateway.chat("wrong/m", "hello").await.openai_error(404);
}

#[tokio::test]
async fn all_that_plugins_find_is_told_at_once() {
    let gateway = gateway(acme_with_fixed_paths()).await;
    let block = json!({
        "plugin": "acme",
        "keys": [{"value": "env.PATH"}],
        "settings": {"behave": "strangely"},
        "custom_provider_config": {"request_path_overrides": {"chat_completion": "/chat"}},
        "headers": {"X-Who": "{{whoever}}", "X-Where": "{{wherever}}", "X-Good": "{{model}}"},
    });
    let expected = [
        ("settings", "strangely"),
        ("custom_provider_config.request_path_overrides", "makes its paths from more than the operation"),
        ("headers.x-who", "unknown variable `whoever`"),
        ("headers.x-where", "unknown variable `wherever`"),
    ];
    assert_told(&gateway, &block, &expected).await;
}

/// The model stands in such a plugin's paths, for instance.
#[tokio::test]
async fn paths_that_are_fixed_are_not_replaced() {
    let gateway = gateway(acme_with_fixed_paths()).await;
    let block = json!({
        "plugin": "acme",
        "custom_provider_config": {"request_path_overrides": {"chat_completion": "/chat"}},
    });
    let path = "custom_provider_config.request_path_overrides";
    assert_told(&gateway, &block, &[(path, "remove it")]).await;
    let without = json!({"provider": "right", "plugin": "acme"});
    assert_eq!(gateway.post("/api/providers", &without).await.status, 201);
}

#[tokio::test]
async fn a_key_without_an_address_to_go_to_is_a_mistake() {
    let gateway = gateway(Component::acme("1.0.0")).await;
    let mut block = json!({"plugin": "acme", "keys": [{"value": "env.PATH"}], "settings": {"behave": "send", "credential": "api_key"}});
    assert_told(&gateway, &block, &[("network_config.base_url", "is missing")]).await;
    block["provider"] = json!("right");
    block["network_config"] = json!({"base_url": "https://api.example.com"});
    assert_eq!(gateway.post("/api/providers", &block).await.status, 201);
}

/// Who calls is known where the configuration says which header tells; the refusal says how.
#[tokio::test]
async fn a_template_that_asks_for_an_unknown_caller_is_a_mistake() {
    let gateway = gateway(Component::acme("1.0.0")).await;
    let mut block = openai("https://api.example.com");
    block["keys"][0]["value"] = json!("env.PATH");
    block["headers"] = json!({"X-User-Email": "{{email}}"});
    assert_told(&gateway, &block, &[("headers.x-user-email", "`callers.email_header` must name the header")]).await;
}

/// There is nothing to fall back on, and others are not to wait for it.
#[tokio::test]
async fn at_start_what_plugins_find_takes_out_one_provider_alone() {
    let mut block = openai("https://api.example.com");
    block["headers"] = json!({"X-Who": "{{whoever}}"});
    let gateway = Gateway::with(&[("echo", json!({"models": ["echo"]})), ("wrong", block)]).await;
    assert_eq!(gateway.chat("echo", "hello").await.status, 200);
    assert_eq!(gateway.chat("wrong/m", "hello").await.openai_error(503)["code"], "provider_unavailable");
    gateway.wait_for_log(&["ERROR", "providers.wrong.headers.x-who: unknown variable `whoever`"]).await;
    let troubles = gateway.get("/api/plugins").await.json()["troubles"].clone();
    assert!(troubles[0].as_str().is_some_and(|told| told.starts_with("providers.wrong.headers.x-who: ")), "{troubles}");

    gateway.reconfigure(|config| config["providers"]["wrong"]["headers"] = json!({"X-Who": "{{model}}"}));
    wait_until("the mended file", || async { gateway.get("/api/plugins").await.json()["troubles"] == json!([]) }).await;
}
