//! Cuts by the program `iptables`, where nftables is not to be had: a chain of our own in a network namespace of ours, with
//! a rule for each ordered pair, changed in one step by `iptables-restore --noflush`, and a packet counter for each rule.
//!
//! Nothing but our own chain is ever emptied. Unlike an owned table it does not vanish with its maker: it goes when the value
//! is dropped, and at the latest with the network namespace. It does the same as [`Cuts`](super::cuts::Cuts), thousands of
//! times more slowly: a change takes milliseconds.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::Ipv4Addr;

use super::cuts::{Hook, Pair, Place};
use super::programs::Iptables;
use super::treatment::{OUR_MARK, QUEUE, Treatment};
use crate::backend::BackendError;
use crate::cluster::Endpoint;

/// The cuts of one namespace, of one treatment.
pub struct Chain {
    iptables: Iptables,
    place: Place,
    name: String,
    treatment: Treatment,
    /// Whose rules stand in the chain, in their order there.
    rules: Vec<Pair>,
    applied: BTreeSet<Pair>,
}

impl Chain {
    /// Makes the chain, cutting nothing.
    ///
    /// # Errors
    /// `Unsupported` where the program or the kernel refuses.
    pub fn create(iptables: Iptables, place: Place, treatment: Treatment) -> Result<Self, BackendError> {
        let name = format!("schism{}", treatment.suffix());
        let mut text = format!("*filter\n:{name} - [0:0]\n");
        for hook in place.hooks {
            // What is cut is not shaped: the chain of the queue stands behind all others.
            let place = if treatment.queues() { "-A" } else { "-I" };
            text.push_str(&format!("{place} {} -j {name}\n", parent(*hook)));
        }
        text.push_str("COMMIT\n");
        let unsupported = |error: io::Error| BackendError::Unsupported {
            problem: format!("packets cannot be stopped ({treatment:?}): {error}"),
            remedy: "sudo modprobe nf_tables, or ip_tables".into(),
        };
        iptables.restore(&text).map_err(unsupported)?;
        // From here on, dropping it takes the chain away again.
        let chain = Chain { iptables, place, name, treatment, rules: Vec::new(), applied: BTreeSet::new() };
        // A kernel may know chains and yet not what is to be done in one.
        let probe = (Endpoint::Clients, Endpoint::Clients);
        let clients = chain.place.clients;
        let tried = format!("-s {clients}/32 -d {clients}/32");
        let (add, delete) = (chain.lines("-A", probe, Some(&tried)), chain.lines("-D", probe, Some(&tried)));
        chain.change(&format!("{add}{delete}")).map_err(unsupported)?;
        Ok(chain)
    }

    /// How it is done, for people.
    pub fn how(&self) -> String {
        self.iptables.to_string()
    }

    /// The pairs that are in the chain now.
    pub(super) fn applied(&self) -> &BTreeSet<Pair> {
        &self.applied
    }

    /// Makes exactly these pairs cut, in one step. Counters of pairs that stay cut go on.
    ///
    /// # Errors
    /// What the program or the kernel refused; nothing has changed then.
    pub fn apply(&mut self, wanted: &BTreeSet<Pair>) -> Result<(), BackendError> {
        let mut text = String::new();
        for pair in self.applied.difference(wanted) {
            text.push_str(&self.lines("-D", *pair, None));
        }
        for pair in wanted.difference(&self.applied) {
            text.push_str(&self.lines("-A", *pair, None));
        }
        if text.is_empty() {
            return Ok(());
        }
        self.change(&text).map_err(BackendError::system("cutting and healing links"))?;
        let fresh: Vec<Pair> = wanted.difference(&self.applied).copied().collect();
        self.rules.retain(|pair| wanted.contains(pair));
        self.rules.extend(fresh);
        self.applied.clone_from(wanted);
        Ok(())
    }

    /// Packets that met the rules of each pair that is cut now, since it was cut.
    ///
    /// # Errors
    /// What the program refused, or that somebody else has changed the chain.
    pub fn dropped(&self) -> Result<BTreeMap<Pair, u64>, BackendError> {
        if self.applied.is_empty() {
            return Ok(BTreeMap::new());
        }
        let failed = || BackendError::system("counting dropped packets");
        let saved = self.iptables.save().map_err(failed())?;
        let counters = counters(&saved, &self.name);
        let each = self.treatment.targets().len();
        if counters.len() != self.rules.len() * each {
            let problem = format!("chain {} has {} rules, not ours alone", self.name, counters.len());
            return Err(failed()(io::Error::other(problem)));
        }
        let sums = counters.chunks(each).map(|counters| counters.iter().sum());
        Ok(self.rules.iter().copied().zip(sums).collect())
    }

    fn change(&self, lines: &str) -> io::Result<()> {
        self.iptables.restore(&format!("*filter\n{lines}COMMIT\n"))
    }

    /// The lines that add or delete the rules of a pair.
    fn lines(&self, verb: &str, (from, to): Pair, matching: Option<&str>) -> String {
        let matching = matching
            .map_or_else(|| format!("{} {}", self.side("-s", from), self.side("-d", to)), str::to_owned);
        let target = |target: &String| format!("{verb} {} {matching} {target}\n", self.name);
        self.treatment.targets().iter().map(target).collect()
    }

    /// One end of a pair. Whoever is not a node is a client, where nodes have a network of their own.
    fn side(&self, flag: &str, endpoint: Endpoint) -> String {
        match (endpoint, self.place.nodes_only) {
            (Endpoint::Node(node), _) => format!("{flag} {}/32", self.place.nodes[node.0]),
            (Endpoint::Clients, Some((network, mask))) => {
                format!("! {flag} {network}/{}", length(mask))
            }
            (Endpoint::Clients, None) => format!("{flag} {}/32", self.place.clients),
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        let name = &self.name;
        let mut text: String =
            self.place.hooks.iter().map(|hook| format!("-D {} -j {name}\n", parent(*hook))).collect();
        text.push_str(&format!("-F {name}\n-X {name}\n"));
        // There is nobody left to tell; the namespace takes it along at its end.
        let _ = self.change(&text);
    }
}

impl Treatment {
    /// The same as its rule of nftables, in the words of iptables: of several, the first that fits.
    fn targets(self) -> Vec<String> {
        match self {
            Treatment::Drop => vec!["-j DROP".into()],
            Treatment::Reset => vec!["-p tcp -j REJECT --reject-with tcp-reset".into(), "-j DROP".into()],
            Treatment::Refuse => vec!["-j REJECT --reject-with icmp-port-unreachable".into()],
            Treatment::Queue | Treatment::QueueByExtension => {
                vec![format!("-m mark ! --mark {OUR_MARK:#x} -j NFQUEUE --queue-num {QUEUE} --queue-bypass")]
            }
        }
    }

    fn queues(self) -> bool {
        matches!(self, Treatment::Queue | Treatment::QueueByExtension)
    }
}

fn parent(hook: Hook) -> &'static str {
    match hook {
        Hook::Input => "INPUT",
        Hook::Forward => "FORWARD",
        Hook::Output => "OUTPUT",
    }
}

fn length(mask: Ipv4Addr) -> u32 {
    u32::from(mask).count_ones()
}

/// The packet counters of a chain's rules, in their order, out of what `iptables-save --counters` says.
fn counters(saved: &str, chain: &str) -> Vec<u64> {
    let rule = |line: &str| {
        let (counters, rest) = line.strip_prefix('[')?.split_once("] -A ")?;
        (rest.split(' ').next() == Some(chain)).then(|| counters.split_once(':')?.0.parse().ok()).flatten()
    };
    saved.lines().filter_map(rule).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_those_of_our_own_chain() {
        let saved = "# Generated\n*filter\n:INPUT ACCEPT [9:900]\n:schism - [0:0]\n:schism-reset - [0:0]\n\
                     [9:900] -A INPUT -j schism\n[1:60] -A schism-reset -s 1.2.3.4/32 -j DROP\n\
                     [3:180] -A schism -s 198.18.7.129/32 -d 198.18.7.130/32 -j DROP\n\
                     [4:240] -A schism ! -s 198.18.7.128/25 -d 198.18.7.130/32 -j DROP\nCOMMIT\n";
        assert_eq!(counters(saved, "schism"), [3, 4]);
        assert_eq!(counters(saved, "schism-reset"), [1]);
        assert_eq!(counters(saved, "other"), [0; 0]);
    }
}
