//! Every operation of OpenAI's API is served to callers of a provider that speaks it: in JSON, in forms, in sound, each
//! with its stream, its errors and its usage. What a provider cannot do is 501 with the operation's name.

#[path = "operations/rescue.rs"]
mod rescue;

use crate::dialects::{Dialect, openai_chunk, play};
use crate::gateway::{Answer, Gateway, Setup, anthropic, openai, read, wait_until};
use crate::real_clients;
use crate::upstream::{Reply, Seen, Upstream};
use serde_json::{Value, json};

/// As `tests/clients/operations_client.py` expects it.
fn sound() -> Vec<u8> {
    (0..400).flat_map(|_| 0..=255).collect()
}

const BOUNDARY: &str = "----plugway-7MA4YWxk";

/// A form as clients write it; of a file its name and content.
fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, value) in fields {
        body.extend_from_slice(
            format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n").as_bytes(),
        );
    }
    body.extend_from_slice(
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\n"
        )
        .as_bytes(),
    );
    body.extend_from_slice(file);
    body.extend_from_slice(format!("\r\n--{BOUNDARY}--\r\n").as_bytes());
    body
}

async fn post_form(gateway: &Gateway, path: &str, body: Vec<u8>) -> Answer {
    let request = gateway.http.post(format!("{}{path}", gateway.url));
    read(request.header("content-type", format!("multipart/form-data; boundary={BOUNDARY}")).body(body)).await
}

fn frames(events: &[Value]) -> Vec<String> {
    events.iter().map(|event| format!("data: {event}\n\n")).collect()
}

pub fn named_frames(events: &[Value]) -> Vec<String> {
    let name = |event: &Value| event["type"].as_str().expect("a type").to_owned();
    events.iter().map(|event| format!("event: {}\ndata: {event}\n\n", name(event))).collect()
}

/// A Responses answer of these words, as it stands at the end of a stream too.
pub fn response(text: &str) -> Value {
    json!({
        "id": "resp_1", "object": "response", "created_at": 5, "status": "completed", "error": null,
        "incomplete_details": null, "model": "thinker", "parallel_tool_calls": true, "tools": [], "tool_choice": "auto",
        "output": [{"type": "message", "id": "msg_1", "status": "completed", "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}]}],
        "usage": {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 3,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 12},
    })
}

pub fn response_events(words: &[&str]) -> Vec<Value> {
    let mut open = response("");
    open["status"] = json!("in_progress");
    open["output"] = json!([]);
    open["usage"] = json!(null);
    let at = json!({"item_id": "msg_1", "output_index": 0, "content_index": 0});
    let with = |kind: &str, members: Value| {
        let mut event = at.clone();
        event["type"] = json!(kind);
        event.as_object_mut().expect("an object").extend(members.as_object().expect("an object").clone());
        event
    };
    let item = json!({"type": "message", "id": "msg_1", "status": "in_progress", "role": "assistant", "content": []});
    let part = |text: &str| json!({"type": "output_text", "text": text, "annotations": []});
    let text = words.concat();
    let mut events = vec![
        json!({"type": "response.created", "response": open}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": item}),
        with("response.content_part.added", json!({"part": part("")})),
    ];
    events.extend(words.iter().map(|word| with("response.output_text.delta", json!({"delta": word, "logprobs": []}))));
    events.push(with("response.output_text.done", json!({"text": text, "logprobs": []})));
    events.push(with("response.content_part.done", json!({"part": part(&text)})));
    events.push(json!({"type": "response.output_item.done", "output_index": 0, "item": response(&text)["output"][0]}));
    events.push(json!({"type": "response.completed", "response": response(&text)}));
    for (number, event) in events.iter_mut().enumerate() {
        event["sequence_number"] = json!(number);
    }
    events
}

fn texts(text: &str) -> Value {
    json!({"id": "cmpl-1", "object": "text_completion", "created": 5, "model": "texts",
        "choices": [{"index": 0, "text": text, "finish_reason": null, "logprobs": null}]})
}

/// An OpenAI that answers every operation.
fn everything(seen: &Seen) -> Reply {
    let body = seen.json();
    let text = seen.text();
    let streams = body["stream"] == true || text.contains("name=\"stream\"\r\n\r\ntrue");
    let usage = json!({"type": "tokens", "input_tokens": 14, "output_tokens": 20, "total_tokens": 34});
    if body["model"] == "refused" || text.contains("\r\n\r\nrefused\r\n") {
        return Reply::json(
            429,
            &json!({"error": {"message": "slow down", "type": "requests", "param": null, "code": null}}),
        );
    }
    match seen.path.as_str() {
        "/v1/completions" if streams => {
            let mut events = frames(&[texts("This is"), texts(" a test.")]);
            events.push("data: [DONE]\n\n".to_owned());
            Reply::sse(&events)
        }
        "/v1/completions" => {
            let mut whole = texts("This is a test.");
            whole["usage"] = json!({"prompt_tokens": 5, "completion_tokens": 4, "total_tokens": 9});
            Reply::json(200, &whole)
        }
        "/v1/embeddings" => {
            let vector =
                |index: usize, vector: [f64; 2]| json!({"object": "embedding", "index": index, "embedding": vector});
            Reply::json(
                200,
                &json!({"object": "list", "model": "vectors", "data": [vector(0, [0.5, -0.25]), vector(1, [1.0, 0.0])],
                "usage": {"prompt_tokens": 4, "total_tokens": 4}}),
            )
        }
        "/v1/audio/speech" if body["stream_format"] == "sse" => Reply::sse(&frames(&[
            json!({"type": "speech.audio.delta", "audio": "aGk="}),
            json!({"type": "speech.audio.done", "usage": usage}),
        ])),
        "/v1/audio/speech" => Reply::new(200, "audio/mpeg", sound()).chunked(),
        "/v1/audio/transcriptions" if streams => Reply::sse(&frames(&[
            json!({"type": "transcript.text.delta", "delta": "Hello"}),
            json!({"type": "transcript.text.delta", "delta": " there."}),
            json!({"type": "transcript.text.done", "text": "Hello there.", "usage": usage}),
        ])),
        "/v1/audio/transcriptions" if text.contains("\r\n\r\nvtt\r\n") => {
            Reply::new(200, "text/vtt; charset=utf-8", "WEBVTT\n\n00:00.000 --> 00:01.000\nHello there.\n")
        }
        "/v1/audio/transcriptions" | "/v1/audio/translations" => {
            Reply::json(200, &json!({"text": "Hello there.", "usage": usage}))
        }
        "/v1/images/generations" if streams => Reply::sse(&named_frames(&[
            json!({"type": "image_generation.partial_image", "b64_json": "aA==", "partial_image_index": 0}),
            json!({"type": "image_generation.completed", "b64_json": "aGk=", "usage": usage}),
        ])),
        "/v1/images/edits" if streams => Reply::sse(&named_frames(&[
            json!({"type": "image_edit.partial_image", "b64_json": "aA==", "partial_image_index": 0}),
            json!({"type": "image_edit.completed", "b64_json": "aGk=", "usage": usage}),
        ])),
        "/v1/images/generations" | "/v1/images/edits" | "/v1/images/variations" => {
            Reply::json(200, &json!({"created": 5, "data": [{"b64_json": "aGk="}], "usage": usage}))
        }
        "/v1/moderations" => Reply::json(
            200,
            &json!({"id": "modr-1", "model": "judge", "results": [{"flagged": false,
            "categories": {}, "category_scores": {}, "category_applied_input_types": {}}]}),
        ),
        "/v1/rerank" => Reply::json(
            200,
            &json!({"model": "ranker", "results": [{"index": 1, "relevance_score": 0.9}],
            "usage": {"total_tokens": 7}}),
        ),
        "/v1/responses" if streams => Reply::sse(&named_frames(&response_events(&["Hello", " there."]))),
        "/v1/responses" => Reply::json(200, &response("Hello there.")),
        other => Reply::new(404, "text/plain", format!("no script for {other}")),
    }
}

async fn playing() -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    upstream.otherwise(everything);
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    (gateway, upstream)
}

#[tokio::test]
async fn the_official_client_finds_every_operation() {
    let (gateway, upstream) = playing().await;
    real_clients::run_at("operations_client.py", &gateway, "", &["openai"]).await;

    let seen = upstream.requests();
    assert!(seen.iter().all(|request| request.header("authorization") == Some("Bearer sk-upstream-key")));
    let heard = seen.iter().find(|request| request.path == "/v1/audio/transcriptions").expect("it was asked for");
    assert!(heard.header("content-type").is_some_and(|kind| kind.starts_with("multipart/form-data; boundary=")));
    assert!(heard.text().contains("\r\n\r\nears\r\n"), "the model without the provider");
    // The upload, with everything in it that is no text.
    let wave: Vec<u8> =
        b"RIFF\r\n--not-a-boundary\r\n".iter().copied().chain((0..4000).flat_map(|_| 0..=255)).collect();
    assert!(heard.body.windows(wave.len()).any(|window| window == wave), "the file as it was sent");
    assert!(gateway.metric("plugway_tokens_total", "kind=\"prompt\"").await >= 60.0, "what was counted is counted");
}

#[tokio::test]
async fn the_official_client_finds_every_operation_below_a_provider() {
    let (gateway, _upstream) = playing().await;
    real_clients::run_at("operations_client.py", &gateway, "/providers/openai", &[]).await;
}

#[tokio::test]
async fn a_form_passes_byte_for_byte_but_for_the_model() {
    let (gateway, upstream) = playing().await;
    let file = b"\r\n--\r\n----plugway\r\n\0\xff";
    for model in ["openai/ears", "openai/a-much-longer-name-than-before"] {
        let sent = form(&[("language", "en"), ("model", model), ("x_future", "1")], file);
        let answer = post_form(&gateway, "/v1/audio/transcriptions", sent).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        let bare = model.strip_prefix("openai/").expect("it begins so");
        let expected = form(&[("language", "en"), ("model", bare), ("x_future", "1")], file);
        let seen = upstream.last_request();
        assert_eq!(String::from_utf8_lossy(&seen.body), String::from_utf8_lossy(&expected));
        assert_eq!(seen.header("content-length"), Some(expected.len().to_string().as_str()));
    }
}

/// However large it is, and although it is kept for another try.
#[tokio::test]
async fn an_upload_is_held_once() {
    const MB: u64 = 1024 * 1024;
    let upstream = Upstream::start().await;
    let path = "/v1/audio/transcriptions";
    upstream.on_path(path, Reply::json(200, &json!({"text": "Hello there."})));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    assert_eq!(post_form(&gateway, path, form(&[("model", "openai/ears")], b"sound")).await.status, 200);
    let before = gateway.memory();
    upstream.on_path(path, Reply::json(200, &json!({})).stall_before_headers());
    let upload = form(&[("model", "openai/ears")], &vec![7; 28 * 1024 * 1024]);
    let asking = post_form(&gateway, path, upload);
    let measuring = async {
        wait_until("the upload to arrive", || async { upstream.requests().len() == 2 }).await;
        gateway.memory()
    };
    let (answer, during) = tokio::join!(asking, measuring);
    answer.openai_error(504);
    let grown = during.saturating_sub(before) / MB;
    assert!(grown < 45, "28 MB cost {grown} MB");
}

#[tokio::test]
async fn forms_that_make_no_sense_are_refused_before_anything_is_sent() {
    let (gateway, upstream) = playing().await;
    let cut = &form(&[("model", "openai/ears")], b"sound")[..150];
    for (body, says) in [
        (form(&[], b"sound"), "names no model"),
        (form(&[("model", "openai/ears"), ("model", "openai/other")], b"sound"), "twice"),
        (form(&[("model", "openai/ears"), ("stream", "perhaps")], b"sound"), "true or false"),
        (cut.to_vec(), "cut short"),
        (b"nothing".to_vec(), "does not begin with its boundary"),
    ] {
        let answer = post_form(&gateway, "/v1/audio/transcriptions", body).await;
        let error = answer.openai_error(400);
        assert!(error["message"].as_str().expect("a message").contains(says), "{says}: {error}");
    }
    assert!(upstream.requests().is_empty());
}

/// By a policy as it stands, and by the upstream as what it is the code of.
#[tokio::test]
async fn a_form_that_can_be_read_in_two_ways_is_refused_by_its_field() {
    let (gateway, upstream) = playing().await;
    let whole = String::from_utf8(form(&[("model", "openai/m"), ("prompt", "YSBjcmFi")], b"sound")).expect("text");
    let encoded = whole.replace("name=\"prompt\"\r\n", "name=\"prompt\"\r\nContent-Transfer-Encoding: base64\r\n");
    assert_ne!(encoded, whole);
    let error = post_form(&gateway, "/v1/audio/transcriptions", encoded.into_bytes()).await.openai_error(400);
    assert!(error["message"].as_str().is_some_and(|message| message.contains("`prompt`")), "{error}");
    assert!(upstream.requests().is_empty());
    assert_eq!(post_form(&gateway, "/v1/audio/transcriptions", whole.into_bytes()).await.status, 200);
}

#[tokio::test]
async fn sound_comes_in_pieces_and_a_cut_does_not_look_complete() {
    let upstream = Upstream::start().await;
    upstream.on_model("whole", Reply::new(200, "audio/mpeg", sound()).chunked());
    upstream.on_model("cut", Reply::new(200, "audio/mpeg", sound()).chunked().close_after(50_000));
    upstream.on_model("silent", Reply::new(200, "audio/mpeg", sound()).chunked().stall_after(50_000));
    upstream.on_model("page", Reply::new(200, "text/html", "<html>who are you</html>"));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let speak = |model: &str| json!({"model": format!("openai/{model}"), "input": "Hello", "voice": "alloy"});

    let whole = gateway.post("/v1/audio/speech", &speak("whole")).await;
    assert_eq!((whole.status, whole.header("content-type")), (200, "audio/mpeg"));
    assert_eq!(whole.body, sound());

    for model in ["cut", "silent"] {
        let request = gateway.http.post(format!("{}/v1/audio/speech", gateway.url)).json(&speak(model));
        let broken = request.send().await.expect("headers").bytes().await;
        assert!(broken.is_err(), "{model}: the transfer must break off");
    }
    gateway.wait_for_log(&["operation=speech", "model=openai/cut", "outcome=failed"]).await;
    gateway.wait_for_log(&["operation=speech", "model=openai/silent", "outcome=failed"]).await;
    gateway.wait_for_log(&["operation=speech", "model=openai/whole", "outcome=complete"]).await;
    gateway.post("/v1/audio/speech", &speak("page")).await.openai_error(502);
}

#[tokio::test]
async fn a_caller_who_leaves_ends_the_sound() {
    let upstream = Upstream::start().await;
    let pieces: Vec<String> = (0..1_000).map(|_| "x".repeat(1_000)).collect();
    let slow = Reply::sse(&pieces).every(std::time::Duration::from_millis(20));
    upstream.on_model("slow", slow.header("content-type", "audio/mpeg"));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let body = json!({"model": "openai/slow", "input": "Hello", "voice": "alloy"});
    let mut response =
        gateway.http.post(format!("{}/v1/audio/speech", gateway.url)).json(&body).send().await.expect("headers");
    response.chunk().await.expect("a first piece");
    drop(response);
    wait_until("the upstream to be left", || async { upstream.abandoned() > 0 }).await;
    gateway.wait_for_log(&["operation=speech", "outcome=cancelled"]).await;
}

#[tokio::test]
async fn streams_of_events_end_with_their_own_last_event() {
    let upstream = Upstream::start().await;
    let delta = json!({"type": "transcript.text.delta", "delta": "Hello"});
    let done =
        json!({"type": "transcript.text.done", "text": "Hello", "usage": {"input_tokens": 3, "output_tokens": 1}});
    let error = json!({"type": "error", "error": {"message": "no more", "code": "x"}});
    upstream.otherwise(move |seen| {
        let text = seen.text();
        let events: &[&Value] = if text.contains("\r\n\r\nwhole\r\n") {
            &[&delta, &done]
        } else if text.contains("\r\n\r\ncut\r\n") {
            &[&delta]
        } else {
            &[&delta, &error]
        };
        Reply::sse(&frames(&events.iter().map(|event| (*event).clone()).collect::<Vec<_>>()))
    });
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let ask = async |model: &str| {
        let fields = [("model", &*format!("openai/{model}")), ("stream", "true")];
        post_form(&gateway, "/v1/audio/transcriptions", form(&fields, b"sound")).await.events()
    };
    let whole = ask("whole").await;
    assert_eq!(whole.last().expect("events").json()["type"], "transcript.text.done");
    gateway.wait_for_log(&["operation=transcription", "outcome=complete", "prompt_tokens=3"]).await;
    for model in ["cut", "failing"] {
        let events = ask(model).await;
        assert_eq!(events[0].json()["delta"], "Hello", "{model}");
        assert!(events.last().expect("events").json()["error"]["message"].is_string(), "{model}: {events:?}");
        assert!(events.iter().all(|event| !event.data.contains("text.done")), "{model}");
    }
}

/// Models that know no stream answer with a whole; the caller waits for events.
#[tokio::test]
async fn a_whole_transcript_becomes_the_stream_that_was_asked_for() {
    let upstream = Upstream::start().await;
    upstream.on_path("/v1/audio/transcriptions", Reply::json(200, &json!({"text": "Hello there."})));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let body = form(&[("model", "openai/whisper-1"), ("stream", "true")], b"sound");
    let events = post_form(&gateway, "/v1/audio/transcriptions", body).await.events();
    let types: Vec<Value> = events.iter().map(|event| event.json()["type"].clone()).collect();
    assert_eq!(types, ["transcript.text.delta", "transcript.text.done"]);
}

#[tokio::test]
async fn documents_are_ranked_and_counted() {
    let (gateway, upstream) = playing().await;
    let body = json!({"model": "openai/ranker", "query": "crab", "documents": ["fish", "crab"], "top_n": 1});
    let answer = gateway.post("/v1/rerank", &body).await;
    assert_eq!(answer.json()["results"][0]["index"], 1, "{}", answer.text());
    assert_eq!(upstream.last_request().json()["model"], "ranker");
    gateway.wait_for_log(&["operation=rerank", "prompt_tokens=7"]).await;
}

#[tokio::test]
async fn a_moderation_may_name_no_model() {
    let (gateway, upstream) = playing().await;
    let answer = gateway.post("/v1/moderations", &json!({"input": "Hello"})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(upstream.last_request().json(), json!({"input": "Hello"}));
    gateway.post("/v1/embeddings", &json!({"input": "Hello"})).await.openai_error(400);
}

#[tokio::test]
async fn what_a_provider_cannot_do_is_said_by_name() {
    let upstream = Upstream::start().await;
    let gateway = Gateway::with(&[("anthropic", anthropic(&upstream.url()))]).await;
    for (path, operation) in [
        ("/v1/completions", "text_completion"),
        ("/v1/embeddings", "embedding"),
        ("/v1/audio/speech", "speech"),
        ("/v1/images/generations", "image_generation"),
        ("/v1/moderations", "moderation"),
        ("/v1/rerank", "rerank"),
    ] {
        let error = gateway.post(path, &json!({"model": "anthropic/m"})).await.openai_error(501);
        assert_eq!(error["message"], format!("the provider `anthropic` does not serve {operation}"));
    }
    let body = form(&[("model", "anthropic/m"), ("stream", "true")], b"sound");
    let error = post_form(&gateway, "/v1/audio/transcriptions", body).await.openai_error(501);
    assert!(error["message"].as_str().is_some_and(|message| message.ends_with("transcription_stream")), "{error}");
}

#[tokio::test]
async fn what_is_not_served_at_all_is_said_by_name_too() {
    let gateway = Gateway::with(&[("openai", openai("http://127.0.0.1:9"))]).await;
    for (path, operation) in [
        ("/v1/batches", "batch"),
        ("/v1/proxy/v1/batches", "batch"),
        ("/v1/files", "file"),
        ("/v1/realtime/sessions", "realtime"),
        ("/v1/responses/input_tokens", "count_tokens"),
        ("/v1/responses/resp_1/cancel", "responses"),
    ] {
        let error = gateway.post(path, &json!({})).await.openai_error(501);
        let message = error["message"].as_str().expect("a message");
        assert!(message.starts_with(&format!("{operation} is not served")), "{path}: {message}");
    }
    gateway.post("/v1/nothing", &json!({})).await.openai_error(404);
}

#[tokio::test]
async fn a_policy_sees_what_a_form_says_and_may_not_be_passed_by() {
    let (_, upstream) = playing().await;
    let rules = json!([{"name": "no-crabs", "contains": ["crab"]}]);
    let gateway = Setup::new()
        .provider("openai", openai(&upstream.url()))
        .section("policies", json!([{"plugin": "deny", "settings": {"rules": rules}}]))
        .start()
        .await;
    let ask = async |prompt: &str| {
        let fields = [("model", "openai/ears"), ("prompt", prompt)];
        post_form(&gateway, "/v1/audio/transcriptions", form(&fields, b"crab in the sound")).await
    };
    assert_eq!(ask("a fish").await.status, 200);
    assert_eq!(ask("a crab").await.openai_error(400)["code"], "content_policy_violation");
    let input = json!({"model": "openai/vectors", "input": ["a crab"]});
    gateway.post("/v1/embeddings", &input).await.openai_error(400);
    let spoken = json!({"model": "openai/thinker", "input": [{"role": "user", "content": "a crab"}]});
    gateway.post("/v1/responses", &spoken).await.openai_error(400);
}

/// Of several images each has an end of its own, and a cut behind one of them is a cut.
#[tokio::test]
async fn images_that_are_cut_behind_the_first_do_not_look_complete() {
    let upstream = Upstream::start().await;
    let part = json!({"type": "image_generation.partial_image", "b64_json": "aA==", "partial_image_index": 0});
    let whole = json!({"type": "image_generation.completed", "b64_json": "aGk="});
    let frames = named_frames(&[part.clone(), whole.clone(), part, whole]);
    upstream.on_model("two", Reply::sse(&frames));
    upstream.on_model("cut", Reply::sse(&frames[..3]));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let ask = async |model: &str| {
        let body = json!({"model": format!("openai/{model}"), "prompt": "a crab", "n": 2, "stream": true});
        gateway.post("/v1/images/generations", &body).await.events()
    };
    let names = |events: &[crate::sse::Event]| events.iter().map(|event| event.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&ask("two").await)[2..], ["image_generation.partial_image", "image_generation.completed"]);
    let cut = ask("cut").await;
    assert!(cut.last().is_some_and(|event| event.json()["error"]["code"] == "upstream_cut"), "{cut:?}");
}

/// A caller of the Responses API reaches any provider of chats.
#[tokio::test]
async fn responses_are_translated_where_only_chats_are_served() {
    for (dialect, provider) in [(Dialect::Anthropic, "anthropic"), (Dialect::OpenAi, "openai")] {
        let upstream = Upstream::start().await;
        play(dialect, &upstream);
        let mut block = if provider == "openai" { openai(&upstream.url()) } else { anthropic(&upstream.url()) };
        if provider == "openai" {
            block["settings"] = json!({"responses_api": false});
        }
        let gateway = Gateway::with(&[(provider, block)]).await;
        real_clients::run_at("responses_client.py", &gateway, "", &[provider]).await;
    }
}

/// The API says all of it again at the end, so all of it is remembered.
#[tokio::test]
async fn a_long_answer_is_said_again_at_its_end() {
    let upstream = Upstream::start().await;
    let line = "\"a line\", as naïve as any; \n";
    let answer = |bytes: usize| {
        let piece = line.repeat(4096 / line.len());
        let mut chunks = vec![openai_chunk(json!({"content": piece}), Value::Null); bytes / piece.len()];
        chunks.push(openai_chunk(json!({}), json!("stop")));
        (piece.len() * (bytes / piece.len()), Reply::sse(&Dialect::OpenAi.frames(&chunks)))
    };
    let (bytes, long) = answer(3 * 1024 * 1024 / 2);
    upstream.on_model("long", long);
    upstream.on_model("too-long", answer(5 * 1024 * 1024 / 2).1);
    let mut block = openai(&upstream.url());
    block["settings"] = json!({"responses_api": false});
    let gateway = Gateway::with(&[("openai", block)]).await;
    let ask = async |model: &str| {
        let body = json!({"model": format!("openai/{model}"), "input": "Hello", "stream": true});
        gateway.post("/v1/responses", &body).await.events()
    };
    let events = ask("long").await;
    let last = events.last().expect("events");
    assert_eq!(last.name, "response.completed", "{:.300}", last.data);
    let said = last.json()["response"]["output"][0]["content"][0]["text"].as_str().expect("a text").to_owned();
    assert_eq!(said.len(), bytes);
    let pieces = events.iter().filter(|event| event.name == "response.output_text.delta");
    let pieces: String = pieces.map(|event| event.json()["delta"].as_str().expect("a text").to_owned()).collect();
    assert!(pieces == said);
    for _ in 0..6 {
        let events = ask("too-long").await;
        let last = events.last().expect("events");
        assert_eq!((last.name.as_str(), &last.json()["code"]), ("error", &json!("upstream_too_large")));
    }
    assert_eq!(ask("long").await.last().expect("events").name, "response.completed");
}

#[tokio::test]
async fn responses_that_are_cut_or_fail_do_not_look_complete() {
    let upstream = Upstream::start().await;
    let events = response_events(&["Hello", " there."]);
    let frames = named_frames(&events);
    upstream.on_model("cut", Reply::sse(&frames[..5]));
    let failed = json!({"type": "response.failed", "response": {"status": "failed",
        "error": {"code": "server_error", "message": "it broke"}}});
    upstream.on_model("failed", Reply::sse(&[&frames[..5], &named_frames(&[failed])].concat()));
    let at_once = json!({"type": "error", "code": "rate_limit_exceeded", "message": "slow down"});
    upstream.on_model("at-once", Reply::sse(&named_frames(&[at_once])));
    upstream.on_model("whole", Reply::sse(&frames));
    let gateway = Gateway::with(&[("openai", openai(&upstream.url()))]).await;
    let ask = async |model: &str| {
        let body = json!({"model": format!("openai/{model}"), "input": "Hello", "stream": true});
        gateway.post("/v1/responses", &body).await
    };
    let whole = ask("whole").await;
    let text = String::from_utf8(whole.body).expect("UTF-8");
    assert_eq!(text, frames.concat(), "it passes as it came");
    gateway.wait_for_log(&["operation=responses", "prompt_tokens=9", "completion_tokens=3"]).await;
    for model in ["cut", "failed"] {
        let events = ask(model).await.events();
        let last = events.last().expect("events");
        assert_eq!(last.name, "error", "{model}: {events:?}");
        assert!(last.json()["message"].is_string() && last.json()["type"] == "error", "{model}: {last:?}");
        assert!(events.iter().all(|event| event.name != "response.completed"), "{model}");
    }
    ask("at-once").await.openai_error(429);
}
