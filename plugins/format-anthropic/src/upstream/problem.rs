//! What went wrong, from an error reply or an error event.

use crate::wire::{ErrorBody, StreamEvent};
use plugway_sdk::{Header, Problem, ProblemKind};
use serde_json::Value;

/// How much of a body that nobody can read goes into the operator's log.
const EXCERPT: usize = 500;

pub(crate) fn decode(status: u16, headers: &[Header], body: &str) -> Problem {
    let problem = match serde_json::from_str::<StreamEvent<'_>>(body) {
        Ok(StreamEvent { error: Some(error), .. }) => from_body(*error, Some(status)),
        _ => foreign(status, body),
    };
    problem.retry_after(headers)
}

/// An error in Anthropic's words; `status` is absent in a stream.
pub(crate) fn from_body(error: ErrorBody<'_>, status: Option<u16>) -> Problem {
    let kind = kind(&error.kind).unwrap_or_else(|| status.map_or(ProblemKind::Upstream, ProblemKind::of_status));
    // Bedrock and Vertex say `invalid_request_error` with statuses of their own; the size is what the caller can mend.
    let kind = if status == Some(413) { ProblemKind::TooLarge } else { kind };
    let code = code(kind, &error.kind, &error.message);
    let detail = format!("{}{}", status.map(|status| format!("status {status}, ")).unwrap_or_default(), error.kind);
    let message = if error.message.is_empty() { silent(status) } else { error.message.into_string() };
    Problem { code: code.map(str::to_owned), ..Problem::new(kind, message).detail(detail) }
}

fn kind(error: &str) -> Option<ProblemKind> {
    Some(match error {
        "invalid_request_error" => ProblemKind::InvalidRequest,
        "authentication_error" => ProblemKind::Unauthenticated,
        "permission_error" | "billing_error" => ProblemKind::Forbidden,
        "not_found_error" => ProblemKind::NotFound,
        "request_too_large" => ProblemKind::TooLarge,
        "rate_limit_error" => ProblemKind::RateLimited,
        "overloaded_error" => ProblemKind::Overloaded,
        "timeout_error" => ProblemKind::Timeout,
        "api_error" => ProblemKind::Upstream,
        _ => return None,
    })
}

fn code(kind: ProblemKind, error: &str, message: &str) -> Option<&'static str> {
    match (kind, error) {
        (_, "billing_error") => Some("insufficient_quota"),
        (ProblemKind::RateLimited, _) => Some("rate_limit_exceeded"),
        (ProblemKind::InvalidRequest, _) if is_too_long(message) => Some("context_length_exceeded"),
        _ => None,
    }
}

/// Anthropic has no code for it, only these two sentences.
fn is_too_long(message: &str) -> bool {
    message.starts_with("prompt is too long") || message.contains("exceed context limit")
}

/// A body that is not Anthropic's: AWS and Google have their own, proxies send HTML, some send nothing.
fn foreign(status: u16, body: &str) -> Problem {
    let value: Option<Value> = serde_json::from_str(body).ok();
    let message = value.as_ref().and_then(|value| {
        ["/error/message", "/0/error/message", "/message", "/Message", "/error"]
            .into_iter()
            .find_map(|pointer| value.pointer(pointer)?.as_str())
            .filter(|message| !message.is_empty())
    });
    let problem =
        Problem::new(ProblemKind::of_status(status), message.map_or_else(|| silent(Some(status)), str::to_owned));
    let excerpt: String = body.chars().take(EXCERPT).collect();
    let problem = if message.is_none() && !excerpt.is_empty() {
        problem.detail(format!("status {status}, {excerpt}"))
    } else {
        problem.detail(format!("status {status}"))
    };
    let code = code(problem.kind, "", &problem.message);
    Problem { code: code.map(str::to_owned), ..problem }
}

pub(crate) fn silent(status: Option<u16>) -> String {
    match status {
        Some(status) => format!("the upstream answered with status {status} and did not say why"),
        None => "the upstream broke off the stream and did not say why".to_owned(),
    }
}
