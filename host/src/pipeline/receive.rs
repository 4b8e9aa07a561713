//! receive: an upstream's reply → an Answer. Up to the commit point: a stream comes out of here with its first content,
//! or not at all.

use super::adapt;
use super::call::{Call, Gateway};
use super::decode::Request;
use super::headers;
use super::hygiene;
use super::problem;
use super::route::Candidate;
use super::scrub::Scrub;
use super::send::UpstreamReply;
use super::stream::{AnswerStream, Interpreter, Passing, reported};
use crate::chat::{self, Members};
use crate::error::{Failure, Verbatim};
use crate::framing::Framing;
use crate::plugins::api::provider::LocalReply;
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

/// What an upstream, or a provider by itself, answered.
pub enum Answer {
    /// In the caller's dialect already; it passes as it came.
    Native(NativeReply),
    /// A whole answer in canonical form.
    Canonical(String),
    Stream(Box<AnswerStream>),
}

pub struct NativeReply {
    pub verbatim: Verbatim,
    /// Whose dialect it is, for those who must read it.
    pub text: String,
}

/// What the plan said about the answer.
pub struct Expected {
    pub dialect: String,
    pub framing: Option<Framing>,
}

/// The answer of a provider that answers by itself.
pub fn local(request: &Request, candidate: &Candidate, reply: LocalReply) -> Result<Answer, Failure> {
    match reply {
        LocalReply::Whole(body) => Ok(Answer::Canonical(problem::checked_object(&candidate.ready()?.plugin, body)?)),
        LocalReply::Chunks(chunks) if request.kind.streaming => {
            if chunks.iter().any(|chunk| chat::inspect_chunk(chunk).is_none()) {
                let plugin = &candidate.ready()?.plugin;
                return Err(problem::from_call(plugin.broke_contract("it answers with something that is no chunk")));
            }
            Ok(Answer::Stream(Box::new(AnswerStream::local(chunks))))
        }
        LocalReply::Chunks(_) => {
            let plugin = &candidate.ready()?.plugin;
            Err(problem::from_call(plugin.broke_contract("it streams to a caller that did not ask for a stream")))
        }
    }
}

pub async fn receive(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidate: &Candidate,
    expected: Expected,
    reply: UpstreamReply,
) -> Result<Answer, Failure> {
    if !reply.status.is_success() {
        return Err(refused(gateway, call, candidate, &expected, reply).await);
    }
    match expected.framing {
        Some(framing) if !is_document(&reply.headers)? => {
            stream(gateway, call, request, candidate, expected.dialect, framing, reply).await
        }
        Some(_) | None => whole(gateway, call, request, candidate, &expected.dialect, reply).await,
    }
}

/// A stream, up to its first content.
async fn stream(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidate: &Candidate,
    dialect: String,
    framing: Framing,
    reply: UpstreamReply,
) -> Result<Answer, Failure> {
    // With the caller's own dialect the bytes pass as they come, unless a policy wants to look into each chunk.
    let passes = framing == Framing::Sse && dialect == call.dialect() && !call.snapshot.reviews_chunks();
    let interpreter = if dialect == chat::DIALECT {
        Interpreter::Canonical
    } else {
        let format = adapt::upstream_format(call, candidate, &dialect)?.clone();
        Interpreter::format(format, call)
    };
    let limits = &call.snapshot.config.limits;
    let passing = match passes {
        false => Passing::Translated,
        true => Passing::AsItComes { usage: !call.is_canonical() || request.wants_usage() },
    };
    let mut stream = AnswerStream::upstream(reply.body, framing, interpreter, passing, limits);
    if passes {
        stream.headers = come_down(&reply.headers, &Scrub::of(gateway, candidate));
    }
    let limit = candidate.target.config.network.timeouts.request;
    tokio::time::timeout(limit, stream.commit(limits.body_bytes)).await.map_err(|_| {
        Failure::new(
            crate::error::FailureKind::Timeout,
            format!("the provider's stream brought no content within {} s", limit.as_secs_f64()),
        )
        .code("first_token_timeout")
    })??;
    Ok(Answer::Stream(Box::new(stream)))
}

async fn whole(
    gateway: &Gateway,
    call: &Call,
    request: &Request,
    candidate: &Candidate,
    dialect: &str,
    reply: UpstreamReply,
) -> Result<Answer, Failure> {
    let UpstreamReply { status, headers, body } = reply;
    let body = body.whole().await?;
    // An answer that does not parse is an error, not an empty answer.
    Members::of(&body).map_err(|error| {
        Failure::upstream("the provider's answer is not the JSON that it should be")
            .code("upstream_malformed")
            .detail(format!("{error}; it begins with {:?}", beginning(&body)))
    })?;
    let text = String::from_utf8_lossy(&body).into_owned();
    if dialect == chat::DIALECT
        && let Some(error) = chat::inspect_chunk(&text).and_then(|facts| facts.error)
    {
        // Some servers say 200 and mean an error.
        return Err(reported(&error));
    }
    if dialect == call.dialect() && !request.kind.streaming {
        let verbatim = Verbatim { status, headers: come_down(&headers, &Scrub::of(gateway, candidate)), body };
        return Ok(Answer::Native(NativeReply { verbatim, text }));
    }
    if dialect == chat::DIALECT {
        return Ok(Answer::Canonical(text));
    }
    let format = adapt::upstream_format(call, candidate, dialect)?;
    let operation = request.kind.operation.name();
    let canonical = format.decode_reply(call.moment, operation, &text).await.map_err(problem::from_call)?;
    Ok(Answer::Canonical(problem::checked_object(format, canonical)?))
}

/// A reply with a status that says no.
async fn refused(
    gateway: &Gateway,
    call: &Call,
    candidate: &Candidate,
    expected: &Expected,
    reply: UpstreamReply,
) -> Failure {
    let UpstreamReply { status, headers, body } = reply;
    if status.is_redirection() {
        return Failure::upstream("the provider answered with a redirect, which is not followed")
            .code("upstream_redirect")
            .detail(format!("status {}", status.as_u16()));
    }
    let scrub = Scrub::of(gateway, candidate);
    let body = match body.whole().await {
        Ok(body) => scrub.bytes(body),
        Err(failure) => return failure,
    };
    let text = String::from_utf8_lossy(&body).into_owned();
    let failure = match in_words(call, candidate, &expected.dialect, status, &headers, &text, &scrub).await {
        Ok(failure) | Err(failure) => failure,
    };
    let failure = match failure.retry_after_ms {
        Some(_) => failure,
        None => failure.retry_after_ms(retry_after_ms(&headers)),
    };
    if expected.dialect == call.dialect() && Members::of(&body).is_ok() {
        return failure.verbatim(Verbatim { status, headers: come_down(&headers, &scrub), body });
    }
    failure
}

/// What the reply says, by whoever knows its dialect.
async fn in_words(
    call: &Call,
    candidate: &Candidate,
    dialect: &str,
    status: StatusCode,
    headers: &HeaderMap,
    body: &String,
    scrub: &Scrub,
) -> Result<Failure, Failure> {
    if dialect == chat::DIALECT {
        return Ok(canonical_error(status, body));
    }
    let format = adapt::upstream_format(call, candidate, dialect)?;
    let headers = headers::for_plugin(headers.iter().filter(|(name, _)| hygiene::may_come_down(name)), scrub);
    let problem =
        format.decode_problem(call.moment, status.as_u16(), &headers, body).await.map_err(problem::from_call)?;
    Ok(problem::from_plugin(problem))
}

fn canonical_error(status: StatusCode, body: &str) -> Failure {
    #[derive(Deserialize)]
    struct Body {
        error: Inner,
    }

    #[derive(Deserialize)]
    struct Inner {
        message: String,
        param: Option<String>,
        code: Option<serde_json::Value>,
    }

    match serde_json::from_str::<Body>(body) {
        Ok(Body { error }) => {
            let mut failure = Failure::of_status(status, error.message);
            failure.param = error.param.map(Into::into);
            failure.code = error.code.and_then(|code| match code {
                serde_json::Value::String(code) => Some(code.into()),
                serde_json::Value::Number(code) => Some(code.to_string().into()),
                _ => None,
            });
            failure
        }
        Err(_) => Failure::of_status(status, format!("the provider answered with status {}", status.as_u16()))
            .detail(format!("the answer begins with {:?}", beginning(body.as_bytes()))),
    }
}

/// Whether a streaming caller got one document instead of a stream.
fn is_document(headers: &HeaderMap) -> Result<bool, Failure> {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default().to_ascii_lowercase();
    if kind.starts_with("text/html") {
        return Err(Failure::upstream("the provider answered with a web page where a stream should be")
            .code("upstream_malformed"));
    }
    Ok(kind.split(';').next().is_some_and(|kind| kind.trim() == "application/json"))
}

fn come_down(headers: &HeaderMap, scrub: &Scrub) -> HeaderMap {
    headers
        .iter()
        .filter(|(name, _)| hygiene::may_come_down(name))
        .map(|(name, value)| (name.clone(), scrub.header(value)))
        .collect()
}

fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let seconds: f64 = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| (seconds * 1e3).min(3.6e6) as u64)
}

fn beginning(body: &[u8]) -> String {
    String::from_utf8_lossy(&body[..body.len().min(120)]).into_owned()
}
