//! Not chats alone: every operation is tried again, and is taken over by another provider, with what the caller sent.

use super::{BOUNDARY, everything, form, post_form, sound};
use crate::gateway::{Answer, Gateway, Setup, openai};
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What a caller sends, but for the model.
enum Sent {
    Json(Value),
    Form(&'static [(&'static str, &'static str)]),
}

use Sent::{Form, Json};

/// Every operation, whole and streamed. Forms have a file too, of bytes that are no text.
fn operations() -> Vec<(&'static str, Sent)> {
    vec![
        ("/v1/completions", Json(json!({"prompt": "Say this is a test"}))),
        ("/v1/completions", Json(json!({"prompt": "Say this is a test", "stream": true}))),
        ("/v1/embeddings", Json(json!({"input": ["one", "two"]}))),
        ("/v1/audio/speech", Json(json!({"input": "Hello", "voice": "alloy"}))),
        ("/v1/audio/speech", Json(json!({"input": "Hello", "voice": "alloy", "stream_format": "sse"}))),
        ("/v1/audio/transcriptions", Form(&[("language", "en")])),
        ("/v1/audio/transcriptions", Form(&[("response_format", "vtt")])),
        ("/v1/audio/transcriptions", Form(&[("stream", "true")])),
        ("/v1/audio/translations", Form(&[])),
        ("/v1/images/generations", Json(json!({"prompt": "A crab"}))),
        ("/v1/images/generations", Json(json!({"prompt": "A crab", "stream": true}))),
        ("/v1/images/edits", Form(&[("prompt", "A crab")])),
        ("/v1/images/edits", Form(&[("prompt", "A crab"), ("stream", "true")])),
        ("/v1/images/variations", Form(&[("n", "1")])),
        ("/v1/moderations", Json(json!({"input": "Hello"}))),
        ("/v1/rerank", Json(json!({"query": "crab", "documents": ["fish", "crab"]}))),
        ("/v1/responses", Json(json!({"input": "Hello"}))),
        ("/v1/responses", Json(json!({"input": "Hello", "stream": true}))),
    ]
}

const FILE: &[u8] = b"RIFF\r\n--\0\xff\r\n";

impl Sent {
    /// With this model.
    fn body(&self, model: &str) -> Vec<u8> {
        match self {
            Json(body) => {
                let mut body = body.clone();
                body["model"] = json!(model);
                body.to_string().into_bytes()
            }
            Form(fields) => form(&[&[("model", model)], *fields].concat(), FILE),
        }
    }

    async fn ask(&self, gateway: &Gateway, path: &str, model: &str) -> Answer {
        match self {
            Json(_) => gateway.post_bytes(path, self.body(model)).await,
            Form(_) => post_form(gateway, path, self.body(model)).await,
        }
    }

    /// It arrived as it was sent, and for this model.
    #[track_caller]
    fn assert_arrived(&self, seen: &Seen, path: &str, model: &str) {
        assert_eq!(seen.path, path);
        match self {
            Json(_) => {
                assert_eq!(seen.json(), serde_json::from_slice::<Value>(&self.body(model)).expect("JSON"), "{path}")
            }
            Form(_) => {
                assert_eq!(String::from_utf8_lossy(&seen.body), String::from_utf8_lossy(&self.body(model)), "{path}");
                assert!(seen.header("content-type").is_some_and(|kind| kind.ends_with(BOUNDARY)), "{path}");
            }
        }
    }
}

/// Streams are whole, and whole answers are what [`everything`] says.
#[track_caller]
fn assert_good(path: &str, sent: &Sent, answer: &Answer) {
    assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    let body = sent.body("m");
    let expected = everything(&Seen { method: "POST".to_owned(), path: path.to_owned(), headers: Vec::new(), body });
    assert_eq!(String::from_utf8_lossy(&answer.body), String::from_utf8_lossy(&expected.body()), "{path}");
}

fn error(status: u16) -> Reply {
    Reply::json(status, &json!({"error": {"message": "not now", "type": "server_error", "param": null, "code": null}}))
}

#[tokio::test]
async fn every_operation_is_tried_again_with_the_same_bytes() {
    let (upstream, asked) = (Upstream::start().await, AtomicUsize::new(0));
    upstream.otherwise(move |seen| match asked.fetch_add(1, Ordering::SeqCst).is_multiple_of(2) {
        true => error(500),
        false => everything(seen),
    });
    let mut block = openai(&upstream.url());
    block["network_config"]["max_retries"] = json!(1);
    block["network_config"]["retry_backoff_initial"] = json!(1);
    let gateway = Gateway::with(&[("openai", block)]).await;
    for (path, sent) in operations() {
        let answer = sent.ask(&gateway, path, "openai/m").await;
        assert_good(path, &sent, &answer);
        let seen = upstream.requests();
        let [.., first, second] = seen.as_slice() else { panic!("{path} was asked for twice") };
        sent.assert_arrived(first, path, "m");
        sent.assert_arrived(second, path, "m");
        assert_eq!(first.body, second.body, "{path}");
    }
    assert_eq!(upstream.requests().len(), 2 * operations().len());
}

#[tokio::test]
async fn every_operation_is_taken_over_by_another_provider_with_its_own_model() {
    for failure in [error(500), error(429), Reply::new(200, "text/html", "<html>It works!</html>")] {
        let (first, second) = (Upstream::start().await, Upstream::start().await);
        first.otherwise(move |_| failure.clone());
        second.otherwise(everything);
        let mut block = openai(&first.url());
        block["fallbacks"] = json!(["second/another-model"]);
        let gateway = Setup::new()
            .provider("first", block)
            .provider("second", openai(&second.url()))
            // Each of them finds out anew.
            .section("routing", json!({"circuit_failures": 0}))
            .start()
            .await;
        for (path, sent) in operations() {
            let answer = sent.ask(&gateway, path, "first/m").await;
            assert_good(path, &sent, &answer);
            assert_eq!(answer.header("x-bt-used-endpoint"), "second", "{path}");
            sent.assert_arrived(&first.last_request(), path, "m");
            sent.assert_arrived(&second.last_request(), path, "another-model");
        }
    }
}

#[tokio::test]
async fn sound_that_fails_before_its_first_byte_comes_from_another_provider() {
    let whole = || Reply::new(200, "audio/mpeg", sound()).chunked();
    for (what, failure) in [
        ("silence before headers", whole().stall_before_headers()),
        ("silence after headers", whole().stall_after(0)),
        ("closed after headers", whole().close_after(0)),
        ("reset after headers", whole().reset_after(0)),
        ("a web page", Reply::new(200, "text/html", "<html>It works!</html>")),
        ("500", error(500)),
        ("429", error(429)),
    ] {
        let (first, second) = (Upstream::start().await, Upstream::start().await);
        first.otherwise(move |_| failure.clone());
        second.otherwise(everything);
        let alone = openai(&first.url());
        let mut safe = alone.clone();
        safe["fallbacks"] = json!(["second"]);
        let gateway = Gateway::with(&[("alone", alone), ("safe", safe), ("second", openai(&second.url()))]).await;
        let speak = |provider: &str| json!({"model": format!("{provider}/m"), "input": "Hello", "voice": "alloy"});
        let rescued = gateway.post("/v1/audio/speech", &speak("safe")).await;
        assert_eq!((rescued.status, rescued.header("content-type")), (200, "audio/mpeg"), "{what}: {}", rescued.text());
        assert!(rescued.body == sound(), "{what}: all of it");
        let failed = gateway.post("/v1/audio/speech", &speak("alone")).await;
        assert!(failed.status >= 429, "{what}: {}", failed.text());
        crate::gateway::openai_error_of(&failed.json());
    }
}

/// Where nobody rescues it, the caller gets the upstream's status and words.
#[tokio::test]
async fn errors_of_every_operation_come_through() {
    for status in [500, 502, 503, 429] {
        let upstream = Upstream::start().await;
        upstream.otherwise(move |_| error(status));
        let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
        for (path, sent) in operations() {
            let answer = sent.ask(&gateway, path, "openai/m").await;
            assert_eq!(answer.openai_error(status)["message"], "not now", "{path}");
        }
    }
}

#[tokio::test]
async fn a_limit_of_an_operation_says_when_to_come_again() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| error(429).header("retry-after", "7"));
    for (path, sent) in operations() {
        let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
        let limited = sent.ask(&gateway, path, "openai/m").await;
        assert_eq!((limited.status, limited.header("retry-after")), (429, "7"), "{path}");
    }
}
