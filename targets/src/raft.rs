//! The bundled Raft store: what it is, how it is started, and a client that speaks its JSON over HTTP.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schism_engine::client::Client;
use schism_engine::cluster::{NodeSpec, Program};
use schism_engine::target::{Choices, Health, PlantedBug, Setting, Target};
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};
use schism_reference::protocol::NodeId;
use schism_reference::raft;
use schism_reference::runtime::arguments::{Arguments, bugs};
use serde_json::json;

use crate::http::{Answer, Connection, Method, NoAnswer};

/// Where a node answers clients.
const CLIENT_PORT: u16 = 8080;
/// Where a node listens for the others.
const PEER_PORT: u16 = 8081;

/// The target.
pub struct Raft;

impl Target for Raft {
    fn name(&self) -> &'static str {
        "raft"
    }

    fn about(&self) -> &'static str {
        "the bundled Raft store: linearizable registers and sets over HTTP"
    }

    fn speaks(&self) -> &'static [CallKind] {
        &[CallKind::Read, CallKind::Write, CallKind::Cas, CallKind::Add]
    }

    fn bugs(&self) -> Vec<PlantedBug> {
        bugs::<raft::Raft>().map(|bug| PlantedBug { name: bug.name, about: bug.about }).collect()
    }

    fn settings(&self) -> &'static [Setting] {
        &[Setting { name: "snapshot-every", about: "applied entries between two snapshots; 1000 by default" }]
    }

    fn program(&self, node: &NodeSpec, nodes: &[NodeSpec], choices: &Choices) -> Program {
        let peers: BTreeMap<NodeId, _> =
            nodes.iter().map(|spec| (id(spec), (spec.address, PEER_PORT).into())).collect();
        let setting = |name: &str| choices.settings.get(name).and_then(|value| value.parse().ok());
        let arguments = Arguments {
            id: id(node),
            client: (node.address, CLIENT_PORT).into(),
            peers,
            data: node.data.clone(),
            cluster: "schism".into(),
            seed: choices.seed,
            snapshot_every: setting("snapshot-every")
                .unwrap_or(schism_reference::protocol::Config::SNAPSHOT_EVERY),
            bugs: choices.bugs.iter().cloned().collect::<BTreeSet<String>>(),
        };
        let mut words = vec!["node".to_string(), "raft".to_string()];
        words.extend(arguments.words());
        Program { file: None, arguments: words, environment: Vec::new() }
    }

    fn client(&self, node: &NodeSpec, _: &Choices) -> Box<dyn Client> {
        Box::new(RaftClient(connection(node)))
    }

    fn health(&self, node: &NodeSpec, timeout: Duration) -> Result<Health, String> {
        let answer = connection(node).get("/status", timeout).map_err(|no_answer| match no_answer {
            NoAnswer::NotSent(why) | NoAnswer::Unknown(why) => why,
        })?;
        let status: schism_reference::protocol::Status =
            serde_json::from_value(answer.body).map_err(|error| format!("GET /status: {error}"))?;
        let leads = (status.role == "leader").then_some(status.term);
        Ok(Health { ready: status.leader.is_some(), leads })
    }
}

fn id(spec: &NodeSpec) -> NodeId {
    NodeId(spec.node.0 as u8)
}

fn connection(node: &NodeSpec) -> Connection {
    Connection::new(format!("{}:{CLIENT_PORT}", node.address))
}

/// One client of one node.
struct RaftClient(Connection);

impl Client for RaftClient {
    fn call(&mut self, call: &Call, timeout: Duration) -> Outcome {
        let path = path(call.key());
        let connection = &self.0;
        let answer = match call {
            Call::Read { .. } => connection.get(&path, timeout),
            Call::Write { value, .. } => {
                connection.send(Method::Put, &path, &json!({ "value": value }), timeout)
            }
            Call::Cas { from, to, .. } => {
                let body = json!({ "from": from, "to": to });
                connection.send(Method::Post, &format!("{path}/cas"), &body, timeout)
            }
            Call::Add { value, .. } => {
                connection.send(Method::Post, &format!("{path}/add"), &json!({ "value": value }), timeout)
            }
            other => {
                return Outcome::Fail(format!("the raft store has no {}: nothing was sent", other.kind()));
            }
        };
        match answer {
            Ok(answer) => outcome(call, answer),
            Err(NoAnswer::NotSent(why)) => Outcome::Fail(why),
            Err(NoAnswer::Unknown(why)) => Outcome::Info(why),
        }
    }
}

fn path(key: &Key) -> String {
    match key {
        Value::Text(text) => format!("/kv/{text}"),
        other => format!("/kv/{other}"),
    }
}

/// What an answer means. The store's own definite no's are fails: 409 (the cas met another value and changed nothing),
/// 503 (nobody took it, and nobody will), 400 (not understood). Whatever else is no yes leaves a doubt.
fn outcome(call: &Call, answer: Answer) -> Outcome {
    let words = || format!("{} {}", answer.status, answer.body);
    match answer.status {
        200 if call.changes() => Outcome::Ok(Ret::Done),
        200 => match answer.body.get("value").cloned().map(serde_json::from_value) {
            Some(Ok(value)) => Outcome::Ok(Ret::Value(value)),
            _ => Outcome::Info(format!("a read's answer without a value: {}", words())),
        },
        400 | 409 | 503 => Outcome::Fail(words()),
        _ => Outcome::Info(words()),
    }
}
