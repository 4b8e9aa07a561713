//! What a service's status says counts, whatever becomes of the words behind it.

use crate::dialects::Dialect::{self, Anthropic, OpenAi};
use crate::gateway::{Gateway, Setup, anthropic, openai};
use crate::upstream::{Reply, Upstream};
use flate2::Compression;
use flate2::write::{DeflateEncoder, ZlibEncoder};
use serde_json::{Value, json};
use std::io::Write as _;

fn block(spoken: Dialect, url: &str) -> Value {
    let mut block = match spoken {
        OpenAi => openai(url),
        Anthropic => anthropic(url),
    };
    block["network_config"]["default_request_timeout_in_seconds"] = json!(0.5);
    block["keys"] = ["bad", "good"].iter().map(|key| json!({"name": key, "value": format!("sk-{key}")})).collect();
    block
}

fn is_of(seen: &crate::upstream::Seen, key: &str) -> bool {
    seen.headers.iter().any(|(_, value)| value.ends_with(key))
}

/// Cut, too slow, or packed so that nobody can read it.
fn unreadable(spoken: Dialect, status: u16) -> [(&'static str, Reply); 5] {
    let reply = || Reply::json(status, &spoken.error(status)).header("retry-after", "30");
    [
        ("cut", reply().close_after(5)),
        ("reset", reply().reset_after(5)),
        ("too slow", reply().stall_after(5)),
        ("packed in another way", reply().header("content-encoding", "br")),
        ("not packed as it says", reply().header("content-encoding", "gzip")),
    ]
}

#[tokio::test]
async fn a_refusal_whose_words_cannot_be_read_is_one_all_the_same() {
    for spoken in [OpenAi, Anthropic] {
        for status in [401, 429] {
            for (index, (way, reply)) in unreadable(spoken, status).into_iter().enumerate() {
                let upstream = Upstream::start().await;
                upstream.otherwise(move |seen| if is_of(seen, "bad") { reply.clone() } else { whole(spoken) });
                // One failure of the provider would open the circuit, and put it behind the other.
                let gateway = Setup::new()
                    .section("routing", json!({"circuit_failures": 1}))
                    .provider("p", block(spoken, &upstream.url()))
                    .start()
                    .await;
                let context = format!("{spoken:?} {status}, {way}");
                // With two keys it is a matter of chance which comes first; a dozen asks with both.
                for _ in 0..12 {
                    let answer = match index % 2 {
                        0 => gateway.chat("p/m", "hello").await,
                        _ => gateway.message("p/m", "hello", false).await,
                    };
                    assert_eq!(answer.status, 200, "{context}: {}", answer.text());
                }
                let asked = upstream.requests().iter().filter(|seen| is_of(seen, "bad")).count();
                assert!(asked <= 1, "{context}: the key was asked with {asked} times");
                assert!(!gateway.log().contains("keeps failing"), "{context}");
            }
        }
    }
}

#[tokio::test]
async fn the_caller_gets_the_status_and_the_operator_the_rest() {
    let upstream = Upstream::start().await;
    let mut only = block(OpenAi, &upstream.url());
    only["keys"] = json!([{"name": "only", "value": "sk-only"}]);
    let gateway = Gateway::with(&[("p", only)]).await;
    for status in [400, 404, 500] {
        for (way, reply) in unreadable(OpenAi, status) {
            upstream.on_model("m", reply);
            let answer = gateway.chat("p/m", "hello").await;
            let said = answer.openai_error(if status == 500 { 502 } else { status })["message"].to_string();
            assert!(said.contains(&format!("status {status}")), "{way}: {said}");
            assert_eq!(answer.header("retry-after"), "30", "{way}");
        }
    }
    gateway.wait_for_log(&["content-encoding: br"]).await;
}

fn whole(spoken: Dialect) -> Reply {
    Reply::json(200, &spoken.whole("hi"))
}

/// Where the end of the connection is the end of the body, only the packing tells that something is missing.
#[tokio::test]
async fn a_packed_answer_that_was_cut_is_no_answer() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let document = OpenAi.whole(&"words ".repeat(1_000)).to_string();
    let stream = OpenAi.frames(&OpenAi.stream(&"words ".repeat(1_000))).concat();
    for (packing, pack) in [("zlib", zlib as fn(&str) -> Vec<u8>), ("raw", raw)] {
        for (kind, text, streaming) in [("application/json", &document, false), ("text/event-stream", &stream, true)] {
            let packed = pack(text);
            let reply = |bytes: &[u8]| Reply::new(200, kind, bytes).header("content-encoding", "deflate").until_close();
            upstream.on_model("whole", reply(&packed));
            // All the text is there, and what says so is not.
            upstream.on_model("cut", reply(&packed[..packed.len() - 1]));
            let ask = async |model: &str| match streaming {
                true => gateway.stream(model, "hello").await,
                false => gateway.chat(model, "hello").await,
            };
            let context = format!("{packing}, {kind}");
            let answer = ask("openai/whole").await;
            assert!(answer.content().starts_with("words words"), "{context}: {}", answer.text());
            let answer = ask("openai/cut").await;
            if !streaming || answer.status != 200 {
                assert_eq!(answer.openai_error(502)["code"], "upstream_cut", "{context}");
            } else {
                assert!(!answer.is_done() && answer.text().contains("upstream_cut"), "{context}: {}", answer.text());
            }
        }
    }
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("a vector takes everything");
    encoder.finish().expect("packed")
}

fn raw(text: &str) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(text.as_bytes()).expect("a vector takes everything");
    encoder.finish().expect("packed")
}

#[tokio::test]
async fn no_redirect_is_followed_whatever_its_status() {
    let elsewhere = Upstream::start().await;
    elsewhere.otherwise(|_| whole(OpenAi));
    for spoken in [OpenAi, Anthropic] {
        let upstream = Upstream::start().await;
        let gateway = Gateway::with(&[("p", block(spoken, &upstream.url()))]).await;
        for status in [300, 301, 302, 303, 304, 305, 307, 308] {
            let location = format!("{}{}", elsewhere.url(), spoken.path());
            upstream.on_model("m", Reply::new(status, "text/plain", "").header("location", &location));
            for streaming in [false, true] {
                let answer = match streaming {
                    true => gateway.stream("p/m", "hello").await,
                    false => gateway.chat("p/m", "hello").await,
                };
                assert_eq!(answer.openai_error(502)["code"], "upstream_redirect", "{spoken:?} {status}");
                assert_eq!(answer.header("location"), "", "{spoken:?} {status}");
                gateway.message("p/m", "hello", streaming).await.anthropic_error(502);
            }
        }
    }
    assert_eq!(elsewhere.requests().len(), 0);
}
