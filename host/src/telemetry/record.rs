//! What is known of one request, gathered on its way and written down when it ends, however it ends.

use super::cost::{self, UsDollars};
use super::{AccessLog, Metrics};
use crate::chat::Usage;
use crate::config::Prices;
use http::{Method, StatusCode};
use std::any::Any;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It has not ended; what is dropped in this state was given up by the caller.
    Open,
    Complete,
    Failed,
}

impl Outcome {
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Open => "cancelled",
            Outcome::Complete => "complete",
            Outcome::Failed => "failed",
        }
    }
}

/// Written to the access log and the metrics when it is dropped.
pub struct Record {
    pub request_id: String,
    pub method: Method,
    pub path: String,
    pub status: u16,
    pub operation: &'static str,
    /// As the caller wrote it.
    pub model: String,
    /// Empty until one was chosen, as are the next two.
    pub provider: String,
    pub key: String,
    pub plugin: String,
    pub outcome: Outcome,
    pub error: Option<String>,
    pub usage: Option<Usage>,
    /// Of the model that was asked, as far as the configuration says.
    pub prices: Option<Prices>,
    pub upstream_time: Option<Duration>,
    /// How often somebody was asked.
    pub tries: u32,
    pub first_token: Option<Duration>,
    pub began: Instant,
    metrics: Arc<Metrics>,
    log: Option<Arc<AccessLog>>,
    /// What others have to wait for until the request has ended.
    held: Option<Box<dyn Any + Send>>,
}

impl Record {
    pub fn new(
        request_id: String,
        method: Method,
        path: String,
        metrics: Arc<Metrics>,
        log: Option<Arc<AccessLog>>,
    ) -> Self {
        metrics.request_begins();
        Record {
            request_id,
            method,
            path,
            status: 0,
            operation: "",
            model: String::new(),
            provider: String::new(),
            key: String::new(),
            plugin: String::new(),
            outcome: Outcome::Open,
            error: None,
            usage: None,
            prices: None,
            upstream_time: None,
            tries: 0,
            first_token: None,
            began: Instant::now(),
            metrics,
            log,
            held: None,
        }
    }

    /// Dropped when the request has ended, however it ends.
    pub fn keep(&mut self, hold: impl Any + Send) {
        self.held = Some(Box::new(hold));
    }

    /// Somebody was asked, or could not be asked, in vain. What became of the request is another matter.
    pub fn try_failed(&self, provider: &str, error_type: &'static str) {
        self.metrics.try_failed(provider, error_type);
    }

    pub fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }

    pub fn fail(&mut self, status: StatusCode, error: &str) {
        self.status = status.as_u16();
        self.outcome = Outcome::Failed;
        self.error = Some(error.to_owned());
    }

    /// What it cost, as far as both tokens and prices are known.
    pub fn cost(&self) -> Option<UsDollars> {
        Some(cost::of(self.usage?, &self.prices?))
    }

    /// The first content went to the caller.
    pub fn first_token(&mut self) {
        self.first_token.get_or_insert(self.began.elapsed());
    }

    pub(super) fn texts(&self) -> impl Iterator<Item = (&'static str, &str)> {
        [
            ("operation", self.operation),
            ("model", &self.model),
            ("provider", &self.provider),
            ("key", &self.key),
            ("plugin", &self.plugin),
            ("outcome", self.outcome.name()),
            ("error", self.error.as_deref().unwrap_or_default()),
        ]
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let milliseconds = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        [
            ("upstream_ms", self.upstream_time.map(milliseconds)),
            // One is what everybody expects.
            ("tries", Some(self.tries.into()).filter(|tries| *tries > 1)),
            ("first_token_ms", self.first_token.map(milliseconds)),
            ("prompt_tokens", self.usage.map(|usage| usage.prompt_tokens)),
            ("completion_tokens", self.usage.map(|usage| usage.completion_tokens)),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.metrics.request_ends(self);
        if let Some(log) = &self.log {
            log.write(self);
        }
    }
}
