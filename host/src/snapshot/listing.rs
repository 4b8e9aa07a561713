//! The models that a service lists itself, kept for a while.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// Services have new models every few weeks.
const KEPT: Duration = Duration::from_secs(300);
/// A service that does not answer must not delay every list.
const FAILURE_KEPT: Duration = Duration::from_secs(30);
/// What is more than this is no list of models.
const MOST: usize = 10_000;

pub type Names = Arc<BTreeSet<String>>;

#[derive(Default)]
pub struct Listing {
    /// Held by the one who asks. How long the last answer, or the want of one, is kept.
    asking: Mutex<Option<Instant>>,
    /// What was heard last. After a failure it stays: a service that is down for a moment has its models still.
    heard: Lock<Names>,
}

impl Listing {
    /// The names; none where there never was an answer. Whoever comes while the service is asked waits for the same answer.
    pub async fn names(&self, ask: impl Future<Output = Option<Vec<String>>>) -> Names {
        let mut kept_until = self.asking.lock().await;
        if kept_until.is_none_or(|until| until <= Instant::now()) {
            let answer = ask.await;
            let kept = if answer.is_some() { KEPT } else { FAILURE_KEPT };
            if let Some(names) = answer {
                *self.heard() = Arc::new(names.into_iter().take(MOST).collect());
            }
            *kept_until = Some(Instant::now() + kept);
        }
        self.heard().clone()
    }

    /// Whether the service was heard to list this model. It is not asked.
    pub fn has(&self, model: &str) -> bool {
        self.heard().contains(model)
    }

    fn heard(&self) -> MutexGuard<'_, Names> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_heard_outlasts_a_failure() {
        let listing = Listing::default();
        assert!(!listing.has("a"));
        let answer = listing.names(async { Some(vec!["b".to_owned(), "a".to_owned()]) }).await;
        assert_eq!(answer.iter().collect::<Vec<_>>(), ["a", "b"]);
        *listing.asking.lock().await = None;
        assert_eq!(listing.names(async { None }).await, answer, "the service did not answer this time");
        assert!(listing.has("a") && !listing.has("c"));
        let asked_again = listing.names(async { panic!("its failure is remembered") }).await;
        assert_eq!(asked_again, answer);
    }
}
