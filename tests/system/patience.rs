//! A service that wants to be left alone says so in one of many ways. Whichever it is, its key rests, others serve
//! meanwhile, and where there are none, the caller is told when to come again.

use crate::dialects::Dialect::{self, Anthropic, OpenAi};
use crate::gateway::{Answer, Gateway, Setup, anthropic, openai};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

/// All of them mean half a minute, but for those that name a day: of these, an hour counts.
const SPELLINGS: [(&str, &str, u32); 9] = [
    ("retry-after", "30", 30),
    ("retry-after-ms", "29001", 30),
    ("x-ratelimit-reset-requests", "30s", 30),
    ("x-rate-limit-reset", "30", 30),
    ("ratelimit-reset", "30", 30),
    ("ratelimit", "limit=100, remaining=0, reset=30", 30),
    ("ratelimit", "\"day\";r=900;t=40000, \"minute\";r=0;t=30", 30),
    ("acme-ratelimit-tokens-reset", "2100-12-31T23:59:59+01:00", 3_600),
    ("acme-ratelimit-tokens-reset", "2100-12-31T23:59:59.5-05:30", 3_600),
];

/// An upstream that has had enough of the key `limited`, and answers with all others.
async fn upstream(spoken: Dialect, name: &'static str, value: &'static str) -> Upstream {
    let upstream = Upstream::start().await;
    upstream.otherwise(move |seen| {
        let key = seen.header("authorization").or_else(|| seen.header("x-api-key")).unwrap_or_default();
        match (key.ends_with("limited"), seen.json()["stream"] == true) {
            (true, _) => Reply::json(429, &spoken.error(429)).header(name, value),
            (false, true) => Reply::sse(&spoken.frames(&spoken.stream("from the other"))),
            (false, false) => Reply::json(200, &spoken.whole("from the other")),
        }
    });
    upstream
}

fn block(spoken: Dialect, url: &str, keys: &[&str]) -> Value {
    let mut block = match spoken {
        OpenAi => openai(url),
        Anthropic => anthropic(url),
    };
    block["keys"] = keys.iter().map(|key| json!({"name": key, "value": format!("sk-{key}")})).collect();
    block
}

async fn ask(gateway: &Gateway, caller: Dialect, model: &str, streaming: bool) -> Answer {
    match (caller, streaming) {
        (OpenAi, false) => gateway.chat(model, "hello").await,
        (OpenAi, true) => gateway.stream(model, "hello").await,
        (Anthropic, streaming) => gateway.message(model, "hello", streaming).await,
    }
}

#[tokio::test]
async fn every_spelling_is_understood_of_every_dialect_and_told_in_every_dialect() {
    for (name, value, seconds) in SPELLINGS {
        for spoken in [OpenAi, Anthropic] {
            let upstream = upstream(spoken, name, value).await;
            let gateway = Setup::new()
                .section("routing", json!({"longest_rest_seconds": 3600}))
                .provider("alone", block(spoken, &upstream.url(), &["limited"]))
                .provider("both", block(spoken, &upstream.url(), &["limited", "other"]))
                .start()
                .await;
            let context = format!("{spoken:?}: {name}: {value}");
            // The first answer is the service's, the rest are about the key that rests.
            for (caller, streaming) in [(OpenAi, false), (OpenAi, true), (Anthropic, false), (Anthropic, true)] {
                let answer = ask(&gateway, caller, "alone/m", streaming).await;
                assert_eq!(answer.status, 429, "{context}, {caller:?}, {streaming}: {}", answer.text());
                let told: u32 =
                    answer.header("retry-after").parse().unwrap_or_else(|_| panic!("{context}: {answer:?}"));
                assert!((seconds - 29..=seconds).contains(&told), "{context}, {caller:?}, {streaming}: {told}");
            }
            assert_eq!(upstream.requests().len(), 1, "{context}");
            for (caller, streaming) in [(OpenAi, false), (OpenAi, true), (Anthropic, false), (Anthropic, true)] {
                let answer = ask(&gateway, caller, "both/m", streaming).await;
                assert_eq!(answer.status, 200, "{context}, {caller:?}, {streaming}: {}", answer.text());
                assert!(answer.text().contains("from"), "{context}: {}", answer.text());
            }
            let limited =
                |seen: &crate::upstream::Seen| seen.headers.iter().any(|(_, value)| value.ends_with("limited"));
            let count = upstream.requests().iter().filter(|seen| limited(seen)).count();
            assert!(count <= 2, "{context}: the key was asked with {count} times");
        }
    }
}

/// A refusal that arrives as a stream is asked for is one as any other, whoever asks first.
#[tokio::test]
async fn the_services_own_refusal_says_when_too() {
    for (caller, spoken) in [(OpenAi, OpenAi), (OpenAi, Anthropic), (Anthropic, OpenAi), (Anthropic, Anthropic)] {
        for streaming in [false, true] {
            let upstream = upstream(spoken, "ratelimit", "\"minute\";r=0;t=30").await;
            let gateway = Gateway::with(&[("p", block(spoken, &upstream.url(), &["limited"]))]).await;
            let answer = ask(&gateway, caller, "p/m", streaming).await;
            assert_eq!(answer.status, 429, "{}", answer.text());
            assert_eq!(answer.header("retry-after"), "30", "{caller:?} over {spoken:?}, {streaming}");
        }
    }
}
