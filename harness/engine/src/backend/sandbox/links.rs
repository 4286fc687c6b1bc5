//! Addresses and links: one small subnet for each endpoint, all of them joined by the fabric, which routes.
//!
//! Every packet between two endpoints is forwarded by the fabric, so that one forward hook there sees them all. The far
//! end of a link is made right inside its endpoint's network namespace: moving it there afterwards would cost one wait
//! for the whole kernel (about 18 ms) each. Interface numbers are chosen here instead of asked for, so that everything
//! in the fabric is a single send.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};

use netlink_packet_core::Emitable;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::cuts::{Hook, Place};
use super::netlink::{Batch, CREATE, EXCLUSIVE, Netlink, number};
use super::switch;
use crate::backend::BackendError;
use crate::cluster::{Endpoint, Node};

/// More nodes than this have no address; a single machine has long given up by then.
pub(super) const MOST_NODES: usize = 254;

/// The fabric's interfaces are numbered from here, the clients' and then the nodes'; the loopback has number 1.
pub(super) const FIRST_INTERFACE: u32 = 16;
/// The far end's number in its own namespace, next to the loopback.
const FAR_INTERFACE: u32 = 2;
const DEVICE: &str = "eth0";
const LOOPBACK: u32 = 1;
/// All our links are of this interface group, so that one message deletes them together.
const GROUP: u32 = 0x5c15;
const PREFIX_BITS: u8 = 24;

const NEW_LINK: u16 = 16;
const DELETE_LINK: u16 = 17;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;

fn subnet(endpoint: Endpoint) -> u8 {
    match endpoint {
        Endpoint::Clients => 0,
        Endpoint::Node(Node(index)) => {
            u8::try_from(index + 1).expect("create() allows no more than MOST_NODES")
        }
    }
}

/// An endpoint's address: 198.18.0.0/15 is set aside for benchmarks of networks (RFC 2544), so it is nobody's.
pub(super) fn address(endpoint: Endpoint) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, subnet(endpoint), 2)
}

/// Where the links of so many nodes are cut: in the fabric, through which all of them go.
pub(super) fn place(run: &str, nodes: usize) -> Place {
    Place {
        run: run.into(),
        hooks: &[Hook::Forward],
        clients: address(Endpoint::Clients),
        nodes: (0..nodes).map(|index| address(Endpoint::Node(Node(index)))).collect(),
        nodes_only: None,
    }
}

fn gateway(endpoint: Endpoint) -> Ipv4Addr {
    Ipv4Addr::new(198, 18, subnet(endpoint), 1)
}

/// Makes a link between the fabric and each endpoint, and sets its near end up.
///
/// # Errors
/// What the kernel refused.
pub(super) fn connect<'a>(
    fabric: &mut Netlink,
    endpoints: impl IntoIterator<Item = (Endpoint, BorrowedFd<'a>)>,
) -> Result<(), BackendError> {
    let mut batch = Batch::default();
    for (endpoint, namespace) in endpoints {
        let near = FIRST_INTERFACE + u32::from(subnet(endpoint));
        // The far end cannot be up before it has a near end; that one is, as soon as it is there.
        let mut far = LinkMessage::default();
        far.header.index = FAR_INTERFACE;
        far.attributes =
            vec![LinkAttribute::IfName(DEVICE.into()), LinkAttribute::NetNsFd(namespace.as_raw_fd())];
        let mut link = up(near);
        link.attributes = vec![
            LinkAttribute::IfName(format!("schism-{endpoint}")),
            LinkAttribute::Group(GROUP),
            LinkAttribute::LinkInfo(vec![
                LinkInfo::Kind(InfoKind::Veth),
                LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far))),
            ]),
        ];
        let flags = CREATE | EXCLUSIVE;
        batch.push(NEW_LINK, flags, format!("making the link to {endpoint}"), &bytes(&link));
        let address = ours(near, gateway(endpoint));
        batch.push(NEW_ADDRESS, flags, format!("the fabric's address for {endpoint}"), &bytes(&address));
    }
    fabric.transact(batch).map_err(BackendError::system("making links"))
}

/// Inside an endpoint's namespace: its address, its loopback, and the fabric as the way to everybody.
///
/// # Errors
/// What the kernel refused.
pub(super) fn settle(inside: &mut Netlink, endpoint: Endpoint) -> Result<(), BackendError> {
    let mut batch = Batch::default();
    batch.push(NEW_LINK, 0, "setting the loopback up", &bytes(&up(LOOPBACK)));
    batch.push(NEW_LINK, 0, "setting the link up", &bytes(&up(FAR_INTERFACE)));
    let flags = CREATE | EXCLUSIVE;
    batch.push(NEW_ADDRESS, flags, "setting the address", &bytes(&ours(FAR_INTERFACE, address(endpoint))));
    batch.push(NEW_ROUTE, flags, "setting the route", &bytes(&way_out(endpoint)));
    inside.transact(batch).map_err(BackendError::system(format!("the network of {endpoint}")))
}

/// Inside a node's namespace: nothing comes or leaves any more, and whoever sends is not told.
///
/// # Errors
/// What the kernel refused.
pub(super) fn unplug(inside: &mut Netlink) -> io::Result<()> {
    let mut link = up(FAR_INTERFACE);
    link.header.flags = LinkFlags::empty();
    let mut batch = Batch::default();
    batch.push(NEW_LINK, 0, "setting the link down", &bytes(&link));
    inside.transact(batch)
}

/// The same undone. The kernel has forgotten the way out with the link.
///
/// # Errors
/// What the kernel refused.
pub(super) fn plug_in(inside: &mut Netlink, node: Node) -> io::Result<()> {
    let mut batch = Batch::default();
    batch.push(NEW_LINK, 0, "setting the link up", &bytes(&up(FAR_INTERFACE)));
    let route = bytes(&way_out(Endpoint::Node(node)));
    batch.push(NEW_ROUTE, CREATE | EXCLUSIVE, "setting the route", &route);
    inside.transact(batch)
}

/// Inside an endpoint's namespace: what it sends is from now on what a wire would carry.
///
/// # Errors
/// What the kernel refused.
pub(super) fn send_as_on_a_wire(inside: &Netlink, endpoint: Endpoint) -> Result<(), BackendError> {
    switch::send_as_on_a_wire(inside, DEVICE)
        .map_err(BackendError::system(format!("taking work from the device of {endpoint}")))
}

/// Sets the loopback up, alone.
///
/// # Errors
/// What the kernel refused.
pub(in crate::backend) fn loopback(inside: &mut Netlink) -> Result<(), BackendError> {
    let mut batch = Batch::default();
    batch.push(NEW_LINK, 0, "setting the loopback up", &bytes(&up(LOOPBACK)));
    inside.transact(batch).map_err(BackendError::system("the fabric's loopback"))
}

/// Deletes all links of the fabric at once, so that their names are free again for the next cluster. Safe to repeat.
///
/// # Errors
/// What the kernel refused.
pub(super) fn disconnect(fabric: &mut Netlink) -> Result<(), BackendError> {
    let mut links = LinkMessage::default();
    links.attributes.push(LinkAttribute::Group(GROUP));
    let mut batch = Batch::default();
    batch.push(DELETE_LINK, 0, "deleting the links", &bytes(&links));
    match fabric.transact(batch) {
        // There are none: they went with their namespaces.
        Err(error) if number(&error) == Some(libc::ENODEV) => Ok(()),
        result => result.map_err(BackendError::system("taking links down")),
    }
}

/// The fabric is an endpoint's way to everybody.
fn way_out(endpoint: Endpoint) -> RouteMessage {
    let mut route = RouteMessage::default();
    route.header.address_family = AddressFamily::Inet;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Universe;
    route.header.kind = RouteType::Unicast;
    route.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway(endpoint))));
    route
}

fn up(index: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = index;
    link.header.flags = LinkFlags::Up;
    link.header.change_mask = LinkFlags::Up;
    link
}

fn ours(interface: u32, address: Ipv4Addr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = PREFIX_BITS;
    message.header.index = interface;
    message.attributes =
        vec![AddressAttribute::Local(IpAddr::V4(address)), AddressAttribute::Address(IpAddr::V4(address))];
    message
}

fn bytes(message: &impl Emitable) -> Vec<u8> {
    let mut bytes = vec![0; message.buffer_len()];
    message.emit(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_endpoint_has_its_own_address() {
        let nodes = (0..MOST_NODES).map(|index| Endpoint::Node(Node(index)));
        let mut taken = std::collections::BTreeSet::new();
        for one in nodes.chain([Endpoint::Clients]) {
            assert!(taken.insert(address(one)) && taken.insert(gateway(one)), "{one}");
        }
    }
}
