//! `plan` and `resume`, and steps as JSON.

use super::json::{self, answer, arguments, shown};
use super::{Function, Kind};
use crate::{Body, Call, Edit, Framing, Header, HttpReply, LocalReply, Outgoing, Placement, Provider, Step};
use serde::Deserialize;
use serde_json::{Value, json};

pub(super) fn functions<P: Provider>() -> Kind<P> {
    vec![Function { name: "plan", call: plan }, Function { name: "resume", call: resume }]
}

/// What differs from `Call::chat`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CallInput {
    operation: Option<String>,
    model: Option<String>,
    streaming: Option<bool>,
    dialect: Option<String>,
    attempt: Option<u32>,
    now_ms: Option<u64>,
    credentials: Option<Vec<String>>,
    members: Option<Value>,
}

impl From<CallInput> for Call {
    fn from(input: CallInput) -> Self {
        let chat = Call::chat(input.model.as_deref().unwrap_or("some-model"));
        Call {
            operation: input.operation.unwrap_or(chat.operation),
            model: chat.model,
            streaming: input.streaming.unwrap_or(chat.streaming),
            dialect: input.dialect.unwrap_or(chat.dialect),
            attempt: input.attempt.unwrap_or(chat.attempt),
            now_ms: input.now_ms.unwrap_or(chat.now_ms),
            credentials: input.credentials.unwrap_or(chat.credentials),
            members: input.members.map_or(chat.members, json::text),
        }
    }
}

fn plan<P: Provider>(plugin: &P, input: Value) -> Result<Value, String> {
    let call: CallInput = arguments(input)?;
    Ok(answer(plugin.plan(&call.into()), step))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResumeInput {
    #[serde(deserialize_with = "json::as_text")]
    state: String,
    reply: Option<ReplyInput>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplyInput {
    status: u16,
    #[serde(default, deserialize_with = "json::as_headers")]
    headers: Vec<Header>,
    #[serde(deserialize_with = "json::as_text")]
    body: String,
}

fn resume<P: Provider>(plugin: &P, input: Value) -> Result<Value, String> {
    let ResumeInput { state, reply } = arguments(input)?;
    let reply = reply.map(|ReplyInput { status, headers, body }| HttpReply { status, headers, body });
    Ok(answer(plugin.resume(state, reply), step))
}

fn step(step: Step) -> Value {
    match step {
        Step::Send(request) => json!({"send": outgoing(&request)}),
        Step::Fetch(fetch) => json!({"fetch": {"request": outgoing(&fetch.request), "state": shown(&fetch.state)}}),
        Step::Wait(pause) => json!({"wait": {"milliseconds": pause.milliseconds, "state": shown(&pause.state)}}),
        Step::Acquire(acquisition) => json!({"acquire": json::present(json!({
            "credential": acquisition.credential,
            "request": outgoing(&acquisition.request),
            "secret_at": acquisition.secret_at,
            "expires_at": acquisition.expires_at,
        }))}),
        Step::Reply(LocalReply::Whole(whole)) => json!({"reply": {"whole": shown(&whole)}}),
        Step::Reply(LocalReply::Chunks(chunks)) => json!({"reply": {"chunks": json::texts(&chunks)}}),
    }
}

fn outgoing(outgoing: &Outgoing) -> Value {
    let auth = outgoing.auth.as_ref().map(|auth| {
        json!({"credential": auth.credential, "placement": match &auth.placement {
            Placement::Bearer => json!("bearer"),
            Placement::Header(name) => json!({"header": name}),
            Placement::Query(name) => json!({"query": name}),
        }})
    });
    json::present(json!({
        "method": outgoing.method,
        "path": outgoing.path,
        "headers": json::headers(&outgoing.headers),
        "body": body(&outgoing.body),
        "auth": auth,
        "dialect": outgoing.dialect,
        "framing": match outgoing.framing {
            Framing::None => "none",
            Framing::Sse => "sse",
            Framing::Ndjson => "ndjson",
            Framing::AwsEventStream => "aws-event-stream",
        },
    }))
}

fn body(body: &Body) -> Value {
    match body {
        Body::Translated => json!("translated"),
        Body::Empty => json!("empty"),
        Body::Replaced(text) => json!({"replaced": shown(text)}),
        Body::Edited(edits) => json!({"edited": edits.iter().map(edit).collect::<Vec<_>>()}),
    }
}

fn edit(Edit { member, value }: &Edit) -> Value {
    match value {
        None => json!({"member": member}),
        // Not `shown`: a value that is no JSON would be refused by the host, and must be seen here.
        Some(text) => json!({
            "member": member,
            "value": serde_json::from_str(text).unwrap_or_else(|error| json!(format!("not JSON ({error}): {text}"))),
        }),
    }
}
