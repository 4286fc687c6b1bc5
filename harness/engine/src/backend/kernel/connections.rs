//! Ends live TCP connections of a network namespace, as the kernel's own `SOCK_DESTROY` does: both ends learn of it at once, and
//! whoever had them must connect again.
//!
//! No rule stays behind: what is connected anew goes on. Whether the kernel can do it (`CONFIG_INET_DIAG_DESTROY`) shows when it
//! is tried.

use std::io;
use std::net::Ipv6Addr;

use super::netlink::{ACKNOWLEDGE, Answer, Batch, Netlink};

/// `SOCK_DIAG_BY_FAMILY` and `SOCK_DESTROY` (`linux/sock_diag.h`).
const LIST: u16 = 20;
const DESTROY: u16 = 21;
/// `TCP_ESTABLISHED`, as a bit.
const ESTABLISHED: u32 = 1 << 1;
/// Every state, as bits.
const ALL: u32 = u32::MAX;
/// `struct inet_diag_sockid`: ports, addresses, interface, cookie.
const IDENTITY: usize = 48;
/// Where it stands in `struct inet_diag_msg`.
const IDENTITY_AT: usize = 4;

/// Ends connections of the namespace in which its socket was opened.
pub struct Connections(Netlink);

impl Connections {
    /// Opens the socket, in the calling thread's network namespace.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn open() -> io::Result<Self> {
        Netlink::open(libc::NETLINK_SOCK_DIAG as isize).map(Connections)
    }

    /// Ends every established connection but those with itself, and says how many those were.
    ///
    /// # Errors
    /// When the kernel does not let us, or cannot.
    pub fn end(&mut self) -> io::Result<u64> {
        let mut ended = 0;
        // A socket that is open for both has its connections by IPv4 in the other family.
        for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
            for identity in self.list(family, ESTABLISHED)? {
                if !is_own(family, &identity) {
                    ended += u64::from(self.destroy(family, &identity)?);
                }
            }
        }
        Ok(ended)
    }

    /// Forgets every connection there is, those included whose processes have ended and that the kernel brings to their end.
    ///
    /// # Errors
    /// When the kernel does not tell of them. One that it cannot end stays until it has ended by itself.
    pub fn forget(&mut self) -> io::Result<()> {
        for family in [libc::AF_INET as u8, libc::AF_INET6 as u8] {
            for identity in self.list(family, ALL)? {
                match self.destroy(family, &identity) {
                    Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
                    done => drop(done?),
                }
            }
        }
        Ok(())
    }

    /// Connections in these states, by what the kernel knows them.
    fn list(&mut self, family: u8, states: u32) -> io::Result<Vec<Vec<u8>>> {
        let listed = self.0.dump(LIST, "listing connections", &request(family, states, &[0; IDENTITY]));
        let listed = match listed {
            // A kernel without IPv6 has none of its connections.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            listed => listed?,
        };
        let identity = |answer: Answer| Some(answer.body.get(IDENTITY_AT..IDENTITY_AT + IDENTITY)?.to_vec());
        Ok(listed.into_iter().filter_map(identity).collect())
    }

    /// Whether the kernel could end one: is asked to end one that there is not.
    ///
    /// # Errors
    /// Why not.
    pub fn attempt(&mut self) -> io::Result<()> {
        self.destroy(libc::AF_INET as u8, &[0; IDENTITY]).map(drop)
    }

    /// Whether it was there to be ended.
    fn destroy(&mut self, family: u8, identity: &[u8]) -> io::Result<bool> {
        let mut batch = Batch::default();
        batch.push(DESTROY, ACKNOWLEDGE, "ending a connection", &request(family, ESTABLISHED, identity));
        match self.0.transact(batch) {
            Ok(()) => Ok(true),
            // It has ended by itself since.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// `struct inet_diag_req_v2`.
fn request(family: u8, states: u32, identity: &[u8]) -> Vec<u8> {
    let mut request = vec![family, libc::IPPROTO_TCP as u8, 0, 0];
    request.extend(states.to_ne_bytes());
    request.extend(identity);
    request
}

/// Whether both ends of a connection are the same machine's.
fn is_own(family: u8, identity: &[u8]) -> bool {
    let to = &identity[20..36];
    if family == libc::AF_INET as u8 {
        return to[0] == 127 || identity[4..8] == to[..4];
    }
    let address = Ipv6Addr::from(<[u8; 16]>::try_from(to).expect("sixteen bytes"));
    let mapped = address.to_ipv4_mapped();
    address.is_loopback() || mapped.is_some_and(|one| one.is_loopback()) || identity[4..20] == *to
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_with_oneself_are_left_alone() {
        let identity = |from: [u8; 16], to: [u8; 16]| {
            let mut identity = vec![0; 4];
            identity.extend(from);
            identity.extend(to);
            identity.resize(IDENTITY, 0);
            identity
        };
        let four = |last| {
            let mut address = [0; 16];
            address[..4].copy_from_slice(&[198, 18, 0, last]);
            address
        };
        let six = |last| std::net::Ipv4Addr::new(198, 18, 0, last).to_ipv6_mapped().octets();
        let (v4, v6) = (libc::AF_INET as u8, libc::AF_INET6 as u8);
        assert!(is_own(v4, &identity(four(1), four(1))) && is_own(v6, &identity(six(1), six(1))));
        assert!(!is_own(v4, &identity(four(1), four(2))) && !is_own(v6, &identity(six(1), six(2))));
        assert!(is_own(v6, &identity(six(1), Ipv6Addr::LOCALHOST.octets())));
        assert_eq!(request(v4, ALL, &[0; IDENTITY]).len(), 56);
    }
}
