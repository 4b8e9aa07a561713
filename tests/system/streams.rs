//! A stream comes out the same however its bytes arrived; and one that breaks never looks complete: before the first
//! content it is an error status, after it an error event without the terminal marker.

use crate::dialects::{Dialect, openai_chunk};
use crate::gateway::{Answer, Gateway, anthropic, chat_body, openai, openai_error_of};
use crate::recordings;
use crate::sse::{self, Event};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::Duration;

use Dialect::{Anthropic, OpenAi};

const DIALECTS: [(Dialect, &str); 2] = [(OpenAi, "openai"), (Anthropic, "anthropic")];

async fn gateway_before(upstream: &Upstream) -> Gateway {
    Gateway::with(&[("openai", openai(&upstream.url())), ("anthropic", anthropic(&upstream.url()))]).await
}

/// Asks in one dialect for a streamed answer.
async fn ask(gateway: &Gateway, caller: Dialect, model: &str) -> Answer {
    match caller {
        OpenAi => gateway.stream(model, "hello").await,
        Anthropic => gateway.message(model, "hello", true).await,
    }
}

/// The same question from a caller of each dialect, at the same time.
async fn ask_in_both(gateway: &Gateway, model: &str, streaming: bool) -> [(Dialect, Answer); 2] {
    let body = chat_body(model, "hello", streaming);
    let (openai, anthropic) =
        tokio::join!(gateway.post("/v1/chat/completions", &body), gateway.message(model, "hello", streaming));
    [(OpenAi, openai), (Anthropic, anthropic)]
}

/// All that a caller goes by: the events, without the names that the gateway gives to answers that it translates.
fn essence(answer: &Answer) -> Vec<(String, Value)> {
    let events = answer.events().into_iter().map(|event| {
        let mut data = serde_json::from_str(&event.data).unwrap_or(Value::String(event.data));
        for pointer in ["/id", "/created", "/message/id"] {
            if let Some(name) = data.pointer_mut(pointer) {
                *name = Value::Null;
            }
        }
        (event.name, data)
    });
    events.collect()
}

/// The same frames in all the ways in which bytes arrive.
fn deliveries(frames: &[String]) -> Vec<(&'static str, Reply)> {
    let reply = Reply::sse(frames);
    vec![
        ("frame by frame", reply.clone()),
        ("byte by byte", reply.clone().byte_by_byte()),
        ("with CR LF", reply.clone().crlf()),
        ("with CR LF, byte by byte", reply.clone().crlf().byte_by_byte()),
        ("compressed", reply.clone().gzip()),
        ("compressed, at once", reply.clone().at_once().gzip()),
        ("until the connection closes", reply.clone().until_close()),
        ("with a length", reply.content_length()),
    ]
}

async fn comes_out_the_same(gateway: &Gateway, upstream: &Upstream, provider: (Dialect, &str), events: &[Value]) {
    let (spoken, provider) = provider;
    let frames = spoken.frames(events);
    for caller in [OpenAi, Anthropic] {
        upstream.on_model("recorded", Reply::sse(&frames).at_once());
        let expected = ask(gateway, caller, &format!("{provider}/recorded")).await;
        assert_eq!(expected.status, 200, "{}", expected.text());
        assert!(is_complete(caller, &expected), "{caller:?} over {spoken:?}: {}", expected.text());
        if caller == spoken {
            assert_eq!(expected.events(), sse::events(frames.concat().as_bytes()));
        }
        for (delivery, reply) in deliveries(&frames) {
            upstream.on_model("recorded", reply);
            let answer = ask(gateway, caller, &format!("{provider}/recorded")).await;
            assert_eq!(answer.status, 200, "{delivery}: {}", answer.text());
            assert_eq!(essence(&answer), essence(&expected), "{caller:?} over {spoken:?}, {delivery}");
        }
    }
}

fn is_complete(caller: Dialect, answer: &Answer) -> bool {
    match caller {
        OpenAi => answer.is_done(),
        Anthropic => answer.events().last().is_some_and(|event| event.name == "message_stop"),
    }
}

#[tokio::test]
async fn delivery_changes_nothing() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for provider in DIALECTS {
        let text = "Words, ünïcödé 日本語 🦀 and \"quotes\\\" \n lines";
        comes_out_the_same(&gateway, &upstream, provider, &provider.0.stream(text)).await;
        comes_out_the_same(&gateway, &upstream, provider, &provider.0.stream_tool_call()).await;
    }
}

#[tokio::test]
async fn delivery_changes_nothing_in_recorded_streams() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for provider in DIALECTS {
        for recording in recordings::of(provider.0) {
            if let Some(events) = &recording.stream {
                println!("{}", recording.case);
                comes_out_the_same(&gateway, &upstream, provider, events).await;
            }
        }
    }
}

/// Two reads, with the seam at every byte in turn.
#[tokio::test]
async fn every_split_gives_the_same() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (spoken, provider) in DIALECTS {
        let events = spoken.stream("Ünï 🦀");
        let reply = Reply::sse(&spoken.frames(&events)).crlf();
        let length = reply.body().len();
        upstream.on_model("whole", reply.clone());
        let expected = essence(&ask(&gateway, OpenAi, &format!("{provider}/whole")).await);
        for index in 1..length {
            upstream.on_model("split", reply.clone().split_at(index));
            let answer = ask(&gateway, OpenAi, &format!("{provider}/split")).await;
            assert_eq!(essence(&answer), expected, "{spoken:?}, split at {index} of {length}");
        }
    }
}

/// SSE allows more than providers usually write.
#[tokio::test]
async fn unusual_but_correct_framing_is_understood() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    let first = openai_chunk(json!({"role": "assistant", "content": "one"}), Value::Null).to_string();
    let (head, tail) = first.split_at(first.find(',').expect("a comma") + 1);
    let last = openai_chunk(json!({"content": " two"}), json!("stop"));
    let frames = [
        "\u{feff}: a comment, after a byte order mark\n\n".to_owned(),
        "retry: 3000\nid: 7\n\n".to_owned(),
        format!("data:{head}\ndata: {tail}\n\n"),
        ": OPENROUTER PROCESSING\n\n".to_owned(),
        format!("id: 8\ndata: {last}\n\n"),
        "data: [DONE]\n\n".to_owned(),
    ];
    upstream.on_model("odd", Reply::sse(&frames));
    let answer = gateway.stream("openai/odd", "hello").await;
    assert_eq!((answer.content().as_str(), answer.is_done()), ("one two", true), "{}", answer.text());
    let answer = gateway.message("openai/odd", "hello", true).await;
    assert!(is_complete(Anthropic, &answer), "{}", answer.text());
}

/// What has come is passed on at once, not when the stream ends.
#[tokio::test]
async fn events_are_passed_on_as_they_come() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (spoken, provider) in DIALECTS {
        let frames = spoken.frames(&spoken.stream("one two three"));
        let all_but_the_last_word: usize = frames[..frames.len() - 4].iter().map(String::len).sum();
        upstream.on_model("slow", Reply::sse(&frames).stall_after(all_but_the_last_word));
        let mut stream = gateway.open_stream(&format!("{provider}/slow")).await;
        let first = tokio::time::timeout(Duration::from_secs(1), stream.read(1)).await;
        assert_eq!(first, Ok(true), "{spoken:?}: the first event has come while the upstream stalls");
    }
}

#[tokio::test]
async fn a_failure_before_the_first_content_is_an_error_status() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (spoken, provider) in DIALECTS {
        let frames = spoken.frames(&spoken.stream("one two three"));
        let error = spoken.frames(&[spoken.error_event()]).remove(0);
        let opening = frames[0].clone();
        for (failure, reply) in [
            ("stalled before headers", Reply::sse(&frames).stall_before_headers()),
            ("stalled after headers", Reply::sse(&frames).stall_after(0)),
            ("stalled in the first event", Reply::sse(&frames).stall_after(20)),
            ("stalled after the opening event", Reply::sse(&frames).stall_after(opening.len())),
            ("closed after headers", Reply::sse(&frames).close_after(0)),
            ("closed in the first event", Reply::sse(&frames).close_after(20)),
            ("reset in the first event", Reply::sse(&frames).reset_after(20)),
            ("ended without an event", Reply::sse(&[""])),
            ("an error first of all", Reply::sse(&[&error])),
            ("an error after the opening event", Reply::sse(&[&opening, &error])),
            ("an event that is no JSON", Reply::sse(&["data: {\"choices\": [\n\n"])),
            ("a web page", Reply::new(200, "text/html", "<html>It works!</html>")),
            ("an error in a document", Reply::json(200, &spoken.error(500))),
            ("the status 500", Reply::json(500, &spoken.error(500))),
            ("the status 502 and a web page", Reply::new(502, "text/html", "<html>Bad gateway</html>")),
            ("broken compression", Reply::sse(&frames).header("content-encoding", "gzip")),
        ] {
            upstream.on_model("failing", reply);
            for (caller, answer) in ask_in_both(&gateway, &format!("{provider}/failing"), true).await {
                let context = format!("{caller:?} over {spoken:?}, {failure}: {} {}", answer.status, answer.text());
                assert_eq!(answer.status / 100, 5, "{context}");
                assert!(answer.header("content-type").starts_with("application/json"), "{context}");
                assert_error_body(caller, &answer.json());
            }
        }
    }
}

fn assert_error_body(caller: Dialect, body: &Value) {
    match caller {
        OpenAi => _ = openai_error_of(body),
        Anthropic => {
            assert_eq!(body["type"], "error", "{body}");
            assert!(body["error"]["type"].is_string() && body["error"]["message"].is_string(), "{body}");
        }
    }
}

#[tokio::test]
async fn a_failure_after_the_first_content_is_an_error_event() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (spoken, provider) in DIALECTS {
        let words = "one two three four five six seven eight nine ten";
        let frames = spoken.frames(&spoken.stream(words));
        let good = &frames[..8];
        let sent: usize = good.iter().map(String::len).sum();
        let then = |frame: &str| Reply::sse(&[good, &[frame.to_owned()]].concat());
        let error = spoken.frames(&[spoken.error_event()]).remove(0);
        let giant = format!("data: {{\"x\": \"{}\"}}\n\n", "x".repeat(8 << 20));
        for (failure, reply) in [
            ("stalled", Reply::sse(&frames).stall_after(sent)),
            ("stalled in an event", Reply::sse(&frames).stall_after(sent + 20)),
            ("closed", Reply::sse(&frames).close_after(sent)),
            ("closed, where that is how it ends", Reply::sse(&frames).until_close().close_after(sent)),
            ("reset in an event", Reply::sse(&frames).reset_after(sent + 20)),
            ("ended without a terminal marker", Reply::sse(good)),
            ("an error", then(&error)),
            ("an event that is no JSON", then("data: {\"choices\": [\n\n")),
            ("an event of 8 MB", then(&giant)),
        ] {
            upstream.on_model("failing", reply);
            for (caller, answer) in ask_in_both(&gateway, &format!("{provider}/failing"), true).await {
                let context = format!("{caller:?} over {spoken:?}, {failure}: {}", answer.text());
                assert_eq!(answer.status, 200, "{context}");
                assert!(answer.text().contains("one") && answer.text().contains("three"), "{context}");
                assert!(!is_complete(caller, &answer), "{context}");
                assert_error_event(caller, answer.events().last(), &context);
            }
        }
    }
}

fn assert_error_event(caller: Dialect, event: Option<&Event>, context: &str) {
    let event = event.unwrap_or_else(|| panic!("an event: {context}"));
    assert!(caller == OpenAi || event.name == "error", "the last event is an error: {context}");
    let body = serde_json::from_str(&event.data).unwrap_or_else(|error| panic!("{error}: {context}"));
    assert_error_body(caller, &body);
}

#[tokio::test]
async fn a_failed_whole_answer_is_an_error_status() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (spoken, provider) in DIALECTS {
        let whole = spoken.whole("words");
        for (failure, reply) in [
            ("stalled before headers", Reply::json(200, &whole).stall_before_headers()),
            ("stalled in the body", Reply::json(200, &whole).stall_after(20)),
            ("closed in the body", Reply::json(200, &whole).close_after(20)),
            ("closed in the body, in chunks", Reply::json(200, &whole).chunked().close_after(20)),
            ("reset in the body", Reply::json(200, &whole).reset_after(20)),
            ("a web page", Reply::new(200, "text/html", "<html>It works!</html>")),
            ("a stream", Reply::sse(&spoken.frames(&spoken.stream("words")))),
            ("nothing", Reply::new(200, "application/json", "")),
            ("half a document", Reply::new(200, "application/json", "{\"choices\": [")),
            ("500 and nothing", Reply::new(500, "text/plain", "")),
            ("503 and a web page", Reply::new(503, "text/html", "<html>Later</html>")),
        ] {
            upstream.on_model("failing", reply);
            for (caller, answer) in ask_in_both(&gateway, &format!("{provider}/failing"), false).await {
                let context = format!("{caller:?} over {spoken:?}, {failure}: {} {}", answer.status, answer.text());
                assert_eq!(answer.status / 100, 5, "{context}");
                assert_error_body(caller, &answer.json());
            }
        }
    }
}

/// Its own status and a pause that cannot be read would tell a client nothing, even where the rest passes as it came.
#[tokio::test]
async fn a_status_that_no_answer_has_and_a_pause_that_is_none_do_not_pass() {
    let upstream = Upstream::start().await;
    let gateway = gateway_before(&upstream).await;
    for (spoken, provider) in DIALECTS {
        upstream.on_model("odd", Reply::json(777, &spoken.error(500)));
        for (caller, answer) in ask_in_both(&gateway, &format!("{provider}/odd"), false).await {
            assert_eq!(answer.status, 502, "{caller:?} over {spoken:?}: {}", answer.text());
            assert_error_body(caller, &answer.json());
            if caller == OpenAi {
                assert_eq!(answer.json()["error"]["code"], "upstream_malformed", "{}", answer.text());
            }
        }
        for (said, passes) in [("soon", ""), ("7", "7")] {
            upstream.on_model("busy", Reply::json(503, &spoken.error(503)).header("retry-after", said));
            for (caller, answer) in ask_in_both(&gateway, &format!("{provider}/busy"), false).await {
                let context = format!("{caller:?} over {spoken:?}: {said}, {}", answer.text());
                assert_eq!((answer.status / 100, answer.header("retry-after")), (5, passes), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn an_upstream_that_is_not_there_is_an_error_status() {
    let gateway = Gateway::with(&[("nowhere", openai("http://127.0.0.1:9"))]).await;
    gateway.chat("nowhere/m", "hello").await.openai_error_of_class(5);
    gateway.stream("nowhere/m", "hello").await.openai_error_of_class(5);
}

#[tokio::test]
async fn an_answer_too_large_to_hold_is_refused() {
    let upstream = Upstream::start().await;
    upstream.on_model("huge", Reply::json(200, &OpenAi.whole(&"x".repeat(3 << 20))).chunked());
    let setup = crate::gateway::Setup::new().provider("openai", openai(&upstream.url()));
    let gateway = setup.set("limits", "body_mb", 2).start().await;
    gateway.chat("openai/huge", "hello").await.openai_error_of_class(5);
}

/// Sixteen seconds of silence would be fine; the two that are configured are not exceeded by much.
#[tokio::test]
async fn time_limits_are_kept() {
    let upstream = Upstream::start().await;
    upstream.on_model("silent", Reply::json(200, &OpenAi.whole("late")).after(Duration::from_secs(16)));
    let gateway = gateway_before(&upstream).await;
    let start = std::time::Instant::now();
    gateway.chat("openai/silent", "hello").await.openai_error(504);
    assert!(start.elapsed() < Duration::from_secs(10), "it took {:?}", start.elapsed());
}
