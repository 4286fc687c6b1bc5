//! A node's power, and what is lost with it besides what was not fsynced: its place in the network, every connection, and which boot
//! of the machine it is.
//!
//! When the power fails nothing is sent any more: no connection ends as it does when a process is killed, whatever was still
//! to be sent is not, and whoever speaks to the node gets no answer. When it is up again it knows of no connection; the other ends
//! learn of that when they say something next. `/proc/sys/kernel/random/boot_id` is each node's own, and another one after each
//! boot. What it cannot do: forget what the machines around know of a node, as a switch does.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::connections::Connections;
use super::links;
use super::netlink::Netlink;
use super::system::mount;
use crate::cluster::Node;

/// Where Linux tells which boot this is, and where it has another name for each time it is asked.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
const ANY: &str = "/proc/sys/kernel/random/uuid";
/// Where the node's own lies until it is in that place.
const OWN: &str = "/run/boot_id";

/// The power of a node.
pub(super) struct Power {
    node: Node,
    links: Netlink,
    connections: Connections,
    /// The file in the place of the machine's; none where the kernel does not tell of boots.
    boot: Option<File>,
    fails: bool,
}

impl Power {
    /// Switched on for the first time, in the node's own mounts and network.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn on(node: Node) -> io::Result<Self> {
        let links = Netlink::open(libc::NETLINK_ROUTE as isize)?;
        let boot = Path::new(BOOT).exists().then(own_boot).transpose()?;
        Ok(Power { node, links, connections: Connections::open()?, boot, fails: false })
    }

    /// It fails: before anybody is killed, so that nobody's end is told.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn fail(&mut self) -> io::Result<()> {
        self.fails = true;
        links::unplug(&mut self.links)
    }

    /// It is there again, if it had failed: nobody runs yet.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn come_back(&mut self) -> io::Result<()> {
        if !std::mem::take(&mut self.fails) {
            return Ok(());
        }
        self.connections.forget()?;
        if let Some(boot) = &self.boot {
            // It is as long as the last.
            boot.write_all_at(&fs::read(ANY)?, 0)?;
        }
        links::plug_in(&mut self.links, self.node)
    }
}

/// Gives the node a boot of its own, and the file that says so, which nobody but us can change.
fn own_boot() -> io::Result<File> {
    fs::write(OWN, fs::read(ANY)?)?;
    let file = File::options().write(true).open(OWN)?;
    mount(OWN, BOOT, "", libc::MS_BIND, "")?;
    let frozen = libc::MS_BIND | libc::MS_REMOUNT | libc::MS_RDONLY | libc::MS_NOSUID | libc::MS_NODEV;
    mount("", BOOT, "", frozen, "")?;
    fs::remove_file(OWN)?;
    Ok(file)
}
