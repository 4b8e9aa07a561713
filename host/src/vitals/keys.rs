//! Which keys of a provider are to be left alone for a while.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A key that was refused is not asked with again for so long, where another one serves.
const REFUSED_FOR: Duration = Duration::from_secs(60);

/// By the keys' places in the configuration.
pub struct Keys(Box<[Mutex<Key>]>);

#[derive(Clone, Copy, Default)]
struct Key {
    /// The service asked for a pause.
    rests_until: Option<Instant>,
    /// The service does not take it: expired, revoked, or out of money.
    refused_until: Option<Instant>,
}

/// How fit a key is, the fittest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fitness {
    Fit,
    /// A last resort: it may be good again.
    Refused,
    /// Not at all, for so long.
    Resting(Duration),
}

impl Keys {
    pub fn of(count: usize) -> Self {
        // A provider without keys is one with one key that nobody sees.
        Keys((0..count.max(1)).map(|_| Mutex::default()).collect())
    }

    pub fn fitness(&self, index: usize) -> Fitness {
        let Key { rests_until, refused_until } = *self.lock(index);
        let now = Instant::now();
        let left = |until: Option<Instant>| until.and_then(|until| until.checked_duration_since(now));
        match (left(rests_until).filter(|left| !left.is_zero()), left(refused_until)) {
            (Some(left), _) => Fitness::Resting(left),
            (None, Some(_)) => Fitness::Refused,
            (None, None) => Fitness::Fit,
        }
    }

    /// Its service wants no requests for so long. A longer rest stays.
    pub fn rest(&self, index: usize, pause: Duration) {
        let mut key = self.lock(index);
        key.rests_until = key.rests_until.max(Some(Instant::now() + pause));
    }

    pub fn refused(&self, index: usize) {
        self.lock(index).refused_until = Some(Instant::now() + REFUSED_FOR);
    }

    pub fn accepted(&self, index: usize) {
        self.lock(index).refused_until = None;
    }

    fn lock(&self, index: usize) -> std::sync::MutexGuard<'_, Key> {
        self.0[index].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_rests_as_long_as_the_longest_that_was_asked_for() {
        let keys = Keys::of(2);
        keys.rest(0, Duration::from_secs(60));
        keys.rest(0, Duration::ZERO);
        assert!(matches!(keys.fitness(0), Fitness::Resting(left) if left > Duration::from_secs(50)));
        assert_eq!(keys.fitness(1), Fitness::Fit);
    }

    #[test]
    fn a_refused_key_is_a_last_resort_until_it_is_accepted() {
        let keys = Keys::of(0);
        keys.refused(0);
        assert_eq!(keys.fitness(0), Fitness::Refused);
        keys.accepted(0);
        assert_eq!(keys.fitness(0), Fitness::Fit);
    }
}
