//! Members of an etcd cluster, read, removed and added by request to one of them.
//!
//! A member is known by the address at which the others reach it: its name is told only once it has started, and its id
//! changes with every return.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use schism_engine::cluster::{NodeSpec, Program};
use schism_engine::membership::Membership;
use schism_engine::target::Choices;
use schism_history::Outcome;
use serde_json::{Value as Json, json};

use super::client::ask;
use super::{Begins, Etcd, PEER_PORT, connection, daemon, url};

impl Membership for Etcd {
    fn members(&self, via: &NodeSpec, timeout: Duration) -> Result<BTreeSet<Ipv4Addr>, String> {
        let list = list(via, timeout)?;
        Ok(list.iter().filter_map(address).collect())
    }

    fn remove(&self, node: &NodeSpec, via: &NodeSpec, timeout: Duration) -> Result<(), String> {
        let list = list(via, timeout)?;
        let member = list.iter().find(|member| address(member) == Some(node.address));
        let id = member.and_then(|member| member["ID"].as_str()).ok_or("it is no member")?;
        request(via, "/v3/cluster/member/remove", &json!({ "ID": id }), timeout).map(drop)
    }

    fn add(&self, node: &NodeSpec, via: &NodeSpec, timeout: Duration) -> Result<(), String> {
        let body = json!({ "peerURLs": [url(node, PEER_PORT)] });
        request(via, "/v3/cluster/member/add", &body, timeout).map(drop)
    }

    /// Its data goes into a folder of its own each time: what it had is neither read nor lost to whoever looks for it.
    fn comes_back(&self, node: &NodeSpec, members: &[NodeSpec], time: u32, choices: &Choices) -> Program {
        let data = node.data.join(format!("etcd-{}", time + 1));
        daemon(node, members, &Begins { data, state: "existing" }, choices)
    }
}

/// The members, by what the node says after it has asked a quorum. Of 3.4, which answers this from its own state whatever
/// it is asked, a linearizable read goes before: it waits until that state is of now.
fn list(via: &NodeSpec, timeout: Duration) -> Result<Vec<Json>, String> {
    let deadline = Instant::now() + timeout;
    request(via, "/v3/kv/range", &json!({ "key": "AA==" }), timeout)?;
    let left = deadline.saturating_duration_since(Instant::now());
    let body = request(via, "/v3/cluster/member/list", &json!({ "linearizable": true }), left)?;
    body["members"].as_array().cloned().ok_or_else(|| format!("no members in {body}"))
}

fn request(via: &NodeSpec, path: &str, body: &Json, timeout: Duration) -> Result<Json, String> {
    ask(&connection(via), path, body, Instant::now() + timeout).map_err(|not| match not {
        Outcome::Fail(why) | Outcome::Info(why) => why,
        Outcome::Ok(_) => "no answer".into(),
    })
}

/// Out of `http://10.0.0.1:2380`.
fn address(member: &Json) -> Option<Ipv4Addr> {
    let url = member["peerURLs"].as_array()?.first()?.as_str()?;
    url.strip_prefix("http://")?.split(':').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use schism_engine::cluster::Node;

    use super::*;

    #[test]
    fn a_member_is_known_by_its_address_before_it_has_a_name() {
        let started = json!({ "ID": "7", "name": "n1", "peerURLs": ["http://10.0.0.1:2380"] });
        let added = json!({ "ID": "8", "peerURLs": ["http://10.0.0.2:2380"] });
        assert_eq!(address(&started), Some(Ipv4Addr::new(10, 0, 0, 1)));
        assert_eq!(address(&added), Some(Ipv4Addr::new(10, 0, 0, 2)));
        assert_eq!(address(&json!({ "ID": "9" })), None);
    }

    #[test]
    fn one_that_comes_back_joins_with_nothing_of_its_own() {
        let spec = |at: usize| NodeSpec::new(Node(at), Ipv4Addr::new(10, 0, 0, at as u8 + 1), "/data");
        let members = [spec(0), spec(2)];
        for (time, folder) in [(1, "--data-dir=/data/etcd-2"), (2, "--data-dir=/data/etcd-3")] {
            let program = Etcd.comes_back(&members[1], &members, time, &Choices::default());
            for argument in [
                "--initial-cluster-state=existing",
                "--initial-cluster=n1=http://10.0.0.1:2380,n3=http://10.0.0.3:2380",
                folder,
            ] {
                assert!(program.arguments.iter().any(|given| given == argument), "{argument}: {program:?}");
            }
        }
    }
}
