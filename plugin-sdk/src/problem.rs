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
}

/// A body that is not the JSON it should be is the request's fault; formats that decode an upstream's answer say
/// [`Problem::upstream`] instead.
impl From<serde_json::Error> for Problem {
    fn from(error: serde_json::Error) -> Self {
        Problem::invalid(format!("the body cannot be read: {error}"))
    }
}
