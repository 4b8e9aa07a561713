//! What the admin API says where it does not do what it was asked.

use crate::config::{Mistake, Mistakes};
use crate::reload::Refusal;
use crate::store::StoreError;
use axum::Json;
use axum::http::StatusCode;
use axum::http::header::WWW_AUTHENTICATE;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Invalid,
    Unauthorized,
    Forbidden,
    NotFound,
    WrongMethod,
    TooSlow,
    Conflict,
    TooLarge,
    DoesNotFit,
    Internal,
    Unavailable,
}

impl Kind {
    /// Status, and the error type of the same vocabulary that callers are answered in.
    fn reply(self) -> (StatusCode, &'static str) {
        match self {
            Kind::Invalid => (StatusCode::BAD_REQUEST, "invalid_request_error"),
            Kind::Unauthorized => (StatusCode::UNAUTHORIZED, "authentication_error"),
            Kind::Forbidden => (StatusCode::FORBIDDEN, "permission_error"),
            Kind::NotFound => (StatusCode::NOT_FOUND, "not_found_error"),
            Kind::WrongMethod => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
            Kind::TooSlow => (StatusCode::REQUEST_TIMEOUT, "invalid_request_error"),
            Kind::Conflict => (StatusCode::CONFLICT, "invalid_request_error"),
            Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error"),
            Kind::DoesNotFit => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_request_error"),
            Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error"),
        }
    }
}

#[derive(Debug)]
pub struct Failed {
    kind: Kind,
    code: &'static str,
    message: String,
    mistakes: Vec<Mistake>,
}

/// How many mistakes are told. Nobody mends more in one go, and each is told twice: for people and for programs.
const MOST_MISTAKES: usize = 100;

impl Failed {
    pub fn new(kind: Kind, code: &'static str, message: impl Into<String>) -> Self {
        Failed { kind, code, message: message.into(), mistakes: Vec::new() }
    }

    #[cfg(test)]
    pub fn status(&self) -> StatusCode {
        self.kind.reply().0
    }

    fn of_mistakes(kind: Kind, code: &'static str, Mistakes(mut mistakes): Mistakes) -> Self {
        let count = mistakes.len();
        mistakes.truncate(MOST_MISTAKES);
        let message = match mistakes.as_slice() {
            [only] => format!("{}: {}", only.path, only.message),
            told if told.len() < count => format!("{count} mistakes, the first of which are: {}", in_one_line(told)),
            told => format!("{count} mistakes: {}", in_one_line(told)),
        };
        Failed { mistakes, ..Failed::new(kind, code, message) }
    }
}

impl From<Mistakes> for Failed {
    fn from(mistakes: Mistakes) -> Self {
        Failed::of_mistakes(Kind::Invalid, "invalid_provider", mistakes)
    }
}

fn in_one_line(mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("{}: {}", mistake.path, mistake.message)).collect::<Vec<_>>().join("; ")
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        let (kind, code) = match refusal {
            Refusal::Wrong(mistakes) => return mistakes.into(),
            Refusal::Unusable(mistakes) => {
                return Failed::of_mistakes(Kind::DoesNotFit, "provider_unusable", mistakes);
            }
            Refusal::Exists(_) => (Kind::Conflict, "provider_exists"),
            Refusal::InFile(_) => (Kind::Conflict, "provider_in_file"),
            Refusal::Full => (Kind::Conflict, "store_full"),
            Refusal::Missing(_) => (Kind::NotFound, "provider_not_found"),
            Refusal::Store(StoreError::Shut(_)) => (Kind::Unavailable, "store_unavailable"),
            Refusal::Store(StoreError::Failed(_)) => (Kind::Internal, "store_failed"),
            Refusal::Stopped => (Kind::Unavailable, "changes_not_taken"),
        };
        Failed::new(kind, code, refusal.to_string())
    }
}

impl IntoResponse for Failed {
    fn into_response(self) -> Response {
        let Failed { kind, code, message, mistakes } = self;
        let (status, error_type) = kind.reply();
        let param = mistakes.first().map(|first| first.path.clone());
        let mut body = json!({"error": {"message": message, "type": error_type, "param": param, "code": code}});
        if !mistakes.is_empty() {
            let told =
                mistakes.into_iter().map(|Mistake { path, message, .. }| json!({"path": path, "message": message}));
            body["mistakes"] = Value::Array(told.collect());
        }
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, "Bearer".parse().expect("a plain word"));
        }
        response
    }
}
