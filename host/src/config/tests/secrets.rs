//! No message and no `Debug` shows a secret, wherever in the file it was put.

use super::{env, read, refusal};
use crate::config::parse;
use std::path::Path;

const SECRET: &str = "sk-proj-3f9aQ7wLx2";

#[test]
fn a_good_configuration_shows_no_secret() {
    let yaml = format!(
        "
providers:
  openai:
    keys: [{{value: {SECRET}}}, {{value: env.OPENAI_API_KEY}}]
    network_config: {{extra_headers: {{x-api-key: {SECRET}}}}}
    headers: {{Authorization: Basic {SECRET}}}
admin: {{key: {SECRET}}}
encryption_key: {SECRET}
"
    );
    let loaded = read(&yaml);
    let shown = format!("{loaded:?} {loaded:#?}");
    assert!(!shown.contains(SECRET), "{shown}");
    assert!(!shown.contains("sk-from-the-environment"), "{shown}");

    let keys = &loaded.config.providers["openai"].keys;
    assert_eq!(keys[0].secret.expose(), SECRET);
    assert_eq!(keys[1].secret.expose(), "sk-from-the-environment");
}

#[test]
fn no_mistake_shows_a_misplaced_secret() {
    let misplaced = [
        "providers: {a: {keys: S}}",
        "providers: {a: {keys: [S]}}",
        "providers: {a: {keys: [{value: [S]}]}}",
        "providers: {a: {keys: [{value: {S: S}}], listen: S}}",
        "providers: {a: {keys: [{value: \"S\\n\"}]}}",
        "providers: {a: {keys: [{value: env.S}]}}",
        "providers: {a: {keys: [{value:S}]}}",
        "providers: {a: {keys: [{S}]}}",
        "providers: {a: {keys: [{weight: S}]}}",
        "providers: {a: {keys: [{aliases: {fast:S}}]}}",
        "providers: {a: {keyz: S}}",
        "providers: {a: S}",
        "providers: S",
        "providers: {a: {network_config: S}}",
        "providers: {a: {network_config: {base_url: 'https://S@host'}}}",
        "providers: {a: {network_config: {base_url: 'https://host?key=S'}}}",
        "providers: {a: {network_config: {base_url: 'S'}}}",
        "providers: {a: {network_config: {extra_headers: S}}}",
        "providers: {a: {network_config: {extra_headers: {a: [S]}}}}",
        "providers: {a: {network_config: {extra_headers: {a: \"S\\r\"}}}}",
        "providers: {a: {network_config: {ca_cert_pem: '-----BEGIN PRIVATE KEY----- S'}}}",
        "providers: {a: {network_config: {extra_headers: {x-key:S}}}}",
        "providers: {a: {custom_provider_config: {allowed_requests: {S: true}}}}",
        "providers: {a: {headers: {a: \"S\\n\"}}}",
        "providers: {a: {plugin: ../S}}",
        "listen: S",
        "listen:S",
        "providers: {a: {settings: S}}",
        "policies: [[S]]",
        "admin: {key: [S]}",
        "admin: {key: \"S\\n\"}",
        "admin: {key: env.S}",
        "encryption_key: {S: S}",
        "encryption_key: env.S",
    ];
    for yaml in misplaced {
        let told = refusal(&yaml.replace('S', SECRET)).join("\n");
        assert!(!told.contains(SECRET), "{told}");
    }
}

#[test]
fn no_yaml_fault_quotes_the_text() {
    for yaml in [
        "value: *S",
        "value: \"S",
        "value: 'S",
        "value: @S",
        "value: %S: S: S",
        "value: !<S",
        "%S\n",
        "value: \"\\qS",
        "S: [",
        "\tS",
        "&S",
        "!S!S S",
    ] {
        let yaml = yaml.replace('S', SECRET);
        if let Err(mistakes) = parse(&yaml, Path::new(""), &env) {
            let told: Vec<_> = mistakes.0.iter().map(|mistake| &mistake.message).collect();
            assert!(told.iter().all(|message| !message.contains(SECRET)), "{told:?} for {yaml}");
        }
    }
}

#[test]
fn a_key_in_the_file_is_warned_about() {
    let warnings = read("providers: {openai: {keys: [{value: x}, {value: env.OPENAI_API_KEY}]}}").warnings;
    assert_eq!(warnings, ["providers.openai.keys[0].value: the key stands in the file; env.NAME would keep it out"]);
}
