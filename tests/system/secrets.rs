//! No plugin, no log line, no error and no metric ever holds the bytes of a secret; only the upstream that it belongs to
//! is given it.
//!
//! `tests/guests/spy` tells the log every argument of every call, so that the log shows all that plugins see.

use crate::dialects::Dialect;
use crate::gateway::{Answer, Gateway, Setup, anthropic, openai, provider};
use crate::guests::Component;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

const KEY: &str = "sk-1f0c9e7bd2a84365";
const KEY_FROM_ENVIRONMENT: &str = "sk-env-77ab31c05e9d";
const EXTRA: &str = "extra-5d41402abc4b2a76";
const DERIVED: &str = "derived-8f14e45fceea167a";
/// What is particular to each, and stays the same where it is percent-encoded.
const ALL: [&str; 4] = ["1f0c9e7bd2a84365", "77ab31c05e9d", "5d41402abc4b2a76", "8f14e45fceea167a"];

fn with_secrets(plugin: &str, url: &str, settings: Value) -> Value {
    let mut block = provider(plugin, url);
    block["settings"] = settings;
    block["keys"] = json!([{"name": "main", "value": KEY}]);
    block["network_config"]["extra_headers"] = json!({"x-extra": EXTRA});
    block
}

#[track_caller]
fn assert_no_secret(what: &str, text: &str) {
    for secret in ALL {
        if let Some(line) = text.lines().find(|line| line.contains(secret)) {
            panic!("{what} has the secret {secret}: {line}");
        }
    }
}

/// Nothing that the gateway has said to anybody has a secret in it.
async fn assert_kept(gateway: &Gateway, answers: &[Answer]) {
    for answer in answers {
        assert_no_secret("an answer", &format!("{:?}\n{}", answer.headers, answer.text()));
    }
    for path in ["/metrics", "/api/plugins", "/api/providers", "/v1/models", "/healthz"] {
        assert_no_secret(path, &gateway.get(path).await.text());
    }
    for answer in answers {
        gateway.wait_for_access_line(answer).await;
    }
    assert_no_secret("the log", &gateway.log());
}

#[tokio::test]
async fn no_secret_is_in_any_call_line_error_or_metric() {
    let upstream = Upstream::start().await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.on_path(dialect.path(), Reply::json(200, &dialect.whole("hi")));
    }
    let stream = Dialect::OpenAi.frames(&Dialect::OpenAi.stream("one two"));
    upstream.on_model("stream", Reply::sse(&stream));
    upstream.on_model("cut", Reply::sse(&stream).reset_after(stream[0].len() + stream[1].len() + 5));
    // OpenAI quotes a wrong key in part; others quote it whole.
    let quoting = json!({"error": {"message": format!("Incorrect API key provided: {KEY}"), "type": "authentication_error", "param": null, "code": "invalid_api_key"}});
    upstream.on_model("wrong-key", Reply::json(401, &quoting));
    upstream.on_model("wrong-key-in-text", Reply::new(500, "text/plain", format!("no {KEY} here")));

    let spied = json!({"behave": "send", "dialect": "spy", "credential": "api_key"});
    let in_query = json!({"behave": "send", "dialect": "spy", "credential": "api_key", "in_query": "key"});
    let mut templated = with_secrets("openai", &upstream.url(), json!({}));
    templated["headers"] = json!({"x-templated": "key={{api_key}}"});
    templated["header_templates"] = json!("spy");
    let mut from_environment = openai(&upstream.url());
    from_environment["keys"] = json!([{"name": "main", "value": "env.PLUGWAY_TEST_KEY"}]);
    let gateway = Setup::new()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("spy.wasm", Component::spy())
        .section("policies", json!([{"plugin": "spy"}]))
        .section("log", json!({"level": "trace", "format": "text", "access": true}))
        .environment("PLUGWAY_TEST_KEY", KEY_FROM_ENVIRONMENT)
        .provider("openai", with_secrets("openai", &upstream.url(), json!({})))
        .provider("anthropic", with_secrets("anthropic", &upstream.url(), json!({})))
        .provider("templated", templated)
        .provider("environment", from_environment)
        .provider("spied", with_secrets("acme", &upstream.url(), spied))
        .provider("in-query", with_secrets("acme", &upstream.url(), in_query))
        .provider("nowhere", with_secrets("openai", "http://127.0.0.1:9", json!({})))
        .start()
        .await;

    let mut answers = Vec::new();
    for provider in ["openai", "anthropic", "templated", "environment", "spied", "in-query", "nowhere"] {
        answers.push(gateway.chat(&format!("{provider}/m"), "hello").await);
        let good = answers.last().is_some_and(|answer| answer.status == 200);
        assert_eq!(good, provider != "nowhere", "{provider}: {}", answers.last().unwrap().text());
        // Plugins have only so many lines of log a second.
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
    for provider in ["openai", "spied", "in-query"] {
        for model in ["stream", "cut"] {
            answers.push(gateway.stream(&format!("{provider}/{model}"), "hello").await);
        }
        for model in ["wrong-key", "wrong-key-in-text"] {
            answers.push(gateway.chat(&format!("{provider}/{model}"), "hello").await);
            assert!(answers.last().unwrap().status >= 400);
            answers.push(gateway.message(&format!("{provider}/{model}"), "hello", false).await);
        }
        tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    }
    assert_kept(&gateway, &answers).await;

    // The equipment works: the spy was asked, and the upstream was given what it should be given.
    for call in [
        "review-request",
        "review-reply",
        "review-chunk",
        "render",
        "encode-request",
        "decode-reply",
        "decode-event",
        "decode-problem",
    ] {
        gateway.wait_for_log(&["spy saw", call]).await;
    }
    let seen = format!("{:?}", upstream.requests());
    for given in
        [format!("Bearer {KEY}"), format!("Bearer {KEY_FROM_ENVIRONMENT}"), format!("key={KEY}"), EXTRA.to_owned()]
    {
        assert!(seen.contains(&given), "the upstream was given {given}");
    }
    let templated =
        upstream.requests().into_iter().find_map(|request| request.header("x-templated").map(str::to_owned));
    assert_eq!(templated, Some(format!("key={KEY}")));
}

/// Environment, arguments, files, and whatever the host tells it: a plugin finds nothing.
#[tokio::test]
async fn a_plugin_that_looks_around_finds_nothing() {
    let upstream = Upstream::start().await;
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .environment("PLUGWAY_TEST_KEY", KEY_FROM_ENVIRONMENT)
        .provider("snoop", with_secrets("acme", &upstream.url(), json!({"behave": "snoop"})))
        .start()
        .await;
    let answer = gateway.chat("snoop/m", "hello").await;
    let found: Value = serde_json::from_str(&answer.content()).expect("what the plugin found");
    assert_eq!(found["environment"], json!([]), "{found}");
    assert_eq!(found["files"], json!([]), "{found}");
    assert_eq!(found["written"], false, "{found}");
    assert!(found["told"].as_str().unwrap().contains("api_key"), "it is told the name: {found}");
    assert_kept(&gateway, &[answer]).await;
}

/// A plugin has the credential sent to an upstream that answers with what it was sent, and reads the answer.
#[tokio::test]
async fn a_plugin_that_has_the_credential_echoed_does_not_see_it() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|seen| {
        let authorization = seen.header("authorization").unwrap_or_default();
        Reply::json(200, &json!({"you": "sent", "authorization": authorization, "path": seen.path}))
            .header("x-echo", authorization)
    });
    let fetch = |more: Value| {
        let mut settings = json!({"behave": "fetch", "credential": "api_key"});
        settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        with_secrets("acme", &upstream.url(), settings)
    };
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("bearer", fetch(json!({})))
        .provider("query", fetch(json!({"in_query": "key"})))
        .start()
        .await;
    let answers = [gateway.chat("bearer/m", "hello").await, gateway.chat("query/m", "hello").await];
    for (answer, request) in answers.iter().zip(upstream.requests()) {
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert!(format!("{request:?}").contains(ALL[0]), "it was sent: {request:?}");
    }
    assert_eq!(upstream.requests().len(), 2, "{answers:?}");
    assert_kept(&gateway, &answers).await;
}

/// An upstream may quote what it was sent wherever it says anything: in a good answer, in one that makes no sense, in an
/// error amid a stream, in a header.
#[tokio::test]
async fn an_upstream_that_quotes_a_credential_is_not_repeated() {
    let upstream = Upstream::start().await;
    let quote = format!("you sent {KEY}");
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let mut error = dialect.error_event();
        error["error"]["message"] = json!(quote);
        error["error"]["code"] = json!(KEY);
        let mut refusal = error.clone();
        refusal["error"]["param"] = json!(EXTRA);
        let frames = dialect.frames(&dialect.stream("one two three"));
        let error_frame = dialect.frames(&[error.clone()]).remove(0);
        let said = dialect.stream(&format!("you sent {KEY} here"));
        for (model, reply) in [
            ("early", Reply::sse(&[&frames[0], &error_frame])),
            ("late", Reply::sse(&[&frames[..5], std::slice::from_ref(&error_frame)].concat())),
            ("document", Reply::json(200, &error)),
            ("no-json", Reply::new(200, "application/json", quote.clone())),
            ("no-chunk", Reply::sse(&[frames[0].clone(), format!("data: {quote}\n\n")])),
            ("answer", Reply::json(200, &dialect.whole(&format!("you sent {KEY} here")))),
            ("stream", Reply::sse(&dialect.frames(&said)).header("x-quote", &quote)),
            ("error", Reply::json(400, &refusal).header("x-quote", EXTRA)),
        ] {
            upstream.on_model(&format!("{dialect:?}-{model}").to_lowercase(), reply);
        }
    }
    let spied = json!({"behave": "send", "dialect": "spy", "credential": "api_key"});
    let gateway = Setup::new()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("spy.wasm", Component::spy())
        .section("policies", json!([{"plugin": "spy"}]))
        .section("log", json!({"level": "trace", "format": "text", "access": true}))
        .provider("openai", with_secrets("openai", &upstream.url(), json!({})))
        .provider("anthropic", with_secrets("anthropic", &upstream.url(), json!({})))
        .provider("spied", with_secrets("acme", &upstream.url(), spied))
        .start()
        .await;
    let mut answers = Vec::new();
    for (provider, dialect) in [("openai", "openai"), ("anthropic", "anthropic"), ("spied", "openai")] {
        for model in ["early", "late", "document", "no-json", "no-chunk", "answer", "stream", "error"] {
            let model = format!("{provider}/{dialect}-{model}");
            let streaming = !model.ends_with("answer");
            answers.push(match streaming {
                true => gateway.stream(&model, "hello").await,
                false => gateway.chat(&model, "hello").await,
            });
            answers.push(gateway.message(&model, "hello", streaming).await);
            // Plugins have only so many lines of log a second.
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }
    assert_kept(&gateway, &answers).await;
    let without_policy = Gateway::with(&[
        ("openai", with_secrets("openai", &upstream.url(), json!({}))),
        ("anthropic", with_secrets("anthropic", &upstream.url(), json!({}))),
    ])
    .await;
    let mut answers = Vec::new();
    for model in ["early", "late", "document", "no-json", "no-chunk", "answer", "stream", "error"] {
        answers.push(without_policy.stream(&format!("openai/openai-{model}"), "hello").await);
        answers.push(without_policy.chat(&format!("openai/openai-{model}"), "hello").await);
        answers.push(without_policy.message(&format!("anthropic/anthropic-{model}"), "hello", true).await);
        answers.push(without_policy.message(&format!("anthropic/anthropic-{model}"), "hello", false).await);
    }
    assert_kept(&without_policy, &answers).await;
    assert!(answers.iter().any(|answer| answer.text().contains("you sent *** here")), "the rest is as it came");
}

/// Neither by a redirect nor by a path does a credential reach anybody but its own upstream.
#[tokio::test]
async fn a_credential_goes_to_its_own_upstream_only() {
    let thief = Upstream::start().await;
    thief.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("thank you")));
    let upstream = Upstream::start().await;
    for status in [301, 302, 303, 307, 308] {
        let location = format!("{}/v1/chat/completions", thief.url());
        let redirect = Reply::json(status, &json!({})).header("location", &location);
        upstream.on_model(&format!("redirect-{status}"), redirect);
    }
    let host = thief.url().trim_start_matches("http://").to_owned();
    let send = |settings: Value| {
        let mut settings = settings;
        settings["behave"] = json!("send");
        settings["credential"] = json!("api_key");
        with_secrets("acme", &upstream.url(), settings)
    };
    let gateway = Setup::new()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .provider("openai", with_secrets("openai", &upstream.url(), json!({})))
        .provider("by-url", send(json!({"path": format!("http://{host}/v1/chat/completions")})))
        .provider("by-slashes", send(json!({"path": format!("//{host}/v1/chat/completions")})))
        .provider("by-user", send(json!({"path": format!("@{host}/v1/chat/completions")})))
        .provider("by-host", send(json!({"headers": [["host", host]]})))
        .start()
        .await;
    let mut answers = Vec::new();
    for status in [301, 302, 303, 307, 308] {
        answers.push(gateway.chat(&format!("openai/redirect-{status}"), "hello").await);
    }
    for provider in ["by-url", "by-slashes", "by-user", "by-host"] {
        answers.push(gateway.chat(&format!("{provider}/m"), "hello").await);
    }
    for answer in &answers {
        answer.openai_error_of_class(5);
    }
    assert_eq!(thief.requests().len(), 0, "{:?}", thief.requests());
    assert_kept(&gateway, &answers).await;
}

/// A credential that is got from another one is as secret.
#[tokio::test]
async fn a_derived_credential_is_secret_too() {
    let upstream = Upstream::start().await;
    upstream.on_path("/token", Reply::json(200, &json!({"access_token": DERIVED, "expires_in": 3600})));
    upstream.on_path("/v1/chat/completions", Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let acquire = json!({"behave": "acquire", "path": "/token", "secret_at": "/access_token"});
    let gateway = Setup::bare()
        .plugin("acme.wasm", Component::acme("1.0.0"))
        .plugin("spy.wasm", Component::spy())
        .section("policies", json!([{"plugin": "spy"}]))
        .section("log", json!({"level": "trace", "format": "json", "access": true}))
        .provider("acme", with_secrets("acme", &upstream.url(), acquire))
        .start()
        .await;
    let answers = [gateway.chat("acme/m", "hello").await, gateway.chat("acme/m", "hello").await];
    for answer in &answers {
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let requests = upstream.requests();
    let tokens = requests.iter().filter(|request| request.path == "/token");
    assert!(tokens.clone().all(|request| request.header("authorization") == Some(&format!("Bearer {KEY}"))));
    assert_eq!(tokens.count(), 1, "one flight, and kept for its lifetime");
    let chats = requests.iter().filter(|request| request.path == "/v1/chat/completions");
    assert!(chats.clone().all(|request| request.header("authorization") == Some(&format!("Bearer {DERIVED}"))));
    assert_eq!(chats.count(), 2);
    assert_kept(&gateway, &answers).await;
}

/// A key that no header can carry is a mistake of the configuration, which does not quote it.
#[tokio::test]
async fn a_key_with_a_line_break_is_refused_unquoted() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("plugway.yaml");
    let config = json!({"providers": {"a": {
        "plugin": "openai",
        "keys": [{"name": "main", "value": format!("{KEY}\r\nx-injected: 1")}],
        "network_config": {"extra_headers": {"x-extra": format!("{EXTRA}\u{0}")}},
    }}});
    std::fs::write(&file, config.to_string()).unwrap();
    let (code, output) = crate::gateway::run(&["check", "--config", file.to_str().unwrap()]).await;
    assert_ne!(code, Some(0), "{output}");
    assert!(output.contains("providers.a.keys[0].value"), "{output}");
    assert!(output.contains("providers.a.network_config.extra_headers.x-extra"), "{output}");
    assert_no_secret("the output", &output);
}

/// An Anthropic caller, an Anthropic upstream: the key goes where that dialect has it.
#[tokio::test]
async fn the_callers_own_key_is_never_used() {
    let upstream = Upstream::start().await;
    upstream.on_path("/v1/messages", Reply::json(200, &Dialect::Anthropic.whole("hi")));
    let gateway = Gateway::with(&[("anthropic", anthropic(&upstream.url()))]).await;
    let request = gateway.http.post(format!("{}/v1/messages", gateway.url)).header("x-api-key", "callers-own");
    let body = json!({"model": "anthropic/m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    assert_eq!(crate::gateway::read(request.json(&body)).await.status, 200);
    let seen = upstream.last_request();
    assert_eq!(seen.header("x-api-key"), Some("sk-upstream-key"));
    assert_eq!(seen.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-api-key")).count(), 1);
}
