//! The measured proof that a fault broke something: pure functions of what was observed around it.
//!
//! A cut must have dropped packets, a kill must have brought another process id, a pause must have used no processor
//! time. A fault without such proof is no coverage, and the evidence checker doubts the run.

use std::collections::BTreeMap;

use schism_history::Effect;

use crate::cluster::{Change, Daemon, Node, Observation, Run};

/// What was observed around one fault.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Just before it was applied.
    pub before: Observation,
    /// Just after it was applied.
    pub begun: Observation,
    /// Just before it was healed.
    pub ending: Observation,
    /// Just after it was healed.
    pub after: Observation,
}

/// What a set of changes did, by what was observed around them. It bit only if every kind of change in it bit.
pub fn effect(changes: &[Change], around: &Around) -> Effect {
    let cuts: Vec<_> = changes
        .iter()
        .filter_map(|change| match *change {
            Change::Cut { from, to } => Some((from, to)),
            Change::Run { .. } => None,
        })
        .collect();
    let runs: BTreeMap<Node, Run> = changes
        .iter()
        .filter_map(|change| match *change {
            Change::Run { node, run } => Some((node, run)),
            Change::Cut { .. } => None,
        })
        .collect();
    let mut proofs: Vec<Effect> = Vec::new();
    if !cuts.is_empty() {
        let counted = |observation: &Observation| -> u64 {
            cuts.iter().filter_map(|pair| observation.dropped.get(pair)).sum()
        };
        // A pair that another fault had cut already has been counting since then.
        let dropped = counted(&around.ending).saturating_sub(counted(&around.begun));
        proofs.push(Effect { bit: dropped > 0, evidence: format!("{dropped} packets dropped") });
    }
    proofs.extend(runs.into_iter().map(|(node, run)| of_run(node, run, around)));
    Effect {
        bit: !proofs.is_empty() && proofs.iter().all(|proof| proof.bit),
        evidence: proofs.into_iter().map(|proof| proof.evidence).collect::<Vec<_>>().join("; "),
    }
}

fn of_run(node: Node, run: Run, around: &Around) -> Effect {
    let daemon =
        |observation: &Observation| -> Option<Daemon> { observation.daemons.get(node.0).copied().flatten() };
    let (before, begun) = (daemon(&around.before), daemon(&around.begun));
    let (ending, after) = (daemon(&around.ending), daemon(&around.after));
    match run {
        Run::Up => Effect { bit: false, evidence: format!("{node}: nothing was asked") },
        Run::Down => killed(node, before, begun, after),
        Run::Paused => paused(node, begun, ending),
    }
}

fn killed(node: Node, before: Option<Daemon>, begun: Option<Daemon>, after: Option<Daemon>) -> Effect {
    let Some(before) = before else {
        return Effect { bit: false, evidence: format!("{node}: was down already") };
    };
    if begun.is_some() {
        return Effect {
            bit: false,
            evidence: format!("{node}: pid {} was still there after the kill", before.pid),
        };
    }
    let evidence = match after {
        Some(after) => format!("{node}: pid {} → {}", before.pid, after.pid),
        None => format!("{node}: pid {} killed", before.pid),
    };
    Effect { bit: after.is_none_or(|after| after.pid != before.pid), evidence }
}

fn paused(node: Node, begun: Option<Daemon>, ending: Option<Daemon>) -> Effect {
    let Some(begun) = begun else {
        return Effect { bit: false, evidence: format!("{node}: was down") };
    };
    if !begun.stopped {
        return Effect { bit: false, evidence: format!("{node}: pid {} was not stopped", begun.pid) };
    }
    match ending {
        Some(ending) if ending.pid == begun.pid && ending.stopped => {
            let used = ending.cpu.saturating_sub(begun.cpu);
            let evidence =
                format!("{node}: pid {} used {} ms of processor time", begun.pid, used.as_millis());
            Effect { bit: used.is_zero(), evidence }
        }
        // Another fault killed it meanwhile; it was stopped until then.
        _ => Effect { bit: true, evidence: format!("{node}: pid {} stopped, then killed", begun.pid) },
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::cluster::Endpoint;

    const PAIR: (Endpoint, Endpoint) = (Endpoint::Node(Node(0)), Endpoint::Clients);

    fn seen(dropped: u64, pid: Option<u32>, stopped: bool, cpu_ms: u64) -> Observation {
        let cpu = Duration::from_millis(cpu_ms);
        Observation {
            dropped: BTreeMap::from([(PAIR, dropped)]),
            daemons: vec![pid.map(|pid| Daemon { pid, cpu, stopped })],
        }
    }

    fn around(steps: [Observation; 4]) -> Around {
        let [before, begun, ending, after] = steps;
        Around { before, begun, ending, after }
    }

    #[test]
    fn a_cut_must_have_dropped_packets_of_its_own() {
        let cut = [Change::Cut { from: PAIR.0, to: PAIR.1 }];
        let up = |dropped| seen(dropped, Some(1), false, 0);
        let bit = effect(&cut, &around([up(0), up(5), up(12), up(0)]));
        assert_eq!(bit, Effect { bit: true, evidence: "7 packets dropped".into() });
        assert!(!effect(&cut, &around([up(5), up(5), up(5), up(0)])).bit);
    }

    #[test]
    fn a_kill_must_have_brought_another_pid() {
        let kill = [Change::Run { node: Node(0), run: Run::Down }];
        let pid = |pid| seen(0, pid, false, 0);
        let bit = effect(&kill, &around([pid(Some(7)), pid(None), pid(None), pid(Some(9))]));
        assert_eq!(bit, Effect { bit: true, evidence: "n1: pid 7 → 9".into() });
        assert!(!effect(&kill, &around([pid(Some(7)), pid(Some(7)), pid(Some(7)), pid(Some(7))])).bit);
        assert!(!effect(&kill, &around([pid(None), pid(None), pid(None), pid(Some(9))])).bit);
    }

    #[test]
    fn a_pause_must_have_used_no_time() {
        let pause = [Change::Run { node: Node(0), run: Run::Paused }];
        let at = |stopped, ms| seen(0, Some(7), stopped, ms);
        assert!(effect(&pause, &around([at(false, 3), at(true, 4), at(true, 4), at(false, 5)])).bit);
        assert!(!effect(&pause, &around([at(false, 3), at(true, 4), at(true, 9), at(false, 9)])).bit);
        assert!(!effect(&pause, &around([at(false, 3), at(false, 4), at(false, 9), at(false, 9)])).bit);
    }
}
