//! The first failure of a request: the outcome where all fail.

use crate::error::Failure;
use crate::telemetry::Record;
use std::time::Duration;

/// It is worth a line in the log, as every try that failed, as soon as something comes after it: until then it may be the
/// outcome, which is told elsewhere.
#[derive(Default)]
pub enum First {
    #[default]
    Nothing,
    Untold(Failed),
    Told(Failed),
}

/// A failure, and whom the record is about if it is the outcome.
pub struct Failed {
    pub failure: Failure,
    /// Of the try, or of the one before it where nobody was asked.
    number: u32,
    provider: String,
    key: String,
    plugin: String,
    upstream_time: Option<Duration>,
}

impl Failed {
    pub fn new(failure: Failure, number: u32, record: &Record) -> Self {
        Failed {
            failure,
            number,
            provider: record.provider.clone(),
            key: record.key.clone(),
            plugin: record.plugin.clone(),
            upstream_time: record.upstream_time,
        }
    }

    pub fn tell(&self, request_id: &str) {
        self.failure.log_attempt(request_id, &self.provider, self.number);
    }

    /// It is the outcome.
    pub fn outcome(self, record: &mut Record) -> Failure {
        let Failed { failure, number: _, provider, key, plugin, upstream_time } = self;
        (record.provider, record.key, record.plugin) = (provider, key, plugin);
        record.upstream_time = upstream_time;
        failure
    }
}

impl First {
    pub fn is_to_come(&self) -> bool {
        matches!(self, First::Nothing)
    }

    /// One more failure. Those after the first are told at once.
    pub fn add(&mut self, failed: Failed, request_id: &str) {
        self.tell(request_id);
        match self {
            First::Nothing => *self = First::Untold(failed),
            First::Untold(_) | First::Told(_) => failed.tell(request_id),
        }
    }

    /// Something comes after it.
    pub fn tell(&mut self, request_id: &str) {
        *self = match std::mem::take(self) {
            First::Untold(failed) => {
                failed.tell(request_id);
                First::Told(failed)
            }
            told => told,
        };
    }

    pub fn into_failed(self) -> Option<Failed> {
        match self {
            First::Nothing => None,
            First::Untold(failed) | First::Told(failed) => Some(failed),
        }
    }
}
