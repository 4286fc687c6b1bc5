//! Disks of nodes in Docker that are wrong, seen from outside: by what a daemon is told, and by what is in its volume afterwards.

use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use schism_engine::backend::docker::{self, Engine, Image, Options};
use schism_engine::backend::{Backend, BackendError};
use schism_engine::clock::Skew;
use schism_engine::cluster::{Change, Node, Run};
use schism_engine::disk::{Call, Edit, Error, Harm, Loss, Pattern, Refusal, Strike, Work, Wrong};
use schism_engine::strain::{Name, Strain};

use super::stage::{LONG, Stage, connect, until};
use super::{HOUR, SPOILER, controller};

const LOSES: Wrong = Wrong::Lose(Loss::All);
/// The very node that all of it is done to.
const NODE: Node = Node(0);

fn refuse(call: Call, error: Error, times: Option<u32>) -> Wrong {
    Wrong::Refuse(Refusal { call, files: Pattern::ALL, error, times })
}

fn wrong(wrong: Wrong) -> Change {
    Change::Disk { node: NODE, wrong }
}

fn run(run: Run) -> Change {
    Change::Run { node: NODE, run }
}

fn work(stage: &mut Stage, index: usize) -> Work {
    stage.cluster.observe().expect("observing").disks[index].clone()
}

/// Asks for something that is done.
fn does(stage: &Stage, index: usize, question: &str) {
    assert_eq!(stage.ask(index, question), "done", "{question}");
}

/// What is in a file of the first node, once that runs again.
fn holds(stage: &Stage, file: &str, wanted: &str) {
    assert_eq!(stage.ask(0, &format!("read {file}")), wanted, "{file}");
}

/// Kills it and starts it again, with this wrong meanwhile.
fn down_and_up(stage: &mut Stage, wrongs: &[Wrong]) -> Result<(), BackendError> {
    let changes: Vec<Change> = wrongs.iter().map(|one| wrong(*one)).chain([run(Run::Down)]).collect();
    stage.apply(&changes)?;
    stage.apply(&[])
}

/// Calls of each kind fail while that stands, are slow, or lie; another node's do not.
pub fn refused(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kinds: [(Call, Error, &[&str]); 8] = [
        (Call::Sync, Error::Io, &["fsync old", "fsync ."]),
        (Call::Write, Error::Io, &["append 1", "poke old 2"]),
        (Call::Grow, Error::NoSpace, &["append 1"]),
        (Call::Open, Error::ReadOnly, &["append 1", "open old", "poke old 2"]),
        (Call::Create, Error::NoSpace, &["put new 1", "folder made", "nameless"]),
        (Call::Rename, Error::ReadOnly, &["rename old older"]),
        (Call::Remove, Error::ReadOnly, &["cut old", "remove old"]),
        (Call::Sync, Error::NoSpace, &["fsync old"]),
    ];
    let slow = Wrong::Slow(Duration::from_millis(300));
    let refusals = kinds.iter().map(|(call, error, _)| refuse(*call, *error, None));
    let disks: Vec<Wrong> = refusals.chain([slow, Wrong::Lie]).collect();
    let mut stage = Stage::new(engine, folder.path(), |options| Options { disks, ..options })?;
    assert!(stage.ask(0, "ring").contains("not implemented"), "no calls that nobody hears of");
    let mut talk = stage.connect(0);
    for (call, error, questions) in kinds {
        does(&stage, 0, "put old 1");
        does(&stage, 1, "put old 1");
        let before = work(&mut stage, 0).refused;
        stage.apply(&[wrong(refuse(call, error, None))])?;
        let number = match error {
            Error::Io => 5,
            Error::NoSpace => 28,
            Error::ReadOnly => 30,
        };
        for question in questions {
            let answer = talk.ask(question);
            assert!(answer.contains(&format!("os error {number})")), "{call:?}: {question}: {answer}");
        }
        assert_eq!(talk.ask("read old"), "1", "reading is not refused");
        assert!(work(&mut stage, 0).refused >= before + questions.len() as u64);
        for question in ["fsync old", "poke old 2", "put other 1", "rename other old"] {
            does(&stage, 1, question);
        }
        stage.apply(&[])?;
        for question in ["put old 1", "poke old 1", "fsync old", "put new 1", "rename new newer", "cut newer"]
        {
            does(&stage, 0, question);
        }
    }
    stage.apply(&[wrong(slow)])?;
    let begun = Instant::now();
    does(&stage, 0, "fsync old");
    assert!(begun.elapsed() >= Duration::from_millis(300));
    stage.apply(&[wrong(Wrong::Lie)])?;
    does(&stage, 0, "fsync old");
    let seen = work(&mut stage, 0);
    assert!(seen.slowed == 1 && seen.held >= Duration::from_millis(300) && seen.lied == 1, "{seen:?}");
    let other = work(&mut stage, 1);
    assert_eq!((other.refused, other.slowed, other.lied), (0, 0, 0), "another node is not");
    assert_eq!(stage.cluster.deaths(), [], "nobody died by itself");
    stage.cluster.stop()
}

/// A block is what it was when the daemon was started, whatever was fsynced since.
pub fn rolled_back(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = Pattern::of("kept").expect("short");
    let back = Wrong::Edit(Edit { harm: Harm::RollBack, files, seed: 1 });
    let disks = vec![back];
    let mut stage = Stage::new(engine, folder.path(), |options| Options { disks, ..options })?;
    for question in ["put kept first", "put other first"] {
        does(&stage, 0, question);
    }
    down_and_up(&mut stage, &[])?;
    for question in ["poke kept last", "fsync kept", "poke other last"] {
        does(&stage, 0, question);
    }
    down_and_up(&mut stage, &[back])?;
    holds(&stage, "kept", "first");
    holds(&stage, "other", "lastt");
    assert_eq!(work(&mut stage, 0).edits, 1);
    stage.cluster.stop()
}

/// What was not fsynced goes with the power, and nothing else does; again after a restart, and by an fsync that lied.
pub fn power_fails(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let disks = vec![LOSES, Wrong::Lie];
    let mut stage = Stage::new(engine, folder.path(), |options| Options { disks, ..options })?;
    assert!(stage.cluster.notes().iter().any(|note| note.contains("go on through a reboot")));
    for question in ["put kept 1", "fsync kept", "put unnamed 2", "rename kept moved", "through log ab"] {
        does(&stage, 0, question);
    }
    does(&stage, 1, "put other 3");
    down_and_up(&mut stage, &[])?;
    assert_eq!(stage.ask(0, "list ."), "log,moved,unnamed", "a kill alone loses nothing");
    down_and_up(&mut stage, &[LOSES])?;
    assert_eq!(stage.ask(0, "list ."), "kept,log");
    holds(&stage, "log", "ab");
    let seen = work(&mut stage, 0);
    assert_eq!((seen.losses, seen.lost_bytes, seen.lost_names), (1, 1, 3), "{seen:?}");
    // It is watched again, from what was left to it.
    for question in ["rename kept moved", "fsync .", "put moved 22"] {
        does(&stage, 0, question);
    }
    down_and_up(&mut stage, &[LOSES])?;
    holds(&stage, "moved", "1");
    stage.apply(&[wrong(Wrong::Lie)])?;
    for question in ["put moved 333", "fsync moved"] {
        does(&stage, 0, question);
    }
    assert_eq!(work(&mut stage, 0).lied, 1);
    down_and_up(&mut stage, &[Wrong::Lie, LOSES])?;
    holds(&stage, "moved", "1");
    assert_eq!(stage.ask(1, "read other"), "3", "another node's are not touched");
    assert_eq!(work(&mut stage, 1), Work::default());
    assert_eq!(stage.cluster.deaths(), [], "nobody died by itself");
    stage.cluster.stop()
}

/// It goes down in the middle of its second fsync, and is up again by itself.
pub fn struck(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let strike = |done| Wrong::Strike(Strike { call: Call::Sync, nth: 2, done, files: Pattern::ALL });
    let disks = vec![LOSES, strike(false)];
    let mut stage = Stage::new(engine, folder.path(), |options| Options { disks, ..options })?;
    for (done, left) in [(false, "1"), (true, "2")] {
        does(&stage, 0, "put file 1");
        let before = (work(&mut stage, 0), stage.cluster.observe()?.daemons[0].expect("it runs").pid);
        stage.apply(&[wrong(LOSES), wrong(strike(done))])?;
        for question in ["fsync file", "put file 2"] {
            does(&stage, 0, question);
        }
        stage.connect(0).try_ask("fsync file").expect_err("nobody lives to answer");
        stage.cluster.tend()?;
        holds(&stage, "file", left);
        let after = (work(&mut stage, 0), stage.cluster.observe()?.daemons[0].expect("it runs").pid);
        assert_eq!((after.0.strikes, after.0.losses), (before.0.strikes + 1, before.0.losses + 1));
        assert_ne!(after.1, before.1);
        // No more often than once.
        for _ in 0..3 {
            does(&stage, 0, "fsync file");
        }
        stage.apply(&[])?;
    }
    assert_eq!(work(&mut stage, 1).strikes, 0);
    assert_eq!(stage.cluster.deaths(), [], "nobody died by itself");
    stage.cluster.stop()
}

/// Disks are watched beside everything else, and whoever waits for a slow one can be stopped, held and killed.
pub fn beside_others(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let endless = Wrong::Slow(HOUR);
    let disks = vec![LOSES, endless];
    let able = |options| Options { disks, traces: true, ..options };
    let mut stage = Stage::new(engine, folder.path(), able)?;
    does(&stage, 0, "put file 1");
    does(&stage, 0, "fsync file");
    let skew = Change::Clock { node: NODE, skew: Skew::Jump(HOUR.as_nanos() as i64) };
    let hold = Change::Strain { node: NODE, strain: Strain::Thread(Name::of("spinner")) };
    let starve = Change::Starve { node: NODE, left: schism_engine::link::Share::percent(50) };
    stage.ask(0, "spin spinner");
    for other in [run(Run::Paused), skew, hold, starve] {
        stage.apply(&[wrong(endless)])?;
        let before = work(&mut stage, 0).slowed;
        let mut waits = stage.connect(0);
        waits.send("fsync file");
        until("it waits", || work(&mut stage, 0).slowed > before);
        stage.apply(&[other, wrong(endless)])?;
        let stopped = stage.cluster.observe()?.daemons[0].as_ref().expect("it is there").stopped;
        assert_eq!(stopped, other == run(Run::Paused), "{other:?}");
        stage.apply(&[])?;
        assert_eq!(waits.try_hear().expect("it is let go"), "done", "{other:?}");
    }
    stage.apply(&[wrong(endless)])?;
    let mut waits = stage.connect(0);
    waits.send("fsync file");
    down_and_up(&mut stage, &[endless])?;
    assert!(waits.try_hear().is_err());
    does(&stage, 0, "fsync file");
    assert_eq!(stage.cluster.deaths(), [], "nobody died by itself");
    stage.cluster.stop()
}

/// The same of an image that has nothing of ours in it and whose files are another user's: our own program comes from a volume.
pub fn of_others(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let foreign = Foreign::make(engine)?;
    let disks = vec![LOSES, refuse(Call::Sync, Error::Io, None)];
    let able = |options| Options { disks, image: foreign.0.clone(), ..options };
    let mut stage = Stage::new(engine, folder.path(), able)?;
    for question in ["put kept 1", "fsync kept", "put lost 2"] {
        does(&stage, 0, question);
    }
    stage.apply(&[wrong(refuse(Call::Sync, Error::Io, None))])?;
    assert!(stage.ask(0, "fsync lost").contains("os error 5"));
    stage.apply(&[])?;
    does(&stage, 0, "poke kept 3");
    down_and_up(&mut stage, &[LOSES])?;
    assert_eq!(stage.ask(0, "list ."), "kept");
    holds(&stage, "kept", "1");
    // They are its own again.
    does(&stage, 0, "poke kept 4");
    assert_eq!(stage.cluster.deaths(), [], "nobody died by itself");
    stage.cluster.stop()
}

/// An image of another user's, whose volume is that user's, too. It is removed when this is dropped.
struct Foreign(Image);

impl Foreign {
    fn make(engine: &Engine) -> Result<Self, BackendError> {
        let own = docker::own(engine)?;
        let context = tempfile::tempdir().expect("a temporary folder");
        std::fs::create_dir(context.path().join("data")).expect("a folder");
        let text =
            format!("FROM {}\nCOPY --chown=65534:65534 data /schism-data\nUSER 65534:65534\n", own.reference);
        std::fs::write(context.path().join("Dockerfile"), text).expect("a file");
        let mut build = Command::new("docker");
        build.args(["build", "--quiet"]).arg(context.path()).env("DOCKER_BUILDKIT", "0");
        let output = build.output().expect("the engine's client is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let (choice, reference, digest) = ("foreign".into(), id.clone(), id.clone());
        Ok(Foreign(Image { choice, reference, digest, id, entrypoint: own.entrypoint, runs_as_root: false }))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // One that stays is in nobody's way.
        let _ = Command::new("docker").args(["rmi", &self.0.id]).output();
    }
}

/// A controller: the first node's disk is slow beyond use, the second's refuses, the third is to go down by its next fsync; says where
/// they are, and waits.
pub fn spoil() -> ! {
    let engine = Arc::new(Engine::connect().expect("there is an engine"));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let strike = Wrong::Strike(Strike { call: Call::Sync, nth: 1, done: false, files: Pattern::ALL });
    let each = [Wrong::Slow(HOUR), refuse(Call::Sync, Error::Io, None), strike];
    let disks = each.into_iter().chain([LOSES]).collect();
    let able = |options| Options { nodes: each.len(), disks, ..options };
    let mut stage = Stage::new(&engine, folder.path(), able).expect("a cluster");
    let changes: Vec<Change> =
        each.into_iter().enumerate().map(|(at, wrong)| Change::Disk { node: Node(at), wrong }).collect();
    stage.apply(&changes).expect("faults");
    println!("{}", (0..each.len()).map(|index| stage.at(index).to_string() + " ").collect::<String>());
    loop {
        std::thread::park();
    }
}

/// Who waits goes on, nobody is refused or killed any more, and calls are made as long as nodes are there.
pub fn end_with_their_controller(engine: &Engine) -> Result<(), BackendError> {
    let (mut controller, nodes) = controller(&[SPOILER], 3);
    let [slow, refusing, struck] = [0, 1, 2].map(|at: usize| nodes[at]);
    for node in &nodes {
        assert_eq!(connect(*node).ask("put file 1"), "done");
    }
    let mut waits = connect(slow);
    waits.send("fsync file");
    waits.patience(Duration::from_millis(500));
    let held = waits.try_hear().expect_err("it waits").kind();
    assert_eq!(held, std::io::ErrorKind::WouldBlock);
    assert!(connect(refusing).ask("fsync file").contains("os error 5"));
    controller.kill().expect("killing");
    controller.wait().expect("waiting");
    waits.patience(LONG);
    assert_eq!(waits.try_hear().expect("it is let go"), "done");
    let mut talk = connect(refusing);
    until("nobody is refused", || talk.ask("fsync file") == "done");
    // The controller's end came to all of them at once; this one is asked last.
    let mut talk = connect(struck);
    for _ in 0..3 {
        assert_eq!(talk.ask("fsync file"), "done");
    }
    docker::clean(engine).map(drop)
}
