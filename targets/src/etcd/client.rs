//! A client of one etcd node: calls as requests to its JSON gateway, and what its answers mean.
//!
//! A key K is the prefix `K/` in etcd, K as JSON text, which no other key's text can begin with. A register's value is
//! kept under `K/` itself, as JSON text, and nil is the absence of that key. A set has one key `K/element` per element: an
//! add is then one blind put that no other add can disturb, where a compare-and-set of the whole set would take a read, a
//! transaction as long as the set, and retries. A read of either is one range over the prefix, at one revision. The price:
//! an element added twice looks like one.

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schism_engine::client::Client;
use schism_history::{Call, Key, Outcome, Ret, Value};
use serde_json::{Value as Json, json};

use super::lock::Locks;
use super::watch::watch;
use crate::http::{Answer, Connection, Method, NoAnswer};

/// Asks a node to refuse at once while it knows no leader, in place of keeping the request until there is one. What was
/// refused so was not proposed; what would be kept may be proposed long after we gave up on it.
const NEEDS_LEADER: &[(&str, &str)] = &[("Grpc-Metadata-hasleader", "true")];

/// Errors after which nothing happened and nothing ever will, by the words in which etcd says them, each with its reason.
/// The same words came with other HTTP states in other versions; the words decide.
///
/// Not among them, since a proposal may be under way or even applied: `request timed out` in all its forms, `leader
/// changed`, `server stopped`, `not leader`, everything of the transport's, and `database space exceeded`: a put that is
/// the first to exceed the space is applied and answered with that error all the same.
const NEVER_HAPPENED: &[&str] = &[
    // Answered because of `NEEDS_LEADER`, before the request reaches its handler.
    "etcdserver: no leader",
    // Raft itself refused to take the proposal: it was neither appended to the node's log nor passed on to a leader. One
    // that was passed on and refused by the leader gets no such answer; it times out.
    "raft proposal dropped",
    // The node is too far behind with applying; looked at before it proposes.
    "etcdserver: too many requests",
    // Looked at when the entry is applied and before any of it is: on every node at the same place of the log, with the
    // same leases. A put finds no lease to hang on; a revoke finds none to end.
    "etcdserver: requested lease not found",
    // Looked at before anything is proposed, and again when it is applied, before any of it is.
    "etcdserver: permission denied",
    // The token is looked at before the request reaches its handler, by what this node knows of tokens.
    "etcdserver: invalid auth token",
    // The same, of a request that brings none though it needs one.
    "etcdserver: user name is empty",
    // The request's size is looked at before it is proposed.
    "etcdserver: request is too large",
    // A read of what is gone: reads change nothing, and it cannot be answered later either.
    "etcdserver: mvcc: required revision has been compacted",
];

/// One client of one node.
pub struct EtcdClient {
    connection: Connection,
    serializable: bool,
    locks: Locks,
}

impl EtcdClient {
    /// A client whose reads are linearizable, or serializable: answered by the node from its own state.
    pub fn new(connection: Connection, serializable: bool, locks: Locks) -> Self {
        EtcdClient { connection, serializable, locks }
    }
}

impl Client for EtcdClient {
    fn call(&mut self, call: &Call, timeout: Duration) -> Outcome {
        let deadline = Instant::now() + timeout;
        if let Some(outcome) = self.locks.call(&self.connection, call, deadline) {
            return outcome;
        }
        if let Call::Watch { key, from } = call {
            // Like a serializable read: a node that knows no leader tells what it has.
            return watch(&self.connection, &[], key, *from, timeout);
        }
        let Some((path, body)) = request(call, self.serializable) else {
            return Outcome::Fail(format!("this client knows no {}: nothing was sent", call.kind()));
        };
        let local = self.serializable && !call.changes();
        let headers = if local { &[] } else { NEEDS_LEADER };
        match self.connection.send_with(headers, Method::Post, path, &body, timeout) {
            Ok(answer) => outcome(call, &answer),
            Err(NoAnswer::NotSent(why)) => Outcome::Fail(why),
            Err(NoAnswer::Unknown(why)) => Outcome::Info(why),
        }
    }
}

/// Asks for something that is to be carried out as it is, and gives the answer's body if it was.
///
/// # Errors
/// What became of it if it was not.
pub(super) fn ask(
    connection: &Connection,
    path: &str,
    body: &Json,
    deadline: Instant,
) -> Result<Json, Outcome> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Outcome::Fail("no time was left: nothing was sent".into()));
    }
    match connection.send_with(NEEDS_LEADER, Method::Post, path, body, left) {
        Ok(answer) => carried_out(&answer).map(|()| answer.body),
        Err(NoAnswer::NotSent(why)) => Err(Outcome::Fail(why)),
        Err(NoAnswer::Unknown(why)) => Err(Outcome::Info(why)),
    }
}

/// Where a call is sent, and what.
fn request(call: &Call, serializable: bool) -> Option<(&'static str, Json)> {
    let prefix = prefix(call.key());
    Some(match call {
        Call::Read { .. } => {
            // `0` follows `/`: the range is all keys that begin with the prefix.
            let end = format!("{}0", prefix.trim_end_matches('/'));
            let body =
                json!({ "key": encode(&prefix), "range_end": encode(&end), "serializable": serializable });
            ("/v3/kv/range", body)
        }
        Call::Write { value: Value::Nil, .. } => ("/v3/kv/deleterange", json!({ "key": encode(&prefix) })),
        Call::Write { value, .. } => {
            ("/v3/kv/put", json!({ "key": encode(&prefix), "value": encode(&text(value)) }))
        }
        Call::Cas { from, to, .. } => {
            let key = encode(&prefix);
            // A comparison of values is false of an absent key, whatever the value: absent is version 0.
            let compare = match from {
                Value::Nil => json!({ "target": "VERSION", "result": "EQUAL", "key": key, "version": "0" }),
                from => {
                    json!({ "target": "VALUE", "result": "EQUAL", "key": key, "value": encode(&text(from)) })
                }
            };
            let success = match to {
                Value::Nil => json!({ "request_delete_range": { "key": key } }),
                to => json!({ "request_put": { "key": key, "value": encode(&text(to)) } }),
            };
            ("/v3/kv/txn", json!({ "compare": [compare], "success": [success] }))
        }
        Call::Add { value, .. } => {
            ("/v3/kv/put", json!({ "key": encode(&format!("{prefix}{}", text(value))), "value": "" }))
        }
        _ => return None,
    })
}

/// What an answer means.
fn outcome(call: &Call, answer: &Answer) -> Outcome {
    match (carried_out(answer), call) {
        (Err(not), _) => not,
        (Ok(()), Call::Read { key }) => match stored(key, &answer.body) {
            Some(value) => Outcome::Ok(Ret::Value(value)),
            None => Outcome::Info(format!("not what this client writes: {} {}", answer.status, answer.body)),
        },
        // The transaction was carried out and took its empty other branch; false is left out.
        (Ok(()), Call::Cas { .. }) if answer.body["succeeded"] != true => {
            Outcome::Fail("the value was another".into())
        }
        _ => Outcome::Ok(Ret::Done),
    }
}

/// Whether a request was carried out; if not, what became of it.
fn carried_out(answer: &Answer) -> Result<(), Outcome> {
    // Every answer of a request that was carried out has a header; a body that is cut short or is not etcd's has none.
    if answer.status == 200 && answer.body["header"].is_object() {
        return Ok(());
    }
    let words = format!("{} {}", answer.status, answer.body);
    let error = answer.body["error"].as_str().or(answer.body["message"].as_str()).unwrap_or_default();
    // 400 is what etcd could not read or finds malformed; both are looked at before anything is proposed.
    let never = answer.status == 400 || NEVER_HAPPENED.contains(&error);
    Err(if never { Outcome::Fail(words) } else { Outcome::Info(words) })
}

/// What a range over a key's prefix says is stored: nothing, a register's value or a set's elements.
fn stored(key: &Key, body: &Json) -> Option<Value> {
    let prefix = prefix(key);
    let pairs = body.get("kvs").map_or(Some(&[][..]), |kvs| kvs.as_array().map(Vec::as_slice))?;
    let mut elements = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let name = decode(&pair["key"])?;
        match name.strip_prefix(&prefix)? {
            "" if pairs.len() == 1 => return serde_json::from_str(&decode(&pair["value"])?).ok(),
            "" => return None,
            element => elements.push(serde_json::from_str(element).ok()?),
        }
    }
    Some(if elements.is_empty() { Value::Nil } else { Value::list(elements) })
}

pub(super) fn prefix(key: &Key) -> String {
    format!("{}/", text(key))
}

pub(super) fn text(value: &Value) -> String {
    serde_json::to_string(value).expect("every value has a JSON text")
}

pub(super) fn encode(text: &str) -> String {
    BASE64.encode(text)
}

pub(super) fn decode(json: &Json) -> Option<String> {
    String::from_utf8(BASE64.decode(json.as_str()?).ok()?).ok()
}

#[cfg(test)]
mod tests;
