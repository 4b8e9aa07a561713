//! How many requests a provider gets at once, and how many may wait for their turn.

use crate::config::Concurrency;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// None: as many as come.
pub struct Turns(Option<Bounded>);

struct Bounded {
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    room: usize,
}

/// A request's turn; given back when it is dropped.
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// Why there is no turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Full {
    /// As many wait already as may.
    Queue,
    /// It did not come in time.
    TookTooLong,
}

impl Turns {
    pub fn new(bounds: Option<Concurrency>) -> Self {
        Turns(bounds.map(|Concurrency { running, waiting }| Bounded {
            turns: Arc::new(Semaphore::new(running.min(Semaphore::MAX_PERMITS))),
            waiting: AtomicUsize::new(0),
            room: waiting,
        }))
    }

    /// How many wait now.
    pub fn waiting(&self) -> usize {
        self.0.as_ref().map_or(0, |bounded| bounded.waiting.load(Ordering::Relaxed))
    }

    /// Whether one more would have to wait.
    pub fn are_taken(&self) -> bool {
        self.0.as_ref().is_some_and(|bounded| bounded.turns.available_permits() == 0)
    }

    /// Turns come in the order in which they are asked for.
    pub async fn take(&self, patience: Duration) -> Result<Turn, Full> {
        let Some(bounded) = &self.0 else { return Ok(Turn { _permit: None }) };
        if let Ok(permit) = bounded.turns.clone().try_acquire_owned() {
            return Ok(Turn { _permit: Some(permit) });
        }
        let _place = Place::take(bounded).ok_or(Full::Queue)?;
        let permit = tokio::time::timeout(patience, bounded.turns.clone().acquire_owned()).await;
        // The semaphore is never closed.
        let permit = permit.map_err(|_| Full::TookTooLong)?.map_err(|_| Full::Queue)?;
        Ok(Turn { _permit: Some(permit) })
    }
}

/// A place among those who wait. Given back however the waiting ends, also by a caller who leaves.
struct Place<'a>(&'a AtomicUsize);

impl<'a> Place<'a> {
    fn take(bounded: &'a Bounded) -> Option<Self> {
        let one_more = |waiting: usize| (waiting < bounded.room).then_some(waiting + 1);
        bounded.waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Place(&bounded.waiting))
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOT_LONG: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn beyond_those_who_run_and_those_who_wait_nobody_gets_in() {
        let turns = Turns::new(Some(Concurrency { running: 1, waiting: 1 }));
        let running = turns.take(NOT_LONG).await.expect("the first");
        let (waited, refused) = tokio::join!(turns.take(NOT_LONG), turns.take(NOT_LONG));
        assert_eq!((waited.err(), refused.err()), (Some(Full::TookTooLong), Some(Full::Queue)));
        drop(running);
        assert!(turns.take(NOT_LONG).await.is_ok(), "who gave up left no trace");
    }
}
