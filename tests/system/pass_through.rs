//! Where caller and upstream speak one dialect nothing is translated: every byte passes, both ways, but for the edits
//! that the configuration asks for.

use crate::dialects::Dialect;
use crate::gateway::{Gateway, Setup, anthropic, openai};
use crate::recordings;
use crate::sse;
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

const BOTH: [(Dialect, &str); 2] = [(Dialect::OpenAi, "openai"), (Dialect::Anthropic, "anthropic")];

async fn both(upstream: &Upstream) -> Gateway {
    Gateway::with(&[("openai", openai(&upstream.url())), ("anthropic", anthropic(&upstream.url()))]).await
}

/// Odd white space, odd order, odd escapes, numbers that no float holds, and members that nobody has heard of.
fn odd_request(model: &str) -> String {
    format!(
        r#"{{ "x_future" : {{"z":1,"a":[ 1 , 2 ]}},
  "messages":[{{"role":"user","content":"\u00e9 caf\u00e9 \ud83e\udd80 /\/","x_part":null}}],	"model" :"{model}","max_tokens": 100,
  "big":12345678901234567890123, "exact":1.10,"temperature":1e0 , "metadata":{{"user_id":"u-1"}} }}"#
    )
}

fn odd_answer() -> String {
    r#"{"id":"odd-1" ,"type":"message","object":"chat.completion","role":"assistant","created":1,
"model":"upstreams-own", "x_future":[1.10,{"b":"\u00e9"}],"content":[{"type":"text","text":"hi","x":1}],
"choices":[{"index":0,"message":{"role":"assistant","content":"hi","x_new":{"deep":true}},"finish_reason":"stop"}],
"stop_reason":"end_turn","stop_sequence":null,"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2,"input_tokens":1,"output_tokens":1,"x_tokens":9}}"#
        .to_owned()
}

#[tokio::test]
async fn unknown_members_reach_the_upstream_byte_for_byte() {
    let upstream = Upstream::start().await;
    let gateway = both(&upstream).await;
    for (dialect, provider) in BOTH {
        upstream.on_model("m-1", Reply::json(200, &dialect.whole("hi")));
        let answer = gateway.post_bytes(dialect.path(), odd_request(&format!("{provider}/m-1"))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = upstream.last_request();
        assert_eq!((seen.method.as_str(), seen.path.as_str()), ("POST", dialect.path()));
        assert_eq!(seen.header("content-type"), Some("application/json"));
        assert_eq!(seen.text(), odd_request("m-1"), "only the model's name is edited");
    }
}

#[tokio::test]
async fn answers_reach_the_caller_byte_for_byte() {
    let upstream = Upstream::start().await;
    let gateway = both(&upstream).await;
    for (dialect, provider) in BOTH {
        for (model, reply) in [
            ("announced", Reply::new(200, "application/json", odd_answer())),
            ("chunked", Reply::new(200, "application/json", odd_answer()).chunked()),
            ("until-close", Reply::new(200, "application/json", odd_answer()).until_close()),
            ("compressed", Reply::new(200, "application/json", odd_answer()).gzip()),
            ("in-pieces", Reply::new(200, "application/json", odd_answer()).byte_by_byte().chunked()),
        ] {
            upstream.on_model(model, reply);
            let answer = gateway.post_bytes(dialect.path(), odd_request(&format!("{provider}/{model}"))).await;
            assert_eq!(answer.status, 200, "{}", answer.text());
            assert_eq!(answer.text(), odd_answer(), "{dialect:?}, {model}");
        }
    }
}

#[tokio::test]
async fn stream_events_keep_their_unknown_members() {
    let upstream = Upstream::start().await;
    let gateway = both(&upstream).await;
    for (dialect, provider) in BOTH {
        let mut events = dialect.stream("some words");
        for event in &mut events {
            event["x_future"] = json!({"number": 12.5, "list": [1, null]});
        }
        let frames = dialect.frames(&events);
        upstream.on_model("odd", Reply::sse(&frames));
        let body = json!({
            "model": format!("{provider}/odd"),
            "max_tokens": 100,
            "stream": true,
            "messages": [{"role": "user", "content": "hi"}],
        });
        let answer = gateway.post(dialect.path(), &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.events(), sse::events(frames.concat().as_bytes()), "{dialect:?}");
    }
}

#[tokio::test]
async fn recorded_traffic_passes_unchanged() {
    let upstream = Upstream::start().await;
    let gateway = both(&upstream).await;
    for (dialect, provider) in BOTH {
        for recording in recordings::of(dialect) {
            let case = &recording.case;
            let upstreams_own = recording.request["model"].as_str().expect("a model").to_owned();
            let mut request = recording.request.clone();
            request["model"] = json!(format!("{provider}/{upstreams_own}"));
            request.as_object_mut().unwrap().remove("stream");
            if let Some(response) = &recording.response {
                upstream.on_model(&upstreams_own, Reply::json(200, response));
                let answer = gateway.post(dialect.path(), &request).await;
                assert_eq!((answer.status, answer.text()), (200, response.to_string()), "{dialect:?}, {case}");
                let mut arrived = upstream.last_request().json();
                assert_eq!(arrived["model"], json!(upstreams_own), "{dialect:?}, {case}");
                arrived["model"].clone_from(&request["model"]);
                assert_eq!(arrived, request, "{dialect:?}, {case}");
            }
            if let Some(stream) = &recording.stream {
                let frames = dialect.frames(stream);
                upstream.on_model(&upstreams_own, Reply::sse(&frames));
                request["stream"] = Value::Bool(true);
                let answer = gateway.post(dialect.path(), &request).await;
                assert_eq!(answer.events(), sse::events(frames.concat().as_bytes()), "{dialect:?}, {case}");
            }
        }
    }
}

#[tokio::test]
async fn what_a_caller_says_of_itself_stays_here() {
    let upstream = Upstream::start().await;
    let gateway = both(&upstream).await;
    let private = [
        ("authorization", "Bearer callers-own"),
        ("x-api-key", "callers-own"),
        ("cookie", "session=callers-own"),
        ("proxy-authorization", "Basic callers-own"),
        ("x-bt-org-name", "callers-own"),
        ("x-amzn-trace-id", "callers-own"),
        ("sec-fetch-mode", "callers-own"),
        ("origin", "https://callers-own.example"),
        ("referer", "https://callers-own.example"),
        ("user-agent", "callers-own"),
        ("te", "trailers, callers-own"),
    ];
    for (dialect, provider) in BOTH {
        upstream.on_model("m-1", Reply::json(200, &dialect.whole("hi")));
        let mut request = gateway.http.post(format!("{}{}", gateway.url, dialect.path()));
        for (name, value) in private {
            request = request.header(name, value);
        }
        let answer = crate::gateway::read(request.body(odd_request(&format!("{provider}/m-1")))).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let seen = upstream.last_request();
        assert!(!format!("{seen:?}").contains("callers-own"), "{seen:?}");
        assert_eq!(seen.header("host"), Some(upstream.url().trim_start_matches("http://")));
    }
}

#[tokio::test]
async fn the_same_under_the_proxys_prefix() {
    let upstream = Upstream::start().await;
    let gateway = both(&upstream).await;
    // What the official clients make of the base URL `…/v1/proxy`.
    let paths = ["/v1/proxy/chat/completions", "/v1/proxy/v1/messages"];
    for ((dialect, provider), path) in BOTH.into_iter().zip(paths) {
        upstream.on_model("m-1", Reply::json(200, &dialect.whole("hi")));
        let answer = gateway.post_bytes(path, odd_request(&format!("{provider}/m-1"))).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(upstream.last_request().path, dialect.path());
    }
}

#[tokio::test]
async fn a_base_url_with_a_version_is_not_given_another() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let gateway = Setup::new()
        .provider("plain", openai(&upstream.url()))
        .provider("v1", openai(&format!("{}/v1", upstream.url())))
        .provider("v3", openai(&format!("{}/api/v3/", upstream.url())))
        .start()
        .await;
    for (provider, path) in
        [("plain", "/v1/chat/completions"), ("v1", "/v1/chat/completions"), ("v3", "/api/v3/chat/completions")]
    {
        assert_eq!(gateway.chat(&format!("{provider}/m"), "hi").await.status, 200);
        assert_eq!(upstream.last_request().path, path, "{provider}");
    }
}

#[tokio::test]
async fn the_configurations_headers_are_sent() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let mut block = openai(&upstream.url());
    block["network_config"]["extra_headers"] = json!({"x-extra": "as it is"});
    block["headers"] = json!({"X-Model": "it is {{model}}", "X-Provider": "{{provider}}", "X-Key": "key {{api_key}}"});
    let gateway = Gateway::with(&[("mine", block)]).await;
    assert_eq!(gateway.chat("mine/gpt-x", "hi").await.status, 200);
    let seen = upstream.last_request();
    assert_eq!(seen.header("x-extra"), Some("as it is"));
    assert_eq!(seen.header("x-model"), Some("it is gpt-x"));
    assert_eq!(seen.header("x-provider"), Some("mine"));
    assert_eq!(seen.header("x-key"), Some("key sk-upstream-key"));
}

/// Many requests to one upstream share few connections.
#[tokio::test]
async fn connections_to_the_upstream_are_kept() {
    let upstream = Upstream::start().await;
    upstream.otherwise(|_| Reply::json(200, &Dialect::OpenAi.whole("hi")));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    for _ in 0..50 {
        assert_eq!(gateway.chat("openai/m", "hi").await.status, 200);
    }
    assert!(upstream.connections() <= 5, "{} connections for 50 requests, one after the other", upstream.connections());
}
