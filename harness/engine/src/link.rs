//! What can be wrong with the way from one endpoint to another, as values that join.
//!
//! A [`Wrong`] is one thing asked of one direction of a link; a [`Link`] is all of them together. Joining takes the worse of
//! each: two delays do not add up, and when one of them is healed the other stands as it was asked for. How it is done is
//! a backend's business, and whether it was felt is measured ([`Traffic`]).

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How often something happens to a packet, in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Share(u32);

impl Share {
    /// To every packet.
    pub const ALL: Share = Share(1_000_000);

    /// So many in a million; more than all is all.
    pub const fn millionths(number: u32) -> Self {
        if number > Self::ALL.0 { Self::ALL } else { Share(number) }
    }

    /// So many in a hundred.
    pub const fn percent(number: u32) -> Self {
        Self::millionths(number.saturating_mul(10_000))
    }

    /// From 0 to 1.
    pub fn probability(self) -> f64 {
        f64::from(self.0) / 1e6
    }

    /// Whether it never happens.
    pub fn is_never(self) -> bool {
        self.0 == 0
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} %", f64::from(self.0) / 1e4)
    }
}

/// How packets are kept from arriving. Ordered: silence is the worst, as nobody is told that anything is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Cut {
    /// TCP connections are reset, at both ends as soon as they say something; all else vanishes.
    Reset,
    /// The sender is told that the other end cannot be reached (ICMP).
    Refuse,
    /// What is sent over a TCP connection is acknowledged to its sender and never delivered, its end included; connections can
    /// be made all the same. All else vanishes. When it is over, both ends of such a connection are reset: it could not
    /// go on, as its sender has forgotten what the receiver lacks.
    Swallow,
    /// Packets vanish without a word.
    Drop,
}

/// How delays lie around their mean.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Spread {
    /// Evenly from the mean less the jitter to the mean plus the jitter.
    #[default]
    Uniform,
    /// Normally, the jitter being the standard deviation.
    Normal,
    /// By Pareto's law with exponent 3, the jitter being the standard deviation: mostly a little early, sometimes very late.
    Pareto,
}

/// Packets arrive later, in the order in which they were sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Delay {
    /// By how much, on average.
    pub mean: Duration,
    /// How far from that it goes.
    pub jitter: Duration,
    /// In which way.
    pub spread: Spread,
}

/// Which packets are lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Loss {
    /// Each by itself, with this chance.
    Random(Share),
    /// As many in the long run, but in bursts of this mean length in packets (Gilbert, 1960).
    Bursts(Share, u32),
    /// Every n-th one.
    Every(u32),
}

impl Loss {
    /// Which part of all packets is lost in the long run, from 0 to 1.
    pub fn part(self) -> f64 {
        match self {
            Loss::Random(share) | Loss::Bursts(share, _) => share.probability(),
            Loss::Every(0) => 0.0,
            Loss::Every(nth) => 1.0 / f64::from(nth),
        }
    }
}

/// Some packets arrive twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Duplicate {
    /// Which part.
    pub share: Share,
    /// How much later the copy comes.
    pub by: Duration,
}

impl Duplicate {
    /// All of them, at once: what has to work for any to work.
    pub const ALL: Duplicate = Duplicate { share: Share::ALL, by: Duration::ZERO };
}

/// Some packets are held back while later ones overtake them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Reorder {
    /// Which part.
    pub share: Share,
    /// For how long.
    pub by: Duration,
}

/// The link is cut and whole in turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Flap {
    /// How long it is cut each time.
    pub down: Duration,
    /// How long it is whole in between.
    pub up: Duration,
}

/// One thing that is wrong with one direction of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Wrong {
    /// Nothing arrives.
    Cut(Cut),
    /// Nothing arrives that comes from or goes to this TCP or UDP port.
    CutPort(u16),
    /// Nothing arrives behind this byte of what applications send over it, counted from one over all connections together, from
    /// when this was asked for: of a TCP segment it lies in, what comes before it arrives; a datagram does not.
    CutBehind(u32),
    /// It is cut and whole in turns.
    Flap(Flap),
    /// Packets arrive later.
    Delay(Delay),
    /// Some are lost.
    Loss(Loss),
    /// Some arrive twice.
    Duplicate(Duplicate),
    /// Some are overtaken.
    Reorder(Reorder),
    /// A bit of some is wrong, and their checksum is right: the application gets it.
    Evade(Share),
    /// A bit of some is wrong, and their checksum tells: the receiver's system drops them.
    Corrupt(Share),
    /// No more than this passes, in bits a second counted from the IP header on; the rest waits, then is lost.
    Rate(u64),
    /// Packets longer than this vanish without a word, in bytes counted from the IP header on.
    Mtu(u16),
}

/// Everything that is wrong with one direction of a link. The default is nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// How it is cut, if it is.
    pub cut: Option<Cut>,
    /// The ports for which it is cut.
    pub ports: BTreeSet<u16>,
    /// Behind which byte it is cut.
    pub cut_behind: Option<u32>,
    /// Whether it comes and goes.
    pub flap: Option<Flap>,
    /// How late packets are.
    pub delay: Delay,
    /// Which are lost.
    pub loss: Option<Loss>,
    /// How many arrive twice.
    pub duplicate: Duplicate,
    /// How many are overtaken.
    pub reorder: Reorder,
    /// How many arrive changed with a checksum that is right.
    pub evade: Share,
    /// How many arrive changed with a checksum that is wrong.
    pub corrupt: Share,
    /// How many bits a second pass.
    pub rate: Option<u64>,
    /// How long a packet may be.
    pub mtu: Option<u16>,
}

impl Link {
    /// Makes it as bad as it was in every respect, and as bad as this.
    pub fn join(&mut self, wrong: Wrong) {
        match wrong {
            Wrong::Cut(cut) => self.cut = self.cut.max(Some(cut)),
            Wrong::CutPort(port) => drop(self.ports.insert(port)),
            Wrong::CutBehind(byte) => {
                self.cut_behind = Some(self.cut_behind.map_or(byte, |other| other.min(byte)));
            }
            Wrong::Flap(flap) => self.flap = self.flap.max(Some(flap)),
            Wrong::Delay(delay) => self.delay = self.delay.max(delay),
            Wrong::Loss(loss) => {
                if self.loss.is_none_or(|other| (other.part(), other) < (loss.part(), loss)) {
                    self.loss = Some(loss);
                }
            }
            Wrong::Duplicate(duplicate) => self.duplicate = self.duplicate.max(duplicate),
            Wrong::Reorder(reorder) => self.reorder = self.reorder.max(reorder),
            Wrong::Evade(share) => self.evade = self.evade.max(share),
            Wrong::Corrupt(share) => self.corrupt = self.corrupt.max(share),
            Wrong::Rate(rate) => self.rate = Some(self.rate.map_or(rate, |other| other.min(rate))),
            Wrong::Mtu(mtu) => self.mtu = Some(self.mtu.map_or(mtu, |other| other.min(mtu))),
        }
    }

    /// Whether anything is wrong with it besides a cut that takes no look at packets.
    pub fn is_shaped(&self) -> bool {
        self.swallows() || Link { cut: None, ..self.clone() } != Link::default()
    }

    /// Whether nothing at all arrives over it.
    pub fn is_stopped(&self) -> bool {
        self.cut.is_some() && !self.swallows()
    }

    /// Whether what is sent over it is acknowledged and never delivered.
    pub fn swallows(&self) -> bool {
        self.cut == Some(Cut::Swallow)
    }
}

/// What was done to the packets of one direction of a link, counted from the beginning of the cluster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Packets that came by while anything was wrong but a whole cut.
    pub seen: u64,
    /// Those held back for a time that was asked for, and how long all of them together were really held.
    pub delayed: u64,
    /// See `delayed`.
    pub held: Duration,
    /// Lost by chance, in bursts or by number.
    pub lost: u64,
    /// Lost because of their port, behind the byte at which the link was cut or cut short there, while the link was down, or on
    /// their way when it was cut.
    pub cut: u64,
    /// Lost as the link was wholly cut when they came; not among those seen.
    pub stopped: u64,
    /// Sent twice.
    pub duplicated: u64,
    /// Held back so that others overtake.
    pub reordered: u64,
    /// Changed, with a checksum that is right.
    pub evaded: u64,
    /// Changed, with a checksum that is wrong.
    pub corrupted: u64,
    /// Held back because the link was busy.
    pub waited: u64,
    /// Lost because too much waited.
    pub overflowed: u64,
    /// Lost because they were too long.
    pub oversized: u64,
    /// Swallowed: data of TCP connections that were acknowledged to their sender, and whatever is not TCP.
    pub swallowed: u64,
    /// How many bytes of those were acknowledged to their sender.
    pub acknowledged: u64,
}

impl Traffic {
    /// What was counted between an earlier moment and this.
    #[must_use]
    pub fn since(&self, earlier: &Traffic) -> Traffic {
        self.each(earlier, u64::saturating_sub, Duration::saturating_sub)
    }

    /// Both together.
    #[must_use]
    pub fn plus(&self, other: &Traffic) -> Traffic {
        self.each(other, u64::saturating_add, Duration::saturating_add)
    }

    fn each(
        &self,
        other: &Traffic,
        number: impl Fn(u64, u64) -> u64,
        time: impl Fn(Duration, Duration) -> Duration,
    ) -> Traffic {
        Traffic {
            seen: number(self.seen, other.seen),
            delayed: number(self.delayed, other.delayed),
            held: time(self.held, other.held),
            lost: number(self.lost, other.lost),
            cut: number(self.cut, other.cut),
            stopped: number(self.stopped, other.stopped),
            duplicated: number(self.duplicated, other.duplicated),
            reordered: number(self.reordered, other.reordered),
            evaded: number(self.evaded, other.evaded),
            corrupted: number(self.corrupted, other.corrupted),
            waited: number(self.waited, other.waited),
            overflowed: number(self.overflowed, other.overflowed),
            oversized: number(self.oversized, other.oversized),
            swallowed: number(self.swallowed, other.swallowed),
            acknowledged: number(self.acknowledged, other.acknowledged),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(wrongs: &[Wrong]) -> Link {
        let mut link = Link::default();
        wrongs.iter().for_each(|wrong| link.join(*wrong));
        link
    }

    /// One of each kind, and a worse one of each.
    fn pairs() -> Vec<[Wrong; 2]> {
        let ms = Duration::from_millis;
        let late = |mean| Wrong::Delay(Delay { mean: ms(mean), ..Delay::default() });
        vec![
            [Wrong::Cut(Cut::Reset), Wrong::Cut(Cut::Drop)],
            [Wrong::Cut(Cut::Swallow), Wrong::Cut(Cut::Drop)],
            [Wrong::CutBehind(1000), Wrong::CutBehind(10)],
            [Wrong::Flap(Flap { down: ms(1), up: ms(1) }), Wrong::Flap(Flap { down: ms(2), up: ms(1) })],
            [late(10), late(100)],
            [Wrong::Loss(Loss::Random(Share::percent(1))), Wrong::Loss(Loss::Every(10))],
            [
                Wrong::Duplicate(Duplicate { share: Share::percent(1), by: ms(9) }),
                Wrong::Duplicate(Duplicate { share: Share::percent(2), by: ms(1) }),
            ],
            [
                Wrong::Reorder(Reorder { share: Share::percent(1), by: ms(9) }),
                Wrong::Reorder(Reorder { share: Share::percent(2), by: ms(1) }),
            ],
            [Wrong::Evade(Share::percent(1)), Wrong::Evade(Share::percent(2))],
            [Wrong::Corrupt(Share::percent(1)), Wrong::Corrupt(Share::percent(2))],
            [Wrong::Rate(1000), Wrong::Rate(10)],
            [Wrong::Mtu(1000), Wrong::Mtu(500)],
        ]
    }

    #[test]
    fn of_two_the_worse_stands_whichever_came_first() {
        for [mild, bad] in pairs() {
            assert_eq!(joined(&[mild, bad]), joined(&[bad]), "{mild:?}, {bad:?}");
            assert_eq!(joined(&[bad, mild]), joined(&[bad]), "{bad:?}, {mild:?}");
            assert_ne!(joined(&[mild]), joined(&[bad]));
        }
    }

    #[test]
    fn different_wrongs_stand_side_by_side() {
        let all: Vec<Wrong> = pairs().into_iter().map(|[mild, _]| mild).collect();
        let both_ways = [joined(&all), joined(&all.iter().rev().copied().collect::<Vec<_>>())];
        assert_eq!(both_ways[0], both_ways[1]);
        for wrong in all {
            assert_ne!(joined(&[wrong]), Link::default());
            let shaped = !matches!(wrong, Wrong::Cut(Cut::Reset));
            assert_eq!(joined(&[wrong]).is_shaped(), shaped, "{wrong:?}");
        }
        assert_eq!(joined(&[Wrong::CutPort(1), Wrong::CutPort(2)]).ports.len(), 2);
    }

    #[test]
    fn shares_are_said_in_percent() {
        assert_eq!(Share::percent(30).to_string(), "30 %");
        assert_eq!(Share::millionths(500).to_string(), "0.05 %");
        assert_eq!(Share::percent(300), Share::ALL);
    }
}
