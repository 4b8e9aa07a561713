//! What goes on of the headers that came, upwards and downwards: what the dialect needs, and nothing of the connection, of
//! the caller itself, or of the upstream itself.

use crate::dialects::Dialect;
use crate::gateway::{Answer, Gateway, anthropic, chat_body, openai, read};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a caller sends, and whether an upstream of its dialect gets it.
const UPWARDS: [(&str, &str, bool); 40] = [
    // The dialect's own, and what nobody knows.
    ("openai-beta", "assistants=v2", true),
    ("anthropic-beta", "tools-2024", true),
    ("anthropic-version", "2023-06-01", true),
    ("x-request-source", "ci", true),
    ("idempotency-key", "again-1", true),
    ("x-twice", "one", true),
    ("x-twice", "two", true),
    // Credentials, whatever they are called.
    ("authorization", "Bearer private", false),
    ("x-api-key", "private", false),
    ("api-key", "private", false),
    ("x-goog-api-key", "private", false),
    ("x-auth-token", "private", false),
    ("cookie", "session=private", false),
    ("x-amz-security-token", "private", false),
    ("x-signature", "private", false),
    // Of the caller and of those between it and us.
    ("x-bt-org-name", "private", false),
    ("x-bt-use-cache", "private", false),
    ("x-amzn-trace-id", "private", false),
    ("sec-fetch-mode", "private", false),
    ("sec-ch-ua", "private", false),
    ("origin", "https://private.example", false),
    ("referer", "https://private.example", false),
    ("user-agent", "private", false),
    ("cache-control", "private", false),
    ("forwarded", "for=private", false),
    ("via", "1.1 private", false),
    ("x-forwarded-for", "private", false),
    ("x-real-ip", "private", false),
    ("cf-connecting-ip", "private", false),
    ("x-plugway-strict", "private", false),
    // Of the connection, by name or because the caller says so.
    ("keep-alive", "timeout=private", false),
    ("te", "private", false),
    ("trailer", "private", false),
    ("proxy-authorization", "Basic private", false),
    ("proxy-connection", "private", false),
    ("connection", "x-of-the-connection, close", false),
    ("connection", "X-Of-It-Too", false),
    ("x-of-the-connection", "private", false),
    ("x-of-it-too", "private", false),
    ("accept-encoding", "private", false),
];

/// What an upstream sends, and whether a caller of its dialect gets it.
const DOWNWARDS: [(&str, &str, bool); 24] = [
    ("x-request-id", "req-upstream", true),
    ("x-ratelimit-remaining-requests", "59", true),
    ("openai-processing-ms", "12", true),
    ("anthropic-ratelimit-tokens-remaining", "1000", true),
    ("x-twice", "one", true),
    ("x-twice", "two", true),
    ("set-cookie", "session=private", false),
    ("server", "private", false),
    ("date", "private", false),
    ("via", "1.1 private", false),
    ("alt-svc", "private", false),
    ("strict-transport-security", "private", false),
    ("www-authenticate", "private", false),
    ("proxy-authenticate", "private", false),
    ("location", "https://private.example", false),
    ("access-control-allow-origin", "private", false),
    ("keep-alive", "timeout=private", false),
    ("trailer", "private", false),
    ("upgrade", "private", false),
    ("x-plugway-request-id", "private", false),
    ("x-plugway-dropped", "private", false),
    ("connection", "x-of-the-connection", false),
    ("x-of-the-connection", "private", false),
    ("te", "private", false),
];

/// Sends a request as it is written here: no client makes all of these.
async fn send(gateway: &Gateway, path: &str, headers: &[(&str, &str)], body: &Value) {
    let address = gateway.url.trim_start_matches("http://");
    let body = body.to_string();
    let mut request = format!("POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-length: {}\r\n", body.len());
    headers.iter().for_each(|(name, value)| request.push_str(&format!("{name}: {value}\r\n")));
    let mut connection = TcpStream::connect(address).await.expect("connected");
    connection.write_all(format!("{request}\r\n{body}").as_bytes()).await.expect("sent");
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).await.expect("answered");
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

fn all(seen: &Seen, wanted: &str) -> Vec<String> {
    let same = seen.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
    same.map(|(_, value)| value.clone()).collect()
}

#[tokio::test]
async fn of_a_callers_headers_an_upstream_gets_what_is_meant_for_it() {
    let upstream = Upstream::start().await;
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.on_path(dialect.path(), Reply::json(200, &dialect.whole("hi")));
    }
    let gateway =
        Gateway::with(&[("openai", openai(&upstream.url())), ("anthropic", anthropic(&upstream.url()))]).await;
    let headers = UPWARDS.map(|(name, value, _)| (name, value));
    for (dialect, provider) in [(Dialect::OpenAi, "openai"), (Dialect::Anthropic, "anthropic")] {
        let mut body = chat_body(&format!("{provider}/m"), "hello", false);
        body["max_tokens"] = json!(9);
        send(&gateway, dialect.path(), &headers, &body).await;
        let seen = upstream.last_request();
        assert!(!format!("{seen:?}").contains("private"), "{seen:?}");
        assert_eq!(seen.header("host"), Some(upstream.url().trim_start_matches("http://")));
        for (name, value, passes) in UPWARDS {
            let arrived = all(&seen, name).contains(&value.to_owned());
            // Anthropic's plugin says which version it speaks.
            assert!(arrived == passes || name == "anthropic-version", "{dialect:?}, {name}: {seen:?}");
        }
        assert_eq!(all(&seen, "x-twice"), ["one", "two"]);
        assert_eq!(all(&seen, "content-length").len(), 1);
    }
    // Where it must be translated, a header of the caller's dialect means nothing.
    send(&gateway, Dialect::OpenAi.path(), &headers, &chat_body("anthropic/m", "hello", false)).await;
    let seen = upstream.last_request();
    assert!(all(&seen, "x-twice").is_empty() && all(&seen, "openai-beta").is_empty(), "{seen:?}");
}

#[tokio::test]
async fn of_an_upstreams_headers_a_caller_gets_what_is_meant_for_it() {
    let upstream = Upstream::start().await;
    let dialect = Dialect::OpenAi;
    let with_headers =
        |reply: Reply| DOWNWARDS.iter().fold(reply, |reply, (name, value, _)| reply.another(name, value));
    upstream.on_model("whole", with_headers(Reply::json(200, &dialect.whole("hi"))));
    upstream.on_model("stream", with_headers(Reply::sse(&dialect.frames(&dialect.stream("one two")))));
    upstream.on_model("refused", with_headers(Reply::json(429, &dialect.error(429))));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    for (model, answer) in [
        ("whole", gateway.chat("openai/whole", "hello").await),
        ("stream", gateway.stream("openai/stream", "hello").await),
        ("refused", gateway.chat("openai/refused", "hello").await),
    ] {
        assert!(!format!("{:?}", answer.headers).contains("private"), "{model}: {:?}", answer.headers);
        for (name, value, passes) in DOWNWARDS {
            let came = answer.headers.get_all(name).iter().any(|came| came == value);
            assert_eq!(came, passes, "{model}, {name}: {:?}", answer.headers);
        }
        assert!(answer.header("x-plugway-request-id").starts_with("req_"), "{model}");
    }
}

/// A line break in what a caller says would be another header. It is the caller's mistake and nobody else's: the plugin
/// that fills in headers is not put to rest for it.
#[tokio::test]
async fn nothing_is_injected_into_a_header_that_is_made_from_what_a_caller_says() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let mut block = openai(&upstream.url());
    block["headers"] = json!({"x-model": "it is {{model}}", "x-user": "{{request.header.x-user}}"});
    let gateway = Gateway::with(&[("templated", block)]).await;
    for injected in ["m\r\nx-injected: 1", "m\nx-injected: 1", "m\rx", "m\u{0}", "m\u{7f}", "m\u{1b}"] {
        for _ in 0..3 {
            let error = gateway.chat(&format!("templated/{injected}"), "hello").await.openai_error(400);
            assert_eq!(error["param"], "model", "{injected:?}: {error}");
        }
    }
    assert_eq!(upstream.requests().len(), 0);
    let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url));
    let request = request.header("x-user", &b"caf\xe9"[..]).json(&chat_body("templated/good", "hello", false));
    assert_eq!(read(request).await.status, 200);
    let seen = upstream.last_request();
    assert_eq!((seen.header("x-model"), seen.header("x-user")), (Some("it is good"), None), "{seen:?}");
}

/// The operator's headers stand alone, and only the operator can make a caller's credential go on.
#[tokio::test]
async fn the_operators_headers_are_over_the_callers() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let mut fixed = openai(&upstream.url());
    fixed["network_config"]["extra_headers"] = json!({"x-team": "research"});
    let mut handed_on = openai(&upstream.url());
    handed_on["headers"] = json!({"x-callers-own": "{{request.header.authorization}}"});
    let mut verified = openai(&upstream.url());
    verified["headers"] = json!({"x-team": "{{request.header.x-verified-team}}"});
    let gateway = Gateway::with(&[("fixed", fixed), ("handed-on", handed_on), ("verified", verified)]).await;
    let ask = async |model: &str| -> Answer {
        let request = gateway.http.post(format!("{}/v1/chat/completions", gateway.url));
        let request =
            request.header("x-team", "sales").header("x-team", "spies").header("authorization", "Bearer mine");
        read(request.json(&chat_body(model, "hello", false))).await
    };
    assert_eq!(ask("fixed/m").await.status, 200);
    let seen = upstream.last_request();
    assert_eq!(all(&seen, "x-team"), ["research"]);
    assert!(!format!("{seen:?}").contains("mine"), "{seen:?}");
    assert_eq!(ask("verified/m").await.status, 200);
    assert_eq!(all(&upstream.last_request(), "x-team").len(), 0, "nothing to fill in is no leave for the caller");
    assert_eq!(ask("handed-on/m").await.status, 200);
    let seen = upstream.last_request();
    assert_eq!(seen.header("x-callers-own"), Some("Bearer mine"));
    assert_eq!(all(&seen, "authorization"), ["Bearer sk-upstream-key"]);
}

/// Without authentication nobody knows who calls, and an empty header would say that it is nobody.
#[tokio::test]
async fn templates_that_want_to_know_the_caller_are_refused() {
    let mut block = openai("https://api.example.com");
    block["headers"] = json!({"x-email": "{{email}}"});
    let gateway = Gateway::with(&[("templated", block)]).await;
    let troubles = gateway.get("/api/plugins").await.json()["troubles"].to_string();
    for words in ["providers.templated", "x-email", "`email` is not known", "callers.email_header"] {
        assert!(troubles.contains(words), "{words} in {troubles}");
    }
}
