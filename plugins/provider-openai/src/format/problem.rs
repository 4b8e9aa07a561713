//! What went wrong, as OpenAI says it and as the services do that are compatible up to there.

use plugway_sdk::{Problem, ProblemKind};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;

/// How much of a body that nobody can read goes into the operator's log.
const EXCERPT: usize = 500;

/// An error reply.
pub(super) fn decode(status: u16, body: &str) -> Problem {
    let kind = ProblemKind::of_status(status);
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    // Google's compatible API puts the object into a list.
    let value = value.get(0).unwrap_or(&value);
    match said(kind, value) {
        Some(problem) => {
            let detail = with_status(status, problem.detail.as_deref().unwrap_or_default());
            problem.detail(detail)
        }
        None => {
            let excerpt: String = body.chars().take(EXCERPT).collect();
            Problem::new(kind, format!("the upstream answered with status {status} and did not say why"))
                .detail(with_status(status, &excerpt))
        }
    }
}

fn with_status(status: u16, more: &str) -> String {
    if more.is_empty() { format!("status {status}") } else { format!("status {status}, {more}") }
}

/// What the body says about it.
fn said(kind: ProblemKind, value: &Value) -> Option<Problem> {
    // Mistral has the members of `error` at the top, and FastAPI's servers say `detail`.
    let error = value.get("error").filter(|error| error.is_object()).unwrap_or(value);
    let message = ["message", "error", "detail"].into_iter().find_map(|member| match error.get(member)? {
        Value::String(message) if !message.is_empty() => Some(message.clone()),
        details @ (Value::Array(_) | Value::Object(_)) => Some(details.to_string()),
        _ => None,
    })?;
    // A code that is a number is the status once more.
    let text = |member: &str| error.get(member)?.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    Some(Problem { param: text("param"), code: text("code"), detail: text("type"), ..Problem::new(kind, message) })
}

/// An answer or a chunk must be an object, and some services send an error with status 200.
pub(super) fn look_for_one(body: &str) -> Result<(), Problem> {
    #[derive(Deserialize)]
    struct Answer {
        #[serde(default)]
        error: Option<Value>,
        #[serde(default)]
        choices: Option<IgnoredAny>,
    }

    let unreadable = |detail: String| Problem::upstream("the upstream's answer cannot be read").detail(detail);
    let answer: Answer = serde_json::from_str(body).map_err(|error| unreadable(error.to_string()))?;
    match answer {
        Answer { error: Some(error), choices: None } => {
            let kind = kind_of(&error);
            Err(said(kind, &serde_json::json!({ "error": error })).unwrap_or_else(|| unreadable(body.to_owned())))
        }
        Answer { .. } => Ok(()),
    }
}

/// Without a status the error's own words have to do; OpenRouter writes the status into `code`.
fn kind_of(error: &Value) -> ProblemKind {
    if let Some(status) = error["code"].as_u64().and_then(|code| u16::try_from(code).ok()) {
        return ProblemKind::of_status(status);
    }
    match error["type"].as_str().unwrap_or_default() {
        "invalid_request_error" => ProblemKind::InvalidRequest,
        "authentication_error" => ProblemKind::Unauthenticated,
        "permission_error" => ProblemKind::Forbidden,
        "not_found_error" => ProblemKind::NotFound,
        "rate_limit_error" | "rate_limit_exceeded" | "insufficient_quota" | "tokens" | "requests" => {
            ProblemKind::RateLimited
        }
        "overloaded_error" | "service_unavailable" => ProblemKind::Overloaded,
        "timeout_error" => ProblemKind::Timeout,
        _ => ProblemKind::Upstream,
    }
}
