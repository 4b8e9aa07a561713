//! Mistakes of plugin authors are the normal case. Each one here has the sentence that the author reads: what is wrong, and
//! what to do.

use crate::gateway::run;
use crate::guests::Component;
use crate::tools::Project;
use serde_json::{Value, json};

/// What `plugway plugin check` says about a component, behind `error: `.
async fn told(component: &Component) -> String {
    let project = Project::new(component);
    let (code, text) = run(&["plugin", "check", &project.path("plugin.wasm")]).await;
    assert_eq!(code, Some(1), "{text}");
    let errors: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("  error: ")).collect();
    errors.join("\n")
}

fn wat(text: &str) -> Component {
    Component::of_bytes(&wat::parse_str(text).expect("WAT"))
}

fn acme(stamp: Value) -> Component {
    Component::acme("1.0.0").stamped(&stamp)
}

#[tokio::test]
async fn built_for_the_wrong_target() {
    assert_eq!(
        told(&wat("(module)")).await,
        "this is a core module, not a component; build it for the target `wasm32-wasip2`, or use `plugway plugin build`"
    );
    let wasip1 = r#"(module (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32))))"#;
    assert_eq!(
        told(&wat(wasip1)).await,
        "this is a core module, built for `wasm32-wasip1`; build it for the target `wasm32-wasip2`, or use `plugway plugin \
         build`"
    );
    assert_eq!(
        told(&Component::of_bytes(b"#!/bin/sh")).await,
        "this is not a WebAssembly file: it does not begin with the magic bytes `\\0asm`"
    );
    assert_eq!(told(&Component::of_bytes(b"")).await, "the file is empty; was it still being written?");
}

#[tokio::test]
async fn an_export_is_missing() {
    assert_eq!(
        told(&wat("(component)")).await,
        "the component exports none of Plugway's interfaces; end the plugin with `plugway_sdk::export!`"
    );
    let without_lifecycle = r#"(component (instance $i) (export "plugway:provider/provider@0.1.0" (instance $i)))"#;
    assert_eq!(
        told(&wat(without_lifecycle)).await,
        "the component does not export `plugway:plugin/lifecycle`, which every plugin has; end the plugin with \
         `plugway_sdk::export!`"
    );
    let without_functions = r#"(component (instance $i)
        (export "plugway:provider/provider@0.1.0" (instance $i))
        (export "plugway:plugin/lifecycle@0.1.0" (instance $i)))"#;
    assert_eq!(
        told(&wat(without_functions)).await,
        "an interface of the component is not as the contract says: instance export \
         `plugway:plugin/lifecycle@0.1.0` does not have export `describe`; rebuild the plugin with the SDK of this host"
    );
    let misspelt = r#"(component (instance $i) (export "plugway:provider/providers@0.1.0" (instance $i)))"#;
    assert_eq!(
        told(&wat(misspelt)).await,
        "the component exports `plugway:provider/providers@0.1.0`, which no version of this host knows; rebuild the plugin \
         with the SDK of this host, 0.1.0"
    );
}

#[tokio::test]
async fn a_contract_from_the_future() {
    assert_eq!(
        told(&Component::guest("provider_tomorrow")).await,
        "the plugin needs plugway:provider@0.9.0, which runs on hosts that offer 0.9.0 up to, but not including, 0.10.0; this \
         host, 0.1.0, offers plugway:provider@0.1.0; update the host, or rebuild the plugin with the SDK of this host"
    );
}

#[tokio::test]
async fn an_import_that_no_plugin_may_have() {
    let sentence = told(&Component::guest("provider_sockets")).await;
    assert!(sentence.starts_with("the plugin imports `wasi:sockets/"), "{sentence}");
    assert!(
        sentence.ends_with(
            "which a plugin may not use: plugins do no I/O, the host does; take out the code (or the dependency) that needs it"
        ),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_panic_while_it_is_loaded_is_shown_with_its_text() {
    let component = acme(json!({"name": "provider-acme", "version": "1.0.0", "in_describe": "trap"}));
    assert_eq!(
        told(&component).await,
        "the plugin cannot say who it is, as `describe` failed: the plugin trapped: it panicked or ran out of memory (a \
         panic's text is in the log)"
    );
    let project = Project::new(&component);
    let (_, text) = run(&["plugin", "check", &project.path("plugin.wasm")]).await;
    assert!(text.contains("this component traps where its stamp says"), "the panic's text: {text}");
}

#[tokio::test]
async fn a_panic_in_a_case_is_shown_with_its_text() {
    let project = Project::new(&Component::acme("1.0.0"))
        .case("a-panic", "settings.json", &json!({"behave": "panic"}))
        .case("a-panic", "plan.in.json", &json!({}));
    let (code, text) = project.test(&[]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(
            "a-panic/plan: the plugin trapped: it panicked or ran out of memory (a panic's text is in the log)\n"
        ),
        "{text}"
    );
    assert!(text.contains("panicked at"), "where and why: {text}");
}

#[tokio::test]
async fn a_manifest_that_lies() {
    let lying = |member: &str, value: &str| {
        let mut stamp = json!({"name": "provider-acme", "version": "1.0.0"});
        stamp[member] = json!(value);
        acme(stamp)
    };
    for (component, sentence) in [
        (
            lying("name", "Provider Acme"),
            "the plugin says that it is called \"Provider Acme\"; a name has lower-case letters, digits and hyphens, and at \
             most 64 of them",
        ),
        (
            lying("version", "1.0"),
            "the plugin says that its version is \"1.0\"; it must be a semantic version such as 1.4.2",
        ),
        (
            lying("settings_schema", "{\"type\": \"object\""),
            "its settings schema is no JSON Schema: it is no JSON (EOF while parsing an object at line 1 column 17)",
        ),
        (
            lying("settings_schema", "{\"properties\": {\"team\": {\"type\": \"text\"}}}"),
            "its settings schema is no JSON Schema: at /properties/team/type: \"text\" is not valid under any of the schemas \
             listed in the 'anyOf' keyword",
        ),
    ] {
        assert_eq!(told(&component).await, sentence);
    }
}

#[tokio::test]
async fn a_name_that_clashes() {
    let project = Project::new(&Component::acme("1.0.0"));
    let other = project.folder.path().join("other.wasm");
    std::fs::write(&other, Component::acme("1.0.0").rebuilt(1).bytes()).expect("another component");
    let (code, text) = run(&["plugin", "check", &project.path("plugin.wasm")]).await;
    assert_eq!(code, Some(1), "{text}");
    let sentence = format!(
        "  error: provider-acme@1.0.0 is another plugin of the same name and version, in {}; a gateway takes only one of \
         them: give this one another version\n",
        other.display()
    );
    assert!(text.contains(&sentence), "{text}");

    std::fs::write(&other, Component::acme("1.1.0").bytes()).expect("another component");
    let (code, text) = run(&["plugin", "check", &project.path("plugin.wasm")]).await;
    assert_eq!(code, Some(0), "{text}");
    let sentence = format!(
        "  warning: {} has provider-acme@1.1.0; configurations that name no range get 1.1.0, and `provider-acme@=1.0.0` asks \
         for the other\n",
        other.display()
    );
    assert!(text.contains(&sentence), "{text}");
}

/// JSON of the wrong type: in the settings, in a case, in an answer.
#[tokio::test]
async fn a_json_type_off_by_one() {
    for (file, content, sentence) in [
        (
            "settings.json",
            json!({"behave": 7}),
            "case/plan: its settings are refused: {\"kind\":\"invalid-request\",\"message\":\"behave: invalid type: integer \
             `7`, expected variant identifier\"}",
        ),
        (
            "plan.in.json",
            json!({"attempt": "first"}),
            "case/plan: call: attempt: must be a whole number that is not too large, is \"first\"",
        ),
        (
            "plan.in.json",
            json!({"modle": "m"}),
            "case/plan: call: `modle` is unknown; there is operation, model, streaming",
        ),
    ] {
        let project = Project::new(&Component::acme("1.0.0"))
            .case("case", "plan.in.json", &json!({}))
            .case("case", file, &content);
        let (code, text) = project.test(&[]).await;
        assert_eq!(code, Some(1), "{text}");
        assert!(text.contains(sentence), "{sentence}\nin\n{text}");
    }
    let project = Project::new(&Component::acme("1.0.0"))
        .case("path", "settings.json", &json!({"behave": "send", "path": "v1/chat"}))
        .case("path", "plan.in.json", &json!({}));
    let (_, text) = project.test(&["--record"]).await;
    let sentence = "path/plan: a gateway refuses the plan: the path \"v1/chat\" does not begin with one slash";
    assert!(text.contains(sentence), "{text}");
}
