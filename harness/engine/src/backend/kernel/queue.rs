//! The kernel's packet queue (NFQUEUE) of a network namespace: packets wait in the kernel while we decide about them.
//!
//! The kernel cuts packets that are larger than the wire's into wire-sized ones first and completes their checksums, so that what
//! is lost, delayed or changed is what a wire would carry. When our socket closes, the queue is gone and packets pass as
//! if it had never been; those that wait at that moment are lost.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use netlink_sys::Socket;

use super::netlink::{Batch, Netlink, Writer, attributes};
use super::treatment::QUEUE;

// Messages and attributes of `linux/netfilter/nfnetlink_queue.h`.
const SUBSYSTEM: u16 = 3;
const PACKET: u16 = 0;
const VERDICT: u16 = 1;
const CONFIG: u16 = 2;
const BIND: u8 = 1;
const COPY_PACKET: u8 = 2;
const FAIL_OPEN: u32 = 1;
const ACCEPT: u32 = 1;
const DROP: u32 = 0;

/// How many packets may wait; beyond that they pass untouched.
const LONGEST: u32 = 65536;
/// How many bytes of packets may wait for us to look at them, where we may ask for as much.
const BUFFER: i32 = 16 << 20;
/// Verdicts are sent when so many bytes of them have gathered.
const FULL: usize = 32 << 10;
/// A netlink message with a whole packet in it.
const MESSAGE: usize = 72 << 10;
const HEADER: usize = 16;
/// The header of every netfilter message: family, version, number.
const SUBHEADER: usize = 4;

/// A queue and the verdicts about to be sent.
pub(super) struct Queue {
    /// What packets that go on are marked by, if they are.
    pub(super) mark: Option<u32>,
    socket: Socket,
    verdicts: Vec<u8>,
    buffer: Vec<u8>,
}

impl Queue {
    /// Takes charge of the queue in the network namespace of this socket.
    pub(super) fn open(mut netlink: Netlink) -> io::Result<Self> {
        let kind = SUBSYSTEM << 8 | CONFIG;
        let mut batch = Batch::default();
        let mut ask = |what: &str, fill: &dyn Fn(&mut Writer)| {
            let mut body = Writer::default();
            fill(&mut body);
            batch.push(kind, 0, what, &message(&body.0));
        };
        ask("making the packet queue", &|body| {
            body.put(1, &[BIND, 0, 0, 0]);
        });
        ask("asking for whole packets", &|body| {
            body.put(2, &[&0xffffu32.to_be_bytes()[..], &[COPY_PACKET]].concat());
        });
        ask("letting packets pass when the queue is full", &|body| {
            body.number(4, FAIL_OPEN).number(5, FAIL_OPEN);
        });
        ask("making the queue long", &|body| {
            body.number(3, LONGEST);
        });
        netlink.transact(batch)?;
        let socket = netlink.into_socket();
        roomy(&socket);
        Ok(Queue { mark: None, socket, verdicts: Vec::new(), buffer: vec![0; MESSAGE] })
    }

    /// The next packet that waits to be looked at: its number and its bytes.
    pub(super) fn receive(&mut self) -> io::Result<Option<(u32, &[u8])>> {
        loop {
            // SAFETY: the pointer and the length are those of a live buffer.
            let got = unsafe {
                let (buffer, length) = (self.buffer.as_mut_ptr().cast(), self.buffer.len());
                libc::recv(self.socket.as_raw_fd(), buffer, length, libc::MSG_DONTWAIT)
            };
            if got < 0 {
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(None),
                    // ENOBUFS: packets have passed us by, as they do when the queue is full.
                    Some(libc::EINTR | libc::ENOBUFS) => continue,
                    _ => return Err(error),
                }
            }
            // Anything else is a refusal of a verdict on a packet that is gone.
            if let Some((id, range)) = packet(&self.buffer[..got as usize]) {
                return Ok(Some((id, &self.buffer[range])));
            }
        }
    }

    /// Lets a packet go, or not; with other contents, if so.
    pub(super) fn decide(&mut self, id: u32, pass: bool, contents: Option<&[u8]>) -> io::Result<()> {
        let mut body = Writer::default();
        let verdict = if pass { ACCEPT } else { DROP };
        body.put(2, &[verdict.to_be_bytes(), id.to_be_bytes()].concat());
        if let Some(mark) = self.mark {
            body.number(3, mark);
        }
        if let Some(contents) = contents {
            body.put(10, contents);
        }
        let mut batch = Batch::default();
        batch.push(SUBSYSTEM << 8 | VERDICT, 0, "", &message(&body.0));
        self.verdicts.extend(batch.bytes());
        if self.verdicts.len() >= FULL { self.flush() } else { Ok(()) }
    }

    /// Sends the verdicts that have gathered.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.verdicts.is_empty() {
            self.socket.send(&self.verdicts, 0)?;
            self.verdicts.clear();
        }
        Ok(())
    }

    /// The descriptor that is readable when packets wait.
    pub(super) fn descriptor(&self) -> i32 {
        self.socket.as_raw_fd()
    }
}

fn message(body: &[u8]) -> Vec<u8> {
    let [high, low] = QUEUE.to_be_bytes();
    [&[0, 0, high, low], body].concat()
}

/// The number of the packet in a message, and where its bytes are.
fn packet(message: &[u8]) -> Option<(u32, std::ops::Range<usize>)> {
    let kind = u16::from_ne_bytes(message.get(4..6)?.try_into().ok()?);
    if kind != (SUBSYSTEM << 8 | PACKET) {
        return None;
    }
    let length = u32::from_ne_bytes(message.get(..4)?.try_into().ok()?) as usize;
    let body = message.get(HEADER + SUBHEADER..length)?;
    let find = |wanted| attributes(body).find(|(kind, _)| *kind == wanted).map(|(_, value)| value);
    let id = u32::from_be_bytes(find(1)?.get(..4)?.try_into().ok()?);
    let bytes = find(10).unwrap_or_default();
    let begin = bytes.as_ptr() as usize - message.as_ptr() as usize;
    Some((id, if bytes.is_empty() { 0..0 } else { begin..begin + bytes.len() }))
}

/// Asks for a large buffer and for silence about packets that did not fit into it. As an ordinary user, what we may have is less.
fn roomy(socket: &Socket) {
    let set = |level: i32, option: i32, value: i32| {
        // SAFETY: the pointer and the length are those of a live integer.
        unsafe {
            let size = size_of::<i32>() as u32;
            libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), size) == 0
        }
    };
    if !set(libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, BUFFER) {
        set(libc::SOL_SOCKET, libc::SO_RCVBUF, BUFFER);
    }
    set(libc::SOL_NETLINK, libc::NETLINK_NO_ENOBUFS, 1);
}

/// A socket that sends packets as they are, headers and all, in the calling thread's network namespace. They carry our mark.
pub(super) fn sender() -> io::Result<OwnedFd> {
    use super::system::check;
    use std::os::fd::FromRawFd;
    // SAFETY: the descriptor is new and nobody else's; the pointer and the length are those of a live integer.
    unsafe {
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        let socket = OwnedFd::from_raw_fd(check(libc::socket(libc::AF_INET, kind, libc::IPPROTO_RAW))?);
        let mark = super::treatment::OUR_MARK;
        let size = size_of::<u32>() as u32;
        let (value, option) = ((&raw const mark).cast(), libc::SO_MARK);
        check(libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, size))?;
        Ok(socket)
    }
}

/// Sends a whole packet.
pub(super) fn send(socket: &OwnedFd, bytes: &[u8], to: std::net::Ipv4Addr) -> io::Result<()> {
    // SAFETY: all of it is plain data, for which zeroes are a value.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as u16;
    address.sin_addr.s_addr = u32::from_ne_bytes(to.octets());
    // SAFETY: the pointers and lengths are those of live values.
    let sent = unsafe {
        let (address, size) = ((&raw const address).cast(), size_of::<libc::sockaddr_in>() as u32);
        libc::sendto(socket.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0, address, size)
    };
    if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_found_in_messages() {
        let mut body = Writer::default();
        body.put(1, &[0, 0, 0, 9, 8, 0, 2]).put(10, b"bytes");
        let mut batch = Batch::default();
        batch.push(SUBSYSTEM << 8 | PACKET, 0, "", &message(&body.0));
        let (id, range) = packet(batch.bytes()).unwrap();
        assert_eq!((id, &batch.bytes()[range]), (9, &b"bytes"[..]));
        assert_eq!(packet(&batch.bytes()[..20]), None);
        let mut other = Batch::default();
        other.push(2, 0, "", &message(&body.0));
        assert_eq!(packet(other.bytes()), None);
    }
}
