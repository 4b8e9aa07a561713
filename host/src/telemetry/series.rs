//! Metrics whose series come with providers and go with them.

use prometheus_client::metrics::family::{Family, MetricConstructor};
use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// One metric for each set of labels. A family alone cannot say which sets it has, so that none could be taken out again.
pub(super) struct Series<L, M, C = fn() -> M> {
    family: Family<L, M, C>,
    known: Mutex<HashSet<L>>,
}

impl<L: Clone + Eq + Hash, M: Clone, C: MetricConstructor<M>> Series<L, M, C> {
    pub fn of(family: Family<L, M, C>) -> Self {
        Series { family, known: Mutex::default() }
    }

    pub fn with(&self, labels: &L, count: impl FnOnce(&M)) {
        if let Some(metric) = self.family.get(labels) {
            return count(&metric);
        }
        let mut known = self.known();
        known.insert(labels.clone());
        count(&self.family.get_or_create(labels));
    }

    /// Takes out those that are not to stay. What is counted in one after that begins it anew.
    pub fn retain(&self, stays: impl Fn(&L) -> bool) {
        self.known().retain(|labels| {
            let stays = stays(labels);
            if !stays {
                self.family.remove(labels);
            }
            stays
        });
    }

    fn known(&self) -> MutexGuard<'_, HashSet<L>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
