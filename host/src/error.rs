//! What can go wrong with a request, and the one place that says what the caller gets for it.

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

/// Why a request failed, in words for two readers.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    pub kind: FailureKind,
    /// For the caller.
    pub message: Box<str>,
    /// The member of the request that is at fault.
    pub param: Option<Box<str>>,
    pub code: Option<Box<str>>,
    /// For the operator's log.
    pub detail: Option<Box<str>>,
    pub retry_after_ms: Option<u64>,
    /// The upstream's own words, where they are in the caller's dialect already.
    pub verbatim: Option<Box<Verbatim>>,
}

/// A reply that passes as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Verbatim {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    InvalidRequest,
    Forbidden,
    NotFound,
    MethodNotAllowed,
    CallerTooSlow,
    TooLarge,
    Refused,
    RateLimited,
    Unsupported,
    /// A plugin failed.
    Plugin,
    /// The provider cannot be used: its plugin is missing or out of use.
    Unavailable,
    Internal,
    Upstream,
    /// The provider's address is one that is not called. No retry mends that, and it says nothing of the service.
    ForbiddenAddress,
    /// The upstream refused the gateway's own credential.
    UpstreamCredential,
    Overloaded,
    Timeout,
}

impl FailureKind {
    /// Status, and the error type of OpenAI's vocabulary.
    fn reply(self) -> (StatusCode, &'static str) {
        use FailureKind::*;
        match self {
            InvalidRequest => (StatusCode::BAD_REQUEST, "invalid_request_error"),
            Refused => (StatusCode::BAD_REQUEST, "invalid_request_error"),
            UpstreamCredential => (StatusCode::UNAUTHORIZED, "authentication_error"),
            Forbidden => (StatusCode::FORBIDDEN, "permission_error"),
            NotFound => (StatusCode::NOT_FOUND, "not_found_error"),
            MethodNotAllowed => (StatusCode::METHOD_NOT_ALLOWED, "invalid_request_error"),
            CallerTooSlow => (StatusCode::REQUEST_TIMEOUT, "invalid_request_error"),
            TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "invalid_request_error"),
            RateLimited => (StatusCode::TOO_MANY_REQUESTS, "rate_limit_error"),
            Plugin => (StatusCode::INTERNAL_SERVER_ERROR, "plugin_error"),
            Internal => (StatusCode::INTERNAL_SERVER_ERROR, "server_error"),
            Unsupported => (StatusCode::NOT_IMPLEMENTED, "not_implemented_error"),
            Upstream | ForbiddenAddress => (StatusCode::BAD_GATEWAY, "upstream_error"),
            Unavailable | Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded_error"),
            Timeout => (StatusCode::GATEWAY_TIMEOUT, "timeout_error"),
        }
    }

    pub fn status(self) -> StatusCode {
        self.reply().0
    }

    /// In OpenAI's vocabulary.
    pub fn error_type(self) -> &'static str {
        self.reply().1
    }

    /// Whether the operator should look.
    pub fn log_level(self) -> tracing::Level {
        use FailureKind::*;
        match self {
            InvalidRequest | Refused | Forbidden | NotFound | MethodNotAllowed | CallerTooSlow | TooLarge
            | RateLimited | Unsupported => tracing::Level::DEBUG,
            Upstream | Overloaded | Timeout => tracing::Level::WARN,
            Plugin | Unavailable | Internal | UpstreamCredential | ForbiddenAddress => tracing::Level::ERROR,
        }
    }
}

impl Failure {
    pub fn new(kind: FailureKind, message: impl Into<Box<str>>) -> Self {
        Failure {
            kind,
            message: message.into(),
            param: None,
            code: None,
            detail: None,
            retry_after_ms: None,
            verbatim: None,
        }
    }

    pub fn invalid(message: impl Into<Box<str>>) -> Self {
        Failure::new(FailureKind::InvalidRequest, message)
    }

    pub fn upstream(message: impl Into<Box<str>>) -> Self {
        Failure::new(FailureKind::Upstream, message)
    }

    pub fn at(mut self, param: impl Into<Box<str>>) -> Self {
        self.param = Some(param.into());
        self
    }

    pub fn code(mut self, code: impl Into<Box<str>>) -> Self {
        self.code = Some(code.into());
        self
    }

    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    pub fn retry_after_ms(mut self, milliseconds: Option<u64>) -> Self {
        self.retry_after_ms = milliseconds;
        self
    }

    pub fn verbatim(mut self, verbatim: Verbatim) -> Self {
        self.verbatim = Some(Box::new(verbatim));
        self
    }

    pub fn status(&self) -> StatusCode {
        self.kind.status()
    }

    /// What an upstream means by a status: the same as in the SDK.
    pub fn of_status(status: StatusCode, message: impl Into<Box<str>>) -> Self {
        let kind = match status.as_u16() {
            401 => FailureKind::UpstreamCredential,
            402 | 403 => FailureKind::Forbidden,
            404 => FailureKind::NotFound,
            408 | 504 => FailureKind::Timeout,
            413 => FailureKind::TooLarge,
            429 => FailureKind::RateLimited,
            501 => FailureKind::Unsupported,
            503 | 529 => FailureKind::Overloaded,
            400..=499 => FailureKind::InvalidRequest,
            _ => FailureKind::Upstream,
        };
        Failure::new(kind, message)
    }

    /// Whether another provider may fare better.
    pub fn may_be_rescued(&self) -> bool {
        use FailureKind::*;
        match self.kind {
            RateLimited | Plugin | Unavailable | Upstream | ForbiddenAddress | UpstreamCredential | Forbidden
            | Overloaded | Timeout => true,
            InvalidRequest | NotFound | MethodNotAllowed | CallerTooSlow | TooLarge | Refused | Unsupported
            | Internal => false,
        }
    }

    /// The body in the canonical dialect.
    pub fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind.reply().1,
            "param": self.param,
            "code": self.code,
        }})
    }

    /// What became of the request. Written once.
    pub fn log(&self, request_id: &str) {
        let detail = self.detail.as_deref().unwrap_or_default();
        let (kind, message) = (self.kind, &self.message);
        match self.kind.log_level() {
            tracing::Level::DEBUG => tracing::debug!(request_id, ?kind, detail, "{message}"),
            tracing::Level::WARN => tracing::warn!(request_id, ?kind, detail, "{message}"),
            _ => tracing::error!(request_id, ?kind, detail, "{message}"),
        }
    }

    /// One try of several: what it means for the request is another line.
    pub fn log_attempt(&self, request_id: &str, provider: &str, attempt: u32) {
        let detail = self.detail.as_deref().unwrap_or_default();
        let (kind, message) = (self.kind, &self.message);
        match self.kind.log_level() {
            tracing::Level::DEBUG => {
                tracing::debug!(request_id, provider, attempt, ?kind, detail, "attempt failed: {message}");
            }
            _ => tracing::warn!(request_id, provider, attempt, ?kind, detail, "attempt failed: {message}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use plugway_sdk::ProblemKind;

    fn in_the_sdks_words(kind: FailureKind) -> Option<ProblemKind> {
        Some(match kind {
            FailureKind::InvalidRequest => ProblemKind::InvalidRequest,
            FailureKind::UpstreamCredential => ProblemKind::Unauthenticated,
            FailureKind::Forbidden => ProblemKind::Forbidden,
            FailureKind::NotFound => ProblemKind::NotFound,
            FailureKind::TooLarge => ProblemKind::TooLarge,
            FailureKind::RateLimited => ProblemKind::RateLimited,
            FailureKind::Unsupported => ProblemKind::Unsupported,
            FailureKind::Upstream => ProblemKind::Upstream,
            FailureKind::Overloaded => ProblemKind::Overloaded,
            FailureKind::Timeout => ProblemKind::Timeout,
            FailureKind::MethodNotAllowed
            | FailureKind::CallerTooSlow
            | FailureKind::Refused
            | FailureKind::Plugin
            | FailureKind::Unavailable
            | FailureKind::ForbiddenAddress
            | FailureKind::Internal => return None,
        })
    }

    #[test]
    fn a_status_means_the_same_to_the_host_and_to_plugins() {
        for code in 400..600 {
            let status = StatusCode::from_u16(code).expect("a status");
            let kind = Failure::of_status(status, "").kind;
            assert_eq!(in_the_sdks_words(kind), Some(ProblemKind::of_status(code)), "{code}");
        }
    }
}
