//! An error in the canonical form, as upstreams write it more or less.

use serde_json::Value;
use serde_json::value::RawValue;

#[derive(Debug, Default, PartialEq)]
pub struct ReportedError {
    pub message: Option<String>,
    pub param: Option<String>,
    pub code: Option<String>,
    /// `type`
    pub kind: Option<String>,
}

impl ReportedError {
    /// Of the member `error`. Some servers send a bare string there.
    pub(super) fn of(raw: &RawValue) -> Self {
        let error: Value = serde_json::from_str(raw.get()).unwrap_or_default();
        let member = |name: &str| text(&error[name]);
        match text(&error) {
            Some(message) => ReportedError { message: Some(message), ..ReportedError::default() },
            None => ReportedError {
                message: member("message"),
                param: member("param"),
                code: member("code"),
                kind: member("type"),
            },
        }
    }
}

/// Codes are strings with some servers and numbers with others.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}
