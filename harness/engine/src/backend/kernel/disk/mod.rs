//! A node's disk as it is wanted: what is done to the files that its daemon has left behind.

mod edit;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use crate::disk::{Disk, Edit, Work};

/// Keeps a node's disk as wrong as it is wanted.
pub struct Disks {
    data: PathBuf,
    wanted: Disk,
    /// Which of the edits in force have been made.
    made: BTreeSet<Edit>,
    work: Work,
}

impl Disks {
    /// Of the node whose data directory this is.
    pub fn new(data: impl Into<PathBuf>) -> Self {
        Disks { data: data.into(), wanted: Disk::default(), made: BTreeSet::new(), work: Work::default() }
    }

    /// From now on it is this wrong.
    pub fn set(&mut self, disk: Disk) {
        self.made.retain(|edit| disk.edits.contains(edit));
        self.wanted = disk;
    }

    /// Nobody runs who could use it: what has to happen meanwhile is done, each once.
    ///
    /// # Errors
    /// When a file cannot be changed.
    pub fn at_rest(&mut self) -> io::Result<()> {
        for edit in self.wanted.edits.difference(&self.made) {
            let done = edit::edit(&self.data, edit)?;
            self.work.edits += done.len() as u64;
            self.work.edited = done.last().cloned().unwrap_or_default();
        }
        self.made.clone_from(&self.wanted.edits);
        Ok(())
    }

    /// What was seen and done until now.
    pub fn work(&self) -> &Work {
        &self.work
    }
}
