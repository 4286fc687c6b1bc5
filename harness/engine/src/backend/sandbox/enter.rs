//! Entering: the controller leaves the machine's network and mounts for its own, before it has any thread.
//!
//! From then on its network namespace is the fabric that joins the nodes, and nothing it mounts or routes is seen by the
//! machine. As root, that is all; an ordinary user gets a user namespace as well, in which it is root of nothing but this.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;

use super::links;
use super::netlink::Netlink;
use super::remedy::{in_container, refused_user_namespace};
use super::system::{mount, own_network, set, unshare};
use crate::backend::BackendError;

/// The calling process's own network, made by [`enter`]: where the links of a cluster meet.
pub struct Fabric {
    pub(super) network: OwnedFd,
    rootless: bool,
}

impl Fabric {
    /// Whether a user namespace was needed: an ordinary user's sandbox.
    pub fn rootless(&self) -> bool {
        self.rootless
    }
}

/// Moves the calling process into namespaces of its own. Must be called before it starts any thread, and only if it wants a
/// sandbox: it cannot reach the machine's network afterwards (sockets opened before go on working).
///
/// # Errors
/// `Unsupported`, with the exact remedy, where the machine does not let us; `System` when called too late.
pub fn enter() -> Result<Fabric, BackendError> {
    let threads = fs::read_dir("/proc/self/task").map(Iterator::count).unwrap_or(1);
    if threads > 1 {
        let late = io::Error::other(format!("{threads} threads exist already: this has to come first"));
        return Err(BackendError::system("entering the sandbox")(late));
    }
    let rootless = isolate()?;
    mount("", "/", "", libc::MS_REC | libc::MS_PRIVATE, "")
        .map_err(|error| refused(&error, "keeping mounts to ourselves"))?;
    without_ipv6();
    if !set("/proc/sys/net/ipv4/ip_forward", "1") {
        let error = io::Error::last_os_error();
        return Err(refused(&error, "forwarding between nodes (/proc/sys/net/ipv4/ip_forward)"));
    }
    // A refused packet is answered each time, not once a second.
    set("/proc/sys/net/ipv4/icmp_ratelimit", "0");
    let network = own_network().map_err(BackendError::system("opening the own network namespace"))?;
    let mut netlink = Netlink::open(libc::NETLINK_ROUTE as isize)
        .map_err(BackendError::system("opening a netlink socket"))?;
    links::loopback(&mut netlink)?;
    Ok(Fabric { network, rootless })
}

/// New namespaces; true if they needed a user namespace.
pub(in crate::backend) fn isolate() -> Result<bool, BackendError> {
    let own = libc::CLONE_NEWNET | libc::CLONE_NEWNS;
    // SAFETY: plain system calls that cannot fail.
    let (user, group) = unsafe { (libc::geteuid(), libc::getegid()) };
    if user == 0 && unshare(own).is_ok() {
        return Ok(false);
    }
    // Root without the right to do so, as in most containers, may still have an ordinary user's way.
    unshare(libc::CLONE_NEWUSER | own).map_err(|error| refused_user_namespace(&error))?;
    let map = |file: &str, text: String| {
        fs::write(format!("/proc/self/{file}"), text)
            .map_err(|error| refused(&error, "becoming root of a user namespace"))
    };
    map("setgroups", "deny".into())?;
    map("uid_map", format!("0 {user} 1"))?;
    map("gid_map", format!("0 {group} 1"))?;
    Ok(true)
}

/// A step after the namespaces that was refused: a security module has taken the rights that come with them.
pub(super) fn refused(error: &io::Error, action: &str) -> BackendError {
    match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => in_container(error, action),
        _ => BackendError::system(action)(io::Error::new(error.kind(), error.to_string())),
    }
}

/// Keeps the kernel from sending packets of its own accord: IPv6 would announce itself on every new link.
pub(super) fn without_ipv6() {
    // Without IPv6 in the kernel there is nothing to switch off.
    set("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1");
    set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
}
