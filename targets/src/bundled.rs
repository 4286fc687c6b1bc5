//! The bundled stores, one target a family: how they are started, and a client that speaks their JSON over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use schism_engine::client::Client;
use schism_engine::cluster::{NodeSpec, Program};
use schism_engine::plan::Values;
use schism_engine::target::{Choices, Health, Image, PlantedBug, Setting, Target};
use schism_history::{Call, CallKind, Key, Outcome, Ret, Value};
use schism_reference::Family;
use schism_reference::protocol::{Config, NodeId, Status};
use schism_reference::runtime::Arguments;
use schism_reference::settings::{Allowed, Settings};
use serde_json::json;

use crate::http::{Answer, Connection, Method, NoAnswer};

/// Where a node answers clients.
const CLIENT_PORT: u16 = 8080;
/// Where a node listens for the others.
const PEER_PORT: u16 = 8081;
/// One of the settings that all families have.
const SNAPSHOT_EVERY: Setting = Setting {
    name: "snapshot-every",
    about: "records between two snapshots of a node's state; 1000 by default",
};

/// The other one.
const LINKS: Setting = Setting {
    name: "links",
    about: "what nodes say to one another by: tcp, the default, or udp for whatever fits into a packet, so that it may come in \
            any order, twice, or not at all",
};

/// A family of bundled stores as a target.
pub struct Bundled {
    family: &'static Family,
    settings: Vec<Setting>,
}

impl Bundled {
    /// The target of a family.
    pub fn new(family: &'static Family) -> Self {
        let own = family.settings.iter().map(|setting| Setting { name: setting.name, about: setting.about });
        Bundled { family, settings: own.chain([LINKS, SNAPSHOT_EVERY]).collect() }
    }
}

impl Target for Bundled {
    fn name(&self) -> &'static str {
        self.family.name
    }

    fn about(&self) -> &'static str {
        self.family.about
    }

    fn speaks(&self) -> &'static [CallKind] {
        self.family.speaks
    }

    fn bugs(&self) -> Vec<PlantedBug> {
        (self.family.bugs)().iter().map(|bug| PlantedBug { name: bug.name, about: bug.about }).collect()
    }

    fn settings(&self) -> &[Setting] {
        &self.settings
    }

    fn values(&self, setting: &str) -> Values {
        match self.family.settings.iter().find(|known| known.name == setting).map(|known| known.allowed) {
            Some(Allowed::Words(words)) => Values::words(words),
            Some(Allowed::Whole(low, high)) => Values::Whole(low, high),
            Some(Allowed::Switch) => Values::Switch,
            None if setting == LINKS.name => Values::words(&["tcp", "udp"]),
            None => Values::Any,
        }
    }

    fn contradiction(&self, nodes: usize, choices: &Choices) -> Option<String> {
        let bugs = choices.bugs.iter().cloned().collect();
        (self.family.contradiction)(&own_settings(choices), nodes, &bugs)
    }

    fn image(&self) -> Option<Image> {
        Some(Image { client_ports: &[CLIENT_PORT], store: None })
    }

    fn program(&self, node: &NodeSpec, nodes: &[NodeSpec], choices: &Choices) -> Program {
        let peers: BTreeMap<NodeId, _> =
            nodes.iter().map(|spec| (id(spec), (spec.address, PEER_PORT).into())).collect();
        let snapshot_every = choices.settings.get(SNAPSHOT_EVERY.name).and_then(|value| value.parse().ok());
        let arguments = Arguments {
            id: id(node),
            client: (node.address, CLIENT_PORT).into(),
            peers,
            data: node.data.clone(),
            cluster: "schism".into(),
            seed: choices.seed,
            datagrams: choices.settings.get(LINKS.name).is_some_and(|how| how == "udp"),
            snapshot_every: snapshot_every.unwrap_or(Config::SNAPSHOT_EVERY),
            settings: own_settings(choices),
            bugs: choices.bugs.iter().cloned().collect(),
        };
        let mut words = vec!["node".to_string(), self.family.name.to_string()];
        words.extend(arguments.words());
        Program { file: None, arguments: words, environment: Vec::new() }
    }

    fn client(&self, node: &NodeSpec, _: &Choices) -> Box<dyn Client> {
        let (contexts, seen) = (BTreeMap::new(), None);
        Box::new(StoreClient { connection: connection(node), contexts, seen })
    }

    fn health(&self, node: &NodeSpec, timeout: Duration) -> Result<Health, String> {
        let answer = connection(node).get("/status", timeout).map_err(|no_answer| match no_answer {
            NoAnswer::NotSent(why) | NoAnswer::Unknown(why) => why,
        })?;
        let status: Status =
            serde_json::from_value(answer.body).map_err(|error| format!("GET /status: {error}"))?;
        let leads = (status.role == "leader").then_some(status.term);
        Ok(Health { ready: status.ready, leads })
    }
}

/// What the family itself is told: all settings but those that all families have.
fn own_settings(choices: &Choices) -> Settings {
    let own = choices
        .settings
        .iter()
        .filter(|(name, _)| ![LINKS.name, SNAPSHOT_EVERY.name].contains(&name.as_str()));
    Settings::of(&own.map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>())
}

fn id(spec: &NodeSpec) -> NodeId {
    NodeId(spec.node.0 as u8)
}

fn connection(node: &NodeSpec) -> Connection {
    Connection::new(node.reach(CLIENT_PORT).to_string())
}

/// One client of one node.
struct StoreClient {
    connection: Connection,
    /// By key, what the last read gave along with what it saw: a write brings it back. Only stores with siblings give any.
    contexts: BTreeMap<Key, String>,
    /// What it has seen, as the store said last, if the store says such a thing.
    seen: Option<String>,
}

impl Client for StoreClient {
    fn call(&mut self, call: &Call, timeout: Duration) -> Outcome {
        let path = path(call.key());
        // No character of it needs escaping: counts and dots.
        let given = self.seen.as_ref().map(|seen| format!("?seen={seen}")).unwrap_or_default();
        let connection = &self.connection;
        let post = |what: &str, body: serde_json::Value| {
            connection.send(Method::Post, &format!("{path}/{what}{given}"), &body, timeout)
        };
        let answer = match call {
            Call::Read { .. } => connection.get(&format!("{path}{given}"), timeout),
            Call::Write { key, value } => {
                let body = match self.contexts.get(key) {
                    None => json!({ "value": value }),
                    Some(context) => json!({ "value": value, "context": context }),
                };
                connection.send(Method::Put, &format!("{path}{given}"), &body, timeout)
            }
            Call::Cas { from, to, .. } => post("cas", json!({ "from": from, "to": to })),
            Call::Add { value, .. } => post("add", json!({ "value": value })),
            Call::Append { value, .. } => post("append", json!({ "value": value })),
            Call::Remove { value, .. } => post("remove", json!({ "value": value })),
            Call::Increment { by, .. } => post("increment", json!({ "by": by })),
            other => {
                return Outcome::Fail(format!("a bundled store has no {}: nothing was sent", other.kind()));
            }
        };
        match answer {
            Ok(answer) => {
                if let Some(context) = answer.body.get("context").and_then(serde_json::Value::as_str) {
                    self.contexts.insert(call.key().clone(), context.into());
                }
                if let Some(seen) = answer.body["seen"].as_str() {
                    self.seen = Some(seen.into());
                }
                outcome(call, answer)
            }
            Err(NoAnswer::NotSent(why)) => Outcome::Fail(why),
            Err(NoAnswer::Unknown(why)) => Outcome::Info(why),
        }
    }

    fn context(&self) -> Option<String> {
        self.seen.clone()
    }

    fn resume(&mut self, context: String) {
        self.seen = Some(context);
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
