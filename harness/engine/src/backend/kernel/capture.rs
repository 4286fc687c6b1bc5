//! A capture of all links: every packet that is delivered, as it leaves the fabric for whom it is meant, and every one that a
//! fault has lost, late or changed, with a comment that says so.
//!
//! What no fault touches is seen by a packet socket, on the last stretch of its way. What the shaper has in hand carries our
//! mark, which that socket leaves out, and is written down by the shaper, who knows what becomes of it. Packets of links that are cut
//! are shown to the shaper only for that, before the cut takes them. Where one host's segments leave together, as the kernel
//! likes it, they are seen together, and their checksums may be still to be made. All of it ends with our sockets; the file may
//! then lack its last moments.
//!
//! In a node's own network such a socket sees what arrives before any fault does: there all packets go through the shaper, which
//! hands on what it has to say to whoever has the file ([`Pen::held`]).

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::cuts::Place;
use super::system::check;
use super::treatment::OUR_MARK;
use crate::backend::book::{Book, Noted, endpoint, now};
use crate::backend::{BackendError, Capture as Asked};
use crate::cluster::Endpoint;

/// As long as an IPv4 packet can be.
const LONGEST: usize = 65_535;
/// How often what is written is handed to the file at least, in milliseconds.
const FLUSH_MS: i32 = 200;
/// How many bytes of packets may wait to be written.
const BUFFER: i32 = 32 << 20;

/// Whoever has packets to write down.
#[derive(Clone)]
pub struct Pen(Arc<Mutex<Sheet>>);

/// What they are written on.
enum Sheet {
    File(Book),
    Held(Held),
    /// It has ended.
    Gone,
}

/// Packets that wait to be handed on.
struct Held {
    noted: Vec<Noted>,
    bytes: usize,
    missed: u64,
    /// How many bytes there is room for in the file.
    room: u64,
}

/// A capture that goes on until it is dropped.
pub(super) struct Capture {
    pen: Pen,
    bell: OwnedFd,
    thread: Option<JoinHandle<u64>>,
}

/// A packet socket in the calling thread's network namespace that sees nothing yet.
pub(super) fn socket() -> io::Result<OwnedFd> {
    // SAFETY: the descriptor is new and nobody else's.
    unsafe {
        let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        Ok(OwnedFd::from_raw_fd(check(libc::socket(libc::AF_PACKET, kind, 0))?))
    }
}

impl Capture {
    /// Begins. Interfaces of the fabric are numbered from the first, the clients' before the nodes'.
    ///
    /// # Errors
    /// When the file cannot be made, or packets cannot be seen.
    pub(super) fn begin(
        socket: io::Result<OwnedFd>,
        place: &Place,
        first_interface: u32,
        asked: &Asked,
    ) -> Result<Self, BackendError> {
        let unseen = |error: io::Error| BackendError::Unsupported {
            problem: format!("packets cannot be captured: no packet socket ({error})"),
            remedy: "run with the capability NET_RAW, as root or in a sandbox, or without --capture".into(),
        };
        let socket = socket.map_err(unseen)?;
        let mut book = Book::begin(asked, place.nodes.len())?;
        book.flush();
        watch(&socket).map_err(unseen)?;
        // SAFETY: the descriptor is new and nobody else's.
        let bell = unsafe {
            let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
            OwnedFd::from_raw_fd(check(libc::eventfd(0, flags)).map_err(BackendError::system("eventfd"))?)
        };
        let pen = Pen(Arc::new(Mutex::new(Sheet::File(book))));
        let (mine, end) =
            (pen.clone(), bell.try_clone().map_err(BackendError::system("copying a descriptor"))?);
        let thread = thread::Builder::new()
            .name("capture".into())
            .spawn(move || attend(&socket, &end, &mine, first_interface))
            .map_err(BackendError::system("starting a thread"))?;
        Ok(Capture { pen, bell, thread: Some(thread) })
    }

    /// For whoever else has packets to write down.
    pub(super) fn pen(&self) -> Pen {
        self.pen.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the pointer and the length are those of a live array.
        unsafe { libc::write(self.bell.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        // A panic there has been printed.
        let unseen = self.thread.take().and_then(|thread| thread.join().ok()).unwrap_or_default();
        if let Sheet::File(book) = std::mem::replace(&mut *self.pen.sheet(), Sheet::Gone) {
            book.end(unseen);
        }
    }
}

impl Pen {
    /// What is written down waits to be taken. There is room for so many bytes where it will go.
    pub(in crate::backend) fn held(room: u64) -> Self {
        let held = Held { noted: Vec::new(), bytes: 0, missed: 0, room };
        Pen(Arc::new(Mutex::new(Sheet::Held(held))))
    }

    /// What has been written down since the last time, and how many packets there was no room for.
    pub(in crate::backend) fn take(&self) -> (Vec<Noted>, u64) {
        match &mut *self.sheet() {
            Sheet::Held(held) => {
                held.bytes = 0;
                (std::mem::take(&mut held.noted), std::mem::take(&mut held.missed))
            }
            Sheet::File(_) | Sheet::Gone => (Vec::new(), 0),
        }
    }

    /// Writes down a packet for this endpoint, and what there is to say of it.
    pub(super) fn note(&self, to: Endpoint, bytes: &[u8], comment: &str) {
        self.write(now(), to, bytes, comment, false);
    }

    /// The same of a packet that we have made.
    pub(super) fn note_forged(&self, to: Endpoint, bytes: &[u8], comment: &str) {
        self.write(now(), to, bytes, comment, true);
    }

    fn write(&self, time: Duration, to: Endpoint, bytes: &[u8], comment: &str, forged: bool) {
        match &mut *self.sheet() {
            Sheet::File(book) => book.write(to, time, bytes, comment),
            Sheet::Held(held)
                if held.room < bytes.len() as u64 || held.bytes + bytes.len() > BUFFER as usize =>
            {
                held.missed += 1;
            }
            Sheet::Held(held) => {
                let (bytes, comment) = (bytes.to_vec(), comment.to_owned());
                held.room -= bytes.len() as u64;
                held.bytes += bytes.len() + comment.len() + size_of::<Noted>();
                held.noted.push(Noted { time, to, bytes, comment, forged });
            }
            Sheet::Gone => {}
        }
    }

    fn flush(&self) {
        if let Sheet::File(book) = &mut *self.sheet() {
            book.flush();
        }
    }

    fn sheet(&self) -> MutexGuard<'_, Sheet> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// From now on the socket sees what leaves: IPv4, and nothing that carries our mark.
fn watch(socket: &OwnedFd) -> io::Result<()> {
    // `linux/bpf_common.h`, and from `SKF_AD_OFF` on (`linux/filter.h`) a packet's properties in place of its bytes.
    const LOAD: u16 = 0x20;
    const EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const PROPERTIES: u32 = -0x1000i32 as u32;
    const PROTOCOL: u32 = PROPERTIES;
    const KIND: u32 = PROPERTIES + 4;
    const MARK: u32 = PROPERTIES + 20;
    let step = |code, jt, jf, k| libc::sock_filter { code, jt, jf, k };
    let mut steps = [
        step(LOAD, 0, 0, PROTOCOL),
        step(EQUAL, 0, 5, libc::ETH_P_IP as u32),
        step(LOAD, 0, 0, KIND),
        step(EQUAL, 0, 3, u32::from(libc::PACKET_OUTGOING)),
        step(LOAD, 0, 0, MARK),
        step(EQUAL, 1, 0, OUR_MARK),
        step(RETURN, 0, 0, LONGEST as u32),
        step(RETURN, 0, 0, 0),
    ];
    let program = libc::sock_fprog { len: steps.len() as u16, filter: steps.as_mut_ptr() };
    set(socket, libc::SO_ATTACH_FILTER, &program)?;
    set(socket, libc::SO_TIMESTAMPNS, &1i32)?;
    // As an ordinary user, what we may have is less.
    set(socket, libc::SO_RCVBUFFORCE, &BUFFER).or_else(|_| set(socket, libc::SO_RCVBUF, &BUFFER))?;
    listen(socket, libc::ETH_P_ALL)
}

/// From now on a packet socket sees what its namespace's devices see of a protocol: of one alone, what comes; of all of them, what
/// leaves as well.
pub(super) fn listen(socket: &OwnedFd, protocol: i32) -> io::Result<()> {
    // SAFETY: all of it is plain data, for which zeroes are a value.
    let mut all: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    all.sll_family = libc::AF_PACKET as u16;
    all.sll_protocol = (protocol as u16).to_be();
    // SAFETY: the pointer and the length are those of a live value.
    unsafe {
        check(libc::bind(socket.as_raw_fd(), (&raw const all).cast(), size_of_val(&all) as u32)).map(drop)
    }
}

/// Sets an option of a socket itself.
pub(super) fn set<T>(socket: &OwnedFd, option: i32, value: &T) -> io::Result<()> {
    let size = size_of::<T>() as u32;
    // SAFETY: the pointer and the length are those of a live value.
    unsafe {
        let value = std::ptr::from_ref(value).cast();
        check(libc::setsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, option, value, size)).map(drop)
    }
}

/// The thread's life; says how many packets came too fast to be seen.
fn attend(socket: &OwnedFd, end: &OwnedFd, pen: &Pen, first_interface: u32) -> u64 {
    let mut buffer = vec![0; LONGEST];
    loop {
        let mut both =
            [socket, end].map(|fd| libc::pollfd { fd: fd.as_raw_fd(), events: libc::POLLIN, revents: 0 });
        // What is written down by others is to be read soon, too.
        // SAFETY: the array lives until the call returns.
        unsafe { libc::poll(both.as_mut_ptr(), 2, FLUSH_MS) };
        while let Some((interface, time, length)) = receive(socket, &mut buffer) {
            let Some(interface) = interface.checked_sub(first_interface) else { continue };
            pen.write(time, endpoint(interface as usize), &buffer[..length], "", false);
        }
        pen.flush();
        if both[1].revents != 0 {
            return unseen(socket);
        }
    }
}

/// The next packet: the number of the interface by which it left, when, and how long it is.
fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> Option<(u32, Duration, usize)> {
    // SAFETY: all of it is plain data, for which zeroes are a value.
    let (mut from, mut message): (libc::sockaddr_ll, libc::msghdr) = unsafe { std::mem::zeroed() };
    let mut control = [0u64; 8];
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    message.msg_name = (&raw mut from).cast();
    message.msg_namelen = size_of_val(&from) as u32;
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.as_mut_ptr().cast();
    message.msg_controllen = size_of_val(&control);
    // SAFETY: the message points to live values of the lengths it says; what comes beside the packet is looked at where the
    // kernel says that it is.
    unsafe {
        let length = libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_DONTWAIT);
        let length = usize::try_from(length).ok()?;
        let beside = libc::CMSG_FIRSTHDR(&raw const message);
        let stamped = !beside.is_null() && (*beside).cmsg_type == libc::SCM_TIMESTAMPNS;
        let time = if stamped {
            let time: libc::timespec = libc::CMSG_DATA(beside).cast::<libc::timespec>().read_unaligned();
            Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
        } else {
            now()
        };
        Some((from.sll_ifindex as u32, time, length))
    }
}

/// How many packets did not fit into what waits for us.
fn unseen(socket: &OwnedFd) -> u64 {
    // `struct tpacket_stats`: how many came, and how many of them were dropped.
    let mut counted = [0u32; 2];
    let mut size = size_of_val(&counted) as u32;
    // SAFETY: the pointers are those of live values, and the length is the first one's.
    unsafe {
        let counted = counted.as_mut_ptr().cast();
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            libc::PACKET_STATISTICS,
            counted,
            &raw mut size,
        );
    }
    u64::from(counted[1])
}
