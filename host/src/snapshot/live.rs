//! The one pointer that a reload exchanges.

use super::Snapshot;
use arc_swap::ArcSwap;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Which generation serves, and which files were refused. The serving threads read it, once for each
/// request; the reload loop alone exchanges it.
pub struct Live {
    current: ArcSwap<Snapshot>,
    refused: Mutex<BTreeMap<PathBuf, RefusedFile>>,
}

/// A file that was not taken, and why. What it should have replaced goes on serving.
#[derive(Clone, Debug)]
pub struct RefusedFile {
    pub reason: String,
    pub since: std::time::SystemTime,
}

impl Live {
    pub fn new(first: Snapshot) -> Self {
        Live { current: ArcSwap::from_pointee(first), refused: Mutex::default() }
    }

    /// For a request: taken once and kept to its end.
    pub fn current(&self) -> Arc<Snapshot> {
        self.current.load_full()
    }

    /// The swap of a reload. It cannot fail; whatever can has been done before.
    pub fn swap(&self, next: Snapshot) {
        self.current.store(Arc::new(next));
    }

    pub fn refuse(&self, file: PathBuf, reason: String) {
        let refused = RefusedFile { reason, since: std::time::SystemTime::now() };
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).insert(file, refused);
    }

    pub fn accept(&self, file: &std::path::Path) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(file);
    }

    pub fn refused(&self) -> BTreeMap<PathBuf, RefusedFile> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
