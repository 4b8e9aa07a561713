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

    /// 0 where nothing was observed, so that who is new gets a request. What nobody has seen for long loses its weight, so
    /// that a provider that was slow gets one again.
    pub fn seconds(&self, now: Instant) -> f64 {
        let average = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        average.map_or(0.0, |average| average.seconds * share(average.at, now))
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
        assert_eq!(latency.seconds(start), 0.0);
        latency.observe(Duration::from_millis(100), start);
        latency.observe(Duration::from_secs(2), start);
        assert_eq!(latency.seconds(start), 2.0);
        latency.observe(Duration::from_millis(100), start + Duration::from_secs(1));
        let after_one_good_answer = latency.seconds(start + Duration::from_secs(1));
        assert!((1.5..2.0).contains(&after_one_good_answer), "{after_one_good_answer}");
        assert!(latency.seconds(start + Duration::from_secs(60)) < 0.01);
    }
}
