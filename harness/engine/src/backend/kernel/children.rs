//! The children of a first process: all whose parents have ended, whom nobody asks after, and few that it starts itself.

/// Lets the kernel forget children that end: whoever has no parent left is ours.
pub fn forget() {
    // SAFETY: a plain system call with a constant.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
}

/// Does something that starts programs and waits for them, which is only possible while the kernel does not forget. Nobody
/// else may wait for children meanwhile.
pub fn awaited<T>(work: impl FnOnce() -> T) -> T {
    // SAFETY: a plain system call with a constant.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_DFL) };
    let done = work();
    forget();
    // Those that have ended meanwhile are remembered still.
    // SAFETY: a null status is allowed.
    while unsafe { libc::waitpid(-1, std::ptr::null_mut(), libc::WNOHANG) } > 0 {}
    done
}
