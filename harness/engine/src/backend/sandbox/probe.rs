//! What this machine can do for sandboxes, found out by doing it, never by a version number.
//!
//! Each attempt is made in a process of its own that is thrown away, so nothing of it stays and one failure does not hide
//! another. A few milliseconds each.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::Capability;
use super::boot;
use super::clock;
use super::connections::Connections;
use super::cuts::Cuts;
use super::disk;
use super::enter::{isolate, refused};
use super::links;
use super::matrix::{Matrix, Sockets};
use super::netlink::Netlink;
use super::remedy::{OTHERWISE, user_namespace_remedy};
use super::rung;
use super::straining;
use super::system::{check, die_with_parent, enter_network, mount, own_network, set, unshare};
use crate::backend::{BackendError, ShapedBy};
use crate::cluster::{Endpoint, Node};
use crate::link::{Cut, Link, Wrong};

/// How long an attempt may take before it counts as failed.
const PATIENCE_MS: i32 = 5000;

/// What an attempt found: by which mechanism it works and what would make it better, or why not and what to do.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::backend) struct Found {
    pub(in crate::backend) works: bool,
    pub(in crate::backend) how: String,
    remedy: Option<String>,
}

pub(in crate::backend) type Attempt = fn() -> Result<Found, BackendError>;

/// Who cannot do without something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needed {
    Everybody,
    OrdinaryUsers,
    Nobody,
}

/// Every attempt, in the order in which a sandbox needs them.
const ATTEMPTS: &[(&str, Needed, Attempt)] = &[
    ("network and mount namespaces", Needed::Everybody, namespaces),
    ("user namespace", Needed::OrdinaryUsers, user_namespace),
    ("pid, uts and ipc namespaces", Needed::Everybody, processes),
    ("links", Needed::Everybody, veth),
    ("forwarding between nodes", Needed::Everybody, forwarding),
    ("cuts", Needed::Everybody, cuts),
    ("refusing links", Needed::Nobody, refusing),
    ("slow, lossy and garbling links", Needed::Nobody, shaping),
    ("links by a switch", Needed::Nobody, switching),
    ("swallowed bytes", Needed::Nobody, swallowing),
    ("pause", Needed::Everybody, pause),
    ("one thread held", Needed::Nobody, thread),
    ("limits of running processes", Needed::Nobody, limits),
    ("calls on files heard of", Needed::Nobody, disks),
    ("clocks since boot", Needed::Nobody, boots),
    ("ended connections", Needed::Nobody, connections),
    ("skewed clocks", Needed::Nobody, clocks),
    ("clocks by a library", Needed::Nobody, library),
    ("fast heal of connections", Needed::Nobody, fast_heal),
];

/// Tries everything that a sandbox needs. Call it before [`enter`](super::enter()) and before threads are started: it forks.
pub fn probe() -> Vec<Capability> {
    // SAFETY: plain system call that cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    let one = |(name, needed, attempt): &(&'static str, Needed, Attempt)| {
        let Found { works, how, remedy } = in_child(*attempt);
        let needed = *needed == Needed::Everybody || (*needed == Needed::OrdinaryUsers && !root);
        Capability { name, works, needed, how, remedy }
    };
    ATTEMPTS.iter().map(one).collect()
}

pub(in crate::backend) fn works(how: impl Into<String>) -> Found {
    Found { works: true, how: how.into(), remedy: None }
}

fn fails(how: impl Into<String>, remedy: impl Into<String>) -> Found {
    Found { works: false, how: how.into(), remedy: Some(remedy.into()) }
}

/// Makes the attempt in a child process.
pub(in crate::backend) fn in_child(attempt: Attempt) -> Found {
    child(attempt).unwrap_or_else(|error| fails(format!("the attempt itself failed: {error}"), OTHERWISE))
}

fn child(attempt: Attempt) -> io::Result<Found> {
    let mut ends = [-1; 2];
    // SAFETY: `ends` has room for both descriptors, which nobody else owns. The child never returns from here, whatever
    // the attempt does, and the parent waits for it.
    unsafe {
        check(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC))?;
        let [mut read, write] = ends.map(|end| File::from_raw_fd(end));
        let pid = check(libc::fork())?;
        if pid == 0 {
            drop(read);
            answer(&write, attempt);
            libc::_exit(0);
        }
        drop(write);
        let mut readable = libc::pollfd { fd: read.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let in_time = libc::poll(&mut readable, 1, PATIENCE_MS) > 0;
        let mut text = String::new();
        let told = if in_time { read.read_to_string(&mut text).map(drop) } else { Ok(()) };
        libc::kill(pid, libc::SIGKILL);
        check(libc::waitpid(pid, std::ptr::null_mut(), 0))?;
        told?;
        if in_time { Ok(serde_json::from_str(&text)?) } else { Err(io::ErrorKind::TimedOut.into()) }
    }
}

/// In the child: makes the attempt and writes down what it found.
fn answer(mut to: &File, attempt: Attempt) {
    let tried = catch_unwind(AssertUnwindSafe(|| {
        die_with_parent().map_err(BackendError::system("binding the child to its parent"))?;
        attempt()
    }));
    let found = match tried {
        Ok(Ok(found)) => found,
        Ok(Err(BackendError::Unsupported { problem, remedy })) => fails(problem, remedy),
        Ok(Err(error)) => fails(error.to_string(), OTHERWISE),
        Err(_) => fails("the attempt panicked", OTHERWISE),
    };
    if let Ok(text) = serde_json::to_string(&found) {
        // If the parent does not read it, it says that the attempt failed.
        let _ = to.write_all(text.as_bytes());
    }
}

fn namespaces() -> Result<Found, BackendError> {
    let rootless = isolate()?;
    Ok(works(if rootless { "inside a user namespace" } else { "as root" }))
}

fn user_namespace() -> Result<Found, BackendError> {
    // SAFETY: plain system call that cannot fail.
    let root = unsafe { libc::geteuid() } == 0;
    Ok(match (unshare(libc::CLONE_NEWUSER), root) {
        (Ok(()), _) => works(if root { "not needed as root" } else { "unprivileged" }),
        (Err(error), _) => fails(format!("the kernel refused: {error}"), user_namespace_remedy()),
    })
}

fn processes() -> Result<Found, BackendError> {
    isolate()?;
    unshare(libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC)
        .map_err(|error| refused(&error, "making pid, uts and ipc namespaces"))?;
    // Only a child is inside the new pid namespace, and only there may its /proc be mounted.
    Ok(in_child(|| {
        mount("", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")
            .map_err(|error| refused(&error, "keeping mounts to ourselves"))?;
        mount("proc", "/proc", "proc", 0, "")
            .map_err(|error| refused(&error, "mounting a node's own /proc"))?;
        mount("tmpfs", "/run", "tmpfs", 0, "")
            .map_err(|error| refused(&error, "mounting a node's own /run"))?;
        Ok(works("with their own /proc and /run"))
    }))
}

fn netlink(protocol: i32) -> Result<Netlink, BackendError> {
    Netlink::open(protocol as isize).map_err(BackendError::system("opening a netlink socket"))
}

/// So many nodes with links, the calling thread in the fabric that joins them.
fn linked(nodes: usize) -> Result<Vec<(OwnedFd, Netlink)>, BackendError> {
    let failed = |error| BackendError::system("making network namespaces")(error);
    let fabric = own_network().map_err(failed)?;
    let mut made = Vec::new();
    for _ in 0..nodes {
        unshare(libc::CLONE_NEWNET).map_err(failed)?;
        made.push((own_network().map_err(failed)?, netlink(libc::NETLINK_ROUTE)?));
    }
    enter_network(&fabric).map_err(failed)?;
    let endpoints = (0..nodes).map(|index| Endpoint::Node(Node(index)));
    let ends = endpoints.clone().zip(made.iter().map(|(network, _)| network.as_fd()));
    links::connect(&mut netlink(libc::NETLINK_ROUTE)?, ends)?;
    for (endpoint, (_, inside)) in endpoints.zip(&mut made) {
        links::settle(inside, endpoint)?;
    }
    Ok(made)
}

fn veth() -> Result<Found, BackendError> {
    isolate()?;
    Ok(match linked(1) {
        Ok(_) => works("veth"),
        Err(error) => fails(error.to_string(), format!("sudo modprobe veth, or {OTHERWISE}")),
    })
}

fn forwarding() -> Result<Found, BackendError> {
    isolate()?;
    if set("/proc/sys/net/ipv4/ip_forward", "1") {
        return Ok(works("ip_forward of the own network namespace"));
    }
    Ok(fails("/proc/sys/net/ipv4/ip_forward cannot be written", user_namespace_remedy()))
}

fn cuts() -> Result<Found, BackendError> {
    isolate()?;
    let mut cuts = match Cuts::create(netlink(libc::NETLINK_NETFILTER)?, links::place("probe", 1)) {
        Ok(cuts) => cuts,
        Err(error) => {
            let BackendError::Unsupported { problem, remedy } = error else { return Err(error) };
            let how = format!("a switch in user space, as {problem}");
            return Ok(Found { works: switching()?.works, how, remedy: Some(remedy) });
        }
    };
    let pair = (Endpoint::Clients, Endpoint::Node(Node(0)));
    cuts.apply(&BTreeSet::from([pair]))?;
    let counted = cuts.dropped()?;
    cuts.apply(&BTreeSet::new())?;
    let lacks: Vec<&str> = cuts.mechanism().lacks().collect();
    if lacks.is_empty() && counted.get(&pair) == Some(&0) {
        return Ok(works("nftables table owned by our socket, with a packet counter for each pair"));
    }
    let how = format!("nftables, but {}", lacks.join("; "));
    Ok(Found { works: true, how, remedy: Some("Linux 5.12 or newer".into()) })
}

fn matrix() -> Result<Matrix, BackendError> {
    isolate()?;
    let sockets = Sockets::open().map_err(BackendError::system("opening sockets for faults"))?;
    Matrix::create(sockets, links::place("probe", 1), 0)
}

fn refusing() -> Result<Found, BackendError> {
    let pair = (Endpoint::Clients, Endpoint::Node(Node(0)));
    let mut matrix = matrix()?;
    for cut in [Cut::Reset, Cut::Refuse] {
        let link = Link { cut: Some(cut), ..Link::default() };
        if let Err(error) = matrix.apply(&[(pair, link)].into()) {
            return Ok(fails(error.to_string(), "sudo modprobe -a nft_reject_ipv4 nf_reject_ipv4"));
        }
    }
    Ok(works("nftables, by TCP reset or ICMP; undone by the kernel when we end"))
}

fn shaping() -> Result<Found, BackendError> {
    let mut matrix = matrix()?;
    let by = matrix.shaped_by(&[])?;
    if by.starts_with("tc") {
        return Ok(Found {
            works: true,
            how: format!("{by}, and what that cannot do by a switch in user space; undone by the kernel when we end"),
            remedy: Some(
                "sudo modprobe -a nfnetlink_queue xt_NFQUEUE, or nft_queue: for links that are well not to pass through it".into(),
            ),
        });
    }
    Ok(works(format!("{by}; a packet is about 0.1 ms late besides; undone by the kernel when we end")))
}

/// How long something sent may take to arrive.
const SHORT: Duration = Duration::from_secs(2);

/// Two nodes whose links are shaped in this way, well enough for all of this; and in which way that is.
fn joined(by: ShapedBy, shapes: &[Wrong]) -> Result<(Vec<OwnedFd>, Matrix, &'static str), BackendError> {
    isolate()?;
    set("/proc/sys/net/ipv4/ip_forward", "1");
    let nodes = linked(2)?;
    let sockets = Sockets::open().map_err(BackendError::system("opening sockets for faults"))?;
    let mut matrix = Matrix::create(sockets.shaping_by(by), links::place("probe", 2), 0)?;
    let how = matrix.shaped_by(shapes)?;
    let mut networks = Vec::new();
    for (index, (network, inside)) in nodes.into_iter().enumerate() {
        if matrix.switches() {
            links::send_as_on_a_wire(&inside, Endpoint::Node(Node(index)))?;
        }
        networks.push(network);
    }
    Ok((networks, matrix, how))
}

/// Sends a word from one node to the other.
fn switching() -> Result<Found, BackendError> {
    let failed = |error| BackendError::system("sending a word through a switch")(error);
    let (networks, _matrix, _) = joined(ShapedBy::Switch, &[])?;
    let mut ends = Vec::new();
    for (index, network) in networks.iter().enumerate() {
        enter_network(network).map_err(failed)?;
        let address = links::address(Endpoint::Node(Node(index)));
        ends.push(UdpSocket::bind((address, 0)).map_err(failed)?);
    }
    ends[0].send_to(b"word", ends[1].local_addr().map_err(failed)?).map_err(failed)?;
    ends[1].set_read_timeout(Some(SHORT)).map_err(failed)?;
    Ok(match ends[1].recv(&mut [0; 8]) {
        Ok(4) => works(
            "everything by packet sockets, cuts too, where the kernel has no other way; all end with us",
        ),
        _ => fails("what was sent through a switch in user space did not arrive", OTHERWISE),
    })
}

/// Says something over a connection from one node to the other, and looks whether it is acknowledged and not there.
fn swallowing() -> Result<Found, BackendError> {
    let failed = |error| BackendError::system("making a connection")(error);
    let (networks, mut matrix, how) = joined(ShapedBy::Best, &[Wrong::Cut(Cut::Swallow)])?;
    let pair = (Endpoint::Node(Node(0)), Endpoint::Node(Node(1)));
    enter_network(&networks[1]).map_err(failed)?;
    let listener = TcpListener::bind((links::address(pair.1), 0)).map_err(failed)?;
    enter_network(&networks[0]).map_err(failed)?;
    let mut from = TcpStream::connect(listener.local_addr().map_err(failed)?).map_err(failed)?;
    let (mut to, _) = listener.accept().map_err(failed)?;
    let link = Link { cut: Some(Cut::Swallow), ..Link::default() };
    matrix.apply(&[(pair, link)].into())?;
    let begun = Instant::now();
    from.write_all(b"?").map_err(failed)?;
    let acknowledged = |matrix: &mut Matrix| -> Result<u64, BackendError> {
        Ok(matrix.traffic()?.get(&pair).map_or(0, |traffic| traffic.acknowledged))
    };
    while acknowledged(&mut matrix)? == 0 || unacknowledged(&from).map_err(failed)? > 0 {
        if begun.elapsed() > SHORT {
            return Ok(fails("what was sent was not acknowledged in its receiver's name", OTHERWISE));
        }
    }
    to.set_nonblocking(true).map_err(failed)?;
    Ok(match to.read(&mut [0]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => works(format!(
            "{how} and a raw socket; both ends of such connections are reset at the end; undone by the kernel when we end"
        )),
        _ => fails("what was to be swallowed was delivered", OTHERWISE),
    })
}

/// How many bytes of what was sent the other end has not acknowledged.
fn unacknowledged(stream: &TcpStream) -> io::Result<i32> {
    let mut count = 0;
    // SAFETY: the descriptor is open, and the pointer is that of a live integer.
    unsafe { check(libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &raw mut count)).map(|_| count) }
}

fn pause() -> Result<Found, BackendError> {
    let failed = |error| BackendError::system("stopping a process")(error);
    // SAFETY: the child makes only system calls; `status` is a live integer; the child is killed and waited for.
    let stopped = unsafe {
        let parent = libc::getpid();
        let pid = check(libc::fork()).map_err(failed)?;
        if pid == 0 {
            stay(parent);
        }
        let mut status = 0;
        check(libc::kill(pid, libc::SIGSTOP)).map_err(failed)?;
        check(libc::waitpid(pid, &mut status, libc::WUNTRACED)).map_err(failed)?;
        check(libc::kill(pid, libc::SIGKILL)).map_err(failed)?;
        check(libc::waitpid(pid, std::ptr::null_mut(), 0)).map_err(failed)?;
        libc::WIFSTOPPED(status)
    };
    Ok(if stopped { works("SIGSTOP") } else { fails("a process did not stop", OTHERWISE) })
}

/// In a child: does nothing, as long as its parent lives.
fn stay(parent: libc::pid_t) -> ! {
    // SAFETY: plain system calls.
    unsafe {
        // Who has died before that does not tell any more.
        if die_with_parent().is_err() || libc::getppid() != parent {
            libc::_exit(1);
        }
        loop {
            libc::pause();
        }
    }
}

/// Does something to a process that is there for nothing else.
pub(super) fn on_another<T>(act: impl FnOnce(i32) -> T) -> Result<T, BackendError> {
    let failed = |error| BackendError::system("making a process")(error);
    // SAFETY: the child makes only system calls; it is killed and waited for.
    unsafe {
        let parent = libc::getpid();
        let pid = check(libc::fork()).map_err(failed)?;
        if pid == 0 {
            stay(parent);
        }
        let done = act(pid);
        check(libc::kill(pid, libc::SIGKILL)).map_err(failed)?;
        check(libc::waitpid(pid, std::ptr::null_mut(), 0)).map_err(failed)?;
        Ok(done)
    }
}

pub(super) const TRACING: &str = "sudo sysctl -w kernel.yama.ptrace_scope=1, or run as root";

fn thread() -> Result<Found, BackendError> {
    let held = on_another(|pid| {
        let held = clock::keep(pid, pid);
        clock::let_go(pid, 0);
        held
    });
    Ok(match held? {
        Ok(Some(_)) => works("ptrace; it goes on when its tracer dies"),
        Ok(None) => fails("a thread ended when it was to be held", OTHERWISE),
        Err(error) => fails(format!("a thread of a process of our own cannot be held: {error}"), TRACING),
    })
}

fn limits() -> Result<Found, BackendError> {
    Ok(match on_another(straining::attempt)? {
        Ok(()) => works("soft limits by prlimit, given back as they were"),
        Err(error) => fails(format!("a process of our own cannot be limited: {error}"), OTHERWISE),
    })
}

fn disks() -> Result<Found, BackendError> {
    isolate()?;
    Ok(match disk::attempt() {
        Ok(()) => works("seccomp user notification; those who are heard end with us"),
        Err(error) => fails(format!("a process of our own cannot be heard: {error}"), "Linux 5.5 or newer"),
    })
}

fn boots() -> Result<Found, BackendError> {
    isolate()?;
    Ok(match boot::attempt() {
        Ok(()) => works("a time namespace; after a reboot monotonic clocks begin from zero"),
        Err(error) => {
            let how =
                format!("a process of our own cannot be given others: {error}; a reboot is one without that");
            fails(how, "Linux 5.6 or newer, with CONFIG_TIME_NS")
        }
    })
}

fn connections() -> Result<Found, BackendError> {
    isolate()?;
    Ok(match Connections::open().and_then(|mut connections| connections.attempt()) {
        Ok(()) => works("SOCK_DESTROY of the kernel, in the node's own network"),
        Err(error) => fails(error.to_string(), "a kernel with CONFIG_INET_DIAG_DESTROY"),
    })
}

fn clocks() -> Result<Found, BackendError> {
    let patched = match rung::vdso()? {
        Ok(()) => {
            let how =
                "jump, drift, strobe and leap second by a patch of the process's vDSO; ends by its lease";
            return Ok(works(how));
        }
        Err(error) => format!("the clock of a process of our own cannot be changed: {error}"),
    };
    Ok(match rung::library() {
        Ok(()) => Found {
            works: true,
            how: format!("of dynamic programs only, by a library that they load, as {patched}"),
            remedy: Some(format!("{TRACING}: for all programs")),
        },
        Err(error) => fails(format!("{patched}; and by a library: {error}"), TRACING),
    })
}

fn library() -> Result<Found, BackendError> {
    Ok(match rung::library() {
        Ok(()) => works(
            "of dynamic programs, by LD_PRELOAD, where no vDSO can be patched; `backend.clocks` asks for it",
        ),
        Err(error) => {
            fails(error.to_string(), "a schism that is linked dynamically, and a place for temporary files")
        }
    })
}

fn fast_heal() -> Result<Found, BackendError> {
    const SETTING: &str = "/proc/sys/net/ipv4/tcp_rto_max_ms";
    isolate()?;
    if Path::new(SETTING).exists() && super::warden::heal_fast() {
        return Ok(works("tcp_rto_max_ms and tcp_retries2 of each node"));
    }
    let how = "no tcp_rto_max_ms: after a heal a connection may stay dead for as long as the cut was";
    Ok(fails(how, "Linux 6.15 or newer; or make the last phase longer than the longest fault"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_fails_is_reported_and_not_felt() {
        let refused =
            in_child(|| Err(BackendError::Unsupported { problem: "no".into(), remedy: "do this".into() }));
        assert!(!refused.works);
        assert_eq!((refused.how.as_str(), refused.remedy.as_deref()), ("no", Some("do this")));
        let died = in_child(|| std::process::abort());
        assert!(!died.works && died.how.starts_with("the attempt itself failed"), "{died:?}");
        assert!(in_child(|| Ok(works("so"))).works);
    }
}
