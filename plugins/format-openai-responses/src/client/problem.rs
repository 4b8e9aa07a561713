//! What went wrong, as OpenAI's clients read it.

use plugway_sdk::{Problem, ProblemKind};
use serde_json::{Value, json};

/// The body of an error reply.
pub(super) fn reply(problem: &Problem) -> String {
    let Problem { message, param, code, .. } = problem;
    json!({"error": {"message": message, "type": kind(problem), "param": param, "code": code}}).to_string()
}

/// The data of an error event.
pub(super) fn event(problem: &Problem, sequence_number: u64) -> Value {
    let Problem { message, param, code, .. } = problem;
    let code = code.as_deref().unwrap_or(kind(problem));
    json!({"type": "error", "code": code, "message": message, "param": param, "sequence_number": sequence_number})
}

fn kind(problem: &Problem) -> &'static str {
    match problem.kind {
        ProblemKind::InvalidRequest | ProblemKind::Refused | ProblemKind::TooLarge => "invalid_request_error",
        ProblemKind::Unauthenticated => "authentication_error",
        ProblemKind::Forbidden => "permission_error",
        ProblemKind::NotFound => "not_found_error",
        ProblemKind::RateLimited => "rate_limit_error",
        ProblemKind::Unsupported => "not_implemented_error",
        ProblemKind::Upstream => "upstream_error",
        ProblemKind::Overloaded => "overloaded_error",
        ProblemKind::Timeout => "timeout_error",
        ProblemKind::Internal => "server_error",
    }
}
