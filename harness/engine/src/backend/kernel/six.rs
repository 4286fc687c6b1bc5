//! IPv6 between nodes, closed: nodes are told of one another by IPv4 addresses alone, and no cut shall have a way round it.
//!
//! Engines give our networks no IPv6, and one that did so all the same, or a kernel that gives every link an address of its
//! own (fe80::/10), would be a way that nobody cuts. So whatever comes by IPv6 from elsewhere is dropped. What a node says to
//! itself is not touched.

use std::fs;
use std::io;

use super::cuts::expression;
use super::netlink::{APPEND, Batch, CREATE, Netlink, Writer};
use super::programs::Iptables;
use super::treatment::Treatment;
use crate::backend::BackendError;

const SUBSYSTEM: u16 = 10;
const FAMILY_IPV6: u8 = 10;
const OWNER: u32 = 2;
const REGISTER: u32 = 1;
/// `NFT_META_IIFTYPE`, and the type of the loopback interface (`ARPHRD_LOOPBACK`).
const INTERFACE_TYPE: u32 = 8;
const LOOPBACK: u16 = 772;
const NOT_EQUAL: u32 = 1;
const CHAIN: &str = "schism-six";

/// Held while it is to stay closed.
pub enum Closed {
    /// By a table that goes with this socket, or with the network namespace.
    Table {
        /// What owns it.
        _socket: Netlink,
    },
    /// By a chain, which goes when this is dropped.
    Chain(Iptables),
    /// There was nothing to close, and no way to close it.
    Nothing,
}

impl Closed {
    /// What is less well than it could be, in a sentence.
    pub fn lacks(&self) -> Option<String> {
        let why = "this kernel cannot drop IPv6, and the nodes have none";
        matches!(self, Closed::Nothing).then(|| why.to_owned())
    }
}

/// Drops all IPv6 that comes from elsewhere into the calling thread's network namespace.
///
/// # Errors
/// `Unsupported` where that cannot be done and there is a way for it to come.
pub fn close(run: &str, iptables: Option<&Iptables>) -> Result<Closed, BackendError> {
    let closed = match iptables {
        Some(iptables) => iptables.restore_v6(&text()).map(|()| Closed::Chain(iptables.clone())),
        None => table(run),
    };
    match closed {
        Ok(closed) => Ok(closed),
        Err(_) if !is_open() => Ok(Closed::Nothing),
        Err(error) => Err(BackendError::Unsupported {
            problem: format!("nodes have IPv6 addresses, and their packets cannot be stopped: {error}"),
            remedy: "give the docker engine no IPv6 (`\"ipv6\": false` in its daemon.json)".into(),
        }),
    }
}

/// Whether any interface but loopback has an IPv6 address.
fn is_open() -> bool {
    let addresses = fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    addresses.lines().any(|line| line.split_whitespace().next_back() != Some("lo"))
}

fn text() -> String {
    format!("*filter\n:{CHAIN} - [0:0]\n-A {CHAIN} ! -i lo -j DROP\n-I INPUT -j {CHAIN}\nCOMMIT\n")
}

impl Drop for Closed {
    fn drop(&mut self) {
        if let Closed::Chain(iptables) = self {
            let text = format!("*filter\n-D INPUT -j {CHAIN}\n-F {CHAIN}\n-X {CHAIN}\nCOMMIT\n");
            // There is nobody left to tell; the namespace takes it along at its end.
            let _ = iptables.restore_v6(&text);
        }
    }
}

/// By a table, owned by its socket if the kernel knows that.
fn table(run: &str) -> io::Result<Closed> {
    let mut refused = None;
    for flags in [OWNER, 0] {
        let mut socket = Netlink::open(libc::NETLINK_NETFILTER as isize)?;
        match socket.transact(creation(&format!("schism-{run}-six"), flags)) {
            Ok(()) => return Ok(Closed::Table { _socket: socket }),
            Err(error) => drop(refused.get_or_insert(error)),
        }
    }
    Err(refused.expect("one of two was refused"))
}

fn creation(table: &str, flags: u32) -> Batch {
    const BEGIN: u16 = 16;
    const END: u16 = 17;
    let mut batch = Batch::default();
    let edge = [0, 0, 0, SUBSYSTEM as u8];
    batch.edge(BEGIN, "beginning a transaction", &edge);
    let mut push = |kind: u16, flags: u16, what: &str, body: &Writer| {
        let message = [&[FAMILY_IPV6, 0, 0, 0], &body.0[..]].concat();
        batch.push(SUBSYSTEM << 8 | kind, flags, what, &message);
    };
    let mut body = Writer::default();
    body.text(1, table).number(2, flags);
    push(0, CREATE, "making the table", &body);
    let mut body = Writer::default();
    body.text(1, table).text(3, "Input");
    body.nest(4, |at| {
        at.number(1, 1).put(2, &Treatment::Drop.priority().to_be_bytes());
    });
    body.text(7, "filter");
    push(3, CREATE, "hooking into the packets' way", &body);
    let mut body = Writer::default();
    body.text(1, table).text(2, "Input");
    body.nest(4, |rule| {
        expression(rule, "meta", |meta| {
            meta.number(1, REGISTER).number(2, INTERFACE_TYPE);
        });
        expression(rule, "cmp", |compare| {
            compare.number(1, REGISTER).number(2, NOT_EQUAL).nest(3, |data| {
                data.put(1, &LOOPBACK.to_ne_bytes());
            });
        });
        Treatment::Drop.act(rule);
    });
    push(6, CREATE | APPEND, "making the rule", &body);
    batch.edge(END, "ending a transaction", &edge);
    batch
}
