//! Callers who open a stream and then do not read it, or hardly, hold nothing for ever: neither a turn with the provider,
//! nor its connection, nor the end of the gateway.

use crate::dialects::Dialect::{Anthropic, OpenAi};
use crate::gateway::{Gateway, Setup, anthropic, chat_body, openai, wait_until};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// More than all buffers on the way hold. `quick` is for those who ask whether it is their turn.
async fn flooding() -> Upstream {
    let upstream = Upstream::start().await;
    let words = OpenAi.stream(&"words ".repeat(20)).remove(3);
    let frames = vec![format!("data: {words}\n\n").repeat(1 << 13); 64];
    upstream.on_model("flood", Reply::sse(&frames));
    upstream.on_model("quick", Reply::json(200, &OpenAi.whole("done")));
    upstream
}

fn one_at_a_time(url: &str) -> Value {
    let mut block = openai(url);
    block["concurrency_and_buffer_size"] = json!({"concurrency": 1, "buffer_size": 0});
    block
}

/// Asks for the flood, and reads nothing of it.
async fn ask_for_a_flood(gateway: &Gateway) -> TcpStream {
    let mut connection = TcpStream::connect(gateway.url.trim_start_matches("http://")).await.expect("a connection");
    let body = chat_body("openai/flood", "hello", true).to_string();
    let head = format!("POST /v1/chat/completions HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", body.len());
    connection.write_all((head + &body).as_bytes()).await.expect("it is read");
    connection
}

async fn is_free(gateway: &Gateway) -> bool {
    gateway.chat("openai/quick", "hello").await.status == 200
}

async fn has_its_turn(gateway: &Gateway, upstream: &Upstream) {
    wait_until("the flood to begin", || async { upstream.written() > 0 }).await;
    assert_eq!(gateway.chat("openai/quick", "hello").await.openai_error(429)["code"], "queue_full");
}

#[tokio::test]
async fn a_caller_who_never_reads_gives_its_turn_back() {
    let upstream = flooding().await;
    let setup = Setup::new().provider("openai", one_at_a_time(&upstream.url()));
    let gateway = setup.set("limits", "caller_timeout_seconds", 3).start().await;
    let start = Instant::now();
    let _caller = ask_for_a_flood(&gateway).await;
    has_its_turn(&gateway, &upstream).await;
    wait_until("its turn to end", || is_free(&gateway)).await;
    assert!(start.elapsed() >= Duration::from_secs(3), "{:?}", start.elapsed());
    wait_until("the upstream to be left", || async { upstream.abandoned() == 1 }).await;
    gateway.wait_for_log(&["model=openai/flood", "outcome=cancelled"]).await;
}

/// What it reads is progress, so that only the bound of the whole request ends it.
#[tokio::test]
async fn a_caller_who_hardly_reads_has_its_turn_until_the_request_is_over() {
    const TOTAL: Duration = Duration::from_secs(5);
    let upstream = flooding().await;
    let gateway = Setup::new()
        .provider("openai", one_at_a_time(&upstream.url()))
        .set("limits", "caller_timeout_seconds", 2)
        .set("limits", "total_timeout_seconds", TOTAL.as_secs())
        .start()
        .await;
    let start = Instant::now();
    let mut caller = ask_for_a_flood(&gateway).await;
    let reading = tokio::spawn(async move {
        let mut some = vec![0; 64 * 1024];
        while let Ok(1..) = caller.read(&mut some).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    has_its_turn(&gateway, &upstream).await;
    wait_until("its turn to end", || is_free(&gateway)).await;
    let took = start.elapsed();
    assert!(took >= TOTAL && took < TOTAL + Duration::from_secs(6), "{took:?}");
    gateway.wait_for_log(&["model=openai/flood", "outcome="]).await;
    reading.abort();
}

/// A stream that says nothing but that it is still there is not silent, and ends all the same.
#[tokio::test]
async fn comments_do_not_keep_a_stream_alive_beyond_its_time() {
    let upstream = Upstream::start().await;
    for spoken in [OpenAi, Anthropic] {
        let frames = spoken.frames(&spoken.stream("one two"));
        let content = frames.iter().position(|frame| frame.contains("one")).expect("the first word");
        let comments = std::iter::repeat_n(": still here\n\n".to_owned(), 2_000);
        let stream: Vec<String> = frames.into_iter().take(content + 1).chain(comments).collect();
        upstream.on_path(spoken.path(), Reply::sse(&stream).every(Duration::from_millis(20)));
    }
    let gateway = Setup::new()
        .provider("openai", openai(&upstream.url()))
        .provider("anthropic", anthropic(&upstream.url()))
        .set("limits", "total_timeout_seconds", 2)
        .start()
        .await;
    for provider in ["openai", "anthropic"] {
        let start = Instant::now();
        let model = format!("{provider}/m");
        let (chat, message) = tokio::join!(gateway.stream(&model, "hello"), gateway.message(&model, "hello", true));
        assert!(start.elapsed() < Duration::from_secs(12), "{provider}: {:?}", start.elapsed());
        for (answer, caller) in [(chat, OpenAi), (message, Anthropic)] {
            let what = format!("{provider} for {caller:?}");
            assert!(answer.status == 200 && answer.text().contains("one") && !answer.is_done(), "{what}");
            let last = answer.events().pop().unwrap_or_else(|| panic!("{what}: an event"));
            let said =
                last.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("{what}: {last:?}")).to_owned();
            assert!(said.contains("2 s that a request may take"), "{what}: {said}");
        }
    }
    assert_eq!(upstream.requests().len(), 4);
}

#[tokio::test]
async fn the_gateway_ends_although_callers_do_not_read() {
    let upstream = flooding().await;
    let mut gateway = Setup::new()
        .provider("openai", openai(&upstream.url()))
        .set("limits", "shutdown_grace_seconds", 1)
        .start()
        .await;
    let _silent = [ask_for_a_flood(&gateway).await, ask_for_a_flood(&gateway).await];
    let mut slow = ask_for_a_flood(&gateway).await;
    wait_until("the floods to begin", || async { upstream.requests().len() == 3 }).await;
    let reading = tokio::spawn(async move {
        let mut byte = [0];
        while let Ok(1) = slow.read(&mut byte).await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    let start = Instant::now();
    gateway.signal("TERM");
    assert_eq!(gateway.exit_code().await, Some(0));
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    reading.abort();
}
