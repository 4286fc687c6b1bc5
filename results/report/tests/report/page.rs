//! Pages stay whole, small, harmless and alone.
//!
//! Each page is left under cargo's temporary folder of this target (`target/tmp/*.html`), to be looked at.

use std::path::Path;
use std::time::Duration;

use schism_checker::model::Register;
use schism_checker::{Anomaly, Budget, Checker, Doubt, Judgement, Linearizable, ProofStep, Refused, Verdict};
use schism_history::{Call, Effect, Event, History, Key, Note, Outcome, Process, Ret, Time, Value, What};
use schism_report::html::page;
use schism_report::{About, Next, Summary};

use crate::situations::{self, MS, Shape, Situation};

const PLAN: &str = "seed = 42\n\n[target]\nname = \"raft\"\n";
/// What a page may weigh.
const MOST: usize = 2_000_000;

fn written(name: &str, situation: &Situation) -> String {
    let text = page(&situation.summary, &situation.history, Some(PLAN));
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.html")), &text).unwrap();
    text
}

/// The tags of a page, or where they do not match. Text in `style` and `script` is none of ours to parse: it must only
/// not end early. Attributes must be quoted, so that none can grow another.
fn tags(text: &str) -> Result<Vec<&str>, String> {
    const VOID: [&str; 4] = ["meta", "input", "br", "!DOCTYPE"];
    let (mut tags, mut open, mut rest) = (Vec::new(), Vec::new(), text);
    while let Some(at) = rest.find('<') {
        let end = at + tag_end(&rest[at..]).ok_or_else(|| format!("unfinished tag: {:.60}", &rest[at..]))?;
        let tag = &rest[at + 1..end];
        let name = tag.trim_start_matches('/').split([' ', '>']).next().unwrap_or("");
        rest = &rest[end + 1..];
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '!') || name.is_empty() {
            return Err(format!("a bare < in the text: <{tag:.60}"));
        }
        if tag.starts_with('/') {
            let last = open.pop();
            if last != Some(name) {
                return Err(format!("</{name}> closes {last:?}"));
            }
        } else if !VOID.contains(&name) {
            open.push(name);
        }
        if ["style", "script"].contains(&name) && !tag.starts_with('/') {
            let close = format!("</{name}>");
            rest = &rest[rest.find(&close).ok_or("style or script without end")?..];
        }
        tags.push(tag);
    }
    if open.is_empty() { Ok(tags) } else { Err(format!("never closed: {open:?}")) }
}

/// Where a tag ends: at the first `>` outside of quotes.
fn tag_end(text: &str) -> Option<usize> {
    let mut quoted = false;
    text.char_indices().find_map(|(at, c)| {
        quoted ^= c == '"';
        (c == '>' && !quoted).then_some(at)
    })
}

/// Fails if a page is not whole, too big, or asks for anything outside of itself.
fn sound(name: &str, text: &str) {
    let tags = tags(text).unwrap_or_else(|problem| panic!("{name}: {problem}"));
    assert!(text.len() < MOST, "{name} weighs {} bytes", text.len());
    for tag in &tags {
        let lower = tag.to_ascii_lowercase();
        for outside in ["src=", "href=", "<link", "srcset=", "action=", " on"] {
            assert!(!lower.contains(outside) || lower.starts_with("tr "), "{name}: <{tag}>");
        }
        assert!(
            !["link", "iframe", "img", "object", "embed", "base"].contains(&lower.split(' ').next().unwrap())
        );
    }
    let scripts = tags.iter().filter(|tag| tag.starts_with("script")).count();
    assert_eq!(scripts, 1, "{name}");
    let of_ours: String = ["style", "script"]
        .map(|tag| {
            text.split_once(&format!("<{tag}>")).unwrap().1.split_once(&format!("</{tag}>")).unwrap().0
        })
        .concat();
    for outside in ["http", "//", "@import", "url(\"", "url('", "fetch", "import "] {
        let found =
            of_ours.lines().find(|line| line.contains(outside) && !line.trim_start().starts_with("//"));
        assert_eq!(found, None, "{name}: {outside}");
    }
}

#[test]
fn sound_pages_of_common_runs() {
    for (name, situation) in [
        ("valid", situations::valid()),
        ("stale_read", situations::stale_read()),
        ("unknown", situations::unknown()),
    ] {
        let text = written(name, &situation);
        sound(name, &text);
        assert!(text.contains(&format!(">{}<", format!("{:?}", situation.summary.verdict).to_uppercase())));
        assert!(text.contains("[target]"), "the plan is shown");
        assert_eq!(
            text,
            page(&situation.summary, &situation.history, Some(PLAN)),
            "the same data, the same page"
        );
    }
}

/// A proof that is a chain is shown from its first step to its last, each with its operations: by their numbers in the
/// picture, or else in words.
#[test]
fn the_steps_of_a_proof_are_a_list() {
    let Situation { history, summary } = situations::stale_read();
    let found = &summary.judgements[0].anomalies[0];
    let (first, last) = (found.witness[0].operation, found.witness[found.witness.len() - 1].operation);
    let beside =
        (0..history.len()).find(|at| found.witness.iter().all(|cited| cited.operation != *at)).unwrap();
    let step = |what: &str, operations: Vec<usize>, because: &str| ProofStep {
        what: what.into(),
        operations,
        values: vec!["7".into(), "8".into()],
        because: because.into(),
    };
    let anomaly = Anomaly {
        name: found.name.clone(),
        key: found.key.clone(),
        sentences: found.sentences.clone(),
        witness: found.witness.iter().map(|cited| cited.operation).collect(),
        culprit: found.culprit,
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: vec![
            step("reads from", vec![first, last], "it read what that wrote"),
            step("real time", vec![last, beside], "that was over before this began"),
        ],
    };
    let judgement = Judgement::new("causal", "causal consistency", vec![anomaly], Vec::new());
    let summary = Summary::new(summary.about, &[judgement], &history);
    let text = written("proof", &Situation { history, summary });
    sound("proof", &text);
    let (_, list) = text.split_once("<ol class=\"proof\">").expect("there is a list");
    let list = list.split_once("</ol>").unwrap().0;
    let badge = |at: usize| format!("class=\"badge\" data-op=\"{at}\"");
    let wanted = [
        "reads from",
        "it read what that wrote",
        "<code>7</code> <code>8</code>",
        &badge(first),
        "real time",
        "that was over before this began",
        &format!("class=\"cited\" data-op=\"{beside}\">process "),
    ];
    let mut rest = list;
    for wanted in wanted {
        let (_, after) =
            rest.split_once(wanted).unwrap_or_else(|| panic!("{wanted} is not in its place: {list}"));
        rest = after;
    }
    assert_eq!(list.matches("<li>").count(), 2);
    let without = written("stale_read", &situations::stale_read());
    assert!(!without.contains("step by step"), "no chain, no list");
}

/// The picture marks what the sentences speak of: each witness is drawn, numbered and named by its number.
#[test]
fn the_witness_is_drawn_and_numbered_as_in_the_sentences() {
    let situation = situations::stale_read();
    let text = page(&situation.summary, &situation.history, None);
    let finding = &situation.summary.judgements[0].anomalies[0];
    for (at, cited) in finding.witness.iter().enumerate() {
        let role = if finding.culprit == Some(cited.operation) { "culprit" } else { "witness" };
        let bar = format!("<g class=\"op ok {role}\" data-op=\"{}\">", cited.operation);
        assert_eq!(text.matches(&bar).count(), 1, "{bar}");
        assert!(text.contains(&format!("text-anchor=\"middle\">{}</text><text class=\"words\"", at + 1)));
    }
    let read = finding.witness.last().unwrap();
    let sentence = format!(
        "process {0}<span class=\"badge culprit\" data-op=\"{1}\">3</span> read",
        read.process, read.operation
    );
    assert!(text.contains(&sentence), "{sentence}");
    assert!(text.contains("partition: n1 | n2 n3 n4 n5"));
}

/// The same runs judged by the judge itself rather than by hand: what it says is drawn and numbered too, and the runs
/// made up here are what they claim to be.
#[test]
fn what_the_judge_itself_says_is_drawn_and_numbered() {
    let judge = Linearizable { model: Register { initial: Value::Nil } };
    let budget = Budget { bytes: 1 << 30, time: Duration::from_secs(60), over: &|| false };
    for (name, situation, expected) in [
        ("judged_stale_read", situations::stale_read(), Verdict::Invalid),
        ("judged_valid", situations::valid(), Verdict::Valid),
    ] {
        let judgement = judge.check(&situation.history, budget);
        assert_eq!(judgement.verdict, expected, "{name}");
        let summary = Summary::new(situations::about(None), &[judgement], &situation.history);
        let situation = Situation { summary, history: situation.history };
        let text = written(name, &situation);
        sound(name, &text);
        let witness = situation.summary.first_finding().map_or(0, |(_, finding)| finding.witness.len());
        assert_eq!(text.matches("<circle").count(), witness, "every operation of the witness has its number");
        assert_eq!(text.contains("<span class=\"badge"), expected == Verdict::Invalid);
    }
}

/// A run in which everything that is text tries to break out of the page.
fn hostile() -> Situation {
    let evil = "</script></style></svg><b onmouseover=\"x()\">'\"&<img src=http://x>\u{202e}\u{0}";
    let mut shape =
        Shape { length_ms: 900, pause_us: 60_000, faults: vec![("partition", 200, 500)], stale: true };
    shape.faults.push(("kill", 600, 700));
    let history = situations::history(&shape);
    let mut rows = history.rows().to_vec();
    for operation in &mut rows {
        operation.node = operation.node.take().map(|node| format!("{evil}{node}").into());
        match &mut operation.call {
            Call::Write { key, value } => (*key, *value) = (Key::text(evil), Value::text(evil)),
            Call::Read { key } => *key = Key::text(evil),
            _ => {}
        }
        operation.outcome = match (&operation.outcome, operation.process.0 % 2) {
            (Outcome::Info(_), _) => Outcome::Info(evil.into()),
            (_, 0) => Outcome::Ok(Ret::Value(Value::text(evil))),
            _ => Outcome::Fail(evil.into()),
        };
    }
    let mut history = history.with(rows);
    for fault in &mut history.faults {
        (fault.fault, fault.detail, fault.nodes) = (evil.into(), evil.into(), vec![format!("{evil}n1")]);
        fault.effect = Some(Effect { bit: true, evidence: evil.into() });
    }
    history.notes.push((Time(5), Note { node: evil.into(), text: evil.into(), doubt: true }));
    let anomaly = Anomaly {
        name: evil.into(),
        key: Some(Key::text(evil)),
        sentences: vec![evil.into(), format!("process 0 {evil} process 99999999999 process")],
        witness: vec![0, 1, 2],
        culprit: Some(2),
        possible_states: vec![evil.into()],
        refused: vec![Refused { operation: 1, because: evil.into() }],
        proof: vec![ProofStep {
            what: evil.into(),
            operations: vec![0, 2],
            values: vec![evil.into()],
            because: evil.into(),
        }],
    };
    let doubt = Doubt { reason: evil.into(), hint: Some(evil.into()) };
    let judgement =
        Judgement::new(evil, evil, vec![anomaly.clone(), anomaly], vec![doubt]).with_fact(evil, evil);
    let about = About {
        target: Some(evil.into()),
        bug: Some(evil.into()),
        workload: Some(evil.into()),
        nemeses: vec![evil.into(), evil.into()],
        seed: None,
        mechanisms: vec![evil.into()],
        folder: Some(evil.into()),
        next: vec![Next { what: evil.into(), command: evil.into() }],
    };
    Situation { summary: Summary::new(about, &[judgement], &history), history }
}

#[test]
fn what_others_say_cannot_break_out() {
    let situation = hostile();
    let evil_plan = "</pre></script><b>&amp;";
    let text = page(&situation.summary, &situation.history, Some(evil_plan));
    std::fs::write(Path::new(env!("CARGO_TARGET_TMPDIR")).join("hostile.html"), &text).unwrap();
    sound("hostile", &text);
    let tags = tags(&text).unwrap();
    let bold = tags.iter().filter(|tag| tag.starts_with("b ")).count();
    assert_eq!(bold, 0, "no tag of theirs");
    assert!(text.contains("&lt;/pre&gt;&lt;/script&gt;&lt;b&gt;&amp;amp;"));
    assert!(!text.contains(['\u{202e}', '\u{0}']));
}

/// A witness whose parts lie seconds apart, milliseconds each: the idle time between them is cut out, and said.
#[test]
fn a_witness_far_apart_is_drawn_with_cuts() {
    let mut situation = situations::stale_read();
    let operations = situation.history.rows();
    let of_key = |at: &usize| operations[*at].call.key() == &Key::Int(0) && operations[*at].outcome.is_ok();
    let all: Vec<usize> = (0..operations.len()).filter(of_key).collect();
    let witness = vec![all[20], all[all.len() / 2], all[all.len() - 40], all[all.len() - 39]];
    let anomaly = Anomaly {
        name: "stale read".into(),
        key: Some(Key::Int(0)),
        sentences: vec!["A value came back that had been replaced seconds before.".into()],
        culprit: witness.last().copied(),
        witness,
        possible_states: Vec::new(),
        refused: Vec::new(),
        proof: Vec::new(),
    };
    let judgement = Judgement::new("linearizable", "linearizable register", vec![anomaly], vec![]);
    situation.summary = Summary::new(situations::about(None), &[judgement], &situation.history);
    let text = written("far_apart", &situation);
    sound("far apart", &text);
    assert_eq!(text.matches("class=\"cut\"").count(), 2);
    assert_eq!(text.matches("class=\"op ok witness\"").count(), 3);
    // A fault that lies in the time cut out is still shown: it may be what went wrong. Once close up, twice from afar.
    assert_eq!(text.matches("<title>partition n1 | n2 n3 n4 n5, 6.000 s to 9.000 s").count(), 3);
}

/// A run of many operations on one key with a witness as long as the run, and many faults.
fn big() -> Situation {
    let faults = (0..2_000).map(|at| ("partition", at * 60, at * 60 + 20)).collect();
    let shape = Shape { length_ms: 140_000, pause_us: 1, faults, stale: true };
    let history = situations::history(&shape);
    assert!(history.len() > 100_000, "{}", history.len());
    let mut rows = history.rows().to_vec();
    let long: String = "long ".repeat(2_000);
    for operation in &mut rows {
        match &mut operation.call {
            Call::Read { key } | Call::Write { key, .. } => *key = Key::text("one"),
            _ => {}
        }
        if let Outcome::Info(error) | Outcome::Fail(error) = &mut operation.outcome {
            error.clone_from(&long);
        }
    }
    let last = history.len() - 1;
    // One call of the witness is open all the time: nothing can be cut out, and everything else lies beside it.
    let open = &mut rows[10];
    (open.outcome, open.completed, open.complete) = (Outcome::Info("?".into()), Time::NEVER, u32::MAX);
    open.ended = Some(history.end);
    let history = history.with(rows);
    let anomaly = Anomaly {
        name: "not linearizable".into(),
        key: Some(Key::text("one")),
        sentences: vec![long.clone(); 500],
        witness: [10, last / 2, last].into_iter().chain((0..5_000).map(|at| at * 9)).collect(),
        culprit: Some(last),
        possible_states: vec![long.clone(); 1_000],
        refused: (0..1_000).map(|at| Refused { operation: at * 7, because: long.clone() }).collect(),
        proof: Vec::new(),
    };
    let judgement = Judgement::new("linearizable", "linearizable register", vec![anomaly; 4], vec![]);
    Situation { summary: Summary::new(situations::about(None), &[judgement], &history), history }
}

#[test]
fn a_long_history_makes_a_small_page() {
    let situation = big();
    let text = written("big", &situation);
    sound("big", &text);
    assert!(text.contains("more operations in this time"), "what is left out is said");
    assert!(text.matches("<g class=\"op ok context\"").count() < 300);
}

/// One process after another retires: hundreds of processes on few lines, or on more than are drawn.
#[test]
fn many_processes_make_a_small_page() {
    let mut events = Vec::new();
    for process in 0..3_000u32 {
        let call = Call::Write { key: Key::Int(1), value: Value::Int(process.into()) };
        let what = What::Invoke { process: Process(process), node: None, call };
        events.push(Event { time: Time(u64::from(process) * MS), what });
    }
    let history = History::from_events(events).unwrap();
    let summary = Summary::new(About::default(), &[], &history);
    let text = written("many_processes", &Situation { summary, history });
    sound("many processes", &text);
    assert!(text.contains("more lines of processes"));
}

#[test]
fn an_empty_history_has_a_page() {
    let history = History::default();
    let summary = Summary::new(About::default(), &[], &history);
    let text = written("empty", &Situation { summary, history });
    sound("empty", &text);
    assert!(text.contains("UNKNOWN"));
}
