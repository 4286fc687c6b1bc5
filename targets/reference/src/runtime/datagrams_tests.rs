//! Real sockets on loopback.

use std::net::{IpAddr, Ipv4Addr};

use super::super::peers::{Links, frame};
use super::*;

const ANYWHERE: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

fn me(node: u8, cluster: &str) -> Identity {
    Identity { node: NodeId(node), cluster: cluster.into(), ip: IpAddr::V4(Ipv4Addr::LOCALHOST) }
}

fn greeted(from: &Identity, to: u8, message: &str) -> Vec<u8> {
    [from.greets(NodeId(to)), frame(message.as_bytes()).unwrap()].concat()
}

#[test]
fn a_datagram_is_understood_only_whole_and_from_a_peer() {
    let (zero, peers) = (me(0, "test"), [NodeId(0), NodeId(1)]);
    let heard = |datagram: &[u8]| understood::<u64>(&zero, &peers, datagram);
    let good = greeted(&me(1, "test"), 0, "7");
    assert_eq!(heard(&good), Ok((NodeId(1), 7)));
    for bit in 0..good.len() * 8 {
        let mut turned = good.clone();
        turned[bit / 8] ^= 1 << (bit % 8);
        assert!(heard(&turned).is_err(), "bit {bit}");
    }
    assert!((0..good.len()).all(|length| heard(&good[..length]).is_err()));
    for (from, to, message, part) in [
        (me(1, "other"), 0, "7", "cluster"),
        (me(2, "test"), 0, "7", "no peer"),
        (me(1, "test"), 1, "7", "mixed up"),
        (me(1, "test"), 0, "x", "no message"),
    ] {
        let why = heard(&greeted(&from, to, message)).unwrap_err();
        assert!(why.contains(part), "{why}");
    }
}

/// A short message goes as a datagram, a long one waits for a connection.
#[tokio::test]
async fn what_fits_into_a_packet_goes_by_itself() {
    let theirs = tokio::net::UdpSocket::bind(ANYWHERE).await.unwrap();
    let peers = [(NodeId(0), theirs.local_addr().unwrap())].into();
    let ours = UdpSocket::bind(ANYWHERE).unwrap();
    let links = Links::new([NodeId(0)]).with_datagrams(Datagrams::new(ours, &me(1, "test"), &peers));
    links.send(NodeId(0), &"long".repeat(1000)).unwrap();
    links.send(NodeId(0), &7_u64).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let deliver = move |from: NodeId, message: u64| tell.send((from, message)).unwrap();
    tokio::spawn(receive(me(0, "test"), vec![NodeId(0), NodeId(1)], theirs, deliver));
    assert_eq!(told.recv().await, Some((NodeId(1), 7)));
}
