//! Whoever has the program has all that a plugin needs: `plugway plugin new` makes projects that build and work, and what
//! is wrong with a project is said in a sentence. That each passes its own test is seen by `tests/authors/build.sh`.

use crate::authors::{built, built_file, compiled};
use crate::dialects::Dialect;
use crate::gateway::{BINARY, LONG, Setup, root, run, run_within};
use crate::sse::Event;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use tokio::process::Command;

const SECRET: &str = "project-secret";

/// What `plugway plugin new` makes, in one gateway: the format asks and answers, the policy reads, the provider and the
/// header templates send.
async fn new_projects_work(language: &str) {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("From afar.")));
    let mut setup = Setup::new()
        .provider("echo", json!({"plugin": "echo", "models": ["echo"]}))
        .provider(
            "far",
            json!({
                "plugin": "x-provider",
                "keys": [{"name": "main", "value": SECRET}],
                "network_config": {"base_url": upstream.url(), "allow_private_network": true},
                "header_templates": "x-headers",
                "headers": {"x-said": "it is $model, and no {{template}}"},
            }),
        )
        .section("policies", json!([{"plugin": "x-policy", "settings": {"words": ["nightfall"]}}]));
    let kinds = ["provider", "format", "headers", "policy"];
    let components = kinds.map(|kind| built(&format!("new-{language}-{kind}"), &format!("x-{kind}")));
    compiled(&components).await;
    for (kind, component) in kinds.iter().zip(components) {
        setup = setup.plugin(&format!("x-{kind}.wasm"), component);
    }
    let gateway = setup.start().await;
    let ask = async |model: &str, question: &str, stream: bool| {
        gateway.post("/v1/ask", &json!({"model": model, "question": question, "stream": stream})).await
    };

    let answer = ask("echo", "Why not?", false).await;
    assert_eq!(answer.json(), json!({"answer": "Why not?", "words": 2}), "{}", gateway.log());
    let words: Vec<Value> = ask("echo", "Why not?", true).await.events().iter().map(Event::json).collect();
    assert_eq!(words.last(), Some(&json!({"words": 2})), "{words:?}");
    assert_eq!(words.iter().filter_map(|event| event["word"].as_str()).collect::<String>(), "Why not?");

    let refused = ask("echo", "What is nightfall?", false).await;
    assert_eq!((refused.status, refused.json()), (400, json!({"failure": "`nightfall` is not to be talked about"})));

    assert_eq!(ask("far/large", "Where?", false).await.json()["answer"], "From afar.", "{}", gateway.log());
    let seen = upstream.last_request();
    assert_eq!(
        (seen.path.as_str(), seen.header("x-api-key"), seen.header("x-team")),
        ("/v2/chat", Some(SECRET), Some("default"))
    );
    assert_eq!(seen.header("x-said"), Some("it is large, and no {{template}}"));
}

#[tokio::test]
async fn new_projects_in_rust_work() {
    new_projects_work("rust").await;
}

#[tokio::test]
async fn new_projects_in_javascript_work() {
    new_projects_work("js").await;
}

#[tokio::test]
async fn new_projects_in_python_work() {
    new_projects_work("python").await;
}

/// Their own tests run the cases natively; as components they are held to what their kinds promise, too.
#[tokio::test]
async fn new_projects_pass_their_cases_as_components_and_nothing_is_wrong_with_them() {
    for language in ["rust", "js", "python"] {
        for kind in ["provider", "format", "headers", "policy"] {
            let component = built_file(&format!("new-{language}-{kind}"), &format!("x-{kind}"));
            let cases = root().join("host/templates/cases").join(kind);
            let [component, cases] = [&component, &cases].map(|path| path.to_str().expect("UTF-8"));
            let (code, told) = run_within(LONG, &["plugin", "test", component, "--cases", cases]).await;
            assert_eq!(code, Some(0), "{language} {kind}: {told}");
            let (code, told) = run_within(LONG, &["plugin", "check", component]).await;
            assert_eq!(code, Some(0), "{language} {kind}: {told}");
        }
    }
}

#[tokio::test]
async fn a_new_project_needs_a_name_a_kind_and_a_place() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let into = folder.path().join("project").display().to_string();
    let new = async |name: &str, kind: &str, language: &str, into: &str| {
        run(&["plugin", "new", name, "--kind", kind, "--lang", language, "--into", into]).await
    };
    for name in ["Acme", "acme_1", "1acme", "acme-", "", "../acme"] {
        let (code, said) = new(name, "provider", "rust", &into).await;
        assert_eq!(code, Some(64), "{said}");
        assert!(said.contains("such as `provider-acme`"), "{said}");
    }
    let (code, said) = new("acme", "polcy", "rust", &into).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("provider, format, headers, policy") && said.contains("'policy'"), "{said}");
    let (code, said) = new("acme", "policy", "cobol", &into).await;
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("rust, js, python"), "{said}");
    assert_eq!(new("acme", "policy", "js", &into).await.0, Some(0));
    let (code, said) = new("acme", "policy", "js", &into).await;
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("there is something of that name already; choose another with --into"), "{said}");
}

#[tokio::test]
async fn what_cannot_be_built_is_told_in_a_sentence() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let project = folder.path().display().to_string();
    let put = |file: &str, text: &str| std::fs::write(folder.path().join(file), text).expect("a file of a project");
    let build = async || {
        // Nothing is on the way to tools but what the test needs.
        let mut command = Command::new(BINARY);
        command.args(["plugin", "build", &project, "--out", &project]).env("PATH", "/nowhere").kill_on_drop(true);
        let output = command.output().await.expect("it runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let manifest = |kinds: Value| {
        json!({"name": "x", "version": "1.0.0", "main": "plugin.js", "plugway": {"kinds": kinds}}).to_string()
    };
    let expect = |(code, said): (Option<i32>, String), wanted: i32, words: &str| {
        assert_eq!(code, Some(wanted), "{said}");
        assert!(said.contains(words), "{words:?} in {said}");
    };

    expect(
        build().await,
        1,
        "there is no Cargo.toml, package.json or pyproject.toml in this folder; `plugway plugin new`",
    );
    put("package.json", &manifest(json!(["provder"])));
    expect(
        build().await,
        1,
        "package.json: plugway.kinds: there is no kind `provder`; there are provider, format-upstream",
    );
    put("package.json", &manifest(json!([])));
    expect(build().await, 1, "plugway.kinds: a plugin has at least one of provider");
    put("package.json", r#"{"name": "x", "version": "1.0.0", "main": "plugin.js"}"#);
    expect(build().await, 1, "missing field `plugway`");
    put("package.json", &manifest(json!(["provider"])));
    expect(build().await, 1, "there is no plugin.js in this folder; `plugway plugin new --lang js` shows");
    put("plugin.js", "export const capabilities = () => ({});");
    put("plugway.js", "");
    expect(build().await, 69, "componentize-qjs is not installed; run `npm install` in the project's folder");
    put("pyproject.toml", "[project]\nname = \"x\"\n");
    expect(build().await, 1, "it cannot be told what the plugin is written in; keep one");
    std::fs::remove_file(folder.path().join("package.json")).expect("it was there");
    expect(build().await, 1, "pyproject.toml: TOML parse error");
    put("pyproject.toml", "[project]\nname = \"x\"\nversion = \"1.0.0\"\n[tool.plugway]\nkinds = [\"policy\"]\n");
    expect(build().await, 1, "there is no plugin.py in this folder");
    put("plugin.py", "");
    put("plugway.py", "");
    expect(build().await, 69, "componentize-py is not installed; run `python3 -m venv .venv`");
    std::fs::remove_file(folder.path().join("pyproject.toml")).expect("it was there");
    put("Cargo.toml", "[package]\nname = \"x\"\n");
    expect(build().await, 69, "rustc cannot be run");
}

/// A new project in Rust gets the SDK as it lies here, so nothing in it may come from the workspace.
#[test]
fn the_sdk_stands_on_its_own() {
    let read =
        |file: &str| std::fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let (workspace, sdk) = (read("Cargo.toml"), read("plugin-sdk/Cargo.toml"));
    assert!(!sdk.contains("workspace = true"), "plugin-sdk/Cargo.toml inherits from the workspace");
    for key in ["version", "edition", "rust-version", "license", "repository"] {
        let line =
            workspace.lines().find(|line| line.starts_with(&format!("{key} = "))).expect("the workspace says it");
        assert!(sdk.lines().any(|own| own == line), "plugin-sdk/Cargo.toml must say {line}, as the workspace does");
    }
    for file in
        ["plugin/plugin.wit", "provider/provider.wit", "format/format.wit", "headers/headers.wit", "policy/policy.wit"]
    {
        assert_eq!(
            read(&format!("wit/{file}")),
            read(&format!("plugin-sdk/wit/{file}")),
            "plugin-sdk/wit is a link to wit"
        );
    }
}
