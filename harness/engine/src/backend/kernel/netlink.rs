//! One conversation with the kernel over netlink: many messages in one send, every refusal reported.
//!
//! The kernel works through a batch inside `send`, so that all answers are waiting when it returns: reading them never
//! blocks. Only the last message asks to be acknowledged, as the kernel reports refusals unasked. A socket belongs for
//! ever to the network namespace in which it was opened, whoever uses it from wherever.

use std::io;
use std::os::fd::AsRawFd;

use netlink_sys::{Socket, SocketAddr};

/// Message flags (`linux/netlink.h`).
pub const REQUEST: u16 = 0x1;
pub const ACKNOWLEDGE: u16 = 0x4;
pub const DUMP: u16 = 0x300;
pub const CREATE: u16 = 0x400;
pub const EXCLUSIVE: u16 = 0x200;
pub const APPEND: u16 = 0x800;

const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;

/// A netlink socket in the network namespace of the thread that opened it.
pub struct Netlink {
    socket: Socket,
}

/// Messages to be sent together.
#[derive(Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where the message is that is to be acknowledged, and its number.
    last: Option<(usize, u32)>,
    count: u32,
    what: Vec<String>,
}

/// A message that the kernel sent.
pub struct Answer {
    /// Its type.
    pub kind: u16,
    /// What follows the netlink header.
    pub body: Vec<u8>,
}

impl Batch {
    /// Adds a message; `what` names it in an error.
    pub fn push(&mut self, kind: u16, flags: u16, what: impl Into<String>, body: &[u8]) {
        self.last = Some((self.bytes.len(), self.count + 1));
        self.add(kind, flags, what, body);
    }

    /// Adds a message that only says where a transaction begins or ends: Linux 6.1, say, does not answer those.
    pub fn edge(&mut self, kind: u16, what: &str, body: &[u8]) {
        self.add(kind, 0, what, body);
    }

    fn add(&mut self, kind: u16, flags: u16, what: impl Into<String>, body: &[u8]) {
        self.count += 1;
        self.what.push(what.into());
        let length = (HEADER + body.len()) as u32;
        self.bytes.extend(length.to_ne_bytes());
        self.bytes.extend(kind.to_ne_bytes());
        self.bytes.extend((REQUEST | flags).to_ne_bytes());
        self.bytes.extend(self.count.to_ne_bytes());
        self.bytes.extend(0u32.to_ne_bytes());
        self.bytes.extend(body);
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }

    /// The messages as they are sent.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Makes the last message the one that is acknowledged, and says which that is.
    fn ask(&mut self) -> Option<u32> {
        let (at, number) = self.last?;
        let at = at + 6;
        let flags = u16::from_ne_bytes([self.bytes[at], self.bytes[at + 1]]) | ACKNOWLEDGE;
        self.bytes[at..at + 2].copy_from_slice(&flags.to_ne_bytes());
        Some(number)
    }
}

impl Netlink {
    /// Opens a socket in the calling thread's network namespace.
    pub fn open(protocol: isize) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        // Both only make errors shorter and clearer; an old kernel without them is fine.
        let _ = socket.set_cap_ack(true);
        let _ = socket.set_ext_ack(true);
        Ok(Netlink { socket })
    }

    /// Sends the batch and returns when the kernel has done all of it.
    ///
    /// # Errors
    /// The first refusal, in the words of the message concerned.
    pub fn transact(&mut self, mut batch: Batch) -> io::Result<()> {
        let Some(asked) = batch.ask() else { return Ok(()) };
        self.socket.send(&batch.bytes, 0)?;
        let mut acknowledged = false;
        self.read(|sequence, answer| {
            if answer.kind == ERROR {
                refusal(&batch.what, sequence, &answer.body)?;
                acknowledged |= sequence == asked;
            }
            Ok(true)
        })?;
        if acknowledged { Ok(()) } else { Err(io::Error::other("the kernel did not answer")) }
    }

    /// Asks for a list and returns its parts.
    ///
    /// # Errors
    /// What the kernel said.
    pub fn dump(&mut self, kind: u16, what: &str, body: &[u8]) -> io::Result<Vec<Answer>> {
        let mut batch = Batch::default();
        batch.push(kind, DUMP, what, body);
        self.socket.send(&batch.bytes, 0)?;
        let (mut answers, mut done) = (Vec::new(), false);
        self.read(|sequence, answer| {
            match answer.kind {
                ERROR => refusal(&batch.what, sequence, &answer.body)?,
                DONE => done = true,
                _ => answers.push(answer),
            }
            Ok(!done)
        })?;
        if done { Ok(answers) } else { Err(io::Error::other(format!("{what}: the answer was cut short"))) }
    }

    /// Its number, for what is asked of the kernel in another way.
    pub(super) fn descriptor(&self) -> i32 {
        self.socket.as_raw_fd()
    }

    /// The socket itself, for who has another way of speaking.
    pub(super) fn into_socket(self) -> Socket {
        self.socket
    }

    /// Hands over every message that is waiting, until there is none or `take` wants no more.
    fn read(&mut self, mut take: impl FnMut(u32, Answer) -> io::Result<bool>) -> io::Result<()> {
        let mut buffer: Vec<u8> = Vec::with_capacity(1 << 16);
        let mut refused = None;
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, libc::MSG_DONTWAIT) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            let mut rest = &buffer[..];
            while let Some((header, _)) = rest.split_at_checked(HEADER) {
                let length = word(header, 0) as usize;
                if length < HEADER || length > rest.len() {
                    return Err(io::Error::other("a netlink message with an impossible length"));
                }
                let kind = u16::from_ne_bytes([header[4], header[5]]);
                let answer = Answer { kind, body: rest[HEADER..length].to_vec() };
                // The rest is read to its end even after a refusal: nothing may lie there for the next conversation.
                if let Err(error) = take(word(header, 8), answer) {
                    refused.get_or_insert(error);
                }
                rest = &rest[length.next_multiple_of(4).min(rest.len())..];
            }
        }
        refused.map_or(Ok(()), Err)
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

/// What an error message says; zero is an acknowledgement.
fn refusal(what: &[String], sequence: u32, body: &[u8]) -> io::Result<()> {
    let code = if body.len() < 4 { 0 } else { word(body, 0) as i32 };
    if code == 0 {
        return Ok(());
    }
    let error = io::Error::from_raw_os_error(-code);
    let name = what.get((sequence as usize).wrapping_sub(1)).map_or("a message", String::as_str);
    // After the code comes the header of the message concerned, then attributes, of which the first may be a sentence.
    let said = body.get(4 + HEADER..).into_iter().flat_map(attributes).find(|(kind, _)| *kind == 1);
    let said = said.map(|(_, text)| String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
    let said = said.map(|text| format!(" ({text})")).unwrap_or_default();
    Err(io::Error::new(error.kind(), Refused { name: name.to_owned(), said, error }))
}

/// A refusal that still knows the system's number.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {error}{said}")]
struct Refused {
    name: String,
    said: String,
    #[source]
    error: io::Error,
}

/// The system's number in an error of this module.
pub fn number(error: &io::Error) -> Option<i32> {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Refused>());
    inner.map_or(error.raw_os_error(), |refused| refused.error.raw_os_error())
}

/// The attributes (`struct nlattr`) in these bytes, with their kinds freed of flag bits; stops where they make no sense.
pub fn attributes(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let header = bytes.get(..4)?;
        let length = u16::from_ne_bytes([header[0], header[1]]) as usize;
        let kind = u16::from_ne_bytes([header[2], header[3]]) & 0x3fff;
        let value = bytes.get(4..length)?;
        bytes = &bytes[length.next_multiple_of(4).min(bytes.len())..];
        Some((kind, value))
    })
}

/// Writes attributes one after the other, and into one another.
#[derive(Default)]
pub struct Writer(pub(super) Vec<u8>);

impl Writer {
    /// An attribute with these bytes.
    pub fn put(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.0.extend(((4 + value.len()) as u16).to_ne_bytes());
        self.0.extend(kind.to_ne_bytes());
        self.0.extend(value);
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    /// A string, ended by a zero byte as the kernel wants it.
    pub fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.put(kind, &[value.as_bytes(), &[0]].concat())
    }

    /// A number in network order, as nftables wants it.
    pub fn number(&mut self, kind: u16, value: u32) -> &mut Self {
        self.put(kind, &value.to_be_bytes())
    }

    /// An attribute made of attributes.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Writer)) -> &mut Self {
        let start = self.0.len();
        self.put(kind | 0x8000, &[]);
        fill(self);
        let length = (self.0.len() - start) as u16;
        self.0[start..start + 2].copy_from_slice(&length.to_ne_bytes());
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_as_they_were_written() {
        let mut writer = Writer::default();
        writer.text(1, "abc").nest(2, |inner| {
            inner.number(7, 5).put(8, &[1]);
        });
        let read: Vec<_> = attributes(&writer.0).collect();
        assert_eq!((read.len(), read[0]), (2, (1, &b"abc\0"[..])));
        let inner: Vec<_> = attributes(read[1].1).collect();
        assert_eq!(inner, vec![(7, &[0, 0, 0, 5][..]), (8, &[1][..])]);
        assert_eq!(attributes(&writer.0[..3]).count(), 0, "half a header is none");
    }
}
