//! A capture of all links, read by a reader of its own: what was delivered is there as it was, and what was not says so.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use schism_engine::backend::sandbox::{Options, enter};
use schism_engine::backend::{Backend, Capture, Captured};
use schism_engine::cluster::{Change, Endpoint};
use schism_engine::link::{Cut, Delay, Duplicate, Loss, Share, Wrong};

use crate::stage::{LONG, Stage, folder, node, options, until};

pub const CASES: &[(&str, fn())] = &[
    ("a capture tells of every packet what became of it", told),
    ("a capture is never longer than asked", bounded),
];

/// A packet of a capture: whither, its bytes from the IP header on, and what is said of it.
struct Seen {
    to: String,
    bytes: Vec<u8>,
    comment: String,
}

fn half(bytes: &[u8], at: usize) -> usize {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes")).into()
}

fn word(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes")) as usize
}

/// An option's value as text.
fn option(mut options: &[u8], kind: usize) -> String {
    while options.len() >= 4 && half(options, 0) != 0 {
        let length = half(options, 2);
        if half(options, 0) == kind {
            return String::from_utf8_lossy(&options[4..4 + length]).into_owned();
        }
        options = &options[4 + length.next_multiple_of(4)..];
    }
    String::new()
}

/// The packets of a file of pcapng, in its own words (draft-ietf-opsawg-pcapng, sections 4.1 to 4.3).
fn read(file: &Path) -> Vec<Seen> {
    let bytes = fs::read(file).expect("there is a capture");
    let (mut rest, mut names, mut packets) = (&bytes[..], Vec::new(), Vec::new());
    assert_eq!((word(rest, 0), word(rest, 8)), (0x0a0d_0d0a, 0x1a2b_3c4d), "it begins a section");
    // It may be still being written.
    while rest.len() >= 8 && rest.len() >= word(rest, 4) {
        let (kind, length) = (word(rest, 0), word(rest, 4));
        let body = &rest[8..length - 4];
        assert_eq!(word(rest, length - 4), length, "a block's length is there twice");
        match kind {
            1 => {
                assert_eq!(half(body, 0), 228, "IPv4");
                names.push(option(&body[8..], 2));
            }
            6 => {
                let captured = word(body, 12);
                let options = &body[20 + captured.next_multiple_of(4)..];
                packets.push(Seen {
                    to: names[word(body, 0)].clone(),
                    bytes: body[20..20 + captured].to_vec(),
                    comment: option(options, 1),
                });
            }
            _ => {}
        }
        rest = &rest[length..];
    }
    packets
}

/// Those of a flood of datagrams of so many bytes more than the first.
fn of_length(packets: &[Seen], more: usize) -> impl Iterator<Item = &Seen> {
    packets.iter().filter(move |one| one.bytes.len() == 28 + 100 + more && one.bytes[9] == 17)
}

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
    let ms = Duration::from_millis;
    let wrongs = [
        ("well", None, vec![("", 10)]),
        ("dropped", Some(Wrong::Cut(Cut::Drop)), vec![("schism: lost, by partition (drop)", 10)]),
        ("refused", Some(Wrong::Cut(Cut::Refuse)), vec![("schism: lost, by partition (refuse)", 10)]),
        ("halved", Some(Wrong::Loss(Loss::Every(2))), vec![("", 5), ("schism: lost, by loss", 5)]),
        (
            "late",
            Some(Wrong::Delay(Delay { mean: ms(20), ..Delay::default() })),
            vec![("late, by delay", 10)],
        ),
        (
            "twice",
            Some(Wrong::Duplicate(Duplicate::ALL)),
            vec![("", 10), ("schism: a copy, by duplicate", 10)],
        ),
        ("spoilt", Some(Wrong::Corrupt(Share::ALL)), vec![("its checksum wrong, by corrupt", 10)]),
        ("gone", Some(Wrong::Cut(Cut::Swallow)), vec![("schism: swallowed", 10)]),
        ("again", None, vec![("", 10)]),
    ];
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
    for (length, (name, _, wanted)) in wrongs.iter().enumerate() {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        for one in of_length(&packets, length) {
            assert_eq!(one.to, "to n2", "{name}: it is seen once");
            let fits = |(comment, _): &&(&'static str, usize)| {
                if comment.is_empty() { one.comment.is_empty() } else { one.comment.contains(comment) }
            };
            let kind = wanted.iter().find(fits);
            let (kind, _) = kind.unwrap_or_else(|| panic!("{name}: {}", one.comment));
            *counted.entry(kind).or_default() += 1;
        }
        assert_eq!(counted, wanted.iter().copied().collect(), "{name}");
    }
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
