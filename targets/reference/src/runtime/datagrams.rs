//! Messages as UDP datagrams, where `--links udp` asks for them: each by itself, sent at once, and never again.
//!
//! What is too long for one packet goes over the TCP connection, as do all messages otherwise. So messages come in any order,
//! twice, or not at all, as protocols have to expect; over TCP alone they hardly ever see that. Datagrams are checked as frames
//! are: by their own checksum, and for whose they are.

use std::collections::BTreeMap;
use std::net::{SocketAddr, UdpSocket};

use serde::de::DeserializeOwned;

use super::logging;
use super::peers::{ATTEMPT_EVERY, Frames, Identity, MAX_MESSAGE, greeting};
use crate::protocol::NodeId;

/// The longest datagram in bytes: it fits into one packet on every link there is.
const MAX_DATAGRAM: usize = 1200;

/// Sends datagrams to the other nodes.
pub struct Datagrams {
    socket: UdpSocket,
    /// Where each is, and how it is greeted.
    peers: BTreeMap<NodeId, (SocketAddr, Vec<u8>)>,
}

impl Datagrams {
    /// From this socket, which does not block, to nodes at these addresses.
    pub fn new(socket: UdpSocket, me: &Identity, peers: &BTreeMap<NodeId, SocketAddr>) -> Self {
        let greeted = peers.iter().map(|(&peer, &address)| (peer, (address, me.greets(peer))));
        Datagrams { socket, peers: greeted.collect() }
    }

    /// Sends a frame; `false` if it is too long for that. It may never arrive.
    pub(super) fn send(&self, to: NodeId, frame: &[u8]) -> bool {
        let Some((address, hello)) = self.peers.get(&to) else { return false };
        let datagram = [hello, frame].concat();
        if datagram.len() > MAX_DATAGRAM {
            return false;
        }
        // A full buffer, or no way to get there: it is lost here, as it could be anywhere else.
        let _ = self.socket.send_to(&datagram, address);
        true
    }
}

/// Takes datagrams from other nodes, for ever. Each message is handed to `deliver`, which must not block.
pub async fn receive<M, F>(me: Identity, peers: Vec<NodeId>, socket: tokio::net::UdpSocket, deliver: F)
where
    M: DeserializeOwned,
    F: Fn(NodeId, M),
{
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        match socket.recv_from(&mut buffer).await {
            Ok((length, address)) => match understood(&me, &peers, &buffer[..length]) {
                Ok((from, message)) => deliver(from, message),
                Err(why) => logging::line(me.node, format_args!("dropped a datagram of {address}: {why}")),
            },
            // An earlier one found nobody at the other end, or the kernel has no memory: time may help.
            Err(_) => tokio::time::sleep(ATTEMPT_EVERY / 100).await,
        }
    }
}

/// Two frames: a greeting, and the message.
fn understood<M: DeserializeOwned>(
    me: &Identity,
    peers: &[NodeId],
    datagram: &[u8],
) -> Result<(NodeId, M), String> {
    let mut frames = Frames::of(datagram.to_vec(), MAX_MESSAGE);
    let mut next = || frames.next()?.ok_or_else(|| "it was cut off".to_owned());
    let from = greeting(me, peers, &next()?)?;
    let message = serde_json::from_slice(&next()?);
    message.map(|message| (from, message)).map_err(|error| format!("{from} sent no message: {error}"))
}

#[cfg(test)]
#[path = "datagrams_tests.rs"]
mod tests;
