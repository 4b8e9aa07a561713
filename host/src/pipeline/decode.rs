//! decode: Admitted → Request. What is asked for, of which model, streamed or not; and the body in canonical form, once
//! somebody needs it.

mod native;

pub use native::Native;

use super::call::Call;
use super::problem;
use super::route::fallbacks;
use crate::chat::Members;
use crate::config::RequestKind;
use crate::error::{Failure, FailureKind};
use crate::form::Form;
use crate::plugins::Configured;
use crate::plugins::api::client::Place;
use crate::telemetry::Record;
use bytes::Bytes;
use native::{EMPTY, Fields, asking};
use serde_json::{Value, json};
use std::borrow::Cow;
use tokio::sync::OnceCell;

/// What the caller asks for, as the policies left it.
pub struct Request {
    /// What a choice's own kind is made from: a service that cannot do just this is asked for something else.
    pub kind: RequestKind,
    /// `<provider>/<model>` or a bare name; None where the route's requests name none.
    pub model: Option<String>,
    /// Whether the caller waits for a stream. A policy may keep the upstream from being asked for one.
    pub caller_streams: bool,
    /// Who is to be tried where the model's own providers fail, as far as the caller says so. It is not in the bodies.
    pub fallbacks: Option<Vec<String>>,
    /// Whether the caller asked for the usage of a stream (`stream_options.include_usage`).
    pub wants_usage: bool,
    body: Body,
}

/// The body, in the dialects that it is needed in.
struct Body {
    native: Native,
    canonical: OnceCell<Canonical>,
    /// A policy changed it, so what came must not be sent.
    changed: bool,
}

/// A request in canonical form, and the hints of the caller's dialect that this form cannot carry.
#[derive(Clone)]
pub struct Canonical {
    pub body: String,
    pub dropped: Vec<String>,
}

pub fn decode(call: &Call, body: Bytes, record: &mut Record) -> Result<Request, Failure> {
    let native = Native::of(call, body)?;
    let fields = Fields::of(&native, needs_no_body(call))?;
    let model = model(call, &fields)?;
    let streaming = streaming(call, &fields)?;
    let fallbacks = match &fields {
        Fields::Members(members) => fallbacks::said(call, members)?,
        Fields::Form(form) => fallbacks::beside_form(call, form)?,
    };
    let wants_usage = streaming && fields.want_usage();
    // It is for us; upstreams would refuse it.
    let without_fallbacks = fields.without(fallbacks::MEMBER).map(|body| Native::Json(body.into()));
    let native = without_fallbacks.unwrap_or(native);
    record.model = model.clone().unwrap_or_default();
    Ok(Request {
        kind: RequestKind { operation: call.route.operation, streaming },
        model,
        caller_streams: streaming,
        fallbacks,
        wants_usage,
        body: Body { native, canonical: OnceCell::new(), changed: false },
    })
}

fn needs_no_body(call: &Call) -> bool {
    [&call.route.model, &call.route.streaming].into_iter().all(|place| !matches!(place, Place::Member(_)))
}

fn model(call: &Call, fields: &Fields<'_>) -> Result<Option<String>, Failure> {
    if matches!(call.route.model, Place::Always | Place::Never) {
        return Ok(None);
    }
    if let Some(pinned) = call.addressee.pinned_model() {
        return Ok(Some(pinned.to_owned()));
    }
    let model = match &call.route.model {
        Place::Member(name) => fields.string(name).map_err(|message| Failure::invalid(message).at(name.as_str()))?,
        Place::Parameter(name) => call.parameter(name).map(Into::into),
        Place::Always | Place::Never => return Ok(None),
    };
    if model.is_none() && call.route.operation.goes_without_model() {
        return Ok(None);
    }
    let model = model.unwrap_or_default().into_owned();
    check_model(&model).map(|()| Some(model)).map_err(|message| Failure::invalid(message).at("model"))
}

fn check_model(model: &str) -> Result<(), &'static str> {
    if model.trim().is_empty() {
        return Err(
            "the request names no model; write `<provider>/<model>`, or one of those that GET /v1/models lists",
        );
    }
    // Names go into logs, metrics of upstreams and error messages.
    const LONGEST_BYTES: usize = 512;
    if model.len() > LONGEST_BYTES {
        return Err("the model's name is longer than 512 bytes");
    }
    match model.chars().any(char::is_control) {
        true => Err("the model's name has control characters in it"),
        false => Ok(()),
    }
}

fn streaming(call: &Call, fields: &Fields<'_>) -> Result<bool, Failure> {
    match &call.route.streaming {
        Place::Member(name) => {
            let asked = match call.route.operation.stream_word() {
                Some(word) => fields.string(name).map(|said| said.as_deref() == Some(word)),
                None => fields.flag(name),
            };
            asked.map_err(|message| Failure::invalid(message).at(name.as_str()))
        }
        Place::Parameter(name) => Ok(call.parameter(name) == Some("true")),
        Place::Always => Ok(true),
        Place::Never => Ok(false),
    }
}

impl Request {
    /// Without model and body.
    pub fn of_nothing(kind: RequestKind) -> Self {
        let body = Body { native: Native::Json(Bytes::new()), canonical: OnceCell::new(), changed: false };
        Request { kind, model: None, caller_streams: false, fallbacks: None, wants_usage: false, body }
    }

    /// The model's name for a plugin; empty where the request names none.
    pub fn model_name(&self) -> &str {
        self.model.as_deref().unwrap_or_default()
    }

    /// The body as it may be sent to an upstream that speaks the caller's dialect, and that is asked for a stream or not;
    /// None where a policy changed it, or where the dialect has no member for that.
    pub fn native_asking(&self, call: &Call, streaming: bool) -> Result<Option<Cow<'_, Native>>, Failure> {
        let native = Some(&self.body.native).filter(|_| !self.body.changed);
        match (&call.route.streaming, native) {
            (_, Some(native)) if streaming == self.kind.streaming => Ok(Some(Cow::Borrowed(native))),
            (Place::Member(name), Some(native)) => native.asking(name, streaming).map(|body| Some(Cow::Owned(body))),
            (_, Some(_) | None) => Ok(None),
        }
    }

    /// Refuses what only its own form can carry: the files would be lost.
    fn check_translatable(&self, call: &Call) -> Result<(), Failure> {
        match &self.body.native {
            Native::Json(_) => Ok(()),
            Native::Form { .. } => {
                let operation = call.route.operation;
                let message = format!("{operation} with a form cannot be translated to what the provider speaks");
                Err(Failure::new(FailureKind::Unsupported, message).code("operation_not_supported"))
            }
        }
    }

    /// The body in canonical form for an upstream that is asked for a stream or not.
    pub async fn canonical_asking(&self, call: &Call, streaming: bool) -> Result<Cow<'_, Canonical>, Failure> {
        self.check_translatable(call)?;
        let canonical = self.canonical(call).await?;
        if streaming == self.kind.streaming {
            return Ok(Cow::Borrowed(canonical));
        }
        let body = asking(canonical.body.as_bytes(), "stream", streaming)?;
        Ok(Cow::Owned(Canonical { body, dropped: canonical.dropped.clone() }))
    }

    /// The body in canonical form.
    pub async fn canonical(&self, call: &Call) -> Result<&Canonical, Failure> {
        self.body.canonical.get_or_try_init(|| self.translate(call)).await
    }

    /// The canonical form as policies see it: with the fallbacks that the caller named, in the body or beside it.
    pub async fn for_policies(&self, call: &Call) -> Result<Cow<'_, Canonical>, Failure> {
        let canonical = self.canonical(call).await?;
        let Some(fallbacks) = &self.fallbacks else { return Ok(Cow::Borrowed(canonical)) };
        let members = Members::of(canonical.body.as_bytes()).map_err(|error| Failure::invalid(error.to_string()))?;
        let body = members.edit(&[(fallbacks::MEMBER, Some(&json!(fallbacks).to_string()))]);
        Ok(Cow::Owned(Canonical { body, dropped: canonical.dropped.clone() }))
    }

    /// The hints that were lost on the way to the canonical form, if anybody went it.
    pub fn lost_in_decoding(&self) -> &[String] {
        self.body.canonical.get().map_or(&[], |canonical| &canonical.dropped)
    }

    async fn translate(&self, call: &Call) -> Result<Canonical, Failure> {
        let native = self.body.native.text();
        let Some(speaker) = call.speaker()? else { return Ok(Canonical { body: native, dropped: Vec::new() }) };
        let operation = call.route.operation.name();
        let translated = speaker
            .decode_request(call.moment, operation, self.model_name(), self.kind.streaming, &native)
            .await
            .map_err(problem::from_call)?;
        let body = problem::checked_request(speaker, translated.body)?;
        Ok(Canonical { body, dropped: translated.dropped })
    }

    /// The same request as a policy wants it. What it says of model, stream and fallbacks is what happens from here on.
    pub fn changed_by(mut self, policy: &Configured, body: String) -> Result<Self, Failure> {
        let before = self.body.canonical.take().unwrap_or(Canonical { body: EMPTY.to_owned(), dropped: Vec::new() });
        let body = self.adopt_fallbacks(policy, body)?;
        self.adopt(policy, &before.body, &body)?;
        self.body.canonical = OnceCell::new_with(Some(Canonical { body, dropped: before.dropped }));
        self.body.changed = matches!(self.body.native, Native::Json(_));
        Ok(self)
    }

    /// The body without them.
    fn adopt_fallbacks(&mut self, policy: &Configured, body: String) -> Result<String, Failure> {
        let members = problem::request_members(policy, &body)?;
        self.fallbacks = fallbacks::in_body(&members).map_err(|failure| broken_by(policy, &failure.message))?;
        Ok(members.without(fallbacks::MEMBER).unwrap_or(body))
    }

    /// Only what the policy changed is held against it: the rest may be as odd as the caller wrote it.
    fn adopt(&mut self, policy: &Configured, before: &str, after: &str) -> Result<(), Failure> {
        let broke = |message: String| broken_by(policy, &message);
        let (before, after) = (problem::request_members(policy, before)?, problem::request_members(policy, after)?);
        if let Native::Form { edits, .. } = &mut self.body.native {
            edits.extend(Form::edits_between(&before, &after).map_err(broke)?);
        }
        let is_changed = |member: &str| said(&before, member) != said(&after, member);
        if is_changed("model")
            && let Some(model) = after.string("model").map_err(broke)?
        {
            check_model(&model).map_err(|message| broke(message.to_owned()))?;
            self.model = Some(model.into_owned());
        }
        if matches!(self.body.native, Native::Form { .. }) {
            // All that a form says is text. An upstream that is not asked for a stream answers whole, which is seen then.
            return Ok(());
        }
        if is_changed("stream") {
            let streaming = after.flag("stream").map_err(broke)?;
            if streaming && !self.caller_streams {
                return Err(broke("`stream` must stay false, as the caller did not ask for a stream".to_owned()));
            }
            self.kind.streaming = streaming;
        }
        Ok(())
    }
}

/// What a member says, however it is written; null and false say as much as nothing.
fn said(members: &Members<'_>, name: &str) -> Option<Value> {
    let value: Value = serde_json::from_str(members.get(name)?.get()).ok()?;
    Some(value).filter(|value| !matches!(value, Value::Null | Value::Bool(false)))
}

fn broken_by(policy: &Configured, message: &str) -> Failure {
    problem::from_call(policy.broke_contract(format!("the request that it returned: {message}")))
}
