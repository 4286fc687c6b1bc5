//! A switch in user space: every packet from one endpoint to another comes to us, and it is we who send it on.
//!
//! For kernels that have no packet queue, and for those that have no nftables either: it needs packet sockets and raw ones,
//! which everybody has in a user namespace of his own. While it is there the kernel forwards nothing between the links that meet in
//! its namespace, and the devices of the endpoints leave nothing to the next one to do, so that what comes is what a wire would carry.
//! Cuts are its business as well. What it costs: links that are well pass through it too, and what comes faster than it takes is
//! lost, as in any switch. It works only where all links meet. When our process dies nothing is forwarded any more, and the
//! namespace ends, with all whose links met in it.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use super::capture;
use super::datagram::{Layout, checksum};
use super::netlink::Netlink;
use super::system::check;
use crate::shaper::{ACK, FIN, RST, SYN, Segment};

/// As long as an IPv4 packet can be.
const LONGEST: usize = 65_535;
/// How many bytes of packets may wait for us, where we may ask for as much.
const BUFFER: i32 = 16 << 20;
/// Whether a namespace forwards: of that of the thread that opens it, whoever writes it.
const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";
const HEADER: usize = 20;
const ICMP: u8 = 1;
/// Destination unreachable, as nobody is at the port (RFC 792), and how much of the packet is told with it (RFC 1812).
const UNREACHABLE: [u8; 2] = [3, 3];
const TOLD: usize = 548;
/// The messages that ask for something, and may be answered.
const QUESTIONS: [u8; 2] = [0, 8];
/// `ETHTOOL_STXCSUM` (`linux/ethtool.h`); without it there is nothing else that could be left to the next device.
const SET_CHECKSUMS: u32 = 0x17;

/// What a switch is made of: opened in the namespace, used from wherever.
pub(super) struct Sockets {
    packets: io::Result<OwnedFd>,
    forwarding: io::Result<File>,
}

impl Sockets {
    /// Opens them in the calling thread's network namespace.
    pub(super) fn open() -> Self {
        Sockets { packets: capture::socket(), forwarding: File::options().write(true).open(FORWARDING) }
    }
}

/// A switch at work, until it is dropped.
pub(super) struct Switch {
    packets: OwnedFd,
    forwarding: File,
    buffer: Vec<u8>,
}

impl Switch {
    /// Takes the kernel's place.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn start(sockets: Sockets) -> io::Result<Self> {
        let (packets, forwarding) = (sockets.packets?, sockets.forwarding?);
        // As an ordinary user, what we may have is less.
        capture::set(&packets, libc::SO_RCVBUFFORCE, &BUFFER)
            .or_else(|_| capture::set(&packets, libc::SO_RCVBUF, &BUFFER))?;
        // First, so that no packet passes twice.
        forwarding.write_all_at(b"0", 0)?;
        let switch = Switch { packets, forwarding, buffer: vec![0; LONGEST] };
        capture::listen(&switch.packets, libc::ETH_P_IP)?;
        Ok(switch)
    }

    /// The next packet that has come.
    pub(super) fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        loop {
            // SAFETY: the pointer and the length are those of a live buffer.
            let got = unsafe {
                let (buffer, length) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
                libc::recv(self.packets.as_raw_fd(), buffer, length, libc::MSG_DONTWAIT)
            };
            if got >= 0 {
                return Ok(Some(&self.buffer[..got as usize]));
            }
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::EAGAIN) => return Ok(None),
                // ENETDOWN: a device that is none of ours any more, as when a cluster ends.
                Some(libc::EINTR | libc::ENETDOWN) => {}
                _ => return Err(error),
            }
        }
    }

    /// The descriptor that is readable when packets have come.
    pub(super) fn descriptor(&self) -> i32 {
        self.packets.as_raw_fd()
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        // There is nobody left to tell; the namespace is ours.
        let _ = self.forwarding.write_all_at(b"1", 0);
    }
}

/// Makes the device of this name in the socket's namespace send what a wire would carry: packets of the wire's length, their
/// checksums made.
///
/// # Errors
/// What the kernel refused.
pub fn send_as_on_a_wire(inside: &Netlink, device: &str) -> io::Result<()> {
    // `struct ethtool_value`: what is set, and to what.
    let mut value = [SET_CHECKSUMS, 0];
    // SAFETY: all of it is plain data, for which zeroes are a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(device.bytes().take(libc::IFNAMSIZ - 1)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_data = value.as_mut_ptr().cast();
    // SAFETY: the kernel reads and writes the two live values that are pointed to.
    check(unsafe { libc::ioctl(inside.descriptor(), libc::SIOCETHTOOL, &raw mut request) }).map(drop)
}

/// The reset with which a segment is answered in the other end's name (RFC 9293, 3.10.7.1), if it is answered at all.
pub(super) fn reset(segment: &Segment) -> Option<Segment> {
    if segment.flags & RST != 0 {
        return None;
    }
    let numbers = u32::from(segment.flags & SYN != 0) + u32::from(segment.flags & FIN != 0);
    let behind = segment.sequence.wrapping_add(segment.payload as u32).wrapping_add(numbers);
    let (sequence, acknowledges, flags) = match segment.flags & ACK {
        0 => (0, behind, RST | ACK),
        _ => (segment.acknowledges, 0, RST),
    };
    let (from, to) = (segment.to, segment.from);
    Some(Segment { from, to, sequence, acknowledges, flags, window: 0, timestamps: None, payload: 0 })
}

/// The message with which a packet is answered to which nobody listens, in the name of whom it was for, if it is answered at all.
pub(super) fn unreachable(bytes: &[u8], layout: &Layout) -> Option<Vec<u8>> {
    let header = usize::from(bytes[0] & 0xf) * 4;
    let later_piece = u16::from_be_bytes([bytes[6], bytes[7]]) & 0x1fff != 0;
    let complaint = bytes[9] == ICMP && !bytes.get(header).is_some_and(|kind| QUESTIONS.contains(kind));
    if later_piece || complaint {
        return None;
    }
    let told = &bytes[..layout.length.min(TOLD)];
    let mut message = [&UNREACHABLE[..], &[0; 6], told].concat();
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum);
    let [high, low] = ((HEADER + message.len()) as u16).to_be_bytes();
    // The kernel sets number and checksum of this header.
    let mut answer = vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, ICMP, 0, 0];
    answer.extend(layout.destination.octets());
    answer.extend(layout.source.octets());
    answer.extend(message);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddrV4;

    use super::super::datagram::{layout, written};
    use super::*;

    fn segment(flags: u8, payload: usize) -> Segment {
        let [from, to] = [1, 2].map(|last| SocketAddrV4::new([198, 18, last, 2].into(), 7000));
        let (sequence, acknowledges, window) = (u32::MAX, 50, 9);
        Segment { from, to, sequence, acknowledges, flags, window, timestamps: None, payload }
    }

    /// Whoever gets it must take it for the other end's: by the number it waits for, or by what it acknowledges.
    #[test]
    fn a_reset_fits_what_it_answers() {
        let answered = |flags, payload| {
            let answer = reset(&segment(flags, payload))?;
            assert_eq!((answer.from, answer.to), (segment(flags, 0).to, segment(flags, 0).from));
            Some((answer.sequence, answer.acknowledges, answer.flags))
        };
        assert_eq!(answered(SYN, 0), Some((0, 0, RST | ACK)), "one behind the last number is zero");
        assert_eq!(answered(SYN | FIN, 3), Some((0, 4, RST | ACK)));
        assert_eq!(answered(ACK, 100), Some((50, 0, RST)));
        assert_eq!(answered(SYN | ACK, 0), Some((50, 0, RST)));
        assert_eq!((answered(RST, 0), answered(RST | ACK, 0)), (None, None), "nobody answers a reset");
    }

    #[test]
    fn a_refusal_tells_which_packet_was_refused_and_none_answers_another() {
        let bytes = written(&segment(SYN, 0));
        let answer = unreachable(&bytes, &layout(&bytes).unwrap()).unwrap();
        let head = layout(&answer).unwrap();
        assert_eq!((head.source, head.destination), ([198, 18, 2, 2].into(), [198, 18, 1, 2].into()));
        assert_eq!((head.length, &answer[HEADER..HEADER + 2]), (answer.len(), &UNREACHABLE[..]));
        assert_eq!(&answer[HEADER + 8..], &bytes[..]);
        assert_eq!(checksum(&answer[HEADER..]), [0, 0], "its checksum is right");
        assert_eq!(unreachable(&answer, &head), None);
        let mut piece = bytes.clone();
        piece[7] = 1;
        assert_eq!(unreachable(&piece, &layout(&piece).unwrap()), None, "no first piece");
        let mut long = bytes;
        long.resize(1500, 0);
        long[2..4].copy_from_slice(&1500u16.to_be_bytes());
        let answer = unreachable(&long, &layout(&long).unwrap()).unwrap();
        assert_eq!(answer.len(), 576, "no longer than anybody takes");
    }
}
