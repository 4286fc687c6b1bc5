//! The ledger: what of a node's data directory is durable, by the rules that [`crate::disk`] tells, and how the directory is
//! taken back to that when the power fails.
//!
//! It is told of each fsync before that is done, and copies what changed since the last one: what is written while an fsync is
//! on its way may or may not be kept by it. Reading a file again costs 0.1 to 0.3 ms a megabyte that is not a hole, 0.1 ms at
//! least: for logs and small databases that is little.
//! It cannot know in which order names were changed between two fsyncs of their directory: when some of what was unfsynced
//! outlives a failure, all changes of names do, or none.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use super::content::Content;
use crate::disk::Loss;
use crate::random::Random;

/// A file or directory, whatever its name: the inode, and when it was born, since inodes are used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Id(u64, u128);

impl Id {
    pub(super) fn of(metadata: &Metadata) -> Self {
        let born = metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
        Id(metadata.ino(), born.map_or(0, |time| time.as_nanos()))
    }
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: Id,
    kind: Kind,
    mode: u32,
    owner: (u32, u32),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    File,
    Link(PathBuf),
    /// Sockets and the like: they are left alone.
    Other,
}

type Names = BTreeMap<OsString, Entry>;
/// Every name below a directory, by its path from there.
type Tree = BTreeMap<PathBuf, Entry>;

/// What is durable.
pub struct Ledger {
    root: PathBuf,
    top: Id,
    directories: BTreeMap<Id, Names>,
    files: BTreeMap<Id, Content>,
    /// Files that are written through: paths from the root.
    through: BTreeSet<PathBuf>,
}

/// What was lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// Bytes that are gone or are again what they were.
    pub bytes: u64,
    /// Names that are gone or are there again.
    pub names: u64,
}

impl Ledger {
    /// Of a directory, all of which is durable now.
    ///
    /// # Errors
    /// When something in it cannot be read.
    pub fn of(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        let top = Id::of(&fs::metadata(&root)?);
        let (directories, files, through) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        let mut ledger = Ledger { root, top, directories, files, through };
        ledger.everything()?;
        Ok(ledger)
    }

    /// Everything is durable now, as after a `sync`.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn everything(&mut self) -> io::Result<()> {
        self.directories.clear();
        let mut open = vec![(self.top, self.root.clone())];
        while let Some((id, path)) = open.pop() {
            let Some(names) = list(&path)? else { continue };
            for (name, entry) in &names {
                let path = path.join(name);
                match entry.kind {
                    Kind::Directory => open.push((entry.id, path)),
                    Kind::File => self.take(entry.id, &path)?,
                    Kind::Link(_) | Kind::Other => {}
                }
            }
            self.directories.insert(id, names);
        }
        self.forget();
        Ok(())
    }

    /// A file that is open was fsynced. It is found there; `path` is its name from the root, if it has one. `with_name` unless only its
    /// data was asked for: a name that it got since it had none is durable all the same.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn file(&mut self, file: &File, path: Option<&Path>, with_name: bool) -> io::Result<()> {
        let metadata = file.metadata()?;
        let id = Id::of(&metadata);
        self.files.entry(id).or_default().take(file)?;
        let named = self.directories.values().flat_map(BTreeMap::values).any(|entry| entry.id == id);
        match path {
            Some(path) if with_name || !named => self.name(path, id),
            _ => Ok(()),
        }
    }

    /// An fsync has failed: what had changed in a file is given up. Of a directory nothing is: its names are as durable as they
    /// were.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn failed(&mut self, file: &File) -> io::Result<()> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(());
        }
        self.files.entry(Id::of(&metadata)).or_default().give_up(file)
    }

    /// A directory was fsynced: the names in it are durable, and that others are gone.
    ///
    /// # Errors
    /// When something cannot be read.
    pub fn directory(&mut self, path: &Path) -> io::Result<()> {
        let whole = self.root.join(path);
        let Some(names) = list(&whole)? else { return Ok(()) };
        let id = Id::of(&fs::metadata(&whole)?);
        self.directories.insert(id, names);
        self.name(path, id)?;
        self.forget();
        Ok(())
    }

    /// What is written to the file of this name is durable at once.
    pub fn written_through(&mut self, path: &Path) {
        self.through.insert(path.to_owned());
    }

    /// The power fails: what is not durable is lost, all of it or some. What is left is durable.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub fn lose(&mut self, loss: Loss) -> io::Result<Lost> {
        for path in std::mem::take(&mut self.through) {
            if let Ok(file) = File::open(self.root.join(&path)) {
                self.file(&file, Some(&path), true)?;
            }
        }
        let now = tree(&self.root)?;
        let durable = self.durable();
        let keeps_names = match loss {
            Loss::All => false,
            Loss::Torn(seed) => Random::of(seed, "names").below(2) == 0,
        };
        let wanted = if keeps_names { now.clone() } else { durable };
        let mut lost = Lost::default();
        let mut contents = BTreeMap::new();
        for (path, entry) in wanted.iter().filter(|(_, entry)| entry.kind == Kind::File) {
            let kept = self.files.get(&entry.id).cloned().unwrap_or_default();
            let open = now.iter().find(|(_, one)| one.id == entry.id).map(|(path, _)| path);
            let Some(open) = open else {
                contents.insert(path, kept);
                continue;
            };
            let present = Content::of(&File::open(self.root.join(open))?)?;
            let left = match loss {
                Loss::All => kept,
                Loss::Torn(seed) => kept.torn(&present, &mut Random::of(seed, &path.to_string_lossy())),
            };
            lost.bytes += left.bytes_apart(&present);
            contents.insert(path, left);
        }
        for (path, entry) in &now {
            if wanted.get(path).map(|one| one.id) != Some(entry.id) && entry.kind != Kind::Other {
                lost.names += 1;
                // A file without any name is lost as a whole.
                if entry.kind == Kind::File && !wanted.values().any(|one| one.id == entry.id) {
                    lost.bytes += fs::metadata(self.root.join(path))?.len();
                }
            }
        }
        lost.names += wanted.keys().filter(|path| !now.contains_key(*path)).count() as u64;
        restore(&self.root, &now, &wanted, &contents)?;
        self.files.clear();
        self.everything()?;
        Ok(lost)
    }

    /// The file there is durable as it is.
    fn take(&mut self, id: Id, path: &Path) -> io::Result<()> {
        match File::open(path) {
            Ok(file) => self.files.entry(id).or_default().take(&file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// This is its name now, durably, and so are those of the directories above.
    fn name(&mut self, path: &Path, id: Id) -> io::Result<()> {
        let mut whole = self.root.clone();
        let mut above = self.top;
        for name in path {
            whole.push(name);
            let Some(entry) = look(&whole)? else { return Ok(()) };
            // Somebody renamed it meanwhile.
            if entry.kind != Kind::Directory && entry.id != id {
                return Ok(());
            }
            let below = entry.id;
            let known = self.directories.get(&above).and_then(|names| names.get(name)) == Some(&entry);
            if !known {
                self.unname(&entry)?;
                self.directories.entry(above).or_default().insert(name.into(), entry);
            }
            above = below;
        }
        Ok(())
    }

    /// Its durable names are gone with the next one, unless it still has them.
    fn unname(&mut self, entry: &Entry) -> io::Result<()> {
        let olds: Vec<PathBuf> =
            self.durable().into_iter().filter(|(_, old)| old.id == entry.id).map(|(path, _)| path).collect();
        for old in olds {
            if look(&self.root.join(&old))?.is_some_and(|now| now.id == entry.id) {
                continue;
            }
            let name = old.file_name().unwrap_or(OsStr::new(""));
            for names in self.directories.values_mut() {
                if names.get(name).is_some_and(|one| one.id == entry.id) {
                    names.remove(name);
                }
            }
        }
        Ok(())
    }

    /// Every durable name.
    fn durable(&self) -> Tree {
        let mut tree = Tree::new();
        let mut open = vec![(self.top, PathBuf::new())];
        while let Some((id, path)) = open.pop() {
            for (name, entry) in self.directories.get(&id).into_iter().flatten() {
                let path = path.join(name);
                // A directory that was moved into itself by two renames of which one is durable would have no end.
                if entry.kind == Kind::Directory && !tree.values().any(|one| one.id == entry.id) {
                    open.push((entry.id, path.clone()));
                }
                tree.insert(path, entry.clone());
            }
        }
        tree
    }

    /// Nobody can come back to files that have no durable name and none now.
    fn forget(&mut self) {
        let Ok(now) = tree(&self.root) else { return };
        let ids: BTreeSet<Id> = self.durable().values().chain(now.values()).map(|entry| entry.id).collect();
        self.files.retain(|id, _| ids.contains(id));
        let top = self.top;
        self.directories.retain(|id, _| *id == top || ids.contains(id));
    }
}

/// What a name stands for; nothing if it does not exist.
fn look(path: &Path) -> io::Result<Option<Entry>> {
    let metadata = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    let kind = match metadata.file_type() {
        kind if kind.is_dir() => Kind::Directory,
        kind if kind.is_file() => Kind::File,
        kind if kind.is_symlink() => Kind::Link(fs::read_link(path)?),
        _ => Kind::Other,
    };
    let owner = (metadata.uid(), metadata.gid());
    Ok(Some(Entry { id: Id::of(&metadata), kind, mode: metadata.mode() & 0o7777, owner }))
}

/// The names in a directory; nothing if it does not exist.
fn list(path: &Path) -> io::Result<Option<Names>> {
    let mut names = Names::new();
    let found = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    for one in found {
        let one = one?;
        if let Some(entry) = look(&one.path())? {
            names.insert(one.file_name(), entry);
        }
    }
    Ok(Some(names))
}

fn tree(root: &Path) -> io::Result<Tree> {
    let mut tree = Tree::new();
    let mut open = vec![PathBuf::new()];
    while let Some(path) = open.pop() {
        for (name, entry) in list(&root.join(&path))?.unwrap_or_default() {
            let path = path.join(name);
            if entry.kind == Kind::Directory {
                open.push(path.clone());
            }
            tree.insert(path, entry);
        }
    }
    Ok(tree)
}

/// Makes a directory what is wanted of it.
fn restore(root: &Path, now: &Tree, wanted: &Tree, contents: &BTreeMap<&PathBuf, Content>) -> io::Result<()> {
    let same = |path: &PathBuf| match (now.get(path), wanted.get(path)) {
        (Some(one), Some(other)) => one.id == other.id || matches!(one.kind, Kind::Other),
        _ => false,
    };
    // What is below something comes after it.
    for (path, entry) in now.iter().rev().filter(|(path, entry)| !same(path) && entry.kind != Kind::Other) {
        let whole = root.join(path);
        let stays = wanted.get(path).is_some_and(|one| one.kind == Kind::Directory);
        match entry.kind {
            Kind::Directory if stays => {}
            Kind::Directory => fs::remove_dir_all(whole)?,
            _ => fs::remove_file(whole)?,
        }
    }
    let mut made: BTreeMap<Id, PathBuf> = BTreeMap::new();
    for (path, entry) in wanted {
        let whole = root.join(path);
        match &entry.kind {
            Kind::Directory if whole.is_dir() => {}
            Kind::Directory => fs::DirBuilder::new().mode(entry.mode).create(&whole)?,
            Kind::Link(to) if !same(path) => symlink(to, &whole)?,
            Kind::Link(_) | Kind::Other => continue,
            Kind::File => {
                if let Some(first) = made.get(&entry.id) {
                    if !same(path) {
                        fs::hard_link(first, &whole)?;
                    }
                    continue;
                }
                let mut options = OpenOptions::new();
                let file = options.read(true).write(true).create(true).truncate(false).open(&whole).or_else(
                    |error| {
                        // One that may not be written to even by its owner.
                        fs::set_permissions(&whole, Permissions::from_mode(0o600)).map_err(|_| error)?;
                        OpenOptions::new().read(true).write(true).open(&whole)
                    },
                )?;
                contents[path].write(&file)?;
                file.set_permissions(Permissions::from_mode(entry.mode))?;
                made.insert(entry.id, whole.clone());
            }
        }
        // Whom it belonged to; in a user namespace there may be nobody else to give it to.
        let _ = std::os::unix::fs::lchown(&whole, Some(entry.owner.0), Some(entry.owner.1));
    }
    Ok(())
}

#[cfg(test)]
#[path = "ledger_tests.rs"]
mod tests;
