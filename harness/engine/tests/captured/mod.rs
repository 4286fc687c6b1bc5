//! A capture, read by a reader of its own, and what has to be in it of datagrams that meet one fault after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use schism_engine::link::{Cut, Delay, Duplicate, Loss, Share, Wrong};

/// A packet of a capture: whither, its bytes from the IP header on, and what is said of it.
pub struct Seen {
    pub to: String,
    pub bytes: Vec<u8>,
    pub comment: String,
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
pub fn read(file: &Path) -> Vec<Seen> {
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
pub fn of_length(packets: &[Seen], more: usize) -> impl Iterator<Item = &Seen> {
    packets.iter().filter(move |one| one.bytes.len() == 28 + 100 + more && one.bytes[9] == 17)
}

/// A fault that datagrams meet, ten at a time: its name, and how many of them say what, by a part of it.
pub type Met = (&'static str, Option<Wrong>, Vec<(&'static str, usize)>);

/// Each in turn. They are told apart by their length: each kind is longer by one than the one before.
pub fn wrongs() -> Vec<Met> {
    let ms = Duration::from_millis;
    vec![
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
    ]
}

/// Each datagram is there once, and says what it met.
pub fn each_says_what_it_met(packets: &[Seen], wrongs: &[Met]) {
    for (length, (name, _, wanted)) in wrongs.iter().enumerate() {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        for one in of_length(packets, length) {
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
}
