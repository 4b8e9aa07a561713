//! encode: an Answer, or a failure → the HTTP reply in the caller's dialect.

mod byte_flow;
mod course;
mod outflow;
mod reply_body;

pub use reply_body::ReplyBody;

use super::admit::Admitted;
use super::call::Call;
use super::decode::Request;
use super::problem;
use super::receive::{Answer, ByteReply};
use super::review::ChunkReview;
use super::stream::{AnswerStream, Passing};
use crate::chat;
use crate::error::{Failure, Verbatim};
use crate::plugins::Moment;
use crate::snapshot::{ClientRoute, Speaker};
use crate::telemetry::{Outcome, Record};
use byte_flow::ByteFlow;
use bytes::Bytes;
use course::Course;
use http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use outflow::Outflow;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::Arc;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-plugway-request-id");
const USED_ENDPOINT: HeaderName = HeaderName::from_static("x-bt-used-endpoint");
const COST: HeaderName = HeaderName::from_static("x-plugway-cost");
const DROPPED: HeaderName = HeaderName::from_static("x-plugway-dropped");

/// A reply that is ready to go.
pub struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    content: Content,
}

enum Content {
    Whole(Bytes),
    Stream { stream: Box<AnswerStream>, review: Option<ChunkReview>, wants_usage: bool },
    Bytes(Box<ByteReply>),
}

impl Reply {
    fn json(body: String) -> Self {
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON)]);
        Reply { status: StatusCode::OK, headers, content: Content::Whole(body.into()) }
    }
}

pub async fn encode(call: &Call, request: &Request, answer: Answer, dropped: &[String]) -> Result<Reply, Failure> {
    let mut reply = match answer {
        Answer::Native(reply) => {
            let Verbatim { status, headers, body } = reply.verbatim;
            Reply { status, headers, content: Content::Whole(body) }
        }
        Answer::Canonical(body) if request.caller_streams => {
            match chat::as_stream(call.route.operation, &body) {
                Some(chunks) => {
                    let review = ChunkReview::of_whole(call, request)?;
                    stream(call, request, Box::new(AnswerStream::local(chunks)), review)
                }
                // There are no pieces that such an answer could be cut into; it says by its type that it is whole.
                None if call.route.operation.streams_events() => whole(call, body).await?,
                None => {
                    return Err(
                        Failure::upstream("the provider's answer is not what it should be").code("upstream_malformed")
                    );
                }
            }
        }
        Answer::Canonical(body) => whole(call, body).await?,
        Answer::Bytes(mut reply) => {
            let headers = std::mem::take(&mut reply.headers);
            Reply { status: reply.status, headers, content: Content::Bytes(reply) }
        }
        Answer::Stream(answer) => stream(call, request, answer, ChunkReview::of(call, request)?),
    };
    if let Some(value) = named(dropped) {
        reply.headers.insert(DROPPED, value);
    }
    Ok(reply)
}

/// The hints that were dropped, each once. Clients take heads of a few KiB, and a request may have thousands of members.
fn named(dropped: &[String]) -> Option<HeaderValue> {
    const MOST_BYTES: usize = 1024;
    let mut seen = HashSet::new();
    let names: Vec<&str> = dropped.iter().map(String::as_str).filter(|name| seen.insert(*name)).collect();
    let mut text = String::new();
    for (index, name) in names.iter().enumerate() {
        if text.len() + name.len() > MOST_BYTES {
            text = format!("{text}, and {} more", names.len() - index);
            break;
        }
        text = if text.is_empty() { (*name).to_owned() } else { format!("{text}, {name}") };
    }
    HeaderValue::from_str(&text).ok().filter(|_| !names.is_empty())
}

/// A whole answer in canonical form.
pub async fn whole(call: &Call, body: String) -> Result<Reply, Failure> {
    let body = match call.speaker()? {
        None => body,
        Some(speaker) => {
            let operation = call.route.operation.name();
            let encoded = speaker.encode_reply(call.moment, operation, &body).await.map_err(problem::from_call)?;
            problem::checked_answer(speaker, encoded)?
        }
    };
    Ok(Reply::json(body))
}

fn stream(call: &Call, request: &Request, mut stream: Box<AnswerStream>, review: Option<ChunkReview>) -> Reply {
    let mut headers = std::mem::take(&mut stream.headers);
    headers.insert(CONTENT_TYPE, EVENTS);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies in front, nginx foremost, would hold events back.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let wants_usage = stream.passing == Passing::Translated && (!call.is_canonical() || request.wants_usage);
    Reply { status: StatusCode::OK, headers, content: Content::Stream { stream, review, wants_usage } }
}

/// The reply as it goes out; the record goes along to its end.
pub fn answer(admitted: Admitted, reply: Reply) -> Response<ReplyBody> {
    let Admitted { call, mut record, .. } = admitted;
    let Reply { status, mut headers, content } = reply;
    add_request_id(&mut headers, &call.id);
    add_endpoint(&mut headers, &record);
    record.status = status.as_u16();
    let body = match content {
        Content::Whole(body) => {
            record.outcome = Outcome::Complete;
            if let Some(cost) = record.cost() {
                headers.extend(HeaderValue::from_str(&cost.to_string()).map(|value| (COST, value)));
            }
            ReplyBody::whole(body)
        }
        Content::Stream { stream, review, wants_usage } => {
            let deadline = call.deadline;
            let outflow = Outflow::new(Course::of(call, record), stream, review, wants_usage);
            ReplyBody::stream(outflow.into_stream(), deadline)
        }
        Content::Bytes(reply) => {
            let deadline = call.deadline;
            ReplyBody::stream(ByteFlow::new(Course::of(call, record), reply).into_stream(), deadline)
        }
    };
    response(status, headers, body)
}

/// A request that failed before anything was sent to the caller.
pub struct Failed {
    pub failure: Failure,
    /// The nearest one where the request never got to any; without one, the canonical dialect is spoken.
    pub route: Option<Arc<ClientRoute>>,
    pub moment: Moment,
    pub record: Record,
}

pub async fn failure(failed: Failed) -> Response<ReplyBody> {
    let Failed { failure, route, moment, mut record } = failed;
    failure.log(&record.request_id);
    if let Some(verbatim) = failure.verbatim {
        record.fail(verbatim.status, &failure.message);
        let mut headers = verbatim.headers;
        add_request_id(&mut headers, &record.request_id);
        add_endpoint(&mut headers, &record);
        return response(verbatim.status, headers, ReplyBody::whole(verbatim.body));
    }
    let status = failure.status();
    record.fail(status, &failure.message);
    let body = in_dialect(&failure, route.as_deref(), moment, &record.request_id).await;
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, JSON)]);
    add_request_id(&mut headers, &record.request_id);
    add_endpoint(&mut headers, &record);
    if let Some(milliseconds) = failure.retry_after_ms {
        headers.insert(RETRY_AFTER, HeaderValue::from(milliseconds.div_ceil(1_000)));
    }
    response(status, headers, ReplyBody::whole(body.into()))
}

/// The error's body. Where the format that should write it cannot, the canonical dialect is better than nothing.
async fn in_dialect(failure: &Failure, route: Option<&ClientRoute>, moment: Moment, request_id: &str) -> String {
    if let Some(Speaker::Format(format)) = route.map(|route| &route.format) {
        let problem = problem::to_plugin(failure);
        let body = format.encode_problem(moment, failure.status().as_u16(), &problem, request_id).await;
        if let Ok(body) = body
            && serde_json::from_str::<serde::de::IgnoredAny>(&body).is_ok()
        {
            return body;
        }
    }
    failure.body().to_string()
}

fn add_request_id(headers: &mut HeaderMap, id: &str) {
    if let Ok(value) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, value);
    }
}

/// Which provider it was; of the names that no header can carry, as routes write them.
fn add_endpoint(headers: &mut HeaderMap, record: &Record) {
    if record.provider.is_empty() {
        return;
    }
    let name: Cow<'_, str> = match record.provider.is_ascii() {
        true => record.provider.as_str().into(),
        false => utf8_percent_encode(&record.provider, NON_ALPHANUMERIC).into(),
    };
    let value = HeaderValue::from_str(&name);
    headers.extend(value.map(|value| (USED_ENDPOINT, value)));
}

fn response(status: StatusCode, headers: HeaderMap, body: ReplyBody) -> Response<ReplyBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dropped_hints_are_named_once_and_within_bounds() {
        let text = |names: &[String]| named(names).map(|value| value.to_str().expect("ASCII").to_owned());
        assert_eq!(text(&[]), None);
        assert_eq!(text(&["seed".to_owned(), "user".to_owned(), "seed".to_owned()]).as_deref(), Some("seed, user"));
        let many: Vec<String> = (0..3_000).map(|index| format!("messages[{index}].name")).collect();
        let text = text(&many).expect("some");
        assert!(text.len() < 1_100 && text.starts_with("messages[0].name, ") && text.ends_with(" more"), "{text}");
    }
}
