//! What the WIT's types look like in the files.

use crate::{Event, Header, Problem, ProblemKind, Progress, Translated};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

/// The arguments of a function.
pub(super) fn arguments<A: DeserializeOwned>(input: Value) -> Result<A, String> {
    serde_json::from_value(input).map_err(|error| format!("its input makes no sense: {error}"))
}

pub(super) fn answer<T>(result: Result<T, Problem>, shown: impl FnOnce(T) -> Value) -> Value {
    match result {
        Ok(value) => shown(value),
        Err(refused) => json!({"problem": problem(&refused)}),
    }
}

/// Text that is a JSON object or list as such, other text as a string; so that both can be told apart.
pub fn shown(text: &str) -> Value {
    match serde_json::from_str::<Value>(text) {
        Ok(value @ (Value::Object(_) | Value::Array(_))) => value,
        Ok(_) | Err(_) => Value::String(text.to_owned()),
    }
}

/// Without the members that are `null`: what there is none of is left out.
pub(super) fn present(mut value: Value) -> Value {
    if let Value::Object(members) = &mut value {
        members.retain(|_, member| !member.is_null());
    }
    value
}

/// The way back from [`shown`].
pub(super) fn text(value: Value) -> String {
    match value {
        Value::String(text) => text,
        other => other.to_string(),
    }
}

/// For members of arguments that are text in the WIT.
pub(super) fn as_text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    Value::deserialize(input).map(text)
}

pub(super) fn as_texts<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<String>, D::Error> {
    let values = Vec::<Value>::deserialize(input)?;
    Ok(values.into_iter().map(text).collect())
}

pub(super) fn texts(texts: &[String]) -> Value {
    texts.iter().map(|text| shown(text)).collect()
}

pub(super) fn headers(headers: &[Header]) -> Value {
    headers.iter().map(|header| json!([header.name, header.value])).collect()
}

pub(super) fn as_headers<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Header>, D::Error> {
    let pairs = Vec::<(String, String)>::deserialize(input)?;
    Ok(pairs.into_iter().map(|(name, value)| Header { name, value }).collect())
}

pub(super) fn events(events: &[Event]) -> Value {
    events.iter().map(|event| json!({"name": event.name, "data": shown(&event.data)})).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EventInput {
    #[serde(default)]
    name: String,
    #[serde(deserialize_with = "as_text")]
    data: String,
}

impl From<EventInput> for Event {
    fn from(EventInput { name, data }: EventInput) -> Self {
        Event { name, data }
    }
}

pub(super) fn translated(Translated { body, dropped }: Translated) -> Value {
    json!({"body": shown(&body), "dropped": dropped})
}

pub(super) fn progress(progress: &Progress) -> Value {
    match progress {
        Progress::Open => json!("open"),
        Progress::Complete => json!("complete"),
        Progress::Failed(reason) => json!({"failed": problem(reason)}),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ProgressInput {
    Open,
    Complete,
    Failed(ProblemInput),
}

impl From<ProgressInput> for Progress {
    fn from(input: ProgressInput) -> Self {
        match input {
            ProgressInput::Open => Progress::Open,
            ProgressInput::Complete => Progress::Complete,
            ProgressInput::Failed(problem) => Progress::Failed(problem.into()),
        }
    }
}

/// Without the members that say nothing.
pub(super) fn problem(problem: &Problem) -> Value {
    let Problem { kind, message, param, code, detail, retry_after_ms } = problem;
    let mut shown =
        Map::from_iter([("kind".to_owned(), json!(kind_name(*kind))), ("message".to_owned(), json!(message))]);
    for (name, value) in [("param", param), ("code", code), ("detail", detail)] {
        if let Some(value) = value {
            shown.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(milliseconds) = retry_after_ms {
        shown.insert("retry_after_ms".to_owned(), json!(milliseconds));
    }
    Value::Object(shown)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProblemInput {
    #[serde(deserialize_with = "as_kind")]
    kind: ProblemKind,
    message: String,
    param: Option<String>,
    code: Option<String>,
    detail: Option<String>,
    retry_after_ms: Option<u64>,
}

impl From<ProblemInput> for Problem {
    fn from(input: ProblemInput) -> Self {
        let ProblemInput { kind, message, param, code, detail, retry_after_ms } = input;
        Problem { kind, message, param, code, detail, retry_after_ms }
    }
}

const KINDS: [ProblemKind; 12] = [
    ProblemKind::InvalidRequest,
    ProblemKind::Unauthenticated,
    ProblemKind::Forbidden,
    ProblemKind::NotFound,
    ProblemKind::TooLarge,
    ProblemKind::Refused,
    ProblemKind::RateLimited,
    ProblemKind::Unsupported,
    ProblemKind::Upstream,
    ProblemKind::Overloaded,
    ProblemKind::Timeout,
    ProblemKind::Internal,
];

fn kind_name(kind: ProblemKind) -> &'static str {
    match kind {
        ProblemKind::InvalidRequest => "invalid-request",
        ProblemKind::Unauthenticated => "unauthenticated",
        ProblemKind::Forbidden => "forbidden",
        ProblemKind::NotFound => "not-found",
        ProblemKind::TooLarge => "too-large",
        ProblemKind::Refused => "refused",
        ProblemKind::RateLimited => "rate-limited",
        ProblemKind::Unsupported => "unsupported",
        ProblemKind::Upstream => "upstream",
        ProblemKind::Overloaded => "overloaded",
        ProblemKind::Timeout => "timeout",
        ProblemKind::Internal => "internal",
    }
}

fn as_kind<'de, D: Deserializer<'de>>(input: D) -> Result<ProblemKind, D::Error> {
    let name = String::deserialize(input)?;
    let kind = KINDS.into_iter().find(|kind| kind_name(*kind) == name);
    kind.ok_or_else(|| serde::de::Error::custom(format!("there is no kind of problem `{name}`")))
}
