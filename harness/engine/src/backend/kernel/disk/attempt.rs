//! Whether calls on files can be heard of and answered on this machine, found out by doing it.

use std::io;
use std::os::fd::AsRawFd;

use crate::backend::kernel::execs::{Execs, tell};
use crate::backend::kernel::filter::{Rule, program};
use crate::backend::kernel::system::{check, renounce, socket_pair};

/// Makes a process, refuses an fsync of its, and sees that it was refused.
///
/// # Errors
/// What the kernel refused.
pub fn attempt() -> io::Result<()> {
    let mut program = program(&[Rule::told(libc::SYS_fsync)]);
    let (ours, theirs) = socket_pair()?;
    // SAFETY: the child makes only system calls; it is waited for. `status` is a live integer.
    unsafe {
        let pid = check(libc::fork())?;
        if pid == 0 {
            let told = renounce().is_ok() && tell(theirs.as_raw_fd(), &mut program).is_ok();
            libc::close(theirs.as_raw_fd());
            let refused = libc::fsync(0) == -1 && *libc::__errno_location() == libc::ENOSPC;
            libc::_exit(i32::from(!(told && refused)));
        }
        drop(theirs);
        let heard = Execs::receive(&ours).and_then(|execs| {
            let Some(execs) = execs else { return Err(io::Error::other("seccomp user notification")) };
            match execs.next()? {
                Some(waiting) => execs.answer(&waiting, Err(libc::ENOSPC)),
                None => Err(io::Error::other("nothing was heard of a call")),
            }
        });
        let mut status = 0;
        if heard.is_err() {
            libc::kill(pid, libc::SIGKILL);
        }
        check(libc::waitpid(pid, &raw mut status, 0))?;
        heard?;
        if status == 0 {
            Ok(())
        } else {
            Err(io::Error::other("a call was made that should have been refused"))
        }
    }
}
