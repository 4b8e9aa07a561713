//! The usual time to the first content: a moving average that believes bad news at once and good news slowly, so that a
//! provider that stalls is left alone from its first slow answer on.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// After this long, an old observation counts for a third.
const DECAY: Duration = Duration::from_secs(10);

#[derive(Default)]
pub struct Latency(Mutex<Option<Average>>);

#[derive(Clone, Copy)]
struct Average {
    seconds: f64,
    at: Instant,
}

impl Latency {
    pub fn observe(&self, took: Duration, now: Instant) {
        let mut average = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let took = took.as_secs_f64();
        let seconds = match *average {
            Some(old) if took < old.seconds => took + (old.seconds - took) * share(old.at, now),
            Some(_) | None => took,
        };
        *average = Some(Average { seconds, at: now });
    }

    /// Somebody waited so long, and did not wait for the answer: bad news where it is more than is known, else none.
    pub fn observe_at_least(&self, waited: Duration, now: Instant) {
        if waited.as_secs_f64() > self.seconds(now, 0.0) {
            self.observe(waited, now);
        }
    }

    /// `unknown` where nothing was observed. What nobody has seen for long loses its weight in favour of it, so that a
    /// provider that was slow gets a request again.
    pub fn seconds(&self, now: Instant, unknown: f64) -> f64 {
        let average = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        average.map_or(unknown, |average| {
            let share = share(average.at, now);
            average.seconds * share + unknown * (1.0 - share)
        })
    }
}

fn share(then: Instant, now: Instant) -> f64 {
    (-now.saturating_duration_since(then).as_secs_f64() / DECAY.as_secs_f64()).exp()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_news_counts_at_once_and_good_news_slowly() {
        let (latency, start) = (Latency::default(), Instant::now());
        assert_eq!(latency.seconds(start, 0.0), 0.0);
        latency.observe(Duration::from_millis(100), start);
        latency.observe(Duration::from_secs(2), start);
        assert_eq!(latency.seconds(start, 0.0), 2.0);
        latency.observe(Duration::from_millis(100), start + Duration::from_secs(1));
        let after_one_good_answer = latency.seconds(start + Duration::from_secs(1), 0.0);
        assert!((1.5..2.0).contains(&after_one_good_answer), "{after_one_good_answer}");
        let later = start + Duration::from_secs(60);
        assert!(latency.seconds(later, 0.0) < 0.01);
        assert!(latency.seconds(later, 1.0) > 0.9, "what was seen long ago is not known any more");
    }

    #[test]
    fn who_did_not_wait_can_only_bring_bad_news() {
        let (latency, start) = (Latency::default(), Instant::now());
        latency.observe(Duration::from_secs(2), start);
        latency.observe_at_least(Duration::from_millis(100), start);
        assert_eq!(latency.seconds(start, 0.0), 2.0);
        latency.observe_at_least(Duration::from_secs(3), start);
        assert_eq!(latency.seconds(start, 0.0), 3.0);
    }
}
