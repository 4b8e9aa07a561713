//! What others have written works, and so does what we tell people to write.

use super::{provider, read};
use crate::config::reader::{Field, Typed};
use crate::config::typed::File;
use crate::config::{AllowedRequests, Tls, parse};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/examples")
}

fn text_of(name: &str) -> String {
    let path = examples().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|fault| panic!("{}: {fault}", path.display()))
}

#[test]
fn every_example_is_a_good_configuration() {
    let mut count = 0;
    for entry in std::fs::read_dir(examples()).expect("the folder of the examples") {
        let path = entry.expect("an example").path();
        if path.extension().is_some_and(|ending| ending == "yaml" || ending == "json") {
            let text = std::fs::read_to_string(&path).expect("an example");
            let variables_are_set = |name: &str| Some(format!("value-of-{name}"));
            if let Err(mistakes) = parse(&text, Path::new(""), &variables_are_set) {
                panic!("{}: {mistakes}", path.display());
            }
            count += 1;
        }
    }
    assert!(count > 3, "the examples have moved");
}

fn visit(fields: &'static [Field], path: &str, seen: &mut dyn FnMut(&str, &Field)) {
    for field in fields {
        let path = if path.is_empty() { field.name.to_owned() } else { format!("{path}.{}", field.name) };
        seen(&path, field);
        visit((field.inside)(), &path, seen);
    }
}

#[test]
fn the_long_example_shows_every_key() {
    let example = text_of("plugway.yaml");
    visit(File::fields(), "", &mut |path, field| {
        assert!(example.contains(&format!("{}:", field.name)), "plugway.yaml does not mention {path}");
    });
}

/// Run with `UPDATE=1` to write the page anew.
#[test]
fn the_reference_is_up_to_date() {
    let mut page =
        "# Every key of a configuration\n\nGenerated from `host/src/config/typed.rs`; a test holds it up to \
                    date. `<name>` stands for a name of your own, `[]` for each item of a list.\n"
            .to_owned();
    visit(File::fields(), "", &mut |path, field| {
        let path = match path.split_once('.') {
            Some((names @ ("providers" | "models"), rest)) => format!("{names}.<name>.{rest}"),
            _ => path.to_owned(),
        };
        let path = path.replace("<name>.models.", "<name>.models[].");
        let path = ["keys", "policies", "targets"]
            .iter()
            .fold(path, |path, list| path.replace(&format!("{list}."), &format!("{list}[].")));
        let shape = (field.shape)();
        let shape = if (field.inside)().is_empty() { format!(" *{shape}*") } else { String::new() };
        write!(page, "\n* `{path}`:{}{shape}\n", field.help.trim_end()).expect("room for a page");
    });
    #[expect(clippy::disallowed_methods, reason = "a switch of this test alone")]
    let update = std::env::var_os("UPDATE").is_some();
    if update {
        std::fs::write(examples().join("reference.md"), &page).expect("a writable page");
    }
    assert_eq!(text_of("reference.md"), page, "run this test with UPDATE=1");
}

/// The shapes that Bifrost's documentation shows, in small versions of our own.
#[test]
fn blocks_of_bifrost_paste_in() {
    let chat_only = r#"{
        "$schema": "https://example.com/schema.json",
        "providers": {
            "openai-custom": {
                "keys": [{"name": "first", "value": "env.OPENAI_API_KEY", "models": [], "weight": 1.0}],
                "custom_provider_config": {
                    "base_provider_type": "openai",
                    "allowed_requests": {
                        "list_models": false, "text_completion": false, "text_completion_stream": false,
                        "chat_completion": true, "chat_completion_stream": true, "responses": false,
                        "responses_stream": false, "embedding": false, "speech": false, "speech_stream": false,
                        "transcription": false, "transcription_stream": false
                    },
                    "request_path_overrides": {"chat_completion": "/v1/chat/completions"}
                }
            }
        }
    }"#;
    let provider_meant = provider(chat_only);
    assert_eq!(provider_meant.plugin.name, "openai");
    let AllowedRequests::Only(allowed) = &provider_meant.allowed else { panic!("everything is allowed") };
    assert_eq!(
        allowed.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["chat_completion", "chat_completion_stream"]
    );

    let own_paths = r#"{"providers": {"own": {
        "network_config": {"base_url": "https://llm.example.com"},
        "custom_provider_config": {
            "base_provider_type": "openai",
            "request_path_overrides": {
                "chat_completion": "/api/v2/chat", "chat_completion_stream": "/api/v2/chat",
                "embedding": "http://embeddings:8080/embed", "text_completion": "/v1/completions"
            }
        }
    }}}"#;
    assert_eq!(provider(own_paths).path_overrides.len(), 4);

    let unverified = r#"{"providers": {"air-gapped": {
        "keys": [{"name": "key-1", "value": "env.OPENAI_API_KEY", "models": [], "weight": 1.0}],
        "network_config": {"base_url": "https://llm.example.com", "insecure_skip_verify": true},
        "custom_provider_config": {"base_provider_type": "openai"}
    }}}"#;
    assert_eq!(provider(unverified).network.line.tls, Tls::Unverified);

    let own_authority = r#"{"providers": {"internal": {
        "network_config": {"ca_cert_pem": "CERTIFICATE"},
        "custom_provider_config": {"base_provider_type": "openai"}
    }}}"#;
    let two = include_str!("ca.pem").replace('\n', "\\n").repeat(2);
    let own_authority = &own_authority.replace("CERTIFICATE", &two);
    assert!(
        matches!(&provider(own_authority).network.line.tls, Tls::CustomCa(certificates) if certificates.len() == 2)
    );
}

#[test]
fn json_that_is_indented_with_tabs_is_yaml_enough() {
    assert_eq!(read("{\n\t\"providers\": {\n\t\t\"echo\": {}\n\t}\n}\n").config.providers.len(), 1);
}
