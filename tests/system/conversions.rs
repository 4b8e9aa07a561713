//! Callers get a stream or one document as they ask, whatever the service can do.

use crate::dialects::{ANSWER, Dialect, Dialect::Anthropic, Dialect::OpenAi, openai_chunk};
use crate::gateway::{Answer, Gateway, anthropic, chat_body, openai};
use crate::operations::{named_frames, response, response_events};
use crate::upstream::{Reply, Upstream};
use serde_json::{Value, json};

async fn service(dialect: Dialect, streams: Value) -> (Upstream, Gateway) {
    let upstream = Upstream::start().await;
    let mut block = match dialect {
        OpenAi => openai(&upstream.url()),
        Anthropic => anthropic(&upstream.url()),
    };
    block["supports_streaming"] = streams;
    let gateway = Gateway::with(&[("service", block)]).await;
    (upstream, gateway)
}

async fn ask(gateway: &Gateway, caller: Dialect, model: &str, streaming: bool) -> Answer {
    match caller {
        OpenAi => gateway.post("/v1/chat/completions", &chat_body(model, "hello", streaming)).await,
        Anthropic => gateway.message(model, "hello", streaming).await,
    }
}

fn text_of(caller: Dialect, answer: &Answer) -> String {
    match caller {
        OpenAi => answer.content(),
        Anthropic if answer.header("content-type").starts_with("text/event-stream") => {
            let deltas = answer.events().into_iter().map(|event| event.json());
            deltas.filter_map(|event| Some(event["delta"]["text"].as_str()?.to_owned())).collect()
        }
        Anthropic => answer.json()["content"][0]["text"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn a_streaming_caller_is_served_by_a_service_that_does_not_stream() {
    for (spoken, caller) in [(OpenAi, OpenAi), (OpenAi, Anthropic), (Anthropic, OpenAi), (Anthropic, Anthropic)] {
        let (upstream, gateway) = service(spoken, json!(false)).await;
        upstream.otherwise(move |_| Reply::json(200, &spoken.whole(ANSWER)));
        let answer = ask(&gateway, caller, "service/m", true).await;
        assert_eq!(text_of(caller, &answer), ANSWER, "{spoken:?} to {caller:?}: {}", answer.text());
        assert!(answer.header("content-type").starts_with("text/event-stream"));
        let sent = upstream.last_request().json();
        assert!(sent["stream"] != true && sent.get("stream_options").is_none(), "{sent}");
    }
}

#[tokio::test]
async fn the_one_chunk_has_the_calls_with_their_places_and_the_usage() {
    let (upstream, gateway) = service(OpenAi, json!(false)).await;
    upstream.otherwise(|_| Reply::json(200, &OpenAi.whole_tool_call()));
    let mut body = chat_body("service/m", "hello", true);
    body["stream_options"] = json!({"include_usage": true});
    let answer = gateway.post("/v1/chat/completions", &body).await;
    let events = answer.events();
    let choice = &events[0].json()["choices"][0];
    assert_eq!(choice["delta"]["role"], "assistant");
    assert_eq!(choice["delta"]["tool_calls"][0]["index"], 0);
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert!(events[1].json()["usage"]["prompt_tokens"].is_u64(), "{}", answer.text());
    assert!(answer.is_done());
}

#[tokio::test]
async fn an_answer_that_cannot_be_read_is_an_error_and_no_empty_chunk() {
    let (upstream, gateway) = service(OpenAi, json!(false)).await;
    for body in ["", "no JSON", "[]", "{\"choices\": 1}"] {
        upstream.otherwise(move |_| Reply::new(200, "application/json", body));
        assert_eq!(ask(&gateway, OpenAi, "service/m", true).await.openai_error(502)["code"], "upstream_malformed");
    }
}

#[tokio::test]
async fn a_plain_caller_is_served_by_a_service_that_only_streams() {
    for (spoken, caller) in [(OpenAi, OpenAi), (OpenAi, Anthropic), (Anthropic, OpenAi), (Anthropic, Anthropic)] {
        let (upstream, gateway) = service(spoken, json!("only")).await;
        upstream.otherwise(move |seen| match seen.json()["stream"] == true {
            true => Reply::sse(&spoken.frames(&spoken.stream(ANSWER))),
            false => Reply::json(400, &spoken.error(400)),
        });
        let answer = ask(&gateway, caller, "service/m", false).await;
        assert_eq!(text_of(caller, &answer), ANSWER, "{spoken:?} to {caller:?}: {}", answer.text());
        let streamed = ask(&gateway, caller, "service/m", true).await;
        assert_eq!(text_of(caller, &streamed), ANSWER, "{spoken:?} to {caller:?}, streamed: {}", streamed.text());
    }
}

/// As [`a_plain_caller_is_served_by_a_service_that_only_streams`] and its counterpart, for the other operations that have
/// streams: each in the form of its own.
#[tokio::test]
async fn completions_and_responses_are_converted_in_their_own_forms() {
    let texts = |text: &str, end: Value| {
        json!({"id": "cmpl-1", "object": "text_completion", "created": 5, "model": "m",
            "choices": [{"index": 0, "text": text, "finish_reason": end, "logprobs": null}]})
    };
    let pieces = [texts("This is", Value::Null), texts(" a test.", json!("stop"))];
    let responses = named_frames(&response_events(&["This is", " a test."]));
    for (path, asked, whole, frames) in [
        ("/v1/completions", "prompt", texts("This is a test.", json!("stop")), OpenAi.frames(&pieces)),
        ("/v1/responses", "input", response("This is a test."), responses),
    ] {
        let said = |answer: &Answer| match path {
            "/v1/completions" => answer.json()["choices"][0]["text"].clone(),
            _ => answer.json()["output"][0]["content"][0]["text"].clone(),
        };
        let mut body = json!({"model": "service/m", asked: "Say so."});

        let (upstream, gateway) = service(OpenAi, json!("only")).await;
        upstream.otherwise(move |_| Reply::sse(&frames));
        let answer = gateway.post(path, &body).await;
        assert_eq!(said(&answer), "This is a test.", "{path}: {}", answer.text());
        assert_eq!(answer.json()["object"], whole["object"], "{path}: {}", answer.text());

        let (upstream, gateway) = service(OpenAi, json!(false)).await;
        upstream.otherwise(move |_| Reply::json(200, &whole));
        body["stream"] = json!(true);
        let answer = gateway.post(path, &body).await;
        assert!(answer.header("content-type").starts_with("text/event-stream"), "{path}: {}", answer.text());
        assert!(answer.text().contains("This is a test."), "{path}: {}", answer.text());
        assert!(answer.is_done() || answer.text().contains("event: response.completed"), "{path}: {}", answer.text());
    }
}

#[tokio::test]
async fn calls_that_come_in_pieces_are_whole_for_a_plain_caller() {
    for spoken in [OpenAi, Anthropic] {
        let (upstream, gateway) = service(spoken, json!("only")).await;
        upstream.otherwise(move |_| Reply::sse(&spoken.frames(&spoken.stream_tool_call())));
        let answer = ask(&gateway, OpenAi, "service/m", false).await.json();
        let call = &answer["choices"][0]["message"]["tool_calls"][0];
        let arguments = call["function"]["arguments"].as_str().expect("a text");
        assert!(serde_json::from_str::<Value>(arguments).is_ok_and(|arguments| arguments.is_object()), "{answer}");
        assert_eq!(answer["choices"][0]["finish_reason"], "tool_calls", "{answer}");
    }
}

/// Nobody has seen anything of it, so it is an error status, and a fallback could rescue it.
#[tokio::test]
async fn a_stream_that_breaks_is_no_answer_for_a_plain_caller() {
    let (upstream, gateway) = service(OpenAi, json!("only")).await;
    let chunk = openai_chunk(json!({"content": "half of it"}), Value::Null);
    upstream.otherwise(move |_| Reply::sse(&[format!("data: {chunk}\n\n")]));
    assert_eq!(ask(&gateway, OpenAi, "service/m", false).await.openai_error(502)["code"], "upstream_cut");
}
