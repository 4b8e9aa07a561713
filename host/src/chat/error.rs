//! An error in the canonical form, as upstreams write it more or less.

use super::members::Members;
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
    /// Of a document where an answer should be. None where it says nothing of an error, or no more than that there is none.
    pub fn in_answer(answer: &Members<'_>) -> Option<Self> {
        let says_so = |raw: &&RawValue| !matches!(raw.get(), "null" | "false" | "0" | "\"\"" | "[]" | "{}");
        if let Some(error) = answer.get("error").filter(says_so) {
            return Some(Self::of(error));
        }
        let member = |name: &str| answer.get(name).and_then(|raw| text(&serde_json::from_str(raw.get()).ok()?));
        (member("type").as_deref() == Some("error")).then(|| ReportedError {
            message: member("message"),
            param: member("param"),
            code: member("code"),
            kind: None,
        })
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_in_the_place_of_an_answer_is_told_from_an_answer() {
        let error = |text: &str| ReportedError::in_answer(&Members::of(text.as_bytes()).expect("an object"));
        for good in ["null", "false", "\"\"", "{}"] {
            assert_eq!(error(&format!(r#"{{"choices":[],"error":{good}}}"#)), None, "{good}");
        }
        assert_eq!(error(r#"{"type":"message","content":[]}"#), None);
        for bad in [
            r#"{"error":"boom"}"#,
            r#"{"error":{"message":"boom"},"choices":7}"#,
            r#"{"type":"error","error":{"type":"api_error","message":"boom"}}"#,
            r#"{"type":"error","message":"boom"}"#,
        ] {
            assert_eq!(error(bad).expect(bad).message.as_deref(), Some("boom"), "{bad}");
        }
    }
}
