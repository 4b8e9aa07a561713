//! What comes through the admin API: read as the file is, shown without its secrets, and second to the file.

use super::{env, read};
use crate::config::stored::{Stored, keep_secrets, submitted};
use crate::config::{Block, Config, Loaded, Mistakes, Owner, Secrets, read_block};
use serde_json::{Value, json};

fn block(value: Value) -> Block {
    value.as_object().cloned().expect("an object")
}

fn with(yaml: &str, stored: &[(&str, Result<Value, &str>)]) -> Loaded {
    let blocks =
        stored.iter().map(|(name, value)| ((*name).to_owned(), value.clone().map(block).map_err(str::to_owned)));
    read(yaml).config.with_stored_in(&Stored { blocks: blocks.collect(), trouble: None }, &env)
}

fn shown(config: &Config, name: &str) -> Value {
    config.shown[name].block.clone().map_or(Value::Null, Value::Object)
}

fn told(mistakes: Mistakes) -> Vec<String> {
    mistakes.0.iter().map(ToString::to_string).collect()
}

#[test]
fn stored_providers_stand_beside_those_of_the_file() {
    let stored = json!({"plugin": "acme", "keys": [{"value": "env.OPENAI_API_KEY"}]});
    let Loaded { config, warnings } = with("providers: {echo: {}}", &[("mine", Ok(stored))]);
    assert_eq!(config.providers.keys().collect::<Vec<_>>(), ["echo", "mine"]);
    assert_eq!((config.providers["echo"].owner, config.providers["mine"].owner), (Owner::File, Owner::Api));
    assert_eq!(config.providers["mine"].keys[0].secret.expose(), "sk-from-the-environment");
    assert_eq!(warnings, Vec::<String>::new());
}

#[test]
fn the_file_wins() {
    let Loaded { config, warnings } =
        with("providers: {echo: {models: [a]}}", &[("echo", Ok(json!({"models": ["b"]})))]);
    let echo = &config.providers["echo"];
    assert_eq!((echo.owner, echo.models[0].name.as_str(), echo.models.len()), (Owner::File, "a", 1));
    assert!(config.shown["echo"].hides_stored);
    assert_eq!(warnings.len(), 1);
    assert!(warnings[0].starts_with("api: providers.echo: the configuration file has a provider of this name too"));
}

/// Wherever it stands. Looked for once all providers are together.
#[test]
fn addresses_that_lead_nowhere_are_told() {
    let yaml = "
providers:
  one:
    plugin: acme
    keys: [{value: x, models: [real], aliases: {nick: real}}]
    models: [{name: org/m, fallback_models: [mine/x, nick, tow/x]}]
    fallbacks: [tow]
models:
  fast: {targets: [tow/m], fallbacks: [one, fast, tow/y]}";
    let warnings = with(yaml, &[("mine", Ok(json!({"plugin": "acme"})))]).warnings;
    let places: Vec<&str> = warnings.iter().filter_map(|warning| warning.split(": ").next()).collect();
    assert_eq!(
        places,
        [
            "models.fast.fallbacks[2]",
            "providers.one.fallbacks[0]",
            "providers.one.models.\"org/m\".fallback_models[2]",
            "models.fast.targets[0]",
        ]
    );
}

/// One that has become wrong is out of use; its neighbours are not.
#[test]
fn what_is_wrong_with_one_harms_no_other() {
    let stored = [
        ("gone", Ok(json!({"plugin": "acme", "keys": [{"value": "env.GONE"}]}))),
        ("good", Ok(json!({"plugin": "acme"}))),
        ("sealed", Err("no key")),
    ];
    let config = with("", &stored).config;
    let unusable = |name: &str| config.providers[name].unusable.as_deref();
    assert_eq!(unusable("gone"), Some("keys[0].value: the environment variable GONE is not set"));
    assert_eq!(unusable("good"), None);
    assert_eq!(unusable("sealed"), Some("no key"));
    assert_eq!(config.providers["gone"].place(), "api: providers.gone");
}

#[test]
fn secrets_are_shown_as_masks_and_references_as_they_are() {
    let secrets = json!({
        "plugin": "acme",
        "keys": [{"name": "a", "value": "sk-1"}, {"value": "env.OPENAI_API_KEY"}],
        "network_config": {"extra_headers": {"x-team": "research", "x-ref": "env.OPENAI_API_KEY"}},
        "headers": {
            "Authorization": "Bearer {{api_key}}", "X-Basic": "Basic {{model}} c2VjcmV0", "X-Plain": "secret",
            "X-Long": "{{model}}abcdefghi", "X-Open": "{{model", "X-Mask": "{{{api_key}}}",
        },
    });
    let masked = json!({
        "plugin": "acme",
        "keys": [{"name": "a", "value": "***"}, {"value": "env.OPENAI_API_KEY"}],
        "network_config": {"extra_headers": {"x-team": "***", "x-ref": "env.OPENAI_API_KEY"}},
        "headers": {
            "Authorization": "Bearer {{api_key}}", "X-Basic": "***", "X-Plain": "***",
            "X-Long": "***", "X-Open": "***", "X-Mask": "***",
        },
    });
    let of_file = read(&json!({"providers": {"mine": secrets}}).to_string()).config;
    assert_eq!(shown(&of_file, "mine"), masked);
    assert_eq!(shown(&with("", &[("mine", Ok(secrets))]).config, "mine"), masked);
}

#[test]
fn without_encryption_only_references_are_taken() {
    let secrets = block(json!({
        "keys": [{"value": "sk-1"}, {"name": "b", "value": "sk-2"}],
        "network_config": {"extra_headers": {"x-team": "research"}},
        "headers": {"X-Basic": "Basic c2VjcmV0", "X-Caller": "{{model}}"},
    }));
    let refused = told(read_block("acme", &secrets, Secrets::Refused).expect_err("secrets"));
    let places: Vec<&str> = refused.iter().filter_map(|told| told.split(": ").next()).collect();
    assert_eq!(places, ["keys[0].value", "keys[1].value", "network_config.extra_headers.x-team", "headers.X-Basic"]);
    assert!(refused[0].contains("env.NAME") && refused[0].contains("encryption_key"), "{}", refused[0]);
    assert_eq!(read_block("acme", &secrets, Secrets::Taken), Ok(()));
}

#[test]
fn all_mistakes_are_told_by_their_place_in_the_block() {
    let wrong = block(json!({"keys": [{"valu": "sk-1"}], "network_config": {"base_url": "ftp://x"}, "wieght": 1}));
    let told = told(read_block("bad\nname", &wrong, Secrets::Taken).expect_err("mistakes"));
    for start in [
        "keys[0].valu: unknown key",
        "network_config.base_url: must begin",
        "wieght: unknown key",
        "provider: the name",
    ] {
        assert!(told.iter().any(|told| told.starts_with(start)), "{start} in {told:?}");
    }
}

/// Whoever mends the one would only then hear of the other.
#[test]
fn a_secret_that_may_not_be_there_is_told_beside_what_else_is_wrong() {
    let wrong = block(json!({"keys": [{"value": "sk-1"}], "wieght": 1, "headers": {"X-Basic": "***"}}));
    let told = told(read_block("acme", &wrong, Secrets::Refused).expect_err("mistakes"));
    assert_eq!(told.len(), 3, "{told:?}");
    for start in ["wieght: unknown key", "headers.X-Basic: is what secrets are shown as", "keys[0].value: is a secret"]
    {
        assert!(told.iter().any(|told| told.starts_with(start)), "{start} in {told:?}");
    }
}

/// Else whoever may write providers could have any file of this machine sent to them.
#[test]
fn files_are_for_the_configuration_file_alone() {
    let wrong = block(json!({
        "keys": [{"value": "file./etc/shadow"}],
        "network_config": {"extra_headers": {"x-key": "file.key"}, "ca_cert_pem": "file.ca.pem"},
        "proxy_config": {"type": "http", "url": "http://proxy.example.com:3128", "username": "u", "password": "file.p"},
    }));
    let told = told(read_block("acme", &wrong, Secrets::Taken).expect_err("files"));
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.iter().all(|told| told.contains("only the configuration file may; write env.NAME")), "{told:?}");
}

#[test]
fn a_body_names_its_provider_unless_the_address_does() {
    let submit = |body: &str, addressed| submitted(body.as_bytes(), addressed).map_err(told);
    let named = |result: Result<(String, Block), Vec<String>>| result.map(|(name, block)| (name, Value::Object(block)));
    assert_eq!(named(submit(r#"{"provider": "a", "models": []}"#, None)), Ok(("a".to_owned(), json!({"models": []}))));
    assert_eq!(named(submit(r#"{"models": []}"#, Some("a"))), Ok(("a".to_owned(), json!({"models": []}))));
    let shown = r#"{"provider": "a", "source": "api", "state": "ready", "trouble": "", "hides_stored": true}"#;
    assert_eq!(named(submit(shown, Some("a"))), Ok(("a".to_owned(), json!({}))));
    for (body, addressed, told) in [
        ("{}", None, "provider: is missing"),
        (r#"{"provider": 1}"#, None, "provider: must be a string"),
        (r#"{"provider": "b"}"#, Some("a"), "provider: is not the name in the address"),
        ("[]", None, "body: must be an object"),
        ("", None, "body: is not JSON"),
        ("{\"provider\"", None, "body: is not JSON"),
        (
            r#"{"provider": "a", "keys": [{"name": "x", "name": "y"}]}"#,
            None,
            "keys[0].name: this key stands here twice",
        ),
    ] {
        let mistakes = submit(body, addressed).expect_err(body);
        assert!(mistakes[0].starts_with(told), "{mistakes:?} for {body}");
    }
    let several = submit(r#"{"wieght": 1}"#, None).expect_err("two mistakes");
    assert_eq!(several.len(), 2, "{several:?}");
}

#[test]
fn what_was_masked_keeps_its_secret() {
    let replaced = block(json!({
        "keys": [{"name": "a", "value": "sk-a"}, {"value": "sk-b"}, {"name": "c", "value": "env.C"}],
        "network_config": {"extra_headers": {"x-team": "research"}},
        "headers": {"X-Basic": "Basic c2VjcmV0"},
    }));
    let mut sent_back = block(json!({
        "keys": [{"name": "c", "weight": 2}, {"name": "key-2", "value": "***"}, {"name": "a", "value": "sk-new"}, {"name": "d"}],
        "network_config": {"extra_headers": {"x-team": "***", "x-other": "***"}},
        "headers": {"X-Basic": "***"},
    }));
    keep_secrets(&mut sent_back, &replaced);
    assert_eq!(
        Value::Object(sent_back),
        json!({
            "keys": [
                {"name": "c", "weight": 2, "value": "env.C"}, {"name": "key-2", "value": "sk-b"},
                {"name": "a", "value": "sk-new"}, {"name": "d"},
            ],
            "network_config": {"extra_headers": {"x-team": "research", "x-other": "***"}},
            "headers": {"X-Basic": "Basic c2VjcmV0"},
        })
    );
}

#[test]
fn a_mask_without_a_secret_behind_it_is_a_mistake() {
    let masks = block(json!({"keys": [{"value": "***"}], "headers": {"x": "***"}}));
    let told = told(read_block("acme", &masks, Secrets::Taken).expect_err("masks"));
    assert!(told.iter().all(|told| told.contains("is what secrets are shown as")), "{told:?}");
    assert_eq!(told.len(), 2);
}
