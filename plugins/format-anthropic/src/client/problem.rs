//! What went wrong, as Anthropic's clients read it.

use plugway_sdk::{Problem, ProblemKind};
use serde::Serialize;

#[derive(Serialize)]
struct ErrorReply<'p> {
    r#type: &'static str,
    error: ErrorBody<'p>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'p str>,
}

#[derive(Serialize)]
struct ErrorBody<'p> {
    r#type: &'static str,
    message: std::borrow::Cow<'p, str>,
}

/// The body of an error reply, or the data of an error event, which has no status.
pub(crate) fn encode(status: Option<u16>, problem: &Problem, request_id: Option<&str>) -> String {
    // Anthropic's errors have no member for the path; its own messages begin with it.
    let message = match &problem.param {
        Some(param) if !problem.message.contains(param.as_str()) => format!("{param}: {}", problem.message).into(),
        Some(_) | None => problem.message.as_str().into(),
    };
    let error = ErrorBody { r#type: error_type(status, problem), message };
    serde_json::to_string(&ErrorReply { r#type: "error", error, request_id }).expect("an error can be written")
}

fn error_type(status: Option<u16>, problem: &Problem) -> &'static str {
    if status == Some(402) || problem.code.as_deref() == Some("insufficient_quota") {
        return "billing_error";
    }
    match problem.kind {
        ProblemKind::InvalidRequest | ProblemKind::Refused => "invalid_request_error",
        ProblemKind::Unauthenticated => "authentication_error",
        ProblemKind::Forbidden => "permission_error",
        ProblemKind::NotFound => "not_found_error",
        ProblemKind::TooLarge => "request_too_large",
        ProblemKind::RateLimited => "rate_limit_error",
        ProblemKind::Overloaded => "overloaded_error",
        ProblemKind::Timeout => "timeout_error",
        ProblemKind::Unsupported | ProblemKind::Upstream | ProblemKind::Internal => "api_error",
    }
}
