//! The shaper at work in a network namespace: a thread that takes packets from the kernel's queue, or from a switch of our own,
//! asks the shaper, and lets each go when its time has come.
//!
//! Which packets come from the queue at all is chosen by an owned nftables table, so links that are well are never slower for it.
//! All of that ends with our sockets: after a `kill -9` packets pass untouched. Tried on this kind of machine, a packet that is
//! not to wait at all is a tenth of a millisecond late. To a switch come all packets, and with it their namespace ends.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::annotation::{forged, said};
use super::capture::Pen;
use super::chooser::Chooser;
use super::cuts::{Hook, Place};
use super::datagram::{Layout, flip, layout, renumber, shorten, written};
use super::netlink::Netlink;
use super::programs::Iptables;
use super::queue::{self, Queue};
use super::switch::{self, Switch};
use super::system::check;
use super::treatment::{OUR_MARK, Treatment};
use crate::backend::BackendError;
use crate::cluster::Pair;
use crate::link::{Cut, Link, Traffic};
use crate::shaper::{Cause, Change, Fate, Packet, Released, Segment, Shaper};

/// How many packets are looked at before those that are due go out.
const ROUND: usize = 64;

/// What sending says when a packet is lost: a buffer is full as a wire would be, it meets a cut on its way out, or
/// nobody is there.
const LOSES: [i32; 6] =
    [libc::EAGAIN, libc::ENOBUFS, libc::EPERM, libc::EHOSTUNREACH, libc::ENETUNREACH, libc::ENETDOWN];

/// What it works with: opened in the namespace, used from wherever.
pub(super) struct Sockets {
    /// For the tables that choose packets, two of them, as the first may be refused.
    pub(super) tables: [Netlink; 2],
    pub(super) queue: Netlink,
}

/// Where packets come from.
pub(super) struct Source {
    packets: Packets,
    /// Who chooses those of which links come, unless all do.
    choice: Option<Chooser>,
    mechanism: &'static str,
}

enum Packets {
    /// The kernel holds them meanwhile.
    Queue(Queue),
    /// They are in our hands.
    Switch(Switch),
}

/// Shapes the links of one network namespace until it is dropped.
pub(super) struct Shaping {
    choice: Option<Chooser>,
    mechanism: &'static str,
    captures: bool,
    /// Links whose packets come by even if nothing is wrong with them.
    always: BTreeSet<Pair>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    work: Mutex<Work>,
    /// Rung when something is new: other links, or the end.
    bell: OwnedFd,
}

struct Work {
    shaper: Shaper<Ticket>,
    packets: Packets,
    /// For packets that are in our hands, if we may have a raw socket.
    sender: io::Result<OwnedFd>,
    /// Where packets are written down, if they are.
    pen: Option<Pen>,
    place: Place,
    ended: bool,
    failed: Option<io::Error>,
}

/// How a packet is found again in the kernel, and its bytes where they are needed.
#[derive(Clone)]
struct Ticket {
    id: u32,
    bytes: Option<(Vec<u8>, Layout)>,
}

impl Source {
    /// The kernel's packet queue.
    ///
    /// # Errors
    /// When the kernel has none, or no way to choose packets for it.
    pub(super) fn queue(
        sockets: Sockets,
        iptables: Option<&Iptables>,
        place: &Place,
    ) -> Result<Self, BackendError> {
        let unsupported = |why: &dyn std::fmt::Display| BackendError::Unsupported {
            problem: format!("links cannot be delayed, lossy or slow: {why}"),
            remedy: "sudo modprobe -a nfnetlink_queue xt_NFQUEUE, or nft_queue".into(),
        };
        let queue = Queue::open(sockets.queue).map_err(|error| unsupported(&error))?;
        let [first, second] = sockets.tables;
        let (choice, mechanism) = match Chooser::make(first, iptables, place.clone(), Treatment::Queue) {
            Ok(choice) if iptables.is_some() => (choice, "NFQUEUE by iptables"),
            Ok(choice) => (choice, "NFQUEUE by nftables"),
            Err(_) => {
                let choice = Chooser::make(second, iptables, place.clone(), Treatment::QueueByExtension);
                let mechanism = "NFQUEUE by the iptables extension of nftables";
                (choice.map_err(|error| unsupported(&error))?, mechanism)
            }
        };
        Ok(Source { packets: Packets::Queue(queue), choice: Some(choice), mechanism })
    }

    /// A switch of our own.
    ///
    /// # Errors
    /// When not all links meet here, or it may not see or send packets.
    pub(super) fn switch(
        sockets: switch::Sockets,
        sender: &io::Result<OwnedFd>,
        place: &Place,
    ) -> Result<Self, BackendError> {
        let unsupported = |problem: String, remedy: &str| BackendError::Unsupported {
            problem: format!("no switch in user space: {problem}"),
            remedy: remedy.into(),
        };
        if !matches!(place.hooks, [Hook::Forward]) {
            let remedy = "run in the sandbox, or leave `backend.shaping` out";
            return Err(unsupported("the links of this cluster do not meet in one place".into(), remedy));
        }
        let remedy = "run with the capabilities NET_ADMIN and NET_RAW, as root or in a sandbox";
        if let Err(error) = sender {
            return Err(unsupported(format!("no raw socket ({error})"), remedy));
        }
        let started = Switch::start(sockets).map_err(|error| unsupported(error.to_string(), remedy))?;
        Ok(Source { packets: Packets::Switch(started), choice: None, mechanism: "a switch in user space" })
    }
}

impl Shaping {
    /// Begins, with all links well. With a pen, packets of links that are cut come by as well, and those of the links named with it
    /// whatever they are.
    ///
    /// # Errors
    /// What the kernel refused.
    pub(super) fn start(
        source: Source,
        sender: io::Result<OwnedFd>,
        place: Place,
        seed: u64,
        pen: Option<(Pen, BTreeSet<Pair>)>,
    ) -> Result<Self, BackendError> {
        let (pen, always) = pen.unzip();
        let Source { mut packets, choice, mechanism } = source;
        if let (Packets::Queue(queue), Some(_)) = (&mut packets, &pen) {
            // Who watches what passes leaves out what is written down here.
            queue.mark = Some(OUR_MARK);
        }
        // SAFETY: the descriptor is new and nobody else's.
        let bell = unsafe {
            let flags = libc::EFD_CLOEXEC | libc::EFD_NONBLOCK;
            OwnedFd::from_raw_fd(check(libc::eventfd(0, flags)).map_err(BackendError::system("eventfd"))?)
        };
        let (shaper, captures) = (Shaper::new(seed), pen.is_some());
        let work = Work { shaper, packets, sender, pen, place, ended: false, failed: None };
        let shared = Arc::new(Shared { work: work.into(), bell });
        let mine = shared.clone();
        let thread = thread::Builder::new().name("shaper".into()).spawn(move || attend(&mine));
        let thread = thread.map_err(BackendError::system("starting a thread"))?;
        let always = always.unwrap_or_default();
        let mut shaping = Shaping { choice, mechanism, captures, always, shared, thread: Some(thread) };
        shaping.apply(&BTreeMap::new())?;
        Ok(shaping)
    }

    /// By which mechanism packets come here.
    pub(super) fn mechanism(&self) -> &'static str {
        self.mechanism
    }

    /// Makes exactly these links as bad as this. When it returns, the next packet meets it, and of links that are well again
    /// none waits any more.
    pub(super) fn apply(&mut self, links: &BTreeMap<Pair, Link>) -> Result<(), BackendError> {
        if links.values().any(|link| link.swallows() || !link.duplicate.share.is_never()) {
            self.shared.may_send()?;
        }
        // What is cut is not shaped.
        let wanted = |link: &Link| self.captures || link.is_shaped() && !link.is_stopped();
        let mut chosen: BTreeSet<Pair> =
            links.iter().filter(|(_, link)| wanted(link)).map(|(pair, _)| *pair).collect();
        chosen.extend(&self.always);
        // Whoever swallows has to hear what the other end says, and to tell it otherwise.
        chosen.extend(links.iter().filter(|(_, link)| link.swallows()).map(|((from, to), _)| (*to, *from)));
        // Who is chosen must be known before the first packet comes, and who is well again must not come any more before
        // what waits is let go.
        let failed = BackendError::system("shaping links");
        match &mut self.choice {
            Some(choice) if chosen.is_superset(choice.applied()) => {
                self.shared.desire(links).map_err(failed)?;
                choice.apply(&chosen)
            }
            Some(choice) => {
                choice.apply(&chosen)?;
                self.shared.desire(links).map_err(failed)
            }
            None => self.shared.desire(links).map_err(failed),
        }
    }

    /// What was done to packets so far.
    ///
    /// # Errors
    /// When the thread could not do its work: from then on packets have passed untouched or not at all.
    pub(super) fn traffic(&self) -> Result<BTreeMap<Pair, Traffic>, BackendError> {
        let mut work = self.shared.lock();
        match work.failed.take() {
            Some(error) => Err(BackendError::system("shaping packets")(error)),
            None => Ok(work.shaper.traffic()),
        }
    }
}

impl Drop for Shaping {
    fn drop(&mut self) {
        // Whoever has lost something to a link that swallows is told so; there is nobody to tell that it failed.
        let _ = self.apply(&BTreeMap::new());
        self.shared.lock().ended = true;
        self.shared.ring();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed, and there is nobody left to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a way to send packets of our own.
    fn may_send(&self) -> Result<(), BackendError> {
        match &self.lock().sender {
            Ok(_) => Ok(()),
            Err(error) => Err(BackendError::Unsupported {
                problem: format!("packets cannot be sent twice nor acknowledged: no raw socket ({error})"),
                remedy: "run with the capability NET_RAW, as root or in a sandbox".into(),
            }),
        }
    }

    fn desire(&self, links: &BTreeMap<Pair, Link>) -> io::Result<()> {
        let mut work = self.lock();
        // What came before the change met the links as they were.
        while work.take_in()? == ROUND {}
        let resets = work.shaper.desire(now(), links);
        let done = work.let_go();
        let reset = resets
            .iter()
            .try_for_each(|reset| work.forge(reset, "reset, as it cannot go on without what was swallowed"));
        self.ring();
        done.and(reset)
    }

    fn ring(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the pointer and the length are those of a live array. It can only fail when it is rung already.
        unsafe { libc::write(self.bell.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }

    fn forget_ring(&self) {
        let mut count = [0u8; 8];
        // SAFETY: the pointer and the length are those of a live array. Not to have been rung is no failure.
        unsafe { libc::read(self.bell.as_raw_fd(), count.as_mut_ptr().cast(), count.len()) };
    }
}

impl Work {
    /// Looks at the packets that wait, up to a round of them, and says how many there were.
    fn take_in(&mut self) -> io::Result<usize> {
        let is_ours = matches!(self.packets, Packets::Switch(_));
        for count in 0..ROUND {
            let Some((id, bytes)) = self.packets.receive()? else { return Ok(count) };
            let now = now();
            let layout = layout(bytes);
            let pair = layout.as_ref().and_then(|layout| {
                Some((self.place.whose(layout.source)?, self.place.whose(layout.destination)?))
            });
            let Some((layout, pair)) = layout.zip(pair) else {
                self.packets.leave(id)?;
                continue;
            };
            let (length, payload, ports) = (layout.length, layout.payload.len(), layout.ports);
            let packet = Packet { pair, length, payload, ports, segment: layout.segment };
            let always = self.pen.is_some() || is_ours;
            let keep =
                |wanted: bool| Ticket { id, bytes: (wanted || always).then(|| (bytes.to_vec(), layout)) };
            self.shaper.arrive(now, &packet, keep);
        }
        Ok(ROUND)
    }

    /// Lets go, or loses, all whose time has come.
    fn let_go(&mut self) -> io::Result<()> {
        while let Some(released) = self.shaper.due(now()) {
            let comment = self.pen.as_ref().map(|_| said(&released));
            let Released { ticket: Ticket { id, mut bytes }, pair, fate, lost_by, .. } = released;
            let note = |pen: &Option<Pen>, bytes: &Option<(Vec<u8>, Layout)>| {
                if let (Some(pen), Some((bytes, _)), Some(comment)) = (pen, bytes, &comment) {
                    pen.note(pair.1, bytes, comment);
                }
            };
            let (changed, numbers) = match fate {
                Fate::Lost | Fate::Swallowed { .. } => {
                    note(&self.pen, &bytes);
                    self.lose(id, lost_by, bytes.as_ref())?;
                    if let Fate::Swallowed { answer: Some(answer) } = fate {
                        self.forge(&answer, "an acknowledgement of what was swallowed")?;
                    }
                    continue;
                }
                Fate::Passed { changed, numbers } => (changed, numbers),
                Fate::Copied { changed } => (changed, None),
            };
            if let (Some(numbers), Some((bytes, layout))) = (numbers, &mut bytes) {
                renumber(bytes, layout, numbers);
            }
            if let (Some(change), Some((bytes, layout))) = (changed, &mut bytes) {
                match change {
                    Change::Flip { bit, evading } => flip(bytes, layout, bit, evading),
                    Change::Shorten(left) => shorten(bytes, layout, left),
                }
            }
            note(&self.pen, &bytes);
            let touched = changed.is_some() || numbers.is_some();
            match (fate, bytes) {
                (Fate::Copied { .. }, Some((bytes, layout))) => {
                    // The copy comes second: the original must be on its way.
                    self.packets.flush()?;
                    self.send(&bytes, layout.destination)?;
                }
                (Fate::Copied { .. }, None) => {}
                (_, bytes) => match &mut self.packets {
                    Packets::Queue(queue) => {
                        let contents = bytes.as_ref().filter(|_| touched).map(|(bytes, _)| &bytes[..]);
                        queue.decide(id, true, contents)?;
                    }
                    Packets::Switch(_) => {
                        if let Some((bytes, layout)) = bytes {
                            self.send(&bytes[..layout.length], layout.destination)?;
                        }
                    }
                },
            }
        }
        self.packets.flush()
    }

    /// Lets a packet end here, and answers it where that is what its link does.
    fn lose(&mut self, id: u32, cause: Option<Cause>, packet: Option<&(Vec<u8>, Layout)>) -> io::Result<()> {
        if let Packets::Queue(queue) = &mut self.packets {
            // It has come by to be written down only: the cut itself is still before it, and counts and answers it.
            let shown = self.pen.is_some() && matches!(cause, Some(Cause::Cut(_)));
            return queue.decide(id, shown, None);
        }
        match (cause, packet) {
            (Some(Cause::Cut(Cut::Reset)), Some((_, layout))) => {
                let answer = layout.segment.as_ref().and_then(switch::reset);
                answer.map_or(Ok(()), |answer| self.forge(&answer, "a reset, by partition (reset)"))
            }
            (Some(Cause::Cut(Cut::Refuse)), Some((bytes, layout))) => {
                let Some(answer) = switch::unreachable(bytes, layout) else { return Ok(()) };
                self.make(&answer, layout.source, "unreachable, by partition (refuse)")
            }
            _ => Ok(()),
        }
    }

    /// Sends a segment in the name of one end to the other.
    fn forge(&self, segment: &Segment, what: &str) -> io::Result<()> {
        self.make(&written(segment), *segment.to.ip(), what)
    }

    /// Sends a packet that we have made.
    fn make(&self, bytes: &[u8], to: Ipv4Addr, what: &str) -> io::Result<()> {
        if let (Some(pen), Some(to)) = (&self.pen, self.place.whose(to)) {
            pen.note_forged(to, bytes, &forged(what));
        }
        self.send(bytes, to)
    }

    /// Sends a packet of our own.
    fn send(&self, bytes: &[u8], to: Ipv4Addr) -> io::Result<()> {
        // Without it, no link that needs it was accepted.
        let Ok(sender) = &self.sender else { return Ok(()) };
        match queue::send(sender, bytes, to) {
            Err(error) if error.raw_os_error().is_some_and(|number| LOSES.contains(&number)) => Ok(()),
            sent => sent,
        }
    }
}

impl Packets {
    fn receive(&mut self) -> io::Result<Option<(u32, &[u8])>> {
        match self {
            Packets::Queue(queue) => queue.receive(),
            Packets::Switch(switch) => Ok(switch.receive()?.map(|bytes| (0, bytes))),
        }
    }

    /// One that is nobody's whose links we know.
    fn leave(&mut self, id: u32) -> io::Result<()> {
        match self {
            Packets::Queue(queue) => queue.decide(id, true, None),
            // The kernel has had it as well, and taken it if it was for the namespace itself.
            Packets::Switch(_) => Ok(()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Packets::Queue(queue) => queue.flush(),
            Packets::Switch(_) => Ok(()),
        }
    }

    fn descriptor(&self) -> i32 {
        match self {
            Packets::Queue(queue) => queue.descriptor(),
            Packets::Switch(switch) => switch.descriptor(),
        }
    }
}

/// The thread's life.
fn attend(shared: &Shared) {
    // SAFETY: plain system call that concerns this thread alone: its timers are exact to the nanosecond.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1) };
    loop {
        let mut work = shared.lock();
        if work.ended {
            return;
        }
        let waiting = match work.take_in().and_then(|count| work.let_go().map(|()| count)) {
            Ok(count) => count == ROUND,
            Err(error) => {
                work.failed.get_or_insert(error);
                return;
            }
        };
        let next = work.shaper.next_due();
        let descriptors = [work.packets.descriptor(), shared.bell.as_raw_fd()];
        drop(work);
        if !waiting && wait(descriptors, next.map(|due| due.saturating_sub(now()))) {
            shared.forget_ring();
        }
    }
}

/// Waits until one of both is readable or the time is over; true if the second is readable.
fn wait(descriptors: [i32; 2], limit: Option<Duration>) -> bool {
    let mut both = descriptors.map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
    let limit = limit.map(|limit| libc::timespec {
        tv_sec: limit.as_secs() as libc::time_t,
        tv_nsec: limit.subsec_nanos().into(),
    });
    let limit = limit.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the array and the limit live until the call returns; no signal mask is asked for.
    unsafe { libc::ppoll(both.as_mut_ptr(), 2, limit, std::ptr::null()) };
    both[1].revents != 0
}

/// The kernel's clock that never jumps.
fn now() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is that of a live value; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
