//! What a sidecar hears of its node's calls on files, and what it answers: the same as a sandbox's agent, but that those it hears of
//! are started by the engine. Whoever is started comes to its door first, and goes on when it is heard.
//!
//! Who is heard waits for an answer, for ever if need be: as long as anybody is there, somebody has to attend.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::time::Duration;

use super::{DATA, launch};
use crate::backend::BackendError;
use crate::backend::kernel::children;
use crate::backend::kernel::disk::{Disks, Fate, attempt};
use crate::backend::kernel::execs::Execs;
use crate::disk::{Disk, Watch, Work};

/// How long who comes to the door may take for what is asked of it there.
const PATIENCE: Duration = Duration::from_secs(5);

/// Who hears.
pub(super) struct Hearing {
    /// Where launchers come to, if anything is to be heard.
    door: Option<UnixListener>,
    /// One that has come, and has been let in.
    guest: Option<UnixStream>,
    execs: Option<Execs>,
    disks: Disks,
}

impl Hearing {
    /// Opens the door, if there is anything to be heard.
    ///
    /// # Errors
    /// When the kernel does not let us hear.
    pub(super) fn begin(watch: &Watch) -> Result<Self, BackendError> {
        let door = if watch.is_empty() { None } else { Some(open().map_err(refused)?) };
        let disks = Disks::new(DATA, watch.clone());
        Ok(Hearing { door, guest: None, execs: None, disks })
    }

    /// What is readable when there is something to attend to; negative where there is nothing.
    pub(super) fn descriptors(&self) -> [RawFd; 3] {
        let of = |one: Option<RawFd>| one.unwrap_or(-1);
        [
            of(self.door.as_ref().map(AsRawFd::as_raw_fd)),
            of(self.guest.as_ref().map(AsRawFd::as_raw_fd)),
            of(self.execs.as_ref().map(AsRawFd::as_raw_fd)),
        ]
    }

    /// How long until a call that is held back goes on.
    pub(super) fn until_due(&self) -> Option<Duration> {
        self.disks.until_due()
    }

    /// Attends to what is readable, as the kernel has told of each descriptor. Whether the node is to go down.
    ///
    /// # Errors
    /// When the kernel or a disk does not do what it always does.
    pub(super) fn attend(&mut self, [door, guest, calls]: [i16; 3]) -> io::Result<bool> {
        self.let_go(false)?;
        if door != 0 {
            self.let_in()?;
        }
        if guest != 0 {
            self.adopt()?;
        }
        match calls {
            0 => Ok(false),
            calls if calls & libc::POLLIN != 0 => self.answer(),
            // Nobody is left who could call.
            _ => {
                self.execs = None;
                Ok(false)
            }
        }
    }

    /// Somebody is at the door. What is there before it runs is durable.
    fn let_in(&mut self) -> io::Result<()> {
        let Some(Ok((mut guest, _))) = self.door.as_ref().map(UnixListener::accept) else { return Ok(()) };
        self.disks.begin()?;
        guest.set_nonblocking(false)?;
        guest.set_read_timeout(Some(PATIENCE))?;
        // It may be gone again: then nobody comes out of it.
        self.guest = guest.write_all(&[1]).is_ok().then_some(guest);
        Ok(())
    }

    /// Who has been let in has something to hand over, or is gone.
    fn adopt(&mut self) -> io::Result<()> {
        let Some(guest) = self.guest.take().map(OwnedFd::from) else { return Ok(()) };
        if let Ok(Some(execs)) = Execs::receive(&guest) {
            // Those that were heard before are dead.
            self.disks.killed();
            self.execs = Some(execs);
            // Closed again, it goes on; closed without a word, it does not.
            let _ = UnixStream::from(guest).write_all(&[1]);
        }
        Ok(())
    }

    /// Somebody waits to make a call. Whether the node is to go down instead.
    fn answer(&mut self) -> io::Result<bool> {
        let Some(execs) = &self.execs else { return Ok(false) };
        let Some(waiting) = execs.next()? else { return Ok(false) };
        match self.disks.judge(waiting)? {
            Fate::Passes => execs.allow(&waiting)?,
            Fate::Answered(result) => execs.answer(&waiting, result)?,
            Fate::Waits => {}
            Fate::Fatal => return Ok(true),
        }
        Ok(false)
    }

    /// Lets those go on whose calls were held back for long enough, or all: who is held cannot be stopped or traced.
    ///
    /// # Errors
    /// When it cannot be seen what is durable.
    pub(super) fn let_go(&mut self, all: bool) -> io::Result<()> {
        for waiting in self.disks.due(all)? {
            if let Some(execs) = &self.execs {
                execs.allow(&waiting)?;
            }
        }
        Ok(())
    }

    /// From now on the disk is this wrong.
    ///
    /// # Errors
    /// When it cannot be seen what is durable.
    pub(super) fn set(&mut self, disk: Disk) -> io::Result<()> {
        self.let_go(true)?;
        self.disks.set(disk);
        Ok(())
    }

    /// Everybody is dead: what has to happen meanwhile is done.
    ///
    /// # Errors
    /// When a file cannot be changed.
    pub(super) fn at_rest(&mut self) -> io::Result<()> {
        self.disks.killed();
        self.disks.at_rest().map(drop)
    }

    /// What was seen and done until now.
    pub(super) fn work(&self) -> &Work {
        self.disks.work()
    }
}

fn open() -> io::Result<UnixListener> {
    children::awaited(attempt)?;
    launch::door()
}

fn refused(error: io::Error) -> BackendError {
    BackendError::Unsupported {
        problem: format!("disks cannot be broken: nobody hears of a container's calls on files ({error})"),
        remedy: "let the engine's containers make filters of calls (seccomp): its usual profile does, with Linux 5.5 or \
                 newer; or run it with --backend sandbox"
            .into(),
    }
}
