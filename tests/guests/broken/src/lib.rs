//! A dialect, `broken`, whose decoder does what the upstream's events tell it to: `{"do": "say", "text": "hello"}` and
//! `{"do": "end"}` are a good stream, the rest is what a gateway must survive. In a request, the model's name says what
//! the encoder does.

use plugway_sdk::{
    ClientFormat, Context, Event, Header, NoSettings, Phases, Place, Plugin, Policy, Problem, ProblemKind, Progress,
    Route, Translated, UpstreamFormat,
};
use serde::Deserialize;
use serde_json::json;
use std::hint::black_box;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(tag = "do", rename_all = "kebab-case")]
enum Instruction {
    Say {
        text: String,
    },
    End,
    Panic,
    Loop,
    Sleep,
    /// This many chunks out of one event.
    Flood {
        chunks: usize,
    },
    /// A chunk that is no JSON.
    Garbage,
    /// So much more state.
    Grow {
        kilobytes: usize,
    },
    Fail,
}

struct Broken;

impl Plugin for Broken {
    type Settings = NoSettings;
    const DESCRIPTION: &'static str = "A dialect that does what its events say";

    fn new(_: NoSettings) -> Result<Self, Problem> {
        Ok(Broken)
    }
}

impl UpstreamFormat for Broken {
    const DIALECT: &'static str = "broken";
    type State = String;

    fn encode_request(&self, _: &str, model: &str, body: &str) -> Result<Translated, Problem> {
        match model {
            "encode-panic" => panic!("as the model says"),
            "encode-loop" => spin(),
            "encode-garbage" => Ok(Translated::exact("{\"never\": ")),
            "encode-huge" => Ok(Translated::exact("x".repeat(48 << 20))),
            _ => {
                let mut body: serde_json::Value = serde_json::from_str(body)?;
                body["model"] = json!(model);
                Ok(Translated::exact(body.to_string()))
            }
        }
    }

    fn decode_reply(&self, _: &str, body: &str) -> Result<String, Problem> {
        match instruction(body)? {
            Instruction::Say { text } => Ok(json!({
                "id": "chatcmpl-broken",
                "object": "chat.completion",
                "created": 0,
                "model": "broken",
                "choices": [{
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }],
            })
            .to_string()),
            Instruction::Panic => panic!("as the reply says"),
            Instruction::Loop => spin(),
            Instruction::Sleep => {
                std::thread::sleep(Duration::from_secs(3600));
                Err(Problem::internal("slept"))
            }
            Instruction::Garbage => Ok("{\"never\": ".to_owned()),
            Instruction::Flood { chunks } => Ok(chunk("flood ").repeat(chunks)),
            Instruction::End | Instruction::Grow { .. } | Instruction::Fail => {
                Err(Problem::upstream("as the reply says"))
            }
        }
    }

    fn decode_problem(&self, status: u16, _: &[Header], body: &str) -> Problem {
        if body.contains("panic") {
            panic!("as the reply says");
        }
        Problem::new(ProblemKind::Upstream, format!("status {status}"))
    }

    fn decode_event(
        &self,
        _: &str,
        state: &mut String,
        event: &Event,
        chunks: &mut Vec<String>,
    ) -> Result<Progress, Problem> {
        match instruction(&event.data)? {
            Instruction::Say { text } => chunks.push(chunk(&text)),
            Instruction::End => return Ok(Progress::Complete),
            Instruction::Panic => panic!("as the event says"),
            Instruction::Loop => spin(),
            Instruction::Sleep => std::thread::sleep(Duration::from_secs(3600)),
            Instruction::Flood { chunks: count } => chunks.extend((0..count).map(|_| chunk("flood "))),
            Instruction::Garbage => chunks.push("{\"never\": ".to_owned()),
            Instruction::Grow { kilobytes } => state.push_str(&"s".repeat(kilobytes << 10)),
            Instruction::Fail => return Err(Problem::upstream("as the event says")),
        }
        Ok(Progress::Open)
    }
}

/// Callers say `{"model": …, "do": {…}}`, and what is to be done is done to the caller's side.
impl ClientFormat for Broken {
    const DIALECT: &'static str = "broken-client";
    type State = String;

    /// Under the name `format-rival` it wants a route that it has under its own, and one that is free.
    fn routes(&self) -> Vec<Route> {
        if __plugway::stamp().name == "format-rival" {
            return vec![Route::chat("/v1/rival"), Route::chat("/v1/broken")];
        }
        let things = Route {
            method: "GET".to_owned(),
            operation: "file".to_owned(),
            model: Place::Never,
            streaming: Place::Never,
            ..Route::chat("/v1/things")
        };
        let models =
            Route { operation: "list_models".to_owned(), path: "/v1/broken/models".to_owned(), ..things.clone() };
        vec![Route::chat("/v1/broken"), things, models]
    }

    fn decode_request(&self, _: &str, model: &str, streaming: bool, body: &str) -> Result<Translated, Problem> {
        let body: serde_json::Value = serde_json::from_str(body)?;
        match body["do"].as_str() {
            Some("panic") => panic!("as the request says"),
            Some("loop") => spin(),
            Some("garbage") => Ok(Translated::exact("{\"never\": ")),
            _ => Ok(Translated::exact(
                json!({"model": model, "stream": streaming, "messages": [{"role": "user", "content": "hi"}]})
                    .to_string(),
            )),
        }
    }

    fn encode_reply(&self, operation: &str, body: &str) -> Result<String, Problem> {
        if operation == "list_models" {
            let list: serde_json::Value = serde_json::from_str(body)?;
            return Ok(json!({"broken-models": list["data"][0]["id"]}).to_string());
        }
        if body.contains("trap the encoder") {
            panic!("as the answer says");
        }
        Ok(body.to_owned())
    }

    fn encode_chunk(&self, _: &str, state: &mut String, chunk: &str, events: &mut Vec<Event>) -> Result<(), Problem> {
        if chunk.contains("grow the encoder") {
            state.push_str(&"s".repeat(3 << 20));
        }
        if chunk.contains("trap the encoder") {
            panic!("as the chunk says");
        }
        events.push(Event::named("chunk", chunk));
        Ok(())
    }

    fn encode_end(&self, _: &str, _: &mut String, events: &mut Vec<Event>) -> Result<(), Problem> {
        events.push(Event::named("end", "{}"));
        Ok(())
    }

    fn encode_failure(&self, _: &str, _: &mut String, problem: &Problem, events: &mut Vec<Event>) {
        events.push(Event::named("error", json!({"broken": problem.message}).to_string()));
    }

    fn encode_problem(&self, status: u16, problem: &Problem, _: &str) -> String {
        if problem.message.contains("trap the problem") {
            panic!("as the problem says");
        }
        json!({"broken": problem.message, "status": status}).to_string()
    }
}

/// A policy whose state grows where a chunk says so.
impl Policy for Broken {
    type State = String;

    fn phases(&self) -> Phases {
        Phases::CHUNKS
    }

    fn review_chunk(
        &self,
        _: &Context,
        state: &mut String,
        chunk: String,
        chunks: &mut Vec<String>,
    ) -> Result<Option<Problem>, Problem> {
        if chunk.contains("grow the policy") {
            state.push_str(&"s".repeat(1 << 20));
        }
        chunks.push(chunk);
        Ok(None)
    }
}

fn instruction(json: &str) -> Result<Instruction, Problem> {
    serde_json::from_str(json).map_err(|error| Problem::upstream(format!("no instruction: {error}")))
}

fn chunk(text: &str) -> String {
    json!({
        "id": "chatcmpl-broken",
        "object": "chat.completion.chunk",
        "created": 0,
        "model": "broken",
        "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}],
    })
    .to_string()
}

fn spin<T>() -> T {
    loop {
        black_box(());
    }
}

stamp::export!(Broken as "format-broken": format_upstream, format_client, policy);
