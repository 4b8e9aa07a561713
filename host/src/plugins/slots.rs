//! Instances over all plugins: how many there may be, and which are given back when somebody needs one.
//!
//! Warm instances wait on shelves, one shelf for each configured plugin. Without a word between the shelves, plugins that
//! nobody asks would hold every slot there is.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Idle instances on one shelf. A call runs to its end on one thread unless it steps aside, so a few suffice.
const MAX_IDLE: usize = 8;
/// An instance that has not been asked for so long is given back.
const MAX_IDLE_TIME: Duration = Duration::from_secs(10);

/// The room for one instance, for as long as it is held.
pub type Slot = OwnedSemaphorePermit;

/// All slots.
pub struct Slots<T> {
    free: Arc<Semaphore>,
    count: usize,
    waiting: AtomicUsize,
    shelves: Mutex<Vec<Weak<Shelf<T>>>>,
}

impl<T> Slots<T> {
    pub fn new(count: usize) -> Self {
        Slots { free: Arc::new(Semaphore::new(count)), count, waiting: AtomicUsize::new(0), shelves: Mutex::default() }
    }

    pub fn count(&self) -> usize {
        self.count
    }

    /// A slot: a free one, else that of the instance that has been idle the longest, else the first to become free in
    /// this time.
    pub async fn take(&self, limit: Duration) -> Option<Slot> {
        if let Ok(slot) = self.free.clone().try_acquire_owned() {
            return Some(slot);
        }
        let _waiting = Waiting::new(&self.waiting);
        self.give_back_one();
        tokio::time::timeout(limit, self.free.clone().acquire_owned()).await.ok()?.ok()
    }

    /// A shelf for one plugin's idle instances.
    pub fn shelf(&self) -> Arc<Shelf<T>> {
        let shelf = Arc::new(Shelf { idle: Mutex::default() });
        let mut shelves = lock(&self.shelves);
        shelves.retain(|shelf| shelf.strong_count() > 0);
        shelves.push(Arc::downgrade(&shelf));
        shelf
    }

    /// Puts an instance on its shelf, unless somebody waits for its slot.
    pub fn put_back(&self, shelf: &Shelf<T>, instance: T) {
        shelf.put(instance);
        // Looked at after putting: whoever came to wait before has not found it there.
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.give_back_one();
        }
    }

    /// Gives back what has been idle for long.
    pub fn give_back_unused(&self) {
        let Some(before) = Instant::now().checked_sub(MAX_IDLE_TIME) else { return };
        for shelf in self.shelves() {
            drop(shelf.take_unused_since(before));
        }
    }

    fn give_back_one(&self) {
        let shelves = self.shelves();
        let oldest =
            shelves.iter().filter_map(|shelf| Some((shelf.idle_since()?, shelf))).min_by_key(|(since, _)| *since);
        if let Some((_, shelf)) = oldest {
            drop(shelf.take_oldest());
        }
    }

    fn shelves(&self) -> Vec<Arc<Shelf<T>>> {
        lock(&self.shelves).iter().filter_map(Weak::upgrade).collect()
    }
}

/// Counts one who waits, until it is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Waiting(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Idle instances of one configured plugin, the longest unused first.
pub struct Shelf<T> {
    idle: Mutex<Vec<(Instant, T)>>,
}

impl<T> Shelf<T> {
    /// The one that was used last: what it needs is in the processor's caches.
    pub fn take(&self) -> Option<T> {
        lock(&self.idle).pop().map(|(_, instance)| instance)
    }

    fn put(&self, instance: T) {
        let mut idle = lock(&self.idle);
        if idle.len() < MAX_IDLE {
            idle.push((Instant::now(), instance));
        }
    }

    fn idle_since(&self) -> Option<Instant> {
        lock(&self.idle).first().map(|(since, _)| *since)
    }

    fn take_oldest(&self) -> Option<T> {
        let mut idle = lock(&self.idle);
        (!idle.is_empty()).then(|| idle.remove(0).1)
    }

    fn take_unused_since(&self, before: Instant) -> Vec<(Instant, T)> {
        let mut idle = lock(&self.idle);
        let unused = idle.partition_point(|(since, _)| *since <= before);
        idle.drain(..unused).collect()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOMENT: Duration = Duration::from_millis(50);
    const LONG: Duration = Duration::from_secs(60);

    async fn instance(slots: &Slots<Slot>) -> Slot {
        slots.take(MOMENT).await.expect("a slot")
    }

    #[tokio::test]
    async fn whoever_needs_a_slot_gets_that_of_the_longest_idle() {
        let slots = Slots::new(2);
        let (first, second) = (slots.shelf(), slots.shelf());
        slots.put_back(&first, instance(&slots).await);
        slots.put_back(&second, instance(&slots).await);
        let _third = instance(&slots).await;
        assert!(first.take().is_none() && second.take().is_some());
    }

    #[tokio::test]
    async fn where_all_are_running_the_wait_has_an_end() {
        let slots = Slots::<Slot>::new(1);
        let _running = instance(&slots).await;
        assert!(slots.take(MOMENT).await.is_none());
    }

    #[tokio::test]
    async fn an_instance_that_comes_back_makes_room_for_who_waits() {
        let slots = Slots::new(1);
        let shelf = slots.shelf();
        let running = instance(&slots).await;
        let comes_back = async {
            tokio::time::sleep(MOMENT).await;
            slots.put_back(&shelf, running);
        };
        let (waited, ()) = tokio::join!(slots.take(LONG), comes_back);
        assert!(waited.is_some() && shelf.take().is_none());
    }

    #[tokio::test]
    async fn only_what_is_unused_for_long_is_given_back() {
        let slots = Slots::new(2);
        let shelf = slots.shelf();
        let (one, other) = (instance(&slots).await, instance(&slots).await);
        slots.put_back(&shelf, one);
        slots.put_back(&shelf, other);
        slots.give_back_unused();
        assert_eq!(lock(&shelf.idle).len(), 2);
        lock(&shelf.idle)[0].0 = Instant::now().checked_sub(MAX_IDLE_TIME).expect("the machine is up for longer");
        slots.give_back_unused();
        assert_eq!(lock(&shelf.idle).len(), 1);
    }
}
