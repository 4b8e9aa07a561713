//! What plugin authors work with: `plugway plugin check`, `test`, `bench`, on real components.

use crate::gateway::{plugins_folder, root, run};
use crate::guests::Component;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// A component and its cases, in a folder of their own.
pub struct Project {
    pub folder: tempfile::TempDir,
}

impl Project {
    pub fn new(component: &Component) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("plugin.wasm"), component.bytes()).expect("a component");
        std::fs::create_dir(folder.path().join("cases")).expect("a folder for cases");
        Project { folder }
    }

    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().expect("UTF-8").to_owned()
    }

    /// Another file of a case.
    pub fn case(self, case: &str, file: &str, content: &Value) -> Self {
        let folder = self.folder.path().join("cases").join(case);
        std::fs::create_dir_all(&folder).expect("a case");
        let text = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
        std::fs::write(folder.join(file), text).expect("a file of the case");
        self
    }

    fn read(&self, name: &str) -> Value {
        let text = std::fs::read_to_string(self.folder.path().join(name)).expect("a file");
        serde_json::from_str(&text).expect("JSON")
    }

    pub async fn test(&self, options: &[&str]) -> (Option<i32>, String) {
        let (plugin, cases) = (self.path("plugin.wasm"), self.path("cases"));
        run(&[&["plugin", "test", &plugin, "--cases", &cases], options].concat()).await
    }

    async fn bench(&self, options: &[&str]) -> (Option<i32>, String) {
        let (plugin, cases) = (self.path("plugin.wasm"), self.path("cases"));
        run(&[&["plugin", "bench", &plugin, "--cases", &cases], options].concat()).await
    }
}

fn first_party() -> Vec<(String, PathBuf)> {
    let plugins = std::fs::read_dir(root().join("plugins")).expect("plugins").map(|entry| entry.expect("one").path());
    let with_cases = plugins.filter(|folder| folder.join("cases").is_dir());
    with_cases.map(|folder| (folder.file_name().unwrap().to_str().unwrap().to_owned(), folder)).collect()
}

fn component_of(name: &str) -> String {
    plugins_folder().join(format!("{name}.wasm")).to_str().expect("UTF-8").to_owned()
}

fn text_of(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Natively, `cargo test` runs the same folders: the component says the same, and is held to more.
#[tokio::test]
async fn the_plugins_of_this_repository_pass_as_components() {
    for (name, folder) in first_party() {
        let cases = folder.join("cases");
        let (code, told) = run(&["plugin", "test", &component_of(&name), "--cases", text_of(&cases)]).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(told.contains(": all as it should be"), "{told}");
    }
}

#[tokio::test]
async fn what_must_come_out_is_recorded_compared_and_shown_as_a_difference() {
    let project = Project::new(&Component::acme("1.0.0")).case("sent", "settings.json", &json!({"behave": "send"}));
    let project = project.case("sent", "plan.in.json", &json!({"model": "m"}));
    let (code, told) = project.test(&[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("sent/plan: there is no plan.out.json"), "{told}");
    assert!(told.ends_with("1 thing is wrong\n"), "{told}");

    assert_eq!(project.test(&["--record"]).await.0, Some(0));
    assert_eq!(project.read("cases/sent/plan.out.json")["send"]["path"], "/v1/chat/completions");
    assert_eq!(project.test(&[]).await.0, Some(0));

    let project = project.case("sent", "settings.json", &json!({"behave": "send", "path": "/v2/chat"}));
    let (code, told) = project.test(&[]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("-    \"path\": \"/v1/chat/completions\"\n+    \"path\": \"/v2/chat\""), "{told}");
}

#[tokio::test]
async fn an_answer_that_depends_on_earlier_calls_is_found() {
    let project = Project::new(&Component::acme("1.0.0"));
    let settings = json!({"behave": "panic-after", "calls": 1});
    let mut project = project;
    for case in ["first", "second"] {
        project = project.case(case, "settings.json", &settings).case(case, "plan.in.json", &json!({}));
    }
    let (_, told) = project.test(&["--record"]).await;
    assert!(
        told.contains("second/plan: on an instance that has run the other cases: the plugin trapped: it panicked"),
        "{told}"
    );
}

/// What the decoder does wrong is what its events say; each is one sentence.
#[tokio::test]
async fn streams_are_held_to_what_all_streams_promise() {
    let good = json!([{"data": {"do": "say", "text": "hi"}}, {"data": {"do": "end"}}]);
    let wrong = [
        ("panic", json!([{"data": {"do": "panic"}}]), "the plugin trapped: it panicked"),
        ("garbage", json!([{"data": {"do": "garbage"}}, {"data": {"do": "end"}}]), "chunk 0 is none"),
        ("grown", json!([{"data": {"do": "grow", "kilobytes": 300}}]), "its state has 307202 bytes"),
        ("loop", json!([{"data": {"do": "loop"}}]), "the plugin did not answer within 1000 ms"),
        (
            "uncounted",
            json!([{"data": {"do": "say", "text": "hi", "usage": {"n": 1}}}, {"data": {"do": "end"}}]),
            "the upstream counted tokens, but the last chunk does not say so",
        ),
    ];
    for (case, events, sentence) in wrong {
        let project = Project::new(&Component::broken_format()).case(case, "decode-events.in.json", &events);
        let (code, told) = project.test(&["--record"]).await;
        assert_eq!(code, Some(1), "{told}");
        assert!(told.contains(&format!("{case}/decode-events: {sentence}")), "{told}");
    }
    let project = Project::new(&Component::broken_format()).case("good", "decode-events.in.json", &good);
    assert_eq!(project.test(&["--record"]).await.0, Some(0));
}

#[tokio::test]
async fn a_recorded_stream_is_a_case_as_it_is() {
    let recorded = "data: {\"do\":\"say\",\"text\":\"hi\"}\n\n: a comment\n\ndata: {\"do\":\"end\"}\n\n";
    let project = Project::new(&Component::broken_format()).case("recorded", "decode-events.in.sse", &json!(recorded));
    let (code, told) = project.test(&["--record"]).await;
    assert_eq!(code, Some(0), "{told}");
    let answer = project.read("cases/recorded/decode-events.out.json");
    assert_eq!(answer["progress"], "complete");
    assert_eq!(answer["chunks"][0]["choices"][0]["delta"]["content"], "hi");
}

#[tokio::test]
async fn a_plan_is_shown_as_a_curl_command_without_the_secret() {
    let cases = root().join("plugins/provider-anthropic/cases");
    let (code, told) =
        run(&["plugin", "test", &component_of("provider-anthropic"), "--cases", text_of(&cases), "--curl"]).await;
    assert_eq!(code, Some(0), "{told}");
    let expected = "curl -X POST \\\n  \"https://api.anthropic.com/v1/messages\"";
    assert!(told.contains(expected) && told.contains("-H \"x-api-key: $API_KEY\""), "{told}");
}

/// Instructions are the same in every run, so that growth is the plugin's and not the machine's.
#[tokio::test]
async fn costs_are_compared_with_a_baseline() {
    let case = json!({"model": "m"});
    let project = Project::new(&Component::acme("1.0.0")).case("answered", "plan.in.json", &case);
    let baseline = project.path("baseline.json");
    let (code, told) = project.bench(&["--save", &baseline]).await;
    assert_eq!(code, Some(0), "{told}");
    assert!(told.starts_with("case "), "{told}");
    let saved = project.read("baseline.json");
    let instructions = saved["cases"]["answered/plan"]["instructions"].as_u64().expect("a number");
    assert!(instructions > 1_000, "{saved}");

    let again = project.path("again.json");
    let (code, told) = project.bench(&["--baseline", &baseline, "--save", &again, "--tolerance", "0"]).await;
    assert_eq!(code, Some(0), "{told}");
    assert_eq!(project.read("again.json")["cases"]["answered/plan"]["instructions"], instructions);

    let slower = project.case("answered", "settings.json", &json!({"behave": "slow", "milliseconds": 1}));
    let (code, told) = slower.bench(&["--baseline", &baseline]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains(&format!("answered/plan: instructions {instructions} → ")), "{told}");
}

#[tokio::test]
async fn check_says_in_json_what_a_plugin_is() {
    let (code, told) = run(&["plugin", "check", "--json", &component_of("provider-openai")]).await;
    assert_eq!(code, Some(0), "{told}");
    let report: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(report["loads"], true);
    assert_eq!(report["name"], "provider-openai");
    assert_eq!(report["kinds"], json!(["provider", "format-upstream"]));
    assert_eq!(report["findings"], json!([]));
    assert_eq!(report["hosts"][0], "plugway:format 0.1.0 up to, but not including, 0.2.0");
    for number in ["size_bytes", "initial_memory_bytes", "table_elements"] {
        assert!(report[number].as_u64().is_some_and(|number| number > 0), "{number} in {report}");
    }
    for text in ["version", "description", "digest", "file"] {
        assert!(report[text].is_string(), "{text} in {report}");
    }
    assert!(report["settings_schema"].is_object() && report["imports"].is_array(), "{report}");
}

#[tokio::test]
async fn nothing_is_wrong_with_the_plugins_of_this_repository() {
    for (name, _) in first_party() {
        let (code, told) = run(&["plugin", "check", &component_of(&name)]).await;
        assert_eq!(code, Some(0), "{told}");
        assert!(!told.contains("error:"), "{told}");
    }
}
