//! The moment at which an answer must have ended, whatever it waits for.

use std::pin::Pin;
use std::time::Instant;
use tokio::time::{Sleep, sleep_until};

/// One timer for a whole stream: `timeout_at` would set and remove one with each event.
pub struct Curfew(Pin<Box<Sleep>>);

impl Curfew {
    pub fn at(deadline: Instant) -> Self {
        Curfew(Box::pin(sleep_until(deadline.into())))
    }

    /// None once the moment has come, also where the work is never short of something to give.
    pub async fn before<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = &mut self.0 => None,
            done = work => Some(done),
        }
    }
}
