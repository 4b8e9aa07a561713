//! What went wrong, as services of this API say it.

use crate::text;
use plugway_sdk::{Problem, ProblemKind};
use serde_json::Value;

/// How much of a body that nobody can read goes into the operator's log.
const EXCERPT: usize = 500;

/// An error reply.
pub(super) fn decode(status: u16, body: &str) -> Problem {
    let kind = ProblemKind::of_status(status);
    let value: Value = serde_json::from_str(body).unwrap_or_default();
    said(kind, &value["error"]).unwrap_or_else(|| {
        let excerpt: String = body.chars().take(EXCERPT).collect();
        Problem::new(kind, format!("the upstream answered with status {status} and did not say why")).detail(excerpt)
    })
}

/// An error in place of an answer, or amid a stream.
pub(super) fn in_an_answer(error: &Value) -> Problem {
    let word = text(error, "code").or(text(error, "type")).unwrap_or_default();
    let kind = match word {
        word if word.contains("rate_limit") => ProblemKind::RateLimited,
        word if word.contains("overloaded") => ProblemKind::Overloaded,
        "invalid_prompt" | "invalid_request_error" => ProblemKind::InvalidRequest,
        _ => ProblemKind::Upstream,
    };
    said(kind, error).unwrap_or_else(|| Problem::new(kind, "the upstream reported a failure and did not say why"))
}

fn said(kind: ProblemKind, error: &Value) -> Option<Problem> {
    let message = text(error, "message").filter(|message| !message.is_empty())?;
    let mut problem = Problem::new(kind, message);
    problem.param = text(error, "param").map(str::to_owned);
    problem.code = text(error, "code").map(str::to_owned);
    problem.detail = text(error, "type").map(str::to_owned);
    Some(problem)
}
