use crate::Header;
pub use crate::bindings::plugin::plugway::plugin::types::{Problem, ProblemKind};

impl Problem {
    /// A problem of this kind, with a message that the caller reads.
    ///
    /// ```
    /// use plugway_sdk::{Problem, ProblemKind};
    ///
    /// let problem = Problem::new(ProblemKind::RateLimited, "slow down").code("rate_limit_exceeded").retry_after_ms(1_500);
    /// assert_eq!(problem.retry_after_ms, Some(1_500));
    /// ```
    pub fn new(kind: ProblemKind, message: impl Into<String>) -> Self {
        Problem { kind, message: message.into(), param: None, code: None, detail: None, retry_after_ms: None }
    }

    /// The request is wrong, or the target cannot carry it: status 400.
    pub fn invalid(message: impl Into<String>) -> Self {
        Problem::new(ProblemKind::InvalidRequest, message)
    }

    /// The plugin cannot go on: status 500.
    pub fn internal(message: impl Into<String>) -> Self {
        Problem::new(ProblemKind::Internal, message)
    }

    /// The upstream's answer makes no sense: status 502.
    pub fn upstream(message: impl Into<String>) -> Self {
        Problem::new(ProblemKind::Upstream, message)
    }

    /// Names the request member at fault, as a path: `messages[2].content`.
    #[must_use]
    pub fn at(mut self, param: impl Into<String>) -> Self {
        self.param = Some(param.into());
        self
    }

    /// Adds a machine-readable code.
    #[must_use]
    pub fn code(mut self, code: impl Into<String>) -> Self {
        self.code = Some(code.into());
        self
    }

    /// Adds words for the operator's log.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Says how long to wait before another try, in milliseconds.
    #[must_use]
    pub fn retry_after_ms(mut self, milliseconds: u64) -> Self {
        self.retry_after_ms = Some(milliseconds);
        self
    }

    /// Takes over how long an error reply asks to wait: `retry-after-ms`, else `retry-after` in seconds. Dates need a
    /// clock; the host has one and reads them itself.
    ///
    /// ```
    /// use plugway_sdk::{Header, Problem};
    ///
    /// let headers = [Header { name: "Retry-After".to_owned(), value: "1.5".to_owned() }];
    /// assert_eq!(Problem::upstream("busy").retry_after(&headers).retry_after_ms, Some(1_500));
    /// ```
    #[must_use]
    pub fn retry_after(mut self, headers: &[Header]) -> Self {
        let number = |name: &str| {
            let header = headers.iter().find(|header| header.name.eq_ignore_ascii_case(name))?;
            header.value.trim().parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
        };
        let milliseconds = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1_000.0));
        self.retry_after_ms = milliseconds.map(|milliseconds| milliseconds.round() as u64);
        self
    }
}

impl ProblemKind {
    /// What the status of an upstream's error reply means, where nothing in the reply says it better.
    ///
    /// ```
    /// assert_eq!(plugway_sdk::ProblemKind::of_status(429), plugway_sdk::ProblemKind::RateLimited);
    /// ```
    pub fn of_status(status: u16) -> Self {
        match status {
            401 => ProblemKind::Unauthenticated,
            402 | 403 => ProblemKind::Forbidden,
            404 => ProblemKind::NotFound,
            408 | 504 => ProblemKind::Timeout,
            413 => ProblemKind::TooLarge,
            429 => ProblemKind::RateLimited,
            501 => ProblemKind::Unsupported,
            503 | 529 => ProblemKind::Overloaded,
            400..=499 => ProblemKind::InvalidRequest,
            _ => ProblemKind::Upstream,
        }
    }
}

/// A body that is not the JSON it should be is the request's fault; formats that decode an upstream's answer say
/// [`Problem::upstream`] instead.
impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Problem::invalid(format!("the body cannot be read: {error}"))
    }
}
