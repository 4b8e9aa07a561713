//! A body as it came: JSON, or a form where the operation takes one.

use crate::chat::Members;
use crate::error::Failure;
use crate::form::{Edit, Form};
use crate::pipeline::call::Call;
use crate::pipeline::send::Payload;
use bytes::Bytes;
use std::borrow::Cow;
use std::sync::Arc;

/// What is read where there is no body.
pub const EMPTY: &str = "{}";

#[derive(Clone)]
pub enum Native {
    /// UTF-8, or nothing.
    Json(Bytes),
    Form {
        form: Arc<Form>,
        /// What policies changed in it.
        edits: Vec<Edit>,
    },
}

impl Native {
    pub fn of(call: &Call, body: Bytes) -> Result<Self, Failure> {
        if !call.route.operation.takes_form() {
            return Ok(Native::Json(body));
        }
        match Form::of(&call.headers, &body) {
            None => Ok(Native::Json(body)),
            Some(Ok(form)) => Ok(Native::Form { form: Arc::new(form), edits: Vec::new() }),
            Some(Err(error)) => Err(Failure::invalid(error.to_string())),
        }
    }

    /// In JSON.
    pub fn text(&self) -> String {
        match self {
            Native::Json(body) if body.is_empty() => EMPTY.to_owned(),
            Native::Json(body) => String::from_utf8_lossy(body).into_owned(),
            Native::Form { form, .. } => form.as_json(),
        }
    }

    /// The same with or without the wish for a stream, and without what is said of one that is not wanted.
    pub fn asking(&self, member: &str, streaming: bool) -> Result<Self, Failure> {
        match self {
            Native::Json(body) => asking(body, member, streaming).map(|body| Native::Json(body.into())),
            Native::Form { form, edits } => {
                let wish = (member.to_owned(), streaming.then(|| "true".to_owned()));
                let edits = edits.iter().cloned().chain([wish]).collect();
                Ok(Native::Form { form: form.clone(), edits })
            }
        }
    }

    /// What is sent of it. `Err` says which edit cannot be made.
    pub fn payload(&self, edits: &[Edit]) -> Result<Payload, Failure> {
        match self {
            Native::Json(body) if edits.is_empty() => Ok(Payload::json(body.clone())),
            Native::Json(body) => {
                let members = Members::of(body).map_err(|error| Failure::invalid(error.to_string()))?;
                let edits: Vec<_> = edits.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
                Ok(Payload::json(members.edit(&edits)))
            }
            Native::Form { form, edits: earlier } => {
                let all: Vec<Edit> = earlier.iter().chain(edits).cloned().collect();
                let pieces = form.edited(&all).map_err(Failure::invalid)?;
                Ok(Payload::new(form.content_type().clone(), pieces))
            }
        }
    }
}

/// The same body with or without the wish for a stream, and without what is said of one that is not wanted.
pub fn asking(body: &[u8], member: &str, streaming: bool) -> Result<String, Failure> {
    let members = Members::of(body).map_err(|error| Failure::invalid(error.to_string()))?;
    Ok(match streaming {
        true => members.edit(&[(member, Some("true"))]),
        false => members.edit(&[(member, None), ("stream_options", None)]),
    })
}

/// What a body says at its top.
pub enum Fields<'a> {
    Members(Members<'a>),
    Form(&'a Form),
}

impl<'a> Fields<'a> {
    pub fn of(native: &'a Native, may_be_empty: bool) -> Result<Self, Failure> {
        let body = match native {
            Native::Form { form, .. } => return Ok(Fields::Form(form)),
            Native::Json(body) if may_be_empty && body.is_empty() => EMPTY.as_bytes(),
            Native::Json(body) => &body[..],
        };
        Members::of(body).map(Fields::Members).map_err(|error| Failure::invalid(error.to_string()))
    }

    /// The body without this member, where it is there.
    pub fn without(&self, name: &str) -> Option<String> {
        match self {
            Fields::Members(members) => members.without(name),
            Fields::Form(_) => None,
        }
    }

    /// Whether they ask for the usage of a stream.
    pub fn want_usage(&self) -> bool {
        let Fields::Members(members) = self else { return false };
        let options = members.get("stream_options").map(|options| Members::of(options.get().as_bytes()));
        options.is_some_and(|options| options.is_ok_and(|options| options.flag("include_usage") == Ok(true)))
    }

    pub fn string(&self, name: &str) -> Result<Option<Cow<'a, str>>, String> {
        match self {
            Fields::Members(members) => members.string(name),
            Fields::Form(form) => Ok(form.text(name)?.map(Cow::Borrowed)),
        }
    }

    pub fn flag(&self, name: &str) -> Result<bool, String> {
        match self {
            Fields::Members(members) => members.flag(name),
            Fields::Form(form) => form.flag(name),
        }
    }
}
