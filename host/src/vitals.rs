//! How a provider fares: each of its models for itself, and which of its keys are to be left alone. All requests share it,
//! and generations hand it on as long as the provider's block stays the same.

mod circuit;
mod keys;
mod latency;
mod pulse;
mod turns;

pub use keys::{Fitness, Keys};
pub use pulse::{Hold, Pulse, Watch};
pub use turns::Full;

use crate::config::Provider;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use turns::Turns;

/// Models that are known apart. Callers choose the names, so there must be a bound.
const MOST: usize = 256;

pub struct Vitals {
    pub keys: Keys,
    turns: Arc<Turns>,
    models: Mutex<HashMap<Box<str>, Arc<Pulse>>>,
    /// Of all models together that are too many.
    others: Arc<Pulse>,
}

impl Vitals {
    pub fn of(provider: &Provider) -> Self {
        let turns = Arc::new(Turns::new(provider.concurrency));
        Vitals {
            keys: Keys::of(provider.keys.len()),
            models: Mutex::default(),
            others: Arc::new(Pulse::new("any other", turns.clone())),
            turns,
        }
    }

    /// Of a model by the provider's name of it; of requests that name none, under the empty name.
    pub fn of_model(&self, name: &str) -> Arc<Pulse> {
        let mut models = self.models.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = models.get(name) {
            return known.clone();
        }
        if models.len() >= MOST {
            // Who is with nobody, and fails not, has the least to lose.
            models.retain(|_, pulse| Arc::strong_count(pulse) > 1 || !pulse.circuit.would_admit());
        }
        if models.len() >= MOST {
            return self.others.clone();
        }
        let new = Arc::new(Pulse::new(name, self.turns.clone()));
        models.insert(name.into(), new.clone());
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::CircuitRule;
    use std::time::Duration;

    const AT_ONCE: CircuitRule = CircuitRule { failures: 1, open: Duration::from_secs(60) };

    fn vitals() -> Vitals {
        let turns = Arc::new(Turns::new(None));
        let others = Arc::new(Pulse::new("any other", turns.clone()));
        Vitals { keys: Keys::of(1), turns, models: Mutex::default(), others }
    }

    #[test]
    fn each_model_fares_for_itself() {
        let vitals = vitals();
        vitals.of_model("broken").circuit.failed(AT_ONCE);
        assert!(!vitals.of_model("broken").circuit.would_admit() && vitals.of_model("other").circuit.would_admit());
    }

    /// Names that nobody uses any more make way, and what is known of the others stays.
    #[test]
    fn names_that_callers_make_up_are_bounded() {
        let vitals = vitals();
        vitals.of_model("broken").circuit.failed(AT_ONCE);
        for name in 0..10_000 {
            vitals.of_model(&name.to_string());
        }
        assert!(vitals.models.lock().expect("nobody panicked").len() <= MOST);
        assert!(!vitals.of_model("broken").circuit.would_admit());
        let held: Vec<_> = (0..MOST).map(|name| vitals.of_model(&format!("in use {name}"))).collect();
        assert!(Arc::ptr_eq(&vitals.of_model("one more"), &vitals.others));
        assert!(Arc::ptr_eq(&vitals.of_model("in use 0"), &held[0]));
    }
}
