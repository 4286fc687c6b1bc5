//! Watching a register in etcd: its changes from a revision on, as one answer that is read while it is being sent.
//!
//! The answer never ends by itself. It is read for a while, and what came until then is what was seen: changes one after
//! the other, without a claim about what comes next. The next watch goes on after the last one, over a new connection.

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use schism_history::{Key, Outcome, Ret, Value};
use serde_json::{Value as Json, json};

use super::client::{decode, encode, prefix};
use crate::http::{Connection, NoAnswer};

/// How long a watch listens at most. Long enough for changes that happen meanwhile, not only for those of before.
const LISTENS: Duration = Duration::from_millis(600);

/// More changes than this and it has seen enough for once.
const MOST: usize = 2_000;

/// Watches a key. Headers are those of any request.
pub fn watch(
    connection: &Connection,
    headers: &[(&str, &str)],
    key: &Key,
    from: i64,
    timeout: Duration,
) -> Outcome {
    let body =
        json!({ "create_request": { "key": encode(&prefix(key)), "start_revision": from.to_string() } });
    match connection.stream(headers, "/v3/watch", &body, timeout.min(LISTENS)) {
        Ok((200, answer)) => seen(answer),
        Ok((status, _)) => Outcome::Fail(format!("{status}: a watch changes nothing")),
        Err(NoAnswer::NotSent(why) | NoAnswer::Unknown(why)) => {
            Outcome::Fail(format!("{why}: a watch changes nothing"))
        }
    }
}

/// What an answer holds until it breaks off: a list of `[revision, value]`.
fn seen(answer: impl Read) -> Outcome {
    let mut changes = Vec::new();
    let mut created = false;
    // A line that is cut short by the end of the time is no line: what it says is told again to the next watch.
    for line in BufReader::new(answer).split(b'\n').map_while(Result::ok) {
        let Ok(line) = serde_json::from_slice::<Json>(&line) else { break };
        let result = &line["result"];
        created |= result["created"] == true;
        if result["canceled"] == true || !result.is_object() {
            if changes.is_empty() {
                return Outcome::Fail(format!("{line}: a watch changes nothing"));
            }
            break;
        }
        for event in result["events"].as_array().into_iter().flatten() {
            match change(event) {
                Some(change) => changes.push(change),
                None => return Outcome::Info(format!("not what this client writes: {event}")),
            }
        }
        if changes.len() >= MOST {
            break;
        }
    }
    if !created {
        return Outcome::Fail("the watch was not begun in time; it changes nothing".into());
    }
    Outcome::Ok(Ret::Value(Value::list(changes)))
}

/// One change; a key that is deleted holds nil.
fn change(event: &Json) -> Option<Value> {
    let revision: i64 = event["kv"]["mod_revision"].as_str()?.parse().ok()?;
    let value = match event["type"].as_str() {
        Some("DELETE") => Value::Nil,
        _ => serde_json::from_str(&decode(&event["kv"]["value"])?).ok()?,
    };
    Some(Value::list([revision.into(), value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As etcd 3.4.23 answered, two changes of a key that was 5 and then 6.
    const HEADER: &str = r#""header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"2"}"#;

    fn line(rest: &str) -> String {
        format!("{{\"result\":{{{HEADER},{rest}}}}}\n")
    }

    fn begun() -> String {
        line(r#""created":true"#)
    }

    fn events() -> String {
        line(
            r#""events":[{"kv":{"key":"MS8=","mod_revision":"2","version":"1","value":"NQ=="}},{"kv":{"key":"MS8=","mod_revision":"3","value":"Ng=="}}]"#,
        )
    }

    fn list(changes: &[(i64, Value)]) -> Outcome {
        let changes =
            changes.iter().map(|(revision, value)| Value::list([(*revision).into(), value.clone()]));
        Outcome::Ok(Ret::Value(Value::list(changes)))
    }

    #[test]
    fn changes_are_told_with_their_revisions() {
        let deleted = line(r#""events":[{"type":"DELETE","kv":{"key":"MS8=","mod_revision":"4"}}]"#);
        let text = format!("{}{}{deleted}", begun(), events());
        assert_eq!(seen(text.as_bytes()), list(&[(2, 5.into()), (3, 6.into()), (4, Value::Nil)]));
    }

    #[test]
    fn what_came_before_an_answer_broke_off_was_seen() {
        let whole = format!("{}{}", begun(), events());
        let cut = format!("{whole}{}", &events()[..40]);
        assert_eq!(seen(cut.as_bytes()), list(&[(2, 5.into()), (3, 6.into())]));
        assert_eq!(seen(begun().as_bytes()), list(&[]));
        assert_eq!(seen("".as_bytes()).word(), "fail", "it was never begun");
    }

    #[test]
    fn one_that_is_cancelled_is_no_answer() {
        let cancelled = line(r#""canceled":true,"compact_revision":"9""#);
        assert_eq!(seen(format!("{}{cancelled}", begun()).as_bytes()).word(), "fail");
        assert_eq!(seen(r#"{"error":{"message":"etcdserver: no leader"}}"#.as_bytes()).word(), "fail");
    }
}
