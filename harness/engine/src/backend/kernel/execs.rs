//! Being told before a process of a node becomes another program, and after.
//!
//! What was changed in a process's memory is gone when it executes another program. A filter of system calls hands each
//! `execve` to whoever holds the filter's listener. The caller is then followed by ptrace to the first instruction of the new
//! program, and only there: nobody is traced who does not execute something.
//!
//! A thread may have one listener only, so whoever wants to hear of other calls hears of them here too.

use std::io;
use std::mem;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use super::filter::Rule;
use super::system::check;

/// `struct seccomp_notif` and `struct seccomp_notif_resp` have 80 and 24 bytes; a newer kernel may write more.
const NOTICE_BYTES: usize = 256;
const ID_AT: usize = 0;
const THREAD_AT: usize = 8;
const NUMBER_AT: usize = 16;
const ARGUMENTS_AT: usize = 32;
const ANSWER_VALUE_AT: usize = 8;
const ANSWER_ERROR_AT: usize = 16;
const ANSWER_FLAGS_AT: usize = 20;
/// `_IOWR('!', 0, struct seccomp_notif)` and `_IOWR('!', 1, struct seccomp_notif_resp)`.
const RECEIVE: libc::c_ulong = 0xc050_2100;
const ANSWER: libc::c_ulong = 0xc018_2101;

/// Hears of the calls of those that were told to [`tell`], and of their children.
pub struct Execs(OwnedFd);

/// A thread that waits to be allowed to make a call.
#[derive(Clone, Copy, Debug)]
pub struct Waiting {
    id: u64,
    /// Its id, as the first process of the node sees it.
    pub thread: i32,
    /// Which call.
    pub number: i64,
    /// With what.
    pub arguments: [u64; 6],
}

/// What it takes to hear of new programs.
pub const RULES: [Rule; 2] = [Rule::told(libc::SYS_execve), Rule::told(libc::SYS_execveat)];

impl Waiting {
    /// Whether it is about to be another program.
    pub fn is_exec(&self) -> bool {
        RULES.iter().any(|rule| rule.number == self.number)
    }
}

/// In a process that is about to become a daemon: from now on calls are told, by this filter, to whoever reads from this socket.
/// Makes nothing but system calls. Where the kernel does not let us, nobody is told, and nothing is sent.
///
/// # Errors
/// When the socket is gone.
pub fn tell(to: RawFd, program: &mut [libc::sock_filter]) -> io::Result<()> {
    let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // Who has been heard waits for the answer and nothing else but its end: a signal that came in between would make the call
    // fail as it never does. Kernels before 5.19 do not know that.
    let patient = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    for flags in [patient, libc::SECCOMP_FILTER_FLAG_NEW_LISTENER] {
        // SAFETY: the filter lives through the call; the descriptor is new and nobody else's.
        unsafe {
            let mode = libc::SECCOMP_SET_MODE_FILTER;
            let made = libc::syscall(libc::SYS_seccomp, mode, flags, &raw const filter);
            if made != -1 {
                return hand_over(to, &OwnedFd::from_raw_fd(made as RawFd));
            }
        }
    }
    Ok(())
}

/// Room for one descriptor beside a message, aligned as the kernel wants it.
#[repr(C, align(8))]
struct Aside([u8; 24]);

fn hand_over(to: RawFd, descriptor: &OwnedFd) -> io::Result<()> {
    let mut word = [1u8];
    let mut part = libc::iovec { iov_base: word.as_mut_ptr().cast(), iov_len: 1 };
    let mut aside = Aside([0; 24]);
    // SAFETY: all parts of the message are live, and the room beside it is that of one descriptor.
    unsafe {
        let mut message: libc::msghdr = mem::zeroed();
        (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
        (message.msg_control, message.msg_controllen) = (aside.0.as_mut_ptr().cast(), aside.0.len());
        let header = libc::CMSG_FIRSTHDR(&raw const message);
        ((*header).cmsg_level, (*header).cmsg_type) = (libc::SOL_SOCKET, libc::SCM_RIGHTS);
        (*header).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as usize;
        libc::CMSG_DATA(header).cast::<RawFd>().write_unaligned(descriptor.as_raw_fd());
        check(libc::sendmsg(to, &raw const message, libc::MSG_NOSIGNAL) as i32).map(drop)
    }
}

impl Execs {
    /// Takes what [`tell`] has sent; nothing when it has not sent anything and the socket is closed.
    ///
    /// # Errors
    /// When the socket does not work.
    pub fn receive(from: &OwnedFd) -> io::Result<Option<Self>> {
        let mut word = [0u8];
        let mut part = libc::iovec { iov_base: word.as_mut_ptr().cast(), iov_len: 1 };
        let mut aside = Aside([0; 24]);
        // SAFETY: all parts of the message are live; a descriptor that came with it is new and nobody else's.
        unsafe {
            let mut message: libc::msghdr = mem::zeroed();
            (message.msg_iov, message.msg_iovlen) = (&raw mut part, 1);
            (message.msg_control, message.msg_controllen) = (aside.0.as_mut_ptr().cast(), aside.0.len());
            let got = libc::recvmsg(from.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC);
            check(got as i32)?;
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            if got == 0 || header.is_null() {
                return Ok(None);
            }
            let descriptor = libc::CMSG_DATA(header).cast::<RawFd>().read_unaligned();
            Ok(Some(Execs(OwnedFd::from_raw_fd(descriptor))))
        }
    }

    /// The next thread that waits. Call when the listener is readable; `None` if it has been killed since.
    ///
    /// # Errors
    /// When the listener does not work.
    pub fn next(&self) -> io::Result<Option<Waiting>> {
        let mut notice = [0u8; NOTICE_BYTES];
        // SAFETY: the kernel writes no more than its own structure, for which there is room.
        let got = unsafe { libc::ioctl(self.0.as_raw_fd(), RECEIVE, notice.as_mut_ptr()) };
        match check(got) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
            Ok(_) => {
                let long =
                    |at: usize| u64::from_ne_bytes(notice[at..at + 8].try_into().expect("eight bytes"));
                let short =
                    |at: usize| i32::from_ne_bytes(notice[at..at + 4].try_into().expect("four bytes"));
                Ok(Some(Waiting {
                    id: long(ID_AT),
                    thread: short(THREAD_AT),
                    number: i64::from(short(NUMBER_AT)),
                    arguments: std::array::from_fn(|at| long(ARGUMENTS_AT + at * 8)),
                }))
            }
        }
    }

    /// Lets a thread make its call.
    ///
    /// # Errors
    /// When the listener does not work.
    pub fn allow(&self, waiting: &Waiting) -> io::Result<()> {
        self.send(waiting, 0, 0, libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32)
    }

    /// Answers in the kernel's place: the call is not made.
    ///
    /// # Errors
    /// When the listener does not work.
    pub fn answer(&self, waiting: &Waiting, result: Result<i64, i32>) -> io::Result<()> {
        match result {
            Ok(value) => self.send(waiting, value, 0, 0),
            Err(number) => self.send(waiting, 0, -number, 0),
        }
    }

    fn send(&self, waiting: &Waiting, value: i64, error: i32, flags: u32) -> io::Result<()> {
        let mut answer = [0u8; NOTICE_BYTES];
        answer[..8].copy_from_slice(&waiting.id.to_ne_bytes());
        answer[ANSWER_VALUE_AT..ANSWER_VALUE_AT + 8].copy_from_slice(&value.to_ne_bytes());
        answer[ANSWER_ERROR_AT..ANSWER_ERROR_AT + 4].copy_from_slice(&error.to_ne_bytes());
        answer[ANSWER_FLAGS_AT..ANSWER_FLAGS_AT + 4].copy_from_slice(&flags.to_ne_bytes());
        // SAFETY: the kernel reads and writes no more than its own structure, for which there is room.
        let sent = unsafe { libc::ioctl(self.0.as_raw_fd(), ANSWER, answer.as_mut_ptr()) };
        match check(sent) {
            // It has been killed since.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            sent => sent.map(drop),
        }
    }
}

impl AsRawFd for Execs {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Has a thread that is about to execute something stop when it has: see [`stopped`]. One that ended is left alone.
pub fn follow(thread: i32) {
    let options = libc::PTRACE_O_TRACEEXEC as usize;
    // SAFETY: a request without pointers. Whom somebody else traces is his; who is ours already stays it.
    unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, ptr::null_mut::<u8>(), options) };
}

/// What a followed thread's stop means: true if it has become another program and is on its way to its first instruction.
/// Every other stop is passed on as if nobody had seen it.
pub fn stopped(thread: i32, status: i32) -> bool {
    let request = |request, data: i32| {
        // SAFETY: a request without pointers; a thread that has been killed since refuses it.
        unsafe { libc::ptrace(request, thread, ptr::null_mut::<u8>(), data as usize) };
    };
    match (status >> 16, libc::WSTOPSIG(status)) {
        (libc::PTRACE_EVENT_EXEC, _) => {
            request(libc::PTRACE_INTERRUPT, 0);
            request(libc::PTRACE_CONT, 0);
            return true;
        }
        // Stopped by a signal of the kind that stops: it stays so until it is continued.
        (libc::PTRACE_EVENT_STOP, libc::SIGSTOP | libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) => {
            request(libc::PTRACE_LISTEN, 0);
        }
        (0, signal) => request(libc::PTRACE_CONT, signal),
        _ => request(libc::PTRACE_CONT, 0),
    }
    false
}

/// Lets a thread go that is followed.
pub fn forget(thread: i32) {
    // SAFETY: a request without pointers; a thread that is not ours refuses it.
    unsafe { libc::ptrace(libc::PTRACE_DETACH, thread, ptr::null_mut::<u8>(), 0usize) };
}
