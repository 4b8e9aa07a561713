//! Whether a provider keeps failing. One that does is tried last, until one request finds that it is well again.

use crate::config::CircuitRule;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

pub struct Circuit(Mutex<State>);

enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Instant,
    },
    /// One request tries. It may never come back, if its caller leaves; then another one tries in its place.
    HalfOpen {
        until: Instant,
    },
}

impl Default for Circuit {
    fn default() -> Self {
        Circuit(Mutex::new(State::Closed { failures: 0 }))
    }
}

impl Circuit {
    /// Whether a request may be given to it as if nothing had happened. When its time is over, the first who asks may, and
    /// is the probe.
    pub fn admits(&self, rule: CircuitRule) -> bool {
        let now = Instant::now();
        let mut state = self.lock();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } | State::HalfOpen { until } if now < until => false,
            State::Open { .. } | State::HalfOpen { .. } => {
                *state = State::HalfOpen { until: now + rule.open };
                true
            }
        }
    }

    /// The same without becoming the probe.
    pub fn would_admit(&self) -> bool {
        match *self.lock() {
            State::Closed { .. } => true,
            State::Open { until } | State::HalfOpen { until } => Instant::now() >= until,
        }
    }

    pub fn succeeded(&self) {
        *self.lock() = State::Closed { failures: 0 };
    }

    /// Whether this failure opened it.
    pub fn failed(&self, rule: CircuitRule) -> bool {
        let mut state = self.lock();
        let opens = match *state {
            State::Closed { failures } if rule.failures == 0 || failures + 1 < rule.failures => {
                *state = State::Closed { failures: failures.saturating_add(1) };
                return false;
            }
            State::Closed { .. } | State::HalfOpen { .. } => true,
            // Tried as the last resort; it is known.
            State::Open { .. } => false,
        };
        if opens {
            *state = State::Open { until: Instant::now() + rule.open };
        }
        opens
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const SOON: Duration = Duration::from_millis(20);
    const RULE: CircuitRule = CircuitRule { failures: 3, open: SOON };

    #[test]
    fn failures_in_a_row_open_it_and_others_do_not() {
        let circuit = Circuit::default();
        assert!(!circuit.failed(RULE) && !circuit.failed(RULE));
        circuit.succeeded();
        assert!(!circuit.failed(RULE) && !circuit.failed(RULE) && circuit.admits(RULE));
        assert!(circuit.failed(RULE) && !circuit.admits(RULE) && !circuit.would_admit());
    }

    #[tokio::test]
    async fn after_a_while_one_request_tries() {
        let circuit = Circuit::default();
        while !circuit.failed(RULE) {}
        tokio::time::sleep(SOON).await;
        assert!(circuit.admits(RULE) && !circuit.admits(RULE), "one probe");
        assert!(circuit.failed(RULE) && !circuit.admits(RULE), "which failed");
        tokio::time::sleep(SOON).await;
        assert!(circuit.admits(RULE));
        circuit.succeeded();
        assert!(circuit.admits(RULE) && circuit.admits(RULE));
    }

    #[test]
    fn with_no_number_of_failures_it_never_opens() {
        let (circuit, never) = (Circuit::default(), CircuitRule { failures: 0, open: SOON });
        assert!((0..100).all(|_| !circuit.failed(never) && circuit.admits(never)));
    }
}
