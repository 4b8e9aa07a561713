//! `plugway check` tells all mistakes at once, each with its path and what would be right; a gateway with a mistaken
//! configuration does not start.

use crate::gateway::{Setup, cache_folder, copy_first_party, run};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a configuration and the first-party plugins.
fn folder_with(config: &str) -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::create_dir(folder.path().join("plugins")).unwrap();
    copy_first_party(&folder.path().join("plugins"));
    std::fs::write(folder.path().join("plugway.yaml"), config).unwrap();
    folder
}

async fn command(subcommand: &str, config: &str) -> (Option<i32>, String) {
    let folder = folder_with(config);
    run(&[subcommand, "--config", folder.path().join("plugway.yaml").to_str().unwrap()]).await
}

/// Adds what every configuration here needs, and checks it.
async fn check(mut config: Value) -> (Option<i32>, String) {
    config["plugins"]["cache_directory"] = json!(cache_folder());
    command("check", &config.to_string()).await
}

/// Checks a configuration in which everything named here is wrong, each by its path and a word of the remedy.
async fn assert_mistakes(config: Value, mistakes: &[(&str, &str)]) {
    let (code, output) = check(config).await;
    assert!(code.is_some_and(|code| code != 0), "{output}");
    for (path, word) in mistakes {
        let told = output.lines().any(|line| line.contains(path) && line.contains(word));
        assert!(told, "a line with {path} and {word}:\n{output}");
    }
}

#[tokio::test]
async fn a_good_configuration_is_good() {
    let config = json!({
        "listen": "127.0.0.1:0",
        "providers": {
            "echo": {},
            "openai": {"keys": [{"name": "main", "value": "sk-1"}], "models": ["gpt-4o"]},
            "mine": {
                "plugin": "openai@^0.1",
                "keys": [{"name": "main", "value": "sk-1", "models": ["m"], "weight": 0.5, "aliases": {"m": "n"}}],
                "network_config": {"base_url": "https://api.example.com/v1", "extra_headers": {"x-a": "b"}},
                "custom_provider_config": {
                    "allowed_requests": {"chat_completion": true},
                    "request_path_overrides": {"chat_completion": "/chat"},
                },
                "headers": {"Authorization": "Bearer {{api_key}}", "X-Model": "{{model}}"},
            },
        },
    });
    let (code, output) = check(config).await;
    assert_eq!(code, Some(0), "{output}");
}

#[tokio::test]
async fn all_mistakes_are_told_at_once() {
    assert_mistakes(
        json!({
            "lisen": "127.0.0.1:8080",
            "limits": {"body_mb": "many", "connections": -1},
            "log": {"level": "loud"},
            "providers": {
                "one": {"plugin": "openai@banana", "keys": [{"name": "main", "value": "sk-1", "wieght": 1}]},
                "two": {
                    "plugin": "openai",
                    "keys": [{"name": "a"}, {"name": "b", "value": "sk-1", "weight": -1}],
                    "network_config": {"base_url": "ftp://example.com", "insecure_skip_verify": "perhaps"},
                    "custom_provider_config": {"allowed_requests": {"chat_completions": true}},
                },
                "three": {"plugin": "openai", "keys": [{"value": "env.PLUGWAY_TEST_NOT_SET"}]},
            },
        }),
        &[
            ("lisen", "listen"),
            ("limits.body_mb", ""),
            ("limits.connections", ""),
            ("log.level", ""),
            ("providers.one.plugin", "^1.2"),
            ("providers.one.keys[0].wieght", "weight"),
            ("providers.two.keys[0].value", "missing"),
            ("providers.two.keys[1].weight", ""),
            ("providers.two.network_config.base_url", "http"),
            ("providers.two.network_config.insecure_skip_verify", ""),
            ("providers.two.custom_provider_config.allowed_requests", "chat_completion"),
            ("providers.three.keys[0].value", "PLUGWAY_TEST_NOT_SET"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_two_ways_of_trust_exclude_each_other() {
    let pem = include_str!("../../host/src/config/tests/ca.pem");
    let network = json!({"insecure_skip_verify": true, "ca_cert_pem": pem});
    assert_mistakes(
        json!({"providers": {"a": {"plugin": "openai", "keys": [{"value": "k"}], "network_config": network}}}),
        &[("providers.a.network_config.insecure_skip_verify", "ca_cert_pem")],
    )
    .await;
}

/// Found when the file is loaded, and not with the first request.
#[tokio::test]
async fn a_certificate_that_is_none_is_a_mistake() {
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    assert_mistakes(
        json!({"providers": {"a": {
            "plugin": "openai", "keys": [{"value": "k"}], "network_config": {"ca_cert_pem": pem},
        }}}),
        &[("providers.a.network_config.ca_cert_pem", "certificate")],
    )
    .await;
}

/// Whoever greps or ships the log line by line misses none of them.
#[tokio::test]
async fn all_mistakes_of_a_reload_stand_in_one_line_of_the_log() {
    let gateway = Setup::bare().start().await;
    gateway.write_config("listen: nowhere\nlimits: {body_mb: 0}\n");
    gateway.wait_for_log(&["ERROR", "refused", "listen (line 1)", "limits.body_mb (line 2)"]).await;
}

/// What only plugins know is checked too: what there is, what it takes, what its templates may say.
#[tokio::test]
async fn mistakes_that_plugins_find_are_told() {
    assert_mistakes(
        json!({"providers": {
            "gone": {"plugin": "no-such-plugin"},
            "future": {"plugin": "echo@^99"},
            "settings": {"plugin": "echo", "settings": {"loudness": 11}},
            "preset": {"plugin": "openai", "preset": "grok", "keys": [{"value": "sk-1"}]},
            "template": {
                "plugin": "openai",
                "keys": [{"value": "sk-1"}],
                "headers": {"X-Who": "{{whoever}}", "X-Open": "{{model"},
            },
            "keyless": {"plugin": "openai"},
        }}),
        &[
            ("providers.gone", "no-such-plugin"),
            ("providers.future", "99"),
            ("providers.settings", "loudness"),
            ("providers.preset", "grok"),
            ("providers.template", "whoever"),
            ("providers.template", "x-open"),
            ("providers.keyless", "key"),
        ],
    )
    .await;
}

#[tokio::test]
async fn what_is_no_yaml_is_told_with_its_line() {
    let (code, output) = command("check", "providers:\n  echo: {plugin: echo}\n  echo: [\n").await;
    assert!(code.is_some_and(|code| code != 0), "{output}");
    assert!(output.contains("line"), "{output}");
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told_by_its_name() {
    let (code, output) = run(&["check", "--config", "/nowhere/plugway.yaml"]).await;
    assert!(code.is_some_and(|code| code != 0), "{output}");
    assert!(output.contains("/nowhere/plugway.yaml"), "{output}");
}

#[tokio::test]
async fn a_gateway_with_a_mistaken_configuration_does_not_start() {
    let (code, output) = command("serve", r#"{"providers": {"echo": {"plugn": "echo"}}}"#).await;
    assert!(code.is_some_and(|code| code != 0), "{output}");
    assert!(output.contains("providers.echo.plugn") && output.contains("plugin"), "{output}");
}

/// A block as another gateway's users have it pastes in and works.
#[tokio::test]
async fn a_block_in_bifrosts_shape_is_taken() {
    let config = json!({"providers": {"my-openai": {
        "keys": [{"name": "my-key", "value": "sk-1", "models": [], "weight": 1.0}],
        "network_config": {"base_url": "https://api.example.com"},
        "custom_provider_config": {
            "base_provider_type": "openai",
            "allowed_requests": {
                "list_models": false,
                "text_completion": false,
                "text_completion_stream": false,
                "chat_completion": true,
                "chat_completion_stream": true,
                "embedding": false,
                "speech": false,
                "speech_stream": false,
                "transcription": false,
                "transcription_stream": false,
            },
            "request_path_overrides": {"chat_completion": "/v1/chat/completions"},
        },
    }}});
    let (code, output) = check(config).await;
    assert_eq!(code, Some(0), "{output}");
}
