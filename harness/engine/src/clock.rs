//! What can be wrong with a node's time of day.
//!
//! Only the time of day: monotonic clocks run on as they are, as they do on a machine whose clock is set. Whatever measures
//! time by the time of day (leases, timeouts, "last write wins", identifiers made from time stamps) goes wrong.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

const SECOND_NS: f64 = 1e9;

/// One thing that is wrong with a clock. Nanoseconds and parts may be negative: behind, slower.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Skew {
    /// It shows another time: so many nanoseconds more.
    Jump(i64),
    /// It runs at another speed: so many nanoseconds more each second (parts per billion).
    Drift(i64),
    /// It jumps by so many nanoseconds and back again, each after this while.
    Strobe(i64, Duration),
    /// From the next full second on it shows one second less: the second before is shown twice.
    Leap,
}

/// Everything that is wrong with a clock. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// By how many nanoseconds it has jumped.
    pub jump_ns: i64,
    /// How many nanoseconds it gains each second.
    pub drift_ppb: i64,
    /// By how many nanoseconds it jumps to and fro.
    pub strobe_ns: i64,
    /// After which while each time.
    pub strobe_every: Duration,
    /// Whether it repeats a second.
    pub leap: bool,
}

impl Clock {
    /// Makes it worse by this: of two jumps, drifts or strobes the larger stands.
    pub fn join(&mut self, skew: Skew) {
        let larger = |one: i64, other: i64| if other.abs() > one.abs() { other } else { one };
        match skew {
            Skew::Jump(by) => self.jump_ns = larger(self.jump_ns, by),
            Skew::Drift(ppb) => self.drift_ppb = larger(self.drift_ppb, ppb),
            Skew::Strobe(by, every) if by.abs() > self.strobe_ns.abs() => {
                (self.strobe_ns, self.strobe_every) = (by, every);
            }
            Skew::Strobe(..) => {}
            Skew::Leap => self.leap = true,
        }
    }
}

/// A node's own clock beside the machine's, read in its daemon, at one moment or at several.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reading {
    /// The machine's time of day, since 1970, at the last of them.
    pub host: Duration,
    /// By how many nanoseconds it was ahead at the last moment; negative: behind.
    pub ahead_ns: i64,
    /// And when it was least ahead.
    pub least_ns: i64,
    /// And when it was most ahead.
    pub most_ns: i64,
}

impl fmt::Display for Reading {
    /// `3600.000 s ahead`, `0.200 s behind`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = if self.ahead_ns < 0 { "behind" } else { "ahead" };
        write!(f, "{:.3} s {word}", self.ahead_ns.unsigned_abs() as f64 / SECOND_NS)
    }
}

/// Whether the readings at the beginning and at the end of a skew show it, and how that is told.
pub fn shown(skew: Skew, begun: Option<Reading>, ending: Option<Reading>) -> (bool, String) {
    let (Some(first), Some(last)) = (begun.or(ending), ending.or(begun)) else {
        return (false, "its own clock could not be read".into());
    };
    let near = |asked: i64, seen: i64| (seen - asked).abs() <= (asked.abs() / 10).max(1);
    match skew {
        Skew::Jump(by) => {
            (near(by, first.ahead_ns) || near(by, last.ahead_ns), format!("own clock {first}, then {last}"))
        }
        Skew::Leap => {
            // Others may be in force as well: what counts is the second that is missing, sooner or later.
            let second = -(SECOND_NS as i64);
            (near(second, last.ahead_ns), format!("own clock {last} after the leap second"))
        }
        Skew::Drift(ppb) => {
            let passed = last.host.saturating_sub(first.host);
            let gained = last.ahead_ns.saturating_sub(first.ahead_ns);
            let asked = (passed.as_nanos() as i128 * i128::from(ppb) / 1_000_000_000) as i64;
            let text = format!(
                "own clock gained {:.6} s in {:.3} s",
                gained as f64 / SECOND_NS,
                passed.as_secs_f64()
            );
            (asked != 0 && near(asked, gained), text)
        }
        Skew::Strobe(by, _) => {
            let swing = |reading: Reading| reading.most_ns - reading.least_ns;
            let most = swing(first).max(swing(last));
            (near(by.abs(), most), format!("own clock swung by {:.3} s", most as f64 / SECOND_NS))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64, ahead_ns: i64) -> Option<Reading> {
        let host = Duration::from_secs(second);
        Some(Reading { host, ahead_ns, least_ns: ahead_ns.min(0), most_ns: ahead_ns.max(0) })
    }

    #[test]
    fn the_larger_skew_stands_and_kinds_stand_side_by_side() {
        let mut clock = Clock::default();
        let every = Duration::from_millis(5);
        for skew in [Skew::Jump(5), Skew::Jump(-7), Skew::Jump(6), Skew::Drift(3), Skew::Leap] {
            clock.join(skew);
        }
        clock.join(Skew::Strobe(-9, every));
        clock.join(Skew::Strobe(8, Duration::from_secs(1)));
        let all = Clock { jump_ns: -7, drift_ppb: 3, strobe_ns: -9, strobe_every: every, leap: true };
        assert_eq!(clock, all);
    }

    #[test]
    fn a_skew_must_show_in_the_nodes_own_clock() {
        const S: i64 = 1_000_000_000;
        let bit = |skew, begun, ending| shown(skew, begun, ending).0;
        assert!(bit(Skew::Jump(3600 * S), at(0, 3600 * S + 9), at(5, 3600 * S)));
        assert!(!bit(Skew::Jump(3600 * S), at(0, 0), at(5, 1000)), "it never moved");
        assert!(!bit(Skew::Jump(S), at(0, -S), at(5, -S)), "it moved the other way");
        assert!(!bit(Skew::Jump(S), None, None));
        assert!(bit(Skew::Jump(S), None, at(5, S)), "it was down at first");
        assert!(bit(Skew::Drift(100_000_000), at(0, 0), at(5, S / 2)));
        assert!(!bit(Skew::Drift(100_000_000), at(0, S), at(5, S)), "a jump is no drift");
        assert!(!bit(Skew::Drift(1), at(0, 0), at(5, 3_000)), "too little to be seen");
        assert!(bit(Skew::Strobe(-S, Duration::from_millis(1)), at(0, -S), at(5, 0)));
        assert!(!bit(Skew::Strobe(S, Duration::from_millis(1)), at(0, 0), at(5, 0)));
        assert!(bit(Skew::Leap, at(0, 0), at(5, -S)) && !bit(Skew::Leap, at(0, 0), at(5, 0)));
        assert_eq!(
            shown(Skew::Jump(S), at(0, S), at(1, -S / 2)).1,
            "own clock 1.000 s ahead, then 0.500 s behind"
        );
    }
}
