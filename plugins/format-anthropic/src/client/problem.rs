//! What went wrong, as Anthropic's clients read it.

use plugway_sdk::{Problem, ProblemKind};
use serde::Serialize;
use std::borrow::Cow;

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
    message: Cow<'p, str>,
}

/// The body of an error reply, or the data of an error event, which has no status.
pub(crate) fn encode(status: Option<u16>, problem: &Problem, request_id: Option<&str>) -> String {
    let message =
        problem.param.as_deref().map_or(problem.message.as_str().into(), |param| placed(&problem.message, param));
    let error = ErrorBody { r#type: error_type(status, problem), message };
    serde_json::to_string(&ErrorReply { r#type: "error", error, request_id }).expect("an error can be written")
}

/// Anthropic's errors have no member for the path; its own messages begin with it.
fn placed<'p>(message: &'p str, param: &str) -> Cow<'p, str> {
    let place = as_written(param);
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    match message.strip_prefix(param).filter(|rest| !rest.starts_with(is_word)) {
        Some(rest) => format!("{place}{rest}").into(),
        None if message.contains(&*place) || message.contains(param) => message.into(),
        None => format!("{place}: {message}").into(),
    }
}

/// What the caller wrote there, where another name stands for it in the canonical form. What lies within `messages` may be
/// counted otherwise there and keeps its path.
fn as_written(param: &str) -> Cow<'_, str> {
    const NAMES: [(&str, &str); 6] = [
        ("stop", "stop_sequences"),
        ("max_completion_tokens", "max_tokens"),
        ("user", "metadata.user_id"),
        ("response_format", "output_config.format"),
        ("reasoning_effort", "output_config.effort"),
        ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
    ];
    let within = |name: &str| param.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['[', '.']));
    if let Some((rest, written)) = NAMES.iter().find_map(|(name, written)| Some((within(name)?, written))) {
        return format!("{written}{rest}").into();
    }
    match param.strip_prefix("tools[").and_then(|rest| rest.split_once("].function.")) {
        Some((tool, rest)) => match rest.strip_prefix("parameters") {
            Some(rest) => format!("tools[{tool}].input_schema{rest}").into(),
            None => format!("tools[{tool}].{rest}").into(),
        },
        None => param.into(),
    }
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

#[cfg(test)]
mod tests {
    use super::placed;

    #[test]
    fn callers_read_the_names_that_they_wrote() {
        for (message, param, told) in [
            ("stop: at most four are taken", "stop", "stop_sequences: at most four are taken"),
            ("at most four are taken", "stop[4]", "stop_sequences[4]: at most four are taken"),
            (
                "tools[1].function.parameters: no schema",
                "tools[1].function.parameters",
                "tools[1].input_schema: no schema",
            ),
            ("no name", "tools[0].function.name", "tools[0].name: no name"),
            ("messages[2].content: no", "messages[2].content", "messages[2].content: no"),
            ("stopping here is no use", "stop", "stopping here is no use"),
        ] {
            assert_eq!(placed(message, param), told);
        }
    }
}
