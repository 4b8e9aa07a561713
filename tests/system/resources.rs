//! What the gateway takes from the machine has bounds, and what it does not need it gives back.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, openai, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::SystemTime;

/// Bytes that no run before has compiled.
fn never_compiled() -> Component {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_nanos();
    Component::acme("1.0.0").stamped(&json!({"name": "provider-acme", "version": "1.0.0", "note": now.to_string()}))
}

/// There are 1,000 instances, and each of these would like to keep one.
#[tokio::test]
async fn more_providers_than_instances_are_all_served() {
    const COUNT: usize = 1_050;
    let block = |number: usize| json!({"plugin": "acme", "settings": {"behave": "answer", "chunks": number}});
    let setup = (0..COUNT).fold(Setup::bare(), |setup, number| setup.provider(&format!("p{number}"), block(number)));
    let gateway = setup.plugin("acme.wasm", Component::acme("1.0.0")).start().await;
    assert_eq!(gateway.get("/api/plugins").await.json()["troubles"], json!([]));
    for number in (0..COUNT).step_by(7) {
        let answer = gateway.chat(&format!("p{number}/m"), "hello").await;
        assert_eq!(answer.status, 200, "{number}: {}", answer.text());
    }
}

#[tokio::test]
async fn an_instance_that_nobody_asks_for_is_given_back() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", json!({"plugin": "acme"}))
        .start()
        .await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
    assert!(gateway.metric("plugway_plugin_instances", "provider-acme").await > 0.0);
    wait_until("the instance to be gone", || async {
        gateway.metric("plugway_plugin_instances", "provider-acme").await == 0.0
    })
    .await;
    assert_eq!(gateway.chat("acme/m", "hello").await.status, 200);
}

/// The preset brings what the plugin needs, and only what serves is configured.
#[tokio::test]
async fn a_preset_may_bring_what_the_plugin_needs() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider(
            "acme",
            json!({"plugin": "acme", "preset": "generous", "settings": {"behave": "demanding"},
            "network_config": {"allow_private_network": true}}),
        )
        .start()
        .await;
    assert_eq!(gateway.get("/api/plugins").await.json()["troubles"], json!([]));
    assert_eq!(gateway.chat("acme/m", "hello").await.content(), "acme 1.0.0");
    assert_eq!(gateway.metric("plugway_plugin_instances", "provider-acme").await, 1.0);
}

/// The presets are the same in all generations, and no instance is made to ask for them again.
#[tokio::test]
async fn a_plugin_is_asked_for_its_presets_once() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", json!({"plugin": "acme", "preset": "generous", "settings": {"behave": "demanding"}}))
        .start()
        .await;
    let made = async || gateway.metric("plugway_plugin_instances_made_total", "provider-acme").await;
    let before = made().await;
    for generation in 2..4 {
        gateway.reconfigure(|config| config["limits"]["body_mb"] = json!(generation));
        wait_until("the next generation", || async {
            gateway.metric("plugway_generation", "").await >= f64::from(generation)
        })
        .await;
    }
    assert_eq!(made().await, before);
}

#[tokio::test]
async fn a_request_compiles_nothing_and_hardly_makes_an_instance() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", json!({"plugin": "acme"}))
        .start()
        .await;
    let count = async |name: &str| gateway.metric(name, "provider-acme").await;
    let calls = count("plugway_plugin_calls_total").await;
    // Those who ask at the same time need one each.
    for _ in 0..10 {
        let asking = (0..4).map(|_| gateway.chat("acme/m", "hello"));
        assert!(join_all(asking).await.iter().all(|answer| answer.status == 200));
    }
    assert!(count("plugway_plugin_calls_total").await >= calls + 40.0);
    let made = count("plugway_plugin_instances_made_total").await;
    assert!(made <= 8.0, "{made} instances for 40 requests, four at once");
    assert_eq!(gateway.log().matches("plugin loaded").count(), 0, "it is the one that was there at the start");
    assert_eq!(gateway.metric("plugway_generation", "").await, 1.0);
}

#[tokio::test]
async fn compiling_has_an_end() {
    compiling_is_refused("compile_timeout_seconds", json!(0.001)).await;
}

#[tokio::test]
async fn compiling_has_a_bound_in_memory() {
    for too_few in [4, 32, 64] {
        compiling_is_refused("compile_memory_mb", json!(too_few)).await;
    }
}

async fn compiling_is_refused(key: &str, value: Value) {
    let setup = Setup::bare().plugin("acme.wasm", never_compiled()).provider("acme", json!({"plugin": "acme"}));
    let gateway = setup.set("plugins", key, value).start().await;
    gateway.wait_for_log(&["refused", "cannot be compiled", &format!("raise plugins.{key}")]).await;
    gateway.chat("acme/m", "hello").await.openai_error(503);
}

/// A state that would grow with each chunk, in the caller's dialect, which may keep what was said, or in a policy.
#[tokio::test]
async fn nobody_keeps_a_large_state() {
    let upstream = Upstream::start().await;
    for who in ["encoder", "policy"] {
        let grow = format!("data: {{\"do\":\"say\",\"text\":\"grow the {who}\"}}\n\n");
        upstream.on_model(who, Reply::sse(&[grow, "data: {\"do\":\"end\"}\n\n".to_owned()]));
    }
    let mut block = openai(&upstream.url());
    block["plugin"] = json!("acme");
    block["settings"] = json!({"behave": "send", "dialect": "broken"});
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("broken.wasm", Component::broken_format())
        .section("policies", json!([{"plugin": "format-broken"}]))
        .provider("wire", block)
        .start()
        .await;
    let encoded = gateway.post("/v1/broken", &json!({"model": "wire/encoder", "stream": true})).await;
    assert!(!encoded.events().iter().any(|event| event.name == "end"), "never complete: {}", encoded.text());
    let reviewed = gateway.stream("wire/policy", "hello").await;
    assert!(!reviewed.is_done(), "never complete: {}", reviewed.text());
    for bound in ["2048 KiB", "256 KiB"] {
        gateway.wait_for_log(&["format-broken", "its state is larger than", bound]).await;
    }
}

/// Hundreds of small events in one packed read come out as they went in.
#[tokio::test]
async fn many_events_at_once_are_all_handed_on() {
    let upstream = Upstream::start().await;
    let words = "word ".repeat(2_000);
    let frames = Dialect::Anthropic.frames(&Dialect::Anthropic.stream(&words));
    upstream.on_path("/v1/messages", Reply::sse(&frames).at_once().gzip());
    let gateway = Gateway::with(&[("anthropic", crate::gateway::anthropic(&upstream.url()))]).await;
    let answer = gateway.stream("anthropic/m", "hello").await;
    assert_eq!((answer.content(), answer.is_done()), (words, true));
}

#[tokio::test]
async fn as_many_files_may_be_open_as_the_system_allows() {
    let gateway = Setup::bare().open_files("-S", 128).start().await;
    let limits = gateway.open_files();
    assert_eq!(limits.0, limits.1, "the soft limit is the hard one");
}

#[tokio::test]
async fn too_few_open_files_are_told_at_start() {
    let gateway = Setup::bare().open_files("", 512).start().await;
    gateway.wait_for_log(&["10000 connections", "20256 open files", "512"]).await;
}

#[tokio::test]
async fn the_health_says_whether_changes_are_taken() {
    let gateway = Setup::bare().start().await;
    // It answers callers before that.
    wait_until("changes to be taken", || async {
        gateway.get("/healthz").await.json() == json!({"status": "ok", "reloading": true})
    })
    .await;
    assert_eq!(gateway.metric("plugway_reloading", "").await, 1.0);
}

/// What is read only at start is told, as often as it differs; what is not is not.
#[tokio::test]
async fn what_needs_a_restart_is_told() {
    let gateway = Setup::bare().listen_by_argument().start().await;
    let taken = async |change: &str, value: Value| {
        let before = gateway.metric("plugway_reloads_total", "swapped").await;
        gateway.reconfigure(|config| {
            let (section, key) = change.split_once('.').expect("a section and a key");
            config.entry(section).or_insert_with(|| json!({}))[key] = value;
        });
        wait_until(change, || async { gateway.metric("plugway_reloads_total", "swapped").await > before }).await;
    };
    taken("limits.event_mb", json!(2)).await;
    taken("plugins.debounce_ms", json!(60)).await;
    gateway.catch_up().await;
    assert!(!gateway.log().contains("after a restart"), "{}", gateway.log());
    for (key, value) in [
        ("limits.connections", json!(77)),
        ("limits.shutdown_grace_seconds", json!(7)),
        ("limits.caller_timeout_seconds", json!(7)),
        ("limits.body_mb", json!(7)),
        ("plugins.call_timeout_ms", json!(777)),
        ("plugins.compile_memory_mb", json!(777)),
        ("log.level", json!("info")),
    ] {
        taken(key, value).await;
        let told = if key == "log.level" { "log" } else { key };
        gateway.wait_for_log(&[&format!("a change of {told}"), "takes effect after a restart"]).await;
    }
    assert!(!gateway.log().contains("a change of listen"), "{}", gateway.log());
}
