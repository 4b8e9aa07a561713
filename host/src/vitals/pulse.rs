//! How one model of a provider fares: how many requests are with it, how fast it answers, whether it keeps failing.

use super::circuit::Circuit;
use super::latency::Latency;
use super::turns::{Full, Turn, Turns};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What a failure counts for at least, however fast it came: who fails at once must not look like who answers at once.
const FAILURE: Duration = Duration::from_secs(5);
/// What is believed of somebody who has requests and is not known, or not any more, to have answered one.
const UNKNOWN_SECONDS: f64 = 1.0;

pub struct Pulse {
    pub model: Box<str>,
    pub circuit: Circuit,
    latency: Latency,
    /// Those that have their turn.
    in_flight: AtomicUsize,
    /// The provider's.
    turns: Arc<Turns>,
}

impl Pulse {
    pub(super) fn new(model: &str, turns: Arc<Turns>) -> Self {
        Pulse {
            model: model.into(),
            circuit: Circuit::default(),
            latency: Latency::default(),
            in_flight: AtomicUsize::new(0),
            turns,
        }
    }

    /// One request's turn, once there is one.
    pub async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Hold, Full> {
        let turn = self.turns.take(patience).await?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Hold { pulse: self.clone(), _turn: turn })
    }

    /// Requests that are with it now, streams to their end, and those that wait for a turn with the provider.
    pub fn load(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed) + self.turns.waiting()
    }

    /// Whether one more request would have to wait for its turn.
    pub fn is_full(&self) -> bool {
        self.turns.are_taken()
    }

    /// What the next request has to expect: the usual time to the first content, for each that is with it and this one.
    /// Who is new, or has not been seen for long, gets one request for nothing, and no more before that is answered.
    pub fn expected_seconds(&self) -> f64 {
        let load = u32::try_from(self.load()).unwrap_or(u32::MAX);
        let unknown = if load == 0 { 0.0 } else { UNKNOWN_SECONDS };
        self.latency.seconds(Instant::now(), unknown) * (f64::from(load) + 1.0)
    }

    /// From now on somebody waits for its answer.
    pub fn watch(self: &Arc<Self>) -> Watch {
        Watch { pulse: self.clone(), began: Instant::now(), seen: Seen::Nothing }
    }
}

/// A request that is with a provider. Dropped when its answer has ended.
pub struct Hold {
    pulse: Arc<Pulse>,
    _turn: Turn,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.pulse.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How long a request waits for the first content, with all that is tried of one provider. It counts however the waiting
/// ends, for else those would be the fastest who never answer.
pub struct Watch {
    pulse: Arc<Pulse>,
    began: Instant,
    seen: Seen,
}

enum Seen {
    Nothing,
    Failure,
    Answer,
}

impl Watch {
    pub fn answered(mut self) {
        self.seen = Seen::Answer;
    }

    /// It may still answer, when it is asked again.
    pub fn failed(&mut self) {
        self.seen = Seen::Failure;
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (latency, took, now) = (&self.pulse.latency, self.began.elapsed(), Instant::now());
        match self.seen {
            Seen::Answer => latency.observe(took, now),
            Seen::Failure => latency.observe(took.max(FAILURE), now),
            // The caller has left, or it was the request that was wrong: it would have taken this long or longer.
            Seen::Nothing => latency.observe_at_least(took, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Concurrency;

    const NOT_LONG: Duration = Duration::from_millis(20);

    fn pulse(concurrency: Option<Concurrency>) -> Arc<Pulse> {
        Arc::new(Pulse::new("m", Arc::new(Turns::new(concurrency))))
    }

    #[tokio::test]
    async fn who_is_new_gets_one_request_for_nothing() {
        let pulse = pulse(None);
        assert_eq!(pulse.expected_seconds(), 0.0);
        let _hold = pulse.enter(NOT_LONG).await.expect("a turn");
        assert!(pulse.expected_seconds() >= UNKNOWN_SECONDS);
    }

    #[tokio::test]
    async fn every_end_of_the_waiting_counts() {
        let (answers, fails, hangs) = (pulse(None), pulse(None), pulse(None));
        answers.watch().answered();
        fails.watch().failed();
        let abandoned = hangs.watch();
        tokio::time::sleep(NOT_LONG).await;
        drop(abandoned);
        assert!(answers.expected_seconds() < NOT_LONG.as_secs_f64() / 2.0);
        assert!(hangs.expected_seconds() > NOT_LONG.as_secs_f64() / 2.0);
        assert!(fails.expected_seconds() > 4.0, "to fail at once is not to be fast");
        drop(fails.watch());
        assert!(fails.expected_seconds() > 4.0, "who left at once says nothing");
    }

    #[tokio::test]
    async fn those_who_wait_for_a_turn_count_too() {
        let pulse = pulse(Some(Concurrency { running: 1, waiting: 5 }));
        assert!(!pulse.is_full());
        let running = pulse.enter(NOT_LONG).await.expect("a turn");
        assert!(pulse.is_full() && pulse.load() == 1);
        let (waited, load) = tokio::join!(pulse.enter(NOT_LONG), async { pulse.load() });
        assert!(waited.is_err() && load == 2);
        drop(running);
        assert!(!pulse.is_full() && pulse.load() == 0);
    }
}
