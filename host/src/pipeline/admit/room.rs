//! How much memory the bodies of all requests take together. Each by itself is bounded; ten thousand of the largest, waiting
//! for a slow service, are more than any machine has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Shared by all serving threads.
#[derive(Default)]
pub struct Room {
    taken: AtomicUsize,
}

impl Room {
    /// A place that nothing stands in yet. `limit` is that of all places together.
    pub fn place(self: &Arc<Self>, limit: usize) -> Place {
        Place { room: self.clone(), limit, bytes: 0 }
    }
}

/// What one body takes of it, until it is dropped.
pub struct Place {
    room: Arc<Room>,
    limit: usize,
    bytes: usize,
}

impl Place {
    /// Whether there is room for a body that has grown to this. One alone always fits.
    pub fn grow(&mut self, bytes: usize) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let before = self.room.taken.fetch_add(more, Ordering::Relaxed);
        self.bytes += more;
        before + more <= self.limit || before + more == self.bytes
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.room.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_until_somebody_leaves() {
        let room = Arc::new(Room::default());
        let (mut first, mut second) = (room.place(100), room.place(100));
        assert!(first.grow(40) && first.grow(60), "it grows to 60, not by 60");
        assert!(second.grow(40), "to the brim");
        let mut third = room.place(100);
        assert!(!third.grow(1));
        drop(third);
        drop(first);
        assert!(room.place(100).grow(60));
        assert!(second.grow(1_000), "who is alone is bounded by what one body may take, and not here");
        drop(second);
        assert_eq!(room.taken.load(Ordering::Relaxed), 0);
    }
}
