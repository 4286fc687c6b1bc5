//! System calls that the standard library has no words for, each with its reason to be safe.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::ptr;

/// Turns the kernel's -1 into its error.
pub fn check(result: i32) -> io::Result<i32> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Moves the calling thread (and, for mounts, only a process without other threads) into new namespaces.
pub fn unshare(flags: i32) -> io::Result<()> {
    // SAFETY: plain system call without pointers.
    check(unsafe { libc::unshare(flags) }).map(drop)
}

/// Moves the calling thread into a network namespace.
pub fn enter_network(namespace: &OwnedFd) -> io::Result<()> {
    // SAFETY: plain system call on a live descriptor.
    check(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
}

/// The calling thread's network namespace.
pub fn own_network() -> io::Result<OwnedFd> {
    File::open("/proc/thread-self/ns/net").map(OwnedFd::from)
}

/// `mount(2)`; empty strings are passed as no string.
pub fn mount(source: &str, target: &str, kind: &str, flags: libc::c_ulong, data: &str) -> io::Result<()> {
    let [source, target, kind, data] = [source, target, kind, data]
        .map(|text| CString::new(text).expect("no mount of ours has a zero byte"));
    let pointer = |text: &CStr| if text.is_empty() { ptr::null() } else { text.as_ptr() };
    // SAFETY: all four strings live until the call returns.
    check(unsafe {
        let data = pointer(&data).cast();
        libc::mount(pointer(&source), target.as_ptr(), pointer(&kind), flags, data)
    })
    .map(drop)
}

/// A pair of connected sockets that keep packets apart; neither is inherited by a new program.
pub fn socket_pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for the two descriptors, which nobody else owns.
    unsafe {
        let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
        check(libc::socketpair(libc::AF_UNIX, kind, 0, ends.as_mut_ptr()))?;
        Ok((OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])))
    }
}

/// Lets reads from a socket fail after so many seconds instead of waiting for ever.
pub fn limit_reads(socket: &OwnedFd, seconds: i64) -> io::Result<()> {
    let limit = libc::timeval { tv_sec: seconds, tv_usec: 0 };
    // SAFETY: the pointer and the length are those of a live timeval.
    check(unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVTIMEO,
            (&raw const limit).cast(),
            size_of_val(&limit) as u32,
        )
    })
    .map(drop)
}

/// Asks the kernel to kill this process as soon as the thread that made it ends.
pub fn die_with_parent() -> io::Result<()> {
    // SAFETY: plain system call without pointers.
    check(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) }).map(drop)
}

/// From now on neither this process nor what it becomes can get more rights by a file's mode. Whoever may do nothing special may then
/// filter its own calls.
pub fn renounce() -> io::Result<()> {
    // SAFETY: plain system call without pointers.
    check(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// Writes a kernel setting; true if it took.
pub fn set(path: impl AsRef<Path>, value: &str) -> bool {
    std::fs::write(path, value).is_ok()
}
