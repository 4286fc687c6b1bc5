//! Plans as wholes: what bad ones are told, that good ones come back as they were written, and that no text whatever
//! makes the reader panic or point outside of the text.

use std::fmt::Write;
use std::time::Duration;

use schism_checker::Verdict;
use schism_history::CallKind;

use super::*;
use crate::budget::BrokenMax;
use crate::random::Random;

/// Bad plans and what they are told. `REWRITE=1` writes down what is told now: look at the difference, and keep it only
/// if you know why it is there.
const MISTAKES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/mistakes.txt");

pub(super) fn catalogue() -> Catalogue {
    let register = vec![CallKind::Read, CallKind::Write];
    let set = vec![CallKind::Add, CallKind::Read];
    let shapes = Values::sized_words(&["leader", "ring", "clients"], |shape| match shape {
        "ring" => 4,
        "clients" => 1,
        _ => 3,
    });
    Catalogue {
        backends: vec![
            BackendEntry { name: "sandbox".into(), settings: vec![] },
            BackendEntry {
                name: "docker".into(),
                settings: vec![
                    SettingEntry::new("memory", Values::Size(8 << 20)),
                    SettingEntry::new("cpus", Values::Number(64)),
                ],
            },
        ],
        targets: vec![
            TargetEntry {
                name: "raft".into(),
                speaks: vec![CallKind::Read, CallKind::Write, CallKind::Cas],
                bugs: vec!["stale-read".into(), "forgets-vote".into()],
                settings: vec![
                    SettingEntry::new("reads", Values::words(&["index", "lease", "follower"])),
                    SettingEntry::new("election-timeout", Values::Duration),
                    SettingEntry::new("fsync", Values::Switch),
                    SettingEntry::new("note", Values::Any),
                ],
                membership: false,
            },
            TargetEntry {
                name: "heap".into(),
                speaks: set.clone(),
                bugs: vec![],
                settings: vec![],
                membership: true,
            },
            TargetEntry {
                name: "deaf".into(),
                speaks: vec![],
                bugs: vec![],
                settings: vec![],
                membership: false,
            },
        ],
        workloads: vec![
            WorkloadEntry {
                name: "register".into(),
                calls: register,
                settings: vec![SettingEntry::new("keys", Values::Whole(1, 100))],
            },
            WorkloadEntry { name: "set".into(), calls: set, settings: vec![] },
        ],
        nemeses: vec![
            NemesisEntry {
                name: "partition".into(),
                settings: vec![SettingEntry::new("shape", shapes)],
                nodes_min: 3,
                membership: false,
                beside: vec![],
            },
            NemesisEntry {
                name: "kill".into(),
                settings: vec![],
                nodes_min: 1,
                membership: false,
                beside: vec![],
            },
            NemesisEntry {
                name: "disk".into(),
                settings: vec![
                    SettingEntry::new("fault", Values::words(&["fails", "full", "slow"])),
                    SettingEntry::new("lacks", Values::words(&["space", "inodes"])),
                    SettingEntry::new("files", Values::Files),
                    SettingEntry::new("times", Values::Whole(1, 1_000_000)),
                ],
                nodes_min: 1,
                membership: false,
                beside: vec![beside("lacks", &["full"], false), beside("times", &["fails", "full"], true)],
            },
        ],
    }
}

fn beside(setting: &str, values: &[&str], by_default: bool) -> BesideEntry {
    let values = values.iter().map(|value| (*value).into()).collect();
    BesideEntry { setting: setting.into(), other: "fault".into(), values, by_default }
}

/// A plan that chooses everything otherwise than by default.
const GOOD: &str = r#"
seed = 7
nodes = 3
time-limit = "1m"
rate = 0.5
stagger = false
concurrency = 6
roam = 12
timeout = "1500ms"
start-limit = "10s"
recovery-limit = "20s"
expect = "invalid"
nemesis = ["kill:every=10s", { name = "partition", shape = "leader", schedule = "periodic", every = "9s", lasts = "4s" }]
broken-max = 1
script = [{ at = "5s", do = "partition:shape=clients", for = "3s" }, { at = "0s", do = "kill", for = "1500ms" }]

[backend]
name = "docker"
memory = "512MiB"
cpus = 1.5

[target]
name = "raft"
bugs = ["stale-read"]
reads = "lease"
election-timeout = "150ms"
fsync = true

[workload]
name = "register"
keys = 5

[check]
time = "2m"
memory = "512MiB"

[evidence]
ok-min = 100
ok-during-min = 0
"#;

fn good() -> Plan {
    let settings =
        |pairs: &[(&str, &str)]| pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Plan {
        seed: 7,
        nodes: 3,
        backend: BackendPlan {
            name: "docker".into(),
            settings: settings(&[("memory", "512MiB"), ("cpus", "1.5")]),
        },
        time_limit: Duration::from_secs(60),
        rate: 0.5,
        stagger: false,
        concurrency: 6,
        roam: 12,
        timeout: Duration::from_millis(1_500),
        start_limit: Duration::from_secs(10),
        recovery_limit: Duration::from_secs(20),
        target: TargetPlan {
            name: "raft".into(),
            bugs: vec!["stale-read".into()],
            settings: settings(&[("reads", "lease"), ("election-timeout", "150ms"), ("fsync", "true")]),
        },
        workload: WorkloadPlan { name: "register".into(), settings: settings(&[("keys", "5")]) },
        nemeses: vec![
            NemesisPlan { every: Duration::from_secs(10), ..NemesisPlan::of("kill") },
            NemesisPlan {
                name: "partition".into(),
                settings: settings(&[("shape", "leader")]),
                schedule: Schedule::Periodic,
                every: Duration::from_secs(9),
                lasts: Duration::from_secs(4),
            },
        ],
        script: vec![
            StepPlan {
                at: Duration::from_secs(5),
                does: NemesisPlan {
                    settings: settings(&[("shape", "clients")]),
                    ..NemesisPlan::of("partition")
                },
            },
            StepPlan {
                at: Duration::ZERO,
                does: NemesisPlan { lasts: Duration::from_millis(1_500), ..NemesisPlan::of("kill") },
            },
        ],
        broken_max: BrokenMax::Nodes(1),
        check: CheckPlan { time: Duration::from_secs(120), memory_bytes: 512 << 20, recover_within: None },
        evidence: EvidencePlan { ok_min: 100, ok_during_min: 0, ..EvidencePlan::default() },
        expect: Some(Verdict::Invalid),
    }
}

#[test]
fn a_file_chooses_everything() {
    assert_eq!(Plan::parse("plan.toml", GOOD, &catalogue()), Ok(good()));
}

#[test]
fn two_lines_are_a_plan() {
    let text = "target = \"raft\"\nworkload = \"register\"";
    assert_eq!(Plan::parse("plan.toml", text, &catalogue()), Ok(Plan::of("raft", "register")));
    assert_eq!(Plan::of("raft", "register").check(&catalogue()), []);
}

/// Each case is a title, a plan, and what it is told: `=== title`, text, `---`, lines.
#[test]
fn bad_plans_are_told_what_is_wrong_with_them() {
    let golden = std::fs::read_to_string(MISTAKES).unwrap();
    let (head, cases) = golden.split_once("=== ").unwrap();
    let mut told = head.to_string();
    for case in cases.split("\n=== ") {
        let (title, rest) = case.split_once('\n').unwrap();
        let plan = rest.split("---\n").next().unwrap();
        let answer = match Plan::parse("plan.toml", plan, &catalogue()) {
            Ok(_) => "nothing is wrong".into(),
            Err(mistakes) => mistakes.to_string(),
        };
        let _ = write!(told, "=== {title}\n{plan}---\n{answer}\n\n");
    }
    let told = format!("{}\n", told.trim_end());
    if std::env::var_os("REWRITE").is_some() {
        std::fs::write(MISTAKES, told).unwrap();
    } else {
        assert_eq!(told, golden, "if this is wanted, run the test with REWRITE=1 and look at the difference");
    }
}

#[test]
fn what_makes_no_sense_is_told_in_terms_of_flags() {
    let told = |change: fn(&mut Plan)| {
        let mut plan = good();
        change(&mut plan);
        plan.check(&catalogue()).iter().map(Complaint::to_string).collect::<Vec<_>>()
    };
    assert_eq!(told(|_| ()), Vec::<String>::new());
    assert_eq!(
        told(|plan| plan.concurrency = 1),
        ["1 client for 3 nodes: n2, n3 have none; set `--concurrency` to 3 or more"]
    );
    assert_eq!(
        told(|plan| plan.nodes = 200),
        ["`--nodes` cannot be 200; it is a whole number from 1 to 99"],
        "and nothing about clients without a node"
    );
    assert_eq!(
        told(|plan| plan.nodes = 2),
        [
            "`shape = leader` of nemesis `partition` means nothing in a cluster of 2 nodes; set `--nodes` to 3 or more"
        ]
    );
    assert_eq!(
        told(|plan| plan.rate = f64::NAN),
        ["`--rate` cannot be NaN; it is calls a second, up to 1000000, and 0 is as fast as possible"]
    );
    assert_eq!(
        told(|plan| plan.nemeses[0].lasts = Duration::ZERO),
        ["`lasts` of `--nemesis kill` is zero; write a time such as `5s`"]
    );
    assert_eq!(
        told(|plan| plan.script[0].at = Duration::from_secs(58)),
        [
            "this step of the script ends 61s after the beginning, and the run is over after 1m; make `--time-limit` \
             longer, or let the step begin earlier or be shorter"
        ]
    );
    assert_eq!(
        told(|plan| plan.script[1].does.lasts = Duration::ZERO),
        ["`for` of step 2 of the script is zero; write a time such as `5s`"]
    );
    assert_eq!(
        told(|plan| plan.check.time = Duration::ZERO),
        ["`--set check.time` is zero; write a time such as `5s`"]
    );
    // In a file `nam` may be meant for `name`; with flags there is no such key.
    assert_eq!(
        told(|plan| plan.workload.settings.insert("nam".into(), "x".into()).map_or((), drop)),
        ["unknown setting `nam` of workload `register`; there is `keys`"]
    );
    assert_eq!(
        told(|plan| plan.time_limit = Duration::from_secs(3)),
        [
            "a fault that lasts 3s does not fit into 3s, whose first and last 1s stay quiet; make `lasts` of \
             `--nemesis kill` 1s at most, or make `--time-limit` longer",
            "a fault that lasts 4s does not fit into 3s, whose first and last 1s stay quiet; make `lasts` of \
             `--nemesis partition` 1s at most, or make `--time-limit` longer",
            "this step of the script ends 8s after the beginning, and the run is over after 3s; make `--time-limit` \
             longer, or let the step begin earlier or be shorter",
        ]
    );
}

/// Whatever makes sense in it: written, read back, and written again, a plan stays the same.
#[test]
fn a_written_plan_is_read_back_as_it_was() {
    let catalogue = catalogue();
    for seed in 0..3_000 {
        let plan = any(&mut Random::of(seed, "plans"));
        assert_eq!(plan.check(&catalogue), [], "the generator itself made a bad plan: {plan:?}");
        let text = plan.to_toml();
        let read = Plan::parse("plan.toml", &text, &catalogue)
            .unwrap_or_else(|mistakes| panic!("{mistakes}\n{text}"));
        assert_eq!(read, plan, "{text}");
        assert_eq!(read.to_toml(), text);
    }
}

fn any(random: &mut Random) -> Plan {
    let mut plan = good();
    plan.seed = random.below(u64::MAX);
    plan.nodes = 3 + random.index(20);
    plan.concurrency = plan.nodes + random.index(100);
    plan.rate = random.below(1 << 40) as f64 / f64::from(1 << 21);
    plan.stagger = random.chance(0.5);
    plan.timeout = random.duration(Duration::from_nanos(1), Duration::from_secs(9));
    plan.time_limit = Duration::from_secs(60 + random.below(1_000));
    plan.check.memory_bytes = (1 << 20) + random.below(1 << 40);
    let within = random.duration(Duration::from_nanos(1), Duration::from_secs(60));
    plan.check.recover_within = random.chance(0.5).then_some(within);
    plan.expect = *random.pick(&[None, Some(Verdict::Valid), Some(Verdict::Invalid), Some(Verdict::Unknown)]);
    plan.evidence.ok_after_min = random.index(1_000);
    plan.target.settings.insert("note".into(), any_text(random));
    if random.chance(0.3) {
        plan.target.bugs.clear();
    }
    for nemesis in &mut plan.nemeses {
        nemesis.schedule = *random.pick(&Schedule::ALL);
        nemesis.lasts = random.duration(Duration::from_millis(100), Duration::from_secs(10));
        nemesis.every = nemesis.lasts + random.duration(Duration::from_nanos(1), Duration::from_secs(10));
    }
    // A mix whose faults do not fit into its quarters makes no sense.
    if plan.nemeses.iter().any(|one| one.schedule == Schedule::Mix && one.lasts > quarter_length(&plan)) {
        plan.time_limit = Duration::from_secs(3_600);
    }
    plan.nemeses.truncate(random.index(3));
    for step in &mut plan.script {
        step.at = random.duration(Duration::ZERO, Duration::from_secs(30));
        step.does.lasts = random.duration(Duration::from_millis(100), Duration::from_secs(10));
    }
    plan.script.truncate(random.index(3));
    plan.broken_max =
        *random.pick(&[BrokenMax::Minority, BrokenMax::Any, BrokenMax::Nodes(0), BrokenMax::Nodes(7)]);
    plan
}

fn any_text(random: &mut Random) -> String {
    const PIECES: [&str; 20] = [
        "a", "\"", "\\", "\n", "\t", "\0", "\u{7f}", "'", "'''", "é", "🦀", "#", "=", "-1", "007", "true",
        "1.5", " ", "]", "\u{85}",
    ];
    (0..random.index(4)).map(|_| *random.pick(&PIECES)).collect()
}

/// Ten thousand plans with a few characters or lines cut, doubled, swapped or put in: each is read, or each mistake has a
/// place in the text that is what its line and column say.
#[test]
fn no_text_makes_the_reader_panic_or_point_outside() {
    let (catalogue, written) = (catalogue(), good().to_toml());
    let (mut read, mut refused) = (0, 0);
    for seed in 0..10_000 {
        let mut random = Random::of(seed, "mutations");
        let mut text = (*random.pick(&[GOOD, &written])).to_string();
        for _ in 0..=random.below(4) {
            mutate(&mut text, &mut random);
        }
        let Err(mistakes) = Plan::parse("plan.toml", &text, &catalogue) else {
            read += 1;
            continue;
        };
        refused += 1;
        assert!(!mistakes.mistakes.is_empty());
        for mistake in &mistakes.mistakes {
            assert!(text.get(mistake.span.clone()).is_some(), "{mistake:?} is not in the text\n{text}");
            let before = text.split('\n').take(mistake.line - 1).map(|line| line.len() + 1).sum::<usize>();
            let column = text[before..mistake.span.start].chars().count() + 1;
            assert_eq!(column, mistake.column, "{mistake:?}\n{text}");
        }
    }
    assert!(
        read > 100 && refused > 5_000,
        "the mutations are too wild or too tame: {read} read, {refused} refused"
    );
}

fn mutate(text: &mut String, random: &mut Random) {
    const PIECES: [&str; 18] = [
        "\"",
        "'",
        "[",
        "]",
        "[[",
        "]]",
        "{",
        "}",
        "=",
        ".",
        ",",
        "\n",
        "\0",
        "é",
        "nemesis",
        "-1",
        "99999999999999999999",
        "\r\n",
    ];
    let boundaries: Vec<usize> = text.char_indices().map(|(at, _)| at).chain([text.len()]).collect();
    let from = random.index(boundaries.len());
    let to = (from + random.index(6)).min(boundaries.len() - 1);
    let range = boundaries[from]..boundaries[to];
    match random.below(5) {
        0 => text.replace_range(range, ""),
        1 => text.insert_str(range.start, random.pick::<&str>(&PIECES)),
        2 => text.replace_range(range, random.pick::<&str>(&PIECES)),
        3 => {
            let mut lines: Vec<&str> = text.lines().collect();
            let (one, other) = (random.index(lines.len().max(1)), random.index(lines.len().max(1)));
            if !lines.is_empty() {
                lines.swap(one, other);
            }
            *text = lines.join("\n");
        }
        _ => {
            let lines: Vec<&str> = text.lines().collect();
            let doubled = lines.get(random.index(lines.len().max(1))).map(|line| format!("\n{line}\n"));
            text.push_str(&doubled.unwrap_or_default());
        }
    }
}
