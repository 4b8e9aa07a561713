//! Calls into plugins that fail are written down where the operator asks for it, and come out the same when they are made
//! again.

use crate::gateway::{Gateway, Setup, openai, run, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const SECRET: &str = "sk-9c1185a5c5e9fc54";

fn records(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("an entry").path());
    let mut records: Vec<PathBuf> =
        entries.filter(|file| file.extension().is_some_and(|ending| ending == "json")).collect();
    records.sort();
    records
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).expect("a record")).expect("JSON")
}

async fn the_one_record(folder: &Path) -> PathBuf {
    wait_until("a record", || async { !records(folder).is_empty() }).await;
    let records = records(folder);
    assert_eq!(records.len(), 1, "{records:?}");
    records.into_iter().next().expect("one")
}

async fn broken(upstream: &Upstream, folder: &Path, max_files: u32) -> Gateway {
    let mut block = openai(&upstream.url());
    block["plugin"] = json!("acme");
    block["keys"] = json!([{"name": "main", "value": SECRET}]);
    block["settings"] = json!({"behave": "send", "dialect": "broken"});
    Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("broken.wasm", Component::broken_format())
        .provider("wire", block)
        .set("plugins", "record_failed_calls", json!({"directory": folder, "max_files": max_files}))
        .start()
        .await
}

fn component(folder: &Path, component: &Component) -> String {
    let file = folder.join("component.wasm");
    std::fs::write(&file, component.bytes()).expect("a component");
    file.to_str().expect("UTF-8").to_owned()
}

/// Whatever a decoder can do wrong: the record has all of the call, and the call comes out the same.
#[tokio::test]
async fn each_failure_is_written_down_and_comes_out_the_same() {
    for (event, outcome, told) in [
        (json!({"do": "panic"}), "fault", "the plugin trapped: it panicked"),
        (json!({"do": "loop"}), "fault", "did not answer within 1000 ms"),
        (json!({"do": "garbage"}), "malformed", "something that is no chunk"),
        (json!({"do": "grow", "kilobytes": 300}), "malformed", "its state is larger than 256 KiB"),
    ] {
        let upstream = Upstream::start().await;
        upstream.otherwise(move |_| Reply::sse(&[format!("data: {event}\n\n")]));
        let folder = tempfile::tempdir().expect("a folder");
        let records = folder.path().join("records");
        let gateway = broken(&upstream, &records, 10).await;
        gateway.stream("wire/m", "a user's words").await.openai_error_of_class(5);
        let file = the_one_record(&records).await;

        let record = read(&file);
        assert_eq!((&record["plugin"], &record["version"]), (&json!("format-broken"), &json!("1.0.0")), "{record}");
        assert_eq!(
            (&record["kind"], &record["function"]),
            (&json!("format-upstream"), &json!("decode-events")),
            "{record}"
        );
        assert!(record["now_ms"].as_u64().unwrap() > 1_700_000_000_000 && record["seed"].is_u64(), "{record}");
        assert!(record["arguments"]["events"][0]["data"].is_string(), "{record}");
        assert!(record["outcome"][outcome].to_string().contains(told), "{record}");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(&records).unwrap().permissions().mode() & 0o777, 0o700);

        let again = component(folder.path(), &Component::broken_format());
        let (code, text) = run(&["plugin", "replay", &again, "--call", file.to_str().unwrap()]).await;
        assert_eq!(code, Some(0), "{text}");
        assert!(!text.contains("warning"), "{text}");
        let verdict = if outcome == "malformed" { "it alone can say" } else { "the same" };
        assert!(text.lines().any(|line| line.ends_with(verdict)) && !text.contains("not the same"), "{text}");
    }
}

/// A build that is mended does something else with the same call; that it is another one is said.
#[tokio::test]
async fn another_build_is_told_apart() {
    let upstream = Upstream::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = Setup::bare()
        .plugin(
            "acme.wasm",
            Component::acme("1.0.0").stamped(&json!({"name": "provider-acme", "version": "1.0.0", "in_plan": "trap"})),
        )
        .provider("acme", {
            let mut block = openai(&upstream.url());
            block["plugin"] = json!("acme");
            block["keys"] = json!([{"name": "main", "value": SECRET}]);
            block["settings"] = json!({"behave": "answer", "chunks": 3});
            block
        })
        .set("plugins", "record_failed_calls", json!({"directory": folder.path().join("records")}))
        .start()
        .await;
    gateway.chat("acme/m", "a user's words").await.openai_error_of_class(5);
    let file = the_one_record(&folder.path().join("records")).await;
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.contains("a user's words"), "bodies are in it, which is why it is asked for: {text}");
    assert!(!text.contains(SECRET), "no secret is: {text}");
    assert_eq!(read(&file)["settings"], json!({"behave": "answer", "chunks": 3}));

    let mended = component(folder.path(), &Component::acme("1.0.1"));
    let (code, text) = run(&["plugin", "replay", &mended, "--call", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("warning") && text.contains("is not the component that failed"), "{text}");
    assert!(text.contains("now: the answer {\"reply\":") && text.contains("not the same"), "{text}");
}

/// A problem that a plugin reports is recorded as well: it may be the plugin that is wrong.
#[tokio::test]
async fn only_so_many_are_kept_and_the_oldest_go() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &json!({"do": "fail"})));
    let folder = tempfile::tempdir().expect("a folder");
    let gateway = broken(&upstream, folder.path(), 3).await;
    for _ in 0..8 {
        gateway.chat("wire/m", "hello").await.openai_error_of_class(5);
    }
    wait_until("the last record", || async {
        gateway.log().matches("a failed call into a plugin was written down").count() == 8
    })
    .await;
    let kept = records(folder.path());
    assert_eq!(kept.len(), 3, "{kept:?}");
    assert!(kept[0].file_name().unwrap().to_str().unwrap().contains("-000005-"), "the oldest went: {kept:?}");
    let record = read(&kept[0]);
    assert_eq!(record["function"], "decode-reply");
    assert_eq!(record["outcome"], json!({"problem": {"kind": "upstream", "message": "as the reply says"}}));
    let again = component(folder.path(), &Component::broken_format());
    let (code, text) = run(&["plugin", "replay", &again, "--call", kept[0].to_str().unwrap()]).await;
    assert_eq!((code, text.lines().last()), (Some(0), Some("the same")), "{text}");
}

#[tokio::test]
async fn without_being_asked_for_nothing_is_written() {
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("bad", json!({"plugin": "acme", "settings": {"behave": "panic"}}))
        .start()
        .await;
    gateway.chat("bad/m", "hello").await.openai_error_of_class(5);
    assert!(!gateway.log().contains("written down"), "{}", gateway.log());
}

#[tokio::test]
async fn what_is_no_record_is_said_to_be_none() {
    let folder = tempfile::tempdir().expect("a folder");
    let again = component(folder.path(), &Component::acme("1.0.0"));
    let file = folder.path().join("record.json");
    std::fs::write(&file, "{}").unwrap();
    let (code, text) = run(&["plugin", "replay", &again, "--call", file.to_str().unwrap()]).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("this is no record of a call") && text.contains("record_failed_calls.directory"), "{text}");
}
