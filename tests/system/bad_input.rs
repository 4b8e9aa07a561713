//! Whatever a caller sends, it gets the right status and an error in its own dialect, or is cut; and the gateway stays
//! as small and as quick for others as it was.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, anthropic, openai, read, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn echo() -> Gateway {
    Gateway::with(&[("echo", json!({"plugin": "echo"}))]).await
}

/// Before both upstreams, which answer everything.
async fn gateway_before(upstream: &Upstream) -> Gateway {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        upstream.on_path(dialect.path(), Reply::json(200, &dialect.whole("hi")));
    }
    Gateway::with(&[("openai", openai(&upstream.url())), ("anthropic", anthropic(&upstream.url()))]).await
}

const ROUTES: [&str; 2] = ["/v1/chat/completions", "/v1/messages"];

/// Asserts an error in the dialect of the route.
#[track_caller]
fn assert_refused(route: &str, answer: &crate::gateway::Answer, status: u16) -> Value {
    match route {
        "/v1/messages" => answer.anthropic_error(status),
        _ => answer.openai_error(status),
    }
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_bad_requests() {
    let gateway = echo().await;
    for route in ROUTES {
        for body in [
            &b""[..],
            b" ",
            b"hello",
            b"{",
            b"{\"model\": \"echo/m\", ",
            b"{\"model\": \"echo/m\", \"messages\": [}",
            b"{\"model\": \"echo/m\"} trailing",
            b"{'model': 'echo/m'}",
            b"[]",
            b"null",
            b"\"echo/m\"",
            b"\xff\xfe{\"model\"",
            b"{\"model\": \"echo/m\", \"messages\": [{\"role\": \"user\", \"content\": \"\xff\xff\"}]}",
            b"{\"model\": \"echo/m\", \"messages\": [{\"role\": \"user\", \"content\": \"\\ud800\"}]}",
        ] {
            let answer = gateway.post_bytes(route, body.to_vec()).await;
            println!("{route} {:?} {}", String::from_utf8_lossy(body), answer.text());
            let error = assert_refused(route, &answer, 400);
            assert_eq!(error["type"], "invalid_request_error");
        }
    }
}

#[tokio::test]
async fn members_of_the_wrong_type_are_bad_requests() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    let good = json!({"model": "anthropic/m", "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
    for (member, value) in [
        ("model", json!(5)),
        ("model", json!(null)),
        ("model", json!(["anthropic/m"])),
        ("stream", json!("yes")),
        ("messages", json!("hello")),
        ("messages", json!({"role": "user"})),
        ("messages", json!([5])),
        ("messages", json!([{"role": 5, "content": "hello"}])),
    ] {
        let mut body = good.clone();
        body[member] = value;
        let error = gateway.post("/v1/chat/completions", &body).await.openai_error(400);
        let named = error.to_string().contains(member);
        assert!(named || member == "messages", "only a format knows what is in messages; {body}: {error}");
        body["model"] = Value::String(body["model"].as_str().unwrap_or_default().replace("anthropic", "openai"));
        if !body["model"].as_str().unwrap().is_empty() {
            gateway.post("/v1/messages", &body).await.anthropic_error(400);
        }
    }
    assert_eq!(upstream.requests().len(), 0, "no upstream was troubled");
}

#[tokio::test]
async fn absent_and_unknown_models_are_told_apart() {
    let gateway = echo().await;
    for route in ROUTES {
        let absent = gateway.post(route, &json!({"max_tokens": 9, "messages": []})).await;
        let error = assert_refused(route, &absent, 400);
        assert!(error["message"].as_str().unwrap().contains("model"), "{error}");
        for model in ["nobody/m", "unheard-of", "", "/", "echo", "//", "echo/"] {
            let body = json!({"model": model, "max_tokens": 9, "messages": [{"role": "user", "content": "hello"}]});
            let answer = gateway.post(route, &body).await;
            assert!(matches!(answer.status, 400 | 404), "{model:?}: {} {}", answer.status, answer.text());
            assert_refused(route, &answer, answer.status);
        }
    }
    let error = gateway.chat("nobody/m", "hello").await.openai_error(404);
    assert_eq!(error["code"], "model_not_found");
    assert!(error["message"].as_str().unwrap().contains("nobody/m"), "{error}");
    let error = gateway.message("nobody/m", "hello", false).await.anthropic_error(404);
    assert_eq!(error["type"], "not_found_error");
}

#[tokio::test]
async fn unknown_paths_and_methods_are_told_apart() {
    let gateway = echo().await;
    gateway.post("/v1/unheard-of", &json!({})).await.openai_error(404);
    gateway.get("/v1/chat/completions").await.openai_error(405);
    assert_eq!(gateway.post("/healthz", &json!({})).await.status, 405);
    assert_eq!(gateway.get("/").await.status / 100, 4);
    assert_eq!(gateway.get("/../../etc/passwd").await.status / 100, 4);
}

#[tokio::test]
async fn bodies_above_the_limit_are_refused_before_they_fill_memory() {
    let setup = Setup::new().provider("echo", json!({"plugin": "echo"}));
    let gateway = setup.set("limits", "body_mb", 4).start().await;
    let body_of = |bytes: usize| json!({"model": "echo/m", "max_tokens": 9, "messages": [{"role": "user", "content": "x".repeat(bytes)}]});
    let large = body_of(32 << 20).to_string();
    let before = gateway.memory();
    for route in ROUTES {
        let slightly = body_of(4 << 20).to_string();
        assert_refused(route, &gateway.post_bytes(route, slightly).await, 413);
        for _ in 0..10 {
            // With a length that says it all, and in chunks that do not. A caller that goes on sending may be cut.
            for answer in [sized(&gateway, route, &large).await, chunked(&gateway, route, &large).await] {
                assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413 "), "{answer:.300}");
            }
        }
    }
    let grown = gateway.memory().saturating_sub(before) >> 20;
    assert!(grown < 64, "memory grew by {grown} MB");
    assert_eq!(gateway.post("/v1/chat/completions", &body_of(1 << 20)).await.status, 200);
}

#[tokio::test]
async fn a_body_of_many_megabytes_within_the_limit_passes() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (model, megabytes) in [("openai/m", 20), ("anthropic/m", 6)] {
        let answer = gateway.chat(model, &"x".repeat(megabytes << 20)).await;
        assert_eq!(answer.status, 200, "{model}: {:.300}", answer.text());
        assert!(upstream.last_request().body.len() > megabytes << 20);
    }
}

/// What is too large for a plugin's memory is too large; it is no fault of the plugin, which must not be taken from
/// everybody because of it.
#[tokio::test]
async fn a_body_that_is_too_large_to_translate_harms_nobody() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    let text = "x".repeat(28 << 20);
    for _ in 0..10 {
        let answer = gateway.chat("anthropic/m", &text).await;
        assert!(matches!(answer.status, 200 | 413), "{} {:.300}", answer.status, answer.text());
    }
    assert_eq!(gateway.chat("anthropic/m", "hello").await.status, 200);
}

#[tokio::test]
async fn deep_nesting_does_no_harm() {
    let upstream = Upstream::start().await;
    let mut gateway = gateway_before(&upstream).await;
    for depth in [100, 1_000, 100_000, 2_000_000] {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = format!("{}1{}", open.repeat(depth), close.repeat(depth));
            for provider in ["openai", "anthropic"] {
                let member = format!(
                    "{{\"model\":\"{provider}/m\",\"max_tokens\":9,\"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}],\"metadata\":{nested}}}"
                );
                let content = format!("{{\"model\":\"{provider}/m\",\"max_tokens\":9,\"messages\":{nested}}}");
                for (route, body) in ROUTES.into_iter().flat_map(|route| [(route, &member), (route, &content)]) {
                    let answer = gateway.post_bytes(route, body.clone()).await;
                    let context =
                        format!("{route} {provider}, {depth} levels: {} {:.300}", answer.status, answer.text());
                    assert!(matches!(answer.status, 200 | 400 | 413), "{context}");
                }
            }
        }
        assert!(gateway.is_running());
    }
}

/// What is shallow in one dialect can be deep in another: a call's arguments are text here and an object there, and a
/// schema lies one level deeper. That is nobody's fault but the text's, and the dialect stays for everybody else.
#[tokio::test]
async fn what_is_too_deep_only_when_translated_takes_no_dialect_away() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    let nested = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    let told = json!({"role": "user", "content": "hi"});
    for depth in 120..=131 {
        let call = json!({"id": "c", "type": "function", "function": {"name": "f", "arguments": nested(depth)}});
        let called = json!({"role": "assistant", "content": null, "tool_calls": [call]});
        let came = json!({"role": "tool", "tool_call_id": "c", "content": "1"});
        let arguments = json!({"model": "anthropic/m", "messages": [told, called, came]}).to_string();
        let schema = format!(
            "{{\"model\":\"openai/m\",\"max_tokens\":9,\"messages\":[{told}],\"tools\":[{{\"name\":\"f\",\"input_schema\":{}}}]}}",
            nested(depth)
        );
        for (route, body) in [(ROUTES[0], arguments), (ROUTES[1], schema)] {
            for _ in 0..6 {
                let answer = gateway.post_bytes(route, body.clone()).await;
                let context = format!("{route}, {depth} levels: {} {:.300}", answer.status, answer.text());
                assert!(matches!(answer.status, 200 | 400), "{context}");
            }
        }
        let mut answer = Dialect::OpenAi.whole_tool_call();
        answer["choices"][0]["message"]["tool_calls"][0]["function"]["arguments"] = nested(depth).into();
        upstream.on_model("deep", Reply::json(200, &answer));
        for _ in 0..6 {
            let answer = gateway.message("openai/deep", "hello", false).await;
            let context = format!("an answer, {depth} levels: {} {:.300}", answer.status, answer.text());
            assert!(matches!(answer.status, 200 | 502), "{context}");
        }
    }
    assert_eq!(gateway.chat("anthropic/m", "hello").await.status, 200);
    assert_eq!(gateway.message("openai/m", "hello", false).await.status, 200);
}

#[tokio::test]
async fn too_many_or_too_large_headers_are_refused() {
    let gateway = echo().await;
    let many: String = (0..5_000).map(|index| format!("x-{index}: 1\r\n")).collect();
    let large = format!("x-large: {}\r\n", "x".repeat(2 << 20));
    for headers in [many, large] {
        let request = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n{headers}content-length: 0\r\n\r\n");
        let answer = raw(&gateway, request.as_bytes()).await;
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused, "refused or cut: {answer:.300}");
    }
    assert_eq!(gateway.chat("echo/m", "hello").await.status, 200);
}

#[tokio::test]
async fn what_is_not_http_is_cut() {
    let gateway = echo().await;
    for bytes in [&b"hello\r\n\r\n"[..], b"\0\0\0\0", b"\x16\x03\x01\x02\0\x01\0\x01\xfc", b"GET / HTTP/9.9\r\n\r\n"] {
        let answer = raw(&gateway, bytes).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer:.300}");
    }
    // Two lengths are how requests are smuggled.
    let smuggled = "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 40\r\n\r\n{}";
    let answer = raw(&gateway, smuggled.as_bytes()).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer:.300}");
    assert_eq!(gateway.chat("echo/m", "hello").await.status, 200);
}

#[tokio::test]
async fn slow_callers_are_cut() {
    let setup = Setup::new().provider("echo", json!({"plugin": "echo"}));
    let gateway = setup.set("limits", "caller_timeout_seconds", 1).start().await;
    for beginning in [
        "POST /v1/chat/comp",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\n",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: 100\r\n\r\n{\"model\":",
        "POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{\"mod",
    ] {
        let start = Instant::now();
        let answer = raw(&gateway, beginning.as_bytes()).await;
        assert!(start.elapsed() < Duration::from_secs(10), "cut after {:?}: {beginning}", start.elapsed());
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer:.300}");
    }
}

#[tokio::test]
async fn vanishing_callers_are_forgotten_and_so_is_their_upstream() {
    let upstream = Upstream::start().await;
    let frames = Dialect::OpenAi.frames(&Dialect::OpenAi.stream("one two three"));
    let first_two = frames[0].len() + frames[1].len();
    upstream.on_model("endless", Reply::sse(&frames).stall_after(first_two));
    upstream.on_model("silent", Reply::sse(&frames).stall_before_headers());
    let mut block = openai(&upstream.url());
    block["network_config"]["default_request_timeout_in_seconds"] = json!(100);
    block["network_config"]["stream_idle_timeout_in_seconds"] = json!(100);
    let gateway = Gateway::with(&[("openai", block)]).await;

    let mut stream = gateway.open_stream("openai/endless").await;
    assert!(stream.read(2).await);
    drop(stream);
    wait_until("the upstream to be hung up on in mid-stream", || async { upstream.abandoned() == 1 }).await;

    let waiting = gateway.chat("openai/silent", "hello");
    assert!(tokio::time::timeout(Duration::from_secs(1), waiting).await.is_err(), "there is no answer");
    wait_until("the upstream to be hung up on before headers", || async { upstream.abandoned() == 2 }).await;

    // In the middle of a request there is no upstream yet.
    for _ in 0..100 {
        let mut connection = connect(&gateway).await;
        connection.write_all(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 99\r\n\r\n{").await.unwrap();
    }
    wait_until("all of them to be forgotten", || async {
        gateway.metric("plugway_requests_in_flight", "").await <= 1.0
    })
    .await;
}

/// A caller that does not read is not buffered for without bound.
#[tokio::test]
async fn a_caller_that_does_not_read_holds_the_upstream_back() {
    let upstream = Upstream::start().await;
    let words = Dialect::OpenAi.stream(&"words ".repeat(20)).remove(3).to_string();
    let frame = format!("data: {words}\n\n");
    let large: Vec<String> = vec![frame.repeat(1 << 16); 4];
    let all = 8 * u64::try_from(large.concat().len()).expect("not that much");
    upstream.otherwise(move |_| Reply::sse(&large));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let before = gateway.memory();
    let mut connections = Vec::new();
    for _ in 0..8 {
        let mut connection = connect(&gateway).await;
        let body = crate::gateway::chat_body("openai/m", "hello", true).to_string();
        let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
        connection.write_all((head + &body).as_bytes()).await.unwrap();
        connections.push(connection);
    }
    let written = stands_still(&upstream).await;
    assert!((1..all / 2).contains(&written), "{written} bytes of {all} were taken");
    let grown = gateway.memory().saturating_sub(before) >> 20;
    assert!(grown < 100, "memory grew by {grown} MB for eight callers that do not read");
}

/// How much has been written once nobody takes any more of it.
async fn stands_still(upstream: &Upstream) -> u64 {
    loop {
        let before = upstream.written();
        tokio::time::sleep(Duration::from_millis(500)).await;
        if before > 0 && upstream.written() == before {
            return before;
        }
    }
}

#[tokio::test]
async fn a_request_id_is_given_and_found_in_the_log() {
    let gateway = echo().await;
    let answer = gateway.chat("nobody/m", "hello").await;
    let id = answer.header("x-plugway-request-id").to_owned();
    assert!(!id.is_empty(), "{:?}", answer.headers);
    gateway.wait_for_log(&[&id]).await;
    // A caller cannot write lines into the log.
    let request = gateway.http.post(format!("{}/v1/chat%0aforged/x", gateway.url));
    let answer = read(request.header("x-request-id", "a b\"c").body("{}")).await;
    assert_eq!(answer.status, 404);
    assert!(!gateway.log().lines().any(|line| line.starts_with("forged")));
}

async fn connect(gateway: &Gateway) -> TcpStream {
    TcpStream::connect(gateway.url.trim_start_matches("http://")).await.expect("a connection")
}

/// Sends bytes and reads what comes back until the gateway closes or has answered.
async fn raw(gateway: &Gateway, bytes: &[u8]) -> String {
    let mut connection = connect(gateway).await;
    // It may be cut before everything is sent.
    let _ = connection.write_all(bytes).await;
    let mut answer = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let reading = async {
        while let Ok(count @ 1..) = connection.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            if answer.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect("an answer, or the end of the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Sends a body with its length before it, and reads what comes back.
async fn sized(gateway: &Gateway, route: &str, body: &str) -> String {
    let head = format!("POST {route} HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    exchange(gateway, &[head.as_bytes(), body.as_bytes()]).await
}

/// Sends a body in chunks, and reads what comes back.
async fn chunked(gateway: &Gateway, route: &str, body: &str) -> String {
    let head = format!("POST {route} HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut wire = Vec::new();
    for chunk in body.as_bytes().chunks(64 * 1024) {
        wire.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        wire.extend_from_slice(chunk);
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b"0\r\n\r\n");
    exchange(gateway, &[head.as_bytes(), &wire]).await
}

/// Reads while it sends: an answer may come before everything is sent.
async fn exchange(gateway: &Gateway, pieces: &[&[u8]]) -> String {
    let mut connection = connect(gateway).await;
    let (mut reader, mut writer) = connection.split();
    let sending = async {
        for piece in pieces {
            writer.write_all(piece).await?;
        }
        Ok::<(), std::io::Error>(())
    };
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    let reading = async {
        while let Ok(count @ 1..) = reader.read(&mut buffer).await {
            answer.extend_from_slice(&buffer[..count]);
            if answer.windows(4).any(|window| window == b"\r\n\r\n") {
                break;
            }
        }
    };
    // Sending fails where the gateway has refused and closed.
    let both = async { tokio::join!(tokio::time::timeout(Duration::from_secs(10), sending), reading) };
    let _ = tokio::time::timeout(Duration::from_secs(20), both).await.expect("an answer, or the end of the connection");
    String::from_utf8_lossy(&answer).into_owned()
}

/// Whatever takes longer the longer it is, is done once for each member and not for each pair of them.
#[tokio::test]
async fn members_beyond_number_keep_nobody_waiting() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let members: Vec<String> = (0..300_000).map(|index| format!("\"k{index}\":{index}")).collect();
    let body = format!("{{\"model\":\"openai/m\",\"messages\":[],{}}}", members.join(","));
    let (answer, health) = tokio::join!(gateway.post_bytes("/v1/chat/completions", body), gateway.get("/healthz"));
    assert_eq!((answer.status, health.status), (200, 200), "{}", answer.text());
}

/// What would run a plugin out of memory is refused before, so that it takes nobody's plugin out of use.
#[tokio::test]
async fn bodies_of_many_small_values_harm_nobody() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::Anthropic.whole("hi")));
    let gateway = Gateway::with(&[("anthropic", anthropic(&upstream.url()))]).await;
    let many = "[".to_owned() + &"{\"a\":1},".repeat(1_500_000) + "{}]";
    let body = format!("{{\"model\":\"anthropic/m\",\"messages\":[],\"tools\":{many}}}");
    for _ in 0..6 {
        let answer = gateway.post_bytes("/v1/chat/completions", body.clone()).await;
        assert_eq!(answer.openai_error(413)["code"], "request_too_large");
    }
    assert_eq!(gateway.chat("anthropic/m", "hello").await.status, 200);
}
