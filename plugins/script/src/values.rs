//! The contract's types as the plain values that a script takes and returns, which are those of the files of cases:
//! text that is JSON is the value itself, a header is `[name, value]`, a choice is `"name"` or `{name: value}`.

use plugway_sdk::{Acquisition, Preset};
use plugway_sdk::{
    Auth, Body, Edit, Event, Fetch, Framing, Header, HttpReply, LocalReply, Outgoing, Pause, Placement, Problem,
    ProblemKind, Progress, Step, Translated,
};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::{RawValue, to_raw_value};

/// A list of arguments.
pub type Arguments = Vec<Box<RawValue>>;

/// Any value that serde can write. What the contract's types consist of always can.
pub fn plain(value: &impl Serialize) -> Box<RawValue> {
    to_raw_value(value).expect("text, numbers and lists of them are JSON")
}

/// Text that is a JSON object or list as that, other text as a string.
pub fn shown(text: &str) -> Box<RawValue> {
    if text.trim_start().starts_with(['{', '['])
        && let Ok(value) = RawValue::from_string(text.to_owned())
    {
        return value;
    }
    plain(&text)
}

/// An answer, which must be JSON.
pub fn json(text: &str) -> Result<Box<RawValue>, Problem> {
    read(text, ProblemKind::Upstream, "the upstream's answer cannot be read")
}

/// A request, which must be JSON.
pub fn request(text: &str) -> Result<Box<RawValue>, Problem> {
    read(text, ProblemKind::InvalidRequest, "the request is no JSON")
}

fn read(text: &str, kind: ProblemKind, message: &str) -> Result<Box<RawValue>, Problem> {
    let read = RawValue::from_string(text.to_owned());
    read.map_err(|error| Problem { detail: Some(error.to_string()), ..Problem::new(kind, message) })
}

pub fn pairs(headers: &[Header]) -> Vec<(&str, &str)> {
    headers.iter().map(|header| (header.name.as_str(), header.value.as_str())).collect()
}

pub fn from_pairs(pairs: Vec<(String, String)>) -> Vec<Header> {
    pairs.into_iter().map(|(name, value)| Header { name, value }).collect()
}

/// The way back from [`shown`]: any value as the contract's text.
#[derive(Debug)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Box::<RawValue>::deserialize(deserializer)?;
        if !value.get().starts_with('"') {
            return Ok(Text(Box::<str>::from(value).into()));
        }
        serde_json::from_str(value.get()).map(Text).map_err(serde::de::Error::custom)
    }
}

pub fn texts(texts: Vec<Text>) -> Vec<String> {
    texts.into_iter().map(|Text(text)| text).collect()
}

/// A value that stays JSON, a string with its quotes, and says nothing where it is absent.
type Json = Option<Box<RawValue>>;

#[derive(Serialize)]
pub struct EventValue<'e> {
    name: &'e str,
    data: Box<RawValue>,
}

impl<'e> From<&'e Event> for EventValue<'e> {
    fn from(event: &'e Event) -> Self {
        EventValue { name: &event.name, data: shown(&event.data) }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewEvent {
    #[serde(default)]
    name: String,
    data: Text,
}

impl From<NewEvent> for Event {
    fn from(event: NewEvent) -> Self {
        Event { name: event.name, data: event.data.0 }
    }
}

#[derive(Deserialize, Serialize)]
pub struct ProblemValue {
    #[serde(with = "KindName")]
    kind: ProblemKind,
    message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    param: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_ms: Option<u64>,
}

/// The names that the contract gives them.
#[derive(Deserialize, Serialize)]
#[serde(remote = "ProblemKind", rename_all = "kebab-case")]
enum KindName {
    InvalidRequest,
    Unauthenticated,
    Forbidden,
    NotFound,
    TooLarge,
    Refused,
    RateLimited,
    Unsupported,
    Upstream,
    Overloaded,
    Timeout,
    Internal,
}

impl From<ProblemValue> for Problem {
    fn from(value: ProblemValue) -> Self {
        let ProblemValue { kind, message, param, code, detail, retry_after_ms } = value;
        Problem { kind, message, param, code, detail, retry_after_ms }
    }
}

impl From<&Problem> for ProblemValue {
    fn from(problem: &Problem) -> Self {
        let Problem { kind, message, param, code, detail, retry_after_ms } = problem.clone();
        ProblemValue { kind, message, param, code, detail, retry_after_ms }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TranslatedValue {
    body: Text,
    dropped: Vec<String>,
}

impl From<TranslatedValue> for Translated {
    fn from(value: TranslatedValue) -> Self {
        Translated { body: value.body.0, dropped: value.dropped }
    }
}

#[derive(Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProgressValue {
    Open,
    Complete,
    Failed(ProblemValue),
}

impl From<ProgressValue> for Progress {
    fn from(value: ProgressValue) -> Self {
        match value {
            ProgressValue::Open => Progress::Open,
            ProgressValue::Complete => Progress::Complete,
            ProgressValue::Failed(problem) => Progress::Failed(problem.into()),
        }
    }
}

impl From<&Progress> for ProgressValue {
    fn from(progress: &Progress) -> Self {
        match progress {
            Progress::Open => ProgressValue::Open,
            Progress::Complete => ProgressValue::Complete,
            Progress::Failed(problem) => ProgressValue::Failed(problem.into()),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PresetValue {
    name: String,
    base_url: String,
    #[serde(default = "yes")]
    needs_key: bool,
    settings: Json,
}

fn yes() -> bool {
    true
}

impl From<PresetValue> for Preset {
    fn from(value: PresetValue) -> Self {
        let settings = value.settings.map_or_else(|| "{}".to_owned(), |settings| Box::<str>::from(settings).into());
        Preset { name: value.name, base_url: value.base_url, needs_key: value.needs_key, settings }
    }
}

#[derive(Serialize)]
pub struct ReplyValue<'r> {
    status: u16,
    headers: Vec<(&'r str, &'r str)>,
    body: Box<RawValue>,
}

impl<'r> From<&'r HttpReply> for ReplyValue<'r> {
    fn from(reply: &'r HttpReply) -> Self {
        ReplyValue { status: reply.status, headers: pairs(&reply.headers), body: shown(&reply.body) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepValue {
    Send(OutgoingValue),
    Fetch(FetchValue),
    Wait(PauseValue),
    Acquire(AcquisitionValue),
    Reply(LocalReplyValue),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FetchValue {
    request: OutgoingValue,
    state: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PauseValue {
    milliseconds: u32,
    state: Text,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcquisitionValue {
    credential: String,
    request: OutgoingValue,
    secret_at: String,
    expires_at: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LocalReplyValue {
    Whole(Text),
    Chunks(Vec<Text>),
}

impl From<StepValue> for Step {
    fn from(value: StepValue) -> Self {
        match value {
            StepValue::Send(request) => Step::Send(request.into()),
            StepValue::Fetch(fetch) => Step::Fetch(Fetch { request: fetch.request.into(), state: fetch.state.0 }),
            StepValue::Wait(pause) => Step::Wait(Pause { milliseconds: pause.milliseconds, state: pause.state.0 }),
            StepValue::Acquire(AcquisitionValue { credential, request, secret_at, expires_at }) => {
                Step::Acquire(Acquisition { credential, request: request.into(), secret_at, expires_at })
            }
            StepValue::Reply(LocalReplyValue::Whole(Text(whole))) => Step::Reply(LocalReply::Whole(whole)),
            StepValue::Reply(LocalReplyValue::Chunks(chunks)) => Step::Reply(LocalReply::Chunks(texts(chunks))),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutgoingValue {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body: BodyValue,
    auth: Option<AuthValue>,
    dialect: String,
    #[serde(with = "FramingName")]
    framing: Framing,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum BodyValue {
    Translated,
    Edited(Vec<EditValue>),
    Replaced(Text),
    Empty,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EditValue {
    member: String,
    value: Json,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AuthValue {
    credential: String,
    placement: PlacementValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PlacementValue {
    Bearer,
    Header(String),
    Query(String),
}

#[derive(Deserialize)]
#[serde(remote = "Framing", rename_all = "kebab-case")]
enum FramingName {
    None,
    Sse,
    Ndjson,
    AwsEventStream,
}

impl From<OutgoingValue> for Outgoing {
    fn from(value: OutgoingValue) -> Self {
        let OutgoingValue { method, path, headers, body, auth, dialect, framing } = value;
        let edit =
            |EditValue { member, value }| Edit { member, value: value.map(|json| Box::<str>::from(json).into()) };
        let body = match body {
            BodyValue::Translated => Body::Translated,
            BodyValue::Edited(edits) => Body::Edited(edits.into_iter().map(edit).collect()),
            BodyValue::Replaced(Text(text)) => Body::Replaced(text),
            BodyValue::Empty => Body::Empty,
        };
        let auth = auth.map(|AuthValue { credential, placement }| Auth {
            credential,
            placement: match placement {
                PlacementValue::Bearer => Placement::Bearer,
                PlacementValue::Header(name) => Placement::Header(name),
                PlacementValue::Query(name) => Placement::Query(name),
            },
        });
        Outgoing { method, path, headers: from_pairs(headers), body, auth, dialect, framing }
    }
}
