//! Ways to cut a stream into batches. No result may depend on them.

use plugway_sdk::cases::kit;
use std::ops::Range;

/// Streams of more events are split in two at so many places, evenly.
const SPLITS: usize = 64;

/// The SDK's ways, of which the first is all at once, and splits in two.
pub fn ways(count: usize) -> Vec<Vec<Range<usize>>> {
    let mut ways = kit::ways(count);
    let step = count.div_ceil(SPLITS).max(1);
    ways.extend((1..count).step_by(step).map(|at| vec![0..at, at..count]));
    ways
}

#[cfg(test)]
mod tests {
    use super::ways;

    #[test]
    fn a_short_stream_is_split_everywhere_and_a_long_one_often() {
        let in_two = |count| ways(count).iter().filter(|way| way.len() == 2 && !way[1].is_empty()).count();
        assert!(in_two(5) >= 4);
        assert!((64..80).contains(&in_two(10_000)));
    }

    #[test]
    fn a_call_without_a_stream_is_made_once_for_each_way() {
        assert!(ways(0).iter().flatten().all(|batch| batch.is_empty()));
    }
}
