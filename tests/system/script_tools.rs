//! The tools of plugin authors take a script where they take a component, with the engine that runs it.

use crate::gateway::{Gateway, LONG, Setup, plugins_folder, run_within, wait_until};
use crate::guests::Component;
use crate::scripts::LINES;
use serde_json::{Value, json};
use std::path::Path;

/// A script and its cases in a folder of their own.
struct Project {
    folder: tempfile::TempDir,
}

impl Project {
    fn new(source: &str) -> Self {
        let project = Project { folder: tempfile::tempdir().expect("a folder") };
        project.write("lines.js", source);
        project
    }

    fn path(&self, name: &str) -> String {
        text_of(&self.folder.path().join(name)).to_owned()
    }

    fn write(&self, name: &str, content: &str) {
        let file = self.folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a folder")).expect("a folder");
        std::fs::write(file, content).expect("a file");
    }

    fn read(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join(name)).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    }

    /// A tool on the script, with the engine that comes with the gateway.
    async fn tool(&self, tool: &str, options: &[&str]) -> (Option<i32>, String) {
        let (script, engine) = (self.path("lines.js"), plugins_folder());
        run_within(LONG, &[&["plugin", tool, &script, "--engine", text_of(&engine)], options].concat()).await
    }
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

#[tokio::test]
async fn check_says_what_a_script_is() {
    let project = Project::new(LINES);
    let (code, told) = project.tool("check", &["--json"]).await;
    assert_eq!(code, Some(0), "{told}");
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!((&report["name"], &report["version"]), (&json!("lines"), &json!("1.0.0")));
    assert_eq!(report["kinds"], json!(["provider", "format-upstream"]));
    assert_eq!(report["findings"], json!([]));
    assert!(report["engine"]["name"].as_str().is_some_and(|name| name.starts_with("script@")), "{report}");
    assert!(report["initial_memory_bytes"].as_u64().is_some_and(|bytes| bytes > 0), "the engine's: {report}");

    project.write("lines.js", "export const plan = () => {\n  return 1 2;\n};");
    let (code, told) = project.tool("check", &[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("error: the script cannot be used: lines.js: SyntaxError: "), "{told}");
    assert!(told.contains("at line 2, col 12"), "{told}");
}

#[tokio::test]
async fn the_engine_is_looked_for_beside_the_script_and_where_it_is_said_to_be() {
    let project = Project::new(LINES);
    std::fs::copy(plugins_folder().join("script.wasm"), project.path("engine.wasm")).expect("an engine");
    let (code, told) = run_within(LONG, &["plugin", "inspect", &project.path("lines.js")]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("lines 1.0.0\n  A service that answers in lines\n"), "{told}");
    let run_by = told.lines().find(|line| line.starts_with("  run by ")).expect("its engine");
    assert!(run_by.contains("script@") && run_by.ends_with(&project.path("engine.wasm")), "{told}");

    project.write("empty/read.me", "no engine");
    for place in ["empty", "lines.js", "nowhere"] {
        let place = project.path(place);
        let (code, told) =
            run_within(LONG, &["plugin", "inspect", &project.path("lines.js"), "--engine", &place]).await;
        assert_eq!(code, Some(1), "{told}");
        let sentence = format!(
            "this is no component, and no engine that runs .js files was found in {place}; name one with --engine (for \
             JavaScript `script.wasm`, which comes with the gateway)"
        );
        assert!(told.contains(&sentence), "{told}");
    }
}

#[tokio::test]
async fn a_script_is_run_over_cases_and_held_to_what_its_kinds_promise() {
    let project = Project::new(LINES);
    project.write("cases/said/settings.json", &json!({"path": "/speak"}).to_string());
    project.write("cases/said/plan.in.json", &json!({"model": "m"}).to_string());
    let words = ["{\"word\": \"Hel\"}", "{\"word\": \"lo\"}", "{\"over\": true}"];
    let events: Vec<Value> = words.iter().map(|word| json!({"data": word})).collect();
    project.write("cases/streamed/decode-events.in.json", &json!(events).to_string());

    let (code, told) = project.tool("test", &["--record"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(project.read("cases/said/plan.out.json")["send"]["path"], "/speak");
    assert_eq!(project.read("cases/streamed/decode-events.out.json")["progress"], "complete");
    let (code, told) = project.tool("test", &[]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("lines@1.0.0: 2 cases") && told.contains(": all as it should be"), "{told}");

    // What is kept between calls is found in a script, too.
    project.write("lines.js", &LINES.replace("path, dialect,", "path: path += \"!\", dialect,"));
    let (code, told) = project.tool("test", &[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("-    \"path\": \"/speak\"\n+    \"path\": \"/speak!\""), "{told}");
}

#[tokio::test]
async fn the_cost_of_a_script_is_the_same_in_every_run() {
    let project = Project::new(LINES);
    project.write("cases/said/plan.in.json", &json!({"model": "m"}).to_string());
    let (cases, saved, again) = (project.path("cases"), project.path("saved.json"), project.path("again.json"));
    let (code, told) = project.tool("bench", &["--cases", &cases, "--save", &saved]).await;
    assert_eq!(code, Some(0), "{told}");
    let options = ["--cases", &cases, "--baseline", &saved, "--save", &again, "--tolerance", "0"];
    let (code, told) = project.tool("bench", &options).await;
    assert_eq!(code, Some(0), "{told}");
    let instructions = |file: &str| project.read(file)["cases"]["said/plan"]["instructions"].as_u64();
    assert!(instructions("saved.json").is_some_and(|count| count > 1_000), "{told}");
    assert_eq!(instructions("again.json"), instructions("saved.json"));
}

/// The record knows script and engine, and the call comes out the same.
#[tokio::test]
async fn a_call_into_a_script_that_failed_is_made_again() {
    let broken = LINES.replace("path, dialect,", "path: call.model.of.nothing, dialect,");
    let project = Project::new(&broken);
    let records = project.folder.path().join("records");
    let gateway = Setup::new()
        .provider(
            "lines",
            json!({"plugin": "lines", "network_config": {"base_url": "http://127.0.0.1:9", "allow_private_network": true}, "keys": [{"value": "k"}]}),
        )
        .plugin("lines.js", Component::script(&broken))
        .set("plugins", "record_failed_calls", json!({"directory": records}))
        .start()
        .await;
    gateway.chat("lines/m", "hello").await.openai_error(500);
    let written = || {
        let files = std::fs::read_dir(&records).into_iter().flatten().flatten().map(|entry| entry.path());
        files.filter(|file| file.extension().is_some_and(|ending| ending == "json")).collect::<Vec<_>>()
    };
    wait_until("a record", || async { !written().is_empty() }).await;
    let record = written().remove(0);

    let (code, told) = project.tool("replay", &["--call", text_of(&record)]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.contains("\nthe same\n") && !told.contains("warning"), "{told}");
    assert!(told.contains("plan failed: lines.js:") && told.contains("TypeError"), "where it failed: {told}");

    project.write("lines.js", LINES);
    let (code, told) = project.tool("replay", &["--call", text_of(&record)]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("warning") && told.contains("is not the script that failed"), "{told}");
    assert!(told.contains("now: the answer {\"send\":"), "{told}");
}

#[tokio::test]
async fn a_new_script_passes_its_cases_at_once_and_nothing_is_wrong_with_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = plugins_folder();
    for kind in ["provider", "format", "headers", "policy"] {
        let into = folder.path().join(kind);
        let name = format!("x-{kind}");
        let new = ["plugin", "new", &name, "--kind", kind, "--lang", "script", "--into", text_of(&into)];
        let (code, told) = run_within(LONG, &new).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.ends_with(&format!("plugway plugin test {name}.js\n")), "{told}");
        let script = into.join(format!("{name}.js"));
        for (tool, verdict) in [("test", ": all as it should be"), ("check", "0.1.0\n")] {
            let (code, told) =
                run_within(LONG, &["plugin", tool, text_of(&script), "--engine", text_of(&engine)]).await;
            assert_eq!(code, Some(0), "{told}");
            assert!(told.contains(verdict) && !told.contains("error:"), "{told}");
        }
    }
}

/// A gateway that follows the script, with the engine in its folder.
async fn follow(script: &str) -> Gateway {
    let upstream = json!({"base_url": "http://127.0.0.1:9", "allow_private_network": true});
    Setup::bare()
        .plugin("script.wasm", Component::first_party("script"))
        .provider("lines", json!({"plugin": "lines", "network_config": upstream, "keys": [{"value": "k"}]}))
        .command(&["plugin", "dev", script])
        .start()
        .await
}

#[tokio::test]
async fn a_script_is_followed_while_it_is_written() {
    let project = Project::new(LINES);
    let gateway = follow(&project.path("lines.js")).await;
    wait_until("the script to be there", || async { !gateway.plugin("lines").await.is_empty() }).await;

    project.write("lines.js", "export const plan = () => { return 1 2; };");
    gateway.wait_for_log(&["lines.js", "what served before goes on serving", "SyntaxError"]).await;
    assert_eq!(gateway.plugin("lines").await[0]["version"], "1.0.0");

    project.write("lines.js", &LINES.replace("1.0.0", "1.1.0"));
    gateway.wait_for_log(&["plugin loaded", "lines@1.1.0"]).await;
}
