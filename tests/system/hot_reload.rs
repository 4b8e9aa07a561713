//! Plugins and configuration change while requests run, and no request notices: what has begun ends with the plugin
//! that it began with, what begins later takes the new one, and what is bad changes nothing but says why.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, anthropic, chat_body, openai, read, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;

const STREAMS: usize = 200;

/// A provider of the plugin that is swapped, one that nobody touches, and two before slow streams.
async fn gateway_under_test(upstream: &Upstream) -> Gateway {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let frames = dialect.frames(&dialect.stream(&"word ".repeat(100)));
        upstream.on_path(dialect.path(), Reply::sse(&frames).every(Duration::from_millis(150)));
    }
    let mut sent = openai(&upstream.url());
    sent["plugin"] = json!("acme");
    sent["settings"] = json!({"behave": "send"});
    Setup::new()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", json!({"plugin": "acme"}))
        .provider("sent-by-acme", sent)
        .provider("anthropic", anthropic(&upstream.url()))
        .provider("echo", json!({"plugin": "echo"}))
        .set("log", "level", "info")
        .set("log", "access", false)
        .start()
        .await
}

async fn refusals(gateway: &Gateway) -> f64 {
    gateway.metric("plugway_reloads_total", "refused").await
}

async fn serves(gateway: &Gateway, content: &str) {
    wait_until(&format!("{content} to serve"), || async { gateway.chat("acme/m", "hello").await.content() == content })
        .await;
}

/// Plain requests that go on until they are stopped, and what went wrong with them.
struct Load {
    stop: Arc<AtomicBool>,
    /// While it is set, the swapped plugin may be missing.
    missing: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    callers: JoinSet<Vec<String>>,
}

impl Load {
    fn start(gateway: &Gateway) -> Self {
        let mut load =
            Load { stop: Arc::default(), missing: Arc::default(), answered: Arc::default(), callers: JoinSet::new() };
        for provider in ["acme", "acme", "echo", "echo"] {
            let (stop, missing) = (Arc::clone(&load.stop), Arc::clone(&load.missing));
            let answered = Arc::clone(&load.answered);
            let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url));
            let request = request.json(&chat_body(&format!("{provider}/m"), "hello", false));
            load.callers.spawn(async move {
                let mut wrong = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    let may_be_missing = missing.load(Ordering::Relaxed);
                    let answer = read(request.try_clone().expect("a body in memory")).await;
                    let may_be_missing = may_be_missing || missing.load(Ordering::Relaxed);
                    let excused = provider == "acme" && may_be_missing && answer.status == 503;
                    if answer.status != 200 && !excused {
                        wrong.push(format!("{provider}: {} {}", answer.status, answer.text()));
                    }
                    answered.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                wrong
            });
        }
        load
    }

    async fn stop(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut wrong = Vec::new();
        while let Some(caller) = self.callers.join_next().await {
            wrong.extend(caller.expect("no panic"));
        }
        assert_eq!(wrong, Vec::<String>::new());
        assert!(self.answered.load(Ordering::Relaxed) > 100, "there was a load");
    }
}

/// The list of changes, one after the other, while 200 streams and a steady load of plain requests run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_change_fails_a_request_that_would_not_have_failed() {
    let upstream = Upstream::start().await;
    let mut gateway = gateway_under_test(&upstream).await;
    serves(&gateway, "acme 1.0.0").await;
    let opened = Arc::new(AtomicUsize::new(0));
    let reading: Vec<_> = (0..STREAMS)
        .map(|number| {
            let provider = if number % 2 == 0 { "sent-by-acme" } else { "anthropic" };
            let (opening, opened) = (gateway.open_stream(&format!("{provider}/m")), Arc::clone(&opened));
            tokio::spawn(async move {
                let mut stream = opening.await;
                opened.fetch_add(1, Ordering::Relaxed);
                let complete = stream.finish().await;
                let last = stream.events.last().map(|event| event.data.clone());
                (complete, stream.events.len(), last)
            })
        })
        .collect();
    wait_until("all streams to be open", || async { opened.load(Ordering::Relaxed) == STREAMS }).await;
    let load = Load::start(&gateway);

    println!("a new version");
    gateway.install("acme.wasm", Component::acme("1.1.0").bytes());
    serves(&gateway, "acme 1.1.0").await;

    println!("bad files in its place: the old version goes on serving, and the reason is told");
    let refused = [
        ("truncated", Component::acme("1.2.0").truncated(), ""),
        ("of another contract", Component::guest("provider_tomorrow"), "0.9.0"),
        (
            "one that traps in configure",
            Component::acme("1.2.0")
                .stamped(&json!({"name": "provider-acme", "version": "1.2.0", "in_configure": "trap"})),
            "trapped",
        ),
        (
            "one that refuses its settings",
            Component::acme("1.3.0")
                .stamped(&json!({"name": "provider-acme", "version": "1.3.0", "in_configure": "refuse"})),
            "takes no settings",
        ),
        ("of another kind", Component::spy().stamped(&json!({"name": "provider-acme", "version": "1.4.0"})), ""),
    ];
    for (what, component, reason) in refused {
        println!("  {what}");
        let before = gateway.metric("plugway_reloads_total", "refused").await;
        gateway.install("acme.wasm", component.bytes());
        wait_until(&format!("{what} to be refused"), || async {
            gateway.metric("plugway_reloads_total", "refused").await > before
        })
        .await;
        gateway.wait_for_log(&["acme", reason]).await;
        let listed = gateway.get("/api/plugins").await.text();
        assert!(listed.contains("acme.wasm") && listed.contains(reason), "{what}: {listed}");
        assert_eq!(gateway.chat("acme/m", "hello").await.content(), "acme 1.1.0", "{what}");
    }

    println!("a good one again, written in place and in two halves");
    gateway.install_in_place("acme.wasm", Component::acme("2.0.0").bytes()).await;
    serves(&gateway, "acme 2.0.0").await;

    println!("deleted, then restored");
    load.missing.store(true, Ordering::Relaxed);
    gateway.remove("acme.wasm");
    wait_until("the plugin to be gone", || async { gateway.chat("acme/m", "hello").await.status == 503 }).await;
    let error = gateway.chat("acme/m", "hello").await.openai_error(503);
    assert!(error["message"].as_str().unwrap().contains("acme"), "{error}");
    gateway.install("acme.wasm", Component::acme("2.0.0").bytes());
    serves(&gateway, "acme 2.0.0").await;
    load.missing.store(false, Ordering::Relaxed);

    println!("twice in 50 ms");
    gateway.install("acme.wasm", Component::acme("1.0.0").bytes());
    tokio::time::sleep(Duration::from_millis(25)).await;
    gateway.install("acme.wasm", Component::acme("2.1.0").bytes());
    serves(&gateway, "acme 2.1.0").await;

    println!("the format under half of the streams");
    let before = gateway.plugin("format-anthropic").await.remove(0)["digest"].clone();
    gateway.install("format-anthropic.wasm", Component::first_party("format-anthropic").rebuilt(1).bytes());
    wait_until("the rebuilt format to serve", || async {
        gateway.plugin("format-anthropic").await.iter().any(|plugin| plugin["digest"] != before)
    })
    .await;

    println!("the configuration, well and badly");
    gateway.reconfigure(|config| config["providers"]["more"] = json!({"plugin": "echo"}));
    wait_until("the new provider", || async { gateway.chat("more/m", "hello").await.status == 200 }).await;
    let before = refusals(&gateway).await;
    gateway.reconfigure(|config| config["providers"]["more"] = json!({"plugin": "echo", "modles": []}));
    gateway.wait_for_log(&["providers.more.modles"]).await;
    wait_until("the refusal in the metrics", || async { refusals(&gateway).await > before }).await;
    assert_eq!(gateway.chat("more/m", "hello").await.status, 200, "the old configuration serves");
    let before = refusals(&gateway).await;
    gateway.write_config("providers: [");
    wait_until("the refusal in the metrics", || async { refusals(&gateway).await > before }).await;
    assert_eq!(gateway.chat("more/m", "hello").await.status, 200, "the old configuration serves");

    println!("and all streams, which were open all the while, come to their end");
    assert!(reading.iter().all(|stream| !stream.is_finished()), "the streams outlast the changes");
    for (number, stream) in reading.into_iter().enumerate() {
        let (complete, events, last) = stream.await.expect("no panic");
        assert!(complete, "stream {number} ended after {events} events with {last:?}");
        assert!(events > 100, "stream {number} has all of its words: {events} events");
    }
    load.stop().await;
    assert!(gateway.is_running());
    wait_until("the old generations to be gone", || async { old_generations(&gateway).await == 0.0 }).await;
}

/// A translated stream needs its format with each event. It goes on when that is replaced, and even when it is deleted.
#[tokio::test]
async fn a_stream_keeps_the_plugins_that_it_began_with() {
    let upstream = Upstream::start().await;
    let frames = Dialect::Anthropic.frames(&Dialect::Anthropic.stream(&"word ".repeat(20)));
    upstream.on_path("/v1/messages", Reply::sse(&frames).every(Duration::from_millis(200)));
    let gateway = Gateway::with(&[("anthropic", anthropic(&upstream.url()))]).await;
    let mut stream = gateway.open_stream("anthropic/m").await;
    assert!(stream.read(2).await);
    gateway.remove("format-anthropic.wasm");
    wait_until("new requests to fail", || async { gateway.chat("anthropic/m", "hello").await.status == 503 }).await;
    assert!(stream.finish().await, "{:?}", stream.events);
}

#[tokio::test]
async fn a_range_of_versions_takes_the_highest_that_matches() {
    let setup =
        [("any", "acme"), ("one", "acme@^1"), ("first", "acme@=1.0.0"), ("two", "acme@^2"), ("three", "acme@^3")]
            .into_iter()
            .fold(Setup::bare(), |setup, (name, plugin)| setup.provider(name, json!({"plugin": plugin})));
    let gateway = setup
        .plugin("acme-1.0.wasm", Component::acme("1.0.0"))
        .plugin("acme-1.1.wasm", Component::acme("1.1.0"))
        .plugin("acme-2.wasm", Component::acme("2.0.0"))
        .start()
        .await;
    let served = async |provider: &str| gateway.chat(&format!("{provider}/m"), "hello").await.content();
    assert_eq!(served("any").await, "acme 2.0.0");
    assert_eq!(served("one").await, "acme 1.1.0");
    assert_eq!(served("first").await, "acme 1.0.0");
    assert_eq!(served("two").await, "acme 2.0.0");
    let error = gateway.chat("three/m", "hello").await.openai_error(503);
    assert!(error["message"].as_str().unwrap().contains("three"), "{error}");
    assert_eq!(gateway.plugin("provider-acme").await.len(), 3);

    gateway.remove("acme-1.1.wasm");
    wait_until("the next lower version", || async { served("one").await == "acme 1.0.0" }).await;
    gateway.install("acme-3.wasm", Component::acme("3.0.1").bytes());
    wait_until("the version that was missing", || async { served("three").await == "acme 3.0.1" }).await;
    assert_eq!(served("two").await, "acme 2.0.0");
}

#[tokio::test]
async fn a_plugin_is_dropped_in_and_used_without_a_restart() {
    let gateway = Setup::new().provider("echo", json!({"plugin": "echo"})).start().await;
    gateway.install("acme.wasm", Component::acme("1.0.0").bytes());
    wait_until("the plugin to be listed", || async { !gateway.plugin("provider-acme").await.is_empty() }).await;
    gateway.reconfigure(|config| config["providers"]["acme"] = json!({"plugin": "acme"}));
    serves(&gateway, "acme 1.0.0").await;
    let streamed = gateway.stream("acme/m", "hello").await;
    assert_eq!((streamed.content().as_str(), streamed.is_done()), ("acme 1.0.0 chunk 1 chunk 2 chunk 3", true));
}

/// An editor's way of saving: the file is truncated, then written; or another takes its name.
#[tokio::test]
async fn a_configuration_is_reloaded_however_it_is_saved() {
    let gateway = Gateway::with(&[("echo", json!({"plugin": "echo"}))]).await;
    gateway.write_config("");
    gateway.reconfigure(|config| config["providers"]["second"] = json!({"plugin": "echo"}));
    wait_until("the second provider", || async { gateway.chat("second/m", "hello").await.status == 200 }).await;
    let beside = gateway.plugins.parent().expect("a folder").join("plugway.yaml.new");
    let mut config = gateway.config.clone();
    config["providers"]["third"] = json!({"plugin": "echo"});
    std::fs::write(&beside, serde_json::to_string(&config).unwrap()).unwrap();
    std::fs::rename(&beside, beside.with_file_name("plugway.yaml")).unwrap();
    wait_until("the third provider", || async { gateway.chat("third/m", "hello").await.status == 200 }).await;
    assert_eq!(gateway.chat("second/m", "hello").await.status / 100, 4, "what is no longer configured is gone");
}

#[tokio::test]
async fn a_thousand_swaps_leave_nothing_behind() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("acme", json!({"plugin": "acme"}))
        .set("plugins", "debounce_ms", 1)
        .set("log", "level", "warn")
        .set("log", "access", false)
        .start()
        .await;
    let versions = ["1.0.0", "1.1.0"].map(Component::acme);
    let contents = ["acme 1.0.0", "acme 1.1.0"];
    let mut after_ten = 0;
    for swap in 1..=1000 {
        gateway.install("acme.wasm", versions[swap % 2].bytes());
        let deadline = std::time::Instant::now() + crate::gateway::PATIENCE;
        while gateway.chat("acme/m", "hello").await.content() != contents[swap % 2] {
            assert!(std::time::Instant::now() < deadline, "swap {swap} does not come to serve:\n{}", gateway.log());
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if swap == 10 {
            after_ten = gateway.memory();
        }
    }
    wait_until("the old generations to be gone", || async { old_generations(&gateway).await == 0.0 }).await;
    let after_thousand = gateway.memory();
    assert!(
        after_thousand as f64 <= after_ten as f64 * 1.2,
        "{} MB after ten swaps, {} MB after a thousand",
        after_ten >> 20,
        after_thousand >> 20
    );
}

/// Generations that are still held by a request, without the one that serves.
async fn old_generations(gateway: &Gateway) -> f64 {
    gateway.metric("plugway_generations_alive", "").await - 1.0
}
