//! What each fault stands on: which attempt of `schism doctor` shows that it works here, how exact it is, and who undoes it when
//! we are killed. A nemesis that is not listed stands on nothing that could be missing.
//!
//! Figures are those that the benches and tests of the engine measure; they are not measured anew for this.

/// A fault, and what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Footing {
    /// The nemesis, and the setting that makes it another fault if one does: `pause:thread`.
    pub fault: &'static str,
    /// The names of the attempts that show whether it works: in the sandbox, and in Docker.
    pub attempts: [&'static str; 2],
    /// How exactly it does what was asked.
    pub precision: &'static str,
}

const fn on(attempts: [&'static str; 2], fault: &'static str, precision: &'static str) -> Footing {
    Footing { fault, attempts, precision }
}

const CUT: [&str; 2] = ["cuts", "docker links"];
const REFUSED: [&str; 2] = ["refusing links", "docker refused links"];
const SWALLOWED: [&str; 2] = ["swallowed bytes", "docker swallowed bytes"];
const SHAPED: [&str; 2] = ["slow, lossy and garbling links", "docker shaped links"];
const ENDED: [&str; 2] = ["ended connections", "docker ended connections"];
const PROCESSES: [&str; 2] = ["pid, uts and ipc namespaces", "docker signals"];
const STOPPED: [&str; 2] = ["pause", "docker signals"];
const HELD: [&str; 2] = ["one thread held", "docker threads held"];
const LIMITS: [&str; 2] = ["limits of running processes", "docker limits"];
const CLOCKS: [&str; 2] = ["skewed clocks", "docker skewed clocks"];
const DISKS: [&str; 2] = ["calls on files heard of", "docker broken disks"];

/// Every fault that stands on something.
pub const FOOTINGS: &[Footing] = &[
    on(CUT, "partition", "all links concerned at once, in under 1 ms"),
    on(REFUSED, "partition:by=reset", "the next packet is answered"),
    on(SHAPED, "partition:by=flapping", "turns within 1 ms"),
    on(SWALLOWED, "partition:by=swallow", "segment by segment"),
    on(SHAPED, "partition:port", "packet by packet"),
    on(SHAPED, "partition:by=behind", "to the byte"),
    on(SHAPED, "delay", "up to 0.4 ms more than asked for"),
    on(SHAPED, "loss", "within a tenth of what was asked for"),
    on(SHAPED, "rate", "within 7 %"),
    on(SHAPED, "duplicate", "packet by packet"),
    on(SHAPED, "reorder", "packet by packet"),
    on(SHAPED, "corrupt", "packet by packet"),
    on(SHAPED, "mtu", "to the byte"),
    on(ENDED, "disconnect", "at once, at both ends"),
    on(PROCESSES, "kill", "at once; up again as soon as the store is"),
    on(DISKS, "reboot", "to the fsync, which takes 0.1 ms longer"),
    on(DISKS, "reboot:unsynced=torn", "by sectors of 512 bytes, and by names"),
    on(DISKS, "reboot:at", "in the middle of that call, each node in its own"),
    on(DISKS, "reboot:fsync=lies", "each fsync until then"),
    on(DISKS, "disk", "call by call"),
    on(DISKS, "disk:fault=full", "each write beyond an end, each new file"),
    on(DISKS, "disk:lacks=inodes", "each new file; those that are there grow"),
    on(DISKS, "disk:fault=readonly", "each call that would change something"),
    on(DISKS, "disk:fault=lies", "each fsync"),
    on(DISKS, "disk:fault=slow", "as long as asked for, and 0.1 ms"),
    on(PROCESSES, "kill:storm", "never more often than the store comes up"),
    on(PROCESSES, "rolling", "the next one within 0.2 s of the last being ready"),
    on(STOPPED, "pause", "holds when every thread stands still"),
    on(HELD, "pause:thread", "holds when that thread stands still"),
    on(STOPPED, "starve", "in turns of 50 ms"),
    on(LIMITS, "memory", "to the page"),
    on(LIMITS, "files", "to the descriptor"),
    on(CLOCKS, "clock", "to the nanosecond; a reading costs a system call"),
    on(PROCESSES, "rot", "to the bit"),
    on(DISKS, "rot:kind=rollback", "a block of 4 KiB, to its last start"),
];

/// Who undoes a nemesis's faults when we are killed: the kernel, which takes back what is ours; a lease that runs out; or nobody,
/// where there is nothing to undo. In Docker sidecars end every fault when the controller is gone.
pub fn undone_by(nemesis: &str) -> &'static str {
    match nemesis {
        "none" => "nothing to undo",
        "rot" | "reboot" => "nobody: it stays, in the node's own files",
        "membership" => "nobody: the cluster ends with us",
        "clock" => "its lease, and the kernel",
        _ => "the kernel",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_stands_on_something_is_there_once() {
        for (at, footing) in FOOTINGS.iter().enumerate() {
            let nemesis = footing.fault.split(':').next().unwrap_or_default();
            let entry = crate::named(nemesis).unwrap_or_else(|| panic!("no nemesis is called {nemesis}"));
            let setting = footing.fault.split([':', '=']).nth(1);
            let known = |setting| entry.settings.iter().any(|one| one.name == setting);
            assert!(setting.is_none_or(known), "{}", footing.fault);
            assert!(FOOTINGS[..at].iter().all(|other| other.fault != footing.fault));
        }
    }
}
