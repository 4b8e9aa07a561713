//! decode: Admitted → Request. What is asked for, of which model, streamed or not; and the body in canonical form, once
//! somebody needs it.

use super::call::Call;
use super::problem;
use crate::chat::Members;
use crate::config::RequestKind;
use crate::error::Failure;
use crate::plugins::api::client::Place;
use crate::telemetry::Record;
use bytes::Bytes;
use std::sync::Mutex;
use tokio::sync::OnceCell;

/// What the caller asks for.
pub struct Request {
    pub kind: RequestKind,
    /// As the caller wrote it: `<provider>/<model>` or a bare name.
    pub model: String,
    body: Body,
    /// Hints that some translation could not carry.
    dropped: Mutex<Vec<String>>,
}

/// The body, in the dialects that it is needed in.
struct Body {
    /// As it came; UTF-8.
    native: Bytes,
    canonical: OnceCell<String>,
    /// A policy changed it, so what came must not be sent.
    changed: bool,
}

pub fn decode(call: &Call, body: Bytes, record: &mut Record) -> Result<Request, Failure> {
    let members = Members::of(&body).map_err(|error| Failure::invalid(error.to_string()))?;
    let model = model(call, &members)?;
    let streaming = streaming(call, &members)?;
    record.model.clone_from(&model);
    record.streaming = streaming;
    Ok(Request {
        kind: RequestKind { operation: call.route.operation, streaming },
        model,
        body: Body { native: body, canonical: OnceCell::new(), changed: false },
        dropped: Mutex::default(),
    })
}

fn model(call: &Call, members: &Members<'_>) -> Result<String, Failure> {
    let model = match &call.route.model {
        Place::Member(name) => members.string(name).map_err(|message| Failure::invalid(message).at(name.as_str()))?,
        Place::Parameter(name) => call.parameter(name).map(Into::into),
        Place::Always | Place::Never => None,
    };
    match model {
        Some(model) if model.chars().any(char::is_control) => {
            Err(Failure::invalid("the model's name has control characters in it").at("model"))
        }
        Some(model) if !model.trim().is_empty() => Ok(model.into_owned()),
        Some(_) | None => Err(Failure::invalid(
            "the request names no model; write `<provider>/<model>`, or one of those that GET /v1/models lists",
        )
        .at("model")),
    }
}

fn streaming(call: &Call, members: &Members<'_>) -> Result<bool, Failure> {
    match &call.route.streaming {
        Place::Member(name) => members.flag(name).map_err(|message| Failure::invalid(message).at(name.as_str())),
        Place::Parameter(name) => Ok(call.parameter(name) == Some("true")),
        Place::Always => Ok(true),
        Place::Never => Ok(false),
    }
}

impl Request {
    /// The body as it may be sent to an upstream that speaks the caller's dialect; None where a policy changed it.
    pub fn native(&self) -> Option<&Bytes> {
        (!self.body.changed).then_some(&self.body.native)
    }

    /// The body in canonical form.
    pub async fn canonical(&self, call: &Call) -> Result<&String, Failure> {
        self.body.canonical.get_or_try_init(|| self.translate(call)).await
    }

    async fn translate(&self, call: &Call) -> Result<String, Failure> {
        let native = String::from_utf8_lossy(&self.body.native).into_owned();
        let Some(speaker) = call.speaker()? else { return Ok(native) };
        let operation = call.route.operation.name();
        let translated = speaker
            .decode_request(call.moment, operation, &self.model, self.kind.streaming, &native)
            .await
            .map_err(problem::from_call)?;
        self.drop_hints(call, translated.dropped)?;
        problem::checked_object(speaker, translated.body)
    }

    /// The same request with another body, as a policy wants it.
    pub fn with_canonical(mut self, body: String) -> Self {
        self.body.canonical = OnceCell::new_with(Some(body));
        self.body.changed = true;
        self
    }

    /// Notes hints that a translation could not carry; a strict caller wants none dropped.
    pub fn drop_hints(&self, call: &Call, hints: Vec<String>) -> Result<(), Failure> {
        if call.is_strict()
            && let Some(hint) = hints.first()
        {
            let all = hints.join(", ");
            return Err(Failure::invalid(format!(
                "the target cannot carry {all}, and the request says x-plugway-strict"
            ))
            .at(hint.as_str())
            .code("unsupported_parameter"));
        }
        let mut dropped = self.dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        for hint in hints {
            if !dropped.contains(&hint) {
                dropped.push(hint);
            }
        }
        Ok(())
    }

    pub fn dropped(&self) -> Vec<String> {
        self.dropped.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Whether the caller asked for the usage of a stream (`stream_options.include_usage`).
    pub fn wants_usage(&self) -> bool {
        Members::of(&self.body.native)
            .ok()
            .and_then(|members| {
                Members::of(members.get("stream_options")?.get().as_bytes()).ok()?.flag("include_usage").ok()
            })
            .unwrap_or(false)
    }
}
