//! A capture of all links: what was delivered is there as it was, and what was not says so.

use std::fs;
use std::sync::{Arc, OnceLock};

use schism_engine::backend::sandbox::{Options, enter};
use schism_engine::backend::{Backend, Capture, Captured};
use schism_engine::cluster::{Change, Endpoint};
use schism_engine::link::{Cut, Wrong};

use crate::captured::{Seen, each_says_what_it_met, of_length, read, wrongs};
use crate::stage::{LONG, Stage, folder, node, options, until};

pub const CASES: &[(&str, fn())] = &[
    ("a capture tells of every packet what became of it", told),
    ("a capture is never longer than asked", bounded),
];

fn capturing(bytes: u64) -> (Stage, Capture) {
    let file = folder().join("capture.pcapng");
    let capture = Capture { file, bytes, told: Arc::new(OnceLock::new()) };
    let options = Options { capture: Some(capture.clone()), ..options(2, &folder()) };
    (Stage::on(&enter().expect("entering"), &options), capture)
}

fn there(wrong: Wrong) -> Change {
    Change::Link { from: node(0), to: node(1), wrong }
}

fn told() {
    let (mut stage, capture) = capturing(16 << 20);
    let second = stage.address(1);
    let wrongs = wrongs();
    for (length, (name, wrong, wanted)) in wrongs.iter().enumerate() {
        let changes: Vec<Change> = wrong.iter().copied().map(there).collect();
        stage.apply(&changes);
        // Each kind by its own length, as a bit of what it says may be wrong.
        assert_eq!(stage.ask(0, &format!("flood {second} 10 {}", 100 + length)), "sent", "{name}");
        if let Some(Wrong::Cut(Cut::Drop | Cut::Refuse)) = wrong {
            let pair = (node(0), node(1));
            let dropped = |stage: &mut Stage| stage.sandbox.observe().expect("observing").dropped[&pair];
            until("the cut itself has stopped and counted them", || dropped(&mut stage) == 10);
        }
        // Where processors are busy, packets that were sent are still on their way. Others make it write down what it has.
        let all: usize = wanted.iter().map(|(_, count)| count).sum();
        until("all are written down", || {
            stage.ask(0, "echo well");
            of_length(&read(&capture.file), length).count() >= all
        });
    }
    let mut talk = stage.connect(0);
    stage.apply(&[Change::Link { from: Endpoint::Clients, to: node(0), wrong: Wrong::Cut(Cut::Swallow) }]);
    talk.send("echo swallowed");
    until("it is acknowledged", || talk.unacknowledged() == 0);
    stage.apply(&[]);
    assert!(stage.reaches(0, "n2", LONG));
    drop(stage);

    let packets = read(&capture.file);
    let captured = capture.told.get().expect("it has ended");
    assert_eq!(*captured, Captured { packets: packets.len() as u64, missed: 0, failed: None });
    each_says_what_it_met(&packets, &wrongs);
    let swallowed = |one: &&Seen| one.comment == "schism: swallowed, and acknowledged to its sender";
    assert!(
        packets
            .iter()
            .filter(swallowed)
            .any(|one| one.to == "to n1" && one.bytes.ends_with(b"echo swallowed\n"))
    );
    for (to, what) in [
        ("to clients", "an acknowledgement of what was swallowed"),
        ("to clients", "reset, as"),
        ("to n1", "reset, as"),
    ] {
        assert!(packets.iter().any(|one| one.to == to && one.comment.contains(what)), "{to}: {what}");
    }
    let greeted =
        |one: &Seen| one.to == "to n2" && one.comment.is_empty() && one.bytes.ends_with(b"echo hello\n");
    assert!(packets.iter().any(greeted), "connections between nodes are there, too");
}

fn bounded() {
    let most = 64 << 10;
    let (stage, capture) = capturing(most);
    let second = stage.address(1);
    assert_eq!(stage.ask(0, &format!("flood {second} 200 1000")), "sent");
    drop(stage);
    let length = fs::metadata(&capture.file).expect("there is a capture").len();
    let captured = capture.told.get().expect("it has ended");
    assert!(length <= most && length > most / 2, "{length}");
    assert_eq!(read(&capture.file).len() as u64, captured.packets);
    assert!(captured.missed > 100 && captured.failed.is_none(), "{captured:?}");
}
