//! A capture of all links of a cluster in Docker: what its sidecars tell of packets, in the order of time, in one file here.
//!
//! Each packet is told of once, by the node that it is for, or by the one that it comes from if it is for clients. Only what a
//! sidecar has forged is told of twice if it is for another node: by who made it, and by who saw it arrive and does not know
//! that; both become one. What is on its way when the controller is killed is not in the file.

use std::collections::BTreeMap;
use std::time::Duration;

use super::protocol::Packets;
use crate::backend::book::{Book, Noted};
use crate::backend::{BackendError, Capture};
use crate::cluster::Endpoint;

/// How long a packet waits for others that were seen before it and are told of after it.
const PATIENCE: Duration = Duration::from_secs(1);
/// What the kernel fills in on the way: of an IP header the number and the checksum.
const FILLED_IN: [usize; 4] = [4, 5, 10, 11];

/// Puts together what sidecars tell.
#[derive(Default)]
pub(super) struct Collector {
    book: Option<Book>,
    /// By when they were seen, and in which order they came.
    waiting: BTreeMap<(Duration, u64), Noted>,
    came: u64,
    missed: u64,
}

impl Collector {
    /// Begins the file. What came before waits for it.
    pub(super) fn begin(&mut self, asked: &Capture, nodes: usize) -> Result<(), BackendError> {
        self.book = Some(Book::begin(asked, nodes)?);
        Ok(())
    }

    /// A sidecar has told of these.
    pub(super) fn take(&mut self, packets: Packets) {
        self.missed += packets.missed;
        for packet in packets.noted {
            self.came += 1;
            self.waiting.insert((packet.time, self.came), packet);
        }
        if let Some(((newest, _), _)) = self.waiting.last_key_value() {
            let due = newest.saturating_sub(PATIENCE);
            self.write(|time| time < due);
        }
    }

    /// All have told everything.
    pub(super) fn end(&mut self) {
        self.write(|_| true);
        if let Some(book) = self.book.take() {
            book.end(self.missed);
        }
    }

    /// Writes down those of such a time, the first of all first.
    fn write(&mut self, is_due: impl Fn(Duration) -> bool) {
        let Some(mut book) = self.book.take() else { return };
        while let Some(first) = self.waiting.first_entry().filter(|first| is_due(first.key().0)) {
            let packet = first.remove();
            match self.arrival(&packet) {
                Some(arrival) if arrival.comment.is_empty() => arrival.comment = packet.comment,
                Some(arrival) => arrival.comment = format!("{}; {}", packet.comment, arrival.comment),
                None => book.write(packet.to, packet.time, &packet.bytes, &packet.comment),
            }
        }
        book.flush();
        self.book = Some(book);
    }

    /// The same packet as it was seen by the node that it is for, if we have made it.
    fn arrival(&mut self, forged: &Noted) -> Option<&mut Noted> {
        if !forged.forged || forged.to == Endpoint::Clients {
            return None;
        }
        let same = |one: &Noted| !one.forged && one.to == forged.to && same(&one.bytes, &forged.bytes);
        self.waiting.values_mut().find(|one| same(one))
    }
}

/// Whether these are the same packet, on its way and before.
fn same(one: &[u8], other: &[u8]) -> bool {
    let differ = |(at, (one, other)): (usize, (&u8, &u8))| one != other && !FILLED_IN.contains(&at);
    one.len() == other.len() && !one.iter().zip(other).enumerate().any(differ)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::Node;

    fn noted(ms: u64, to: Endpoint, byte: u8, comment: &str) -> Noted {
        let mut bytes = vec![0; 40];
        bytes[30] = byte;
        Noted { time: Duration::from_millis(ms), to, bytes, comment: comment.into(), forged: false }
    }

    /// What is in a file of these packets, told of one by one: the byte that tells each, and its comment's last letter.
    fn written(packets: &[Noted]) -> (Vec<(u8, u8)>, u64) {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, told) = (folder.path().join("capture"), Default::default());
        let asked = Capture { file: file.clone(), bytes: 1 << 20, told };
        let mut collector = Collector::default();
        collector.begin(&asked, 2).expect("a file");
        for packet in packets {
            collector.take(Packets { noted: vec![packet.clone()], missed: 1 });
        }
        collector.end();
        let bytes = std::fs::read(file).expect("there is one");
        let mut found = Vec::new();
        let mut rest = &bytes[..];
        let word = |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        while !rest.is_empty() {
            let length = word(rest, 4) as usize;
            if word(rest, 0) == 6 {
                let comment = rest.get(72..length - 8).and_then(|rest| rest.iter().rfind(|one| **one > b' '));
                found.push((rest[28 + 30], comment.copied().unwrap_or_default()));
            }
            rest = &rest[length..];
        }
        let captured = asked.told.get().expect("it is told");
        assert_eq!((captured.packets, captured.failed.as_ref()), (found.len() as u64, None));
        (found, captured.missed)
    }

    const FIRST: Endpoint = Endpoint::Node(Node(0));

    #[test]
    fn packets_are_in_the_order_of_time_however_they_came() {
        let came = [3000, 2500, 2700, 4100, 3500].map(|ms| noted(ms, FIRST, (ms / 100) as u8, "x"));
        let (found, missed) = written(&came);
        assert_eq!(found.iter().map(|one| one.0).collect::<Vec<_>>(), [25, 27, 30, 35, 41]);
        assert_eq!(missed, 5);
    }

    #[test]
    fn what_was_forged_is_there_once_and_says_so() {
        let forged = |to| Noted { forged: true, ..noted(1, to, 7, "f") };
        let mut seen = noted(2, FIRST, 7, "");
        seen.bytes[4] = 9;
        assert_eq!(written(&[forged(FIRST), seen.clone()]).0, [(7, b'f')]);
        assert_eq!(written(&[seen.clone(), forged(FIRST)]).0, [(7, b'f')], "whoever tells first");
        let late = Noted { comment: "l".into(), ..seen.clone() };
        assert_eq!(written(&[forged(FIRST), late]).0, [(7, b'l')], "both are said");
        assert_eq!(written(&[forged(FIRST), noted(2, FIRST, 8, "")]).0, [(7, b'f'), (8, 0)], "another one");
        assert_eq!(written(&[forged(Endpoint::Clients), noted(2, Endpoint::Clients, 7, "")]).0.len(), 2);
    }
}
