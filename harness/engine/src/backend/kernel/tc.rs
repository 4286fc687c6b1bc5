//! Links made late, lossy and slow by the kernel's own traffic control: the way where there is no packet queue.
//!
//! Each device through which packets leave gets one root discipline (htb) that lets everything pass at once but what a filter
//! leads to a class of its own: a token bucket (tbf), which is the rate, and below it netem, which delays and loses. In a
//! fabric, packets to an endpoint leave through its device; in a node's own network, what arrives is led through an ifb device
//! so that it leaves somewhere too. It finds how many packets were queued, lost and passed. What it cannot do is what the
//! kernel has no discipline for, and what no discipline counts (doubled, overtaken and changed packets); what waits
//! when a link heals is lost.
//!
//! What is made goes with the network namespace, and before that when this is dropped.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use super::cuts::{Hook, Place};
use super::disciplines::{self, Counted, Device, GET_QDISC, Matching};
use super::netlink::{Batch, Netlink};
use crate::backend::BackendError;
use crate::cluster::{Endpoint, Pair};
use crate::link::{Delay, Link, Loss, Spread, Traffic};

const GET_LINK: u16 = 18;
const IFB: &str = "schism-in";
/// What may wait for its turn: so much time's worth of the rate.
const QUEUE: Duration = Duration::from_millis(250);
/// What may pass at once, in time's worth of the rate; never less than two packets.
const BURST: Duration = Duration::from_millis(4);
const ETHERNET_HEADER: u32 = 14;
/// The longest jitter that netem computes right.
const MOST_JITTER: Duration = Duration::from_secs(2);
/// How many packets may be late at the same time.
const LATE: u32 = 100_000;
/// Filters are asked in this order: endpoints one by one, then "is it a node at all", then everybody else.
const FIRST: u16 = 0x10;
const NODES: u16 = 0xf00;
const STRANGERS: u16 = 0xf01;

/// A device through which packets leave.
#[derive(Clone, Debug)]
struct Exit {
    index: u32,
    /// The longest packet, with its ethernet header.
    frame: u32,
}

/// Which packets leave where.
enum Exits {
    /// A device for each endpoint: what goes to it.
    Fabric(BTreeMap<Endpoint, Exit>),
    /// One for what leaves this node, one for what arrives, led there from the first.
    Own { node: Endpoint, out: Exit, arrived: Exit, led: bool },
}

/// The links of one namespace, as traffic control has them.
pub(super) struct Tc {
    socket: Netlink,
    place: Place,
    exits: Exits,
    netem: bool,
    applied: BTreeMap<Pair, Link>,
    /// What queues that are gone have counted.
    earlier: BTreeMap<Pair, Traffic>,
}

impl Tc {
    /// Begins, with all links well. What the kernel has is found out by trying.
    ///
    /// # Errors
    /// When it has no htb and tbf, or not for us.
    pub(super) fn start(mut socket: Netlink, place: Place) -> Result<Self, BackendError> {
        let unsupported = |error: std::io::Error| BackendError::Unsupported {
            problem: format!("links cannot be slowed by tc: {error}"),
            remedy: "sudo modprobe -a sch_htb sch_tbf cls_u32, and for containers ifb act_mirred".into(),
        };
        let exits = exits(&mut socket, &place).map_err(unsupported)?;
        let mut batch = Batch::default();
        each(&exits).for_each(|exit| exit.on(&mut batch).tree());
        let tried = trial(&exits, &mut batch);
        let tc =
            Tc { socket, place, exits, netem: false, applied: BTreeMap::new(), earlier: BTreeMap::new() };
        // From here on it is taken down again when it is dropped.
        let mut tc = tc;
        tc.socket.transact(batch).map_err(unsupported)?;
        let mut batch = Batch::default();
        let delay = Delay { mean: Duration::from_millis(1), ..Delay::default() };
        tried.on(&mut batch).netem(handle(0x200, 1), handle(0x100, 1) | 1, delay, None, 1);
        tc.netem = tc.socket.transact(batch).is_ok();
        let mut batch = Batch::default();
        tried.on(&mut batch).without_class(1);
        tc.socket.transact(batch).map_err(unsupported)?;
        Ok(tc)
    }

    /// By which mechanism links are shaped.
    pub(super) fn mechanism(&self) -> &'static str {
        if self.netem { "tc, by htb, tbf and netem" } else { "tc, by htb and tbf: rates alone" }
    }

    /// Whether links can be made as bad as this.
    ///
    /// # Errors
    /// `Unsupported`, with what cannot be done.
    pub(super) fn may(&self, link: &Link) -> Result<(), BackendError> {
        lack(link, self.netem).map_or(Ok(()), |what| {
            Err(BackendError::Unsupported {
                problem: format!("links cannot have {what} here: there is only {}", self.mechanism()),
                remedy: "sudo modprobe -a nfnetlink_queue xt_NFQUEUE, or nft_queue, and do not ask for tc"
                    .into(),
            })
        })
    }

    /// Makes exactly these links as bad as this. When it returns, the next packet meets it.
    pub(super) fn apply(&mut self, links: &BTreeMap<Pair, Link>) -> Result<(), BackendError> {
        let shaped = links.iter().filter(|(_, link)| link.is_shaped());
        shaped.clone().try_for_each(|(_, link)| self.may(link))?;
        let wanted: BTreeMap<Pair, Link> =
            shaped.map(|(pair, link)| (*pair, Link { cut: None, ..link.clone() })).collect();
        let failed = || BackendError::system("shaping links by tc");
        let changed = |pair: &Pair| wanted.get(pair) != self.applied.get(pair);
        let gone: Vec<Pair> = self.applied.keys().filter(|pair| changed(pair)).copied().collect();
        let new: Vec<Pair> = wanted.keys().filter(|pair| changed(pair)).copied().collect();
        if !gone.is_empty() {
            let counted = self.counted()?;
            for pair in &gone {
                let sum = self.earlier.entry(*pair).or_default();
                *sum = sum.plus(&counted.get(pair).copied().unwrap_or_default());
            }
        }
        let mut batch = Batch::default();
        self.lead(&mut batch, wanted.keys());
        for pair in gone {
            let (exit, class) = self.of(pair);
            let mut device = exit.on(&mut batch);
            self.matching(pair).iter().for_each(|(priority, ..)| device.without_filter(*priority));
            device.without_class(class);
            self.applied.remove(&pair);
        }
        for pair in &new {
            let (exit, class) = self.of(*pair);
            queues(&exit, &mut batch, class, &wanted[pair]);
            let mut device = exit.on(&mut batch);
            for (priority, matching, past) in self.matching(*pair) {
                device.filter(priority, matching, if past { 0 } else { class });
            }
        }
        self.socket.transact(batch).map_err(failed())?;
        self.applied = wanted;
        Ok(())
    }

    /// What was done to packets so far.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub(super) fn traffic(&mut self) -> Result<BTreeMap<Pair, Traffic>, BackendError> {
        let mut traffic = self.earlier.clone();
        for (pair, now) in self.counted()? {
            let sum = traffic.entry(pair).or_default();
            *sum = sum.plus(&now);
        }
        Ok(traffic)
    }

    /// What the queues that are there now have counted.
    fn counted(&mut self) -> Result<BTreeMap<Pair, Traffic>, BackendError> {
        if self.applied.is_empty() {
            return Ok(BTreeMap::new());
        }
        let failed = BackendError::system("counting shaped packets");
        let parts = self.socket.dump(GET_QDISC, "counters", &[0; 20]).map_err(failed)?;
        let all: BTreeMap<(u32, u32), Counted> = parts.iter().filter_map(disciplines::counted).collect();
        let of = |(pair, link): (&Pair, &Link)| {
            let (exit, class) = self.of(*pair);
            let at = |major| all.get(&(exit.index, handle(major, class))).copied().unwrap_or_default();
            (*pair, told(link, at(0x100), at(0x200)))
        };
        Ok(self.applied.iter().map(of).collect())
    }

    /// Where packets of a pair leave, and which class there is theirs.
    fn of(&self, (from, to): Pair) -> (Exit, u32) {
        let (exit, far) = match &self.exits {
            Exits::Fabric(exits) => (&exits[&to], from),
            Exits::Own { node, arrived, .. } if to == *node => (arrived, from),
            Exits::Own { out, .. } => (out, to),
        };
        let class = match far {
            Endpoint::Node(node) => node.0 + 1,
            Endpoint::Clients => self.place.nodes.len() + 1,
        };
        (exit.clone(), class as u32)
    }

    /// What chooses the packets of a pair: in which order, which packets, and whether those are to pass.
    fn matching(&self, (from, to): Pair) -> Vec<(u16, Matching, bool)> {
        let any = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
        let strangers =
            self.place.nodes_only.filter(|_| from == Endpoint::Clients || to == Endpoint::Clients);
        let end = |endpoint, other| match (endpoint, strangers) {
            (Endpoint::Clients, Some(_)) => other,
            _ => (self.place.address(endpoint), Ipv4Addr::BROADCAST),
        };
        let matching = |other| Matching { from: end(from, other), to: end(to, other) };
        match strangers {
            Some(nodes) => vec![(NODES, matching(nodes), true), (STRANGERS, matching(any), false)],
            None => vec![(FIRST + self.of((from, to)).1 as u16, matching(any), false)],
        }
    }

    /// Leads what arrives past its queues if one of these pairs wants that.
    fn lead<'a>(&mut self, batch: &mut Batch, mut pairs: impl Iterator<Item = &'a Pair>) {
        let Exits::Own { node, out, arrived, led } = &mut self.exits else { return };
        let wanted = pairs.any(|(_, to)| to == node);
        let mut device = out.on(batch);
        match (*led, wanted) {
            (false, true) => device.detour(arrived.index),
            (true, false) => device.without_detour(),
            _ => {}
        }
        *led = wanted;
    }
}

impl Drop for Tc {
    fn drop(&mut self) {
        // There is nobody left to tell; the namespace takes all of it along at its end.
        for exit in each(&self.exits) {
            let mut batch = Batch::default();
            exit.on(&mut batch).fell();
            let _ = self.socket.transact(batch);
        }
        if let Exits::Own { out, .. } = &self.exits {
            let mut batch = Batch::default();
            out.on(&mut batch).without_entrance();
            let _ = self.socket.transact(batch);
            let mut batch = Batch::default();
            disciplines::remove_link(&mut batch, IFB);
            let _ = self.socket.transact(batch);
        }
    }
}

impl Exit {
    fn on<'a>(&self, batch: &'a mut Batch) -> Device<'a> {
        Device { batch, index: self.index }
    }
}

/// Every device that gets a root discipline.
fn each(exits: &Exits) -> impl Iterator<Item = Exit> {
    let all: Vec<Exit> = match exits {
        Exits::Fabric(exits) => exits.values().cloned().collect(),
        Exits::Own { out, arrived, .. } => vec![out.clone(), arrived.clone()],
    };
    all.into_iter()
}

/// Asks for the queues of a narrow link at one of them, to see whether the kernel has them.
fn trial(exits: &Exits, batch: &mut Batch) -> Exit {
    let exit = each(exits).next().expect("there is a device");
    queues(&exit, batch, 1, &Link { rate: Some(1_000_000), ..Link::default() });
    exit
}

/// The devices of a namespace through which packets leave.
fn exits(socket: &mut Netlink, place: &Place) -> std::io::Result<Exits> {
    let found = |socket: &mut Netlink| -> std::io::Result<BTreeMap<String, Exit>> {
        let parts = socket.dump(GET_LINK, "devices", &[0; 16])?;
        let devices = parts.iter().filter_map(disciplines::device);
        Ok(devices.map(|(name, index, mtu)| (name, Exit { index, frame: mtu + ETHERNET_HEADER })).collect())
    };
    let missing = |what: &str| std::io::Error::other(format!("there is no {what}"));
    if place.hooks == [Hook::Forward] {
        let devices = found(socket)?;
        let nodes = (0..place.nodes.len()).map(|index| Endpoint::Node(crate::cluster::Node(index)));
        let exit = |endpoint: Endpoint| {
            let exit = devices.get(&format!("schism-{endpoint}")).cloned();
            Ok((endpoint, exit.ok_or_else(|| missing(&format!("device of {endpoint}")))?))
        };
        let exits: std::io::Result<_> = nodes.chain([Endpoint::Clients]).map(exit).collect();
        return Ok(Exits::Fabric(exits?));
    }
    let here = |address: &Ipv4Addr| UdpSocket::bind((*address, 0)).is_ok();
    let node = place.nodes.iter().position(here).ok_or_else(|| missing("address of a node here"))?;
    let out = found(socket)?.into_iter().find(|(name, _)| name != "lo" && name != IFB);
    let (_, out) = out.ok_or_else(|| missing("device but the loopback"))?;
    let mut batch = Batch::default();
    disciplines::make_ifb(&mut batch, IFB);
    out.on(&mut batch).entrance();
    socket.transact(batch)?;
    let arrived = found(socket)?.remove(IFB).ok_or_else(|| missing(IFB))?;
    let node = Endpoint::Node(crate::cluster::Node(node));
    // What arrives there came through the other one.
    let arrived = Exit { frame: out.frame, ..arrived };
    Ok(Exits::Own { node, out, arrived, led: false })
}

/// The queues of one class: the rate, and below it what is late or lost.
fn queues(exit: &Exit, batch: &mut Batch, class: u32, link: &Link) {
    let bytes = link.rate.map(|bits| bits / 8);
    let worth = |time: Duration| {
        let bytes = bytes.map_or(f64::INFINITY, |bytes| bytes as f64);
        (bytes * time.as_secs_f64()).clamp(f64::from(2 * exit.frame), 1e9) as u32
    };
    // Without a rate: as much at once as one packet, so that what is longer becomes packets first.
    let burst = if bytes.is_some() { worth(BURST) } else { 2 * exit.frame };
    let mut device = exit.on(batch);
    device.class(class);
    device.bucket(handle(0x100, class), disciplines::TREE | class, bytes, burst, worth(QUEUE));
    if link.delay != Delay::default() || link.loss.is_some() {
        let late = worth(link.delay.mean + link.delay.jitter + QUEUE).div_ceil(exit.frame);
        let longest = if bytes.is_some() { late.clamp(2, LATE) } else { LATE };
        let parent = handle(0x100, class) | 1;
        device.netem(handle(0x200, class), parent, link.delay, link.loss, longest);
    }
}

/// The handle of a class's queue: `0x100` is its bucket, `0x200` its netem.
fn handle(kind: u32, class: u32) -> u32 {
    (kind + class) << 16
}

/// What cannot be done to a link here, if anything.
fn lack(link: &Link, netem: bool) -> Option<&'static str> {
    let Link {
        cut: _,
        ports,
        cut_behind,
        flap,
        delay,
        loss,
        duplicate,
        reorder,
        evade,
        corrupt,
        rate: _,
        mtu,
    } = link;
    let jitters = !delay.jitter.is_zero();
    let never = [
        (link.swallows(), "swallowed bytes"),
        (!ports.is_empty(), "closed ports"),
        (cut_behind.is_some(), "cuts behind a byte"),
        (flap.is_some(), "flapping"),
        (!duplicate.share.is_never(), "doubled packets"),
        (!reorder.share.is_never(), "overtaken packets"),
        (!evade.is_never() || !corrupt.is_never(), "changed packets"),
        (mtu.is_some(), "a longest packet"),
        (matches!(loss, Some(Loss::Every(_))), "losses by number"),
        (jitters && delay.spread != Spread::Uniform, "jitter that is not uniform"),
        (delay.jitter > MOST_JITTER, "a jitter of more than 2 s"),
        (delay.mean > disciplines::LATEST, "a delay of more than 270 s"),
    ];
    let by_netem = [(*delay != Delay::default(), "delays"), (loss.is_some(), "losses")];
    let by_netem = by_netem.into_iter().filter(|_| !netem);
    never.into_iter().chain(by_netem).find(|(wanted, _)| *wanted).map(|(_, what)| what)
}

/// What a link's queues have counted, in the words of links.
fn told(link: &Link, bucket: Counted, netem: Counted) -> Traffic {
    let lost = if link.loss.is_some() { netem.dropped } else { 0 };
    let late = link.delay != Delay::default();
    // What netem drops, the bucket above it counts as well.
    Traffic {
        seen: bucket.packets + bucket.waiting + bucket.dropped,
        delayed: if late { netem.packets } else { 0 },
        lost,
        waited: if link.rate.is_some() { bucket.overlimits } else { 0 },
        overflowed: bucket.dropped.saturating_sub(lost),
        ..Traffic::default()
    }
}
