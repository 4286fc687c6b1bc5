//! A whole node: starts the threads, and turns the crank of the protocol.
//!
//! A turn: take what waits (at most [`MAX_BATCH`] inputs), hand it to the protocol, make what it wants durable with one
//! fsync, and only then let its messages and responses go. Time comes as a tick every [`Protocol::TICK`]; ticks that were
//! missed (the process was stopped, the disk was slow) are not made up for, since the protocol sees the clock anyway.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::sync::oneshot;

use super::arguments::Arguments;
use super::datagrams::{self, Datagrams};
use super::disk::{Cut, Disk, Flaws, NO_CHECKSUM};
use super::error::NodeError;
use super::http::{self, Front};
use super::logging;
use super::peers::{self, BACKOFF_KEPT, BackoffKept, Identity, Links};
use crate::protocol::{
    ACK_BEFORE_FSYNC, Clock, Input, NodeId, Output, Protocol, Recovered, Request, Response, Status, Ticket,
};

/// How many inputs one turn takes.
pub const MAX_BATCH: usize = 512;
/// How many inputs may wait for a turn: more messages are dropped, more requests refused.
const MAX_WAITING: usize = 4096;

/// What the network thread hands to the protocol's thread.
enum Arrival<M> {
    Message { from: NodeId, message: M },
    Request { request: Request, reply: oneshot::Sender<Response> },
}

/// Runs a node until SIGTERM or SIGINT. The calling thread becomes the protocol's.
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run<P: Protocol>(arguments: Arguments) -> Result<(), NodeError> {
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGTERM, signal_hook::consts::SIGINT] {
        signal_hook::flag::register(signal, stop.clone())
            .map_err(|error| NodeError::Network(format!("cannot be told of signals: {error}")))?;
    }
    run_until::<P>(arguments, &stop)
}

/// Runs a node until `stop` is set. What is set is seen within [`Protocol::TICK`].
///
/// # Errors
/// When it cannot start, or cannot go on.
pub fn run_until<P: Protocol>(arguments: Arguments, stop: &AtomicBool) -> Result<(), NodeError> {
    let config = arguments.config::<P>()?;
    let id = config.id;
    let listeners = Listeners::bind(&arguments)?;
    let flaws = Flaws {
        ack_before_fsync: arguments.bugs.contains(ACK_BEFORE_FSYNC.name),
        no_checksum: arguments.bugs.contains(NO_CHECKSUM.name),
    };
    let (disk, found) = Disk::<P::Record, P::Snapshot>::open(&arguments.data, id, flaws)?;
    if let Some(Cut { path, offset, bytes }) = &found.cut {
        let path = path.display();
        logging::line(id, format_args!("cut a torn tail of {bytes} bytes off {path} at byte {offset}"));
    }
    let bugs: Vec<&str> = arguments.bugs.iter().map(String::as_str).collect();
    logging::line(
        id,
        format_args!(
            "started: clients at {}, nodes at {}, data in {}, {} and {} records recovered{}{}",
            arguments.client,
            arguments.peers[&id],
            arguments.data.display(),
            if found.snapshot.is_some() { "a snapshot" } else { "no snapshot" },
            found.records.len(),
            if bugs.is_empty() { "" } else { ", planted bugs: " },
            bugs.join(" "),
        ),
    );
    let started = Instant::now();
    let recovered = Recovered { snapshot: found.snapshot, records: found.records };
    let protocol = P::start(config, recovered, clock(started));
    let (arrivals, waiting) = sync_channel(MAX_WAITING);
    let links = links(&arguments, &listeners)?;
    let status = Arc::new(RwLock::new(protocol.status()));
    let network = Network::start::<P>(&arguments, listeners, arrivals, links.clone(), status.clone())?;
    let mut node = Node {
        id,
        protocol,
        disk,
        links,
        started,
        next_tick: Instant::now(),
        replies: HashMap::new(),
        tickets: 0,
        status,
    };
    let ended = node.turns(&waiting, stop, &network);
    network.end();
    ended?;
    node.disk.close()?;
    logging::line(id, "stopped");
    Ok(())
}

fn links(arguments: &Arguments, listeners: &Listeners) -> Result<Links, NodeError> {
    let links = Links::new(arguments.peers.keys().copied().filter(|&peer| peer != arguments.id));
    let Some(socket) = &listeners.datagrams else { return Ok(links) };
    let socket = socket.try_clone().map_err(|error| NodeError::Network(format!("cannot start: {error}")))?;
    Ok(links.with_datagrams(Datagrams::new(socket, &identity(arguments), &arguments.peers)))
}

fn identity(arguments: &Arguments) -> Identity {
    let (node, cluster) = (arguments.id, arguments.cluster.clone());
    Identity { node, cluster, ip: arguments.peers[&node].ip() }
}

fn clock(started: Instant) -> Clock {
    Clock {
        monotonic: started.elapsed(),
        wall: SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(),
    }
}

/// When the tick after the one of `due` is due, if it is `now` already: ticks that were missed are not made up for.
fn next_tick(due: Instant, now: Instant, tick: Duration) -> Instant {
    (due + tick).max(now)
}

/// The protocol's thread.
struct Node<P: Protocol> {
    id: NodeId,
    protocol: P,
    disk: Disk<P::Record, P::Snapshot>,
    links: Links,
    started: Instant,
    next_tick: Instant,
    /// Whom to answer. An entry leaves with its response, or when the client is gone.
    replies: HashMap<Ticket, oneshot::Sender<Response>>,
    tickets: u64,
    status: Arc<RwLock<Status>>,
}

impl<P: Protocol> Node<P> {
    fn turns(
        &mut self,
        waiting: &Receiver<Arrival<P::Message>>,
        stop: &AtomicBool,
        network: &Network,
    ) -> Result<(), NodeError> {
        while !stop.load(Ordering::Relaxed) {
            if network.has_ended() {
                return Err(NodeError::Network("ended by itself".into()));
            }
            self.turn(waiting)?;
        }
        Ok(())
    }

    /// One turn: at least one input, or a tick.
    fn turn(&mut self, waiting: &Receiver<Arrival<P::Message>>) -> Result<(), NodeError> {
        let mut output = Output::default();
        let until_tick = self.next_tick.saturating_duration_since(Instant::now());
        match waiting.recv_timeout(until_tick) {
            Ok(first) => {
                self.take(first, &mut output);
                for arrival in waiting.try_iter().take(MAX_BATCH - 1) {
                    self.take(arrival, &mut output);
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(NodeError::Network("ended by itself".into()));
            }
        }
        let now = Instant::now();
        if now >= self.next_tick {
            self.next_tick = next_tick(self.next_tick, now, P::TICK);
            self.protocol.handle(clock(self.started), Input::Tick, &mut output);
            self.replies.retain(|_, reply| !reply.is_closed());
        }
        self.disk.commit(output.disk)?;
        for (to, message) in &output.send {
            if let Err(why) = self.links.send(*to, message) {
                logging::line(self.id, format_args!("cannot send a message to {to}: {why}"));
            }
        }
        for (ticket, response) in output.reply {
            if let Some(reply) = self.replies.remove(&ticket) {
                // A client that went away in the meantime is not waiting for an answer.
                let _ = reply.send(response);
            }
        }
        self.publish();
        Ok(())
    }

    fn take(&mut self, arrival: Arrival<P::Message>, output: &mut Output<P>) {
        let input = match arrival {
            Arrival::Message { from, message } => Input::Message { from, message },
            Arrival::Request { request, reply } => {
                let ticket = Ticket(self.tickets);
                self.tickets += 1;
                self.replies.insert(ticket, reply);
                Input::Request { ticket, request }
            }
        };
        self.protocol.handle(clock(self.started), input, output);
    }

    fn publish(&mut self) {
        let now = self.protocol.status();
        let mut shown = self.status.write().unwrap_or_else(PoisonError::into_inner);
        if (&now.role, now.term, &now.leader) != (&shown.role, shown.term, &shown.leader) {
            let leader = now.leader.as_deref().unwrap_or("unknown");
            logging::line(self.id, format_args!("{} in term {}, leader {leader}", now.role, now.term));
        }
        *shown = now;
    }
}

/// The sockets, bound before anything else so that a taken port is found out first.
struct Listeners {
    clients: std::net::TcpListener,
    nodes: std::net::TcpListener,
    datagrams: Option<std::net::UdpSocket>,
}

impl Listeners {
    fn bind(arguments: &Arguments) -> Result<Self, NodeError> {
        let bind = |whom, address| {
            std::net::TcpListener::bind(address)
                .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
                .map_err(|source| NodeError::Listen { whom, address, source })
        };
        Ok(Listeners {
            clients: bind("clients", arguments.client)?,
            nodes: bind("nodes", arguments.peers[&arguments.id])?,
            datagrams: arguments
                .datagrams
                .then(|| bind_datagrams(arguments.peers[&arguments.id]))
                .transpose()?,
        })
    }
}

fn bind_datagrams(address: SocketAddr) -> Result<std::net::UdpSocket, NodeError> {
    std::net::UdpSocket::bind(address)
        .and_then(|socket| socket.set_nonblocking(true).map(|()| socket))
        .map_err(|source| NodeError::Listen { whom: "nodes' datagrams", address, source })
}

/// The thread that owns all sockets.
struct Network {
    stop: oneshot::Sender<()>,
    thread: thread::JoinHandle<()>,
}

impl Network {
    fn start<P: Protocol>(
        arguments: &Arguments,
        listeners: Listeners,
        arrivals: SyncSender<Arrival<P::Message>>,
        links: Links,
        status: Arc<RwLock<Status>>,
    ) -> Result<Network, NodeError> {
        let failed = |error: std::io::Error| NodeError::Network(format!("cannot start: {error}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let (stop, stopped) = oneshot::channel::<()>();
        let me = identity(arguments);
        let flaw = arguments.bugs.contains(BACKOFF_KEPT.name).then_some(BackoffKept);
        let others = arguments.peers.clone();
        let everything = async move {
            let clients = tokio::net::TcpListener::from_std(listeners.clients)?;
            let nodes = tokio::net::TcpListener::from_std(listeners.nodes)?;
            for (&peer, &address) in others.iter().filter(|(peer, _)| **peer != me.node) {
                tokio::spawn(peers::keep_up(me.clone(), peer, address, links.clone(), flaw));
            }
            let messages = arrivals.clone();
            let deliver = move |from, message| {
                // A full queue means an overloaded node: a lost message is what protocols are made for.
                let _ = messages.try_send(Arrival::Message { from, message });
            };
            let known: Vec<NodeId> = others.keys().copied().collect();
            if let Some(socket) = listeners.datagrams {
                let (socket, deliver) = (tokio::net::UdpSocket::from_std(socket)?, deliver.clone());
                tokio::spawn(datagrams::receive::<P::Message, _>(me.clone(), known.clone(), socket, deliver));
            }
            tokio::spawn(peers::listen::<P::Message, _>(me, known, nodes, deliver));
            let submit = move |request, reply| match arrivals.try_send(Arrival::Request { request, reply }) {
                Ok(()) => true,
                Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
            };
            let front = Front { submit: Arc::new(submit), status };
            tokio::select! {
                served = http::serve(clients, front) => served,
                _ = stopped => Ok(()),
            }
        };
        let node = arguments.id;
        let body = move || {
            if let Err(error) = runtime.block_on(everything) {
                logging::line(node, format_args!("the network thread failed: {error}"));
            }
        };
        let thread = thread::Builder::new().name("network".into()).spawn(body).map_err(failed)?;
        Ok(Network { stop, thread })
    }

    fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Closes all sockets.
    fn end(self) {
        let _ = self.stop.send(());
        let _ = self.thread.join();
    }
}

#[cfg(test)]
#[path = "node_tests.rs"]
mod tests;
