//! A capture of all links of a cluster in Docker, put together out of what its sidecars tell: the same is in it as in the sandbox's.

use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use schism_engine::backend::docker::{Engine, Options, Way};
use schism_engine::backend::{Backend, BackendError, Capture, Captured};
use schism_engine::cluster::{Change, Endpoint};
use schism_engine::link::{Cut, Wrong};

use super::captured::{Seen, each_says_what_it_met, of_length, read, wrongs};
use super::stage::{Stage, node, until};

fn capturing(engine: &Arc<Engine>, folder: &Path, bytes: u64) -> Result<(Stage, Capture), BackendError> {
    let capture = Capture { file: folder.join("capture.pcapng"), bytes, told: Arc::new(OnceLock::new()) };
    let able = |options| Options { capture: Some(capture.clone()), raw_sockets: true, ..options };
    Ok((Stage::new(engine, folder, able)?, capture))
}

/// What the kernel does not fill in on the way.
fn sent(packet: &Seen) -> Vec<u8> {
    let filled_in = [4, 5, 10, 11];
    let bytes = packet.bytes.iter().enumerate();
    bytes.filter(|(at, _)| !filled_in.contains(at)).map(|(_, byte)| *byte).collect()
}

/// Of every packet what became of it, and of those that we have forged that, though they are seen where they arrive, too.
pub fn told(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (mut stage, capture) = capturing(engine, folder.path(), 16 << 20)?;
    let wrongs = wrongs();
    let pair = (node(0), node(1));
    let there = |wrong| Change::Link { from: pair.0, to: pair.1, wrong };
    for (length, (name, wrong, wanted)) in wrongs.iter().enumerate() {
        let changes: Vec<Change> = wrong.iter().copied().map(there).collect();
        stage.apply(&changes)?;
        assert_eq!(stage.ask(0, &format!("flood n2 10 {}", 100 + length)), "sent", "{name}");
        if let Some(Wrong::Cut(Cut::Drop | Cut::Refuse)) = wrong {
            let dropped = |stage: &mut Stage| stage.cluster.observe().expect("observing").dropped[&pair];
            until("the cut itself has stopped and counted them", || dropped(&mut stage) == 10);
        }
        let all: usize = wanted.iter().map(|(_, count)| count).sum();
        until("all are written down", || {
            // Others make it write down what it has.
            stage.ask(0, "echo well");
            of_length(&read(&capture.file), length).count() >= all
        });
    }
    // From clients to a node, and from one node to another.
    let swallows = |from, to| Change::Link { from, to, wrong: Wrong::Cut(Cut::Swallow) };
    let mut talk = stage.connect(0);
    stage.apply(&[swallows(Endpoint::Clients, node(0))])?;
    talk.send("echo swallowed");
    until("it is acknowledged", || talk.unacknowledged() == 0);
    stage.apply(&[swallows(pair.0, pair.1)])?;
    assert!(stage.ask(0, "visit n2 300").starts_with("error"), "nothing is delivered");
    until("it is acknowledged", || {
        let traffic = stage.cluster.observe().expect("observing").traffic;
        traffic.get(&pair).is_some_and(|traffic| traffic.acknowledged > 0)
    });
    stage.apply(&[])?;
    assert_eq!(stage.ask(0, "visit n2 20000"), "hello");
    stage.cluster.stop()?;

    let packets = read(&capture.file);
    let captured = capture.told.get().expect("it has ended");
    assert_eq!(*captured, Captured { packets: packets.len() as u64, missed: 0, failed: None });
    each_says_what_it_met(&packets, &wrongs);
    let swallowed = |to: &str, end: &[u8]| {
        let acknowledged = "schism: swallowed, and acknowledged to its sender";
        let mut all = packets.iter().filter(|one| one.to == to && one.comment == acknowledged);
        assert!(all.any(|one| one.bytes.ends_with(end)), "{to}");
    };
    swallowed("to n1", b"echo swallowed\n");
    swallowed("to n2", b"echo hello\n");
    let answer = "an acknowledgement of what was swallowed";
    for (to, what) in [
        ("to clients", answer),
        ("to n1", answer),
        ("to clients", "reset, as"),
        ("to n1", "reset, as"),
        ("to n2", "reset, as"),
    ] {
        let of_us = |one: &&Seen| one.to == to && one.comment.contains(what);
        let forged = packets.iter().find(of_us).unwrap_or_else(|| panic!("{to}: {what}"));
        let twins = packets.iter().filter(|one| one.to == to && sent(one) == sent(forged)).count();
        assert_eq!(twins, 1, "{to}: {what}: it is there once");
    }
    let greeted =
        |one: &Seen| one.to == "to n2" && one.comment.is_empty() && one.bytes.ends_with(b"echo hello\n");
    assert!(packets.iter().any(greeted), "connections between nodes are there, too");
    Ok(())
}

/// It is never longer than asked, and where it cannot be whole it is refused.
pub fn bounded(engine: &Arc<Engine>) -> Result<(), BackendError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let most = 64 << 10;
    let (mut stage, capture) = capturing(engine, folder.path(), most)?;
    assert_eq!(stage.ask(0, "flood n2 200 1000"), "sent");
    stage.cluster.stop()?;
    let length = fs::metadata(&capture.file).expect("there is a capture").len();
    let captured = capture.told.get().expect("it has ended");
    assert!(length <= most && length > most / 2, "{length}");
    assert_eq!(read(&capture.file).len() as u64, captured.packets);
    assert!(captured.missed > 100 && captured.failed.is_none(), "{captured:?}");

    let again = Capture { file: folder.path().join("other"), ..capture };
    let by_iptables = |options| Options { capture: Some(again.clone()), cuts: Way::IptablesNft, ..options };
    let refused = super::made(engine, folder.path(), by_iptables).err().expect("cuts would not be in it");
    assert!(refused.to_string().contains("what iptables cuts"), "{refused}");
    assert!(!again.file.exists());
    Ok(())
}
