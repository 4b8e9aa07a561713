//! One provider, as one request goes through its keys and tries some of them again.

use super::ring::{Ring, Turned};
use crate::config::Retries;
use crate::pipeline::route::Choice;
use crate::vitals::Watch;
use std::time::Duration;

pub struct Round<'a> {
    pub choice: &'a Choice,
    pub ring: Ring<'a>,
    retries: u32,
    /// From the first try on.
    watch: Option<Watch>,
}

/// What a failure says of what comes next.
pub enum Lesson {
    /// Nobody can mend it.
    Final,
    NextKey,
    /// With the same key, if there are retries left; not before the service wants it.
    Again {
        after: Option<Duration>,
    },
    NextChoice,
}

impl<'a> Round<'a> {
    pub fn of(choice: &'a Choice) -> Self {
        Round { choice, ring: Ring::of(choice), retries: 0, watch: None }
    }

    pub fn turn(&mut self) -> Turned {
        self.ring.turn()
    }

    /// A try begins.
    pub fn begins(&mut self) {
        self.watch.get_or_insert_with(|| self.choice.pulse.watch());
    }

    pub fn answered(&mut self) {
        self.watch.take().into_iter().for_each(Watch::answered);
    }

    /// How long to wait before the next try; None where there is none.
    pub fn next(&mut self, lesson: &Lesson) -> Option<Duration> {
        if let (Some(watch), Lesson::NextKey | Lesson::Again { .. } | Lesson::NextChoice) = (&mut self.watch, lesson) {
            watch.failed();
        }
        match lesson {
            Lesson::Final | Lesson::NextChoice => None,
            Lesson::NextKey => Some(Duration::ZERO),
            Lesson::Again { after } => self.again(after.unwrap_or_default()),
        }
    }

    fn again(&mut self, asked_for: Duration) -> Option<Duration> {
        let rules = self.choice.target.config.retries;
        let pause = asked_for.max(backoff(rules, self.retries));
        // A service that wants to be left alone for longer is left alone.
        if self.retries >= rules.max || pause > rules.backoff_max.mul_f64(1.2) {
            return None;
        }
        self.retries += 1;
        self.ring.again();
        Some(pause)
    }
}

/// Twice as long each time, and never all at once.
fn backoff(rules: Retries, retries: u32) -> Duration {
    let doubled = rules.backoff_initial.saturating_mul(2_u32.saturating_pow(retries));
    doubled.min(rules.backoff_max).mul_f64(0.8 + 0.4 * fastrand::f64()).max(Duration::from_millis(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_their_bound() {
        let rules =
            Retries { max: 9, backoff_initial: Duration::from_millis(100), backoff_max: Duration::from_millis(500) };
        for (retries, around_ms) in [(0, 100), (1, 200), (2, 400), (3, 500), (40, 500)] {
            let pause = backoff(rules, retries);
            let around = Duration::from_millis(around_ms);
            assert!((around.mul_f64(0.8)..=around.mul_f64(1.2)).contains(&pause), "{retries}: {pause:?}");
        }
    }
}
