//! Locks in etcd, and something they guard: a lease, a key that only one can create, and its revision as fencing token.
//!
//! A lock K is the key `lock K`, which nobody else's key is; what it guards is the register K itself, which holds the
//! token of the last use, as text of one width, so that the order of texts is the order of tokens. Nothing keeps a lease
//! alive: who sleeps for longer than it lasts has lost the lock and is not told, as every client of a lease.

use std::collections::HashMap;
use std::time::Instant;

use schism_history::{Call, Key, Outcome, Ret, Value};
use serde_json::{Value as Json, json};

use super::client::{ask, encode, prefix, text};
use crate::http::Connection;

/// One client's locks.
pub struct Locks {
    lease_seconds: u64,
    fenced: bool,
    /// The leases on which it holds locks, as far as it knows.
    held: HashMap<Key, String>,
}

impl Locks {
    /// Locks that are granted for so many seconds. `fenced`: what they guard refuses a token older than the newest one it
    /// took.
    pub fn new(lease_seconds: u64, fenced: bool) -> Self {
        Locks { lease_seconds, fenced, held: HashMap::new() }
    }

    /// Carries out a call of locks; nothing for any other.
    pub fn call(&mut self, connection: &Connection, call: &Call, deadline: Instant) -> Option<Outcome> {
        let outcome = match call {
            Call::Acquire { key } => self.acquire(connection, key, deadline),
            Call::Use { key, token: Value::Int(token) } if *token >= 0 => {
                use_guarded(connection, key, *token, self.fenced, deadline)
            }
            Call::Use { .. } => Err(Outcome::Fail("a token is a whole number: nothing was sent".into())),
            Call::Release { key } => self.release(connection, key, deadline),
            _ => return None,
        };
        Some(outcome.map_or_else(|not| not, Outcome::Ok))
    }

    fn acquire(&mut self, connection: &Connection, key: &Key, deadline: Instant) -> Result<Ret, Outcome> {
        let lease = json!({ "TTL": self.lease_seconds.to_string(), "ID": "0" });
        // Whatever became of the lease: the lock has not been asked for. A lease that nobody uses runs out by itself.
        let granted = ask(connection, "/v3/lease/grant", &lease, deadline).map_err(|not| match not {
            Outcome::Fail(why) | Outcome::Info(why) => Outcome::Fail(format!("no lease: {why}")),
            Outcome::Ok(_) => Outcome::Fail("no lease".into()),
        })?;
        let Some(lease) = granted["ID"].as_str() else { return Err(Outcome::Fail("no lease".into())) };
        let answer = ask(connection, "/v3/kv/txn", &create(key, lease), deadline)?;
        // The transaction was carried out and found the key there; false is left out.
        if answer["succeeded"] != true {
            return Err(Outcome::Fail("somebody holds it".into()));
        }
        let revision = answer["header"]["revision"].as_str().and_then(|text| text.parse::<i64>().ok());
        let revision = revision.ok_or_else(|| Outcome::Info(format!("no revision in {answer}")))?;
        self.held.insert(key.clone(), lease.to_string());
        Ok(Ret::Value(revision.into()))
    }

    fn release(&mut self, connection: &Connection, key: &Key, deadline: Instant) -> Result<Ret, Outcome> {
        let Some(lease) = self.held.remove(key) else {
            return Err(Outcome::Fail("this client holds no lease on it: nothing was sent".into()));
        };
        ask(connection, "/v3/lease/revoke", &json!({ "ID": lease }), deadline).map(|_| Ret::Done)
    }
}

/// The lock's key, created if it is absent, to vanish with the lease. The revision of that is the token.
fn create(key: &Key, lease: &str) -> Json {
    let key = encode(&lock_key(key));
    json!({
        "compare": [{ "target": "VERSION", "result": "EQUAL", "key": key, "version": "0" }],
        "success": [{ "request_put": { "key": key, "value": "", "lease": lease } }],
    })
}

/// No JSON text begins like this, so it is no other key's.
fn lock_key(key: &Key) -> String {
    format!("lock {}", text(key))
}

fn use_guarded(
    connection: &Connection,
    key: &Key,
    token: i64,
    fenced: bool,
    deadline: Instant,
) -> Result<Ret, Outcome> {
    let (path, body) = guarded(key, token, fenced);
    let answer = ask(connection, path, &body, deadline)?;
    if answer["succeeded"] == true {
        return Err(Outcome::Fail("refused: a newer token has been here".into()));
    }
    Ok(Ret::Done)
}

/// Unfenced, the guarded register is simply written. Fenced, it is written unless what it holds is newer: of a register
/// that was never written that is false, too.
fn guarded(key: &Key, token: i64, fenced: bool) -> (&'static str, Json) {
    let key = encode(&prefix(key));
    let token = encode(&text(&Value::text(&format!("{token:019}"))));
    let put = json!({ "key": key, "value": token });
    if !fenced {
        return ("/v3/kv/put", put);
    }
    let newer = json!({ "target": "VALUE", "result": "GREATER", "key": key, "value": token });
    ("/v3/kv/txn", json!({ "compare": [newer], "failure": [{ "request_put": put }] }))
}

#[cfg(test)]
mod tests {
    use super::super::client::decode;
    use super::*;

    #[test]
    fn the_order_of_texts_is_the_order_of_tokens() {
        let written = |token| decode(&guarded(&1.into(), token, false).1["value"]).unwrap();
        let tokens = [0, 1, 9, 10, 99, 100, 1 << 40, i64::MAX];
        assert!(tokens.windows(2).all(|pair| written(pair[0]) < written(pair[1])));
        // And it can be read as any register can.
        assert_eq!(serde_json::from_str::<Value>(&written(7)).unwrap(), Value::text("0000000000000000007"));
    }

    #[test]
    fn only_a_fenced_resource_looks_before_it_is_written() {
        let (path, body) = guarded(&1.into(), 7, true);
        assert_eq!((path, body["compare"][0]["result"].as_str()), ("/v3/kv/txn", Some("GREATER")));
        assert!(body["success"].is_null() && body["failure"][0]["request_put"].is_object());
        assert_eq!(guarded(&1.into(), 7, false).0, "/v3/kv/put");
    }

    #[test]
    fn a_lock_is_no_other_key() {
        for key in [Key::from(1), "lock 1".into(), Value::Nil, Value::Bool(true), Value::list([1.into()])] {
            assert!(!prefix(&key).starts_with("lock"), "{key}");
            assert!(lock_key(&key).starts_with("lock "));
        }
    }
}
