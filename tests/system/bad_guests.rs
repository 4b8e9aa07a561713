//! A bad plugin harms nobody but the request that met it: that one fails in time, with a typed error in its caller's
//! dialect; everybody else, and the next request, is served.

use crate::gateway::{Gateway, PATIENCE, Setup, openai, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What a provider can do wrong in a call, as settings of `tests/guests/acme`.
fn misbehaviours() -> Vec<(&'static str, Value)> {
    vec![
        ("panic", json!({"behave": "panic"})),
        ("loop", json!({"behave": "loop"})),
        ("eat-memory", json!({"behave": "eat-memory"})),
        ("recurse", json!({"behave": "recurse"})),
        ("sleep", json!({"behave": "sleep", "seconds": 3600})),
        ("huge-reply", json!({"behave": "huge-reply", "megabytes": 1024})),
        ("state-bomb", json!({"behave": "state-bomb", "megabytes": 8})),
        ("many-headers", json!({"behave": "many-headers", "count": 100_000})),
        ("million-headers", json!({"behave": "many-headers", "count": 1_000_000})),
        ("no-json", json!({"behave": "reply", "text": "{\"choices\": ["})),
        ("no-object", json!({"behave": "reply", "text": "[1, 2]"})),
        ("no-chunks", json!({"behave": "reply-chunks", "chunks": ["{\"choices\": ["]})),
        ("fetch-forever", json!({"behave": "fetch-forever"})),
        ("wait-forever", json!({"behave": "wait-forever"})),
        ("header-with-crlf", json!({"behave": "send", "headers": [["x-a", "1\r\nx-b: 2"]]})),
        ("header-with-nul", json!({"behave": "send", "headers": [["x-a", "1\u{0}2"]]})),
        ("header-without-name", json!({"behave": "send", "headers": [["", "1"]]})),
        ("header-name-with-space", json!({"behave": "send", "headers": [["x a", "1"]]})),
        ("header-host", json!({"behave": "send", "headers": [["Host", "evil.example"]]})),
        ("header-length", json!({"behave": "send", "headers": [["content-length", "5"]]})),
        ("header-encoding", json!({"behave": "send", "headers": [["Transfer-Encoding", "chunked"]]})),
        ("header-connection", json!({"behave": "send", "headers": [["connection", "upgrade"]]})),
        ("path-without-slash", json!({"behave": "send", "path": "v1/chat"})),
        ("path-empty", json!({"behave": "send", "path": ""})),
        ("path-of-another-host", json!({"behave": "send", "path": "//evil.example/x"})),
        ("path-with-user", json!({"behave": "send", "path": "@evil.example/x"})),
        ("path-that-is-a-url", json!({"behave": "send", "path": "http://evil.example/x"})),
        ("path-with-crlf", json!({"behave": "send", "path": "/x HTTP/1.1\r\nx: y"})),
        ("path-with-space", json!({"behave": "send", "path": "/a b"})),
        ("method-with-space", json!({"behave": "send", "method": "GET /"})),
        ("method-connect", json!({"behave": "send", "method": "CONNECT"})),
        ("unknown-dialect", json!({"behave": "send", "dialect": "klingon"})),
        ("unknown-credential", json!({"behave": "send", "credential": "nobody"})),
        ("credential-as-host", json!({"behave": "send", "credential": "api_key", "in_header": "host"})),
    ]
}

/// A gateway with all of them, each a plugin of its own, and with a good one. Behind all is this upstream.
async fn gateway_with_all(upstream: &Upstream) -> Gateway {
    let mut setup = Setup::new().provider("echo", json!({"plugin": "echo"}));
    for (name, settings) in misbehaviours() {
        let mut block = openai(&upstream.url());
        block["plugin"] = json!(format!("bad-{name}"));
        block["settings"] = settings;
        let component = Component::acme_as(&format!("provider-bad-{name}"));
        setup = setup.plugin(&format!("bad-{name}.wasm"), component).provider(name, block);
    }
    setup.start().await
}

async fn assert_well(gateway: &Gateway) {
    let answer = gateway.chat("echo/m", "are you well?").await;
    assert_eq!(answer.status, 200, "the good plugin still answers: {}\n{}", answer.text(), gateway.log());
}

#[tokio::test]
async fn each_misbehaviour_fails_its_own_request_only() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &json!({"again": true})));
    let mut gateway = gateway_with_all(&upstream).await;
    let before = gateway.memory();
    for (name, _) in misbehaviours() {
        println!("{name}");
        let model = format!("{name}/m");
        let start = Instant::now();
        let (plain, streamed, other) = tokio::join!(
            gateway.chat(&model, "hello"),
            gateway.stream(&model, "hello"),
            gateway.message(&model, "hello", false),
        );
        for answer in [&plain, &streamed] {
            let error = answer.openai_error_of_class(5);
            assert!(!error["message"].as_str().unwrap().contains("wasm"), "{name}: a message for callers, not {error}");
        }
        assert_eq!(other.status / 100, 5, "{name}: {}", other.text());
        other.anthropic_error(other.status);
        assert!(start.elapsed() < Duration::from_secs(15), "{name} took {:?}", start.elapsed());
        assert_well(&gateway).await;
    }
    let from_senders = upstream.requests().into_iter().filter(|request| request.path != "/v1/chat/completions");
    assert_eq!(from_senders.count(), 0, "nothing of what is malformed was sent");
    assert!(gateway.is_running());
    let grown = gateway.memory().saturating_sub(before) >> 20;
    assert!(grown < 400, "nothing is left behind: memory grew by {grown} MB");
}

/// While one plugin loops and another sleeps, others are not even delayed.
#[tokio::test]
async fn a_looping_or_sleeping_plugin_delays_nobody() {
    let mut setup = Setup::new().provider("echo", json!({"plugin": "echo"})).set("plugins", "call_timeout_ms", 5_000);
    for (name, settings) in
        [("loop", json!({"behave": "loop"})), ("sleep", json!({"behave": "sleep", "seconds": 3600}))]
    {
        setup = setup
            .plugin(&format!("bad-{name}.wasm"), Component::acme_as(&format!("provider-bad-{name}")))
            .provider(name, json!({"plugin": format!("bad-{name}"), "settings": settings}));
    }
    let gateway = setup.start().await;
    let bad = async {
        tokio::join!(
            gateway.chat("loop/m", "1"),
            gateway.chat("loop/m", "2"),
            gateway.chat("loop/m", "3"),
            gateway.chat("sleep/m", "1"),
            gateway.chat("sleep/m", "2"),
            gateway.chat("sleep/m", "3"),
        )
    };
    let good = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let start = Instant::now();
        for _ in 0..20 {
            assert_well(&gateway).await;
        }
        start.elapsed()
    };
    let (bad, good) = tokio::join!(bad, good);
    assert!(good < Duration::from_secs(4), "20 good requests took {good:?}");
    for answer in [bad.0, bad.1, bad.2, bad.3, bad.4, bad.5] {
        answer.openai_error_of_class(5);
    }
}

/// These do too much, but not too much to be answered.
#[tokio::test]
async fn excess_that_is_bearable_is_borne() {
    let mut setup = Setup::bare();
    for (name, settings) in [
        ("flood-log", json!({"behave": "flood-log", "lines": 20_000, "bytes": 200})),
        ("long-lines", json!({"behave": "flood-log", "lines": 3, "bytes": 2_000_000})),
        ("flood-output", json!({"behave": "flood-output", "lines": 5_000, "bytes": 200})),
        ("slow", json!({"behave": "slow", "milliseconds": 50})),
    ] {
        setup = setup
            .plugin(&format!("{name}.wasm"), Component::acme_as(&format!("provider-{name}")))
            .provider(name, json!({"plugin": name, "settings": settings}));
    }
    let gateway = setup.set("plugins", "call_timeout_ms", 10_000).start().await;
    for name in ["flood-log", "long-lines", "flood-output", "slow"] {
        let answer = gateway.chat(&format!("{name}/m"), "hello").await;
        assert_eq!((answer.status, answer.content().as_str()), (200, "acme 1.0.0"), "{name}: {}", answer.text());
    }
    let log = gateway.log();
    assert!(log.len() < 2 << 20, "the log is bounded: {} bytes, ending in {:?}", log.len(), log.lines().last());
}

/// An instance that keeps memory is replaced when it has too much; nobody has to know.
#[tokio::test]
async fn an_instance_that_grows_does_not_make_the_gateway_grow() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("grow", json!({"plugin": "acme", "settings": {"behave": "grow"}}))
        .set("plugins", "memory_limit_mb", 16)
        .start()
        .await;
    let before = gateway.memory();
    let mut failed = 0;
    for _ in 0..300 {
        failed += u32::from(gateway.chat("grow/m", "hello").await.status != 200);
    }
    let grown = gateway.memory().saturating_sub(before) >> 20;
    assert!(grown < 150, "memory grew by {grown} MB");
    assert!(failed < 300, "some calls were answered");
}

#[tokio::test]
async fn a_fresh_instance_for_each_request_forgets() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider(
            "once",
            json!({"plugin": "acme", "settings": {"behave": "panic-after", "calls": 1}, "isolation": "per-request"}),
        )
        .provider("shared", json!({"plugin": "acme", "settings": {"behave": "panic-after", "calls": 1}}))
        .start()
        .await;
    for _ in 0..20 {
        let answer = gateway.chat("once/m", "hello").await;
        assert_eq!(answer.status, 200, "each call has an instance of its own: {}", answer.text());
    }
    let mut answered = 0;
    for _ in 0..20 {
        answered += u32::from(gateway.chat("shared/m", "hello").await.status == 200);
    }
    assert!((1..20).contains(&answered), "a shared instance remembers its calls: {answered} of 20 answered");
}

/// What the decoder of a format can do wrong, as the events that make `tests/guests/broken` do it.
#[tokio::test]
async fn a_broken_decoder_breaks_its_own_stream_only() {
    let upstream = Upstream::start().await;
    let wrong = [
        json!({"do": "panic"}),
        json!({"do": "loop"}),
        json!({"do": "sleep"}),
        json!({"do": "flood", "chunks": 2_000_000}),
        json!({"do": "garbage"}),
        json!({"do": "grow", "kilobytes": 1024}),
        json!({"do": "fail"}),
    ];
    for (index, event) in wrong.iter().enumerate() {
        let end = "data: {\"do\":\"end\"}\n\n".to_owned();
        let say = "data: {\"do\":\"say\",\"text\":\"good\"}\n\n".to_owned();
        let event = format!("data: {event}\n\n");
        // The pause keeps the good event from being decoded together with the bad one.
        let pause = Duration::from_millis(100);
        upstream.on_model(&format!("late-{index}"), Reply::sse(&[say, event.clone(), end.clone()]).every(pause));
        upstream.on_model(&format!("early-{index}"), Reply::sse(&[event, end]));
    }
    upstream
        .on_model("good", Reply::sse(&["data: {\"do\":\"say\",\"text\":\"good\"}\n\n", "data: {\"do\":\"end\"}\n\n"]));
    for (index, event) in wrong.iter().enumerate() {
        // A gateway for each, as a format that fails again and again is rightly taken out of use.
        let gateway = broken_format(&upstream).await;
        let early = gateway.stream(&format!("wire/early-{index}"), "hello").await;
        early.openai_error_of_class(5);
        let late = gateway.stream(&format!("wire/late-{index}"), "hello").await;
        assert_eq!(late.status, 200, "{event}: {}", late.text());
        assert!(late.content().starts_with("good") && !late.is_done(), "{event}: {}", late.text());
        crate::gateway::openai_error_of(&late.events().last().expect("an event").json());
        wait_until("the format to be usable again", || async {
            let good = gateway.stream("wire/good", "hello").await;
            good.status == 200 && good.content() == "good" && good.is_done()
        })
        .await;
    }
}

/// A hundred chunks out of one event are many, but allowed.
#[tokio::test]
async fn one_event_may_become_many_chunks() {
    let upstream = Upstream::start().await;
    let flood = json!({"do": "flood", "chunks": 100});
    upstream.on_model("flood", Reply::sse(&[format!("data: {flood}\n\n"), "data: {\"do\":\"end\"}\n\n".to_owned()]));
    let gateway = broken_format(&upstream).await;
    let answer = gateway.stream("wire/flood", "hello").await;
    assert_eq!(answer.content(), "flood ".repeat(100), "{}", answer.text());
    assert!(answer.is_done());
}

#[tokio::test]
async fn a_broken_codec_breaks_its_own_request_only() {
    let upstream = Upstream::start().await;
    for bad in ["panic", "loop", "sleep", "garbage"] {
        upstream.on_model(bad, Reply::json(200, &json!({"do": bad})));
    }
    upstream.on_model("status", Reply::new(500, "text/plain", "panic"));
    upstream.on_model("good", Reply::json(200, &json!({"do": "say", "text": "good"})));
    let gateway = broken_format(&upstream).await;
    let encoder = ["encode-panic", "encode-loop", "encode-garbage", "encode-huge"];
    for model in ["panic", "loop", "sleep", "garbage", "status"].into_iter().chain(encoder) {
        gateway.chat(&format!("wire/{model}"), "hello").await.openai_error_of_class(5);
        wait_until("the format to be usable again", || async {
            gateway.chat("wire/good", "hello").await.content() == "good"
        })
        .await;
    }
}

/// A caller's dialect that breaks while it is decoded or encoded; then the error cannot be in that dialect, but there
/// is one.
#[tokio::test]
async fn a_broken_client_dialect_breaks_its_own_request_only() {
    let upstream = Upstream::start().await;
    upstream.on_model("good", Reply::json(200, &json!({"do": "say", "text": "good"})));
    upstream.on_model("trap", Reply::json(200, &json!({"do": "say", "text": "trap the encoder"})));
    upstream.on_model(
        "trap-late",
        Reply::sse(&[
            "data: {\"do\":\"say\",\"text\":\"good\"}\n\n",
            "data: {\"do\":\"say\",\"text\":\"trap the encoder\"}\n\n",
            "data: {\"do\":\"end\"}\n\n",
        ])
        .every(Duration::from_millis(100)),
    );
    let gateway = broken_format(&upstream).await;
    for body in [
        json!({"model": "wire/good", "do": "panic"}),
        json!({"model": "wire/good", "do": "loop"}),
        json!({"model": "wire/good", "do": "garbage"}),
        json!({"model": "wire/trap"}),
    ] {
        let answer = gateway.post("/v1/broken", &body).await;
        assert_eq!(answer.status / 100, 5, "{body}: {}", answer.text());
        wait_until("the dialect to be usable again", || async {
            gateway.post("/v1/broken", &json!({"model": "wire/good"})).await.status == 200
        })
        .await;
    }
    let late = gateway.post("/v1/broken", &json!({"model": "wire/trap-late", "stream": true})).await;
    assert!(!late.events().iter().any(|event| event.name == "end"), "never complete: {}", late.text());
}

async fn broken_format(upstream: &Upstream) -> Gateway {
    let mut block = openai(&upstream.url());
    block["plugin"] = json!("acme");
    block["settings"] = json!({"behave": "send", "dialect": "broken"});
    Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("broken.wasm", Component::broken_format())
        .provider("wire", block)
        .start()
        .await
}

/// What must be refused when it is loaded, and a word of the reason.
fn unloadable() -> Vec<(&'static str, Component, &'static [&'static str])> {
    let acme = |stamp: Value| Component::acme("1.0.0").stamped(&stamp);
    let named = |name: &str| acme(json!({"name": name, "version": "1.0.0"}));
    let versioned = |version: &str| acme(json!({"name": "provider-liar", "version": version}));
    let when_loaded =
        |call: &str, conduct: &str| acme(json!({"name": "provider-bad", "version": "1.0.0", call: conduct}));
    vec![
        ("empty", Component::of_bytes(b""), &[]),
        ("text", Component::of_bytes(b"hello, I am no component"), &[]),
        ("core-module", Component::of_bytes(b"\0asm\x01\0\0\0"), &["component"]),
        ("truncated", Component::acme("1.0.0").truncated(), &[]),
        ("trap-in-describe", when_loaded("in_describe", "trap"), &["describe"]),
        ("loop-in-describe", when_loaded("in_describe", "loop"), &["describe"]),
        ("sleep-in-describe", when_loaded("in_describe", "sleep"), &["describe"]),
        ("name-with-space", named("provider acme"), &["name"]),
        ("name-in-capitals", named("Provider-Acme"), &["name"]),
        ("name-empty", named(""), &["name"]),
        ("name-with-path", named("../provider-acme"), &["name"]),
        ("name-too-long", named(&"a".repeat(65)), &["name"]),
        ("version-in-words", versioned("one"), &["version"]),
        ("version-of-two", versioned("1.0"), &["version"]),
        ("sockets", Component::guest("provider_sockets"), &["wasi:sockets"]),
        ("stranger", Component::guest("provider_stranger"), &["acme:vault"]),
        ("tomorrow", Component::guest("provider_tomorrow"), &["0.9.0", "0.1.0"]),
    ]
}

#[tokio::test]
async fn what_cannot_be_loaded_is_refused_with_the_reason() {
    let gateway = Gateway::with(&[("echo", json!({"plugin": "echo"}))]).await;
    for (name, component, words) in unloadable() {
        let file = format!("{name}.wasm");
        let before = gateway.metric("plugway_reloads_total", "refused").await;
        gateway.install(&file, component.bytes());
        let mut words = words.to_vec();
        words.push(&file);
        gateway.wait_for_log(&words).await;
        wait_until("the refusal in the metrics", || async {
            gateway.metric("plugway_reloads_total", "refused").await > before
        })
        .await;
        let listed = gateway.get("/api/plugins").await.text();
        assert!(listed.contains(&file), "{file} is in {listed}");
        assert_well(&gateway).await;
        gateway.remove(&file);
    }
}

/// The same files are there when the gateway starts: it starts, and says so.
#[tokio::test]
async fn bad_files_do_not_keep_the_gateway_from_starting() {
    let mut setup = Setup::new().provider("echo", json!({"plugin": "echo"}));
    for (name, component, _) in unloadable() {
        setup = setup.plugin(&format!("{name}.wasm"), component);
    }
    let gateway = setup.start().await;
    assert_well(&gateway).await;
    for (name, _, words) in unloadable() {
        let file = format!("{name}.wasm");
        gateway.wait_for_log(&[words, &[&file]].concat()).await;
    }
}

/// A provider whose plugin is missing, of another kind or refuses its settings does not take others down.
#[tokio::test]
async fn a_provider_without_a_plugin_is_out_of_service() {
    let gateway = Setup::new()
        .provider("echo", json!({"plugin": "echo"}))
        .provider("gone", json!({"plugin": "gone"}))
        .start()
        .await;
    assert_well(&gateway).await;
    let error = gateway.chat("gone/m", "hello").await.openai_error(503);
    assert!(error["message"].as_str().unwrap().contains("gone"), "{error}");
    gateway.message("gone/m", "hello", false).await.anthropic_error(503);
}

#[tokio::test]
async fn a_plugin_that_keeps_trapping_is_taken_out_of_use() {
    let gateway = Setup::new()
        .provider("echo", json!({"plugin": "echo"}))
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("bad", json!({"plugin": "acme", "settings": {"behave": "panic"}}))
        .start()
        .await;
    let before = gateway.plugin("provider-acme").await.remove(0);
    for _ in 0..20 {
        gateway.chat("bad/m", "hello").await.openai_error_of_class(5);
    }
    let after = gateway.plugin("provider-acme").await.remove(0);
    assert_ne!(after["state"], before["state"], "{after}");
    assert!(after["traps"].as_u64().unwrap() >= 5, "{after}");
    assert!(after["traps"].as_u64().unwrap() < 20, "it was called less often than it was asked for: {after}");
    assert!(after["last_error"].is_string(), "{after}");
    gateway.chat("bad/m", "hello").await.openai_error(503);
    assert_well(&gateway).await;

    // After a rest it is tried again.
    let traps = after["traps"].as_u64().unwrap();
    wait_until("another try", || async {
        gateway.chat("bad/m", "hello").await;
        gateway.plugin("provider-acme").await[0]["traps"].as_u64().unwrap() > traps
    })
    .await;
}

#[tokio::test]
async fn where_the_last_version_worked_it_is_put_back() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", json!({"plugin": "acme"}))
        .start()
        .await;
    assert_eq!(gateway.chat("acme/m", "hello").await.content(), "acme 1.0.0");

    let trapping = json!({"name": "provider-acme", "version": "1.1.0", "in_plan": "trap"});
    gateway.install("acme.wasm", Component::acme("1.1.0").stamped(&trapping).bytes());
    wait_until("the new version to fail", || async { gateway.chat("acme/m", "hello").await.status != 200 }).await;
    wait_until("the old version to be back", || async {
        gateway.chat("acme/m", "hello").await.content() == "acme 1.0.0"
    })
    .await;
    for _ in 0..20 {
        assert_eq!(gateway.chat("acme/m", "hello").await.content(), "acme 1.0.0", "and it stays");
    }
    let listed = gateway.get("/api/plugins").await.text();
    assert!(listed.contains("1.1.0"), "the version that was taken out is visible: {listed}");
    assert!(gateway.metric("plugway_reloads_total", "rolled_back").await >= 1.0);

    // A version that is mended takes over at once.
    gateway.install("acme.wasm", Component::acme("1.1.1").bytes());
    tokio::time::timeout(PATIENCE, async {
        while gateway.chat("acme/m", "hello").await.content() != "acme 1.1.1" {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the mended version serves");
}
