//! What can be wrong with a node's disk: with the files in its data directory, and with what the kernel answers about them.
//!
//! Some of it is done to a daemon that runs (calls that fail, are late, or lie), some to what a daemon leaves behind when it
//! goes down: writes that were never fsynced are lost, as when the power fails, and files are changed behind its back.
//!
//! What is durable, by `fsync(2)` and by what journalling file systems (ext4, xfs, btrfs) do besides:
//! - a file's content and length, once it was fsynced (`fdatasync`, `msync`, `sync` and `syncfs` count, `sync_file_range` does
//!   not), or as soon as it is written where it was opened for that (`O_SYNC`, `O_DSYNC`);
//! - the name of a file, and those of the directories above it, once the file was fsynced under it (`fdatasync`: only if it had
//!   none yet), or once its directory was;
//! - that a name is gone, by a removal or by a rename, once the directory in which it was is fsynced.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One thing that is wrong with a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Wrong {
    /// Whenever the daemon goes down, what it has not fsynced goes with it.
    Lose(Loss),
    /// Files are changed once, while the daemon is down.
    Edit(Edit),
    /// An fsync is answered at once, as if it had been done, and is not.
    Lie,
    /// An fsync takes so much longer.
    Slow(Duration),
    /// Calls of a kind fail.
    Refuse(Refusal),
    /// The node goes down in the middle of a call, and is started again at once.
    Strike(Strike),
}

/// A moment at which a node goes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Strike {
    /// By which kind of call.
    pub call: Call,
    /// By which of them, counted from the beginning of the fault: the first is 1.
    pub nth: u32,
    /// Whether the call is done before the node goes down. Nobody is told that it was.
    pub done: bool,
    /// Of those on which files.
    pub files: Pattern,
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Strike { call, nth, done, files } = self;
        write!(f, "{} {} {nth}", if *done { "after" } else { "before" }, call.word())?;
        if *files == Pattern::ALL { Ok(()) } else { write!(f, " of {files}") }
    }
}

/// What becomes of writes that were never fsynced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Loss {
    /// Some are kept and some are lost, by chance from this seed: blocks in any order, the beginning of what was appended.
    Torn(u64),
    /// All of them are lost.
    All,
}

/// A change of files behind a daemon's back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edit {
    /// What is done.
    pub harm: Harm,
    /// To each of which files.
    pub files: Pattern,
    /// Where in them: chance from this seed.
    pub seed: u64,
}

/// What is done to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Harm {
    /// Its last few bytes are cut off.
    Tear,
    /// It is cut off anywhere.
    Truncate,
    /// So many bits of it are turned, each anywhere.
    Flip(u32),
    /// So many bytes of it have their lowest bit turned, each anywhere: one line of a bus is bad. Digits stay digits.
    Line(u32),
    /// A block of it is zeros.
    Zero,
    /// One of its blocks stands where another should: a write that went to the wrong place.
    Misdirect,
    /// One of its blocks is what it was when the daemon was last started: a write that was acknowledged, fsynced even, and lost.
    RollBack,
}

/// Calls that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Refusal {
    /// Which calls.
    pub call: Call,
    /// On which files.
    pub files: Pattern,
    /// What the kernel is made to say.
    pub error: Error,
    /// Only so many times, then never again while this stands; `None` is always.
    pub times: Option<u32>,
}

/// A kind of call on files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Call {
    /// `fsync`, `fdatasync` and the like.
    Sync,
    /// Any write.
    Write,
    /// A write, or a reservation, beyond a file's end.
    Grow,
    /// Opening a file that is there, in order to write.
    Open,
    /// Making a file, a directory, or anything else that has a name or an inode of its own: what takes a free inode.
    Create,
    /// Renaming.
    Rename,
    /// Removing, and cutting short.
    Remove,
}

/// What a refused call is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Error {
    /// EIO.
    Io,
    /// ENOSPC.
    NoSpace,
    /// EROFS.
    ReadOnly,
}

/// Which files: their name, or their path below the data directory, with `*` for anything. At most 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Pattern([u8; Pattern::LONGEST]);

impl Pattern {
    /// How long one may be, in bytes.
    pub const LONGEST: usize = 32;
    /// All files.
    pub const ALL: Pattern = {
        let mut text = [0; Pattern::LONGEST];
        text[0] = b'*';
        Pattern(text)
    };

    /// The pattern of that text; nothing if it is too long.
    pub fn of(text: &str) -> Option<Self> {
        let mut bytes = [0; Pattern::LONGEST];
        bytes.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        Some(Pattern(bytes))
    }

    fn text(&self) -> &[u8] {
        let end = self.0.iter().position(|byte| *byte == 0).unwrap_or(Pattern::LONGEST);
        &self.0[..end]
    }

    /// Whether a file with this path below the data directory is meant.
    pub fn fits(&self, path: &str) -> bool {
        let name = path.rsplit('/').next().unwrap_or(path);
        fits(self.text(), name.as_bytes()) || fits(self.text(), path.as_bytes())
    }
}

/// Whether the text is what the pattern says; `*` is any run of bytes.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skipped| fits(rest, &text[skipped..])),
        Some((byte, rest)) => {
            text.split_first().is_some_and(|(first, text)| first == byte && fits(rest, text))
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.text()))
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl Call {
    /// For people.
    pub fn word(self) -> &'static str {
        match self {
            Call::Sync => "fsync",
            Call::Write | Call::Grow => "write",
            Call::Open => "open",
            Call::Create => "create",
            Call::Rename => "rename",
            Call::Remove => "remove",
        }
    }
}

/// Which of a daemon's calls have to be heard of. Those that are cost it some 35 µs more, so only what a plan needs is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// Calls of these kinds.
    pub calls: BTreeSet<Call>,
    /// Whether it has to be known what is durable.
    pub keeps_ledger: bool,
    /// Of which files it has to be known what they held when the daemon was started.
    pub copies: BTreeSet<Pattern>,
}

impl Watch {
    /// What has to be heard of, if all this may go wrong.
    pub fn of(wrongs: &[Wrong]) -> Self {
        let mut watch = Watch::default();
        for wrong in wrongs {
            match wrong {
                Wrong::Edit(Edit { harm: Harm::RollBack, files, .. }) => {
                    watch.copies.insert(*files);
                    // Who is heard is waited for when it starts.
                    watch.calls.insert(Call::Sync);
                }
                Wrong::Edit(_) => {}
                Wrong::Lose(_) => {
                    watch.keeps_ledger = true;
                    watch.calls.insert(Call::Sync);
                }
                Wrong::Lie | Wrong::Slow(_) => drop(watch.calls.insert(Call::Sync)),
                Wrong::Refuse(Refusal { call, .. }) | Wrong::Strike(Strike { call, .. }) => {
                    watch.calls.insert(*call);
                }
            }
        }
        watch
    }

    /// Whether what files held is kept in memory.
    pub fn remembers(&self) -> bool {
        self.keeps_ledger || !self.copies.is_empty()
    }

    /// Whether nothing has to be heard of.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }
}

/// Everything that is wrong with a disk. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// What becomes of unfsynced writes when the daemon goes down.
    pub loses: Option<Loss>,
    /// What is done to files while it is down.
    pub edits: BTreeSet<Edit>,
    /// Whether an fsync does nothing.
    pub lies: bool,
    /// How much longer an fsync takes.
    pub slow: Duration,
    /// Which calls fail.
    pub refuses: BTreeSet<Refusal>,
    /// When the node goes down.
    pub strike: Option<Strike>,
}

impl Disk {
    /// Makes it worse by this: of two losses or delays the larger stands, of two moments the first; all edits and refusals do.
    pub fn join(&mut self, wrong: Wrong) {
        match wrong {
            Wrong::Lose(loss) => self.loses = self.loses.max(Some(loss)),
            Wrong::Edit(edit) => drop(self.edits.insert(edit)),
            Wrong::Lie => self.lies = true,
            Wrong::Slow(by) => self.slow = self.slow.max(by),
            Wrong::Refuse(refusal) => drop(self.refuses.insert(refusal)),
            Wrong::Strike(strike) => self.strike = Some(self.strike.map_or(strike, |one| one.min(strike))),
        }
    }
}

/// What was seen of a node's disk, and done to it, from the beginning on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    /// Fsyncs that were seen.
    pub syncs: u64,
    /// Of these, those that were answered and not done.
    pub lied: u64,
    /// Those that were held back.
    pub slowed: u64,
    /// For how long in all.
    pub held: Duration,
    /// Calls that were made to fail.
    pub refused: u64,
    /// Calls that were counted up to the one by which the node was to go down.
    pub counted: u64,
    /// How often the node went down in the middle of a call.
    pub strikes: u64,
    /// How often unfsynced writes were lost, or would have been if there had been any.
    pub losses: u64,
    /// Bytes that were lost, or were again what they had been.
    pub lost_bytes: u64,
    /// Files that were made, renamed or removed, and were not any more.
    pub lost_names: u64,
    /// Files that were changed behind the daemon's back.
    pub edits: u64,
    /// The last of these, for people.
    pub edited: String,
}

/// What one wrong did between two looks, and whether that is proof of it.
pub fn shown(wrong: Wrong, before: &Work, after: &Work) -> (bool, String) {
    let since = |count: fn(&Work) -> u64| count(after) - count(before);
    match wrong {
        Wrong::Edit(_) => {
            let edits = since(|work| work.edits);
            let what = if edits == 0 { "no file was changed" } else { after.edited.as_str() };
            let more = if edits > 1 { format!(" and {} more", edits - 1) } else { String::new() };
            (edits > 0, format!("{what}{more}"))
        }
        // A store that syncs before it answers may well have had nothing to lose: that it was watched, and that it went
        // down, is the proof.
        Wrong::Lose(_) => {
            let (bytes, names) = (since(|work| work.lost_bytes), since(|work| work.lost_names));
            let bit = since(|work| work.losses) > 0 && (after.syncs > 0 || bytes + names > 0);
            (
                bit,
                format!(
                    "lost {bytes} bytes and {names} names that no fsync had kept, after {} fsyncs",
                    after.syncs
                ),
            )
        }
        Wrong::Strike(strike) => {
            let strikes = since(|work| work.strikes);
            let evidence = match strikes {
                0 => format!("never came to {strike}: {} of them", since(|work| work.counted)),
                _ => format!("went down {strike}"),
            };
            (strikes > 0, evidence)
        }
        Wrong::Lie => {
            let lied = since(|work| work.lied);
            (lied > 0, format!("{lied} fsyncs answered and not done"))
        }
        Wrong::Slow(_) => {
            let slowed = since(|work| work.slowed);
            let held = after.held.saturating_sub(before.held).as_secs_f64() * 1e3 / slowed.max(1) as f64;
            (slowed > 0, format!("{slowed} fsyncs held by {held:.1} ms on average"))
        }
        Wrong::Refuse(_) => {
            let refused = since(|work| work.refused);
            (refused > 0, format!("{refused} calls refused"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_names_and_paths() {
        let fits = |pattern: &str, path: &str| Pattern::of(pattern).expect("short").fits(path);
        assert!(fits("*", "a/b") && fits("log-*", "log-7") && fits("log-*", "deep/log-7"));
        assert!(fits("*/wal/*.wal", "etcd/member/wal/0-0.wal") && fits("a*b*c", "a-b-b-c"));
        assert!(!fits("log-*", "lock") && !fits("wal", "wal/0") && !fits("", "a") && !fits("a*b", "a-b-c"));
        assert_eq!(Pattern::of(&"a".repeat(33)), None);
        assert!(fits(&"a".repeat(32), &"a".repeat(32)));
        assert_eq!(Pattern::ALL, Pattern::of("*").expect("short"));
    }

    #[test]
    fn wrongs_join_to_the_worst() {
        let of = |wrongs: &[Wrong]| {
            let mut disk = Disk::default();
            wrongs.iter().for_each(|wrong| disk.join(*wrong));
            disk
        };
        let ms = Duration::from_millis;
        let both =
            of(&[Wrong::Lose(Loss::All), Wrong::Slow(ms(5)), Wrong::Lose(Loss::Torn(9)), Wrong::Slow(ms(3))]);
        assert_eq!((both.loses, both.slow, both.lies), (Some(Loss::All), ms(5), false));
        let refusal = Refusal { call: Call::Sync, files: Pattern::ALL, error: Error::Io, times: Some(1) };
        let other = Refusal { call: Call::Write, ..refusal };
        assert_eq!(
            of(&[Wrong::Refuse(refusal), Wrong::Refuse(other), Wrong::Refuse(refusal)]).refuses.len(),
            2
        );
        let edit = Edit { harm: Harm::Flip(1), files: Pattern::ALL, seed: 1 };
        assert_eq!(of(&[Wrong::Edit(edit)]).edits, [edit].into());
        let strike = |nth| Strike { call: Call::Sync, nth, done: true, files: Pattern::ALL };
        assert_eq!(of(&[Wrong::Strike(strike(9)), Wrong::Strike(strike(7))]).strike, Some(strike(7)));
    }

    #[test]
    fn no_more_is_heard_of_than_has_to_be() {
        let edit = Edit { harm: Harm::Flip(1), files: Pattern::ALL, seed: 1 };
        assert!(Watch::of(&[Wrong::Edit(edit)]).is_empty());
        let strike = Strike { call: Call::Rename, nth: 1, done: false, files: Pattern::ALL };
        let both = Watch::of(&[Wrong::Strike(strike), Wrong::Lose(Loss::All)]);
        let calls = [Call::Sync, Call::Rename].into();
        assert_eq!(both, Watch { calls, keeps_ledger: true, ..Watch::default() });
        let syncs = Watch { calls: [Call::Sync].into(), ..Watch::default() };
        assert_eq!(Watch::of(&[Wrong::Lie]), syncs);
        let back = Edit { harm: Harm::RollBack, ..edit };
        assert_eq!(Watch::of(&[Wrong::Edit(back)]), Watch { copies: [Pattern::ALL].into(), ..syncs });
    }
}
