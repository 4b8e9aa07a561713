//! Whether a plugin deserves to be called. One that keeps trapping is left alone for a while, and longer each time.
//!
//! Only calls for requests count, and each use of a plugin for itself: what fails with one provider's settings may serve
//! all others well.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A fault adds ten, an answer takes one away: below one fault in ten a plugin stays in use for ever.
const FAULT: i64 = 10;
const LIMIT: i64 = 50;
const FIRST_REST: Duration = Duration::from_secs(1);
const LONGEST_REST: Duration = Duration::from_secs(60);

/// Beyond this, what is known of settings that nobody uses any more is forgotten.
const MAX_USES: usize = 64;

/// How a plugin fares, by the settings that it is used with.
#[derive(Default)]
pub struct Uses(Mutex<HashMap<String, Arc<Health>>>);

impl Uses {
    /// Lasts longer than what is configured with the settings: a reload makes nobody well.
    pub fn with(&self, settings: &str) -> Arc<Health> {
        let mut uses = self.lock();
        if let Some(known) = uses.get(settings) {
            return known.clone();
        }
        if uses.len() >= MAX_USES {
            uses.retain(|_, health| Arc::strong_count(health) > 1);
        }
        uses.entry(settings.to_owned()).or_default().clone()
    }

    /// Whether the plugin has served requests with these settings, and may go on.
    pub fn serve_well(&self, settings: &str) -> bool {
        self.lock().get(settings).is_some_and(|health| health.has_worked() && health.resting().is_none())
    }

    /// Whether any request was ever served.
    pub fn have_worked(&self) -> bool {
        self.lock().values().any(|health| health.has_worked())
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Health>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Health {
    since: Instant,
    score: AtomicI64,
    rests: AtomicU32,
    /// Milliseconds after `since`.
    resting_until_ms: AtomicU64,
    answered: AtomicBool,
}

impl Default for Health {
    fn default() -> Self {
        Health {
            since: Instant::now(),
            score: AtomicI64::new(0),
            rests: AtomicU32::new(0),
            resting_until_ms: AtomicU64::new(0),
            answered: AtomicBool::new(false),
        }
    }
}

impl Health {
    /// How much longer the plugin rests; None when it may be called. After a rest one more fault brings the next one.
    pub fn resting(&self) -> Option<Duration> {
        let until = self.resting_until_ms.load(Ordering::Relaxed);
        if until == 0 {
            return None;
        }
        Duration::from_millis(until).checked_sub(self.since.elapsed()).filter(|left| !left.is_zero())
    }

    pub fn answer(&self) {
        // Written only where something changes: all threads pass here with every call.
        if self.score.load(Ordering::Relaxed) > 0 && self.score.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.rests.store(0, Ordering::Relaxed);
        }
        if !self.answered.load(Ordering::Relaxed) {
            self.answered.store(true, Ordering::Relaxed);
        }
    }

    /// True when this fault was one too many and the plugin goes to rest.
    pub fn fault(&self) -> bool {
        // Calls that were on their way when the rest began say nothing new.
        if self.resting().is_some() {
            return false;
        }
        if self.score.fetch_add(FAULT, Ordering::Relaxed) + FAULT < LIMIT {
            return false;
        }
        let rests = self.rests.fetch_add(1, Ordering::Relaxed);
        let rest = (FIRST_REST * 2_u32.saturating_pow(rests.min(10))).min(LONGEST_REST);
        let until = self.since.elapsed() + rest;
        self.resting_until_ms.store(u64::try_from(until.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.score.store(LIMIT - FAULT, Ordering::Relaxed);
        true
    }

    /// The answer that was counted last broke the contract, so it was none.
    pub fn retract(&self) {
        self.answered.store(false, Ordering::Relaxed);
    }

    /// Whether any call was ever answered: only such a version is worth going back to.
    fn has_worked(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_faults_in_a_row_bring_a_rest() {
        let health = Health::default();
        assert_eq!([(); 5].map(|()| health.fault()), [false, false, false, false, true]);
        assert!(health.resting().is_some());
    }

    #[test]
    fn only_what_served_with_the_same_settings_serves_well() {
        let uses = Uses::default();
        uses.with("good").answer();
        uses.with("never asked");
        uses.with("broke the contract").answer();
        uses.with("broke the contract").retract();
        uses.with("rests").answer();
        (0..5).for_each(|_| _ = uses.with("rests").fault());
        let settings = ["good", "never asked", "broke the contract", "rests", "unknown"];
        assert_eq!(settings.map(|settings| uses.serve_well(settings)), [true, false, false, false, false]);
    }

    #[test]
    fn rare_faults_never_do() {
        let health = Health::default();
        for _ in 0..1_000 {
            assert!(!health.fault());
            (0..11).for_each(|_| health.answer());
        }
    }

    #[test]
    fn each_rest_is_longer_up_to_a_minute() {
        let health = Health::default();
        for _ in 0..20 {
            (0..5).for_each(|_| _ = health.fault());
            assert!(!health.fault(), "a fault during a rest does not count");
            health.resting_until_ms.store(0, Ordering::Relaxed);
        }
        (0..5).for_each(|_| _ = health.fault());
        let rest = health.resting().expect("it rests");
        assert!(rest > Duration::from_secs(50) && rest <= LONGEST_REST);
    }
}
