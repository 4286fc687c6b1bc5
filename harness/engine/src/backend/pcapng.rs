//! A capture as a file: blocks of pcapng (draft-ietf-opsawg-pcapng), which Wireshark, tshark and tcpdump read.
//!
//! A section, an interface for each place where packets are seen, a block for each packet, with a comment where there is
//! something to say of it, and at the end how many are missing. Times are in nanoseconds since 1970, packets begin with their IP
//! header. No more is written than what is asked for: what does not fit is counted.

use std::io::{self, Write};
use std::time::Duration;

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const STATISTICS: u32 = 5;
const PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// Packets are IPv4 (`LINKTYPE_IPV4`). tcpdump with libpcap 1.10 refuses a second interface of the type for either version.
const IPV4: u16 = 228;
const END: u16 = 0;
const COMMENT: u16 = 1;
const NAME: u16 = 2;
const RESOLUTION: u16 = 9;
const PROGRAM: u16 = 4;
const RECEIVED: u16 = 4;
const MISSED: u16 = 5;
/// Times in 10⁻⁹ s.
const NANOSECONDS: u8 = 9;
/// What is kept free for the end: a statistic of each interface.
const LAST_WORDS: u64 = 256;

/// A capture that is being written.
pub(super) struct Writer<W: Write> {
    to: W,
    left: u64,
    interfaces: Vec<Counted>,
}

/// How many packets of an interface are in the file, and how many are not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) written: u64,
    pub(super) missed: u64,
}

/// A packet that was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// Where: the number of the interface.
    pub(super) interface: usize,
    /// Since 1970.
    pub(super) time: Duration,
    pub(super) bytes: &'a [u8],
    /// What there is to say of it; nothing if empty.
    pub(super) comment: &'a str,
}

impl<W: Write> Writer<W> {
    /// Begins a file of at most so many bytes, which has interfaces of these names.
    pub(super) fn begin(mut to: W, program: &str, names: &[String], most: u64) -> io::Result<Self> {
        let mut head = block(SECTION, |body| {
            // Version 1.0; how long the section is, nobody knows yet.
            body.extend(BYTE_ORDER.to_le_bytes());
            body.extend([1, 0, 0, 0]);
            body.extend(u64::MAX.to_le_bytes());
            option(body, PROGRAM, program.as_bytes());
            option(body, END, &[]);
        });
        for name in names {
            head.extend(block(INTERFACE, |body| {
                body.extend(IPV4.to_le_bytes());
                // Packets are whole, however long.
                body.extend([0; 6]);
                option(body, NAME, name.as_bytes());
                option(body, RESOLUTION, &[NANOSECONDS]);
                option(body, END, &[]);
            }));
        }
        to.write_all(&head)?;
        let kept = head.len() as u64 + LAST_WORDS * names.len() as u64;
        Ok(Writer { to, left: most.saturating_sub(kept), interfaces: vec![Counted::default(); names.len()] })
    }

    /// Writes a packet down, or counts it if there is no room.
    pub(super) fn packet(&mut self, seen: Seen<'_>) -> io::Result<()> {
        let Some(counted) = self.interfaces.get_mut(seen.interface) else { return Ok(()) };
        let bytes = block(PACKET, |body| {
            body.extend((seen.interface as u32).to_le_bytes());
            body.extend(stamp(seen.time));
            let length = (seen.bytes.len() as u32).to_le_bytes();
            body.extend([length, length].concat());
            padded(body, seen.bytes);
            if !seen.comment.is_empty() {
                option(body, COMMENT, seen.comment.as_bytes());
                option(body, END, &[]);
            }
        });
        match self.left.checked_sub(bytes.len() as u64) {
            Some(left) => {
                self.to.write_all(&bytes)?;
                self.left = left;
                counted.written += 1;
            }
            None => {
                // A shorter one that would still fit would make a gap that nobody sees.
                self.left = 0;
                counted.missed += 1;
            }
        }
        Ok(())
    }

    /// What was written goes to whoever reads.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }

    /// Ends the file; so many more packets were never seen. Says how many there are and how many are missing.
    pub(super) fn end(mut self, now: Duration, unseen: u64) -> io::Result<Counted> {
        let mut all = Counted { written: 0, missed: unseen };
        for (number, counted) in self.interfaces.iter().enumerate() {
            all.written += counted.written;
            all.missed += counted.missed;
            self.to.write_all(&block(STATISTICS, |body| {
                body.extend((number as u32).to_le_bytes());
                body.extend(stamp(now));
                option(body, RECEIVED, &(counted.written + counted.missed).to_le_bytes());
                option(body, MISSED, &counted.missed.to_le_bytes());
                option(body, END, &[]);
            }))?;
        }
        self.to.flush()?;
        Ok(all)
    }
}

/// A block: its kind and length, what is in it, and its length again.
fn block(kind: u32, fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = kind.to_le_bytes().to_vec();
    bytes.extend([0; 4]);
    fill(&mut bytes);
    let length = (bytes.len() as u32 + 4).to_le_bytes();
    bytes[4..8].copy_from_slice(&length);
    bytes.extend(length);
    bytes
}

fn option(body: &mut Vec<u8>, kind: u16, value: &[u8]) {
    body.extend(kind.to_le_bytes());
    body.extend((value.len() as u16).to_le_bytes());
    padded(body, value);
}

fn padded(body: &mut Vec<u8>, value: &[u8]) {
    body.extend(value);
    body.resize(body.len().next_multiple_of(4), 0);
}

/// The upper half first.
fn stamp(time: Duration) -> [u8; 8] {
    let nanoseconds = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let halves = [(nanoseconds >> 32) as u32, nanoseconds as u32].map(u32::to_le_bytes);
    halves.concat().try_into().expect("two halves of four")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kinds and lengths of the blocks, whose lengths must agree at both ends.
    fn blocks(mut bytes: &[u8]) -> Vec<(u32, usize)> {
        let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut all = Vec::new();
        while !bytes.is_empty() {
            let length = word(bytes, 4) as usize;
            assert_eq!((word(bytes, length - 4) as usize, length % 4), (length, 0));
            all.push((word(bytes, 0), length));
            bytes = &bytes[length..];
        }
        all
    }

    fn written(most: u64, packets: usize) -> (Vec<u8>, Counted) {
        let mut file = Vec::new();
        let names = ["to clients".to_owned(), "to n1".to_owned()];
        let mut writer = Writer::begin(&mut file, "schism", &names, most).unwrap();
        for at in 0..packets {
            let (time, bytes) = (Duration::new(1 << 32, at as u32), &[7; 21][..]);
            writer.packet(Seen { interface: 1, time, bytes, comment: ["", "lost"][at % 2] }).unwrap();
        }
        let counted = writer.end(Duration::ZERO, 3).unwrap();
        (file, counted)
    }

    #[test]
    fn blocks_are_whole_and_in_their_order() {
        let (file, counted) = written(1 << 20, 2);
        let kinds: Vec<u32> = blocks(&file).iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, INTERFACE, PACKET, PACKET, STATISTICS, STATISTICS]);
        assert_eq!(counted, Counted { written: 2, missed: 3 });
        // 56 bytes, as 21 of a packet become 24; the second says something, too.
        assert_eq!(blocks(&file)[3..5], [(PACKET, 56), (PACKET, 68)]);
    }

    #[test]
    fn a_file_is_never_longer_than_asked_and_has_no_gap_but_its_end() {
        let most = 2000;
        let (file, counted) = written(most, 1000);
        assert!(file.len() as u64 <= most && file.len() as u64 > most / 2, "{}", file.len());
        assert_eq!(counted.written + counted.missed, 1003);
        let packets = blocks(&file).iter().filter(|(kind, _)| *kind == PACKET).count();
        assert_eq!(packets as u64, counted.written);
    }
}
