//! Clocks that are wrong, seen from outside: by what a node's own programs say that the time is, beside the machine's.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use schism_engine::backend::sandbox::{Options, enter};
use schism_engine::backend::{Backend, SkewedBy};
use schism_engine::clock::{Reading, Skew};
use schism_engine::cluster::{Change, Desired, Node, Program, Run};

use crate::stage::{Stage, folder, options, run, until};

pub const CASES: &[(&str, fn())] = &[
    ("a clock jumps there and back, and no other does", jumped),
    ("a clock drifts, and another skew does not disturb that", drifted),
    ("a clock strobes, and is read in both states", strobed),
    ("a second is shown twice", leaped),
    ("children and new programs have the clock of their node", inherited),
    ("who becomes another program all the time has the clock of its node", becoming),
    ("a node that restarts has its clock again, a paused one gets it", restarted),
    ("a clock that nobody keeps wrong is right again by itself", lease_ends),
    ("by a library a clock jumps, drifts and strobes, and its lease ends", library),
    (
        "by a library a Python program's clock is skewed, a Java virtual machine's, and no Go program's",
        library_of_others,
    ),
    ("a thousand skews set and undone on a busy process", again_and_again),
    ("the clock of a Python program is skewed while it runs", python),
    ("the clock of a Java virtual machine is skewed while it runs", java),
    ("the clock of a Go program is skewed while it runs", go),
];

const SECOND: i64 = 1_000_000_000;
const HOUR: i64 = 3600 * SECOND;
/// Nothing between two looks at a clock takes as long as this, and every skew here is much larger.
const MUCH: i64 = 60 * SECOND;

fn skew(index: usize, skew: Skew) -> Change {
    Change::Clock { node: Node(index), skew }
}

fn host() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos() as i64
}

/// Whether a clock that showed this just now is ahead by this much, give or take what looking takes.
fn is_ahead(shown: &str, by: i64) -> bool {
    let shown: i64 = shown.parse().unwrap_or_else(|_| panic!("no time: {shown}"));
    (shown - host() - by).abs() < MUCH
}

fn reading(stage: &mut Stage, index: usize) -> Option<Reading> {
    stage.sandbox.observe().expect("observing").daemons[index].expect("it runs").clock
}

fn jumped() {
    let mut stage = Stage::new(2);
    assert_eq!(reading(&mut stage, 0), None, "nothing was ever wrong with it");
    for by in [HOUR, -HOUR, 24 * 365 * HOUR] {
        stage.apply(&[skew(0, Skew::Jump(by))]);
        assert!(is_ahead(&stage.ask(0, "clock"), by), "n1 by {by}");
        assert!(is_ahead(&stage.ask(1, "clock"), 0), "n2 is in order");
        let read = reading(&mut stage, 0).expect("it can be read");
        assert!((read.ahead_ns - by).abs() < SECOND, "{read}: the reading is exact");
        assert!((read.host.as_nanos() as i64 - host()).abs() < MUCH, "the machine's clock is in order");
    }
    stage.apply(&[]);
    assert!(is_ahead(&stage.ask(0, "clock"), 0));
    assert!(reading(&mut stage, 0).expect("it can be read still").ahead_ns.abs() < SECOND);
    assert_eq!(reading(&mut stage, 1), None);
    assert!(stage.sandbox.deaths().is_empty());
}

fn drifted() {
    let mut stage = Stage::new(1);
    // A tenth too fast; what is gained is exact to the nanosecond but for the looking.
    stage.apply(&[skew(0, Skew::Drift(100_000_000))]);
    let first = reading(&mut stage, 0).expect("it can be read");
    until("a second has passed", || {
        reading(&mut stage, 0).expect("read").host > first.host + Duration::from_secs(1)
    });
    stage.apply(&[skew(0, Skew::Drift(100_000_000)), skew(0, Skew::Jump(HOUR))]);
    let last = reading(&mut stage, 0).expect("it can be read");
    let (passed, gained) =
        ((last.host - first.host).as_nanos() as i64, last.ahead_ns - first.ahead_ns - HOUR);
    assert!((gained - passed / 10).abs() < passed / 100 + SECOND / 100, "{gained} ns gained in {passed}");
    // Too slow, the slowest there is: it hardly moves.
    stage.apply(&[skew(0, Skew::Drift(-900_000_000))]);
    let off: Vec<i64> =
        stage.ask(0, "swing 300").split(',').map(|one| one.parse().expect("a number")).collect();
    assert!((-290_000_000..-250_000_000).contains(&off[0]), "{off:?}");
}

fn strobed() {
    let mut stage = Stage::new(1);
    stage.apply(&[skew(0, Skew::Strobe(HOUR, Duration::from_millis(20)))]);
    let off = stage.ask(0, "swing 200");
    let off: Vec<i64> = off.split(',').map(|one| one.parse().expect("a number")).collect();
    assert!((off[1] - off[0] - HOUR).abs() < SECOND, "{off:?}");
    let read = reading(&mut stage, 0).expect("it can be read");
    assert!((read.most_ns - read.least_ns - HOUR).abs() < SECOND, "{read:?}");
    stage.apply(&[]);
    let off = stage.ask(0, "swing 100");
    assert!(off.split(',').all(|one| one.parse::<i64>().expect("a number").abs() < MUCH), "{off}");
}

fn leaped() {
    let mut stage = Stage::new(1);
    let mut watching = stage.connect(0);
    stage.apply(&[skew(0, Skew::Leap)]);
    let back: i64 = watching.ask("back").parse().expect("nanoseconds");
    assert!((SECOND / 2..=SECOND).contains(&back), "{back} ns back");
    let read = reading(&mut stage, 0).expect("it can be read");
    assert!((read.ahead_ns + SECOND).abs() < SECOND / 4, "{read}");
}

fn inherited() {
    let mut stage = Stage::new(1);
    for by in [HOUR, 0, -HOUR] {
        stage.apply(if by == 0 { vec![] } else { vec![skew(0, Skew::Jump(by))] }.as_slice());
        for how in ["new program", "found program", "shell"] {
            let shown = stage.ask(0, how);
            assert!(is_ahead(&shown, by), "{how}: {shown} should be ahead by {by}");
        }
    }
    assert!(stage.sandbox.deaths().is_empty());
}

/// Whoever is told of new programs is waited for by those who become them, and by those who wait for these: they are not to be
/// waited for in turn.
fn becoming() {
    let mut stage = Stage::new(1);
    assert_eq!(stage.ask(0, "spawning"), "spawning");
    stage.ask(0, "becoming");
    for round in 0..40 {
        let by = [HOUR, -HOUR, 0][round % 3];
        stage.apply(if by == 0 { vec![] } else { vec![skew(0, Skew::Jump(by))] }.as_slice());
        let shown = stage.ask(0, "clock");
        assert!(is_ahead(&shown, by), "round {round}: {shown} should be ahead by {by}");
        let shown = stage.ask(0, "new program");
        assert!(is_ahead(&shown, by), "round {round}: {shown} of a new program should be ahead by {by}");
        let read = reading(&mut stage, 0).expect("it can be read");
        assert!((read.ahead_ns - by).abs() < SECOND, "round {round}: {read}");
        stage.apply(&[run(0, Run::Paused)]);
        stage.apply(&[]);
    }
    assert!(stage.sandbox.deaths().is_empty());
}

fn restarted() {
    let mut stage = Stage::new(1);
    let ahead = skew(0, Skew::Jump(HOUR));
    stage.apply(&[ahead, run(0, Run::Down)]);
    stage.apply(&[ahead]);
    assert!(is_ahead(&stage.ask(0, "clock"), HOUR), "it has been killed and started again");
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[]);
    assert!(is_ahead(&stage.ask(0, "clock"), 0), "healed while it was down");
    stage.apply(&[run(0, Run::Paused)]);
    stage.apply(&[run(0, Run::Paused), ahead]);
    assert!(
        stage.sandbox.observe().expect("observing").daemons[0].expect("it exists").stopped,
        "still paused"
    );
    stage.apply(&[ahead]);
    assert!(is_ahead(&stage.ask(0, "clock"), HOUR), "skewed while it was paused");
    stage.apply(&[]);
    assert!(is_ahead(&stage.ask(0, "clock"), 0));
}

fn lease_ends() {
    lease_of(&mut Stage::new(1));
}

/// An agent that hangs, as it might when its machine has no processor time for it, keeps nobody's clock wrong.
fn lease_of(stage: &mut Stage) {
    stage.apply(&[skew(0, Skew::Jump(HOUR))]);
    // Much longer than a lease: it is renewed.
    let first = host();
    until("several leases have passed", || host() > first + 6 * SECOND);
    assert!(is_ahead(&stage.ask(0, "clock"), HOUR));
    let agent = children().into_iter().next().expect("the agent is our child");
    // SAFETY: a plain system call on a child of ours.
    assert_eq!(unsafe { libc::kill(agent, libc::SIGSTOP) }, 0);
    until("it is right by itself", || is_ahead(&stage.ask(0, "clock"), 0));
    // SAFETY: as above.
    assert_eq!(unsafe { libc::kill(agent, libc::SIGCONT) }, 0);
    until("it is kept wrong again", || is_ahead(&stage.ask(0, "clock"), HOUR));
}

fn children() -> Vec<i32> {
    let all: String = fs::read_dir("/proc/self/task")
        .expect("our threads")
        .flatten()
        .filter_map(|thread| fs::read_to_string(thread.path().join("children")).ok())
        .collect();
    all.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// A cluster whose clocks are skewed by a library.
fn with_library(nodes: usize) -> Stage {
    let options = Options { skewed_by: SkewedBy::Library, ..options(nodes, &folder()) };
    let stage = Stage::on(&enter().expect("entering"), &options);
    let mechanisms = stage.sandbox.mechanisms();
    assert!(mechanisms.iter().any(|one| one.contains("LD_PRELOAD")), "{mechanisms:?}");
    stage
}

/// Reads the node's clock while it is being asked for.
fn read_while_asked(stage: &mut Stage, index: usize) -> Reading {
    stage.ask(index, "ticking 1");
    reading(stage, index).expect("somebody asks for the time")
}

fn library() {
    let mut stage = with_library(2);
    assert!(stage.ask(0, "environment").contains("GREETING=hello"));
    for by in [HOUR, -HOUR] {
        stage.apply(&[skew(0, Skew::Jump(by))]);
        for how in ["clock", "new program", "found program", "shell"] {
            assert!(is_ahead(&stage.ask(0, how), by), "{how} by {by}");
        }
        assert!(is_ahead(&stage.ask(1, "clock"), 0), "n2 is in order");
        let read = read_while_asked(&mut stage, 0);
        assert!((read.ahead_ns - by).abs() < SECOND, "{read}");
    }
    stage.apply(&[skew(0, Skew::Jump(HOUR)), run(0, Run::Down)]);
    stage.apply(&[skew(0, Skew::Jump(HOUR))]);
    assert!(is_ahead(&stage.ask(0, "clock"), HOUR), "it has been killed and started again");
    stage.apply(&[]);
    assert!(is_ahead(&stage.ask(0, "clock"), 0));

    stage.apply(&[skew(0, Skew::Drift(100_000_000))]);
    let first = read_while_asked(&mut stage, 0);
    until("it has gained", || reading(&mut stage, 0).expect("read").ahead_ns > first.ahead_ns + SECOND / 20);
    let last = reading(&mut stage, 0).expect("it is asked for the time");
    let (passed, gained) = ((last.host - first.host).as_nanos() as i64, last.ahead_ns - first.ahead_ns);
    assert!((gained - passed / 10).abs() < passed / 100, "{gained} ns gained in {passed}");
    stage.apply(&[skew(0, Skew::Strobe(HOUR, Duration::from_millis(20)))]);
    let read = reading(&mut stage, 0).expect("it is asked for the time");
    assert!((read.most_ns - read.least_ns - HOUR).abs() < SECOND, "{read:?}");

    lease_of(&mut stage);
    stage.apply(&[]);
    assert!(is_ahead(&stage.ask(0, "clock"), 0));
    assert!(stage.sandbox.deaths().is_empty());
}

fn library_of_others() {
    jumps_while_it_runs(with_library(2), &PYTHON, &said_in_log);
    let data = folder().join("nodes/n1/data");
    fs::write(data.join("Tell.class"), TELL_CLASS).expect("writing the program");
    jumps_while_it_runs(with_library(2), &JAVA, &said_in_log_by_java);
    // Go has loaded it and asks somebody else: it is not said to have another clock.
    let mut stage = with_library(1);
    let says = |stage: &Stage| date(&stage.http_head(0)?);
    instead(&mut stage, &etcd(), &says);
    stage.apply(&[skew(0, Skew::Jump(HOUR))]);
    assert!(says(&stage).is_some_and(|ns| (ns - host()).abs() < MUCH));
    assert_eq!(reading(&mut stage, 0), None);
    stage.apply(&[]);
    // As a static program: it has not loaded it.
    instead(&mut stage, &[&["/usr/bin/env", "-u", "LD_PRELOAD"][..], &PYTHON].concat(), &said_in_log);
    let desired = Desired::of(&[skew(0, Skew::Jump(HOUR))]);
    let refused = stage.sandbox.apply(&desired).expect_err("it has no library").to_string();
    assert!(refused.contains("static program") && refused.contains("schism doctor"), "{refused}");
}

/// The same as below, for a program whose clock shows only when it asks for it.
fn jumps_while_it_runs(mut stage: Stage, program: &[&str], said: &dyn Fn(&Stage) -> Option<i64>) {
    instead(&mut stage, program, said);
    for by in [HOUR, -HOUR, 0] {
        stage.apply(if by == 0 { vec![] } else { vec![skew(0, Skew::Jump(by))] }.as_slice());
        until("it says the other time", || said(&stage).is_some_and(|ns| (ns - host() - by).abs() < MUCH));
        let read = reading(&mut stage, 0).expect("it asks for the time");
        assert!((read.ahead_ns - by).abs() < SECOND, "{read}");
    }
    assert!(stage.sandbox.deaths().is_empty());
}

fn again_and_again() {
    let mut stage = Stage::new(2);
    stage.ask(0, "ticking 3");
    let pid = |stage: &mut Stage| stage.sandbox.observe().expect("observing").daemons[0].map(|one| one.pid);
    let before = pid(&mut stage).expect("it runs");
    for round in 0..1000 {
        let by = if round % 2 == 0 { HOUR } else { -HOUR };
        stage.apply(&[skew(0, Skew::Jump(by))]);
        if round % 100 == 0 {
            assert!(is_ahead(&stage.ask(0, "clock"), by), "round {round}");
        }
        stage.apply(&[]);
    }
    assert!(is_ahead(&stage.ask(0, "clock"), 0));
    assert!(is_ahead(&stage.ask(1, "clock"), 0));
    assert_eq!(pid(&mut stage), Some(before), "it is the same process");
    assert!(stage.sandbox.deaths().is_empty());
}

/// Starts this instead of the daemon, and waits until it has said the time.
fn instead(stage: &mut Stage, program: &[&str], said: &dyn Fn(&Stage) -> Option<i64>) {
    stage.apply(&[run(0, Run::Down)]);
    let [file, arguments @ ..] = program else { unreachable!("a program has a name") };
    let program = Program {
        file: Some(file.into()),
        arguments: arguments.iter().map(|&argument| argument.into()).collect(),
        environment: Vec::new(),
    };
    stage.sandbox.start(Node(0), program).expect("starting");
    until("it says the time", || said(stage).is_some());
}

/// Skews a program that says the time again and again, and has it say so.
fn while_it_runs(program: &[&str], said: &dyn Fn(&Stage) -> Option<i64>) {
    let mut stage = Stage::new(2);
    instead(&mut stage, program, said);
    let ahead = |stage: &Stage, by: i64| said(stage).is_some_and(|shown| (shown - host() - by).abs() < MUCH);
    assert!(ahead(&stage, 0));
    for by in [HOUR, -HOUR] {
        stage.apply(&[skew(0, Skew::Jump(by))]);
        until("it says the other time", || ahead(&stage, by));
        let read = reading(&mut stage, 0).expect("it can be read");
        assert!((read.ahead_ns - by).abs() < SECOND, "{read}");
        assert!(is_ahead(&stage.ask(1, "clock"), 0), "the other node is in order");
    }
    // Faster by a tenth: it runs away from the machine's clock.
    stage.apply(&[skew(0, Skew::Drift(100_000_000))]);
    let first = reading(&mut stage, 0).expect("it can be read");
    until("it has gained", || reading(&mut stage, 0).expect("read").ahead_ns > first.ahead_ns + SECOND / 20);
    // No multiple of how often a program may look at its clock.
    stage.apply(&[skew(0, Skew::Strobe(HOUR, Duration::from_millis(37)))]);
    until("it strobes ahead", || ahead(&stage, HOUR));
    until("it strobes back", || ahead(&stage, 0));
    stage.apply(&[]);
    until("it says the right time", || ahead(&stage, 0));
    for _ in 0..50 {
        stage.apply(&[skew(0, Skew::Jump(HOUR))]);
        stage.apply(&[]);
    }
    until("it still says the time", || ahead(&stage, 0));
    assert!(stage.sandbox.deaths().is_empty());
}

/// The last whole line of the first node's output.
fn last_line(stage: &Stage) -> Option<String> {
    let log = fs::read_to_string(stage.sandbox.log(Node(0))).ok()?;
    let whole = &log[..log.rfind('\n')?];
    whole.lines().last().map(str::to_owned)
}

const PYTHON: [&str; 3] = [
    "/usr/bin/python3",
    "-c",
    "import time\nwhile True:\n print('tells', time.time_ns(), flush=True)\n time.sleep(0.01)",
];

fn said_in_log(stage: &Stage) -> Option<i64> {
    last_line(stage)?.strip_prefix("tells ")?.parse().ok()
}

fn python() {
    while_it_runs(&PYTHON, &said_in_log);
}

/// What `javac --release 8 -g:none Tell.java` makes of the file beside it: a machine to test on needs no compiler.
const TELL_CLASS: &[u8] = include_bytes!("Tell.class");

const JAVA: [&str; 5] = ["java", "-Xmx64m", "-cp", "/run/data", "Tell"];

fn said_in_log_by_java(stage: &Stage) -> Option<i64> {
    Some(said_in_log(stage)? * 1_000_000)
}

fn java() {
    let data = folder().join("nodes/n1/data");
    fs::create_dir_all(&data).expect("a data directory");
    fs::write(data.join("Tell.class"), TELL_CLASS).expect("writing the program");
    while_it_runs(&JAVA, &said_in_log_by_java);
}

/// etcd, whose answers carry the time; Go reads clocks without the C library.
fn etcd() -> Vec<&'static str> {
    let clients =
        ["--listen-client-urls", "http://0.0.0.0:7000", "--advertise-client-urls", "http://n1:7000"];
    [&["etcd", "--log-level", "error", "--data-dir", "/run/data/etcd"][..], &clients].concat()
}

fn go() {
    while_it_runs(&etcd(), &|stage| date(&stage.http_head(0)?));
}

/// Nanoseconds since 1970 of a line like `Date: Mon, 23 Nov 2026 00:55:54 GMT`.
fn date(head: &str) -> Option<i64> {
    let line = head.lines().find_map(|line| line.strip_prefix("Date: "))?;
    let mut words = line.split(' ').skip(1);
    let day: i64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|one| *one == month)? as i64 + 1;
    let year: i64 = words.next()?.parse().ok()?;
    let time: Vec<i64> = words.next()?.split(':').filter_map(|one| one.parse().ok()).collect();
    // Days since 1970 of a date, counting years from March (Hinnant, "chrono-compatible low-level date algorithms").
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = year / 400;
    let of_era = year % 400 * 365 + year % 400 / 4 - year % 400 / 100 + (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era - 719_468;
    Some((days * 86_400 + time[0] * 3600 + time[1] * 60 + time[2]) * SECOND)
}
