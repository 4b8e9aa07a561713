//! The keys of one provider, as one request goes through them.

use crate::pipeline::route::{Choice, order};
use crate::vitals::{Fitness, Keys};
use std::time::Duration;

pub struct Ring<'a> {
    choice: &'a Choice,
    /// The key-less provider's one is None.
    keys: Vec<Option<usize>>,
    /// Asked for a pause in this request.
    limited: Vec<Option<usize>>,
    /// To be tried next, whatever else there is.
    same: Option<Option<usize>>,
}

/// Whose turn it is.
pub enum Turned {
    Key(Option<usize>),
    /// All that serve are to be left alone, the first of them for so long.
    Resting(Duration),
    /// All have been tried.
    Spent,
}

/// Where the state of a key is kept.
pub fn slot(key: Option<usize>) -> usize {
    key.unwrap_or_default()
}

impl<'a> Ring<'a> {
    pub fn of(choice: &'a Choice) -> Self {
        let keys = match choice.ready.key_less {
            true => vec![None],
            false => choice.keys().map(Some).collect(),
        };
        Ring { choice, keys, limited: Vec::new(), same: None }
    }

    /// The fittest; by chance, in proportion to the weights, among equals.
    pub fn turn(&mut self) -> Turned {
        if let Some(key) = self.same.take() {
            return Turned::Key(key);
        }
        let Some(fittest) = self.unspent().map(|key| self.fitness(key)).min() else { return Turned::Spent };
        if let Fitness::Resting(pause) = fittest {
            return Turned::Resting(pause);
        }
        let equals = self.unspent().filter(|key| self.fitness(*key) == fittest);
        order::pick(equals.map(|key| (key, self.weight(key)))).map_or(Turned::Spent, Turned::Key)
    }

    /// Whether a key is left that can be tried now.
    pub fn has_another(&self) -> bool {
        self.unspent().any(|key| !matches!(self.fitness(key), Fitness::Resting(_)))
    }

    /// This one has asked for a pause.
    pub fn limited(&mut self, key: Option<usize>) {
        self.limited.push(key);
    }

    /// This one is not taken.
    pub fn refused(&mut self, key: Option<usize>) {
        self.keys.retain(|other| *other != key);
    }

    /// It was not the key's fault.
    pub fn stay_with(&mut self, key: Option<usize>) {
        self.same = Some(key);
    }

    /// Time has passed, so those that asked for a pause may be tried again.
    pub fn again(&mut self) {
        self.limited.clear();
    }

    fn unspent(&self) -> impl Iterator<Item = Option<usize>> {
        self.keys.iter().copied().filter(|key| !self.limited.contains(key))
    }

    pub fn fitness(&self, key: Option<usize>) -> Fitness {
        self.states().fitness(slot(key))
    }

    fn states(&self) -> &Keys {
        &self.choice.target.vitals.keys
    }

    fn weight(&self, key: Option<usize>) -> f64 {
        key.map_or(1.0, |index| self.choice.target.config.keys[index].weight)
    }
}
