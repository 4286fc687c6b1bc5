//! Traffic control in the kernel's own words: the messages that make, change, remove and count queueing disciplines, classes
//! and filters (`linux/rtnetlink.h`, `linux/pkt_sched.h`, `linux/pkt_cls.h`).
//!
//! `netlink-packet-route` has the frame of these messages but none of the disciplines used here. All of it is bytes from
//! values: whether a kernel takes them is found out by who sends them.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::netlink::{Answer, Batch, CREATE, EXCLUSIVE, Writer, attributes};
use crate::link::{Delay, Loss};

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_QDISC: u16 = 36;
const DELETE_QDISC: u16 = 37;
/// Asks for a list of all of a namespace's disciplines.
pub(super) const GET_QDISC: u16 = 38;
const NEW_CLASS: u16 = 40;
const DELETE_CLASS: u16 = 41;
const NEW_FILTER: u16 = 44;
const DELETE_FILTER: u16 = 45;
const REPLACE: u16 = 0x100;

/// `struct tcmsg`.
const HEADER: usize = 20;
const ROOT: u32 = u32::MAX;
const INGRESS: u32 = 0xffff_fff1;
const INGRESS_HANDLE: u32 = 0xffff_0000;
/// The root discipline of ours, `1:`; a filter that leads there lets a packet pass at once.
pub(super) const TREE: u32 = 1 << 16;
const IPV4: u16 = 0x0800;
const ETHERNET: u8 = 1;
/// In bytes a second: as good as none.
const NO_RATE: u32 = u32::MAX;
/// The kernel's ticks are 64 ns.
const TICK_NS: u64 = 64;
/// The longest delay that it can be told in them: a little less than what 32 bits of ticks are.
pub(super) const LATEST: Duration = Duration::from_secs(270);

/// Which packets: those from and to these networks, an address and its mask each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Matching {
    pub(super) from: (Ipv4Addr, Ipv4Addr),
    pub(super) to: (Ipv4Addr, Ipv4Addr),
}

/// What a queue has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    /// Packets that left it.
    pub(super) packets: u64,
    /// Packets that wait in it.
    pub(super) waiting: u64,
    /// Packets that it dropped.
    pub(super) dropped: u64,
    /// How often a packet had to wait for its turn.
    pub(super) overlimits: u64,
}

/// Messages about one device.
pub(super) struct Device<'a> {
    pub(super) batch: &'a mut Batch,
    pub(super) index: u32,
}

impl Device<'_> {
    fn push(&mut self, kind: u16, flags: u16, what: &str, [handle, parent, info]: [u32; 3], body: &Writer) {
        let mut message = vec![0; 4];
        for word in [self.index, handle, parent, info] {
            message.extend(word.to_ne_bytes());
        }
        debug_assert_eq!(message.len(), HEADER);
        message.extend(&body.0);
        self.batch.push(kind, flags, what, &message);
    }

    /// The one root discipline: htb, of which packets that no filter knows see nothing.
    pub(super) fn tree(&mut self) {
        let mut body = Writer::default();
        // Version 3, rate to quantum 10, no default class.
        let global = words(&[3, 10, 0, 0, 0]);
        body.text(1, "htb").nest(2, |options| {
            options.put(2, &global);
        });
        self.push(NEW_QDISC, CREATE | REPLACE, "making the root discipline htb", [TREE, ROOT, 0], &body);
    }

    /// Takes the root discipline away, and all that hangs on it.
    pub(super) fn fell(&mut self) {
        let body = Writer::default();
        self.push(DELETE_QDISC, 0, "removing the root discipline", [TREE, ROOT, 0], &body);
    }

    /// A class of the tree, which limits nothing by itself.
    pub(super) fn class(&mut self, class: u32) {
        let ten_ms = (10_000_000 / TICK_NS) as u32;
        // Rate and ceiling, their buffers, quantum, level and priority.
        let parameters = [rate(NO_RATE), rate(NO_RATE), words(&[ten_ms, ten_ms, 60_000, 0, 0])].concat();
        let mut body = Writer::default();
        body.text(1, "htb").nest(2, |options| {
            options.put(1, &parameters);
        });
        self.push(NEW_CLASS, CREATE | REPLACE, "making a class of htb", [TREE | class, TREE, 0], &body);
    }

    pub(super) fn without_class(&mut self, class: u32) {
        let body = Writer::default();
        self.push(DELETE_CLASS, 0, "removing a class of htb", [TREE | class, TREE, 0], &body);
    }

    /// A token bucket: so many bytes a second, so many at once, so many waiting. It cuts packets that are longer than what
    /// may pass at once into wire-sized ones.
    pub(super) fn bucket(&mut self, handle: u32, parent: u32, bytes: Option<u64>, burst: u32, limit: u32) {
        let bytes = bytes.map_or(NO_RATE, |bytes| u32::try_from(bytes.max(1)).unwrap_or(NO_RATE));
        // Rate, no peak rate; the limit, then buffer and mtu, which the burst in bytes stands for.
        let parameters = [rate(bytes), rate(0), words(&[limit, 0, 0])].concat();
        let mut body = Writer::default();
        body.text(1, "tbf").nest(2, |options| {
            options.put(1, &parameters).put(6, &burst.to_ne_bytes());
        });
        self.push(NEW_QDISC, CREATE | REPLACE, "making a token bucket (tbf)", [handle, parent, 0], &body);
    }

    /// Packets are late, or lost.
    pub(super) fn netem(&mut self, handle: u32, parent: u32, delay: Delay, loss: Option<Loss>, longest: u32) {
        let ticks = |time: Duration| (time.as_nanos() / u128::from(TICK_NS)).min(u32::MAX.into()) as u32;
        let random = if let Some(Loss::Random(share)) = loss { chance(share.probability()) } else { 0 };
        // Latency, the queue's length, loss, gap, duplication, jitter.
        let mut options = Writer(words(&[ticks(delay.mean), longest, random, 0, 0, ticks(delay.jitter)]));
        if let Some(Loss::Bursts(share, length)) = loss {
            let (leave, part) = (1.0 / f64::from(length.max(1)), share.probability().min(0.999_999));
            let enter = leave * part / (1.0 - part);
            options.nest(5, |kind| {
                // Gilbert's: chances to enter and to leave the bad state; in it none passes, outside all do.
                kind.put(2, &words(&[chance(enter), chance(leave), 0, 0]));
            });
        }
        if !delay.jitter.is_zero() {
            // With a rate, whatever it is, the kernel keeps packets in their order.
            options.put(6, &words(&[NO_RATE, 0, 0, 0]));
        }
        let mut body = Writer::default();
        body.text(1, "netem").put(2, &options.0);
        self.push(NEW_QDISC, CREATE | REPLACE, "making a queue of netem", [handle, parent, 0], &body);
    }

    /// Leads packets to a class of the tree; class 0 is past all classes.
    pub(super) fn filter(&mut self, priority: u16, matching: Matching, class: u32) {
        let mut body = Writer::default();
        body.text(1, "u32").nest(2, |options| {
            options.put(1, &(TREE | class).to_ne_bytes()).put(5, &selector(matching));
        });
        let place = [0, TREE, information(priority)];
        self.push(NEW_FILTER, CREATE | EXCLUSIVE, "choosing packets (u32)", place, &body);
    }

    pub(super) fn without_filter(&mut self, priority: u16) {
        let place = [0, TREE, information(priority)];
        self.push(DELETE_FILTER, 0, "not choosing packets any more", place, &Writer::default());
    }

    /// A place for filters of what arrives.
    pub(super) fn entrance(&mut self) {
        let mut body = Writer::default();
        body.text(1, "ingress");
        let place = [INGRESS_HANDLE, INGRESS, 0];
        self.push(NEW_QDISC, CREATE | REPLACE, "looking at what arrives (ingress)", place, &body);
    }

    pub(super) fn without_entrance(&mut self) {
        let place = [INGRESS_HANDLE, INGRESS, 0];
        self.push(DELETE_QDISC, 0, "not looking at what arrives any more", place, &Writer::default());
    }

    /// All that arrives takes the way through another device.
    pub(super) fn detour(&mut self, through: u32) {
        let all = (Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED);
        let (stolen, redirected) = (4, 1);
        let mirror = words(&[0, 0, stolen, 0, 0, redirected, through]);
        let mut body = Writer::default();
        body.text(1, "u32").nest(2, |options| {
            options.put(5, &selector(Matching { from: all, to: all })).nest(7, |actions| {
                actions.nest(1, |action| {
                    action.text(1, "mirred").nest(2, |options| {
                        options.put(2, &mirror);
                    });
                });
            });
        });
        let place = [0, INGRESS_HANDLE, information(1)];
        self.push(NEW_FILTER, CREATE | EXCLUSIVE, "leading what arrives elsewhere (mirred)", place, &body);
    }

    pub(super) fn without_detour(&mut self) {
        let place = [0, INGRESS_HANDLE, information(1)];
        self.push(DELETE_FILTER, 0, "leading nothing elsewhere any more", place, &Writer::default());
    }
}

/// A device through which what arrives can be led, so that it leaves somewhere and can be queued there.
pub(super) fn make_ifb(batch: &mut Batch, name: &str) {
    let up = 1;
    let mut message = link(up);
    let mut body = Writer::default();
    body.text(3, name).nest(18, |information| {
        information.text(1, "ifb");
    });
    message.extend(&body.0);
    batch.push(NEW_LINK, CREATE | EXCLUSIVE, "making an ifb device", &message);
}

pub(super) fn remove_link(batch: &mut Batch, name: &str) {
    let mut message = link(0);
    let mut body = Writer::default();
    body.text(3, name);
    message.extend(&body.0);
    batch.push(DELETE_LINK, 0, "removing the ifb device", &message);
}

/// `struct ifinfomsg`, of a device that is found by its name.
fn link(flags: u32) -> Vec<u8> {
    [words(&[0, 0]), words(&[flags, flags])].concat()
}

/// A name, a number and the longest packet in one part of a list of devices.
pub(super) fn device(answer: &Answer) -> Option<(String, u32, u32)> {
    let index = u32::from_ne_bytes(answer.body.get(4..8)?.try_into().ok()?);
    let find = |wanted| attributes(answer.body.get(16..)?).find(|(kind, _)| *kind == wanted);
    let name = String::from_utf8_lossy(find(3)?.1).trim_end_matches('\0').to_owned();
    Some((name, index, u32::from_ne_bytes(find(4)?.1.try_into().ok()?)))
}

/// Whose counters one part of a list of disciplines has (device and handle), and what they say.
pub(super) fn counted(answer: &Answer) -> Option<((u32, u32), Counted)> {
    let word = |at: usize| Some(u32::from_ne_bytes(answer.body.get(at..at + 4)?.try_into().ok()?));
    let (device, handle) = (word(4)?, word(8)?);
    let within = |bytes, wanted| attributes(bytes).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let counters = within(answer.body.get(HEADER..)?, 7)?;
    let number = |kind: u16, at: usize| {
        let bytes: [u8; 4] = within(counters, kind)?.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_ne_bytes(bytes)))
    };
    let (basic, queue) = (1, 3);
    let counted = Counted {
        packets: number(basic, 8)?,
        waiting: number(queue, 0)?,
        dropped: number(queue, 8)?,
        overlimits: number(queue, 16)?,
    };
    Some(((device, handle), counted))
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// `struct tc_ratespec`: told that frames are ethernet's, the kernel needs no table of times.
fn rate(bytes: u32) -> Vec<u8> {
    [&[0, ETHERNET][..], &[0; 6], &bytes.to_ne_bytes()].concat()
}

/// A probability as the kernel has them: of 2³² − 1.
fn chance(probability: f64) -> u32 {
    (probability.clamp(0.0, 1.0) * f64::from(u32::MAX)).round() as u32
}

fn information(priority: u16) -> u32 {
    u32::from(priority) << 16 | u32::from(IPV4.to_be())
}

/// `struct tc_u32_sel` with two keys: source and destination address.
fn selector(Matching { from, to }: Matching) -> Vec<u8> {
    let terminal = 1;
    let mut bytes = vec![terminal, 0, 2, 0];
    bytes.extend([0; 12]);
    for ((network, mask), offset) in [(from, 12u32), (to, 16)] {
        bytes.extend(mask.octets());
        bytes.extend(network.octets());
        bytes.extend(offset.to_ne_bytes());
        bytes.extend([0; 4]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::{Share, Spread};

    /// A message without its netlink header, and without its device.
    fn message(write: impl FnOnce(&mut Device)) -> Vec<u8> {
        let mut batch = Batch::default();
        write(&mut Device { batch: &mut batch, index: 7 });
        let bytes = batch.bytes();
        assert_eq!(bytes[20..24], 7u32.to_ne_bytes());
        [&bytes[4..8], &bytes[24..]].concat()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// What the program `tc` of iproute2 6.1 sends for `tc qdisc replace dev lo parent 101:1 handle 201: netem limit 1000 delay
    /// 40ms 10ms loss gemodel 25% 25% rate 34359738360bit`, as strace shows it.
    #[test]
    fn netem_is_asked_for_as_tc_does() {
        let delay = Delay {
            mean: Duration::from_millis(40),
            jitter: Duration::from_millis(10),
            spread: Spread::Uniform,
        };
        let loss = Loss::Bursts(Share::percent(50), 4);
        let ours = message(|device| device.netem(0x201 << 16, 0x101 << 16 | 1, delay, Some(loss), 1000));
        let theirs = [
            "24000105",                                                 // RTM_NEWQDISC: request, replace, create
            "000001020100010100000000",                                 // handle 201:, parent 101:1
            "0a0001006e6574656d000000",                                 // netem
            "4800020068890900e80300000000000000000000000000005a620200", // 40 ms, 1000 packets, 10 ms
            "1800058014000200000000400000004000000000", // in and out of the bad state: a quarter each
            "00000000",                                 // there all are lost, elsewhere none
            "14000600ffffffff000000000000000000000000", // the rate
        ];
        assert_eq!(hex(&ours), theirs.concat());
    }

    /// The same of `tc filter add dev lo parent 1: protocol ip prio 17 u32 match ip src 198.18.1.2/32 match ip dst
    /// 198.18.2.2/32 flowid 1:2`, and of `tc filter add … u32 match u32 0 0 action mirred egress redirect dev lo`.
    #[test]
    fn packets_are_chosen_as_tc_does() {
        let one = |address: [u8; 4]| (Ipv4Addr::from(address), Ipv4Addr::BROADCAST);
        let matching = Matching { from: one([198, 18, 1, 2]), to: one([198, 18, 2, 2]) };
        let theirs = [
            "0800010002000100",                 // to class 1:2
            "3400050001000200",                 // it is decided; two keys
            "000000000000000000000000",         // at fixed places
            "ffffffffc61201020c00000000000000", // the source
            "ffffffffc61202021000000000000000", // the destination
        ];
        let ours = hex(&message(|device| device.filter(17, matching, 2)));
        assert!(ours.ends_with(&theirs.concat()), "{ours}");
        let mirred = "0b0001006d69727265640000";
        let redirect = "20000200000000000000000004000000000000000000000001000000";
        let ours = hex(&message(|device| device.detour(1)));
        assert!(ours.contains(mirred) && ours.ends_with(&format!("{redirect}01000000")), "{ours}");
    }
}
