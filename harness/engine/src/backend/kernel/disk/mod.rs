//! A node's disk as it is wanted: what its daemon is told by the calls that it makes, and what is done to the files that it has
//! left behind.

mod attempt;
mod calls;
mod content;
mod copies;
mod edit;
mod ledger;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub use self::attempt::attempt;
use self::calls::Heard;
use self::copies::Copies;
use self::ledger::Ledger;
use super::execs::Waiting;
use super::filter::Rule;
use crate::disk::{Call, Disk, Edit, Error, Pattern, Refusal, Watch, Work};

/// Keeps a node's disk as wrong as it is wanted.
pub struct Disks {
    data: PathBuf,
    watch: Watch,
    /// What is durable, once a daemon has been started.
    ledger: Option<Ledger>,
    /// What files held when the daemon was last started.
    copies: Copies,
    wanted: Disk,
    /// Which of the edits in force have been made.
    made: BTreeSet<Edit>,
    /// How often each refusal in force has refused.
    spent: BTreeMap<Refusal, u32>,
    /// How many calls there have been of the kind by which the node is to go down.
    counted: u32,
    /// Calls that are held back, and until when.
    held: Vec<(Instant, Waiting)>,
    work: Work,
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is made.
    Passes,
    /// It is answered so, and not made.
    Answered(Result<i64, i32>),
    /// It waits.
    Waits,
    /// The node goes down, and who made the call never hears of it.
    Fatal,
}

impl Disks {
    /// Of the node whose data directory this is.
    pub fn new(data: impl Into<PathBuf>, watch: Watch) -> Self {
        Disks {
            data: data.into(),
            watch,
            ledger: None,
            copies: Copies::default(),
            wanted: Disk::default(),
            made: BTreeSet::new(),
            spent: BTreeMap::new(),
            counted: 0,
            held: Vec::new(),
            work: Work::default(),
        }
    }

    /// What has to be told of a daemon's calls.
    pub fn rules(&self) -> Vec<Rule> {
        calls::rules(&self.watch)
    }

    /// A daemon is about to be started. What is there before the first one is durable.
    ///
    /// # Errors
    /// When the data directory cannot be read.
    pub fn begin(&mut self) -> io::Result<()> {
        if self.watch.keeps_ledger && self.ledger.is_none() {
            self.ledger = Some(Ledger::of(&self.data)?);
        }
        self.copies = Copies::of(&self.data, &self.watch.copies)?;
        Ok(())
    }

    /// From now on it is this wrong.
    pub fn set(&mut self, disk: Disk) {
        self.made.retain(|edit| disk.edits.contains(edit));
        self.spent.retain(|refusal, _| disk.refuses.contains(refusal));
        if disk.strike != self.wanted.strike {
            self.counted = 0;
        }
        self.wanted = disk;
    }

    /// What becomes of a call that is waiting.
    ///
    /// # Errors
    /// When it cannot be seen what is durable.
    pub fn judge(&mut self, waiting: Waiting) -> io::Result<Fate> {
        let mut heard = calls::hear(&waiting, &self.data);
        if heard.path.is_none() && !heard.everything {
            return Ok(Fate::Passes);
        }
        if heard.call == Some(Call::Sync) {
            self.work.syncs += 1;
        }
        if let Some(fate) = self.strikes(&mut heard, &waiting)? {
            return Ok(fate);
        }
        if let Some(error) = self.refuses(&heard) {
            self.work.refused += 1;
            if let (Some(ledger), Some(Call::Sync), Some(file)) = (&mut self.ledger, heard.call, &heard.file)
            {
                ledger.failed(file)?;
            }
            return Ok(Fate::Answered(Err(error)));
        }
        if heard.call == Some(Call::Sync) {
            if self.wanted.lies {
                self.work.lied += 1;
                return Ok(Fate::Answered(Ok(0)));
            }
            if !self.wanted.slow.is_zero() {
                self.work.slowed += 1;
                self.held.push((Instant::now() + self.wanted.slow, waiting));
                return Ok(Fate::Waits);
            }
        }
        self.keep(&heard)?;
        Ok(Fate::Passes)
    }

    /// How long until a call that is held back goes on.
    pub fn until_due(&self) -> Option<Duration> {
        let due = self.held.iter().map(|(due, _)| *due).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// The threads whose calls are held back.
    pub fn held(&self) -> Vec<i32> {
        self.held.iter().map(|(_, waiting)| waiting.thread).collect()
    }

    /// Calls that were held back for long enough, to be allowed; `all` of them if nobody may be held now.
    ///
    /// # Errors
    /// When it cannot be seen what is durable.
    pub fn due(&mut self, all: bool) -> io::Result<Vec<Waiting>> {
        let now = Instant::now();
        let (due, held): (Vec<_>, Vec<_>) = self.held.drain(..).partition(|(due, _)| all || *due <= now);
        self.held = held;
        for (due, waiting) in &due {
            let begun = *due - self.wanted.slow;
            self.work.held += now.saturating_duration_since(begun);
            self.keep(&calls::hear(waiting, &self.data))?;
        }
        Ok(due.into_iter().map(|(_, waiting)| waiting).collect())
    }

    /// Everybody is gone.
    pub fn killed(&mut self) {
        self.held.clear();
    }

    /// Whether going down is a failure of the power.
    pub fn lose_power(&self) -> bool {
        self.ledger.is_some() && self.wanted.loses.is_some()
    }

    /// Nobody runs who could use it: what has to happen meanwhile is done, each once. Whether the power failed.
    ///
    /// # Errors
    /// When a file cannot be changed.
    pub fn at_rest(&mut self) -> io::Result<bool> {
        let fails = self.lose_power();
        if let (Some(ledger), Some(loss)) = (&mut self.ledger, self.wanted.loses) {
            let lost = ledger.lose(loss)?;
            self.work.losses += 1;
            self.work.lost_bytes += lost.bytes;
            self.work.lost_names += lost.names;
        }
        for edit in self.wanted.edits.difference(&self.made) {
            let done = edit::edit(&self.data, edit, &self.copies)?;
            self.work.edits += done.len() as u64;
            self.work.edited = done.last().cloned().unwrap_or_default();
            // It was done to the disk itself.
            if let Some(ledger) = &mut self.ledger {
                ledger.everything()?;
            }
        }
        self.made.clone_from(&self.wanted.edits);
        Ok(fails)
    }

    /// What was seen and done until now.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// Whether the node goes down by this call, which is done before if that was asked for.
    fn strikes(&mut self, heard: &mut Heard, waiting: &Waiting) -> io::Result<Option<Fate>> {
        let Some(strike) = self.wanted.strike else { return Ok(None) };
        if !is(heard, strike.call) || !fits(heard, &strike.files) || self.counted >= strike.nth {
            return Ok(None);
        }
        self.counted += 1;
        self.work.counted += 1;
        if self.counted < strike.nth {
            return Ok(None);
        }
        self.work.strikes += 1;
        if strike.done {
            if self.wanted.lies && strike.call == Call::Sync {
                self.work.lied += 1;
            } else {
                calls::make(waiting, &self.data)?;
                self.keep(heard)?;
            }
        }
        Ok(Some(Fate::Fatal))
    }

    /// The error by which a call is refused, if it is.
    fn refuses(&mut self, heard: &Heard) -> Option<i32> {
        let refuses = self.wanted.refuses.iter().find(|refusal| {
            let left = refusal.times.is_none_or(|most| self.spent.get(refusal).is_none_or(|is| *is < most));
            left && is(heard, refusal.call) && fits(heard, &refusal.files)
        })?;
        *self.spent.entry(*refuses).or_default() += 1;
        Some(match refuses.error {
            Error::Io => libc::EIO,
            Error::NoSpace => libc::ENOSPC,
            Error::ReadOnly => libc::EROFS,
        })
    }

    /// What a call that is about to be made makes durable, is durable.
    fn keep(&mut self, heard: &Heard) -> io::Result<()> {
        let Some(ledger) = &mut self.ledger else { return Ok(()) };
        if let (true, Some(path)) = (heard.through, &heard.path) {
            ledger.written_through(path);
        }
        if heard.call != Some(Call::Sync) {
            return Ok(());
        }
        match (&heard.path, &heard.file) {
            _ if heard.everything => ledger.everything(),
            (Some(path), Some(file)) if file.metadata()?.is_dir() => ledger.directory(path),
            (Some(path), Some(file)) => ledger.file(file, Some(path), !heard.only_data),
            (Some(path), None) => match std::fs::File::open(self.data.join(path)) {
                Ok(file) => ledger.file(&file, Some(path), false),
                Err(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }
}

/// Whether a call is about one of these files; one about all of them is, if these are all.
fn fits(heard: &Heard, files: &Pattern) -> bool {
    let path = heard.path.as_ref().map(|path| path.to_string_lossy());
    path.map_or(*files == Pattern::ALL, |path| files.fits(&path))
}

/// Whether it is such a call.
fn is(heard: &Heard, call: Call) -> bool {
    match call {
        Call::Grow => heard.grows,
        call => heard.call == Some(call),
    }
}
