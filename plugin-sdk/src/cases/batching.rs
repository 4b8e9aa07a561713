//! Ways to cut a stream into batches. No result may depend on them.

use super::diff;
use serde_json::Value;
use std::iter;
use std::ops::Range;

/// How many ways by chance, beside all at once, one by one, and the end on its own.
const BY_CHANCE: u64 = 8;

/// Runs with every batching; the last batch of each ends the stream.
pub(super) fn in_every_way(
    count: usize,
    run: impl Fn(&[Range<usize>]) -> Result<Value, String>,
) -> Result<Value, String> {
    let mut first: Option<Value> = None;
    for way in ways(count) {
        let answer = run(&way)?;
        match &first {
            None => first = Some(answer),
            Some(first) if *first == answer => {}
            Some(first) => {
                let sizes: Vec<usize> = way.iter().map(Range::len).collect();
                let diff = diff::of(first, &answer);
                return Err(format!("the result depends on the batching; in batches of {sizes:?} it differs\n{diff}"));
            }
        }
    }
    Ok(first.unwrap_or_default())
}

/// All at once, one by one, the end on its own, and some by chance.
pub fn ways(count: usize) -> Vec<Vec<Range<usize>>> {
    let one_by_one = || (0..count).map(|at| at..at + 1);
    let all_at_once = iter::once(0..count).collect();
    let then_the_end = one_by_one().chain(iter::once(count..count)).collect();
    let mut ways = vec![all_at_once, then_the_end];
    if count > 0 {
        ways.push(one_by_one().collect());
        ways.extend((1..=BY_CHANCE).map(|seed| by_chance(count, seed)));
    }
    ways
}

/// Batches of one to four, the same for the same seed.
pub fn by_chance(count: usize, seed: u64) -> Vec<Range<usize>> {
    let (mut batches, mut from, mut random) = (Vec::new(), 0, seed);
    while from < count {
        // The constants of Knuth's MMIX generator; its high bits are the good ones.
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let to = count.min(from + 1 + (random >> 62) as usize);
        batches.push(from..to);
        from = to;
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_way_has_everything_once_and_in_order() {
        for count in [0, 1, 2, 17] {
            for way in ways(count) {
                let flat: Vec<usize> = way.iter().cloned().flatten().collect();
                assert_eq!(flat, (0..count).collect::<Vec<_>>(), "{way:?}");
                assert!(!way.is_empty(), "nothing would end the stream");
            }
        }
    }

    #[test]
    fn what_depends_on_the_batching_is_found() {
        let counts_batches = in_every_way(3, |way| Ok(json!(way.len())));
        assert!(counts_batches.unwrap_err().contains("in batches of [1, 1, 1, 0]"));
    }
}
