//! The warden: a thread that makes the endpoints' network namespaces and, inside each, its node's first process, and then
//! waits for the end.
//!
//! The kernel's promise to kill a child with its parent (`PR_SET_PDEATHSIG`) is bound to the *thread* that made it. This
//! thread makes all of them and lives exactly as long as the cluster, so that neither the caller's threads nor a
//! `kill -9` of the controller can leave a node behind. The lifeline (see `protocol`) covers the moment before the
//! promise is asked for.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::AGENT_COMMAND;
use super::agent::LIFELINE;
use super::enter::{Fabric, without_ipv6};
use super::matrix::Sockets;
use super::netlink::Netlink;
use super::system::{enter_network, own_network, set, socket_pair, unshare};
use crate::backend::BackendError;
use crate::cluster::{Endpoint, Node};

/// An endpoint's network, before it has links.
pub(super) struct Network {
    pub(super) endpoint: Endpoint,
    pub(super) namespace: OwnedFd,
    /// Speaks to the kernel inside it.
    pub(super) netlink: Netlink,
}

/// A node's first process, which is on its way to become the node agent.
pub(super) struct Newborn {
    pub(super) node: Node,
    pub(super) pid: libc::pid_t,
    pub(super) lifeline: OwnedFd,
}

/// What the warden has made.
pub(super) struct Made {
    pub(super) networks: Vec<Network>,
    /// Sockets in the fabric: for making links, and for what goes wrong with them.
    pub(super) links: Netlink,
    pub(super) faults: Sockets,
    pub(super) took: Duration,
    /// Whether the kernel took every setting for a fast heal.
    pub(super) heals_fast: bool,
}

/// The thread; ends when dropped.
pub(super) struct Warden {
    stay: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Warden {
    /// Makes the networks of the clients and of so many nodes, and the nodes' first processes. These are handed over one by
    /// one as they come to life, so that none is lost when a later step fails.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn start(
        fabric: &Fabric,
        nodes: usize,
        fast_heal: bool,
        mut born: impl FnMut(Newborn),
    ) -> Result<(Warden, Made), BackendError> {
        let network = fabric.network.try_clone().map_err(BackendError::system("copying a descriptor"))?;
        let (stay, end) = channel();
        let (tell, told) = channel();
        let work = move || live(&network, nodes, fast_heal, &tell, &end);
        let thread = thread::Builder::new().name("warden".into()).spawn(work);
        let thread = thread.map_err(BackendError::system("starting a thread"))?;
        let warden = Warden { stay: Some(stay), thread: Some(thread) };
        loop {
            match told.recv() {
                Ok(Told::Born(newborn)) => born(newborn),
                Ok(Told::Made(made)) => return (*made).map(|made| (warden, made)),
                Err(_) => {
                    return Err(BackendError::system("making nodes")(io::Error::other(
                        "the warden panicked",
                    )));
                }
            }
        }
    }
}

impl Drop for Warden {
    fn drop(&mut self) {
        self.stay.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has already been reported by whoever waited for its work.
            let _ = thread.join();
        }
    }
}

enum Told {
    Born(Newborn),
    Made(Box<Result<Made, BackendError>>),
}

fn live(fabric: &OwnedFd, nodes: usize, fast_heal: bool, tell: &Sender<Told>, end: &Receiver<()>) {
    let made = make(fabric, nodes, fast_heal, tell);
    // When nobody listens any more, the end has come as well.
    let _ = tell.send(Told::Made(Box::new(made)));
    let _ = end.recv();
}

fn make(fabric: &OwnedFd, nodes: usize, fast_heal: bool, tell: &Sender<Told>) -> Result<Made, BackendError> {
    let begun = Instant::now();
    enter_network(fabric).map_err(BackendError::system("entering the fabric"))?;
    let open = |protocol: i32| {
        Netlink::open(protocol as isize).map_err(BackendError::system("opening a netlink socket"))
    };
    let links = open(libc::NETLINK_ROUTE)?;
    let faults = Sockets::open().map_err(BackendError::system("opening sockets for faults"))?;
    let mut heals_fast = true;
    let mut networks = Vec::new();
    let program = Program::new()?;
    let endpoints = (0..nodes).map(|index| Endpoint::Node(Node(index))).chain([Endpoint::Clients]);
    for endpoint in endpoints {
        unshare(libc::CLONE_NEWNET).map_err(BackendError::system("making a network namespace"))?;
        let namespace = own_network().map_err(BackendError::system("opening a network namespace"))?;
        without_ipv6();
        if fast_heal {
            heals_fast &= heal_fast();
        }
        networks.push(Network { endpoint, namespace, netlink: open(libc::NETLINK_ROUTE)? });
        if let Endpoint::Node(node) = endpoint {
            let (lifeline, theirs) = socket_pair().map_err(BackendError::system("making a socket pair"))?;
            let pid = program.run(&lifeline, &theirs).map_err(|error| refused(&error))?;
            let _ = tell.send(Told::Born(Newborn { node, pid, lifeline }));
        }
    }
    Ok(Made { networks, links, faults, took: begun.elapsed(), heals_fast })
}

fn refused(error: &io::Error) -> BackendError {
    BackendError::Unsupported {
        problem: format!("a node needs mount, pid, uts and ipc namespaces, and the kernel refused: {error}"),
        remedy: super::remedy::user_namespace_remedy(),
    }
}

/// Makes TCP connections of this namespace try again at least every second and never give up, so that they recover within a
/// second after a heal instead of after as long as the cut was. True if the kernel took it.
pub(super) fn heal_fast() -> bool {
    // Without the upper limit (Linux 6.15) endless patience alone would only make things worse.
    set("/proc/sys/net/ipv4/tcp_rto_max_ms", "1000") && set("/proc/sys/net/ipv4/tcp_retries2", "255")
}

/// What the first process of a node is to execute, laid out before cloning: between clone and exec nothing may allocate.
struct Program {
    arguments: [CString; 2],
    environment: CString,
    nothing: OwnedFd,
}

impl Program {
    fn new() -> Result<Self, BackendError> {
        let path = std::env::var("PATH").ok().filter(|path| !path.contains('\0'));
        let path =
            path.unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into());
        let text = |text: String| CString::new(text).expect("checked for zero bytes");
        let nothing = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null");
        Ok(Program {
            arguments: [text("schism".into()), text(AGENT_COMMAND.into())],
            environment: text(format!("PATH={path}")),
            nothing: nothing.map_err(BackendError::system("opening /dev/null"))?.into(),
        })
    }

    /// Makes a process in new namespaces (and in the thread's present network namespace, made a moment ago) that becomes a
    /// node agent with `theirs` as its lifeline.
    fn run(&self, ours: &OwnedFd, theirs: &OwnedFd) -> io::Result<libc::pid_t> {
        let [name, mode] = &self.arguments;
        let arguments = [name.as_ptr(), mode.as_ptr(), std::ptr::null()];
        let environment = [self.environment.as_ptr(), std::ptr::null()];
        let descriptors = [ours.as_raw_fd(), theirs.as_raw_fd(), self.nothing.as_raw_fd()];
        let flags =
            libc::CLONE_NEWNS | libc::CLONE_NEWPID | libc::CLONE_NEWUTS | libc::CLONE_NEWIPC | libc::SIGCHLD;
        // SAFETY: without CLONE_VM this is a fork: the child has its own copy of our memory and stack. It makes nothing but
        // system calls until it is another program, so no lock held by another thread at this moment can matter.
        unsafe {
            let pid = libc::syscall(libc::SYS_clone, flags as libc::c_long, 0, 0, 0, 0);
            match pid {
                -1 => Err(io::Error::last_os_error()),
                0 => become_agent(descriptors, &arguments, &environment),
                pid => Ok(pid as libc::pid_t),
            }
        }
    }
}

/// The child's way to being the agent. Ends the process when it cannot be one: the controller sees its lifeline close.
///
/// # Safety
/// Only in a process that has just been cloned; both lists must end with a null pointer.
unsafe fn become_agent(
    [ours, theirs, nothing]: [i32; 3],
    arguments: &[*const libc::c_char; 3],
    environment: &[*const libc::c_char; 2],
) -> ! {
    // SAFETY: system calls on descriptors and pointers that the caller has copied to this process.
    unsafe {
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
        // If the controller died before that, its end of the lifeline is closed, once nobody else holds a copy of it.
        // We held one, and copies of other nodes' ends too.
        libc::close(ours);
        libc::dup2(nothing, 0);
        libc::dup2(nothing, 1);
        libc::dup2(theirs, LIFELINE + 1);
        libc::dup2(LIFELINE + 1, LIFELINE);
        libc::syscall(libc::SYS_close_range, LIFELINE + 1, libc::c_uint::MAX, 0);
        let mut lifeline = libc::pollfd { fd: LIFELINE, events: 0, revents: 0 };
        let alive = libc::poll(&mut lifeline, 1, 0) == 0;
        // Ctrl-C on the terminal is for the controller alone.
        if alive && libc::setsid() != -1 {
            libc::execve(c"/proc/self/exe".as_ptr(), arguments.as_ptr(), environment.as_ptr());
        }
        libc::_exit(127)
    }
}
