//! Which addresses a run's network gets: a /24 of 198.18.0.0/15 that neither the engine nor this machine uses.
//!
//! 198.18.0.0/15 is set aside for benchmarks of networks (RFC 2544). In a network, `.1` is the gateway and the upper half
//! is the nodes' alone, so that whoever comes from elsewhere can be told to be a client.

use std::net::Ipv4Addr;

/// How many networks there are to choose from.
const NETWORKS: u32 = 512;
const FIRST: u32 = u32::from_be_bytes([198, 18, 0, 0]);

/// A network of 256 addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subnet(Ipv4Addr);

impl Subnet {
    /// In the notation of engines.
    pub(super) fn text(self) -> String {
        format!("{}/24", self.0)
    }

    /// Where clients come from, if they are on the engine's machine.
    pub(super) fn gateway(self) -> Ipv4Addr {
        self.address(1)
    }

    /// A node's address.
    pub(super) fn node(self, index: usize) -> Ipv4Addr {
        self.address(129 + u32::try_from(index).expect("there are 99 nodes at most"))
    }

    /// Where only nodes are: address and mask.
    pub(super) fn nodes_only(self) -> (Ipv4Addr, Ipv4Addr) {
        (self.address(128), Ipv4Addr::new(255, 255, 255, 128))
    }

    fn address(self, last: u32) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.0) | last)
    }
}

/// Networks that nobody in `taken` uses, beginning at some place that `start` decides, so that runs beginning together
/// do not all try the same one.
pub(super) fn free(taken: &[(Ipv4Addr, u8)], start: u32) -> impl Iterator<Item = Subnet> {
    let all = (0..NETWORKS).map(move |step| FIRST + ((start % NETWORKS + step) % NETWORKS) * 256);
    all.filter(|network| !taken.iter().any(|used| overlap(*network, *used))).map(|n| Subnet(n.into()))
}

fn overlap(network: u32, (other, length): (Ipv4Addr, u8)) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(length.min(24))).unwrap_or(0);
    network & mask == u32::from(other) & mask
}

/// A network as an engine writes it.
pub(super) fn parse(text: &str) -> Option<(Ipv4Addr, u8)> {
    let (address, length) = text.split_once('/')?;
    Some((address.parse().ok()?, length.parse().ok().filter(|length| *length <= 32)?))
}

/// The networks to which this machine has a route of its own, from `/proc/net/route`. The way to everywhere is none.
pub(super) fn routed(table: &str) -> Vec<(Ipv4Addr, u8)> {
    let route = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let number = |at: usize| u32::from_str_radix(fields.get(at)?, 16).ok();
        // The kernel prints the numbers as they lie in memory.
        let (network, mask) = (number(1)?, number(7)?);
        Some((Ipv4Addr::from(network.to_ne_bytes()), mask.count_ones() as u8))
    };
    table.lines().skip(1).filter_map(route).filter(|(_, length)| *length > 0).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_free_network_overlaps_with_none_that_is_taken() {
        let taken = ["198.18.0.0/17", "198.18.128.0/24", "198.18.129.7/32", "10.0.0.0/8"]
            .map(|text| parse(text).unwrap());
        let mut found = free(&taken, 0);
        assert_eq!(found.next().map(Subnet::text).as_deref(), Some("198.18.130.0/24"));
        assert_eq!(found.count(), 512 - 128 - 2 - 1);
        assert_eq!(free(&[parse("198.18.0.0/15").unwrap()], 3).count(), 0);
        assert_eq!(free(&[], 511).next().map(Subnet::text).as_deref(), Some("198.19.255.0/24"));
    }

    #[test]
    fn nodes_are_among_themselves() {
        let subnet = free(&[], 7).next().unwrap();
        assert_eq!((subnet.gateway(), subnet.node(0)), ([198, 18, 7, 1].into(), [198, 18, 7, 129].into()));
        let (network, mask) = subnet.nodes_only();
        let inside = |address: Ipv4Addr| u32::from(address) & u32::from(mask) == u32::from(network);
        assert!(inside(subnet.node(98)) && !inside(subnet.gateway()));
    }

    #[test]
    fn routes_are_read_as_the_kernel_prints_them() {
        let network = u32::from_ne_bytes([198, 18, 3, 0]);
        let mask = u32::from_ne_bytes([255, 255, 255, 0]);
        let table = format!(
            "Iface Destination …\neth0 00000000 01 0003 0 0 0 00000000 0 0 0\nbr {network:08X} 0 1 0 0 0 {mask:08X} 0 0 0\n"
        );
        assert_eq!(routed(&table), [(Ipv4Addr::new(198, 18, 3, 0), 24)]);
    }
}
