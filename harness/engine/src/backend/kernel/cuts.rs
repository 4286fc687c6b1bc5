//! Cuts: one nftables table in a network namespace of ours, with a set of ordered pairs (source, destination) whose packets
//! vanish on the way (or meet another [`Treatment`]), and a packet counter for each pair. The namespace is the sandbox's fabric, through which all packets
//! pass, or that of one container, where they arrive or leave.
//!
//! The table is owned by our netlink socket (`flags owner`), so that the kernel itself deletes it when the socket closes,
//! `kill -9` included. A change of any size is one transaction: no packet sees half of a partition. It finds out that a
//! pair's packets were dropped and how many; not which ones.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;

use super::netlink::{APPEND, Answer, Batch, CREATE, Netlink, Writer, attributes};
use super::treatment::Treatment;
use crate::backend::BackendError;
use crate::cluster::{Endpoint, Node};

/// An ordered pair: whose packets, and to whom.
pub type Pair = (Endpoint, Endpoint);

const SUBSYSTEM: u16 = 10;
const FAMILY_IPV4: u8 = 2;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;

// Messages and attributes of `linux/netfilter/nf_tables.h`.
const NEW_TABLE: u16 = 0;
const NEW_CHAIN: u16 = 3;
const NEW_RULE: u16 = 6;
const NEW_SET: u16 = 9;
const NEW_ELEMENTS: u16 = 12;
const GET_ELEMENTS: u16 = 13;
const DELETE_ELEMENTS: u16 = 14;
const OWNER: u32 = 2;
const REGISTER: u32 = 1;
/// The register's first, second and third four bytes (`NFT_REG32_00` and so on), where they are used one by one.
const QUARTERS: [u32; 3] = [8, 9, 10];
const NETWORK_HEADER: u32 = 1;
const SOURCE: u32 = 12;
const DESTINATION: u32 = 16;
const NOT_EQUAL: u32 = 1;
const SET: &str = "cut";
const SET_NUMBER: u32 = 1;
/// An attribute's length has 16 bits; this many pairs stay far below.
const PAIRS_A_MESSAGE: usize = 500;

/// What the kernel's nftables can do for us, from best to barely enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mechanism {
    /// The table goes with the socket; without it, it goes with the network namespace, which is as sure but not as soon.
    pub owner: bool,
    /// Every pair has its own packet counter; without it, no effect of a cut can be measured.
    pub counters: bool,
}

impl Mechanism {
    /// What it cannot do, a sentence each.
    pub fn lacks(self) -> impl Iterator<Item = &'static str> {
        let owner = "this kernel knows no owned nftables table: cuts end with the network namespace";
        let counters = "this kernel does not count dropped packets for each cut: no cut's effect is measured";
        [(!self.owner).then_some(owner), (!self.counters).then_some(counters)].into_iter().flatten()
    }
}

/// In order of preference: owned tables came with Linux 5.12, counters in sets with 5.7.
const MECHANISMS: [Mechanism; 3] = [
    Mechanism { owner: true, counters: true },
    Mechanism { owner: false, counters: true },
    Mechanism { owner: false, counters: false },
];

/// Where packets are looked at (`enum nf_inet_hooks`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// On their way to this machine.
    Input,
    /// On their way through it.
    Forward,
    /// On their way out of it. Dropped here, a sender notices; TCP takes it for a busy link and tries again.
    Output,
}

/// Where cuts are made, and who is who there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The run's id: part of the table's name.
    pub run: String,
    /// Where packets are looked at.
    pub hooks: &'static [Hook],
    /// The clients' address.
    pub clients: Ipv4Addr,
    /// The nodes' addresses, in order.
    pub nodes: Vec<Ipv4Addr>,
    /// A network (address and mask) in which all nodes are and nobody else: then whoever is not in it counts as the
    /// clients, under whatever address they come.
    pub nodes_only: Option<(Ipv4Addr, Ipv4Addr)>,
}

impl Place {
    pub(super) fn address(&self, endpoint: Endpoint) -> Ipv4Addr {
        match endpoint {
            Endpoint::Clients => self.clients,
            Endpoint::Node(node) => self.nodes[node.0],
        }
    }

    /// Whose packets come from or go to this address, strangers included.
    pub(super) fn whose(&self, address: Ipv4Addr) -> Option<Endpoint> {
        let stranger = self.nodes_only.is_some_and(|(network, mask)| address & mask != network);
        self.endpoint(address).or_else(|| stranger.then_some(Endpoint::Clients))
    }

    /// Whose address this is.
    fn endpoint(&self, address: Ipv4Addr) -> Option<Endpoint> {
        if address == self.clients {
            return Some(Endpoint::Clients);
        }
        self.nodes.iter().position(|node| *node == address).map(|at| Endpoint::Node(Node(at)))
    }
}

/// The cuts of one cluster, or those that one of its nodes has to make.
pub struct Cuts {
    netlink: Netlink,
    place: Place,
    table: String,
    mechanism: Mechanism,
    applied: BTreeSet<Pair>,
}

impl Cuts {
    /// Makes the table, cutting nothing, over a socket opened in the namespace.
    ///
    /// # Errors
    /// When the kernel has no nftables, or not for us.
    pub fn create(netlink: Netlink, place: Place) -> Result<Self, BackendError> {
        Self::treating(netlink, place, Treatment::Drop)
    }

    /// The same with another treatment of the packets than dropping them.
    ///
    /// # Errors
    /// When the kernel has no nftables, or not for us, or not with this treatment.
    pub fn treating(mut netlink: Netlink, place: Place, treatment: Treatment) -> Result<Self, BackendError> {
        let table = format!("schism-{}{}", place.run, treatment.suffix());
        let mut refused = None;
        for mechanism in MECHANISMS {
            match netlink.transact(creation(&table, mechanism, &place, treatment)) {
                Ok(()) => return Ok(Cuts { netlink, place, table, mechanism, applied: BTreeSet::new() }),
                Err(error) => {
                    refused.get_or_insert(error);
                }
            }
        }
        let refused = refused.map(|error| error.to_string()).unwrap_or_default();
        Err(BackendError::Unsupported {
            problem: format!("packets cannot be stopped ({treatment:?}): nftables refused ({refused})"),
            remedy: "sudo modprobe nf_tables".into(),
        })
    }

    /// The pairs that are in the set now.
    pub(super) fn applied(&self) -> &BTreeSet<Pair> {
        &self.applied
    }

    /// How it is done here.
    pub fn mechanism(&self) -> Mechanism {
        self.mechanism
    }

    /// Makes exactly these pairs cut, in one transaction. Counters of pairs that stay cut go on.
    ///
    /// # Errors
    /// What the kernel refused; nothing has changed then.
    pub fn apply(&mut self, wanted: &BTreeSet<Pair>) -> Result<(), BackendError> {
        if self.applied == *wanted {
            return Ok(());
        }
        let mut batch = begin();
        let healed: Vec<Pair> = self.applied.difference(wanted).copied().collect();
        let fresh: Vec<Pair> = wanted.difference(&self.applied).copied().collect();
        for part in healed.chunks(PAIRS_A_MESSAGE) {
            push(&mut batch, DELETE_ELEMENTS, 0, "healing links", &self.elements(part));
        }
        for part in fresh.chunks(PAIRS_A_MESSAGE) {
            push(&mut batch, NEW_ELEMENTS, CREATE, "cutting links", &self.elements(part));
        }
        self.netlink.transact(end(batch)).map_err(BackendError::system("cutting and healing links"))?;
        self.applied.clone_from(wanted);
        Ok(())
    }

    /// Packets dropped for each pair that is cut now, since it was cut; empty where the kernel does not count.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn dropped(&mut self) -> Result<BTreeMap<Pair, u64>, BackendError> {
        if !self.mechanism.counters || self.applied.is_empty() {
            return Ok(BTreeMap::new());
        }
        let failed = BackendError::system("counting dropped packets");
        let body = message(Writer::default().text(1, &self.table).text(2, SET));
        let kind = SUBSYSTEM << 8 | GET_ELEMENTS;
        let parts: Vec<Answer> = self.netlink.dump(kind, "counters", &body).map_err(failed)?;
        let counted: BTreeMap<Pair, u64> = parts.iter().flat_map(|part| self.counters(&part.body)).collect();
        let missing = self.applied.iter().find(|pair| !counted.contains_key(pair));
        match missing {
            None => Ok(counted),
            Some((from, to)) => {
                let lost = io::Error::other(format!("the kernel lost the cut from {from} to {to}"));
                Err(BackendError::system("counting dropped packets")(lost))
            }
        }
    }

    fn elements(&self, pairs: &[Pair]) -> Writer {
        let mut body = Writer::default();
        body.text(1, &self.table).text(2, SET).nest(3, |list| {
            for (from, to) in pairs {
                let key = [self.place.address(*from).octets(), self.place.address(*to).octets()].concat();
                list.nest(1, |element| {
                    element.nest(1, |data| {
                        data.put(1, &key);
                    });
                });
            }
        });
        body
    }

    /// The counters in one part of a list of elements.
    fn counters(&self, body: &[u8]) -> Vec<(Pair, u64)> {
        let list = attributes(body.get(4..).unwrap_or_default()).find(|(kind, _)| *kind == 3);
        let elements = list.into_iter().flat_map(|(_, elements)| attributes(elements));
        elements.filter_map(|(_, element)| Some((self.key(element)?, counter(element)?))).collect()
    }

    fn key(&self, element: &[u8]) -> Option<Pair> {
        let bytes: [u8; 8] = within(within(element, 1)?, 1)?.try_into().ok()?;
        let [a, b, c, d, e, f, g, h] = bytes;
        Some((self.place.endpoint([a, b, c, d].into())?, self.place.endpoint([e, f, g, h].into())?))
    }
}

fn counter(element: &[u8]) -> Option<u64> {
    let packets = within(within(within(element, 7)?, 2)?, 2)?;
    Some(u64::from_be_bytes(packets.try_into().ok()?))
}

fn within(bytes: &[u8], kind: u16) -> Option<&[u8]> {
    attributes(bytes).find(|(found, _)| *found == kind).map(|(_, value)| value)
}

/// Table, set, and for each hook a chain and its rules: look the packet's two addresses up in the set, and treat it if they
/// are there.
fn creation(table: &str, mechanism: Mechanism, place: &Place, treatment: Treatment) -> Batch {
    let mut batch = begin();
    let mut body = Writer::default();
    body.text(1, table).number(2, if mechanism.owner { OWNER } else { 0 });
    push(&mut batch, NEW_TABLE, CREATE, "making the table", &body);

    let mut body = Writer::default();
    body.text(1, table).text(2, SET).number(3, 0).number(4, 0).number(5, 8).number(10, SET_NUMBER);
    // Told its final size, the kernel takes a table that never grows. While one that grows does so, lists of it have gaps.
    let pairs = (place.nodes.len() + 1).pow(2);
    body.nest(9, |description| {
        description.number(1, pairs as u32);
    });
    if mechanism.counters {
        body.nest(17, |expression| {
            expression.text(1, "counter");
        });
    }
    push(&mut batch, NEW_SET, CREATE, "making the set of pairs", &body);

    for hook in place.hooks {
        chain(&mut batch, table, *hook, treatment.priority());
        rule(&mut batch, table, *hook, treatment, both_addresses);
        if let Some(network) = place.nodes_only {
            rule(&mut batch, table, *hook, treatment, |rule| stranger(rule, *hook, network, place.clients));
        }
    }
    end(batch)
}

fn chain(batch: &mut Batch, table: &str, hook: Hook, priority: i32) {
    let number = match hook {
        Hook::Input => 1,
        Hook::Forward => 2,
        Hook::Output => 3,
    };
    let mut body = Writer::default();
    body.text(1, table).text(3, &format!("{hook:?}"));
    body.nest(4, |at| {
        at.number(1, number).put(2, &priority.to_be_bytes());
    });
    body.text(7, "filter");
    push(batch, NEW_CHAIN, CREATE, "hooking into the packets' way", &body);
}

/// A rule that makes a pair of addresses in the register, and treats the packet if the set has that pair.
fn rule(batch: &mut Batch, table: &str, hook: Hook, treatment: Treatment, pair: impl FnOnce(&mut Writer)) {
    let mut body = Writer::default();
    body.text(1, table).text(2, &format!("{hook:?}"));
    body.nest(4, |rule| {
        pair(rule);
        expression(rule, "lookup", |lookup| {
            lookup.text(1, SET).number(2, REGISTER).number(4, SET_NUMBER);
        });
        treatment.act(rule);
    });
    push(batch, NEW_RULE, CREATE | APPEND, "making the rule", &body);
}

/// The packet's own two addresses, which lie side by side in its header.
fn both_addresses(rule: &mut Writer) {
    load(rule, REGISTER, SOURCE, 8);
}

/// For a packet whose far end is outside the nodes' network: the same with the clients' address in place of the far one.
fn stranger(rule: &mut Writer, hook: Hook, (network, mask): (Ipv4Addr, Ipv4Addr), clients: Ipv4Addr) {
    let [first, second, third] = QUARTERS;
    let (far, near) = if hook == Hook::Output { (second, first) } else { (first, second) };
    let (far_offset, near_offset) =
        if hook == Hook::Output { (DESTINATION, SOURCE) } else { (SOURCE, DESTINATION) };
    load(rule, third, far_offset, 4);
    expression(rule, "bitwise", |bitwise| {
        bitwise.number(1, third).number(2, third).number(3, 4);
        bitwise.nest(4, |data| {
            data.put(1, &mask.octets());
        });
        bitwise.nest(5, |data| {
            data.put(1, &[0; 4]);
        });
    });
    expression(rule, "cmp", |compare| {
        compare.number(1, third).number(2, NOT_EQUAL).nest(3, |data| {
            data.put(1, &network.octets());
        });
    });
    load(rule, near, near_offset, 4);
    expression(rule, "immediate", |immediate| {
        immediate.number(1, far).nest(2, |data| {
            data.put(1, &clients.octets());
        });
    });
}

/// Loads so many bytes of the packet's IP header into a register.
fn load(rule: &mut Writer, register: u32, offset: u32, length: u32) {
    expression(rule, "payload", |load| {
        load.number(1, register).number(2, NETWORK_HEADER).number(3, offset).number(4, length);
    });
}

pub(super) fn expression(rule: &mut Writer, name: &str, data: impl FnOnce(&mut Writer)) {
    rule.nest(1, |element| {
        element.text(1, name).nest(2, data);
    });
}

fn begin() -> Batch {
    let mut batch = Batch::default();
    batch.edge(BATCH_BEGIN, "beginning a transaction", &[0, 0, 0, SUBSYSTEM as u8]);
    batch
}

fn end(mut batch: Batch) -> Batch {
    batch.edge(BATCH_END, "ending a transaction", &[0, 0, 0, SUBSYSTEM as u8]);
    batch
}

fn push(batch: &mut Batch, kind: u16, flags: u16, what: &str, body: &Writer) {
    batch.push(SUBSYSTEM << 8 | kind, flags, what, &message(body));
}

fn message(body: &Writer) -> Vec<u8> {
    [&[FAMILY_IPV4, 0, 0, 0], &body.0[..]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::sandbox::enter::isolate;
    use crate::backend::sandbox::probe::{in_child, works};
    use crate::cluster::Node;

    /// A hundred nodes, wherever a kernel can look at packets.
    fn place() -> Place {
        Place {
            run: "test".into(),
            hooks: &[Hook::Input, Hook::Forward, Hook::Output],
            clients: Ipv4Addr::new(198, 18, 7, 1),
            nodes: (0..100).map(|at| Ipv4Addr::new(198, 18, 7, 129 + at)).collect(),
            nodes_only: Some((Ipv4Addr::new(198, 18, 7, 128), Ipv4Addr::new(255, 255, 255, 128))),
        }
    }

    /// Every way down the ladder has to work, though a kernel shows us only its best.
    #[test]
    fn every_mechanism_takes_and_heals_cuts() {
        let found = in_child(|| {
            isolate()?;
            for mechanism in MECHANISMS {
                let failed = |error| BackendError::system(format!("{mechanism:?}"))(error);
                let mut netlink = Netlink::open(libc::NETLINK_NETFILTER as isize).map_err(failed)?;
                let table = format!("schism-{mechanism:?}").replace([' ', ':', ',', '{', '}'], "");
                let place = place();
                netlink.transact(creation(&table, mechanism, &place, Treatment::Drop)).map_err(failed)?;
                let mut cuts = Cuts { netlink, place, table, mechanism, applied: BTreeSet::new() };
                let nodes = (0..100).map(|index| Endpoint::Node(Node(index)));
                // More pairs than fit into one message.
                let many: BTreeSet<Pair> =
                    nodes.clone().flat_map(|a| nodes.clone().take(12).map(move |b| (a, b))).collect();
                cuts.apply(&many)?;
                let counted = cuts.dropped()?;
                assert_eq!(counted.len(), if mechanism.counters { many.len() } else { 0 });
                cuts.apply(&many.iter().copied().take(7).collect())?;
                assert_eq!(cuts.dropped()?.len(), if mechanism.counters { 7 } else { 0 });
                cuts.apply(&BTreeSet::new())?;
                assert!(cuts.dropped()?.is_empty());
            }
            Ok(works("all"))
        });
        if found.how.contains("namespace") {
            assert!(std::env::var_os("CI").is_none(), "{found:?}");
            println!("skipped: sandbox: {}", found.how);
        } else {
            assert!(found.works, "{found:?}");
        }
    }
}
