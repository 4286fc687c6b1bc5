//! Whole nodes as real processes: what a client was told must outlive them, and what is wrong must be said.

mod processes;

use std::process::Stdio;

use processes::{Cluster, addresses, node};
use schism_reference::runtime::Arguments;
use serde_json::json;

#[test]
fn writes_outlive_a_killed_leader_and_every_node_reads_them() {
    let mut cluster = Cluster::start(3, &[]);
    let leader = cluster.leader();
    for key in 0..20 {
        cluster.insist(key % 3, "PUT", &format!("/kv/k{key}"), &format!(r#"{{"value":{key}}}"#));
    }
    cluster.kill(leader);
    let other = (leader + 1) % 3;
    for key in 20..40 {
        cluster.insist(other, "PUT", &format!("/kv/k{key}"), &format!(r#"{{"value":{key}}}"#));
    }
    cluster.restart(leader);
    for node in [leader, other, (leader + 2) % 3] {
        for key in 0..40 {
            let read = cluster.insist(node, "GET", &format!("/kv/k{key}"), "");
            assert_eq!(read, json!({ "value": key }), "k{key} at node {node}");
        }
    }
}

#[test]
fn cas_and_add_say_what_they_did() {
    let cluster = Cluster::start(3, &[]);
    cluster.insist(0, "PUT", "/kv/x", r#"{"value":1}"#);
    assert_eq!(cluster.insist(1, "POST", "/kv/x/cas", r#"{"from":1,"to":2}"#), json!({}));
    let (code, body) = cluster.ask(2, "POST", "/kv/x/cas", r#"{"from":1,"to":3}"#).unwrap();
    assert_eq!((code, body), (409, json!({ "error": "mismatch", "found": 2 })));
    // A request that is sent again within its session happens once: the second cas would find 5.
    for _ in 0..2 {
        let body = r#"{"from":2,"to":5,"session":"c","seq":1}"#;
        assert_eq!(cluster.insist(0, "POST", "/kv/x/cas", body), json!({}));
    }
    for value in [3, 1, 3] {
        cluster.insist(2, "POST", "/kv/s/add", &format!(r#"{{"value":{value}}}"#));
    }
    let mut set = cluster.insist(0, "GET", "/kv/s", "")["value"].as_array().unwrap().clone();
    set.sort_by_key(|value| value.as_i64());
    assert_eq!(set, [1, 3]);
}

/// Writes, kills all nodes as soon as the last write is acknowledged, restarts them: is that write still there?
fn last_write_outlives_all(cluster: &mut Cluster, round: usize) -> bool {
    let leader = cluster.leader();
    for value in 0..5 {
        cluster.insist(leader, "PUT", "/kv/x", &format!(r#"{{"value":[{round},{value}]}}"#));
    }
    (0..3).for_each(|n| cluster.kill(n));
    (0..3).for_each(|n| cluster.restart(n));
    cluster.leader();
    cluster.insist(0, "GET", "/kv/x", "") == json!({ "value": [round, 4] })
}

#[test]
fn acknowledged_writes_outlive_the_death_of_all_nodes() {
    let mut cluster = Cluster::start(3, &[]);
    for round in 0..4 {
        assert!(last_write_outlives_all(&mut cluster, round), "lost in round {round}");
    }
}

/// What the kernel has outlives every process: only a failure of the power shows this bug. `schism demo ack-before-fsync` does.
#[test]
fn ack_before_fsync_loses_nothing_by_kills() {
    let mut cluster = Cluster::start(3, &["ack-before-fsync"]);
    assert!((0..2).all(|round| last_write_outlives_all(&mut cluster, round)));
}

#[test]
fn without_a_majority_nothing_is_claimed_and_status_still_answers() {
    let mut cluster = Cluster::start(3, &[]);
    let leader = cluster.leader();
    cluster.insist(leader, "PUT", "/kv/x", r#"{"value":1}"#);
    cluster.kill((leader + 1) % 3);
    cluster.kill((leader + 2) % 3);
    let (code, body) = cluster.ask(leader, "PUT", "/kv/x", r#"{"value":2}"#).unwrap();
    assert!([503, 504].contains(&code), "{code} {body}");
    let (code, body) = cluster.ask(leader, "GET", "/status", "").unwrap();
    assert_eq!((code, &body["node"]), (200, &json!(format!("n{}", leader + 1))));
    cluster.until("it no longer leads", || {
        let (_, status) = cluster.ask(leader, "GET", "/status", "")?;
        (status["role"] != "leader").then_some(())
    });
    cluster.restart((leader + 1) % 3);
    let read = cluster.insist(leader, "GET", "/kv/x", "");
    assert!([json!({ "value": 1 }), json!({ "value": 2 })].contains(&read), "{read}");
}

#[test]
fn a_paused_node_catches_up_when_it_goes_on() {
    let cluster = Cluster::start(3, &[]);
    let leader = cluster.leader();
    cluster.signal(leader, "-STOP");
    let other = (leader + 1) % 3;
    cluster.insist(other, "PUT", "/kv/x", r#"{"value":1}"#);
    cluster.signal(leader, "-CONT");
    assert_eq!(cluster.insist(leader, "GET", "/kv/x", ""), json!({ "value": 1 }));
}

#[test]
fn sigterm_is_a_clean_exit_that_loses_nothing_even_with_a_late_disk() {
    let mut cluster = Cluster::start(1, &["ack-before-fsync"]);
    cluster.insist(0, "PUT", "/kv/x", r#"{"value":1}"#);
    cluster.signal(0, "-TERM");
    let status = cluster.wait(0);
    assert!(status.success(), "{status}: {}", cluster.logged(0));
    assert!(cluster.logged(0).ends_with("n1 stopped\n"), "{}", cluster.logged(0));
    cluster.restart(0);
    assert_eq!(cluster.insist(0, "GET", "/kv/x", ""), json!({ "value": 1 }));
}

/// Exit code and the last line on stderr of a node that is expected to fail.
fn failure(arguments: &Arguments) -> (Option<i32>, String) {
    let output = node(arguments).stderr(Stdio::piped()).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), text.lines().last().unwrap_or_default().to_owned())
}

#[test]
fn what_keeps_a_node_from_starting_is_said_in_one_line() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.leader();
    let running = cluster.arguments[0].clone();
    let free = addresses(1)[0];
    let elsewhere = Arguments {
        client: free.0,
        peers: [(running.id, free.1)].into(),
        data: running.data.with_file_name("other"),
        ..running.clone()
    };
    let taken = Arguments { client: running.client, ..elsewhere.clone() };
    let in_use = Arguments { data: running.data.clone(), ..elsewhere.clone() };
    let unwritable = Arguments { data: "/dev/null/data".into(), ..elsewhere.clone() };
    let unknown_bug = Arguments { bugs: ["no-such".into()].into(), ..elsewhere.clone() };
    let not_a_peer = Arguments { id: schism_reference::protocol::NodeId(4), ..elsewhere.clone() };
    for (arguments, code, part) in [
        (&taken, 3, "error: cannot listen for clients on 127."),
        (&in_use, 3, "is in use by process"),
        (&unwritable, 3, "error: cannot create /dev/null/data: Not a directory"),
        (&unknown_bug, 64, "error: unknown --bug \"no-such\"; there are "),
        (&not_a_peer, 64, "error: --id n5 is not among --peers"),
    ] {
        let (exit, line) = failure(arguments);
        assert_eq!(exit, Some(code), "{line}");
        assert!(line.contains(part), "{line}");
    }
    // A garbled log: the first record, with whole ones after it.
    for value in 0..3 {
        cluster.insist(0, "PUT", "/kv/x", &format!(r#"{{"value":"v{value}"}}"#));
    }
    cluster.kill(0);
    let log = running.data.join("log-0000000001");
    let mut bytes = std::fs::read(&log).unwrap();
    let at = bytes.windows(2).position(|two| two == b"v0").unwrap();
    bytes[at] = b'w';
    std::fs::write(&log, bytes).unwrap();
    let (exit, line) = failure(&running);
    assert_eq!(exit, Some(3), "{line}");
    let expected = format!("error: {} is corrupt at byte ", log.display());
    assert!(line.starts_with(&expected) && line.contains("a garbled frame"), "{line}");
}

#[test]
fn the_last_record_torn_by_a_crash_is_cut_off_and_said() {
    let mut cluster = Cluster::start(1, &[]);
    cluster.insist(0, "PUT", "/kv/x", r#"{"value":1}"#);
    cluster.kill(0);
    let log = cluster.arguments[0].data.join("log-0000000001");
    let mut bytes = std::fs::read(&log).unwrap();
    bytes.extend([7, 0, 0, 0, 1, 2]);
    std::fs::write(&log, bytes).unwrap();
    cluster.restart(0);
    assert_eq!(cluster.insist(0, "GET", "/kv/x", ""), json!({ "value": 1 }));
    assert!(cluster.logged(0).contains("cut a torn tail of 6 bytes off"), "{}", cluster.logged(0));
}
