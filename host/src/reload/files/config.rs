//! The configuration's file, and the files that it names.

use super::stamp::{Stamp, look_at};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

#[derive(Default)]
pub struct ConfigFiles {
    stamp: Option<Stamp>,
    /// Files with secrets or certificates, as they were when it was read.
    reads: BTreeMap<PathBuf, Option<Stamp>>,
    /// It was refused for what stood around it: another change may make it fit.
    retry: bool,
    /// It is looked at with the next look, changed or not.
    again: bool,
    /// Why it could not be read the last time.
    unread: Option<String>,
}

impl ConfigFiles {
    pub fn new(file: Option<&Path>, reads: &BTreeSet<PathBuf>) -> Self {
        let mut config = ConfigFiles { stamp: file.and_then(look_at), ..ConfigFiles::default() };
        config.reads(reads);
        config
    }

    /// What the configuration was made from beside its own file, whether it was good or not.
    pub fn reads(&mut self, reads: &BTreeSet<PathBuf>) {
        let mut before = std::mem::take(&mut self.reads);
        // What was looked at before it was read counts: a file that changed meanwhile is read again.
        let stamp = |file: &PathBuf| before.remove(file).unwrap_or_else(|| look_at(file));
        self.reads = reads.iter().cloned().zip(reads.iter().map(stamp)).collect();
    }

    /// Notes why it, or a file that it names, could not be read, if that is so: it is tried again with the next look, as
    /// nothing need change on the disk for it to be readable. False where the reason is known already.
    pub fn unread(&mut self, reason: Option<String>) -> bool {
        self.again = reason.is_some();
        let known = std::mem::replace(&mut self.unread, reason);
        known.is_none() || known != self.unread
    }

    /// Whether it may say something else than at the last look.
    pub fn may_have_changed(&mut self, file: &Path) -> bool {
        let stamp = look_at(file);
        let mut reads_other = false;
        for (file, stamp) in &mut self.reads {
            let before = std::mem::replace(stamp, look_at(file));
            reads_other |= before != *stamp;
        }
        // A configuration that is being replaced is missing for a moment.
        if stamp.is_none() {
            return false;
        }
        let is_other = stamp != self.stamp;
        self.stamp = stamp;
        std::mem::take(&mut self.again) || is_other || reads_other
    }

    /// It is looked at again after the next change that was taken.
    pub fn does_not_fit(&mut self) {
        self.retry = true;
    }

    pub fn look_again(&mut self) {
        self.again |= std::mem::take(&mut self.retry);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_is_tried_again_and_told_once() {
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("plugway.yaml");
        std::fs::write(&file, "").expect("a file");
        let mut config = ConfigFiles::new(Some(&file), &BTreeSet::new());
        assert!(!config.may_have_changed(&file));
        for is_news in [true, false] {
            assert_eq!(config.unread(Some("too many open files".to_owned())), is_news);
            assert!(config.may_have_changed(&file), "though nothing has changed");
        }
        assert!(config.unread(None) && !config.may_have_changed(&file));
        assert!(config.unread(Some("too many open files".to_owned())), "which is news again");
    }

    /// A change of permissions leaves size, time of writing and inode as they were.
    #[test]
    fn who_may_read_it_counts() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::TempDir::new().expect("a folder");
        let file = folder.path().join("plugway.yaml");
        std::fs::write(&file, "").expect("a file");
        let mut config = ConfigFiles::new(Some(&file), &BTreeSet::new());
        let began = std::time::Instant::now();
        // The clock of a file system may stand still for a few milliseconds.
        while !config.may_have_changed(&file) {
            assert!(began.elapsed().as_secs() < 5, "the change is not seen");
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).expect("permissions");
        }
    }
}
