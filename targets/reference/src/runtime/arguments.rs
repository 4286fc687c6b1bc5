//! What a node is told on its command line, as a plain value, and the reading of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;

use super::disk::NO_CHECKSUM;
use super::error::NodeError;
use super::peers::BACKOFF_KEPT;
use crate::protocol::{ACK_BEFORE_FSYNC, Bug, Config, NodeId, Protocol, contradiction};
use crate::settings::Settings;

/// The form of the command line, for help and for mistakes.
pub const USAGE: &str = "\
--id n1 --client IP:PORT --peers n1=IP:PORT,n2=IP:PORT,… --data DIR [--cluster NAME] [--seed N]
[--links tcp|udp] [--snapshot-every N] [--set KEY=VALUE]… [--bug NAME]…

  --id NODE        which of the nodes this is: n1, n2, …
  --client ADDR    where it answers clients, over HTTP
  --peers LIST     where each node of the cluster, itself included, listens for the others
  --data DIR       its data directory, made if it is not there; only one process at a time may use it
  --cluster NAME   nodes only listen to nodes of the same cluster [default: schism]
  --seed N         where its randomness comes from [default: 0]
  --links HOW      what nodes say to one another by: tcp, or udp for whatever fits into a packet [default: tcp]
  --snapshot-every N   after how many applied entries a snapshot takes the place of the log [default: 1000]
  --set KEY=VALUE  a setting of the family; may be given several times
  --bug NAME       plants a known bug; may be given several times";

const FLAGS: [&str; 10] = [
    "--id",
    "--client",
    "--peers",
    "--data",
    "--cluster",
    "--seed",
    "--links",
    "--snapshot-every",
    "--set",
    "--bug",
];

/// What a node is told when it is started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arguments {
    /// Which node it is.
    pub id: NodeId,
    /// Where it answers clients.
    pub client: SocketAddr,
    /// Where each node listens for the others; its own entry is where it listens itself.
    pub peers: BTreeMap<NodeId, SocketAddr>,
    /// Its data directory.
    pub data: PathBuf,
    /// Nodes only listen to nodes of the same cluster.
    pub cluster: String,
    /// Where its randomness comes from.
    pub seed: u64,
    /// Whether what fits into a packet goes by UDP.
    pub datagrams: bool,
    /// After how many applied entries a snapshot takes the place of the log.
    pub snapshot_every: u64,
    /// What the family is told.
    pub settings: Settings,
    /// The planted bugs that are switched on.
    pub bugs: BTreeSet<String>,
}

impl Arguments {
    /// Reads the words after the protocol's name. The form is [`USAGE`]; `--flag=value` is understood too.
    ///
    /// # Errors
    /// At the first word that is wrong, or when something is missing.
    pub fn parse(words: impl IntoIterator<Item = String>) -> Result<Arguments, NodeError> {
        let mut words = words.into_iter();
        let mut once: BTreeMap<String, String> = BTreeMap::new();
        let mut bugs = BTreeSet::new();
        let mut settings = Settings::default();
        while let Some(word) = words.next() {
            let (flag, value) = match word.split_once('=') {
                Some((flag, value)) if flag.starts_with("--") => (flag.to_owned(), Some(value.to_owned())),
                _ => (word, None),
            };
            if !FLAGS.contains(&&*flag) {
                return Err(wrong(format!("unknown argument {flag:?}; the form is {USAGE}")));
            }
            let value =
                value.or_else(|| words.next()).ok_or_else(|| wrong(format!("{flag} needs a value")))?;
            if flag == "--bug" {
                bugs.insert(value);
            } else if flag == "--set" {
                let (key, value) = value
                    .split_once('=')
                    .ok_or_else(|| wrong(format!("--set {value:?} is not of the form KEY=VALUE")))?;
                settings.set(key, value).map_err(wrong)?;
            } else if once.insert(flag.clone(), value).is_some() {
                return Err(wrong(format!("{flag} is given twice")));
            }
        }
        let mut take = |flag: &str| once.remove(flag).ok_or_else(|| wrong(format!("{flag} is missing")));
        Ok(Arguments {
            id: node_id(&take("--id")?).map_err(wrong)?,
            client: address(&take("--client")?).map_err(wrong)?,
            peers: peer_list(&take("--peers")?).map_err(wrong)?,
            data: take("--data")?.into(),
            cluster: take("--cluster").unwrap_or_else(|_| "schism".into()),
            seed: number("--seed", take("--seed"), 0)?,
            datagrams: match take("--links").as_deref() {
                Ok("udp") => true,
                Ok("tcp") | Err(_) => false,
                Ok(other) => return Err(wrong(format!("--links {other:?} is neither tcp nor udp"))),
            },
            snapshot_every: number("--snapshot-every", take("--snapshot-every"), Config::SNAPSHOT_EVERY)?,
            settings,
            bugs,
        })
    }

    /// The words that [`Arguments::parse`] reads back as this.
    pub fn words(&self) -> Vec<String> {
        let peers: Vec<String> = self.peers.iter().map(|(node, at)| format!("{node}={at}")).collect();
        let mut words = vec![
            "--id".into(),
            self.id.to_string(),
            "--client".into(),
            self.client.to_string(),
            "--peers".into(),
            peers.join(","),
            "--data".into(),
            self.data.to_string_lossy().into_owned(),
            "--cluster".into(),
            self.cluster.clone(),
            "--seed".into(),
            self.seed.to_string(),
            "--links".into(),
            if self.datagrams { "udp" } else { "tcp" }.into(),
            "--snapshot-every".into(),
            self.snapshot_every.to_string(),
        ];
        for (key, value) in self.settings.iter() {
            words.extend(["--set".into(), format!("{key}={value}")]);
        }
        for bug in &self.bugs {
            words.extend(["--bug".into(), bug.clone()]);
        }
        words
    }

    /// What the protocol is told, if all fits together.
    ///
    /// # Errors
    /// When the node is not among the peers, an address stands twice, a bug is unknown, or settings are unknown, out of
    /// range or contradict one another.
    pub fn config<P: Protocol>(&self) -> Result<Config, NodeError> {
        if !self.peers.contains_key(&self.id) {
            return Err(wrong(format!("--id {} is not among --peers", self.id)));
        }
        let mut seen = BTreeSet::from([self.client]);
        for (node, address) in &self.peers {
            if !seen.insert(*address) {
                return Err(wrong(format!("{node}'s address {address} is used twice")));
            }
        }
        let known: Vec<&str> = bugs::<P>().map(|bug| bug.name).collect();
        if let Some(unknown) = self.bugs.iter().find(|bug| !known.contains(&bug.as_str())) {
            return Err(wrong(format!("unknown --bug {unknown:?}; there are {}", known.join(", "))));
        }
        if self.snapshot_every == 0 {
            return Err(wrong("--snapshot-every must be at least 1".into()));
        }
        self.settings.check(P::SETTINGS).map_err(wrong)?;
        if let Some(rule) = contradiction::<P>(&self.settings, self.peers.len(), &self.bugs) {
            return Err(wrong(rule));
        }
        Ok(Config {
            id: self.id,
            nodes: self.peers.keys().copied().collect(),
            seed: self.seed,
            bugs: self.bugs.clone(),
            snapshot_every: self.snapshot_every,
            settings: self.settings.clone(),
        })
    }
}

/// All bugs a real node of this protocol can be planted with: its own, and those of the runtime below it.
pub fn bugs<P: Protocol>() -> impl Iterator<Item = &'static Bug> {
    const BELOW: [&Bug; 3] = [&ACK_BEFORE_FSYNC, &NO_CHECKSUM, &BACKOFF_KEPT];
    P::BUGS.iter().filter(|bug| BELOW.iter().all(|below| below.name != bug.name)).chain(BELOW)
}

/// Reads `n1` … `n256`.
///
/// # Errors
/// With a sentence that says what is wrong.
pub fn node_id(text: &str) -> Result<NodeId, String> {
    text.strip_prefix('n')
        .and_then(|number| number.parse::<u16>().ok())
        .and_then(|number| u8::try_from(number.checked_sub(1)?).ok())
        .map(NodeId)
        .ok_or_else(|| format!("{text:?} is no node: they are called n1, n2, …"))
}

/// Reads `n1=IP:PORT,n2=IP:PORT,…`.
///
/// # Errors
/// With a sentence that says what is wrong.
pub fn peer_list(text: &str) -> Result<BTreeMap<NodeId, SocketAddr>, String> {
    let mut peers = BTreeMap::new();
    for part in text.split(',') {
        let (node, at) =
            part.split_once('=').ok_or_else(|| format!("{part:?} is not of the form n1=IP:PORT"))?;
        let node = node_id(node)?;
        if peers.insert(node, address(at)?).is_some() {
            return Err(format!("{node} stands twice in --peers"));
        }
    }
    Ok(peers)
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("{text:?} is not of the form IP:PORT"))
}

fn number(flag: &str, text: Result<String, NodeError>, default: u64) -> Result<u64, NodeError> {
    let Ok(text) = text else { return Ok(default) };
    text.parse().map_err(|_| wrong(format!("{flag} {text:?} is no whole number")))
}

fn wrong(what: String) -> NodeError {
    NodeError::Arguments(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Arguments, String> {
        Arguments::parse(line.split_whitespace().map(String::from)).map_err(|error| error.to_string())
    }

    #[test]
    fn round_trip() {
        let line = "--id n2 --client 127.0.0.2:8001 --peers n1=127.0.0.1:7001,n2=127.0.0.2:7001 --data /d \
                    --seed=7 --links udp --bug b --bug a --set w=2 --set=r=3";
        let arguments = parse(line).unwrap();
        assert_eq!(arguments.id, NodeId(1));
        assert_eq!(arguments.peers[&NodeId(0)], "127.0.0.1:7001".parse().unwrap());
        assert_eq!(arguments.bugs.len(), 2);
        assert_eq!(parse(&arguments.words().join(" ")).unwrap(), arguments);
    }

    #[test]
    fn mistakes_are_named() {
        let all = "--id n1 --client 127.0.0.1:1 --peers n1=127.0.0.1:2 --data d";
        for (line, part) in [
            ("--id n0", "no node"),
            ("--id n257", "no node"),
            ("--id", "needs a value"),
            ("--ip n1", "unknown argument"),
            ("--client 127.0.0.1", "IP:PORT"),
            ("--peers n1:127.0.0.1:2", "n1=IP:PORT"),
            ("--peers n1=127.0.0.1:2,n1=127.0.0.1:3", "twice"),
            ("--seed x", "whole number"),
            ("--links x", "neither tcp nor udp"),
            ("--set w", "KEY=VALUE"),
            ("--set w=1 --set w=2", "twice"),
            ("--data", "needs a value"),
        ] {
            let flag = line.split_whitespace().next().unwrap();
            let kept: Vec<&str> = match all.split_once(&format!("{flag} ")) {
                Some((before, after)) => {
                    [before, after.split_once(' ').map_or("", |(_, rest)| rest)].into_iter().collect()
                }
                None => vec![all],
            };
            let error = parse(&format!("{} {line}", kept.join(" "))).unwrap_err();
            assert!(error.contains(part), "{line}: {error}");
        }
        assert!(parse("--client 127.0.0.1:1").unwrap_err().contains("--id is missing"));
    }
}
