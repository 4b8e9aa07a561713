//! A plugin is a plugin, whatever it is written in: the same provider in Rust, JavaScript and Python, and as a script,
//! answers alike, and one that goes wrong goes wrong alone.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, LONG, Setup, place, plugins_folder, root, run_within};
use crate::guests::Component;
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::process::Command;

const LANGUAGES: [&str; 4] = ["rust", "js", "python", SCRIPT];
/// JavaScript without a build: the source of the project in JavaScript, as it is.
const SCRIPT: &str = "script";
pub const TOKEN: &str = "acme-secret";
const SAID: &str = "Paris. Naïve café: 日本語 🦀";

/// What `tests/authors/build.sh` made of a folder.
pub fn built(folder: &str, plugin: &str) -> Component {
    Component::read(&built_file(folder, plugin))
}

pub fn built_file(folder: &str, plugin: &str) -> PathBuf {
    place("PLUGWAY_AUTHORS", "target/authors").join(folder).join(format!("{plugin}.wasm"))
}

/// The provider of `tests/authors/acme` in this language.
fn provider_acme(language: &str) -> PathBuf {
    match language {
        SCRIPT => root().join("tests/authors/acme/js/src/plugin.js"),
        language => built_file(&format!("acme-{language}"), "provider-acme"),
    }
}

/// It before the server of `API.md`.
async fn gateway(language: &str, acme: &Upstream) -> Gateway {
    let plugin = Component::read(&provider_acme(language));
    let (file, brings) = match language {
        SCRIPT => ("provider-acme.js", Component::first_party("script")),
        _ => ("provider-acme.wasm", plugin.clone()),
    };
    compiled(&[brings]).await;
    let block = json!({
        "plugin": "acme",
        "keys": [{"name": "main", "value": TOKEN}],
        "network_config": {"base_url": acme.url(), "allow_private_network": true},
        "settings": {"team": "research"},
    });
    let mut revoked = block.clone();
    revoked["keys"][0]["value"] = json!("revoked");
    Setup::new().plugin(file, plugin).provider("acme", block).provider("revoked", revoked).start().await
}

/// Compiling a component that brings an interpreter takes longer than a gateway may take to start.
pub async fn compiled(components: &[Component]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (number, component) in components.iter().enumerate() {
        std::fs::write(folder.path().join(format!("{number}.wasm")), component.bytes()).expect("a copy");
    }
    let plugins = json!({"directory": folder.path(), "cache_directory": crate::gateway::cache_folder()});
    let config = folder.path().join("plugway.yaml");
    std::fs::write(&config, json!({"plugins": plugins, "providers": {}}).to_string()).expect("a configuration");
    let check = Command::new(crate::gateway::BINARY).arg("check").arg("--config").arg(config).output().await;
    let said = String::from_utf8_lossy(&check.expect("it runs").stdout).into_owned();
    assert!(said.contains("the configuration is good"), "{said}");
}

/// Acme, as `API.md` describes it.
pub async fn acme() -> Upstream {
    let acme = Upstream::start().await;
    acme.otherwise(talk);
    acme
}

fn talk(seen: &Seen) -> Reply {
    let trouble = |status, trouble: Value| Reply::json(status, &json!({"trouble": trouble}));
    if seen.header("x-acme-token") != Some(TOKEN) {
        return trouble(401, json!({"name": "bad_token", "text": "Nobody knows this token."}));
    }
    let request = seen.json();
    let bill = json!({"heard": 14, "said": 8});
    match (request["engine"].as_str(), request["live"].as_bool()) {
        (Some("busy"), _) => {
            trouble(429, json!({"name": "slow_down", "text": "Slow down."})).header("retry-after", "3")
        }
        (Some(engine), Some(false)) => {
            Reply::json(200, &json!({"talk": "tk-81", "engine": engine, "said": SAID, "ended": "done", "bill": bill}))
        }
        (Some(engine), Some(true)) => {
            let mut lines = vec![json!({"at": "begin", "talk": "tk-81", "engine": engine})];
            lines.extend(SAID.split_inclusive(' ').map(|word| json!({"at": "word", "says": word})));
            match engine {
                "cut" => {}
                "tired" => lines.push(json!({"at": "trouble", "trouble": {"name": "tired", "text": "Too tired."}})),
                _ => lines.extend([json!({"at": "end", "ended": "done"}), json!({"at": "bill", "bill": bill})]),
            }
            let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
            Reply::new(200, "application/x-ndjson", body).chunked().byte_by_byte()
        }
        _ => trouble(400, json!({"name": "bad_turn", "text": "This is no talk."})),
    }
}

async fn answers(language: &str) {
    let acme = acme().await;
    let gateway = gateway(language, &acme).await;

    let answer = gateway.chat("acme/large", "What is the capital of France?").await;
    assert_eq!((answer.status, answer.content().as_str()), (200, SAID), "{}\n{}", answer.text(), gateway.log());
    assert_eq!(answer.json()["usage"], json!({"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22}));
    assert!(answer.json()["created"].as_u64().unwrap() > 1_700_000_000, "the call's time: {}", answer.text());
    let seen = acme.last_request();
    assert_eq!((seen.path.as_str(), seen.header("x-acme-team")), ("/v3/talk", Some("research")));
    let turns = json!([{"who": "human", "says": "What is the capital of France?"}]);
    assert_eq!(seen.json(), json!({"engine": "large", "turns": turns, "live": false}));

    // A caller of another dialect gets the same, for a format speaks to every one of them.
    let message = gateway.message("acme/large", "What is the capital of France?", false).await;
    assert_eq!(message.json()["content"][0]["text"], SAID, "{}", message.text());

    let mut body = crate::gateway::chat_body("acme/large", "hello", true);
    body["stream_options"] = json!({"include_usage": true});
    body["seed"] = json!(7);
    let stream = gateway.post("/v1/chat/completions", &body).await;
    assert_eq!((stream.status, stream.content().as_str()), (200, SAID), "{}", stream.text());
    assert!(stream.is_done());
    assert_eq!(stream.header("x-plugway-dropped"), "seed");
    let usage = stream.events().iter().rev().nth(1).expect("a chunk before the marker").json()["usage"].clone();
    assert_eq!(usage["total_tokens"], 22);
}

async fn fails(language: &str) {
    let acme = acme().await;
    let gateway = gateway(language, &acme).await;

    let error = gateway.chat("revoked/large", "hello").await.openai_error(401);
    assert_eq!(
        (error["message"].as_str(), error["code"].as_str()),
        (Some("Nobody knows this token."), Some("bad_token"))
    );
    let mut body = crate::gateway::chat_body("acme/large", "hello", false);
    body["tools"] = json!([{"type": "function", "function": {"name": "f"}}]);
    let error = gateway.post("/v1/chat/completions", &body).await.openai_error(400);
    assert_eq!((error["param"].as_str(), error["message"].as_str()), (Some("tools"), Some("Acme has no `tools`")));

    for (engine, words) in [("tired", "Too tired."), ("cut", "")] {
        let stream = gateway.stream(&format!("acme/{engine}"), "hello").await;
        assert!(!stream.is_done(), "{engine}: {}", stream.text());
        let last = stream.events().last().expect("an event").json();
        let error = crate::gateway::openai_error_of(&last);
        assert!(error["message"].as_str().unwrap().contains(words), "{engine}: {last}");
    }
    assert_eq!(gateway.metric("plugway_plugin_traps_total", "acme").await, 0.0, "{}", gateway.log());

    // Last, as it asks to be left alone for a while.
    let busy = gateway.chat("acme/busy", "hello").await;
    busy.openai_error(429);
    assert_eq!(busy.header("retry-after"), "3");
}

#[tokio::test]
async fn acme_in_rust() {
    answers("rust").await;
    fails("rust").await;
}

#[tokio::test]
async fn acme_in_javascript() {
    answers("js").await;
    fails("js").await;
}

#[tokio::test]
async fn acme_in_python() {
    answers("python").await;
    fails("python").await;
}

#[tokio::test]
async fn acme_as_a_script() {
    answers(SCRIPT).await;
    fails(SCRIPT).await;
}

/// In the gateway's runtime, as `plugway plugin test` runs them.
#[tokio::test]
async fn every_language_passes_the_cases() {
    let cases = root().join("tests/authors/acme/cases");
    for language in LANGUAGES {
        let (plugin, engine) = (provider_acme(language), plugins_folder().join("script.wasm"));
        let [plugin, cases, engine] = [&plugin, &cases, &engine].map(|path| path.to_str().expect("UTF-8"));
        let arguments = ["plugin", "test", plugin, "--cases", cases, "--engine", engine];
        let (code, told) = run_within(LONG, &arguments).await;
        assert_eq!(code, Some(0), "{language}: {told}");
        assert!(told.contains(": all as it should be"), "{language}: {told}");
    }
}

/// Somebody who had the book, the program and `tests/outsider/API.md` wrote it.
#[tokio::test]
async fn an_outsiders_adapter_serves_callers_of_every_dialect() {
    let plugin = built_file("verso", "provider-verso");
    let cases = root().join("tests/outsider/provider-verso/cases");
    let [plugin, cases] = [&plugin, &cases].map(|path| path.to_str().expect("UTF-8"));
    let (code, told) = run_within(LONG, &["plugin", "test", plugin, "--cases", cases]).await;
    assert_eq!(code, Some(0), "{told}");

    let verso = Upstream::start().await;
    verso.otherwise(|seen| {
        if seen.header("verso-key") != Some(TOKEN) {
            return Reply::json(403, &json!({"fault": {"code": "dead_key", "says": "This key opens nothing."}}));
        }
        let cost = json!({"read": 31, "wrote": 3});
        match seen.json()["stream"] == true {
            false => Reply::json(
                200,
                &json!({"id": "cmp_81", "voice": "alto-3", "text": "Madrid.", "stopped": "end", "cost": cost}),
            ),
            true => Reply::sse(&[
                "event: open\ndata: {\"id\": \"cmp_81\", \"voice\": \"alto-3\"}\n\n".to_owned(),
                ": still here\n\n".to_owned(),
                "event: piece\ndata: {\"t\": \"Mad\"}\n\nevent: piece\ndata: {\"t\": \"rid.\"}\n\n".to_owned(),
                format!("event: close\ndata: {}\n\n", json!({"stopped": "end", "cost": cost})),
            ]),
        }
    });
    let mut block = crate::gateway::provider("verso", &verso.url());
    block["keys"] = json!([{"name": "main", "value": TOKEN}]);
    block["settings"] = json!({"account": "acme & sons"});
    let setup = Setup::new().plugin("verso.wasm", built("verso", "provider-verso")).provider("verso", block);
    let gateway = setup.start().await;
    assert_eq!(gateway.chat("verso/alto-3", "And of Spain?").await.content(), "Madrid.");
    assert_eq!(verso.last_request().path, "/2/compose?account=acme%20%26%20sons");
    let stream = gateway.stream("verso/alto-3", "And of Spain?").await;
    assert_eq!((stream.content().as_str(), stream.is_done()), ("Madrid.", true));
    let message = gateway.message("verso/alto-3", "And of Spain?", false).await.json();
    assert_eq!((&message["content"][0]["text"], &message["usage"]["output_tokens"]), (&json!("Madrid."), &json!(3)));
}

/// As natively in Rust, where `cargo test` has them.
#[tokio::test]
async fn javascript_and_python_pass_the_cases_natively() {
    for (language, program, arguments) in
        [("js", PathBuf::from("node"), ["--test"].as_slice()), ("python", python(), ["-m", "unittest"].as_slice())]
    {
        let project = project(language);
        let output = Command::new(program).args(arguments).current_dir(project.path()).output().await;
        let output = output.expect("it runs; `make test` installs it");
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success(), "{language}\n{}", String::from_utf8_lossy(&said));
    }
}

/// Acme's project as its author has it: what `plugway plugin new` brings, and the author's own files over it.
fn project(language: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for from in [format!("host/templates/{language}/project/."), format!("tests/authors/acme/{language}/.")] {
        let copied = std::process::Command::new("cp").arg("-RL").arg(root().join(from)).arg(folder.path()).status();
        assert!(copied.expect("cp").success());
    }
    folder
}

fn python() -> PathBuf {
    place("PLUGWAY_PYTHON", "target/venv/bin/python")
}

/// What the compiler of its author made of it is a project in JavaScript like any other.
#[tokio::test]
async fn a_provider_in_typescript() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("Hi.")));
    let mut block = crate::gateway::provider("typed", &upstream.url());
    block["settings"] = json!({"team": "research"});
    let gateway = Setup::bare()
        .plugin("typed.wasm", built("typescript", "provider-typed"))
        .provider("typed", block)
        .start()
        .await;
    assert_eq!(gateway.chat("typed/large", "hello").await.content(), "Hi.", "{}", gateway.log());
    let seen = upstream.last_request();
    assert_eq!((seen.path.as_str(), seen.header("x-team")), ("/v2/chat", Some("research")));
    assert_eq!(seen.json()["model"], "large");
}

/// A guest with an interpreter inside is held by the same bounds.
#[tokio::test]
async fn an_unruly_guest_in_javascript_fails_alone_and_gives_everything_back() {
    let mut gateway = Setup::bare()
        .plugin("unruly.wasm", built("unruly", "provider-unruly"))
        .provider("unruly", json!({"plugin": "unruly"}))
        .start()
        .await;
    let well = async |gateway: &Gateway| {
        let answer = gateway.chat("unruly/well", "hello").await;
        assert_eq!(answer.content(), "well at true", "{}\n{}", answer.text(), gateway.log());
    };
    well(&gateway).await;
    let before = gateway.memory();
    for (model, code) in [
        ("loop", "plugin_timeout"),
        ("eat-memory", "plugin_failed"),
        ("recurse", "plugin_failed"),
        ("bug", "plugin_failed"),
        ("say-nothing", "plugin_failed"),
    ] {
        let start = Instant::now();
        let address = format!("unruly/{model}");
        let (bad, ()) = tokio::join!(gateway.chat(&address, "hello"), well(&gateway));
        assert_eq!(bad.openai_error(500)["code"], code, "{model}");
        assert!(start.elapsed() < Duration::from_secs(8), "{model} took {:?}", start.elapsed());
        // One fault in ten calls is borne.
        for _ in 0..12 {
            well(&gateway).await;
        }
    }
    assert!(gateway.log().contains("cannot read property 'at_all' of undefined"), "{}", gateway.log());
    assert!(gateway.log().contains("built/plugin.js"), "the bug's place: {}", gateway.log());
    let grown = gateway.memory().saturating_sub(before) >> 20;
    assert!(grown < 32, "nothing is left behind: memory grew by {grown} MB");
    assert!(gateway.is_running());
}

/// Making an instance of a guest that brings an interpreter takes longer than its calls.
#[tokio::test]
async fn instances_are_kept_between_requests() {
    let acme = acme().await;
    for language in LANGUAGES {
        let gateway = gateway(language, &acme).await;
        let made = async || gateway.metric("plugway_plugin_instances_made_total", "acme").await;
        let before = made().await;
        assert!(before >= 1.0, "{language}: one was made to configure it");
        for _ in 0..20 {
            assert_eq!(gateway.chat("acme/large", "hello").await.status, 200);
        }
        assert!(
            made().await - before < 3.0,
            "{language}: {} for 20 requests, one after the other",
            made().await - before
        );
    }
}
