//! The measured proof that a fault broke something: pure functions of what was observed around it.
//!
//! A cut must have dropped packets, a delay delayed some, a kill must have brought another process id, a pause must have used no processor
//! time. A fault without such proof is no coverage, and the evidence checker doubts the run.

use std::collections::{BTreeMap, BTreeSet};

use schism_history::Effect;

use crate::clock::{Skew, shown};
use crate::cluster::{Change, Daemon, Node, Observation, Pair, Run};
use crate::disk;
use crate::link::{Cut, Traffic, Wrong};
use crate::rolling;
use crate::strain::{Strain, felt};

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
    /// Whom the cluster itself named as its members: before, while it was in force, and afterwards. Empty where nobody
    /// asked or nobody answered.
    pub members: [Vec<Node>; 3],
}

/// What a set of changes did, by what was observed around them. It bit only if every kind of change in it bit.
pub fn effect(changes: &[Change], around: &Around) -> Effect {
    let mut links: BTreeMap<Kind, BTreeSet<Pair>> = BTreeMap::new();
    let mut runs: BTreeMap<Node, Run> = BTreeMap::new();
    let mut clocks: Vec<(Node, Skew)> = Vec::new();
    let mut starved: Vec<Node> = Vec::new();
    let mut removed: Vec<Node> = Vec::new();
    let mut strains: Vec<(Node, Strain)> = Vec::new();
    let mut rolled: Vec<Node> = Vec::new();
    let mut disks: Vec<(Node, disk::Wrong)> = Vec::new();
    for change in changes {
        match *change {
            Change::Link { from, to, wrong } => {
                links.entry(Kind::of(wrong)).or_default().insert((from, to));
            }
            Change::Run { node, run } => {
                runs.insert(node, run);
            }
            Change::Starve { node, .. } => starved.push(node),
            Change::Clock { node, skew } => clocks.push((node, skew)),
            Change::Disk { node, wrong } => disks.push((node, wrong)),
            Change::Strain { node, strain } => strains.push((node, strain)),
            Change::Roll { node } => rolled.push(node),
            Change::Removed { node } => removed.push(node),
        }
    }
    // A node that has refused to start since its files were changed is changed again all the same.
    let down = |node: &Node| around.before.daemons.get(node.0).is_none_or(Option::is_none);
    let edited =
        |node: &Node| disks.iter().any(|(one, wrong)| one == node && matches!(wrong, disk::Wrong::Edit(_)));
    // And where somebody else was up, that is who shows it.
    let any_up = runs.keys().any(|node| !down(node));
    runs.retain(|node, _| !(down(node) && (edited(node) || any_up)));
    let mut proofs: Vec<Effect> = removed.into_iter().map(|node| of_removal(node, around)).collect();
    proofs.extend(links.iter().map(|(kind, pairs)| of_links(*kind, pairs, around)));
    proofs.extend(runs.into_iter().map(|(node, run)| of_run(node, run, around)));
    proofs.extend(starved.into_iter().map(|node| of_starving(node, around)));
    proofs.extend(disks.into_iter().map(|(node, wrong)| of_disk(node, wrong, around)));
    if !rolled.is_empty() {
        proofs.push(rolling::effect(&rolled, &around.before, &around.ending));
    }
    proofs.extend(strains.into_iter().map(|(node, strain)| {
        let daemon = |seen: &Observation| seen.daemons.get(node.0).copied().flatten();
        felt(node, strain, [&around.before, &around.begun, &around.ending].map(daemon))
    }));
    proofs.extend(clocks.into_iter().map(|(node, skew)| of_clock(node, skew, around)));
    // Several changes may have one proof.
    proofs.dedup();
    Effect {
        bit: !proofs.is_empty() && proofs.iter().all(|proof| proof.bit),
        evidence: proofs.into_iter().map(|proof| proof.evidence).collect::<Vec<_>>().join("; "),
    }
}

/// The kinds of wrong that are proven in the same way.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Cut(Cut),
    PartlyCut,
    Delay,
    Loss,
    Duplicate,
    Reorder,
    Evade,
    Corrupt,
    Rate,
    Mtu,
}

impl Kind {
    fn of(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Cut(how) => Kind::Cut(how),
            Wrong::CutPort(_) | Wrong::CutBehind(_) | Wrong::Flap(_) => Kind::PartlyCut,
            Wrong::Delay(_) => Kind::Delay,
            Wrong::Loss(_) => Kind::Loss,
            Wrong::Duplicate(_) => Kind::Duplicate,
            Wrong::Reorder(_) => Kind::Reorder,
            Wrong::Evade(_) => Kind::Evade,
            Wrong::Corrupt(_) => Kind::Corrupt,
            Wrong::Rate(_) => Kind::Rate,
            Wrong::Mtu(_) => Kind::Mtu,
        }
    }
}

fn of_links(kind: Kind, pairs: &BTreeSet<Pair>, around: &Around) -> Effect {
    if let Kind::Cut(how @ (Cut::Drop | Cut::Reset | Cut::Refuse)) = kind {
        let counted = |observation: &Observation| -> u64 {
            pairs.iter().filter_map(|pair| observation.dropped.get(pair)).sum()
        };
        // A pair that another fault had cut already has been counting since then.
        let stopped = counted(&around.ending).saturating_sub(counted(&around.begun));
        let word = match how {
            Cut::Drop => "dropped",
            Cut::Reset => "answered by a reset or dropped",
            Cut::Refuse => "refused",
            Cut::Swallow => unreachable!("counted by the shaper"),
        };
        return Effect { bit: stopped > 0, evidence: format!("{stopped} packets {word}") };
    }
    let sum = |observation: &Observation| {
        let counted = pairs.iter().filter_map(|pair| observation.traffic.get(pair));
        counted.fold(Traffic::default(), |sum, one| sum.plus(one))
    };
    let traffic = sum(&around.ending).since(&sum(&around.begun));
    let of_all = |number: u64, word: &str| {
        let percent = 100.0 * number as f64 / (traffic.seen.max(1)) as f64;
        (number, format!("{number} of {} packets {word} ({percent:.1} %)", traffic.seen))
    };
    let (number, evidence) = match kind {
        Kind::Cut(Cut::Swallow) => {
            let (packets, bytes) = (traffic.swallowed, traffic.acknowledged);
            let evidence = format!("{packets} packets swallowed, {bytes} bytes of them acknowledged");
            (packets, evidence)
        }
        Kind::Cut(_) => unreachable!("counted elsewhere, and dealt with above"),
        Kind::PartlyCut => of_all(traffic.cut, "dropped"),
        Kind::Delay => {
            let mean = traffic.held.as_secs_f64() * 1e3 / traffic.delayed.max(1) as f64;
            // Who cannot tell how late they were has counted them all the same.
            let mean =
                if traffic.held.is_zero() { String::new() } else { format!(" by {mean:.1} ms on average") };
            (traffic.delayed, format!("{} packets late{mean}", traffic.delayed))
        }
        Kind::Loss => of_all(traffic.lost, "lost"),
        Kind::Duplicate => of_all(traffic.duplicated, "doubled"),
        Kind::Reorder => of_all(traffic.reordered, "held back to be overtaken"),
        Kind::Evade => of_all(traffic.evaded, "changed unnoticeably"),
        Kind::Corrupt => of_all(traffic.corrupted, "changed noticeably"),
        Kind::Rate => {
            let evidence = format!("{} packets waited, {} lost", traffic.waited, traffic.overflowed);
            (traffic.waited + traffic.overflowed, evidence)
        }
        Kind::Mtu => of_all(traffic.oversized, "too long"),
    };
    Effect { bit: number > 0, evidence }
}

/// It was kept from running for some of the time.
fn of_starving(node: Node, around: &Around) -> Effect {
    let kept = |observation: &Observation| {
        observation.daemons.get(node.0).copied().flatten().map(|daemon| daemon.starved)
    };
    let (Some(begun), Some(ending)) = (kept(&around.begun), kept(&around.ending)) else {
        return Effect { bit: false, evidence: format!("{node}: was down") };
    };
    let kept = ending.saturating_sub(begun);
    let evidence = format!("{node}: kept from running for {:.2} s", kept.as_secs_f64());
    Effect { bit: !kept.is_zero(), evidence }
}

/// The node's agent did it, and counted.
fn of_disk(node: Node, wrong: disk::Wrong, around: &Around) -> Effect {
    let work = |observation: &Observation| observation.disks.get(node.0).cloned().unwrap_or_default();
    let (bit, evidence) = disk::shown(wrong, &work(&around.before), &work(&around.ending));
    Effect { bit, evidence: format!("{node}: {evidence}") }
}

/// Its own clock showed it.
fn of_clock(node: Node, skew: Skew, around: &Around) -> Effect {
    let clock = |observation: &Observation| observation.daemons.get(node.0).copied().flatten()?.clock;
    let (bit, evidence) = shown(skew, clock(&around.begun), clock(&around.ending));
    Effect { bit, evidence: format!("{node}: {evidence}") }
}

/// It was a member, was none, and is one again with another daemon.
fn of_removal(node: Node, around: &Around) -> Effect {
    let [before, meanwhile, after] = &around.members;
    let named = |nodes: &[Node]| {
        let names: Vec<String> = nodes.iter().map(Node::to_string).collect();
        if names.is_empty() { "unknown".into() } else { names.join(" ") }
    };
    let evidence = format!("{node}: members {} → {} → {}", named(before), named(meanwhile), named(after));
    let left = before.contains(&node) && !meanwhile.is_empty() && !meanwhile.contains(&node);
    let pid =
        |observation: &Observation| observation.daemons.get(node.0).copied().flatten().map(|one| one.pid);
    let another = pid(&around.after).is_some_and(|pid_after| pid(&around.before) != Some(pid_after));
    Effect { bit: left && after.contains(&node) && another, evidence }
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
    use crate::clock::Reading;
    use crate::cluster::Endpoint;
    use crate::link::{Delay, Duplicate, Loss, Reorder, Share};
    use crate::strain::Strained;

    const PAIR: Pair = (Endpoint::Node(Node(0)), Endpoint::Clients);

    fn seen(dropped: u64, pid: Option<u32>, stopped: bool, cpu_ms: u64) -> Observation {
        let cpu = Duration::from_millis(cpu_ms);
        Observation {
            dropped: BTreeMap::from([(PAIR, dropped)]),
            daemons: vec![pid.map(|pid| Daemon {
                pid,
                cpu,
                stopped,
                starved: Duration::ZERO,
                clock: None,
                strained: Strained::default(),
            })],
            ..Observation::default()
        }
    }

    fn link(wrong: Wrong) -> Change {
        Change::Link { from: PAIR.0, to: PAIR.1, wrong }
    }

    fn around(steps: [Observation; 4]) -> Around {
        let [before, begun, ending, after] = steps;
        Around { before, begun, ending, after, ..Around::default() }
    }

    #[test]
    fn a_cut_must_have_dropped_packets_of_its_own() {
        let cut = [link(Wrong::Cut(Cut::Drop))];
        let up = |dropped| seen(dropped, Some(1), false, 0);
        let bit = effect(&cut, &around([up(0), up(5), up(12), up(0)]));
        assert_eq!(bit, Effect { bit: true, evidence: "7 packets dropped".into() });
        assert!(!effect(&cut, &around([up(5), up(5), up(5), up(0)])).bit);
    }

    /// Each kind of wrong has its own counter, and nothing but that proves it.
    #[test]
    fn a_wrong_is_proven_by_its_own_counter_alone() {
        let at = |traffic| Observation { traffic: [(PAIR, traffic)].into(), ..Observation::default() };
        let share = Share::percent(10);
        let held = Duration::from_millis(300);
        let seen = Traffic { seen: 100, ..Traffic::default() };
        let cases = [
            (Wrong::CutPort(9), Traffic { cut: 3, ..seen }, "3 of 100 packets dropped (3.0 %)"),
            (
                Wrong::Delay(Delay::default()),
                Traffic { delayed: 3, held, ..seen },
                "3 packets late by 100.0 ms on average",
            ),
            (Wrong::Loss(Loss::Random(share)), Traffic { lost: 9, ..seen }, "9 of 100 packets lost (9.0 %)"),
            (
                Wrong::Duplicate(Duplicate { share, by: held }),
                Traffic { duplicated: 1, ..seen },
                "1 of 100 packets doubled (1.0 %)",
            ),
            (
                Wrong::Reorder(Reorder::default()),
                Traffic { reordered: 1, ..seen },
                "1 of 100 packets held back to be overtaken (1.0 %)",
            ),
            (
                Wrong::Evade(share),
                Traffic { evaded: 1, ..seen },
                "1 of 100 packets changed unnoticeably (1.0 %)",
            ),
            (
                Wrong::Corrupt(share),
                Traffic { corrupted: 1, ..seen },
                "1 of 100 packets changed noticeably (1.0 %)",
            ),
            (Wrong::Rate(1), Traffic { waited: 2, overflowed: 1, ..seen }, "2 packets waited, 1 lost"),
            (Wrong::Mtu(1), Traffic { oversized: 1, ..seen }, "1 of 100 packets too long (1.0 %)"),
            (
                Wrong::Cut(Cut::Swallow),
                Traffic { swallowed: 2, acknowledged: 60, ..seen },
                "2 packets swallowed, 60 bytes of them acknowledged",
            ),
        ];
        for (asked, (wrong, _, evidence)) in cases.iter().enumerate() {
            for (done, (_, traffic, _)) in cases.iter().enumerate() {
                let around = around([at(seen), at(seen), at(seen.plus(traffic)), at(seen.plus(traffic))]);
                let proof = effect(&[link(*wrong)], &around);
                assert_eq!(proof.bit, asked == done, "{wrong:?} by {traffic:?}");
                if asked == done {
                    assert_eq!(proof.evidence, *evidence);
                }
            }
        }
    }

    #[test]
    fn a_removal_must_show_in_the_clusters_own_list_and_be_undone() {
        let removed = [Change::Removed { node: Node(0) }];
        let (up, none) = (|pid| seen(0, Some(pid), false, 0), seen(0, None, false, 0));
        let all = vec![Node(0), Node(1), Node(2)];
        let left = vec![Node(1), Node(2)];
        let judged = |members, last| {
            let around = around([up(7), none.clone(), none.clone(), up(last)]);
            effect(&removed, &Around { members, ..around })
        };
        let bit = judged([all.clone(), left.clone(), all.clone()], 9);
        let evidence = "n1: members n1 n2 n3 → n2 n3 → n1 n2 n3".into();
        assert_eq!(bit, Effect { bit: true, evidence });
        assert!(!judged([all.clone(), left.clone(), all.clone()], 7).bit, "the same daemon as before");
        assert!(!judged([all.clone(), all.clone(), all.clone()], 9).bit, "never out");
        assert!(!judged([all.clone(), left.clone(), left.clone()], 9).bit, "never back");
        assert!(!judged([all.clone(), vec![], all], 9).bit, "nobody said so");
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
    fn who_starves_must_have_been_kept_from_running() {
        let starve = [Change::Starve { node: Node(0), left: Share::percent(10) }];
        let at = |ms| {
            let mut seen = seen(0, Some(7), false, 0);
            seen.daemons[0].as_mut().expect("it runs").starved = Duration::from_millis(ms);
            seen
        };
        let bit = effect(&starve, &around([at(5), at(5), at(4505), at(4505)]));
        assert_eq!(bit, Effect { bit: true, evidence: "n1: kept from running for 4.50 s".into() });
        assert!(!effect(&starve, &around([at(5), at(5), at(5), at(5)])).bit);
        let down = || seen(0, None, false, 0);
        assert!(!effect(&starve, &around([at(5), down(), down(), at(5)])).bit);
    }

    #[test]
    fn a_skew_must_show_in_the_daemon_that_it_struck() {
        let jump = [Change::Clock { node: Node(0), skew: Skew::Jump(1_000_000_000) }];
        let at = |ahead_ns| {
            let mut seen = seen(0, Some(7), false, 0);
            let (host, least_ns, most_ns) = (Duration::ZERO, ahead_ns, ahead_ns);
            let clock = Some(Reading { host, ahead_ns, least_ns, most_ns });
            seen.daemons[0].as_mut().expect("it runs").clock = clock;
            seen
        };
        let bit = effect(&jump, &around([at(0), at(1_000_000_000), at(1_000_000_000), at(0)]));
        let evidence = "n1: own clock 1.000 s ahead, then 1.000 s ahead".into();
        assert_eq!(bit, Effect { bit: true, evidence });
        assert!(!effect(&jump, &around([at(0), at(0), at(0), at(0)])).bit);
        let unread = seen(0, Some(7), false, 0);
        assert!(!effect(&jump, &around([unread.clone(), unread.clone(), unread.clone(), unread])).bit);
    }

    #[test]
    fn files_must_have_been_changed_by_this_fault() {
        let edit = disk::Edit { harm: disk::Harm::Flip(1), files: disk::Pattern::ALL, seed: 1 };
        let wrong = disk::Wrong::Edit(edit);
        let rot = [Change::Run { node: Node(0), run: Run::Down }, Change::Disk { node: Node(0), wrong }];
        let at = |pid, edits| {
            let mut seen = seen(0, pid, false, 0);
            seen.disks = vec![disk::Work { edits, edited: "a: cut".into(), ..disk::Work::default() }];
            seen
        };
        let bit = effect(&rot, &around([at(Some(7), 1), at(None, 3), at(None, 3), at(Some(9), 3)]));
        assert_eq!(bit, Effect { bit: true, evidence: "n1: pid 7 → 9; n1: a: cut and 1 more".into() });
        assert!(!effect(&rot, &around([at(Some(7), 1), at(None, 1), at(None, 1), at(Some(9), 1)])).bit);
        // One that had noticed before and stayed down.
        let bit = effect(&rot, &around([at(None, 1), at(None, 2), at(None, 2), at(None, 2)]));
        assert_eq!(bit, Effect { bit: true, evidence: "n1: a: cut".into() });
    }

    /// Each wrong of a disk has its own counter, and nothing but that proves it.
    #[test]
    fn a_disks_wrong_is_proven_by_its_own_counter_alone() {
        use disk::{Call, Error, Loss, Pattern, Refusal, Strike, Work, Wrong};
        let seen = Work { syncs: 5, ..Work::default() };
        let refusal = Refusal { call: Call::Sync, files: Pattern::ALL, error: Error::Io, times: None };
        let strike = Strike { call: Call::Sync, nth: 7, done: false, files: Pattern::ALL };
        let held = Duration::from_millis(30);
        let cases = [
            (Wrong::Lie, Work { lied: 2, ..seen.clone() }, "n1: 2 fsyncs answered and not done"),
            (
                Wrong::Slow(held),
                Work { slowed: 3, held, ..seen.clone() },
                "n1: 3 fsyncs held by 10.0 ms on average",
            ),
            (Wrong::Refuse(refusal), Work { refused: 4, ..seen.clone() }, "n1: 4 calls refused"),
            (
                Wrong::Lose(Loss::All),
                Work { losses: 1, lost_bytes: 7, ..seen.clone() },
                "n1: lost 7 bytes and 0 names that no fsync had kept, after 5 fsyncs",
            ),
            (Wrong::Strike(strike), Work { strikes: 1, ..seen.clone() }, "n1: went down before fsync 7"),
        ];
        let at = |work: &Work| Observation { disks: vec![work.clone()], ..Observation::default() };
        for (asked, (wrong, _, evidence)) in cases.iter().enumerate() {
            for (done, (_, work, _)) in cases.iter().enumerate() {
                let around = around([at(&seen), at(&seen), at(work), at(work)]);
                let proof = effect(&[Change::Disk { node: Node(0), wrong: *wrong }], &around);
                assert_eq!(proof.bit, asked == done, "{wrong:?} by {work:?}");
                if asked == done {
                    assert_eq!(proof.evidence, *evidence);
                }
            }
        }
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
