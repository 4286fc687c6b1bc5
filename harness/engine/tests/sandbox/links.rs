//! Links that are slow, lossy, narrow, garbling or refusing, seen from outside: by what arrives where and when.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use schism_engine::backend::sandbox::{Options, Sandbox, enter};
use schism_engine::backend::{Backend, ShapedBy};
use schism_engine::cluster::{Change, Endpoint, Pair};
use schism_engine::link::{Cut, Delay, Duplicate, Flap, Loss, Reorder, Share, Traffic, Wrong};

use crate::stage::{LONG, Stage, cut, folder, node, options, until};

pub const CASES: &[(&str, fn())] = &[
    ("a delay is felt in its direction and healed at once", delayed),
    ("of 10 000 packets as many are lost as asked for", lost),
    ("a doubled packet arrives twice, and no more", doubled),
    ("held back packets are overtaken", reordered),
    ("a changed packet arrives changed, or not at all", changed),
    ("a narrow link passes what it can", narrow),
    ("long packets vanish, short ones pass", too_long),
    ("a closed port is closed to both sides", port_closed),
    ("a link is cut behind a byte, in the middle of a message", cut_behind_a_byte),
    ("a flapping link passes some and cuts some", flapping),
    ("a reset link resets, a refusing one refuses", refused),
    ("what is swallowed is acknowledged and never delivered", swallowed),
    ("answers are swallowed while requests go on", answers_swallowed),
    ("faults on one link stand and heal side by side", side_by_side),
    ("everything wrong at once, again and again, and healed", everything),
];

/// Those that are about one way of shaping alone.
pub const BY_TC: &[(&str, fn())] =
    &[("by traffic control a narrow link passes what it can", by_traffic_control)];

fn wrong(from: Endpoint, to: Endpoint, wrong: Wrong) -> Change {
    Change::Link { from, to, wrong }
}

/// From the first node to the second.
fn there(what: Wrong) -> Change {
    wrong(node(0), node(1), what)
}

fn traffic(stage: &mut Stage, pair: Pair) -> Traffic {
    stage.sandbox.observe().expect("observing").traffic.get(&pair).copied().unwrap_or_default()
}

/// As many short datagrams as a socket holds for a receiver that gets no processor time.
const FEW: u64 = 200;

const THERE: fn() -> Pair = || (node(0), node(1));

/// What arrived at the second node of so many numbered datagrams of so many bytes from the first: how many, how many different
/// ones, how many behind a later one, and the microseconds from the first to the last.
fn flood(stage: &mut Stage, count: u64, bytes: usize) -> [u64; 4] {
    stream(stage, (0, 1), count, bytes)
}

/// The same from one node to another.
fn stream(stage: &mut Stage, (from, to): (usize, usize), count: u64, bytes: usize) -> [u64; 4] {
    let address = stage.address(to);
    stage.ask(to, "tally");
    assert_eq!(stage.ask(from, &format!("flood {address} {count} {bytes}")), "sent");
    settled(stage, to)
}

/// 10 000 short datagrams over a link that looks at each, and never more at once than its queue holds for whoever gets no
/// processor time.
fn crowd(stage: &mut Stage) -> [u64; 4] {
    let address = stage.address(1);
    stage.ask(1, "tally");
    let before = traffic(stage, THERE()).seen;
    for round in 1..=100 {
        assert_eq!(stage.ask(0, &format!("flood {address} 100 64")), "sent");
        until("all were looked at", || traffic(stage, THERE()).seen >= before + round * 100);
    }
    settled(stage, 1)
}

/// When nothing has come for so long, no more does.
const QUIET: Duration = Duration::from_millis(500);

/// What has arrived at a node when no more does.
fn settled(stage: &mut Stage, to: usize) -> [u64; 4] {
    // The last ones carry no number: when one of them is there, or its fate is known, all others are.
    let mut tally = [0; 4];
    let mut quiet = Instant::now();
    until("all has come that will", || {
        let answer = stage.ask(to, "look");
        let numbers: Vec<u64> = answer.split(',').map(|one| one.parse().expect("a number")).collect();
        let now: [u64; 4] = numbers.try_into().expect("four");
        if now != tally {
            (tally, quiet) = (now, Instant::now());
        }
        quiet.elapsed() > QUIET
    });
    tally
}

fn delayed() {
    let mut stage = Stage::new(3);
    let mut talk = stage.connect(0);
    let mean = Duration::from_millis(40);
    stage.apply(&[wrong(Endpoint::Clients, node(0), Wrong::Delay(Delay { mean, ..Delay::default() }))]);
    for _ in 0..5 {
        let begun = Instant::now();
        talk.ask("echo slow");
        assert!(begun.elapsed() >= mean);
    }
    let pair = (Endpoint::Clients, node(0));
    let counted = traffic(&mut stage, pair);
    assert!(counted.delayed >= 5 && counted.held >= mean * counted.delayed as u32, "{counted:?}");
    assert_eq!(traffic(&mut stage, (node(0), Endpoint::Clients)), Traffic::default(), "the way back is well");
    // What waits at the moment of the heal waits no longer: an hour would be noticed.
    let hour = Delay { mean: Duration::from_secs(3600), ..Delay::default() };
    stage.apply(&[wrong(Endpoint::Clients, node(0), Wrong::Delay(hour))]);
    talk.patience(Duration::from_millis(200));
    assert_eq!(talk.try_ask("echo late").expect_err("it waits").kind(), ErrorKind::WouldBlock);
    stage.apply(&[]);
    talk.patience(LONG);
    assert_eq!(talk.ask("echo now"), "late");
    let healed = traffic(&mut stage, pair);
    stage.ask(0, "echo well");
    assert_eq!(traffic(&mut stage, pair), healed, "a link that is well is not looked at");
}

fn lost() {
    let mut stage = Stage::new(2);
    for percent in [1, 10, 30] {
        let share = Share::percent(percent);
        for loss in [Loss::Random(share), Loss::Bursts(share, 4), Loss::Every(100 / percent)] {
            let before = traffic(&mut stage, THERE());
            stage.apply(&[there(Wrong::Loss(loss))]);
            let [arrived, ..] = crowd(&mut stage);
            let counted = traffic(&mut stage, THERE()).since(&before);
            stage.apply(&[]);
            // What was lost did not arrive; a receiver that gets no processor time may lose a few more by itself.
            assert_eq!(counted.seen, 10_000, "{loss:?}");
            let passed = 10_000 - counted.lost;
            assert!((passed - passed / 20..=passed).contains(&arrived), "{loss:?}: {arrived} of {passed}");
            // By chance a hundredth of 10 000 deviates by a tenth, bursts by twice that; what is counted by number does not.
            let tolerance = match loss {
                Loss::Every(_) => 0.01,
                Loss::Random(_) => 3.3 / (10_000.0 * loss.part()).sqrt(),
                Loss::Bursts(..) => 3.3 * 7f64.sqrt() / (10_000.0 * loss.part()).sqrt(),
            };
            let part = counted.lost as f64 / 10_000.0;
            assert!((part / loss.part() - 1.0).abs() <= tolerance, "{loss:?}: {part}");
        }
    }
}

fn doubled() {
    let mut stage = Stage::new(2);
    stage.apply(&[there(Wrong::Duplicate(Duplicate::ALL))]);
    let [arrived, different, ..] = flood(&mut stage, FEW / 2, 64);
    assert_eq!((arrived, different), (FEW, FEW / 2));
    assert_eq!(traffic(&mut stage, THERE()).duplicated, FEW / 2);
    assert!(stage.reaches(0, "n2", LONG), "TCP bears it");
}

fn reordered() {
    let mut stage = Stage::new(2);
    let by = Duration::from_millis(20);
    let jitter = Delay { mean: by, jitter: by, ..Delay::default() };
    stage.apply(&[there(Wrong::Delay(jitter))]);
    let [arrived, _, overtaken, _] = flood(&mut stage, FEW, 64);
    assert_eq!((arrived, overtaken), (FEW, 0), "jitter keeps the order");
    let before = traffic(&mut stage, THERE()).reordered;
    stage.apply(&[there(Wrong::Reorder(Reorder { share: Share::percent(10), by }))]);
    let [arrived, different, overtaken, _] = flood(&mut stage, FEW, 64);
    assert_eq!((arrived, different), (FEW, FEW));
    let held_back = traffic(&mut stage, THERE()).reordered - before;
    assert!((1..=held_back).contains(&overtaken), "{overtaken} of {held_back}");
}

fn changed() {
    let mut stage = Stage::new(2);
    let second = stage.address(1);
    stage.apply(&[there(Wrong::Evade(Share::ALL))]);
    stage.ask(0, &format!("send {second} 0000"));
    until("it arrives", || !stage.ask(1, "datagrams").is_empty());
    let arrived = stage.ask(1, "datagrams");
    assert_ne!(arrived, "0000");
    stage.apply(&[there(Wrong::Corrupt(Share::ALL))]);
    stage.ask(0, &format!("send {second} 0000"));
    until("it is changed", || traffic(&mut stage, THERE()).corrupted == 1);
    stage.apply(&[]);
    stage.ask(0, &format!("send {second} last"));
    until("the last arrives", || stage.ask(1, "datagrams").ends_with(",last"));
    assert_eq!(stage.ask(1, "datagrams"), format!("{arrived},last"), "the checksum told on the other");
    // A connection gets everything in the end, and gets it right.
    stage.apply(&[there(Wrong::Corrupt(Share::percent(30)))]);
    assert!(stage.reaches(0, "n2", LONG));
}

fn narrow() {
    let mut stage = Stage::new(2);
    let asked = 4_000_000;
    stage.apply(&[there(Wrong::Rate(asked))]);
    let begun = Instant::now();
    let passed = flood(&mut stage, 2000, 1000);
    let counted = traffic(&mut stage, THERE());
    passes_what_it_can(asked, 1028, passed, counted, begun.elapsed());
}

/// Of 2000 packets of so many bytes, sent much faster than that, as many passed as a rate lets pass, whatever else the machine
/// has to do: what may wait passed as well, and the rest took its time.
fn passes_what_it_can(asked: u64, bytes: u64, passed: [u64; 4], counted: Traffic, took: Duration) {
    let [arrived, _, overtaken, micros] = passed;
    println!("{asked} bits a second: {:.0}", (arrived - 1) as f64 * bytes as f64 * 8e6 / micros as f64);
    assert!(counted.waited > 0 && counted.overflowed > 0 && overtaken == 0, "{counted:?}, {passed:?}");
    let sent = 2000 - counted.overflowed;
    assert!((sent - sent / 20..=sent).contains(&arrived), "{arrived} of {sent}");
    let (bits, queue) = ((sent * bytes * 8) as f64, asked as f64 / 4.0);
    assert!(bits > queue * 0.9, "{bits}: a quarter of a second's worth may wait");
    // From before the first was sent until after the last was there, without what was waited for a later one.
    let took = took - QUIET;
    assert!(bits < asked as f64 * took.as_secs_f64() * 1.1, "{bits} in {took:?}");
}

/// The kernel's own traffic control, of which this machine may have no more than rates.
fn by_traffic_control() {
    let asked = 4_000_000;
    let shaped_by = ShapedBy::Tc;
    let fabric = enter().expect("entering");
    let late = Wrong::Delay(Delay { mean: Duration::from_millis(1), ..Delay::default() });
    let refused = |wrong| {
        let options = Options { shaped_by, shapes: vec![wrong], ..options(2, &folder()) };
        Sandbox::create(&fabric, &options).err().map(|error| error.to_string())
    };
    let told = refused(Wrong::Duplicate(Duplicate::ALL)).expect("nothing counts them");
    assert!(told.contains("doubled packets") && told.contains("tc, by htb"), "{told}");
    let has_netem = refused(late).is_none();
    let mut stage =
        Stage::on(&fabric, &Options { shaped_by, shapes: vec![Wrong::Rate(asked)], ..options(3, &folder()) });
    assert!(stage.sandbox.mechanisms().iter().any(|how| how.contains("tc, by htb")));
    for (pair, from, to) in [((node(0), node(1)), 0, 1), ((node(2), node(1)), 2, 1)] {
        stage.apply(&[wrong(pair.0, pair.1, Wrong::Rate(asked))]);
        let begun = Instant::now();
        let passed = stream(&mut stage, (from, to), 2000, 1000);
        let counted = traffic(&mut stage, pair);
        // With its ethernet header, as the kernel counts.
        passes_what_it_can(asked, 1042, passed, counted, begun.elapsed());
        let other = (node(1), node(0));
        assert_eq!(traffic(&mut stage, other), Traffic::default(), "the way back is well");
        assert!(stage.reaches(0, "n3", LONG) && stage.reaches(from, "n2", LONG), "TCP bears it");
    }
    stage.apply(&[]);
    let before = traffic(&mut stage, THERE());
    assert_eq!(flood(&mut stage, 100, 1000)[0], 100);
    assert_eq!(traffic(&mut stage, THERE()), before, "a link that is well is not looked at");
    println!("rates by tc, {}", if has_netem { "and netem" } else { "no netem here" });
    if has_netem {
        late_and_lossy(&mut stage);
    }
}

fn late_and_lossy(stage: &mut Stage) {
    let mut talk = stage.connect(0);
    let mean = Duration::from_millis(40);
    stage.apply(&[wrong(Endpoint::Clients, node(0), Wrong::Delay(Delay { mean, ..Delay::default() }))]);
    for _ in 0..5 {
        let begun = Instant::now();
        talk.ask("echo slow");
        assert!(begun.elapsed() >= mean);
    }
    assert!(traffic(stage, (Endpoint::Clients, node(0))).delayed >= 5);
    let jitter = Delay { mean: mean / 2, jitter: mean / 2, ..Delay::default() };
    stage.apply(&[there(Wrong::Delay(jitter))]);
    let [arrived, _, overtaken, _] = flood(stage, FEW, 64);
    assert_eq!((arrived, overtaken), (FEW, 0), "jitter keeps the order");
    let share = Share::percent(30);
    for loss in [Loss::Random(share), Loss::Bursts(share, 4)] {
        let before = traffic(stage, THERE());
        stage.apply(&[there(Wrong::Loss(loss))]);
        let [arrived, ..] = crowd(stage);
        let counted = traffic(stage, THERE()).since(&before);
        stage.apply(&[]);
        assert_eq!((counted.seen, counted.overflowed), (10_000, 0), "{loss:?}");
        let passed = 10_000 - counted.lost;
        assert!((passed - passed / 20..=passed).contains(&arrived), "{loss:?}: {arrived} of {passed}");
        assert!((counted.lost as f64 / 3000.0 - 1.0).abs() < 0.2, "{loss:?}: {counted:?}");
    }
}

fn too_long() {
    let mut stage = Stage::new(2);
    stage.apply(&[there(Wrong::Mtu(528))]);
    assert_eq!(flood(&mut stage, 20, 500)[0], 20, "as long as may be");
    assert_eq!(flood(&mut stage, 20, 501)[0], 0);
    assert_eq!(traffic(&mut stage, THERE()).oversized, 20);
}

fn port_closed() {
    let mut stage = Stage::new(3);
    stage.apply(&[there(Wrong::CutPort(crate::daemon::PORT))]);
    assert!(!stage.reaches(0, "n2", Duration::from_millis(300)));
    assert!(stage.reaches(2, "n2", LONG));
    assert!(traffic(&mut stage, THERE()).cut > 0);
    stage.apply(&[there(Wrong::CutPort(crate::daemon::PORT + 1))]);
    assert!(stage.reaches(0, "n2", LONG), "other ports are open");
}

fn cut_behind_a_byte() {
    let mut stage = Stage::new(2);
    let pair = (node(0), Endpoint::Clients);
    let long: String = (0..2000).map(|number| format!("{number:04}")).collect();
    let mut talk = stage.connect(0);
    stage.apply(&[wrong(pair.0, pair.1, Wrong::CutBehind(2001))]);
    talk.send(&format!("echo {long}"));
    until("the rest is cut", || traffic(&mut stage, pair).cut > 0);
    talk.patience(Duration::from_millis(300));
    assert_eq!(talk.whatever_comes(), &long[..2001], "up to that byte, and no further");
    assert!(stage.reaches(1, "n1", LONG), "others reach it");
    stage.apply(&[]);
    talk.patience(LONG);
    assert_eq!(talk.try_hear().expect("it goes on"), &long[2001..]);
    stage.apply(&[there(Wrong::CutBehind(64 * 10 + 1))]);
    assert_eq!(flood(&mut stage, 20, 64)[0], 10, "datagrams are whole or lost");
    assert_eq!(traffic(&mut stage, THERE()).cut, 10);
}

fn flapping() {
    let mut stage = Stage::new(2);
    let half = Duration::from_millis(50);
    stage.apply(&[there(Wrong::Flap(Flap { down: half, up: half }))]);
    let [arrived, ..] = crowd(&mut stage);
    let counted = traffic(&mut stage, THERE());
    let passed = 10_000 - counted.cut;
    assert!((passed - passed / 20..=passed).contains(&arrived), "{arrived} of {passed}");
    assert!(arrived > 0 && counted.cut > 0, "{counted:?}");
}

fn refused() {
    let mut stage = Stage::new(2);
    for how in [Cut::Reset, Cut::Refuse] {
        let mut talk = stage.connect(0);
        let pair = (Endpoint::Clients, node(0));
        stage.apply(&[wrong(pair.0, pair.1, Wrong::Cut(how))]);
        let error = stage.try_connect(0, LONG).map(drop).expect_err("nobody is there");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused, "{how:?}");
        let first = stage.sandbox.observe().expect("observing").dropped[&pair];
        assert!(first > 0);
        if how == Cut::Reset {
            let error = talk.try_ask("echo x").expect_err("the connection is gone");
            assert!(
                [ErrorKind::ConnectionReset, ErrorKind::UnexpectedEof].contains(&error.kind()),
                "{error}"
            );
        } else {
            talk.patience(Duration::from_millis(300));
            assert_eq!(talk.try_ask("echo x").expect_err("silence").kind(), ErrorKind::WouldBlock);
        }
        assert!(stage.reaches(1, "n1", LONG), "others reach it");
        // The same pair, now cut in another way: nobody answers.
        stage.apply(&[cut(pair.0, pair.1), wrong(pair.0, pair.1, Wrong::Cut(how))]);
        let error = stage.try_connect(0, Duration::from_millis(300)).map(drop).expect_err("out of reach");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        stage.apply(&[]);
        assert_eq!(stage.ask(0, "echo again"), "again");
    }
}

/// Connections that a node has, the one by which it is asked among them.
fn connected(stage: &Stage) -> usize {
    let table = stage.ask(0, "read /proc/net/tcp");
    table.split(';').filter(|line| line.split_whitespace().nth(3) == Some("01")).count()
}

fn swallowed() {
    let mut stage = Stage::new(2);
    let (to, from) = ((Endpoint::Clients, node(0)), (node(0), Endpoint::Clients));
    let swallow = |(from, to): Pair| wrong(from, to, Wrong::Cut(Cut::Swallow));
    for way in [vec![swallow(to)], vec![swallow(to), swallow(from)]] {
        let mut before = stage.connect(0);
        let mut closed = stage.connect(0);
        let mut idle = stage.connect(0);
        for talk in [&mut before, &mut closed] {
            talk.ask("echo before");
        }
        let earlier = traffic(&mut stage, to);
        stage.apply(&way);
        let mut during = stage.try_connect(0, LONG).expect("connections are made");
        let words = "append swallowed";
        for talk in [&mut before, &mut during, &mut closed] {
            talk.send(words);
            until("all is acknowledged", || talk.unacknowledged() == 0);
        }
        drop(closed);
        for talk in [&mut before, &mut during] {
            talk.patience(Duration::from_millis(200));
            assert_eq!(talk.try_hear().expect_err("silence").kind(), ErrorKind::WouldBlock);
        }
        let counted = traffic(&mut stage, to).since(&earlier);
        assert_eq!(counted.acknowledged, 3 * (words.len() as u64 + 1), "{counted:?}");
        assert!(counted.swallowed > 3, "so is the end of a connection: {counted:?}");
        assert!(stage.reaches(1, "n1", LONG), "others reach it");
        stage.apply(&[]);
        for mut talk in [before, during] {
            talk.patience(LONG);
            let error = talk.try_hear().expect_err("it cannot go on");
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
        }
        // This one, and the one that asks.
        until("the node's ends are reset, too", || connected(&stage) == 2);
        idle.ask("echo nothing was lost of it");
        assert_eq!(stage.ask(0, "contents"), "", "nothing was delivered");
    }
    stage.apply(&[there(Wrong::Cut(Cut::Swallow))]);
    assert_eq!(flood(&mut stage, 20, 64)[0], 0, "datagrams vanish");
    assert_eq!(traffic(&mut stage, THERE()).swallowed, 20);
}

/// The way back swallows much more than any window holds, and the way there neither notices nor stops.
fn answers_swallowed() {
    let mut stage = Stage::new(2);
    let pair = (node(0), Endpoint::Clients);
    let mut talk = stage.connect(0);
    stage.apply(&[wrong(pair.0, pair.1, Wrong::Cut(Cut::Swallow))]);
    let (long, rounds) = ("x".repeat(100_000), 50);
    for round in 0..rounds {
        talk.send(&format!("echo {long}"));
        talk.send(&format!("append {round}"));
    }
    let answers = rounds * (long.len() + "appended".len() + 2) as u64;
    until("all answers are swallowed", || traffic(&mut stage, pair).acknowledged == answers);
    until("all requests are acknowledged", || talk.unacknowledged() == 0);
    talk.patience(Duration::from_millis(200));
    assert_eq!(talk.try_hear().expect_err("silence").kind(), ErrorKind::WouldBlock);
    stage.apply(&[]);
    let error = talk.try_hear().expect_err("it cannot go on");
    assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}");
    let done: Vec<String> = (0..rounds).map(|round| format!("{round},")).collect();
    assert_eq!(stage.ask(0, "contents"), done.concat(), "every request was carried out once, in order");
    until("the node's end is reset, too", || connected(&stage) == 1);
}

fn side_by_side() {
    let mut stage = Stage::new(2);
    let mean = Duration::from_millis(20);
    let slow = there(Wrong::Delay(Delay { mean, ..Delay::default() }));
    let lossy = there(Wrong::Loss(Loss::Every(2)));
    let count = |stage: &mut Stage| {
        let before = traffic(stage, THERE());
        flood(stage, 20, 64);
        let counted = traffic(stage, THERE()).since(&before);
        (counted.delayed, counted.lost)
    };
    stage.apply(&[slow]);
    assert_eq!(count(&mut stage), (20, 0));
    stage.apply(&[slow, lossy]);
    assert_eq!(count(&mut stage), (10, 10));
    stage.apply(&[lossy]);
    assert_eq!(count(&mut stage), (0, 10));
    stage.apply(&[lossy, cut(node(0), node(1))]);
    assert_eq!(count(&mut stage), (0, 0), "what is cut does not come to the shaper");
    stage.apply(&[]);
    assert_eq!(flood(&mut stage, 20, 64)[0], 20);
}

fn everything() {
    let mut stage = Stage::new(3);
    let ms = Duration::from_millis;
    let share = Share::percent(10);
    let all = [
        Wrong::Delay(Delay { mean: ms(2), jitter: ms(1), ..Delay::default() }),
        Wrong::Loss(Loss::Bursts(share, 2)),
        Wrong::Duplicate(Duplicate { share, by: ms(5) }),
        Wrong::Reorder(Reorder { share, by: ms(3) }),
        Wrong::Corrupt(share),
        Wrong::Rate(10_000_000),
        Wrong::Mtu(1400),
    ];
    let ends = [node(0), node(1), node(2), Endpoint::Clients];
    let pairs = || ends.iter().flat_map(|from| ends.iter().map(move |to| (*from, *to)));
    let changes: Vec<Change> = pairs()
        .filter(|(from, to)| from != to)
        .flat_map(|(from, to)| all.map(|one| wrong(from, to, one)))
        .collect();
    for _ in 0..5 {
        stage.apply(&changes);
        assert!(stage.reaches(0, "n2", LONG), "TCP gets through");
        stage.apply(&[]);
        for from in 0..3 {
            assert!(stage.reaches(from, "n1", LONG));
        }
    }
    assert_eq!(flood(&mut stage, FEW, 64)[..3], [FEW, FEW, 0]);
}
