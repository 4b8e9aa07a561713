//! What every answer shares that goes out piece by piece: what is known of its request, when it must have ended, and how it
//! ended.

use crate::error::Failure;
use crate::pipeline::call::Call;
use crate::telemetry::{Outcome, Record};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::time::{Sleep, sleep_until};

pub struct Course {
    pub call: Arc<Call>,
    pub record: Record,
    /// One timer for all of it: `timeout_at` would set and remove one with each piece.
    deadline: Pin<Box<Sleep>>,
}

impl Course {
    pub fn of(call: Arc<Call>, record: Record) -> Self {
        let deadline = Box::pin(sleep_until(call.deadline.into()));
        Course { call, record, deadline }
    }

    /// None once the deadline has passed, also where the work is never short of something to give.
    pub async fn in_time<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = &mut self.deadline => None,
            done = work => Some(done),
        }
    }

    pub fn is_over(&self) -> bool {
        self.record.outcome != Outcome::Open
    }

    pub fn complete(&mut self) {
        self.record.outcome = Outcome::Complete;
    }

    pub fn fail(&mut self, failure: &Failure) {
        failure.log(&self.call.id);
        self.record.outcome = Outcome::Failed;
        self.record.error = Some(failure.message.to_string());
    }
}

impl Drop for Course {
    /// A caller who stopped reading did not leave: it was left.
    fn drop(&mut self) {
        if !self.is_over() && Instant::now() >= self.call.deadline {
            self.fail(&self.call.out_of_time("the caller did not read on"));
        }
    }
}
