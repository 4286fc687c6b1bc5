//! TCP links between nodes. Each node sends over a connection it opened itself and listens on those the others opened.
//!
//! * A message is a frame: length, crc32, JSON. The checksum is there because a fault may flip bits that TCP's own
//!   checksum does not see.
//! * A queue a peer, bounded in number, bytes and age: the oldest are dropped. Protocols tolerate loss.
//! * Whatever arrives is answered by single bytes, at most one every [`ECHO_EVERY`]; an idle sender sends empty frames. A
//!   sender that hears nothing for [`SILENCE`] throws the connection away: after a cut, TCP itself would wait for
//!   as long again as the cut lasted, because it doubles the time between its attempts.
//! * While there is no connection, a new attempt begins every [`ATTEMPT_EVERY`], and earlier ones are not given up: the
//!   first attempt begun after the cut has healed gets through, and on a slow network an old one does.
//!
//! What it cannot do: tell a slow peer from a dead one. A one-way cut stops a link both ways, since TCP needs answers.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep_until, timeout};

use super::datagrams::Datagrams;
use super::logging;
use crate::protocol::{Bug, NodeId};

/// Planted here: how long a node waits between two attempts to reach another.
pub const BACKOFF_KEPT: Bug = Bug {
    name: "backoff-kept",
    about: "twice as long between attempts to reach another node after each of them, and no less once it was reached: each cut \
            takes longer to get over",
};

/// [`BACKOFF_KEPT`] is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffKept;

/// How often a listener answers.
pub const ECHO_EVERY: Duration = Duration::from_millis(100);
/// How long a sender is idle before it sends an empty frame.
pub const IDLE: Duration = Duration::from_millis(150);
/// How long a sender hears nothing before it gives a connection up.
pub const SILENCE: Duration = Duration::from_millis(800);
/// How often a new attempt to connect begins.
pub const ATTEMPT_EVERY: Duration = Duration::from_millis(200);
/// How long it is at most between two attempts when `backoff-kept` is planted.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);
/// How long one attempt may take, and a listener may hear nothing.
pub const PATIENCE: Duration = Duration::from_secs(3);
/// The longest message in bytes.
pub const MAX_MESSAGE: usize = 64 << 20;

/// How many messages may wait for one peer.
const MAX_WAITING: usize = 4096;
/// How many bytes may wait for one peer; a single message may be longer.
const MAX_WAITING_BYTES: usize = 64 << 20;
/// How long a message may wait.
const MAX_AGE: Duration = Duration::from_secs(1);
/// A stranger may not make us keep more than this.
const MAX_HELLO: usize = 4096;
const HEADER: usize = 8;

/// The first frame of a connection: who speaks, and whom it takes us for.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Hello {
    schism: u8,
    cluster: String,
    from: NodeId,
    to: NodeId,
}

/// The links to all peers. Cheap to clone.
#[derive(Clone)]
pub struct Links {
    queues: Arc<BTreeMap<NodeId, Queue>>,
    datagrams: Option<Arc<Datagrams>>,
}

impl Links {
    /// Queues for these peers. Nothing is sent until [`keep_up`] runs.
    pub fn new(peers: impl IntoIterator<Item = NodeId>) -> Self {
        let queues = peers.into_iter().map(|peer| (peer, Queue::default())).collect();
        Links { queues: Arc::new(queues), datagrams: None }
    }

    /// The same, but what is short enough goes as datagrams.
    #[must_use]
    pub fn with_datagrams(self, datagrams: Datagrams) -> Self {
        Links { datagrams: Some(Arc::new(datagrams)), ..self }
    }

    /// Queues a message. It may never arrive.
    ///
    /// # Errors
    /// When it can never be sent, with the reason: a mistake in the protocol, which loses the message and nothing else.
    pub fn send<M: Serialize>(&self, to: NodeId, message: &M) -> Result<(), String> {
        let queue = self.queues.get(&to).ok_or("that is no peer")?;
        let payload = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let too_long = || format!("{} bytes are over the {MAX_MESSAGE} allowed", payload.len());
        let frame = frame(&payload).ok_or_else(too_long)?;
        if !self.datagrams.as_ref().is_some_and(|datagrams| datagrams.send(to, &frame)) {
            queue.push(frame);
        }
        Ok(())
    }
}

/// Frames waiting for one peer.
#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<(Instant, Vec<u8>)>,
    bytes: usize,
}

impl Queue {
    fn push(&self, frame: Vec<u8>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.bytes += frame.len();
        waiting.frames.push_back((Instant::now(), frame));
        while waiting.frames.len() > MAX_WAITING
            || (waiting.bytes > MAX_WAITING_BYTES && waiting.frames.len() > 1)
        {
            waiting.pop();
        }
        drop(waiting);
        self.more.notify_one();
    }

    /// All that waits and is not too old, one after the other. At least one frame, but not much over 1 MiB.
    fn take(&self) -> Vec<u8> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let mut batch = Vec::new();
        while batch.len() < 1 << 20 {
            let Some((since, frame)) = waiting.pop() else { break };
            if since.elapsed() <= MAX_AGE {
                if batch.is_empty() {
                    batch = frame;
                } else {
                    batch.extend(frame);
                }
            }
        }
        batch
    }
}

impl Waiting {
    fn pop(&mut self) -> Option<(Instant, Vec<u8>)> {
        let entry = self.frames.pop_front()?;
        self.bytes -= entry.1.len();
        Some(entry)
    }
}

/// Who we are, to the others.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Which node.
    pub node: NodeId,
    /// Of which cluster.
    pub cluster: String,
    /// Where it listens. It also speaks from there, so that a cut between addresses is a cut between nodes even if they
    /// share an interface.
    pub ip: IpAddr,
}

impl Identity {
    /// The frame that begins what we say to a peer.
    pub(super) fn greets(&self, to: NodeId) -> Vec<u8> {
        let hello = Hello { schism: 1, cluster: self.cluster.clone(), from: self.node, to };
        serde_json::to_vec(&hello).ok().and_then(|payload| frame(&payload)).unwrap_or_default()
    }
}

/// Keeps one connection to `peer` at `address` up, for ever, and sends what is queued for it.
pub async fn keep_up(
    me: Identity,
    peer: NodeId,
    address: SocketAddr,
    links: Links,
    flaw: Option<BackoffKept>,
) {
    let Some(queue) = links.queues.get(&peer) else { return };
    let mut pace = Pace { every: ATTEMPT_EVERY, flaw };
    loop {
        let stream = connect(&me, peer, address, &mut pace).await;
        logging::line(me.node, format_args!("link to {peer} up"));
        let why = talk(stream, queue).await;
        logging::line(me.node, format_args!("link to {peer} down: {why}"));
    }
}

/// Attempts side by side until one is welcomed.
async fn connect(me: &Identity, peer: NodeId, address: SocketAddr, pace: &mut Pace) -> TcpStream {
    let mut attempts = JoinSet::new();
    let mut next = tokio::time::Instant::now() + pace.first();
    loop {
        tokio::select! {
            // Bounded by itself: each attempt is over after its patience.
            () = sleep_until(next) => {
                attempts.spawn(timeout(PATIENCE, attempt(me.ip, address, me.greets(peer))));
                next = tokio::time::Instant::now() + pace.step();
            }
            Some(done) = attempts.join_next() => {
                if let Ok(Ok(Ok(stream))) = done {
                    return stream;
                }
            }
        }
    }
}

/// How often a new attempt begins.
struct Pace {
    every: Duration,
    flaw: Option<BackoffKept>,
}

impl Pace {
    /// How long until the first attempt.
    fn first(&mut self) -> Duration {
        if self.flaw.is_some() { self.step() } else { Duration::ZERO }
    }

    /// How long until the next one.
    fn step(&mut self) -> Duration {
        let every = self.every;
        if let Some(BackoffKept) = self.flaw {
            self.every = (every * 2).min(BACKOFF_MAX);
        }
        every
    }
}

async fn attempt(from: IpAddr, address: SocketAddr, hello: Vec<u8>) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if from.is_ipv4() == address.is_ipv4() && !from.is_unspecified() {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let mut stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    // Closing drops what the kernel still holds: it would be old when it arrived.
    stream.set_zero_linger()?;
    stream.write_all(&hello).await?;
    stream.read_u8().await?;
    Ok(stream)
}

/// Sends until something is wrong with the connection; says what.
async fn talk(mut stream: TcpStream, queue: &Queue) -> String {
    let (mut read, mut write) = stream.split();
    let hear = async {
        let mut heard = [0; 64];
        loop {
            match timeout(SILENCE, read.read(&mut heard)).await {
                Err(_) => break format!("silent for {} ms", SILENCE.as_millis()),
                Ok(Err(error)) => break error.to_string(),
                Ok(Ok(0)) => break "closed by the other side".into(),
                Ok(Ok(_)) => {}
            }
        }
    };
    let say = async {
        let empty = frame(&[]).expect("short");
        loop {
            let batch = queue.take();
            let written = if !batch.is_empty() {
                write.write_all(&batch).await
            } else if timeout(IDLE, queue.more.notified()).await.is_err() {
                write.write_all(&empty).await
            } else {
                Ok(())
            };
            if let Err(error) = written {
                break error.to_string();
            }
        }
    };
    tokio::select! { why = hear => why, why = say => why }
}

/// Takes connections from other nodes, for ever. Each message is handed to `deliver`, which must not block.
pub async fn listen<M, F>(me: Identity, peers: Vec<NodeId>, listener: TcpListener, deliver: F)
where
    M: DeserializeOwned + Send + 'static,
    F: Fn(NodeId, M) + Clone + Send + Sync + 'static,
{
    let peers = Arc::new(peers);
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                let (me, peers, deliver) = (me.clone(), peers.clone(), deliver.clone());
                tokio::spawn(async move {
                    if let Err(why) = hear_out(&me, &peers, stream, deliver).await {
                        logging::line(me.node, format_args!("dropped the connection from {address}: {why}"));
                    }
                });
            }
            Err(error) => {
                // No file descriptors left, most likely: time may bring some back.
                logging::line(me.node, format_args!("cannot accept a node's connection: {error}"));
                tokio::time::sleep(ATTEMPT_EVERY).await;
            }
        }
    }
}

/// Reads one connection to its end. An error is something a node of our cluster would not do.
async fn hear_out<M: DeserializeOwned>(
    me: &Identity,
    peers: &[NodeId],
    mut stream: TcpStream,
    deliver: impl Fn(NodeId, M),
) -> Result<(), String> {
    let mut from = None;
    let mut frames = Frames { limit: MAX_HELLO, ..Frames::default() };
    let mut echoed: Option<Instant> = None;
    let _ = stream.set_nodelay(true);
    loop {
        frames.bytes.reserve(64 << 10);
        match timeout(PATIENCE, stream.read_buf(&mut frames.bytes)).await {
            Ok(Ok(1..)) => {}
            // The end of a connection, in one of its forms: the other side opens a new one if it lives.
            _ if from.is_some() => return Ok(()),
            Ok(Ok(0)) if frames.bytes.is_empty() => return Ok(()),
            _ => return Err("it said nothing we understand".into()),
        }
        while let Some(payload) = frames.next()? {
            match from {
                None => {
                    from = Some(greeting(me, peers, &payload)?);
                    frames.limit = MAX_MESSAGE;
                }
                Some(_) if payload.is_empty() => {}
                Some(from) => match serde_json::from_slice(&payload) {
                    Ok(message) => deliver(from, message),
                    Err(error) => return Err(format!("{from} sent no message of this protocol: {error}")),
                },
            }
        }
        if from.is_some() && echoed.is_none_or(|echoed| echoed.elapsed() >= ECHO_EVERY) {
            // If even one byte finds no room, the other side does not read, and will notice the silence.
            let _ = stream.try_write(&[0]);
            echoed = Some(Instant::now());
        }
    }
}

/// Who is greeting us, if it is one of our cluster who means us.
pub(super) fn greeting(me: &Identity, peers: &[NodeId], payload: &[u8]) -> Result<NodeId, String> {
    let hello: Hello =
        serde_json::from_slice(payload).map_err(|error| format!("it greets like no node: {error}"))?;
    if hello.schism != 1 {
        return Err(format!("{} speaks version {}, not 1", hello.from, hello.schism));
    }
    if hello.cluster != me.cluster {
        return Err(format!("it is of the cluster {:?}, we are of {:?}", hello.cluster, me.cluster));
    }
    if hello.to != me.node {
        return Err(format!(
            "{} takes us for {}: the addresses of the nodes are mixed up",
            hello.from, hello.to
        ));
    }
    if hello.from == me.node || !peers.contains(&hello.from) {
        return Err(format!("{} is no peer of ours", hello.from));
    }
    Ok(hello.from)
}

/// `None` if it is too long.
pub(super) fn frame(payload: &[u8]) -> Option<Vec<u8>> {
    let length = u32::try_from(payload.len()).ok().filter(|_| payload.len() <= MAX_MESSAGE)?;
    let mut frame = Vec::with_capacity(HEADER + payload.len());
    frame.extend(length.to_le_bytes());
    frame.extend(checksum(length, payload).to_le_bytes());
    frame.extend(payload);
    Some(frame)
}

fn checksum(length: u32, payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&length.to_le_bytes());
    hasher.update(payload);
    hasher.finalize()
}

/// Bytes as they arrive, taken apart into frames.
#[derive(Default)]
pub(super) struct Frames {
    bytes: Vec<u8>,
    at: usize,
    limit: usize,
}

impl Frames {
    /// All that there is of them.
    pub(super) fn of(bytes: Vec<u8>, limit: usize) -> Self {
        Frames { bytes, at: 0, limit }
    }

    /// The next whole frame's payload, if it has arrived.
    pub(super) fn next(&mut self) -> Result<Option<Vec<u8>>, String> {
        let rest = &self.bytes[self.at..];
        if let Some(header) = rest.get(..HEADER) {
            let length = u32::from_le_bytes(header[..4].try_into().expect("four bytes"));
            let crc = u32::from_le_bytes(header[4..].try_into().expect("four bytes"));
            let size = usize::try_from(length).unwrap_or(usize::MAX);
            if size > self.limit {
                return Err(format!("a frame of {length} bytes is over the {} allowed", self.limit));
            }
            if let Some(payload) = rest.get(HEADER..HEADER + size) {
                if checksum(length, payload) != crc {
                    return Err("a frame was garbled on its way".into());
                }
                let payload = payload.to_vec();
                self.at += HEADER + size;
                return Ok(Some(payload));
            }
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        Ok(None)
    }
}

#[cfg(test)]
#[path = "peers_tests.rs"]
mod tests;
