//! Everything that can be wrong with the links of one network namespace, made so: cuts of all kinds by nftables, all else by
//! the shaper, or by the kernel's traffic control where there is no packet queue for it; or all of it by a switch of our own.
//!
//! The same value works in the sandbox's fabric, through which every link passes, and in one container's own network, where
//! that node's packets arrive. It is made of sockets opened there and of who is who by address; what is never asked for is
//! never made. All of it is the kernel's to take back when the sockets close.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;

use super::capture::{self, Capture, Pen};
use super::chooser::Chooser;
use super::cuts::Place;
use super::netlink::Netlink;
use super::programs::Iptables;
use super::queue;
use super::shaping::{self, Shaping, Source};
use super::switch;
use super::tc::Tc;
use super::treatment::Treatment;
use crate::backend::{BackendError, Capture as Asked, ShapedBy};
use crate::cluster::Pair;
use crate::link::{Cut, Link, Traffic, Wrong};

/// Sockets in the network namespace concerned; they stay there whoever uses them from wherever.
pub struct Sockets {
    drop: Netlink,
    reset: Netlink,
    refuse: Netlink,
    ways: Ways,
    packets: io::Result<OwnedFd>,
    iptables: Option<Iptables>,
    shaped_by: ShapedBy,
    capture: Option<(Asked, u32)>,
    noting: Option<(Pen, BTreeSet<Pair>)>,
}

impl Sockets {
    /// Opens them in the calling thread's network namespace.
    ///
    /// # Errors
    /// What the kernel refused. That there is no way to send copies of packets is told when some are to be sent.
    pub fn open() -> io::Result<Self> {
        let open = || Netlink::open(libc::NETLINK_NETFILTER as isize);
        let ways = Ways {
            queue: shaping::Sockets { tables: [open()?, open()?], queue: open()? },
            traffic_control: Netlink::open(libc::NETLINK_ROUTE as isize)?,
            switch: switch::Sockets::open(),
            sender: queue::sender(),
        };
        Ok(Sockets {
            drop: open()?,
            reset: open()?,
            refuse: open()?,
            ways,
            packets: capture::socket(),
            iptables: None,
            shaped_by: ShapedBy::Best,
            capture: None,
            noting: None,
        })
    }

    /// Packets are chosen by this program in place of nftables. It has to be in the namespace itself.
    pub fn choosing_by(self, iptables: Iptables) -> Self {
        Sockets { iptables: Some(iptables), ..self }
    }

    /// Packets are captured. The endpoints' interfaces are numbered from this one, the clients' before the nodes'.
    pub fn capturing(self, asked: Asked, first_interface: u32) -> Self {
        Sockets { capture: Some((asked, first_interface)), ..self }
    }

    /// All packets of these links go through the shaper, which writes them down.
    pub fn noting(self, pen: Pen, links: BTreeSet<Pair>) -> Self {
        Sockets { noting: Some((pen, links)), ..self }
    }

    /// Links are shaped in this way.
    pub fn shaping_by(self, shaped_by: ShapedBy) -> Self {
        Sockets { shaped_by, ..self }
    }
}

/// For each way to shape links what it is made of.
struct Ways {
    queue: shaping::Sockets,
    traffic_control: Netlink,
    switch: switch::Sockets,
    /// For packets that are in our hands, if we may have a raw socket.
    sender: io::Result<OwnedFd>,
}

/// The links of one namespace.
pub struct Matrix {
    /// Nothing where a switch cuts.
    drop: Option<Chooser>,
    reset: Later<Netlink, Chooser>,
    refuse: Later<Netlink, Chooser>,
    shaping: Later<Ways, Shapes>,
    /// Of pairs that a switch cuts now, what it had stopped of them before.
    stopped: BTreeMap<Pair, (Cut, u64)>,
    place: Place,
    seed: u64,
    iptables: Option<Iptables>,
    shaped_by: ShapedBy,
    /// Who writes down what is done to packets, and of which links all of them.
    pen: Option<(Pen, BTreeSet<Pair>)>,
    // Dropped last: what ends before it may have something to write down.
    _capture: Option<Capture>,
}

/// Who does all that is no cut.
enum Shapes {
    Queue(Shaping),
    Tc(Tc),
    /// It cuts as well.
    Switch(Shaping),
}

impl Matrix {
    /// With all links well. The seed is that of the shaper's chance.
    ///
    /// # Errors
    /// When the kernel has no nftables (or what was chosen in its place), or not for us, and there can be no switch.
    pub fn create(sockets: Sockets, place: Place, seed: u64) -> Result<Self, BackendError> {
        let Sockets { drop, reset, refuse, ways, packets, iptables, shaped_by, capture, noting } = sockets;
        let begin = |(asked, first): (Asked, u32)| Capture::begin(packets, &place, first, &asked);
        let capture = capture.map(begin).transpose()?;
        let pen = noting.or_else(|| Some((capture.as_ref()?.pen(), BTreeSet::new())));
        let drop = match shaped_by {
            ShapedBy::Switch => None,
            _ => Some(Chooser::make(drop, iptables.as_ref(), place.clone(), Treatment::Drop)),
        };
        let (drop, unable) = match drop {
            Some(Ok(drop)) => (Some(drop), None),
            Some(Err(error)) if shaped_by != ShapedBy::Best => return Err(error),
            Some(Err(error)) => (None, Some(error)),
            None => (None, None),
        };
        let mut matrix = Matrix {
            drop,
            reset: Later::Not(reset),
            refuse: Later::Not(refuse),
            shaping: Later::Not(ways),
            stopped: BTreeMap::new(),
            place,
            seed,
            iptables,
            shaped_by: if unable.is_some() { ShapedBy::Switch } else { shaped_by },
            pen,
            _capture: capture,
        };
        if matrix.drop.is_none() {
            // Both were tried: what is told is how to get the better one.
            let made = matrix.shaping(Some(&[])).err();
            if let Some(error) = made {
                return Err(unable.unwrap_or(error));
            }
        }
        if matrix.pen.is_some() && matches!(matrix.shaping(Some(&[]))?, Shapes::Tc(_)) {
            return Err(BackendError::Unsupported {
                problem: "a capture cannot tell what happens to packets without the kernel's packet queue or a switch"
                    .into(),
                remedy: "sudo modprobe -a nfnetlink_queue xt_NFQUEUE, or nft_queue; or run without --capture"
                    .into(),
            });
        }
        Ok(matrix)
    }

    /// Whether packets pass through a switch of our own: then the endpoints' devices have to send what a wire would carry.
    pub fn switches(&self) -> bool {
        matches!(self.shaping, Later::Made(Shapes::Switch(_)))
    }

    /// What works less well here than it could, a sentence each.
    pub fn lacks(&self) -> Vec<String> {
        self.drop.as_ref().map_or(Vec::new(), Chooser::lacks)
    }

    /// By what links are cut, and shaped if it came to that, a sentence each.
    pub fn mechanisms(&self) -> Vec<String> {
        let shaped = match &self.shaping {
            Later::Made(shapes) => Some(format!("links are shaped by {}", shapes.mechanism())),
            Later::Not(_) | Later::Failed => None,
        };
        let cut = match &self.drop {
            Some(drop) => format!("links are cut by {}", drop.how()),
            None => "links are cut by a switch in user space, through which all packets pass".to_owned(),
        };
        [cut].into_iter().chain(shaped).collect()
    }

    /// How links are shaped here, making it ready if it is not.
    ///
    /// # Errors
    /// When there is no way to do all of this.
    pub fn shaped_by(&mut self, wanted: &[Wrong]) -> Result<&'static str, BackendError> {
        let link = |wrong: &Wrong| {
            let mut link = Link::default();
            link.join(*wrong);
            link
        };
        let wanted: Vec<Link> = wanted.iter().map(link).collect();
        let shapes = self.shaping(Some(&wanted))?;
        if let Shapes::Tc(tc) = shapes {
            wanted.iter().try_for_each(|link| tc.may(link))?;
        }
        Ok(shapes.mechanism())
    }

    /// Makes exactly these links as bad as this, idempotently. When it returns, it holds for the next packet.
    ///
    /// # Errors
    /// What the kernel refused, or cannot do at all; the state is then somewhere between.
    pub fn apply(&mut self, links: &BTreeMap<Pair, Link>) -> Result<(), BackendError> {
        if self.switches() {
            self.count_from_here(links)?;
        } else {
            self.cut(links)?;
        }
        if self.shaping.is_made() || links.values().any(Link::is_shaped) {
            match self.shaping(None)? {
                Shapes::Queue(shaping) | Shapes::Switch(shaping) => shaping.apply(links)?,
                Shapes::Tc(tc) => tc.apply(links)?,
            }
        }
        Ok(())
    }

    /// Of pairs that a switch is about to cut, what it has stopped until now.
    fn count_from_here(&mut self, links: &BTreeMap<Pair, Link>) -> Result<(), BackendError> {
        let Later::Made(Shapes::Switch(shaping)) = &self.shaping else { return Ok(()) };
        let counted = shaping.traffic()?;
        let cut = |link: &Link| link.cut.filter(|_| link.is_stopped());
        self.stopped.retain(|pair, (how, _)| links.get(pair).and_then(cut) == Some(*how));
        for (pair, how) in links.iter().filter_map(|(pair, link)| Some((pair, cut(link)?))) {
            let before = counted.get(pair).map_or(0, |traffic| traffic.stopped);
            self.stopped.entry(*pair).or_insert((how, before));
        }
        Ok(())
    }

    /// Makes the cuts that look at no packet.
    fn cut(&mut self, links: &BTreeMap<Pair, Link>) -> Result<(), BackendError> {
        let cut = |how: Cut| -> BTreeSet<Pair> {
            links.iter().filter(|(_, link)| link.cut == Some(how)).map(|(pair, _)| *pair).collect()
        };
        if let Some(drop) = &mut self.drop {
            drop.apply(&cut(Cut::Drop))?;
        }
        for (how, treatment) in [(Cut::Reset, Treatment::Reset), (Cut::Refuse, Treatment::Refuse)] {
            let pairs = cut(how);
            let (place, iptables) = (&self.place, self.iptables.as_ref());
            let later = if how == Cut::Reset { &mut self.reset } else { &mut self.refuse };
            if !pairs.is_empty() || later.is_made() {
                let make = |netlink| Chooser::make(netlink, iptables, place.clone(), treatment);
                later.made(make)?.apply(&pairs)?;
            }
        }
        Ok(())
    }

    /// Packets stopped for each pair that is cut now, since it was cut; empty where the kernel does not count.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn dropped(&mut self) -> Result<BTreeMap<Pair, u64>, BackendError> {
        if let Later::Made(Shapes::Switch(shaping)) = &self.shaping {
            let counted = shaping.traffic()?;
            let now = |pair| counted.get(pair).map_or(0, |traffic| traffic.stopped);
            return Ok(self.stopped.iter().map(|(pair, (_, before))| (*pair, now(pair) - before)).collect());
        }
        let mut dropped = self.drop.as_mut().map_or(Ok(BTreeMap::new()), Chooser::dropped)?;
        for later in [&mut self.reset, &mut self.refuse] {
            if let Later::Made(cuts) = later {
                dropped.extend(cuts.dropped()?);
            }
        }
        Ok(dropped)
    }

    /// What was done to the packets of links that were ever shaped.
    ///
    /// # Errors
    /// When the shaper could not do its work.
    pub fn traffic(&mut self) -> Result<BTreeMap<Pair, Traffic>, BackendError> {
        match &mut self.shaping {
            Later::Made(Shapes::Queue(shaping) | Shapes::Switch(shaping)) => shaping.traffic(),
            Later::Made(Shapes::Tc(tc)) => tc.traffic(),
            Later::Not(_) | Later::Failed => Ok(BTreeMap::new()),
        }
    }

    /// Who shapes, made for links that are to be as bad as this: the first that can. Once made, it stays. Where nothing is said of
    /// that the nodes run already, and it is too late for a switch.
    fn shaping(&mut self, wanted: Option<&[Link]>) -> Result<&mut Shapes, BackendError> {
        let (place, seed, iptables) = (&self.place, self.seed, self.iptables.as_ref());
        let shaped_by = self.shaped_by;
        let pen = self.pen.clone();
        let made = self.shaping.made(|Ways { queue, traffic_control, switch, sender }| {
            let start = |source, sender| Shaping::start(source, sender, place.clone(), seed, pen);
            let start_tc = || Tc::start(traffic_control, place.clone());
            match shaped_by {
                ShapedBy::Queue => start(Source::queue(queue, iptables, place)?, sender).map(Shapes::Queue),
                ShapedBy::Tc => start_tc().map(Shapes::Tc),
                ShapedBy::Switch => {
                    start(Source::switch(switch, &sender, place)?, sender).map(Shapes::Switch)
                }
                // What is told if there is none is how to get the best one.
                ShapedBy::Best => match Source::queue(queue, iptables, place) {
                    Ok(source) => start(source, sender).map(Shapes::Queue),
                    Err(error) => {
                        let tc = start_tc();
                        let may = |tc: &Tc, wanted: &[Link]| wanted.iter().all(|link| tc.may(link).is_ok());
                        let enough = wanted.is_none_or(|all| tc.as_ref().is_ok_and(|tc| may(tc, all)));
                        let source = (!enough).then(|| Source::switch(switch, &sender, place));
                        match source {
                            Some(Ok(source)) => start(source, sender).map(Shapes::Switch),
                            _ => tc.map(Shapes::Tc).map_err(|_| error),
                        }
                    }
                },
            }
        });
        let shapes = made?;
        if matches!(shapes, Shapes::Switch(_)) {
            // What passes through it is not forwarded: no table would see it.
            self.drop = None;
        }
        Ok(shapes)
    }
}

impl Shapes {
    fn mechanism(&self) -> &'static str {
        match self {
            Shapes::Queue(shaping) | Shapes::Switch(shaping) => shaping.mechanism(),
            Shapes::Tc(tc) => tc.mechanism(),
        }
    }
}

/// Something that is made when it is first needed, out of what lies ready for it.
enum Later<From, Made> {
    Not(From),
    Made(Made),
    Failed,
}

impl<From, Made> Later<From, Made> {
    fn is_made(&self) -> bool {
        matches!(self, Later::Made(_))
    }

    fn made(
        &mut self,
        make: impl FnOnce(From) -> Result<Made, BackendError>,
    ) -> Result<&mut Made, BackendError> {
        if let Later::Not(_) = self {
            let Later::Not(from) = std::mem::replace(self, Later::Failed) else { unreachable!("seen above") };
            *self = Later::Made(make(from)?);
        }
        match self {
            Later::Made(made) => Ok(made),
            _ => Err(BackendError::Unsupported {
                problem: "this kind of fault was refused before".into(),
                remedy: "see schism doctor".into(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    use super::super::cuts::Hook;
    use super::super::system::{check, die_with_parent};
    use super::*;
    use crate::backend::sandbox::enter::isolate;
    use crate::backend::sandbox::links::loopback;
    use crate::backend::sandbox::probe::{Found, in_child, works};
    use crate::cluster::{Endpoint, Node};
    use crate::link::{Delay, Duplicate, Flap, Loss, Reorder, Share, Wrong};

    const PAIR: Pair = (Endpoint::Node(Node(0)), Endpoint::Node(Node(1)));
    const HOUR: Duration = Duration::from_secs(3600);
    const CUTS: &[Wrong] = &[
        Wrong::Cut(Cut::Drop),
        Wrong::Cut(Cut::Reset),
        Wrong::Cut(Cut::Refuse),
        Wrong::Cut(Cut::Swallow),
        Wrong::CutPort(7000),
    ];
    const SLOW: &[Wrong] = &[
        Wrong::Flap(Flap { down: HOUR, up: HOUR }),
        Wrong::Delay(Delay { mean: HOUR, jitter: Duration::ZERO, spread: crate::link::Spread::Uniform }),
        Wrong::Reorder(Reorder { share: Share::ALL, by: HOUR }),
        Wrong::Rate(1),
    ];
    const LOSSY: &[Wrong] = &[
        Wrong::Loss(Loss::Random(Share::ALL)),
        Wrong::Mtu(20),
        Wrong::CutBehind(3),
        Wrong::Duplicate(Duplicate::ALL),
        Wrong::Evade(Share::ALL),
        Wrong::Corrupt(Share::ALL),
    ];

    /// Whether anything is wrong with the way from one socket to the other: a word does not come once and as it was.
    fn is_wrong([from, to]: &[UdpSocket; 2]) -> bool {
        let mut word = [0; 16];
        to.set_nonblocking(true).expect("asking not to wait");
        while to.recv(&mut word).is_ok() {}
        to.set_nonblocking(false).expect("waiting again");
        from.send_to(b"0000", "127.0.0.2:7000").expect("sending");
        let first = to.recv(&mut word);
        first.is_err() || word[..4] != *b"0000" || to.recv(&mut word).is_ok()
    }

    fn tables() -> usize {
        let mut netlink = Netlink::open(libc::NETLINK_NETFILTER as isize).expect("a socket");
        netlink.dump(10 << 8 | 1, "tables", &[0; 4]).expect("a list").len()
    }

    /// A controller in a process of its own, which says when the fault is there and stays until it is killed.
    fn controller(wrong: Wrong) -> libc::pid_t {
        let (mut ours, mut theirs) = UnixStream::pair().expect("a pair");
        // SAFETY: the process has no other thread; the child does its work and never returns.
        let pid = unsafe { check(libc::fork()).expect("forking") };
        if pid == 0 {
            die_with_parent().expect("binding the child to its parent");
            let nodes = vec![[127, 0, 0, 1].into(), [127, 0, 0, 2].into()];
            let (clients, hooks) = ([127, 0, 0, 9].into(), &[Hook::Input][..]);
            let place = Place { run: "killed".into(), hooks, clients, nodes, nodes_only: None };
            let mut matrix = Matrix::create(Sockets::open().expect("sockets"), place, 7).expect("a matrix");
            let mut link = Link::default();
            link.join(wrong);
            matrix.apply(&[(PAIR, link)].into()).expect("applying");
            theirs.write_all(b"!").expect("telling");
            loop {
                std::thread::park();
            }
        }
        drop(theirs);
        ours.read_exact(&mut [0]).expect("the controller says that the fault is there");
        pid
    }

    /// In a namespace that is not the controller's own and survives it, as a container's does.
    fn ends_with_its_controller(wrongs: &[Wrong]) -> Result<Found, BackendError> {
        isolate()?;
        let failed = |error| BackendError::system("preparing the namespace")(error);
        loopback(&mut Netlink::open(libc::NETLINK_ROUTE as isize).map_err(failed)?)?;
        let sockets = [UdpSocket::bind("127.0.0.1:0"), UdpSocket::bind("127.0.0.2:7000")];
        let sockets = sockets.map(|socket| socket.expect("a socket"));
        sockets[1].set_read_timeout(Some(Duration::from_millis(40))).expect("a limit");
        assert!(!is_wrong(&sockets) && tables() == 0);
        for wrong in wrongs {
            let pid = controller(*wrong);
            assert!(is_wrong(&sockets) && tables() > 0, "{wrong:?} is not felt");
            // SAFETY: the process is our child and not yet waited for; a null status is allowed.
            unsafe {
                check(libc::kill(pid, libc::SIGKILL)).expect("killing");
                check(libc::waitpid(pid, std::ptr::null_mut(), 0)).expect("waiting");
            }
            let killed = Instant::now();
            while is_wrong(&sockets) || tables() > 0 {
                assert!(killed.elapsed() < Duration::from_secs(30), "{wrong:?} outlives its controller");
            }
        }
        Ok(works("gone"))
    }

    fn judge(found: &Found) {
        if !found.works && found.how.contains("namespace") {
            assert!(std::env::var_os("CI").is_none(), "{found:?}");
            println!("skipped: sandbox: {}", found.how);
        } else {
            assert!(found.works, "{found:?}");
        }
    }

    #[test]
    fn every_fault_of_links_is_felt_and_ends_with_its_controller() {
        judge(&in_child(|| ends_with_its_controller(CUTS)));
        judge(&in_child(|| ends_with_its_controller(SLOW)));
        judge(&in_child(|| ends_with_its_controller(LOSSY)));
    }
}
