//! How a provider fares: how many requests are with it, how fast it answers, whether it keeps failing, and which of its keys
//! are to be left alone. All requests share it, and generations hand it on as long as the provider's block stays the same.

mod circuit;
mod keys;
mod latency;
mod turns;

pub use circuit::Circuit;
pub use keys::{Fitness, Keys};
pub use turns::{Full, Turn};

use crate::config::Provider;
use latency::Latency;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use turns::Turns;

pub struct Vitals {
    pub circuit: Circuit,
    pub keys: Keys,
    turns: Turns,
    in_flight: AtomicUsize,
    latency: Latency,
}

impl Vitals {
    pub fn of(provider: &Provider) -> Self {
        Vitals {
            circuit: Circuit::default(),
            keys: Keys::of(provider.keys.len()),
            turns: Turns::new(provider.concurrency),
            in_flight: AtomicUsize::new(0),
            latency: Latency::default(),
        }
    }

    /// One request's turn, once there is one.
    pub async fn enter(self: &Arc<Self>, patience: Duration) -> Result<Hold, Full> {
        let turn = self.turns.take(patience).await?;
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Ok(Hold { vitals: self.clone(), _turn: turn })
    }

    /// Requests that are with it now, streams to their end.
    pub fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// It answered, and this is how long the first of it took.
    pub fn answered(&self, took: Duration) {
        self.circuit.succeeded();
        self.latency.observe(took, Instant::now());
    }

    /// What the next request has to expect: the usual time to the first content, for each that is with it and this one.
    pub fn expected_seconds(&self) -> f64 {
        let waiting = u32::try_from(self.in_flight() + 1).unwrap_or(u32::MAX);
        self.latency.seconds(Instant::now()) * f64::from(waiting)
    }
}

/// A request that is with a provider. Dropped when its answer has ended.
pub struct Hold {
    vitals: Arc<Vitals>,
    _turn: Turn,
}

impl Drop for Hold {
    fn drop(&mut self) {
        self.vitals.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}
