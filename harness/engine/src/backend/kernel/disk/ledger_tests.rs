//! What outlives a failure of the power, call by call: each test says what was fsynced, and what is there afterwards.

use std::io::Write;

use super::*;

struct Place {
    folder: tempfile::TempDir,
    ledger: Ledger,
}

impl Place {
    /// A directory in which `old` says `first`, durably.
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("old"), "first").expect("writing");
        let ledger = Ledger::of(folder.path()).expect("reading");
        Place { folder, ledger }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("writing");
    }

    fn append(&self, name: &str, text: &str) {
        let file = OpenOptions::new().append(true).open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes())).expect("appending");
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("renaming");
    }

    fn fsync(&mut self, name: &str) {
        let file = File::open(self.path(name)).expect("opening");
        self.ledger.file(&file, Some(Path::new(name)), true).expect("reading");
    }

    fn fdatasync(&mut self, name: &str) {
        let file = File::open(self.path(name)).expect("opening");
        self.ledger.file(&file, Some(Path::new(name)), false).expect("reading");
    }

    fn fsync_directory(&mut self, name: &str) {
        self.ledger.directory(Path::new(name)).expect("reading");
    }

    /// All names and what they hold, after the power has failed.
    fn after(&mut self) -> (String, Lost) {
        let lost = self.ledger.lose(Loss::All).expect("losing");
        let shown = tree(self.folder.path()).expect("listing").into_iter().map(|(path, entry)| {
            let text = match entry.kind {
                Kind::File => fs::read_to_string(self.folder.path().join(&path)).expect("reading"),
                _ => "/".into(),
            };
            format!("{}={text}", path.display())
        });
        let shown = shown.collect::<Vec<_>>().join(" ");
        let again = self.ledger.lose(Loss::All).expect("losing");
        assert_eq!(again, Lost::default(), "what is left is durable");
        (shown, lost)
    }
}

fn lost(bytes: u64, names: u64) -> Lost {
    Lost { bytes, names }
}

#[test]
fn what_was_not_fsynced_is_gone() {
    let mut place = Place::new();
    place.append("old", " second");
    place.write("new", "12345");
    assert_eq!(place.after(), ("old=first".into(), lost(7 + 5, 1)));
    place.write("old", "FIRST and more");
    assert_eq!(place.after(), ("old=first".into(), lost(14, 0)));
    fs::remove_file(place.path("old")).expect("removing");
    assert_eq!(place.after(), ("old=first".into(), lost(0, 1)));
}

#[test]
fn what_was_fsynced_is_there_and_what_came_after_is_not() {
    let mut place = Place::new();
    place.append("old", " second");
    place.fdatasync("old");
    place.append("old", " third");
    place.write("new", "12345");
    place.fdatasync("new");
    assert_eq!(place.after(), ("new=12345 old=first second".into(), lost(6, 0)));
    place.append("new", "6");
    place.fsync("new");
    place.write("new", "");
    assert_eq!(place.after().0, "new=123456 old=first second");
}

#[test]
fn a_new_files_directories_are_durable_with_it() {
    let mut place = Place::new();
    fs::create_dir_all(place.path("a/b")).expect("making");
    fs::create_dir_all(place.path("c")).expect("making");
    place.write("a/b/deep", "1");
    place.write("a/b/not", "2");
    place.fsync("a/b/deep");
    assert_eq!(place.after().0, "a=/ a/b=/ a/b/deep=1 old=first");
    place.write("a/b/now", "3");
    place.fsync_directory("a/b");
    assert_eq!(place.after().0, "a=/ a/b=/ a/b/deep=1 a/b/now= old=first", "its name, and nothing in it");
}

#[test]
fn a_rename_is_durable_with_its_directory() {
    let mut place = Place::new();
    place.write("tmp", "next");
    place.fsync("tmp");
    place.rename("tmp", "old");
    assert_eq!(place.after(), ("old=first tmp=next".into(), lost(0, 2)));
    place.rename("tmp", "old");
    place.fsync_directory("");
    assert_eq!(place.after(), ("old=next".into(), lost(0, 0)));
    place.rename("old", "older");
    place.fdatasync("older");
    assert_eq!(place.after().0, "old=next", "fdatasync does not ask for names");
    place.rename("old", "older");
    place.fsync("older");
    assert_eq!(place.after().0, "older=next");
}

#[test]
fn directories_are_renamed_and_removed_like_files() {
    let mut place = Place::new();
    fs::create_dir(place.path("wal.tmp")).expect("making");
    place.write("wal.tmp/0", "x");
    place.fsync("wal.tmp/0");
    place.rename("wal.tmp", "wal");
    assert_eq!(place.after().0, "old=first wal.tmp=/ wal.tmp/0=x");
    place.rename("wal.tmp", "wal");
    place.fsync_directory("");
    assert_eq!(place.after().0, "old=first wal=/ wal/0=x");
    fs::remove_dir_all(place.path("wal")).expect("removing");
    assert_eq!(place.after().0, "old=first wal=/ wal/0=x");
    fs::remove_dir_all(place.path("wal")).expect("removing");
    place.write("wal", "a file");
    place.fsync("wal");
    assert_eq!(place.after().0, "old=first wal=a file");
}

#[test]
fn an_inode_that_is_used_again_is_another_file() {
    let mut place = Place::new();
    for round in 0..20 {
        fs::remove_file(place.path("old")).expect("removing");
        place.write("other", &format!("{round}"));
        place.fsync("other");
        assert_eq!(place.after().0, format!("old=first other={round}"));
        fs::remove_file(place.path("other")).expect("removing");
        place.fsync_directory("");
    }
}

#[test]
fn written_through_linked_and_given_up() {
    let mut place = Place::new();
    place.write("log", "1");
    place.ledger.written_through(Path::new("log"));
    place.append("log", "2");
    assert_eq!(place.after().0, "log=12 old=first");
    symlink("old", place.path("link")).expect("linking");
    fs::hard_link(place.path("old"), place.path("twin")).expect("linking");
    assert_eq!(place.after(), ("log=12 old=first".into(), lost(0, 2)));
    fs::hard_link(place.path("old"), place.path("twin")).expect("linking");
    place.fsync_directory("");
    place.append("twin", " second");
    place.fsync("twin");
    assert_eq!(place.after().0, "log=12 old=first second twin=first second");
    place.append("log", "3");
    place.ledger.failed(&File::open(place.path("log")).expect("opening")).expect("reading");
    place.fsync("log");
    assert_eq!(place.after().0, "log=12\0 old=first second twin=first second");
}

/// What is new in it is lost as if nobody had asked.
#[test]
fn the_fsync_of_a_directory_fails() {
    let mut place = Place::new();
    place.write("new", "x");
    place.fsync("old");
    place.ledger.failed(&File::open(place.path("")).expect("opening")).expect("nothing is read");
    assert_eq!(place.after().0, "old=first");
}

#[test]
fn torn_keeps_some() {
    let (mut kept, mut names) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..40 {
        let mut place = Place::new();
        place.append("old", "0123456789");
        place.write("new", "x");
        place.ledger.lose(Loss::Torn(seed)).expect("losing");
        let text = fs::read_to_string(place.path("old")).expect("reading");
        assert!("first0123456789".starts_with(&text) && text.len() >= 5, "{text}");
        kept.insert(text.len());
        names.insert(place.path("new").exists());
    }
    assert!(kept.len() > 5 && names.len() == 2, "{kept:?} {names:?}");
}
