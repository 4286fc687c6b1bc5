//! What a daemon's files held when it was last started.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;

use super::content::Content;
use super::edit::paths;
use super::ledger::Id;
use crate::disk::Pattern;

/// What files held, whatever they are called now.
#[derive(Default)]
pub struct Copies(BTreeMap<Id, Content>);

impl Copies {
    /// Of those files below a directory that fit one of these patterns. It takes as much memory as they have blocks that are not all
    /// zeros.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn of(directory: &Path, files: &BTreeSet<Pattern>) -> io::Result<Self> {
        let mut copies = BTreeMap::new();
        if files.is_empty() {
            return Ok(Copies(copies));
        }
        for path in paths(directory)?.iter().filter(|path| files.iter().any(|files| files.fits(path))) {
            let file = File::open(directory.join(path))?;
            copies.insert(Id::of(&file.metadata()?), Content::of(&file)?);
        }
        Ok(Copies(copies))
    }

    /// What a file held; nothing if it was not there.
    ///
    /// # Errors
    /// When the file cannot be looked at.
    pub fn before(&self, file: &File) -> io::Result<Content> {
        Ok(self.0.get(&Id::of(&file.metadata()?)).cloned().unwrap_or_default())
    }
}
