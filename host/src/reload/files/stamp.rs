//! What tells that a file may have changed.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::SystemTime;

/// Enough to see that a file may have changed; whether it has, its digest tells.
#[derive(Clone, PartialEq)]
pub struct Stamp {
    modified: Option<SystemTime>,
    /// When anything about it changed, who may read it above all: seconds and nanoseconds.
    changed: (i64, i64),
    size: u64,
    inode: u64,
}

/// None where there is no such file.
pub fn stamp(file: &Path) -> io::Result<Option<Stamp>> {
    let metadata = match fs::metadata(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata?,
    };
    let stamp = Stamp {
        modified: metadata.modified().ok(),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
        size: metadata.len(),
        inode: metadata.ino(),
    };
    Ok(metadata.is_file().then_some(stamp))
}

/// None where it cannot be seen, too.
pub fn look_at(file: &Path) -> Option<Stamp> {
    stamp(file).ok().flatten()
}
