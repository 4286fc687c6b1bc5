//! A node as the controller holds it: the process id of its agent, and the lifeline on which they talk.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use super::protocol::{Command, Exit, Furniture, Message, Reply, receive, send};
use super::system::{check, limit_reads};
use super::warden::Newborn;
use crate::backend::BackendError;
use crate::cluster::Node;

/// How long an agent may take for one command. The slowest is a pause, which has its own, shorter limit.
const PATIENCE_SECONDS: i64 = 30;
/// How long a killed node may take to be gone: its processes may be waiting for the disk.
const LAST_WAIT: Duration = Duration::from_secs(10);

/// A node's agent, seen from the controller. Dropping it kills the node.
pub(super) struct Agent {
    node: Node,
    pid: libc::pid_t,
    lifeline: OwnedFd,
    exits: VecDeque<Exit>,
    /// The agent's end of the lifeline is closed, and that has been noted.
    lost: bool,
    /// The process has been waited for: its id may be another's by now.
    ended: bool,
}

impl Agent {
    /// Takes charge of a process that has just been made.
    pub(super) fn adopt(newborn: Newborn) -> Self {
        let Newborn { node, pid, lifeline } = newborn;
        Agent { node, pid, lifeline, exits: VecDeque::new(), lost: false, ended: false }
    }

    /// Tells it what its node is; answered by one reply.
    pub(super) fn furnish(&mut self, furniture: &Furniture) -> Result<(), BackendError> {
        limit_reads(&self.lifeline, PATIENCE_SECONDS).map_err(BackendError::system("limiting reads"))?;
        send(&self.lifeline, furniture).map_err(|error| self.unreachable(&error))
    }

    /// Sends a command; answered by one reply. Several may be sent before the first answer is read.
    pub(super) fn send(&mut self, command: &Command) -> Result<(), BackendError> {
        send(&self.lifeline, command).map_err(|error| self.unreachable(&error))
    }

    /// Waits for the answer to the oldest command still open.
    pub(super) fn reply(&mut self) -> Result<Reply, BackendError> {
        loop {
            match receive(&self.lifeline, true) {
                Ok(Some(Message::Reply(Ok(reply)))) => return Ok(reply),
                Ok(Some(Message::Reply(Err(problem)))) => {
                    return Err(BackendError::Node { node: self.node, problem });
                }
                Ok(Some(Message::Exited(exit))) => self.exits.push_back(exit),
                Ok(None) => {
                    self.lose();
                    return Err(self.unreachable(&io::Error::from(io::ErrorKind::BrokenPipe)));
                }
                Err(error) => return Err(self.unreachable(&error)),
            }
        }
    }

    /// The next daemon that ended by itself, if one has. Call only when no command is open.
    pub(super) fn exit(&mut self) -> Option<Exit> {
        while !self.lost {
            match receive(&self.lifeline, false) {
                Ok(Some(Message::Exited(exit))) => self.exits.push_back(exit),
                // An answer to nothing can only be one that came after its time; whoever asked has been told.
                Ok(Some(Message::Reply(_))) => {}
                Ok(None) => self.lose(),
                Err(_) => break,
            }
        }
        self.exits.pop_front()
    }

    /// Kills the node, without waiting.
    pub(super) fn kill(&self) {
        if !self.ended {
            // SAFETY: the process is our child and has not been waited for, so the id is still its own.
            unsafe { libc::kill(self.pid, libc::SIGKILL) };
        }
    }

    /// Waits until the node is gone; the kernel takes all its processes first. Safe to repeat.
    pub(super) fn wait(&mut self) -> Result<(), BackendError> {
        if self.ended {
            return Ok(());
        }
        self.lost = true;
        let gone = self.await_end().map_err(BackendError::system("waiting for a node to end"))?;
        if !gone {
            let problem = format!("is still there {} s after it was killed", LAST_WAIT.as_secs());
            return Err(BackendError::Node { node: self.node, problem });
        }
        // SAFETY: a null status is allowed; the process is our child and has ended.
        check(unsafe { libc::waitpid(self.pid, std::ptr::null_mut(), 0) })
            .map_err(BackendError::system("reaping a node"))?;
        self.ended = true;
        Ok(())
    }

    /// Whether the process ends within the time it has.
    fn await_end(&self) -> io::Result<bool> {
        // SAFETY: the process is our child and not yet waited for; the new descriptor is nobody else's.
        let handle = unsafe {
            let handle = check(libc::syscall(libc::SYS_pidfd_open, self.pid, 0) as i32)?;
            OwnedFd::from_raw_fd(handle)
        };
        let mut ended = libc::pollfd { fd: handle.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        // SAFETY: the pointer and the count are those of one live value.
        Ok(check(unsafe { libc::poll(&mut ended, 1, LAST_WAIT.as_millis() as i32) })? > 0)
    }

    fn lose(&mut self) {
        if !self.lost {
            self.lost = true;
            self.exits.push_back(Exit::Agent);
        }
    }

    fn unreachable(&self, error: &io::Error) -> BackendError {
        let problem = match error.kind() {
            io::ErrorKind::BrokenPipe => "its node agent has died".to_owned(),
            io::ErrorKind::WouldBlock => format!("its node agent has not answered for {PATIENCE_SECONDS} s"),
            _ => format!("cannot speak to its node agent: {error}"),
        };
        BackendError::Node { node: self.node, problem }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        self.kill();
        // There is nobody left to tell.
        let _ = self.wait();
    }
}
