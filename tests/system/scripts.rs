//! A JavaScript file in the plugins folder is a plugin: of any kind, hot-reloaded, and no more dangerous than a component.

use crate::gateway::{Gateway, Setup, provider, wait_until};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// Lines come as `{"word": …}`, the last one as `{"over": true}`.
pub const LINES: &str = r#"
import { Problem, kindOfStatus } from "plugway";

export const version = "1.0.0";
export const description = "A service that answers in lines";
export const dialect = "lines";
export const capabilities = () => ({ operations: ["chat_completion", "chat_completion_stream"] });

let path = "/say";
export function configure(settings) {
  if (settings.path !== undefined && typeof settings.path !== "string") {
    throw new Problem("invalid-request", "path: must be text", { param: "path" });
  }
  path = settings.path ?? path;
}

export const plan = (call) => ({
  send: {
    path, dialect, framing: call.streaming ? "ndjson" : "none",
    auth: { credential: "api_key", placement: { header: "x-lines-key" } },
  },
});

export const encodeRequest = (operation, model, body) => ({ body: { model, ask: body.messages.at(-1).content } });

export const decodeReply = (operation, { words }) => ({
  id: "l-1", object: "chat.completion", created: 1, model: "lines",
  choices: [{ index: 0, message: { role: "assistant", content: words.join("") }, finish_reason: "stop" }],
});

export const decodeProblem = (status, headers, body) => new Problem(kindOfStatus(status), body.why ?? "no reason");

export function decodeEvent(operation, state, { data }, chunks) {
  const chunk = (delta, finish_reason = null) =>
    chunks.push({ id: "l-1", object: "chat.completion.chunk", created: 1, model: "lines",
      choices: [{ index: 0, delta, finish_reason }] });
  if (data.over) {
    chunk({}, "stop");
    return "complete";
  }
  state.said = (state.said ?? 0) + 1;
  chunk(state.said === 1 ? { role: "assistant", content: data.word } : { content: data.word });
}
"#;

async fn talking(script: &str) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.otherwise(|seen| match seen.json()["ask"].as_str() {
        Some("fail") => Reply::json(429, &json!({"why": "too fast"})),
        Some("stream") => {
            let lines = "{\"word\":\"Hel\"}\n{\"word\":\"lo\"}\n{\"over\":true}\n";
            Reply::new(200, "application/x-ndjson", lines).byte_by_byte()
        }
        _ => Reply::json(200, &json!({"words": ["Hel", "lo"]})),
    });
    let gateway = Setup::new()
        .provider("lines", provider("lines", &upstream.url()))
        .plugin("lines.js", Component::script(script))
        .start()
        .await;
    (upstream, gateway)
}

#[tokio::test]
async fn a_script_is_a_provider_with_a_format_of_its_own() {
    let (upstream, gateway) = talking(LINES).await;
    assert_eq!(gateway.chat("lines/m", "hello").await.content(), "Hello");
    let seen = upstream.last_request();
    assert_eq!((seen.path.as_str(), seen.header("x-lines-key").is_some()), ("/say", true));
    assert_eq!(seen.json(), json!({"model": "m", "ask": "hello"}));

    let streamed = gateway.stream("lines/m", "stream").await;
    assert_eq!((streamed.content().as_str(), streamed.is_done()), ("Hello", true));

    let error = gateway.chat("lines/m", "fail").await.openai_error(429);
    assert_eq!(error["message"], "too fast");

    let plugin = gateway.plugin("lines").await.remove(0);
    assert_eq!((&plugin["version"], &plugin["file"]), (&json!("1.0.0"), &json!("lines.js")));
    assert_eq!(plugin["kinds"], json!(["provider", "format-upstream"]));
}

#[tokio::test]
async fn a_script_is_reloaded_and_a_mistake_in_it_keeps_the_old_one() {
    let (upstream, gateway) = talking(LINES).await;
    let changed = LINES.replace("1.0.0", "1.1.0").replace("\"/say\"", "\"/speak\"");
    gateway.install("lines.js", changed.as_bytes());
    gateway.wait_for_log(&["plugin loaded", "lines@1.1.0"]).await;
    gateway.chat("lines/m", "hello").await;
    assert_eq!(upstream.last_request().path, "/speak");

    gateway.install(
        "lines.js",
        LINES.replace("export const plan = (call) => ({", "export const plan = (call => ({").as_bytes(),
    );
    gateway.wait_for_log(&["refused", "lines.js: SyntaxError: ", "at line 22, col 3"]).await;
    assert_eq!(gateway.chat("lines/m", "hello").await.content(), "Hello");
    assert_eq!(upstream.last_request().path, "/speak");
}

#[tokio::test]
async fn a_script_that_fails_or_never_ends_fails_alone_and_says_where() {
    let bad = LINES.replace(
        "export const encodeRequest = (operation, model, body) => ({",
        "export const encodeRequest = (operation, model, body) => { while (model === 'endless'); return good(operation, model, body); };\n\
         const good = (operation, model, body) => ({ hint: body.messages.at(-1).nothing.more,",
    );
    let (_upstream, gateway) = talking(&bad).await;
    gateway.chat("lines/m", "hello").await.openai_error(500);
    gateway.wait_for_log(&["encodeRequest failed: lines.js:25:80: ", "TypeError"]).await;
    let error = gateway.chat("lines/endless", "hello").await.openai_error(500);
    assert_eq!(error["code"], "plugin_timeout");
    assert_eq!(gateway.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn a_script_refuses_its_settings_in_words() {
    let upstream = Upstream::start().await;
    let mut block = provider("lines", &upstream.url());
    block["settings"] = json!({"path": 7});
    let gateway = Setup::new().provider("lines", block).plugin("lines.js", Component::script(LINES)).start().await;
    gateway.wait_for_log(&["providers.lines", "path: must be text"]).await;
}

#[tokio::test]
async fn a_script_is_a_policy() {
    const CALM: &str = r#"
        import { Problem } from "plugway";
        export const reviewRequest = (context, body) =>
          JSON.stringify(body.messages).includes("SHOUT")
            ? { refuse: new Problem("refused", "no shouting in here") }
            : { change: { ...body, temperature: 0 } };
        export const reviewChunk = (context, state, chunk, passed) => void passed.push(chunk);
    "#;
    let gateway = Setup::new()
        .provider("echo", json!({"plugin": "echo"}))
        .section("policies", json!([{"plugin": "calm"}]))
        .plugin("calm.js", Component::script(CALM))
        .start()
        .await;
    assert_eq!(gateway.chat("echo/m", "SHOUT").await.openai_error(400)["message"], "no shouting in here");
    assert_eq!(gateway.chat("echo/m", "whisper").await.status, 200);
    assert!(gateway.stream("echo/m", "whisper").await.is_done());
}

#[tokio::test]
async fn without_an_engine_it_is_said_that_one_is_missing_and_with_one_it_works() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &json!({"words": ["hi"]})));
    let gateway = Setup::bare()
        .provider("lines", provider("lines", &upstream.url()))
        .plugin("lines.js", Component::script(LINES))
        .start()
        .await;
    gateway
        .wait_for_log(&["lines.js", "no plugin runs .js files; put one that does (for JavaScript `script.wasm`)"])
        .await;
    gateway.chat("lines/m", "hello").await.openai_error(503);

    gateway.install("script.wasm", Component::first_party("script").bytes());
    wait_until("the script serves", || async { gateway.chat("lines/m", "hello").await.status == 200 }).await;
    let refused: Value = gateway.get("/api/plugins").await.json()["refused"].clone();
    assert_eq!(refused, json!([]));
}

/// Lines behind a bare gateway: there is nothing but the engine and its script.
async fn with_an_engine_only() -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &json!({"words": ["hi"]})));
    let gateway = Setup::bare()
        .provider("lines", provider("lines", &upstream.url()))
        .plugin("script.wasm", Component::first_party("script"))
        .plugin("lines.js", Component::script(LINES))
        .start()
        .await;
    (upstream, gateway)
}

/// As after a restart: what lies in the folder is what serves.
#[tokio::test]
async fn a_script_goes_with_its_engine_and_comes_with_the_next() {
    let (_upstream, gateway) = with_an_engine_only().await;
    assert_eq!(gateway.chat("lines/m", "hello").await.status, 200);

    gateway.remove("script.wasm");
    gateway.wait_for_log(&["lines@1.0.0", "lines.js", "script removed, as nothing runs it any more"]).await;
    gateway.chat("lines/m", "hello").await.openai_error(503);
    let refused = async || gateway.get("/api/plugins").await.json()["refused"].clone();
    wait_until("the file to be listed with the reason", || async {
        let refused = refused().await;
        refused[0]["file"] == "lines.js" && refused[0]["last_error"].to_string().contains("no plugin runs .js files")
    })
    .await;
    assert_eq!(gateway.plugin("lines").await, Vec::<Value>::new());

    gateway.install("script.wasm", Component::first_party("script").bytes());
    wait_until("the script serves", || async { gateway.chat("lines/m", "hello").await.status == 200 }).await;
    wait_until("nothing to be refused", || async { refused().await == json!([]) }).await;
}

#[tokio::test]
async fn an_engine_that_moves_to_another_file_leaves_its_scripts_alone() {
    let (_upstream, gateway) = with_an_engine_only().await;
    std::fs::rename(gateway.plugins.join("script.wasm"), gateway.plugins.join("engine.wasm")).expect("it is there");
    gateway.wait_for_log(&["plugin removed", "script.wasm"]).await;
    assert_eq!(gateway.chat("lines/m", "hello").await.status, 200);
    assert!(!gateway.log().contains("script removed"), "{}", gateway.log());
}

/// As every change that would leave a provider without its plugin.
#[tokio::test]
async fn another_plugin_in_the_place_of_an_engine_in_use_is_refused() {
    let (_upstream, gateway) = with_an_engine_only().await;
    gateway.install("script.wasm", Component::acme("1.0.0").bytes());
    gateway.wait_for_log(&["refused", "script.wasm", "there is no provider plugin `lines`"]).await;
    assert_eq!(gateway.chat("lines/m", "hello").await.status, 200);
}
