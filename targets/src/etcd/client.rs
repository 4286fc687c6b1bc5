//! A client of one etcd node: calls as requests to its JSON gateway, and what its answers mean.
//!
//! A key K is the prefix `K/` in etcd, K as JSON text, which no other key's text can begin with. A register's value is
//! kept under `K/` itself, as JSON text, and nil is the absence of that key. A set has one key `K/element` per element: an
//! add is then one blind put that no other add can disturb, where a compare-and-set of the whole set would take a read, a
//! transaction as long as the set, and retries. A read of either is one range over the prefix, at one revision. The price:
//! an element added twice looks like one.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use schism_engine::client::Client;
use schism_history::{Call, Key, Outcome, Ret, Value};
use serde_json::{Value as Json, json};

use crate::http::{Answer, Connection, Method, NoAnswer};

/// Asks a node to refuse at once while it knows no leader, in place of keeping the request until there is one. What was
/// refused so was not proposed; what would be kept may be proposed long after we gave up on it.
const NEEDS_LEADER: &[(&str, &str)] = &[("Grpc-Metadata-hasleader", "true")];

/// Errors after which nothing was proposed, by the words in which etcd says them, each with its reason.
///
/// Not among them, since a proposal may be under way or even applied: `request timed out` in all its forms, `leader
/// changed`, `server stopped`, everything of the transport's, and `database space exceeded`: a put that is the first to
/// exceed the space is applied and answered with that error all the same.
const NEVER_PROPOSED: &[&str] = &[
    // Answered because of `NEEDS_LEADER`, before the request reaches its handler.
    "etcdserver: no leader",
    // Raft itself refused to take the proposal: it was neither appended to the node's log nor passed on to a leader. One
    // that was passed on and refused by the leader gets no such answer; it times out.
    "raft proposal dropped",
    // The node is too far behind with applying; looked at before it proposes.
    "etcdserver: too many requests",
];

/// One client of one node.
pub struct EtcdClient {
    connection: Connection,
    serializable: bool,
}

impl EtcdClient {
    /// A client whose reads are linearizable, or serializable: answered by the node from its own state.
    pub fn new(connection: Connection, serializable: bool) -> Self {
        EtcdClient { connection, serializable }
    }
}

impl Client for EtcdClient {
    fn call(&mut self, call: &Call, timeout: Duration) -> Outcome {
        let Some((path, body)) = request(call, self.serializable) else {
            return Outcome::Fail("this client has no append: nothing was sent".into());
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
    let words = || format!("{} {}", answer.status, answer.body);
    // Every answer of a request that was carried out has a header; a body that is cut short or is not etcd's has none.
    if answer.status == 200 && answer.body["header"].is_object() {
        return match call {
            Call::Read { key } => match stored(key, &answer.body) {
                Some(value) => Outcome::Ok(Ret::Value(value)),
                None => Outcome::Info(format!("not what this client writes: {}", words())),
            },
            // The transaction was carried out and took its empty other branch; false is left out.
            Call::Cas { .. } if answer.body["succeeded"] != true => {
                Outcome::Fail("the value was another".into())
            }
            _ => Outcome::Ok(Ret::Done),
        };
    }
    let error = answer.body["error"].as_str().or(answer.body["message"].as_str()).unwrap_or_default();
    // 400 is what etcd could not read or finds malformed; both are looked at before anything is proposed.
    if answer.status == 400 || NEVER_PROPOSED.contains(&error) {
        Outcome::Fail(words())
    } else {
        Outcome::Info(words())
    }
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

fn prefix(key: &Key) -> String {
    format!("{}/", text(key))
}

fn text(value: &Value) -> String {
    serde_json::to_string(value).expect("every value has a JSON text")
}

fn encode(text: &str) -> String {
    BASE64.encode(text)
}

fn decode(json: &Json) -> Option<String> {
    String::from_utf8(BASE64.decode(json.as_str()?).ok()?).ok()
}

#[cfg(test)]
mod tests;
