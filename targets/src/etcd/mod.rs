//! etcd, 3.4 and newer: how it is started, and how it says how it is.
//!
//! Its registers and sets should be linearizable as long as reads are. With `reads = serializable` a node answers reads
//! from its own state, and a node that is cut off answers from the past: etcd documents that, and it is found. A lock
//! on a lease excludes nobody who wakes up too late; the fencing token does, where what is guarded looks at it.
//! Watches tell what every key held, one change after the other, from any revision on.
//! Cannot find: what transactions over several keys do, since no workload uses them yet.

mod client;
mod lock;
mod membership;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use schism_engine::client::Client;
use schism_engine::cluster::{NodeSpec, Program};
use schism_engine::membership::Membership;
use schism_engine::plan::{Values, duration};
use schism_engine::target::{Choices, Health, Image, Missing, Setting, StoreImage, Target};
use schism_history::CallKind;
use serde_json::json;

use self::client::EtcdClient;
use self::lock::Locks;
use crate::executable;
use crate::http::{Connection, Method, NoAnswer};

/// Where a node answers clients.
const CLIENT_PORT: u16 = 2379;
/// Where a node listens for the others.
const PEER_PORT: u16 = 2380;

/// How often a leader says that it is there; etcd's own default.
const HEARTBEAT: Duration = Duration::from_millis(100);
/// How long the others wait for it before they elect another; etcd's own default.
const ELECTION: Duration = Duration::from_secs(1);

/// How long a lock is granted for.
const LEASE: Duration = Duration::from_secs(2);

/// The target.
pub struct Etcd;

impl Target for Etcd {
    fn name(&self) -> &'static str {
        "etcd"
    }

    fn about(&self) -> &'static str {
        "etcd 3.4 or newer: linearizable registers and sets over its JSON gateway; Debian's package is etcd-server"
    }

    fn speaks(&self) -> &'static [CallKind] {
        &[
            CallKind::Read,
            CallKind::Write,
            CallKind::Cas,
            CallKind::Add,
            CallKind::Acquire,
            CallKind::Use,
            CallKind::Release,
            CallKind::Watch,
        ]
    }

    fn settings(&self) -> &'static [Setting] {
        &[
            Setting {
                name: "program",
                about: "in the sandbox: which etcd to run, a path or a name on PATH; etcd by default",
            },
            Setting {
                name: "image",
                about: "in docker: official, debian (built by `schism images build etcd`) or an image's name; \
                        the first that is at hand by default",
            },
            Setting {
                name: "reads",
                about: "linearizable, or serializable: answered by a node from its own state; linearizable by default",
            },
            Setting {
                name: "lease",
                about: "how long a lock is granted for; whole seconds, and never less than one and a half elections; \
                        2s by default",
            },
            Setting {
                name: "fenced",
                about: "whether what a lock guards refuses a fencing token older than the newest one it took; true by \
                        default",
            },
            Setting {
                name: "heartbeat",
                about: "how often a leader says that it is there; 100ms by default",
            },
            Setting {
                name: "election",
                about: "how long the others wait for it, five heartbeats at least; 1s by default",
            },
        ]
    }

    fn values(&self, setting: &str) -> Values {
        match setting {
            "reads" => Values::words(&["linearizable", "serializable"]),
            "fenced" => Values::Switch,
            "heartbeat" | "election" | "lease" => Values::Duration,
            _ => Values::Any,
        }
    }

    fn executable(&self, choices: &Choices) -> Result<Option<PathBuf>, Missing> {
        match executable::find(program(choices)) {
            Some(path) => Ok(Some(path)),
            None => Err(Missing {
                what: format!("target etcd: there is no program `{}` to run", program(choices)),
                remedy: "install it with `apt-get install etcd-server`, or name one with \
                         `--set target.program=/path/to/etcd`"
                    .into(),
            }),
        }
    }

    fn version_arguments(&self) -> Option<&'static [&'static str]> {
        Some(&["--version"])
    }

    fn image(&self) -> Option<Image> {
        let store = StoreImage {
            official: "quay.io/coreos/etcd:v3.5.21",
            dockerfile: include_str!("../../images/etcd/Dockerfile"),
            program: "etcd",
        };
        Some(Image { client_ports: &[CLIENT_PORT], store: Some(store) })
    }

    /// The same command line starts a node for the first time and again: where there is a data directory, etcd does not
    /// look at what says how the cluster begins.
    fn program(&self, node: &NodeSpec, nodes: &[NodeSpec], choices: &Choices) -> Program {
        // A folder of its own making, since it complains about one that others may read.
        daemon(node, nodes, &Begins { data: node.data.join("etcd"), state: "new" }, choices)
    }

    fn membership(&self) -> Option<&dyn Membership> {
        Some(self)
    }

    fn client(&self, node: &NodeSpec, choices: &Choices) -> Box<dyn Client> {
        let serializable = choices.settings.get("reads").is_some_and(|reads| reads == "serializable");
        let fenced = choices.settings.get("fenced").is_none_or(|fenced| fenced == "true");
        let lease = duration_of(choices, "lease", LEASE).as_secs_f64().ceil() as u64;
        Box::new(EtcdClient::new(connection(node), serializable, Locks::new(lease, fenced)))
    }

    fn health(&self, node: &NodeSpec, timeout: Duration) -> Result<Health, String> {
        let path = "/v3/maintenance/status";
        let asked = connection(node).send(Method::Post, path, &json!({}), timeout);
        let answer = asked.map_err(|no_answer| match no_answer {
            NoAnswer::NotSent(why) | NoAnswer::Unknown(why) => why,
        })?;
        health(&answer.body).ok_or_else(|| format!("{path}: {} {}", answer.status, answer.body))
    }
}

/// How a node begins: where its data is, and whether the cluster is there already.
struct Begins {
    data: PathBuf,
    state: &'static str,
}

fn url(node: &NodeSpec, port: u16) -> String {
    format!("http://{}:{port}", node.address)
}

/// The program of a node that is one of these members.
fn daemon(node: &NodeSpec, members: &[NodeSpec], begins: &Begins, choices: &Choices) -> Program {
    let cluster: Vec<String> =
        members.iter().map(|node| format!("{}={}", node.node, url(node, PEER_PORT))).collect();
    let millis = |name: &str, default: Duration| duration_of(choices, name, default).as_millis().to_string();
    let options = [
        ("name", node.node.to_string()),
        ("data-dir", begins.data.display().to_string()),
        ("listen-client-urls", url(node, CLIENT_PORT)),
        ("advertise-client-urls", url(node, CLIENT_PORT)),
        ("listen-peer-urls", url(node, PEER_PORT)),
        ("initial-advertise-peer-urls", url(node, PEER_PORT)),
        ("initial-cluster", cluster.join(",")),
        ("initial-cluster-state", begins.state.into()),
        ("initial-cluster-token", "schism".into()),
        ("heartbeat-interval", millis("heartbeat", HEARTBEAT)),
        ("election-timeout", millis("election", ELECTION)),
        // What 3.5 does by default, also of 3.4.
        ("logger", "zap".into()),
        ("log-outputs", "stderr".into()),
    ];
    Program {
        file: Some(executable::find(program(choices)).unwrap_or_else(|| PathBuf::from(program(choices)))),
        arguments: options.into_iter().map(|(name, value)| format!("--{name}={value}")).collect(),
        environment: Vec::new(),
    }
}

/// What a node's status says. Numbers of 64 bits are text in etcd's JSON, and what is zero is left out: a node that knows
/// no leader names none.
fn health(status: &serde_json::Value) -> Option<Health> {
    let member = status["header"]["member_id"].as_str()?;
    let Some(leader) = status["leader"].as_str() else { return Some(Health { ready: false, leads: None }) };
    let term = status["raftTerm"].as_str()?.parse().ok()?;
    Some(Health { ready: true, leads: (leader == member).then_some(term) })
}

/// A time that a plan may set.
fn duration_of(choices: &Choices, name: &str, default: Duration) -> Duration {
    choices.settings.get(name).and_then(|text| duration(text).ok()).unwrap_or(default)
}

/// Which program a plan wants.
fn program(choices: &Choices) -> &str {
    choices.settings.get("program").map_or("etcd", String::as_str)
}

fn connection(node: &NodeSpec) -> Connection {
    Connection::new(node.reach(CLIENT_PORT).to_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::Ipv4Addr;

    use schism_engine::cluster::Node;

    use super::*;

    fn specs(count: usize) -> Vec<NodeSpec> {
        let spec = |at: usize| {
            NodeSpec::new(Node(at), Ipv4Addr::new(10, 0, 0, at as u8 + 1), format!("/data/n{}", at + 1))
        };
        (0..count).map(spec).collect()
    }

    fn set(name: &str, value: &str) -> Choices {
        Choices { settings: BTreeMap::from([(name.into(), value.into())]), ..Choices::default() }
    }

    #[test]
    fn a_node_listens_on_its_own_address_and_knows_all_others() {
        let specs = specs(3);
        let program = Etcd.program(&specs[1], &specs, &set("election", "1500ms"));
        for argument in [
            "--name=n2",
            "--listen-client-urls=http://10.0.0.2:2379",
            "--initial-cluster=n1=http://10.0.0.1:2380,n2=http://10.0.0.2:2380,n3=http://10.0.0.3:2380",
            "--heartbeat-interval=100",
            "--election-timeout=1500",
        ] {
            assert!(program.arguments.iter().any(|given| given == argument), "{argument}: {program:?}");
        }
    }

    #[test]
    fn a_missing_program_is_told_with_both_remedies() {
        let missing = Etcd.executable(&set("program", "/nowhere/etcd")).unwrap_err();
        assert!(missing.what.contains("/nowhere/etcd"));
        assert!(missing.remedy.contains("etcd-server") && missing.remedy.contains("target.program"));
        assert_eq!(Etcd.executable(&set("program", "/bin/sh")), Ok(Some("/bin/sh".into())));
    }

    #[test]
    fn a_node_leads_if_it_is_its_own_leader_and_is_not_ready_without_one() {
        let status = |member: &str, rest: serde_json::Value| {
            let mut status = json!({ "header": { "member_id": member }, "raftTerm": "7" });
            status.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            health(&status)
        };
        assert_eq!(status("1", json!({ "leader": "1" })), Some(Health { ready: true, leads: Some(7) }));
        assert_eq!(status("1", json!({ "leader": "2" })), Some(Health { ready: true, leads: None }));
        assert_eq!(status("1", json!({})), Some(Health { ready: false, leads: None }));
        assert_eq!(health(&serde_json::Value::Null), None);
    }
}
