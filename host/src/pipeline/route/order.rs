//! In which order those who serve a model are tried.

use super::Choice;
use crate::config::Strategy;

/// The first is the one that the strategy chooses; those behind it are who it would choose without the ones before.
pub fn by(strategy: Strategy, mut choices: Vec<Choice>) -> Vec<Choice> {
    if choices.len() > 1 {
        match strategy {
            Strategy::InOrder => {}
            Strategy::Weighted => sort_by(&mut choices, |choice| arrival(choice.weight)),
            Strategy::LeastInFlight => sort_by(&mut choices, |choice| {
                let load = u32::try_from(choice.pulse.load()).unwrap_or(u32::MAX);
                // As many as there would be then, so that weights count among the idle, too; and chance among equals.
                per_weight(f64::from(load) + 1.0, choice.weight) * (1.0 + fastrand::f64() * 1e-6)
            }),
            Strategy::LowestLatency => sort_by(&mut choices, |choice| {
                per_weight(choice.pulse.expected_seconds(), choice.weight) + fastrand::f64() * 1e-6
            }),
        }
        if matches!(strategy, Strategy::LeastInFlight | Strategy::LowestLatency) {
            // Nobody waits for a turn while somebody else has one to give, unless that one is to get nothing.
            choices.sort_by_key(|choice| (choice.weight <= 0.0, choice.pulse.is_full()));
        }
    }
    choices
}

fn sort_by(choices: &mut [Choice], cost: impl Fn(&Choice) -> f64) {
    choices.sort_by_cached_key(|choice| Cost(cost(choice)));
}

/// When the first of events that come by chance, `weight` of them in a unit of time, would come: whoever's is first is
/// chosen in proportion to the weight, and so is the second among the rest.
fn arrival(weight: f64) -> f64 {
    per_weight(-(1.0 - fastrand::f64()).ln(), weight)
}

/// Who has no weight comes last.
fn per_weight(cost: f64, weight: f64) -> f64 {
    if weight > 0.0 { cost / weight } else { f64::INFINITY }
}

/// Compared as numbers; there is no NaN among them.
#[derive(PartialEq)]
struct Cost(f64);

impl Eq for Cost {}

impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// One of these by chance, in proportion to their weights; None where there is none.
pub fn pick<T: Copy>(of: impl Iterator<Item = (T, f64)>) -> Option<T> {
    of.map(|(item, weight)| (item, arrival(weight))).min_by(|a, b| a.1.total_cmp(&b.1)).map(|(item, _)| item)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_follows_the_weights() {
        let picked = |weights: [f64; 3]| {
            let mut counts = [0_u32; 3];
            for _ in 0..10_000 {
                counts[pick(weights.into_iter().enumerate()).expect("three")] += 1;
            }
            counts
        };
        let [light, heavy, none] = picked([1.0, 3.0, 0.0]);
        assert!((2_200..2_800).contains(&light) && (7_200..7_800).contains(&heavy) && none == 0, "{light} {heavy}");
        assert_eq!(pick([((), 0.0)].into_iter()), Some(()), "where there is no other");
    }
}
