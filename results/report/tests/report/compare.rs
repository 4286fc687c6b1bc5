//! Comparisons of made-up runs: golden tables, and what may not be concluded.

use std::time::Duration;

use schism_checker::{Budget, Checker, Doubt, Judgement, Linearizable, Verdict, model::CasRegister};
use schism_history::{Call, Event, History, Outcome, Process, Ret, Time, Value, What};
use schism_report::compare::{
    Comparison, Ended, Level, Levels, Observed, Run, Runs, confirm, judged, markdown, page, screen,
};
use schism_report::terminal::Look;
use schism_report::{About, Summary};

use crate::golden;
use crate::situations::{self, Shape};

fn ask(judge: &dyn Checker, history: &schism_history::History) -> Judgement {
    judge.check(history, Budget { bytes: usize::MAX, time: Duration::MAX, over: &|| false })
}

/// One run, judged; `doubt` is why a pass of it would not count.
fn observed(stale: bool, faults: bool, doubt: Option<&str>) -> Observed {
    let faults = if faults { vec![("partition", 1_000, 6_000)] } else { Vec::new() };
    let history = situations::history(&Shape { length_ms: 8_000, pause_us: 20_000, faults, stale });
    let (levels, lost) = judged(&history, &mut |judge| ask(judge, &history));
    let doubts = doubt.map(|reason| Doubt { reason: reason.into(), hint: None }).into_iter().collect();
    let judgements = [
        ask(&Linearizable { model: CasRegister::default() }, &history),
        Judgement::new("evidence", "whether a pass is earned", Vec::new(), doubts),
    ];
    let summary = Summary::new(About::default(), &judgements, &history);
    Observed::of(&history, &summary, levels, lost)
}

fn run(target: usize, case: usize, seed: u64, ended: Ended) -> Run {
    Run { target, case, workload: 0, seed, folder: format!("cells/{target}-{case}-{seed}"), ended }
}

fn ran(observed: Observed) -> Ended {
    Ended::Observed(Box::new(observed))
}

/// A store that keeps its promise, one that answers from the past when cut off, one that does not start.
fn runs() -> Runs {
    let targets = [("strict", "PC/EC"), ("loose", "PA/EL"), ("gone", "")];
    Runs {
        title: "three stores".into(),
        about: "made up for this test".into(),
        targets: targets.map(|(label, textbook)| (label.to_string(), textbook.to_string())).to_vec(),
        cases: vec!["healthy".into(), "one cut off".into()],
        workloads: vec!["read-write".into()],
        cells: vec![
            run(0, 0, 1, ran(observed(false, false, None))),
            run(0, 1, 1, ran(observed(false, true, None))),
            run(1, 0, 1, ran(observed(false, false, None))),
            run(1, 1, 1, ran(observed(true, true, None))),
            run(1, 1, 2, ran(observed(true, true, None))),
            run(2, 0, 1, Ended::Failed("there is no <etcd> | on PATH".into())),
            run(2, 1, 1, Ended::Failed("there is no <etcd> | on PATH".into())),
        ],
    }
}

#[test]
fn the_tables() {
    let comparison = Comparison::of(&runs());
    golden("compare.txt", &screen(&comparison, Look { width: 140, ..Look::PLAIN }));
    golden("compare.md", &markdown(&comparison));
}

#[test]
fn a_target_stands_where_its_worst_run_puts_it() {
    let comparison = Comparison::of(&runs());
    let keeps = |at: usize| comparison.targets[at].standing.keeps;
    assert_eq!(keeps(0), Some(Level::Linearizable));
    assert!(keeps(1) > Some(Level::Linearizable), "{:?}", keeps(1));
    assert_eq!(keeps(2), None);
    let out = comparison.targets[1].ruled_out.as_ref().expect("something rules out the next stronger");
    assert!(!out.sentences.is_empty() && out.case == "one cut off");
    assert_eq!(comparison.targets[0].ruled_out, None);
}

/// What was put in long before the end and is not there is lost; what was put in just before may only be late.
#[test]
fn lost_is_what_had_time_to_arrive() {
    let losses = |last_read_ms: u64| {
        let key = || Value::Int(1);
        let add = |value: i64| Call::Add { key: key(), value: value.into() };
        let done = || Outcome::Ok(Ret::Done);
        let seen = Outcome::Ok(Ret::Value(Value::list([1.into()])));
        let calls = [
            (0, add(1), done()),
            (100, add(2), done()),
            (400, add(3), done()),
            (last_read_ms, Call::Read { key: key() }, seen),
        ];
        let mut events = Vec::new();
        for (at, call, outcome) in calls {
            let mut put = |ms: u64, what| events.push(Event { time: Time(ms * 1_000_000), what });
            if !call.changes() {
                put(at, What::Phase("final".into()));
            }
            let process = Process(0);
            put(at, What::Invoke { process, node: Some("n1".into()), call: call.clone() });
            put(at + 1, What::Complete { process, call, outcome });
        }
        let history = History::from_events(events).expect("one call at a time");
        let summary = Summary::new(About::default(), &[], &history);
        let losses = Observed::of(&history, &summary, Levels::new(), 0).losses;
        (losses.acknowledged, losses.lost)
    };
    assert_eq!(losses(450), (1, 0));
    assert_eq!(losses(700), (2, 1));
    assert_eq!(losses(1_000), (3, 2));
}

/// A run in which too little happened is no pass, and never hides what another one found.
#[test]
fn what_was_not_earned_is_unknown() {
    let mut runs = runs();
    runs.cells[1].ended = ran(observed(false, true, Some("no read was ok during partition")));
    let comparison = Comparison::of(&runs);
    let standing = comparison.targets[0].standing;
    assert_eq!((standing.keeps, standing.perhaps), (None, Some(Level::Linearizable)));
    assert!(standing.words().contains("unknown"), "{}", standing.words());
    let cell = comparison.cells.iter().find(|cell| cell.target == "strict" && cell.case == "one cut off");
    assert_eq!(cell.and_then(|cell| cell.verdict), Some(Verdict::Unknown));
    runs.cells[3].ended = ran(observed(true, true, Some("no read was ok during partition")));
    let loose = &Comparison::of(&runs).targets[1];
    assert_eq!(loose.measures.levels[&Level::Linearizable].broken, 2);
}

#[test]
fn what_was_not_begun_is_not_complete() {
    let mut runs = runs();
    assert!(Comparison::of(&runs).complete);
    runs.cells[4].ended = Ended::Missing;
    let comparison = Comparison::of(&runs);
    assert!(!comparison.complete && comparison.failed().count() == 3);
}

/// The same comparison twice, one that finds less, and one that knows less.
#[test]
fn a_second_comparison_confirms_the_first_or_says_where_it_differs() {
    let json = |runs: &Runs| Comparison::of(runs).to_json();
    let first = json(&runs());
    let again = confirm(&first, &first).expect("both are read");
    assert!(again.differences.is_empty() && again.same > 8 && again.rates > 8, "{again:?}");
    assert_eq!(again.unknown, 3, "a target that does not start, and its two cases");

    let mut less = runs();
    for cell in [3, 4] {
        less.cells[cell].ended = ran(observed(false, true, None));
    }
    let second = confirm(&first, &json(&less)).expect("both are read");
    let row = |of: &str, what: &str| {
        let found = second.differences.iter().find(|one| one.of == of && one.what == what);
        found.map(|one| (one.first.as_str(), one.second.as_str()))
    };
    assert_eq!(row("loose, one cut off", "strongest kept"), Some(("sequential", "linearizable")));
    let gives_up = row("loose", "gives up if partitioned");
    assert_eq!(gives_up, Some(("consistency", "availability")));
    assert_eq!(row("loose, healthy", "strongest kept"), None);
    // Two of two and none of two: so few runs may well have the same rate behind them.
    assert_eq!(row("loose, one cut off", "not linearizable"), None);
    for cell in [3, 4] {
        less.cells.extend((3..9).map(|seed| Run { seed, ..less.cells[cell].clone() }).collect::<Vec<_>>());
    }
    let second = confirm(&first, &json(&less)).expect("both are read");
    let rate = second.differences.iter().find(|one| one.what == "not linearizable");
    let rate = rate.map(|one| (one.of.as_str(), one.first.as_str(), one.second.as_str()));
    assert_eq!(rate, Some(("loose, one cut off", "2 of 2 (34–100 %)", "0 of 14 (0–22 %)")));
    assert!(second.screen(Look::PLAIN).contains("not confirmed"));

    let mut unknown = runs();
    unknown.cells[1].ended = ran(observed(false, true, Some("no read was ok during partition")));
    let unknown = json(&unknown);
    let second = confirm(&unknown, &unknown).expect("both are read");
    assert_eq!((second.differences.len(), second.unknown), (0, 5));
    assert!(confirm(&first, "{}").is_err());
}

#[test]
fn the_page_is_whole_and_what_others_say_is_escaped() {
    let page = page(&Comparison::of(&runs()));
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>"));
    assert!(page.contains("<svg") && page.contains("&lt;etcd&gt;") && !page.contains("<etcd>"));
    for outside in ["http://", "https://", "src=", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let json: serde_json::Value = serde_json::from_str(&Comparison::of(&runs()).to_json()).unwrap();
    assert_eq!(json["targets"][0]["standing"]["keeps"], "linearizable");
}
