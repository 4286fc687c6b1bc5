//! Disks that are wrong, seen from outside: by what a node's daemon is told, and by what is in its data directory.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use schism_engine::backend::Backend;
use schism_engine::backend::sandbox::{Options, enter};
use schism_engine::clock::Skew;
use schism_engine::cluster::{Change, Node, Run};
use schism_engine::disk::{Call, Edit, Error, Harm, Loss, Pattern, Refusal, Strike, Work, Wrong};
use schism_engine::strain::{Name, Strain};

use crate::stage::{Stage, folder, options, run, until};

pub const CASES: &[(&str, fn())] = &[
    ("a node's files are changed while it is down, once, and nobody else's", edited_while_down),
    ("a block is what it was when its daemon was started", rolled_back),
    ("what was not fsynced goes with the power, and nothing else does", power_fails),
    ("after a reboot clocks since boot begin from zero, and nobody else's", booted),
    ("some of what was not fsynced is torn, and goes on from there", torn),
    ("a node goes down in the middle of its third fsync, or behind it", struck_by_fsync),
    ("a node goes down by the n-th fsync of a given file", struck_by_a_given_file),
    ("a node goes down before a rename, or behind it", struck_by_rename),
    ("disks are watched beside everything else", beside_others),
    ("calls of each kind are refused while that stands, and no others", refused),
    ("calls are refused on some files, so many times, and after a restart too", refused_some),
    ("without a free inode nothing new is made, and what is there grows and is renamed", no_inodes),
    ("several nodes go down in the middle of a call, each at its own", several_struck),
    ("what a failed fsync was to keep is gone, whatever comes after", given_up),
    ("an fsync that lied is found out when the power fails", lied_to),
    ("a slow fsync takes so much longer, and nobody is held who is to be stopped", slow),
];

/// A cluster in which this may go wrong.
fn stage(nodes: usize, disks: &[Wrong]) -> Stage {
    Stage::on(&enter().expect("entering"), &Options { disks: disks.to_vec(), ..options(nodes, &folder()) })
}

/// Asks for something that is done.
fn does(stage: &Stage, index: usize, question: &str) {
    assert_eq!(stage.ask(index, question), "done", "{question}");
}

/// The names in a node's data directory, and what they hold.
fn shown(index: usize) -> String {
    let names = fs::read_dir(data(index)).expect("listing").map(|one| one.expect("a name").path());
    let mut shown: Vec<String> = names
        .map(|path| {
            let name = path.file_name().expect("it has one").to_string_lossy().into_owned();
            format!("{name}={}", fs::read_to_string(&path).expect("reading"))
        })
        .collect();
    shown.sort();
    shown.join(" ")
}

fn power_fails() {
    let loses = Wrong::Lose(Loss::All);
    let mut stage = stage(2, &[loses]);
    assert!(stage.ask(0, "ring").contains("not implemented"), "no calls that nobody hears of");
    does(&stage, 0, "put kept 1");
    does(&stage, 0, "fsync kept");
    does(&stage, 0, "put unnamed 2");
    does(&stage, 0, "rename kept moved");
    does(&stage, 0, "through log ab");
    does(&stage, 0, "through log c");
    does(&stage, 1, "put other 3");
    // A kill alone loses nothing.
    stage.apply(&[run(0, Run::Down)]);
    assert_eq!(shown(0), "log=abc moved=1 unnamed=2");
    stage.apply(&[]);
    let before = work(&mut stage, 0);
    assert_eq!((before.syncs, before.losses), (1, 0));
    stage.apply(&[run(0, Run::Down), wrong(0, loses)]);
    assert_eq!(shown(0), "kept=1 log=abc");
    let after = work(&mut stage, 0);
    assert_eq!((after.losses, after.lost_bytes, after.lost_names), (1, 1, 3));
    stage.apply(&[]);
    assert_eq!(stage.ask(0, "read kept"), "1");
    // It is watched again, from what was left to it.
    does(&stage, 0, "rename kept moved");
    does(&stage, 0, "fsync .");
    does(&stage, 0, "put moved 22");
    stage.apply(&[run(0, Run::Down), wrong(0, loses)]);
    assert_eq!(shown(0), "log=abc moved=1");
    assert_eq!(shown(1), "other=3", "another node's are not touched");
    assert_eq!(work(&mut stage, 1), Work::default());
    stage.apply(&[]);
    assert_eq!(stage.ask(0, "echo up"), "up");
    assert!(stage.sandbox.deaths().is_empty());
}

/// What a node's clocks since boot show, in nanoseconds.
fn since_boot(said: &str) -> [u64; 2] {
    let mut shown = said.split(',').map(|one| one.parse().expect("nanoseconds"));
    [(); 2].map(|()| shown.next().expect("two clocks"))
}

/// Without a word on how long anything takes: what a clock shows is held against how long ago it can have begun.
fn booted() {
    let loses = Wrong::Lose(Loss::All);
    let strike = Wrong::Strike(Strike { call: Call::Sync, nth: 1, done: false, files: Pattern::ALL });
    let mut stage = stage(2, &[loses, strike]);
    assert!(
        stage.sandbox.mechanisms().iter().any(|one| one.contains("time namespace")),
        "{:?} {:?}",
        stage.sandbox.mechanisms(),
        stage.sandbox.notes()
    );
    let machine = || since_boot(&crate::daemon::since_boot());
    let node = |stage: &Stage, index: usize| since_boot(&stage.ask(index, "since boot"));
    let first = machine();
    let goes_on = |shown: [u64; 2]| shown.iter().zip(first).all(|(shown, first)| *shown > first);
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[]);
    assert!(goes_on(node(&stage, 0)), "a kill is no reboot");
    let mut booted = Instant::now();
    let anew = |shown: [u64; 2], since: Instant| {
        let passed = since.elapsed();
        assert!(shown.iter().all(|one| Duration::from_nanos(*one) <= passed), "{shown:?} after {passed:?}");
        assert!(!goes_on(shown));
    };
    for _ in 0..2 {
        booted = Instant::now();
        stage.apply(&[run(0, Run::Down), wrong(0, loses)]);
        stage.apply(&[]);
        anew(node(&stage, 0), booted);
    }
    // It goes on from there, also for a daemon that is only killed.
    let last = node(&stage, 0);
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[]);
    let next = node(&stage, 0);
    anew(next, booted);
    assert!(next[0] > last[0] && next[1] > last[1], "{last:?} {next:?}");
    // In the middle of a call, too, and another kind of clock beside it.
    let struck = Instant::now();
    stage.apply(&[wrong(0, loses), wrong(0, strike)]);
    does(&stage, 0, "put file 1");
    dies_of(&mut stage, 0, "fsync file");
    anew(node(&stage, 0), struck);
    stage.apply(&[Change::Clock { node: Node(0), skew: Skew::Jump(3_600_000_000_000) }]);
    let shown: u128 = stage.ask(0, "clock").parse().expect("a time");
    let right = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    assert!(shown > right + 3_000_000_000_000, "{shown} {right}");
    anew(node(&stage, 0), struck);
    stage.apply(&[]);
    assert!(goes_on(node(&stage, 1)), "another node");
    assert!(goes_on(machine()), "the machine");
    assert!(stage.sandbox.deaths().is_empty());
}

fn torn() {
    let mut stage = stage(1, &[Wrong::Lose(Loss::Torn(0))]);
    does(&stage, 0, "put file 0123456789");
    does(&stage, 0, "fsync file");
    let mut lengths = std::collections::BTreeSet::new();
    for seed in 0..8 {
        assert_eq!(stage.ask(0, "append abcdefghijklmnopqrstuvwxyz"), "appended");
        let whole = fs::read(data(0).join("file")).expect("reading");
        stage.apply(&[run(0, Run::Down), wrong(0, Wrong::Lose(Loss::Torn(seed)))]);
        let left = fs::read(data(0).join("file")).expect("reading");
        assert!(whole.starts_with(&left) && left.len() >= whole.len() - 27, "{whole:?} {left:?}");
        lengths.insert(whole.len() - left.len());
        stage.apply(&[]);
    }
    assert!(lengths.len() > 2, "{lengths:?}");
}

/// Does this while the fault is in force, in the middle of which the node goes down. It is up again by itself.
fn struck(stage: &mut Stage, strike: Strike, questions: &[&str]) {
    stage.apply(&[wrong(0, Wrong::Lose(Loss::All)), wrong(0, Wrong::Strike(strike))]);
    let (last, first) = questions.split_last().expect("some");
    first.iter().for_each(|question| does(stage, 0, question));
    let before = work(stage, 0);
    dies_of(stage, 0, last);
    let after = work(stage, 0);
    assert_eq!(stage.ask(0, "echo again"), "again");
    assert_eq!((after.strikes, after.losses), (before.strikes + 1, before.losses + 1));
    // No more often than once.
    does(stage, 0, last);
    stage.apply(&[]);
    assert!(stage.sandbox.deaths().is_empty());
}

fn struck_by_fsync() {
    let strike = |done| Strike { call: Call::Sync, nth: 3, done, files: Pattern::ALL };
    let mut stage = stage(1, &[Wrong::Lose(Loss::All), Wrong::Strike(strike(true))]);
    let questions = ["put a 1", "fsync a", "put b 2", "fsync b", "put a 3", "fsync a"];
    struck(&mut stage, strike(false), &questions);
    assert_eq!(shown(0), "a=1 b=2");
    struck(&mut stage, strike(true), &questions);
    assert_eq!(shown(0), "a=3 b=2");
}

fn struck_by_a_given_file() {
    let strike = Strike { call: Call::Sync, nth: 2, done: true, files: Pattern::of("b").expect("a pattern") };
    let mut stage = stage(1, &[Wrong::Lose(Loss::All), Wrong::Strike(strike)]);
    let questions = ["put a 1", "fsync a", "put b 1", "fsync b", "put a 2", "fsync a", "put b 2", "fsync b"];
    struck(&mut stage, strike, &questions);
    assert_eq!(shown(0), "a=2 b=2", "the second of the second file");
}

fn struck_by_rename() {
    let strike = |done| Strike { call: Call::Rename, nth: 1, done, files: Pattern::ALL };
    let mut stage = stage(1, &[Wrong::Lose(Loss::All), Wrong::Strike(strike(true))]);
    does(&stage, 0, "put b 1");
    does(&stage, 0, "fsync b");
    for done in [false, true] {
        // A rename is not durable, whether it was done or not; it is seen to be done by who has no power failure.
        struck(&mut stage, strike(done), &["put a 2", "fsync a", "rename a b"]);
        assert_eq!(shown(0), "b=2", "the second rename was done, and no power failed since");
        stage.apply(&[run(0, Run::Down), wrong(0, Wrong::Lose(Loss::All))]);
        assert_eq!(shown(0), "a=2 b=1");
        stage.apply(&[]);
        let strike = Strike { call: Call::Rename, nth: 1, done, files: Pattern::ALL };
        stage.apply(&[wrong(0, Wrong::Strike(strike))]);
        dies_of(&mut stage, 0, "rename a b");
        assert_eq!(stage.ask(0, "echo again"), "again");
        assert_eq!(shown(0), if done { "b=2" } else { "a=2 b=1" }, "the power did not fail this time");
        stage.apply(&[]);
        stage.apply(&[run(0, Run::Down), wrong(0, Wrong::Lose(Loss::All))]);
        stage.apply(&[]);
    }
}

fn beside_others() {
    let loses = Wrong::Lose(Loss::All);
    let mut stage = stage(1, &[loses]);
    stage.ask(0, "spin spinner");
    let skew = Change::Clock { node: Node(0), skew: Skew::Jump(3_600_000_000_000) };
    let hold = Change::Strain { node: Node(0), strain: Strain::Thread(Name::of("spinner")) };
    for change in [skew, hold, run(0, Run::Paused), run(0, Run::Down)] {
        stage.apply(&[change]);
        stage.apply(&[]);
        does(&stage, 0, "put file 1");
        does(&stage, 0, "fsync file");
        stage.ask(0, "spin spinner");
    }
    // A new program of a daemon whose clock is wrong and whose disk is watched.
    stage.apply(&[skew]);
    let shown: u128 = stage.ask(0, "new program").parse().expect("a time");
    let right = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    assert!(shown > right + 3_000_000_000_000, "{shown} {right}");
    does(&stage, 0, "put file 2");
    stage.apply(&[skew, run(0, Run::Down), wrong(0, loses)]);
    stage.apply(&[]);
    assert_eq!(stage.ask(0, "read file"), "1");
    assert!(stage.sandbox.deaths().is_empty());
}

fn wrong(index: usize, wrong: Wrong) -> Change {
    Change::Disk { node: Node(index), wrong }
}

fn data(index: usize) -> PathBuf {
    folder().join(format!("nodes/n{}/data", index + 1))
}

fn work(stage: &mut Stage, index: usize) -> Work {
    stage.sandbox.observe().expect("observing").disks[index].clone()
}

fn edited_while_down() {
    let mut stage = Stage::new(2);
    for index in 0..2 {
        stage.ask(index, "append 0000000000");
        stage.ask(index, "write other");
    }
    let flip = |seed| {
        let files = Pattern::of("file").expect("short");
        wrong(0, Wrong::Edit(Edit { harm: Harm::Flip(1), files, seed }))
    };
    // Nothing happens to a daemon that runs.
    stage.apply(&[flip(1)]);
    assert_eq!(stage.ask(0, "contents"), "0000000000,");
    assert_eq!(work(&mut stage, 0).edits, 0);
    stage.apply(&[flip(1), run(0, Run::Down)]);
    let once = fs::read(data(0).join("file")).expect("it is there");
    let turned: u32 = once.iter().zip(b"0000000000\n").map(|(now, before)| (now ^ before).count_ones()).sum();
    assert_eq!((once.len(), turned), (11, 1), "{once:?}");
    assert_eq!(work(&mut stage, 0).edits, 1);
    // Again is not twice; it stays when the fault is over, and is there for the daemon to see.
    stage.apply(&[flip(1), run(0, Run::Down)]);
    stage.apply(&[]);
    stage.ask(0, "echo up");
    assert_eq!(fs::read(data(0).join("file")).expect("it is there"), once);
    // Another fault is another edit, which heals alone.
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[run(0, Run::Down), flip(2)]);
    stage.apply(&[run(0, Run::Down)]);
    assert_eq!(work(&mut stage, 0).edits, 2);
    assert_ne!(fs::read(data(0).join("file")).expect("it is there"), once);
    assert_eq!(fs::read(data(0).join("other")).expect("it is there"), b"1", "not meant");
    assert_eq!(stage.ask(1, "contents"), "0000000000,", "not struck");
    assert_eq!(work(&mut stage, 1), Work::default());
}

fn rolled_back() {
    let back =
        Wrong::Edit(Edit { harm: Harm::RollBack, files: Pattern::of("file").expect("short"), seed: 1 });
    let mut stage = stage(2, &[back]);
    for index in 0..2 {
        stage.ask(index, "append first");
    }
    stage.apply(&[run(0, Run::Down)]);
    stage.apply(&[]);
    for index in 0..2 {
        stage.ask(index, "append second");
        does(&stage, index, "fsync file");
    }
    stage.apply(&[run(0, Run::Down), run(1, Run::Down), wrong(0, back)]);
    assert_eq!(shown(0), "file=first\n\0\0\0\0\0\0\0", "as it was when it was started for the second time");
    assert_eq!(shown(1), "file=first\nsecond\n", "not struck");
    stage.apply(&[]);
    let seen = work(&mut stage, 0);
    assert!(seen.edits == 1 && seen.edited.starts_with("file: block at 0 "), "{seen:?}");
    // Nothing has been written since.
    stage.apply(&[run(0, Run::Down), wrong(0, back)]);
    stage.apply(&[]);
    assert_eq!(work(&mut stage, 0).edits, 1);
}

fn refuse(call: Call, error: Error, times: Option<u32>) -> Wrong {
    Wrong::Refuse(Refusal { call, files: Pattern::ALL, error, times })
}

/// What one fault makes of each kind of call, while it is in force and afterwards.
fn refused() {
    let all = [Call::Sync, Call::Write, Call::Grow, Call::Open, Call::Create, Call::Rename, Call::Remove];
    let mut stage = stage(2, &all.map(|call| refuse(call, Error::Io, None)));
    let questions =
        ["fsync old", "poke old 2", "append 1", "open old", "put new 1", "rename old older", "remove old"];
    let cases: [(Call, &[&str]); 7] = [
        (Call::Sync, &["fsync old", "fsync ."]),
        (Call::Write, &["append 1", "poke old 2"]),
        (Call::Grow, &["append 1"]),
        (Call::Open, &["append 1", "open old", "poke old 2"]),
        (Call::Create, &["put new 1", "folder made"]),
        (Call::Rename, &["rename old older"]),
        (Call::Remove, &["cut old", "remove old"]),
    ];
    stage.ask(0, "append first");
    let (mut talk, mut other) = (stage.connect(0), stage.connect(1));
    for (call, refused) in cases {
        does(&stage, 0, "put old 1");
        does(&stage, 1, "put old 1");
        let before = work(&mut stage, 0).refused;
        for (error, number) in [(Error::Io, 5), (Error::NoSpace, 28), (Error::ReadOnly, 30)] {
            stage.apply(&[wrong(0, refuse(call, error, None))]);
            for question in refused {
                let answer = talk.ask(question);
                assert!(answer.contains(&format!("os error {number})")), "{call:?}: {question}: {answer}");
            }
            assert_eq!(talk.ask("read old"), "1", "reading is not refused");
        }
        assert!(work(&mut stage, 0).refused >= before + 3 * refused.len() as u64);
        stage.apply(&[]);
        for question in refused.iter().filter(|question| !question.starts_with("put")) {
            let answer = talk.ask(question);
            assert!(["done", "appended"].contains(&answer.as_str()), "{call:?}: {question}: {answer}");
            let _ = (talk.ask("rename older old"), talk.ask("put old 1"));
        }
        drop(fs::remove_dir(data(0).join("made")));
    }
    for question in questions {
        let _ = other.ask(question);
    }
    assert_eq!(work(&mut stage, 1).refused, 0, "another node is not refused anything");
    assert!(stage.sandbox.deaths().is_empty());
}

/// As tmpfs, with its inodes used up, answers the same calls.
fn no_inodes() {
    let full = refuse(Call::Create, Error::NoSpace, None);
    let mut stage = stage(2, &[full]);
    does(&stage, 0, "put old 1");
    stage.apply(&[wrong(0, full)]);
    for question in
        ["put new 1", "folder made", "symlink old other", "link old same", "pipe queue", "nameless"]
    {
        let answer = stage.ask(0, question);
        assert!(answer.contains("os error 28"), "{question}: {answer}");
    }
    for question in ["poke old 22", "rename old moved", "put moved 333", "fsync moved"] {
        does(&stage, 0, question);
    }
    assert_eq!(shown(0), "moved=333");
    does(&stage, 1, "put new 1");
    assert_eq!((work(&mut stage, 0).refused, work(&mut stage, 1).refused), (6, 0));
    stage.apply(&[]);
    for question in
        ["put new 1", "folder made", "symlink moved other", "link moved same", "pipe queue", "nameless"]
    {
        does(&stage, 0, question);
    }
    assert!(stage.sandbox.deaths().is_empty());
}

/// A node goes down in the middle of this; it has been started again when this returns. Whoever asked hears of that when it says
/// something next, since no power that fails says so.
fn dies_of(stage: &mut Stage, index: usize, question: &str) {
    let before = work(stage, index).strikes;
    let mut talk = stage.connect(index);
    talk.send(question);
    until("it goes down", || work(stage, index).strikes > before);
    talk.try_ask("echo still here").expect_err("nobody lives to answer");
}

/// Its next fsync is the one that it goes down by. It is up again when this returns.
fn goes_down(stage: &mut Stage, index: usize) {
    let before = work(stage, index).strikes;
    dies_of(stage, index, "fsync file");
    assert_eq!(work(stage, index).strikes, before + 1);
    assert_eq!(stage.ask(index, "echo again"), "again");
}

/// Each counts its own calls: the first is down and up again before the second has come to its call.
fn several_struck() {
    let strike = Wrong::Strike(Strike { call: Call::Sync, nth: 2, done: false, files: Pattern::ALL });
    let loses = Wrong::Lose(Loss::All);
    let mut stage = stage(3, &[loses, strike]);
    for index in 0..3 {
        does(&stage, index, "put file 1");
        does(&stage, index, "fsync file");
        does(&stage, index, "put file 2");
    }
    stage.apply(&[wrong(0, loses), wrong(0, strike), wrong(1, loses), wrong(1, strike)]);
    does(&stage, 0, "fsync file");
    goes_down(&mut stage, 0);
    assert_eq!(shown(0), "file=2", "its first fsync had been done");
    for index in 0..2 {
        does(&stage, index, "put file 3");
    }
    // The other has made none since the fault began.
    does(&stage, 1, "fsync file");
    does(&stage, 1, "put file 4");
    goes_down(&mut stage, 1);
    assert_eq!(shown(1), "file=3");
    assert_eq!(shown(0), "file=3", "nobody went down with it");
    for _ in 0..3 {
        does(&stage, 2, "fsync file");
    }
    assert_eq!([0, 1, 2].map(|index| work(&mut stage, index).strikes), [1, 1, 0]);
    stage.apply(&[]);
    assert!(stage.sandbox.deaths().is_empty());
}

/// Only some files, only so often, and after a restart as before.
fn refused_some() {
    let files = Pattern::of("log*").expect("short");
    let once = Wrong::Refuse(Refusal { call: Call::Sync, files, error: Error::Io, times: Some(1) });
    let mut stage = stage(1, &[once]);
    does(&stage, 0, "put log 1");
    does(&stage, 0, "put other 1");
    stage.apply(&[wrong(0, once)]);
    does(&stage, 0, "fsync other");
    assert!(stage.ask(0, "fsync log").contains("os error 5"));
    does(&stage, 0, "fsync log");
    stage.apply(&[]);
    let always = Wrong::Refuse(Refusal { call: Call::Sync, files, error: Error::Io, times: None });
    stage.apply(&[wrong(0, always), run(0, Run::Down)]);
    stage.apply(&[wrong(0, always)]);
    assert!(stage.ask(0, "fsync log").contains("os error 5"), "it stands after a restart");
    does(&stage, 0, "fsync other");
    stage.apply(&[]);
    does(&stage, 0, "fsync log");
    assert_eq!(work(&mut stage, 0).refused, 2);
}

/// What a failed fsync was to keep is gone, however often the next ones succeed.
fn given_up() {
    let (loses, fails) = (Wrong::Lose(Loss::All), refuse(Call::Sync, Error::Io, Some(1)));
    let mut stage = stage(1, &[loses, fails]);
    does(&stage, 0, "put file 1");
    does(&stage, 0, "fsync file");
    does(&stage, 0, "poke file 2");
    stage.apply(&[wrong(0, fails)]);
    assert!(stage.ask(0, "fsync file").contains("os error 5"));
    does(&stage, 0, "fsync file");
    assert_eq!(stage.ask(0, "read file"), "2");
    stage.apply(&[run(0, Run::Down), wrong(0, loses)]);
    assert_eq!(shown(0), "file=1");
}

fn lied_to() {
    let loses = Wrong::Lose(Loss::All);
    let mut stage = stage(1, &[loses, Wrong::Lie]);
    does(&stage, 0, "put file 1");
    does(&stage, 0, "fsync file");
    stage.apply(&[wrong(0, Wrong::Lie)]);
    does(&stage, 0, "put file 2");
    does(&stage, 0, "fsync file");
    assert_eq!(work(&mut stage, 0).lied, 1);
    assert_eq!(shown(0), "file=2", "nobody sees it as long as the power is there");
    stage.apply(&[wrong(0, Wrong::Lie), wrong(0, loses), run(0, Run::Down)]);
    assert_eq!(shown(0), "file=1");
    stage.apply(&[]);
    does(&stage, 0, "put file 3");
    does(&stage, 0, "fsync file");
    stage.apply(&[wrong(0, loses), run(0, Run::Down)]);
    assert_eq!(shown(0), "file=3", "it is honest again");
}

/// Others go on meanwhile, and whoever waits can be stopped, killed and let go.
fn slow() {
    let slow = Wrong::Slow(Duration::from_millis(300));
    let endless = Wrong::Slow(Duration::from_secs(3600));
    let mut stage = stage(1, &[slow, Wrong::Lose(Loss::All)]);
    does(&stage, 0, "put file 1");
    stage.apply(&[wrong(0, slow)]);
    let begun = Instant::now();
    let mut waits = stage.connect(0);
    waits.send("fsync file");
    assert_eq!(stage.ask(0, "echo meanwhile"), "meanwhile");
    assert_eq!(waits.hear(), "done");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    let seen = work(&mut stage, 0);
    assert!(seen.slowed == 1 && seen.held >= Duration::from_millis(300), "{seen:?}");
    let skew = Change::Clock { node: Node(0), skew: Skew::Jump(3_600_000_000_000) };
    for others in [vec![run(0, Run::Paused)], vec![skew], vec![]] {
        stage.apply(&[wrong(0, endless)]);
        let before = work(&mut stage, 0).slowed;
        let mut waits = stage.connect(0);
        waits.send("fsync file");
        until("it waits", || work(&mut stage, 0).slowed > before);
        // Whatever comes, who waits is let go first: he could not be stopped or traced.
        let mut all = others.clone();
        all.extend((!others.is_empty()).then_some(wrong(0, endless)));
        stage.apply(&all);
        stage.apply(&[]);
        assert_eq!(waits.hear(), "done", "{others:?}");
    }
    stage.apply(&[wrong(0, endless)]);
    let mut waits = stage.connect(0);
    waits.send("fsync file");
    stage.apply(&[wrong(0, endless), run(0, Run::Down)]);
    assert!(waits.try_hear().is_err());
    stage.apply(&[]);
    does(&stage, 0, "fsync file");
    assert!(stage.sandbox.deaths().is_empty());
}
