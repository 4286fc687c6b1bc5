//! An IPv4 packet as bytes: whose it is, what of it is the application's, how to change a bit of that with or without
//! the checksum telling, how to tell its receiver other numbers of TCP, and how to make one that carries nothing.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use crate::shaper::{Numbers, Segment};

const TCP: u8 = 6;
const UDP: u8 = 17;
/// Where the parts of TCP's header are.
const SEQUENCE: usize = 4;
const ACKNOWLEDGES: usize = 8;
const OFFSET: usize = 12;
const FLAGS: usize = 13;
const WINDOW: usize = 14;
/// The flag of a stream that ends.
const FIN: u8 = 1;
const OPTIONS: usize = 20;
/// A TCP option of two timestamps, and its length; and one that fills up.
const TIMESTAMPS: [u8; 2] = [8, 10];
const NOTHING: u8 = 1;

/// Where things are in a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    /// Its length by its own header.
    pub(super) length: usize,
    pub(super) ports: Option<[u16; 2]>,
    /// What is behind the TCP or UDP header; empty for all else.
    pub(super) payload: Range<usize>,
    /// The head of a TCP segment.
    pub(super) segment: Option<Segment>,
    /// Where the TCP or UDP header begins.
    transport: usize,
    protocol: u8,
}

/// Reads the headers; nothing if it is no whole IPv4 packet.
pub(super) fn layout(bytes: &[u8]) -> Option<Layout> {
    let header = usize::from(bytes.first()? & 0xf) * 4;
    let length = usize::from(number(bytes, 2)?);
    if bytes[0] >> 4 != 4 || header < 20 || length < header || bytes.len() < length {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    let protocol = bytes[9];
    // Of a packet in pieces, only the first has ports, and none has a whole checksum.
    let whole = number(bytes, 6)? & 0x3fff == 0;
    let behind = match protocol {
        TCP if whole => bytes.get(header + OFFSET).map(|offset| usize::from(offset >> 4) * 4),
        UDP if whole => Some(8),
        _ => None,
    };
    let begin = behind.map(|behind| header + behind).filter(|begin| *begin <= length);
    let (source, destination) = (address(12)?, address(16)?);
    let ports = begin.and_then(|_| Some([number(bytes, header)?, number(bytes, header + 2)?]));
    let segment = begin.zip(ports).filter(|_| protocol == TCP).and_then(|(begin, [from, to])| {
        let ends = [SocketAddrV4::new(source, from), SocketAddrV4::new(destination, to)];
        segment(bytes.get(header..begin)?, ends, length - begin)
    });
    Some(Layout {
        source,
        destination,
        length,
        ports,
        payload: begin.unwrap_or(length)..length,
        segment,
        transport: header,
        protocol,
    })
}

/// Turns one bit of the payload over. If it is to go unnoticed, the checksum is made right for what it has become.
pub(super) fn flip(bytes: &mut [u8], layout: &Layout, bit: usize, unnoticed: bool) {
    bytes[layout.payload.start + bit / 8] ^= 1 << (bit % 8);
    if unnoticed {
        seal(bytes, layout);
    }
}

/// Leaves no more than so many bytes of the payload of a TCP segment, and not its end of the stream, which comes behind
/// them.
pub(super) fn shorten(bytes: &mut Vec<u8>, layout: &mut Layout, left: usize) {
    layout.length = layout.payload.start + left;
    layout.payload.end = layout.length;
    bytes.truncate(layout.length);
    bytes[2..4].copy_from_slice(&(layout.length as u16).to_be_bytes());
    bytes[10..12].fill(0);
    let header = checksum(&bytes[..layout.transport]);
    bytes[10..12].copy_from_slice(&header);
    bytes[layout.transport + FLAGS] &= !FIN;
    if let Some(segment) = &mut layout.segment {
        (segment.payload, segment.flags) = (left, segment.flags & !FIN);
    }
    seal(bytes, layout);
}

/// Tells other numbers of TCP.
pub(super) fn renumber(bytes: &mut [u8], layout: &Layout, numbers: Numbers) {
    for (at, number) in [(SEQUENCE, numbers.sequence), (ACKNOWLEDGES, numbers.acknowledges)] {
        let at = layout.transport + at;
        bytes[at..at + 4].copy_from_slice(&number.to_be_bytes());
    }
    seal(bytes, layout);
}

/// A segment without data as a packet.
pub(super) fn written(segment: &Segment) -> Vec<u8> {
    let mut options = Vec::new();
    if let Some(timestamps) = segment.timestamps {
        options.extend([NOTHING, NOTHING]);
        options.extend(TIMESTAMPS);
        options.extend(timestamps.map(u32::to_be_bytes).concat());
    }
    let length = 20 + OPTIONS + options.len();
    let [high, low] = (length as u16).to_be_bytes();
    // Not to be taken apart; the kernel sets number and checksum of this header.
    let mut bytes = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, TCP, 0, 0];
    bytes.extend(segment.from.ip().octets());
    bytes.extend(segment.to.ip().octets());
    bytes.extend([segment.from.port(), segment.to.port()].map(u16::to_be_bytes).concat());
    bytes.extend([segment.sequence, segment.acknowledges].map(u32::to_be_bytes).concat());
    bytes.extend([(((OPTIONS + options.len()) / 4) << 4) as u8, segment.flags]);
    bytes.extend(segment.window.to_be_bytes());
    bytes.extend([0; 4]);
    bytes.extend(options);
    if let Some(layout) = layout(&bytes) {
        seal(&mut bytes, &layout);
    }
    bytes
}

/// Reads TCP's header.
fn segment(header: &[u8], [from, to]: [SocketAddrV4; 2], payload: usize) -> Option<Segment> {
    Some(Segment {
        from,
        to,
        sequence: word(header, SEQUENCE)?,
        acknowledges: word(header, ACKNOWLEDGES)?,
        flags: *header.get(FLAGS)?,
        window: number(header, WINDOW)?,
        timestamps: timestamps(header.get(OPTIONS..)?),
        payload,
    })
}

fn timestamps(mut options: &[u8]) -> Option<[u32; 2]> {
    loop {
        match *options {
            [NOTHING, ref rest @ ..] => options = rest,
            [kind, length, ..] if [kind, length] == TIMESTAMPS => {
                return Some([word(options, 2)?, word(options, 6)?]);
            }
            // The first kind ends all options.
            [kind, length, ..] if kind != 0 && length >= 2 => options = options.get(usize::from(length)..)?,
            _ => return None,
        }
    }
}

/// Makes the checksum right for what the packet has become.
fn seal(bytes: &mut [u8], layout: &Layout) {
    let at = layout.transport + if layout.protocol == TCP { 16 } else { 6 };
    if layout.protocol == UDP && bytes[at..at + 2] == [0, 0] {
        // Sent without a checksum.
        return;
    }
    bytes[at..at + 2].fill(0);
    let segment = &bytes[layout.transport..layout.length];
    let pseudo = [
        &layout.source.octets()[..],
        &layout.destination.octets(),
        &[0, layout.protocol],
        &(segment.len() as u16).to_be_bytes(),
    ]
    .concat();
    let sum = !folded(sum(&pseudo) + sum(segment));
    // Zero would mean that there is none (RFC 768).
    let sum = if layout.protocol == UDP && sum == 0 { u16::MAX } else { sum };
    bytes[at..at + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The checksum of RFC 1071, as it stands in a header. Of what has its own in it and is whole, it is zero.
pub(super) fn checksum(bytes: &[u8]) -> [u8; 2] {
    (!folded(sum(bytes))).to_be_bytes()
}

/// RFC 1071's sum, not folded.
fn sum(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks(2);
    pairs.map(|pair| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0))).sum()
}

fn folded(mut sum: u64) -> u16 {
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A packet of `hello` from 10.0.0.1:4000 to 10.0.0.2:80, its checksum right.
    fn packet(protocol: u8) -> Vec<u8> {
        let transport = if protocol == TCP {
            [&[15, 160, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 24, 1, 0, 0, 0, 0, 0][..], b"hello"].concat()
        } else {
            [&[15, 160, 0, 80, 0, 13, 0, 0][..], b"hello"].concat()
        };
        let length = 20 + transport.len() as u8;
        let header = [0x45, 0, 0, length, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        let mut bytes = [&header[..], &transport].concat();
        let layout = layout(&bytes).unwrap();
        // Any checksum but none, so that it is made right by the two flips that undo one another.
        let at = if protocol == TCP { 36 } else { 26 };
        bytes[at] = 1;
        flip(&mut bytes, &layout, 0, true);
        flip(&mut bytes, &layout, 0, true);
        bytes
    }

    fn right(bytes: &[u8]) -> bool {
        let segment = &bytes[20..];
        let pseudo = [&bytes[12..20], &[0, bytes[9], 0, segment.len() as u8]].concat();
        folded(sum(&pseudo) + sum(segment)) == u16::MAX
    }

    #[test]
    fn headers_are_read() {
        for (protocol, payload) in [(TCP, 40..45), (UDP, 28..33)] {
            let bytes = packet(protocol);
            let layout = layout(&bytes).unwrap();
            assert_eq!(layout.payload, payload);
            assert_eq!(&bytes[layout.payload.clone()], b"hello");
            assert_eq!((layout.ports, layout.length), (Some([4000, 80]), bytes.len()));
            assert_eq!((layout.source, layout.destination), ([10, 0, 0, 1].into(), [10, 0, 0, 2].into()));
        }
    }

    #[test]
    fn one_bit_changes_and_the_checksum_tells_only_if_it_should() {
        for protocol in [TCP, UDP] {
            let before = packet(protocol);
            assert!(right(&before));
            let layout = layout(&before).unwrap();
            for bit in 0..40 {
                for unnoticed in [false, true] {
                    let mut after = before.clone();
                    flip(&mut after, &layout, bit, unnoticed);
                    let changed = layout.payload.clone().map(|at| (before[at] ^ after[at]).count_ones());
                    assert_eq!(changed.sum::<u32>(), 1);
                    assert_eq!(right(&after), unnoticed, "bit {bit}");
                }
            }
        }
    }

    /// What is written is read as the same, its checksum right, and other numbers change nothing else.
    #[test]
    fn segments_are_written_read_and_renumbered() {
        let ends = [([10, 0, 0, 1], 4000), ([10, 0, 0, 2], 80)];
        let [from, to] = ends.map(|(address, port)| SocketAddrV4::new(address.into(), port));
        for timestamps in [None, Some([7, u32::MAX])] {
            let (sequence, acknowledges, flags, window) = (u32::MAX, 5, crate::shaper::ACK, 501);
            let segment = Segment { from, to, sequence, acknowledges, flags, window, timestamps, payload: 0 };
            let mut bytes = written(&segment);
            let read = layout(&bytes).unwrap();
            assert_eq!((read.segment, read.length), (Some(segment), bytes.len()));
            assert!(right(&bytes));
            let numbers = Numbers { sequence: 9, acknowledges: 1 << 30 };
            renumber(&mut bytes, &read, numbers);
            let Numbers { sequence, acknowledges } = numbers;
            assert_eq!(layout(&bytes).unwrap().segment, Some(Segment { sequence, acknowledges, ..segment }));
            assert!(right(&bytes));
        }
        assert_eq!(layout(&packet(TCP)).unwrap().segment.unwrap().payload, 5);
        assert_eq!(layout(&packet(UDP)).unwrap().segment, None);
    }

    #[test]
    fn options_are_read_up_to_their_end_and_no_further() {
        let stamps = [&TIMESTAMPS[..], &[0, 0, 0, 1, 0, 0, 0, 2]].concat();
        assert_eq!(timestamps(&[&[2, 4, 5, 180][..], &[NOTHING], &stamps].concat()), Some([1, 2]));
        for wrong in [&[][..], &[0], &[2, 0], &[2, 9, 9], &stamps[..9]] {
            assert_eq!(timestamps(wrong), None, "{wrong:?}");
        }
        assert_eq!(timestamps(&[&[0, 2][..], &stamps].concat()), None, "behind the end");
    }

    #[test]
    fn what_is_no_packet_is_none_and_fragments_have_no_ports() {
        let bytes = packet(TCP);
        assert_eq!(layout(&[]), None);
        assert_eq!(layout(&bytes[..30]), None);
        assert_eq!(layout(&[0x60; 60]), None);
        let mut fragment = bytes.clone();
        fragment[7] = 1;
        let fragment = layout(&fragment).unwrap();
        assert_eq!((fragment.ports, fragment.payload.len()), (None, 0));
        let mut short = bytes;
        short[32] = 0xf0;
        assert_eq!(layout(&short).unwrap().payload.len(), 0, "a header longer than the packet");
    }

    /// It is read as a whole packet of its own, what is left is as it was, and it is not the end of its stream.
    #[test]
    fn segments_are_cut_short() {
        for left in 1..5 {
            let (mut bytes, whole) = (packet(TCP), packet(TCP));
            let mut layout = layout(&bytes).expect("a packet");
            bytes[layout.transport + FLAGS] |= FIN;
            shorten(&mut bytes, &mut layout, left);
            let read = super::layout(&bytes).expect("a packet");
            assert_eq!((&read, bytes.len()), (&layout, layout.length));
            assert_eq!(bytes[read.payload.clone()], whole[read.payload.start..][..left]);
            assert_eq!(bytes[read.transport + FLAGS], whole[read.transport + FLAGS] & !FIN);
            assert_eq!(checksum(&bytes[..read.transport]), [0; 2]);
            let sealed = bytes.clone();
            seal(&mut bytes, &read);
            assert_eq!(bytes, sealed);
        }
    }
}
