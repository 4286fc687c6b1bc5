//! What can be done to a node's processes besides killing or stopping all of them: one thread held, too little memory, no file
//! descriptors, killed and started again and again. As values that join, and the proof that each was felt.
//!
//! Memory and descriptors are limited to what is in use when the fault begins, and some room: then it is certain that the next
//! wish is refused. A daemon that is started while the fault is in force is not limited: it would not come up at all.

use std::fmt;
use std::time::Duration;

use schism_history::Effect;
use serde::{Deserialize, Serialize};

use crate::cluster::{Daemon, Node};

/// A thread's name as the kernel keeps it: fifteen bytes at most. The empty one is the thread that has used the most processor
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name([u8; 15]);

impl Name {
    /// Of this text, cut where the kernel cuts it.
    pub fn of(text: &str) -> Self {
        let mut name = [0; 15];
        for (place, byte) in name.iter_mut().zip(text.bytes()) {
            *place = byte;
        }
        Name(name)
    }

    /// Whether it stands for the busiest thread.
    pub fn is_busiest(self) -> bool {
        self == Name::default()
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.iter().position(|byte| *byte == 0).unwrap_or(self.0.len());
        f.write_str(&String::from_utf8_lossy(&self.0[..length]))
    }
}

/// One thing that is wrong with a node's processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strain {
    /// The thread of this name does not run, all others do.
    Thread(Name),
    /// They get no more memory than they have, and so many bytes.
    Memory(u64),
    /// They can open no more descriptors than these.
    Files(u64),
    /// They are killed and started again this often.
    Storm(Duration),
    /// Their TCP connections are ended this often.
    Disconnect(Duration),
}

/// Everything that is wrong with a node's processes. The default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strains {
    /// The thread that is held.
    pub thread: Option<Name>,
    /// How many bytes of address space they may still have.
    pub memory: Option<u64>,
    /// How many descriptors they may still open.
    pub files: Option<u64>,
    /// How often they are killed and started again.
    pub storm: Option<Duration>,
    /// How often their TCP connections are ended.
    pub disconnect: Option<Duration>,
}

impl Strains {
    /// Makes it as bad as it was in every respect, and as bad as this.
    pub fn join(&mut self, strain: Strain) {
        fn least<T: Ord + Copy>(place: &mut Option<T>, wanted: T) {
            *place = Some(place.map_or(wanted, |other| other.min(wanted)));
        }
        match strain {
            Strain::Thread(name) => self.thread = self.thread.max(Some(name)),
            Strain::Memory(room) => least(&mut self.memory, room),
            Strain::Files(room) => least(&mut self.files, room),
            Strain::Storm(every) => least(&mut self.storm, every),
            Strain::Disconnect(every) => least(&mut self.disconnect, every),
        }
    }
}

/// What was seen of a daemon's strains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strained {
    /// The thread that is held, if one is.
    pub thread: Option<HeldThread>,
    /// Address space in use and allowed, in bytes, if that is limited.
    pub memory: Option<Room>,
    /// The lowest descriptor that is free, and the first that is not allowed, if that is limited.
    pub files: Option<Room>,
    /// How often the node's daemon has been started.
    pub starts: u32,
    /// How many connections of the node have been ended.
    pub ended: u64,
}

/// A thread that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldThread {
    /// Its id in the node.
    pub id: i32,
    /// Whether the kernel says that it is stopped.
    pub stopped: bool,
    /// Processor time that it has used.
    pub cpu: Duration,
}

/// How much of something is in use, and how much is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// In use.
    pub used: u64,
    /// Allowed.
    pub limit: u64,
}

impl Room {
    fn is_full(self) -> bool {
        self.used >= self.limit
    }
}

/// Whether it was felt, by what was seen of the daemon before, when it had begun, and when it was about to end.
pub fn felt(node: Node, strain: Strain, seen: [Option<Daemon>; 3]) -> Effect {
    let [before, begun, ending] = seen;
    let (Some(before), Some(begun)) = (before, begun) else {
        return Effect { bit: false, evidence: format!("{node}: was down") };
    };
    let (bit, words) = match strain {
        Strain::Thread(_) => held(begun, ending),
        Strain::Memory(_) => full(begun, ending, |one| one.strained.memory, "bytes of address space in use"),
        Strain::Files(_) => full(begun, ending, |one| one.strained.files, "descriptors open"),
        Strain::Storm(_) => {
            let last = ending.unwrap_or(begun);
            let starts = last.strained.starts.saturating_sub(before.strained.starts);
            (starts > 0, format!("killed and started {starts} times, pid {} → {}", before.pid, last.pid))
        }
        Strain::Disconnect(_) => {
            let ended = ending.unwrap_or(begun).strained.ended.saturating_sub(before.strained.ended);
            (ended > 0, format!("{ended} connections ended"))
        }
    };
    Effect { bit, evidence: format!("{node}: {words}") }
}

/// What we have a thread that is held do, as when its process's clock is read by it, takes less than this.
const OURS: Duration = Duration::from_millis(1);

/// It stood still from the beginning to the end, or as long as its process lived.
fn held(begun: Daemon, ending: Option<Daemon>) -> (bool, String) {
    let Some(first) = begun.strained.thread.filter(|thread| thread.stopped) else {
        return (false, "no thread was held".into());
    };
    match ending.filter(|ending| ending.pid == begun.pid) {
        None => (true, format!("thread {} held until its process ended", first.id)),
        Some(ending) => {
            let last = ending.strained.thread.filter(|last| last.id == first.id && last.stopped);
            let Some(last) = last else { return (false, format!("thread {} went on", first.id)) };
            let (own, all) = (last.cpu.saturating_sub(first.cpu), ending.cpu.saturating_sub(begun.cpu));
            let words = format!(
                "thread {} used {} ms of processor time, its process {} ms",
                first.id,
                own.as_millis(),
                all.as_millis()
            );
            (own < OURS, words)
        }
    }
}

/// There was no room left at one moment at least: the next wish would have been refused.
fn full(
    begun: Daemon,
    ending: Option<Daemon>,
    of: impl Fn(&Daemon) -> Option<Room>,
    what: &str,
) -> (bool, String) {
    let Some(first) = of(&begun) else { return (false, "was not limited".into()) };
    let last = ending.filter(|ending| ending.pid == begun.pid);
    let words = |room: Room| format!("{} of {} {what}", room.used, room.limit);
    match last.as_ref().map(&of) {
        None => (true, format!("{}, then its process ended", words(first))),
        Some(None) => (false, format!("{}, then not limited any more", words(first))),
        Some(Some(last)) => {
            (first.is_full() || last.is_full(), format!("{}, in the end {}", words(first), last.used))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn daemon(pid: u32, cpu_ms: u64, strained: Strained) -> Option<Daemon> {
        let cpu = Duration::from_millis(cpu_ms);
        Some(Daemon { pid, cpu, stopped: false, starved: Duration::ZERO, clock: None, strained })
    }

    fn judged(
        strain: Strain,
        before: Option<Daemon>,
        begun: Option<Daemon>,
        ending: Option<Daemon>,
    ) -> Effect {
        felt(Node(0), strain, [before, begun, ending])
    }

    #[test]
    fn of_two_the_worse_stands_whichever_came_first() {
        let ms = Duration::from_millis;
        let pairs = [
            [Strain::Memory(9), Strain::Memory(1)],
            [Strain::Files(2), Strain::Files(0)],
            [Strain::Storm(ms(900)), Strain::Storm(ms(100))],
            [Strain::Disconnect(ms(900)), Strain::Disconnect(ms(100))],
            [Strain::Thread(Name::of("a")), Strain::Thread(Name::of("b"))],
        ];
        let joined = |strains: &[Strain]| {
            let mut joined = Strains::default();
            strains.iter().for_each(|strain| joined.join(*strain));
            joined
        };
        for [mild, bad] in pairs {
            assert_eq!(joined(&[mild, bad]), joined(&[bad]));
            assert_eq!(joined(&[bad, mild]), joined(&[bad]));
            assert_ne!(joined(&[bad]), Strains::default());
        }
        assert_eq!(Name::of("wal-writer-of-the-store").to_string(), "wal-writer-of-t");
        assert!(Name::of("").is_busiest() && !Name::of("x").is_busiest());
    }

    #[test]
    fn a_held_thread_must_have_stood_still_while_it_lived() {
        let at = |stopped, own_us, all_ms| {
            let cpu = Duration::from_micros(own_us);
            let thread = Some(HeldThread { id: 9, stopped, cpu });
            daemon(7, all_ms, Strained { thread, ..Strained::default() })
        };
        let none = || daemon(7, 0, Strained::default());
        let hold = Strain::Thread(Name::default());
        let bit = judged(hold, none(), at(true, 5_000, 10), at(true, 5_000, 30));
        let evidence = "n1: thread 9 used 0 ms of processor time, its process 20 ms".into();
        assert_eq!(bit, Effect { bit: true, evidence });
        assert!(judged(hold, none(), at(true, 5_000, 10), at(true, 5_999, 30)).bit, "we had it do something");
        assert!(!judged(hold, none(), at(true, 5_000, 10), at(true, 6_000, 30)).bit, "it ran");
        assert!(
            !judged(hold, none(), at(false, 5_000, 10), at(true, 5_000, 30)).bit,
            "it was not held at first"
        );
        assert!(!judged(hold, none(), at(true, 5_000, 10), none()).bit, "it was let go");
        assert!(!judged(hold, none(), none(), none()).bit);
        assert!(judged(hold, none(), at(true, 5_000, 10), None).bit, "its process was killed meanwhile");
        assert!(!judged(hold, None, None, None).bit);
    }

    #[test]
    fn a_limit_must_have_left_no_room() {
        for (strain, of) in [
            (
                Strain::Files(0),
                (|room| Strained { files: Some(room), ..Strained::default() }) as fn(Room) -> Strained,
            ),
            (Strain::Memory(0), |room| Strained { memory: Some(room), ..Strained::default() }),
        ] {
            let at = |used| daemon(7, 0, of(Room { used, limit: 12 }));
            let none = || daemon(7, 0, Strained::default());
            assert!(judged(strain, none(), at(12), at(9)).bit);
            assert!(judged(strain, none(), at(9), at(12)).bit);
            assert!(!judged(strain, none(), at(9), at(11)).bit, "there was room all the time");
            assert!(!judged(strain, none(), none(), none()).bit, "it was not limited");
            assert!(judged(strain, none(), at(9), None).bit, "it died of it");
        }
    }

    #[test]
    fn connections_must_have_ended() {
        let at = |ended| daemon(3, 0, Strained { ended, ..Strained::default() });
        let disconnect = Strain::Disconnect(Duration::from_millis(100));
        assert!(judged(disconnect, at(5), at(5), at(7)).bit && judged(disconnect, at(5), at(7), at(7)).bit);
        assert!(!judged(disconnect, at(5), at(5), at(5)).bit);
    }

    #[test]
    fn a_storm_must_have_started_the_daemon_again() {
        let at = |pid, starts| daemon(pid, 0, Strained { starts, ..Strained::default() });
        let storm = Strain::Storm(Duration::from_millis(100));
        let bit = judged(storm, at(3, 1), at(5, 2), at(40, 9));
        assert_eq!(bit, Effect { bit: true, evidence: "n1: killed and started 8 times, pid 3 → 40".into() });
        assert!(!judged(storm, at(3, 1), at(3, 1), at(3, 1)).bit);
    }
}
