//! Puts a node's processes under strain, and takes it away again: holds a thread, limits memory and descriptors, and says when
//! the daemon is to be killed and started again.
//!
//! A thread is held by ptrace, limits are the soft ones of each process (`prlimit`), which whoever runs as the same user may set
//! and raise again. Everything here ends with the node, which ends with whoever holds this: its agent, or its sidecar.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::time::{Duration, Instant};

use super::clock::{keep, let_go};
use super::connections::Connections;
use super::processes;
use crate::strain::{HeldThread, Name, Room, Strained, Strains};

/// How long a daemon has, from its start, until it has all the threads that it will have.
const GROWS: Duration = Duration::from_secs(2);

/// How a node is strained.
#[derive(Default)]
pub struct Straining {
    wanted: Strains,
    held: Option<(i32, Kept)>,
    memory: Limited,
    files: Limited,
    /// When the daemon is to be killed and started again.
    due: Option<Instant>,
    /// When connections are to be ended, by what, and how many have been.
    disconnects: Option<Instant>,
    connections: Option<Connections>,
    ended: u64,
    /// All of it is stopped by another fault: it is not the time for that.
    pub paused: bool,
}

/// The signal that is on its way to a held thread.
type Kept = i32;

/// The soft limits that processes had before: by process id.
#[derive(Default)]
struct Limited {
    before: BTreeMap<i32, u64>,
    limit: u64,
}

/// A resource that can be limited.
#[derive(Clone, Copy)]
enum Resource {
    Memory,
    Files,
}

impl Straining {
    /// Makes it so, for the processes that there are. Safe to repeat.
    ///
    /// # Errors
    /// When the kernel refuses; `TimedOut` when a thread does not stop.
    pub fn set(&mut self, wanted: Strains, daemon: Option<u32>) -> io::Result<()> {
        let had = std::mem::replace(&mut self.wanted, wanted);
        if wanted.storm != had.storm {
            self.due = wanted.storm.map(|_| Instant::now());
        }
        if wanted.disconnect != had.disconnect {
            self.disconnects = wanted.disconnect.map(|_| Instant::now());
            // Tried at once: where it cannot be done, that is said.
            self.disconnect()?;
        }
        for (resource, wanted, had) in
            [(Resource::Memory, wanted.memory, had.memory), (Resource::Files, wanted.files, had.files)]
        {
            if wanted == had {
                continue;
            }
            let limited = self.limited(resource);
            limited.end(resource)?;
            if let (Some(room), Some(pid)) = (wanted, daemon) {
                limited.begin(resource, room, pid as i32)?;
            }
        }
        if wanted.thread != had.thread {
            self.release();
            // Until it is held: this may be tried again.
            self.wanted.thread = None;
            if let (Some(name), Some(pid)) = (wanted.thread, daemon) {
                self.hold(pid as i32, name)?;
            }
            self.wanted.thread = wanted.thread;
        }
        Ok(())
    }

    /// All processes are gone: there is nobody to let go.
    pub fn killed(&mut self) {
        self.held = None;
        let_go(0, 0);
        (self.memory, self.files) = (Limited::default(), Limited::default());
        self.paused = false;
    }

    /// How long until there is something to do.
    pub fn until_due(&self) -> Option<Duration> {
        let due = self.due.filter(|_| !self.paused).into_iter().chain(self.disconnects).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    /// Ends connections if it is time to.
    pub fn disconnect(&mut self) -> io::Result<()> {
        let (Some(due), Some(every)) = (self.disconnects, self.wanted.disconnect) else { return Ok(()) };
        if Instant::now() >= due {
            let connections = match &mut self.connections {
                Some(connections) => connections,
                none => none.insert(Connections::open()?),
            };
            self.ended += connections.end()?;
            self.disconnects = Some(Instant::now() + every);
        }
        Ok(())
    }

    /// Whether the daemon is to be killed and started now.
    pub fn strikes(&mut self) -> bool {
        let is_time = !self.paused && self.due.is_some_and(|due| Instant::now() >= due);
        let Some(every) = self.wanted.storm.filter(|_| is_time) else { return false };
        self.due = Some(Instant::now() + every);
        true
    }

    /// What is to be seen of it.
    pub fn seen(&self, daemon: Option<u32>, starts: u32) -> Strained {
        let ended = self.ended;
        let Some(pid) = daemon.map(|pid| pid as i32) else {
            return Strained { starts, ended, ..Strained::default() };
        };
        let room = |resource: Resource, limited: &Limited| {
            let here = limited.before.contains_key(&pid);
            Some(Room { used: resource.used(pid)?, limit: limited.limit }).filter(|_| here)
        };
        let thread = self.held.and_then(|(id, _)| {
            let stat = fs::read(format!("/proc/{pid}/task/{id}/stat")).ok()?;
            let stopped = matches!(processes::state(&stat), Some(b't' | b'T'));
            Some(HeldThread { id, stopped, cpu: processes::thread_cpu(pid, id)? })
        });
        let (memory, files) = (room(Resource::Memory, &self.memory), room(Resource::Files, &self.files));
        Strained { thread, memory, files, starts, ended }
    }

    fn limited(&mut self, resource: Resource) -> &mut Limited {
        match resource {
            Resource::Memory => &mut self.memory,
            Resource::Files => &mut self.files,
        }
    }

    fn hold(&mut self, pid: i32, name: Name) -> io::Result<()> {
        let young = processes::age(pid).is_none_or(|age| age < GROWS);
        let threads = threads(pid)?;
        let named = threads.iter().filter(|(_, known)| name.is_busiest() || *known == name.to_string());
        let busiest = named.max_by_key(|(id, _)| (processes::thread_cpu(pid, *id), -id)).map(|(id, _)| *id);
        let Some(id) = busiest else {
            if young {
                // None is held, and that is seen.
                return Ok(());
            }
            let mut names: Vec<String> = threads.into_iter().map(|(_, name)| name).collect();
            names.sort();
            names.dedup();
            return Err(io::Error::other(format!(
                "no thread is called `{name}`: there is {}",
                names.join(", ")
            )));
        };
        self.held = keep(pid, id)?.map(|signal| (id, signal));
        Ok(())
    }

    /// Lets the thread that is held go on.
    pub fn release(&mut self) {
        if let Some((id, signal)) = self.held.take() {
            let_go(id, signal);
        }
    }
}

impl Limited {
    /// Leaves everybody what the daemon has, and so much more.
    fn begin(&mut self, resource: Resource, room: u64, daemon: i32) -> io::Result<()> {
        let Some(used) = resource.used(daemon) else { return Ok(()) };
        self.limit = used.saturating_add(room);
        for pid in processes::everybody()? {
            let Some(before) = resource.limit(pid, None)? else { continue };
            resource.limit(pid, Some(self.limit.min(before.rlim_cur)))?;
            self.before.insert(pid, before.rlim_cur);
        }
        Ok(())
    }

    /// Gives everybody back what he had; who was made meanwhile has inherited the limit, and gets what the first one had.
    fn end(&mut self, resource: Resource) -> io::Result<()> {
        let Limited { before, limit } = std::mem::take(self);
        let Some(first) = before.values().next().copied() else { return Ok(()) };
        for pid in processes::everybody()? {
            let Some(now) = resource.limit(pid, None)? else { continue };
            if now.rlim_cur == limit {
                resource.limit(pid, Some(before.get(&pid).copied().unwrap_or(first)))?;
            }
        }
        Ok(())
    }
}

impl Resource {
    /// How much of it a process uses; `None` if that has ended.
    fn used(self, pid: i32) -> Option<u64> {
        match self {
            Resource::Memory => {
                let pages = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
                // SAFETY: a plain call.
                let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as u64;
                Some(pages.split(' ').next()?.parse::<u64>().ok()? * page)
            }
            Resource::Files => {
                let open = fs::read_dir(format!("/proc/{pid}/fd")).ok()?;
                let mut open: Vec<u64> =
                    open.flatten().filter_map(|name| name.file_name().to_str()?.parse().ok()).collect();
                open.sort_unstable();
                // The kernel gives out the lowest one that is free.
                let full = open.iter().zip(0..).take_while(|(one, at)| **one == *at).count();
                Some(full as u64)
            }
        }
    }

    /// A process's limit, before it gets another soft one; `None` if it has ended.
    fn limit(self, pid: i32, soft: Option<u64>) -> io::Result<Option<libc::rlimit64>> {
        let which = match self {
            Resource::Memory => libc::RLIMIT_AS,
            Resource::Files => libc::RLIMIT_NOFILE,
        };
        let mut now = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: both structures live through the calls, and a null pointer asks for nothing.
        let done = unsafe {
            let asked = libc::prlimit64(pid, which, std::ptr::null(), &raw mut now);
            match soft {
                Some(soft) if asked == 0 => {
                    let wanted = libc::rlimit64 { rlim_cur: soft.min(now.rlim_max), ..now };
                    libc::prlimit64(pid, which, &raw const wanted, std::ptr::null_mut())
                }
                _ => asked,
            }
        };
        match io::Error::last_os_error() {
            _ if done == 0 => Ok(Some(now)),
            error if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            error => Err(error),
        }
    }
}

/// Limits a process, and gives it back what it had: whether it can be done here.
pub fn attempt(pid: i32) -> io::Result<()> {
    for resource in [Resource::Memory, Resource::Files] {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        let used = resource.used(pid).ok_or_else(gone)?;
        let before = resource.limit(pid, None)?.ok_or_else(gone)?;
        resource.limit(pid, Some(used))?;
        resource.limit(pid, Some(before.rlim_cur))?;
    }
    Ok(())
}

/// The ids and names of a process's threads.
fn threads(pid: i32) -> io::Result<Vec<(i32, String)>> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))?;
    let named = tasks.flatten().filter_map(|task| {
        let id = task.file_name().to_str()?.parse().ok()?;
        Some((id, fs::read_to_string(task.path().join("comm")).ok()?.trim_end().to_owned()))
    });
    Ok(named.collect())
}
