//! Formats: nothing disappears in silence, nonsense is a problem and never a trap, problems say what they are.

use super::{Probe, UNKNOWN, counts_usage, has_number, problem_is_typed, with_unknown};
use serde_json::{Map, Value, json};

/// What an upstream, or something before it, may answer to a call that went wrong.
const ODD_BODIES: [&str; 6] = ["", "<html>502 Bad Gateway</html>", "null", "[]", "{}", "{\"error\": 7}"];

/// Both ways: a member that is not known is kept, named as dropped, or a reason to refuse.
pub(super) async fn request(probe: &Probe<'_>, arguments: &Map<String, Value>) -> Result<(), String> {
    let Some(body) = with_unknown(&arguments["body"]) else { return Ok(()) };
    let answer = probe.with("body", body).await?;
    let is_seen = answer.get("problem").is_some()
        || answer["body"].to_string().contains(UNKNOWN)
        || answer["dropped"].to_string().contains(UNKNOWN);
    if !is_seen {
        return Err(format!(
            "a member that it does not know, `{UNKNOWN}`, disappears in silence; keep it, name it in `dropped`, or refuse it"
        ));
    }
    nonsense_is_a_problem(probe).await
}

pub(super) async fn reply(probe: &Probe<'_>, arguments: &Map<String, Value>, answer: &Value) -> Result<(), String> {
    if counts_usage(&arguments["body"]) && !answer["usage"]["completion_tokens"].is_u64() {
        return Err(
            "the upstream counted tokens, but the answer has no `usage` with prompt_tokens and completion_tokens"
                .to_owned(),
        );
    }
    if let Some(body) = with_unknown(&arguments["body"])
        && probe.with("body", body).await?.get("problem").is_some()
    {
        return Err(format!(
            "an answer with a member that nobody knows yet, `{UNKNOWN}`, is refused; members may be ignored, never an error"
        ));
    }
    nonsense_is_a_problem(probe).await
}

async fn nonsense_is_a_problem(probe: &Probe<'_>) -> Result<(), String> {
    for nonsense in ["<html>", "[1]", "{\"choices\": 7, \"messages\": 7, \"content\": 7}"] {
        let failed = |reason| format!("with the body `{nonsense}` {reason}; return a problem");
        let answer = probe.with("body", json!(nonsense)).await.map_err(failed)?;
        if let Some(problem) = answer.get("problem") {
            problem_is_typed(problem)?;
        }
    }
    Ok(())
}

pub(super) async fn problem(probe: &Probe<'_>, arguments: &Map<String, Value>, answer: &Value) -> Result<(), String> {
    problem_is_typed(answer)?;
    for body in ODD_BODIES {
        let failed = |reason| format!("with the body `{body}` {reason}; the body may be anything at all");
        problem_is_typed(&probe.with("body", json!(body)).await.map_err(failed)?)?;
    }
    let kind = answer["kind"].as_str().unwrap_or_default();
    let wrong = match arguments["status"].as_u64() {
        Some(429) => !["rate-limited", "overloaded"].contains(&kind),
        Some(401) => kind != "unauthenticated",
        Some(500..) => ["invalid-request", "unauthenticated", "forbidden"].contains(&kind),
        _ => kind == "internal",
    };
    match wrong {
        false => Ok(()),
        true => Err(format!(
            "an upstream's status {} becomes a problem of the kind {kind}, which would be told to the caller as something else",
            arguments["status"]
        )),
    }
}

/// The caller is told what happened.
pub(super) fn told_problem(arguments: &Map<String, Value>, answer: &Value) -> Result<(), String> {
    let message = arguments["problem"]["message"].as_str().unwrap_or_default();
    match answer.is_object() && answer.to_string().contains(Value::from(message).to_string().trim_matches('"')) {
        true => Ok(()),
        false => Err("the body of the error must be an object that has the problem's message".to_owned()),
    }
}

/// What was counted reaches the caller.
pub(super) fn usage_is_told(canonical: &Value, answer: &Value) -> Result<(), String> {
    let parsed = match canonical {
        Value::String(text) => serde_json::from_str(text).unwrap_or_default(),
        value => value.clone(),
    };
    match parsed["usage"]["completion_tokens"].as_u64() {
        Some(count) if !has_number(answer, count) => {
            Err(format!("the answer's usage.completion_tokens, {count}, does not reach the caller"))
        }
        _ => Ok(()),
    }
}
