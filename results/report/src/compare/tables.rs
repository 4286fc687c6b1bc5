//! The tables of a comparison as cells of text, the same for a terminal, for Markdown and for the page.

use schism_checker::Verdict;

use super::comparison::Comparison;
use super::lattice::Level;
use super::rows::{CaseRow, Measures, Standing, Tally, TargetRow};
use crate::measure::Period;
use crate::terminal::share;
use crate::wording::{count, duration};

/// Rows of text under a head.
pub(super) struct Table {
    pub title: &'static str,
    pub head: Vec<String>,
    pub rows: Vec<Vec<String>>,
}

impl Table {
    fn new(title: &'static str, head: &[&str], rows: Vec<Vec<String>>) -> Self {
        Table { title, head: head.iter().map(|cell| (*cell).to_string()).collect(), rows }
    }
}

/// All of them, those that say nothing left out.
pub(super) fn all(comparison: &Comparison) -> Vec<Table> {
    let mut tables = vec![consistency(comparison), cost(comparison)];
    if comparison.targets.iter().any(|row| row.gives_up.partition.is_some()) {
        tables.push(pacelc(comparison));
    }
    tables.push(by_case(comparison));
    let workloads = comparison.invariants.iter().map(|row| &row.workload);
    if workloads.collect::<std::collections::BTreeSet<_>>().len() > 1 {
        tables.push(invariants(comparison));
    }
    tables
}

fn consistency(comparison: &Comparison) -> Table {
    let row = |row: &TargetRow| {
        let measures = &row.measures;
        let ruled_out = row.ruled_out.as_ref();
        vec![
            row.target.clone(),
            stands(row.standing, measures),
            ruled_out
                .map_or("–".into(), |out| format!("{} broken in {}", out.level.name(), out.runs.words())),
            match (measures.stale.of, measures.delta_ns) {
                (0, _) => "–".into(),
                (_, None) => "no Δ is enough".into(),
                (_, Some(0)) => "none".into(),
                (_, Some(delta)) => duration(delta),
            },
            measures.k.map_or("–".into(), |k| if k <= 2 { k.to_string() } else { format!("≥ {k}") }),
            permille(measures.stale.hits, measures.stale.of),
            format!("{} of {}", measures.losses.lost, measures.losses.acknowledged),
            tally(row.converges),
        ]
    };
    let head = ["target", "strongest kept", "next stronger", "Δ", "k", "stale reads", "lost", "nodes agree"];
    Table::new("what was kept", &head, comparison.targets.iter().map(row).collect())
}

fn cost(comparison: &Comparison) -> Table {
    let row = |row: &TargetRow| {
        let measures = &row.measures;
        vec![
            row.target.clone(),
            format!("{:.0}", measures.ok_per_second),
            answered(&measures.before),
            answered(&measures.during),
            answered(&measures.struck),
            answered(&measures.spared),
            answered(&measures.after),
            latency(&measures.before),
            latency(&measures.during),
            recovery(measures),
        ]
    };
    let head = [
        "target",
        "ok/s",
        "ok before",
        "during",
        "struck",
        "spared",
        "after",
        "p50/p99 before",
        "during",
        "recovery",
    ];
    Table::new("what it cost", &head, comparison.targets.iter().map(row).collect())
}

fn pacelc(comparison: &Comparison) -> Table {
    let row = |row: &TargetRow| {
        let seen = |what: &Option<String>| what.clone().unwrap_or_else(|| "not tried".into());
        let textbook = if row.textbook.is_empty() { "–" } else { &row.textbook };
        vec![
            row.target.clone(),
            textbook.into(),
            seen(&row.gives_up.partition),
            answered(&row.gives_up.cut_off),
            seen(&row.gives_up.otherwise),
            latency(&row.measures.before),
        ]
    };
    let head = [
        "target",
        "the books",
        "if partitioned, gives up",
        "cut-off nodes answer",
        "else",
        "p50/p99 healthy",
    ];
    Table::new("what it gives up", &head, comparison.targets.iter().map(row).collect())
}

fn by_case(comparison: &Comparison) -> Table {
    let row = |row: &CaseRow| {
        let measures = &row.measures;
        let of = |level| measures.levels.get(&level).copied();
        let faults = measures.during.counts.all() > 0;
        let now = if faults { &measures.during } else { &measures.before };
        let mut standing = stands(row.standing, measures);
        if row.failed > 0 {
            standing = format!("{standing}, {} failed", count(row.failed, "run", "runs"));
        }
        vec![
            row.target.clone(),
            row.case.clone(),
            standing,
            of(Level::Linearizable).map_or("–".into(), |tally| tally.breaks().words()),
            permille(measures.stale.hits, measures.stale.of),
            if faults { answered(&measures.struck) } else { "–".into() },
            if faults { answered(&measures.spared) } else { answered(now) },
            latency(now),
            recovery(measures),
        ]
    };
    let head = [
        "target",
        "case",
        "strongest kept",
        "not linearizable",
        "stale reads",
        "ok struck",
        "ok others",
        "p50/p99",
        "recovery",
    ];
    Table::new("case by case", &head, comparison.cases.iter().map(row).collect())
}

fn invariants(comparison: &Comparison) -> Table {
    let mut head = vec!["workload".to_string(), "invariant".into()];
    head.extend(comparison.targets.iter().map(|row| row.target.clone()));
    let rows = comparison.invariants.iter().map(|row| {
        let cells = row.targets.iter().map(|cell| cell.map_or("not spoken".into(), tally));
        [row.workload.clone(), row.invariant.clone()].into_iter().chain(cells).collect()
    });
    Table { title: "which invariant survives where", head, rows: rows.collect() }
}

fn stands(standing: Standing, measures: &Measures) -> String {
    if measures.levels.is_empty() { "nothing was judged".into() } else { standing.words() }
}

/// `kept in 3`, `broken in 2 of 3 (20–94 %)`.
pub(super) fn tally(tally: Tally) -> String {
    let unknown = match tally.unknown {
        0 => String::new(),
        runs => format!(", unknown in {runs}"),
    };
    match tally.verdict() {
        Verdict::Invalid => format!("broken in {}{unknown}", tally.breaks().words()),
        Verdict::Valid => format!("kept in {}{unknown}", tally.kept),
        Verdict::Unknown if tally.unknown == 0 => "–".into(),
        Verdict::Unknown => format!("unknown in {}", tally.unknown),
    }
}

fn answered(period: &Period) -> String {
    if period.counts.all() == 0 { "–".into() } else { share(period.counts.ok, period.counts.all()) }
}

/// A share rounded up, so that only none at all is 0 %.
fn permille(part: u64, all: u64) -> String {
    match all {
        0 => "–".into(),
        _ => format!("{:.1} %", (part as f64 * 1000.0 / all as f64).ceil() / 10.0),
    }
}

pub(super) fn latency(period: &Period) -> String {
    match (period.ok_p50_ns, period.ok_p99_ns) {
        (Some(half), Some(most)) => format!("{} / {}", duration(half), duration(most)),
        _ => "–".into(),
    }
}

fn recovery(measures: &Measures) -> String {
    let most = measures.recovery_max_ns.map(|most| format!("≤ {}", duration(most)));
    match (most, measures.never_recovered) {
        (None, 0) => "–".into(),
        (Some(most), 0) => most,
        (most, never) => format!("{}never in {never}", most.map(|most| most + ", ").unwrap_or_default()),
    }
}
