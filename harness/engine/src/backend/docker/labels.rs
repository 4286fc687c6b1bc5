//! The labels on everything that a run makes in an engine: whose it is, what it is, and which process controls it.

use std::collections::HashMap;
use std::fmt;
use std::fs;

/// The run's id.
pub(super) const RUN: &str = "schism.run";
/// What it is: `node`, `sidecar`, `network`, `volume`, or for images `program` and `store`.
pub(super) const KIND: &str = "schism.kind";
/// The process that controls it.
const CONTROLLER: &str = "schism.controller";

/// A process of a machine, told apart from any other that ever had its id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Controller {
    machine: String,
    boot: String,
    pid: u32,
    /// When it was started, in ticks since the machine was.
    started: u64,
}

/// Whether a controller still lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alive {
    Yes,
    No,
    /// It is on another machine.
    Unknown,
}

impl Controller {
    /// The calling process.
    pub(super) fn own() -> Self {
        let pid = std::process::id();
        Controller { machine: machine(), boot: boot(), pid, started: started(pid).unwrap_or_default() }
    }

    /// An id for a run of its: part of the names of what it makes.
    pub(super) fn run(&self) -> String {
        format!("{}-{}", self.pid, self.started)
    }

    /// The labels of something that it makes.
    pub(super) fn labels(&self, kind: &str) -> HashMap<String, String> {
        [(RUN, self.run()), (KIND, kind.into()), (CONTROLLER, self.to_string())]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    /// Who made what has these labels.
    pub(super) fn of(labels: &HashMap<String, String>) -> Option<Self> {
        let mut parts = labels.get(CONTROLLER)?.split('/');
        let mut part = || parts.next();
        let (machine, boot) = (part()?.to_owned(), part()?.to_owned());
        Some(Controller { machine, boot, pid: part()?.parse().ok()?, started: part()?.parse().ok()? })
    }

    /// Whether it lives, as far as this machine can tell.
    pub(super) fn alive(&self) -> Alive {
        if self.machine != machine() {
            Alive::Unknown
        } else if self.boot == boot() && started(self.pid) == Some(self.started) {
            Alive::Yes
        } else {
            Alive::No
        }
    }

    /// Its process, for people.
    pub(super) fn shown(&self) -> String {
        format!("process {} of {}", self.pid, self.machine)
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}/{}", self.machine, self.boot, self.pid, self.started)
    }
}

fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().replace('/', "-"));
    let name = read("/proc/sys/kernel/hostname").filter(|name| !name.is_empty());
    // A name alone is no proof, an id alone tells people nothing.
    let id = read("/etc/machine-id").unwrap_or_default();
    format!("{}-{}", name.unwrap_or_else(|| "this machine".into()), id.get(..8).unwrap_or_default())
}

fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// When the process was started, in ticks since boot; `None` if there is none, or it has ended and waits for its parent.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name before the last parenthesis may contain anything. After it: field 3 is the state, field 22 the start.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if matches!(state, "Z" | "X") { None } else { fields.nth(18)?.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_controller_is_known_by_its_labels_and_told_from_others() {
        let own = Controller::own();
        let read = Controller::of(&own.labels("node")).expect("the labels are whole");
        assert_eq!((&read, read.alive()), (&own, Alive::Yes));
        assert_eq!(
            Controller { started: own.started + 1, ..own.clone() }.alive(),
            Alive::No,
            "its id, reused"
        );
        assert_eq!(
            Controller { boot: "another".into(), ..own.clone() }.alive(),
            Alive::No,
            "before a reboot"
        );
        assert_eq!(Controller { machine: "another".into(), ..own }.alive(), Alive::Unknown);
        assert_eq!(Controller::of(&HashMap::new()), None);
    }

    #[test]
    fn a_process_that_has_ended_is_dead_though_nobody_has_asked_after_it() {
        let mut child = std::process::Command::new("true").spawn().expect("there is a true");
        let pid = child.id();
        while started(pid).is_some() {
            std::thread::yield_now();
        }
        child.wait().expect("it is our child");
    }
}
