//! What is sent and what answers mean, by answers as etcd 3.4.23 gave them.

use std::io::{Read, Write};
use std::net::TcpListener;

use super::*;

const HEADER: &str = r#""header":{"cluster_id":"1","member_id":"2","revision":"3","raft_term":"4"}"#;

fn answer(status: u16, body: &str) -> Answer {
    Answer { status, body: serde_json::from_str(body).unwrap_or_default() }
}

fn refusal(status: u16, words: &str) -> Answer {
    answer(status, &json!({ "code": 14, "error": words, "message": words }).to_string())
}

fn read(key: &str) -> Call {
    Call::Read { key: key.into() }
}

fn cas(from: Value, to: Value) -> Call {
    Call::Cas { key: "x".into(), from, to }
}

/// What a store that had carried out this write or these adds, and nothing else, would answer to a read.
fn read_after(calls: &[Call]) -> Outcome {
    let kvs: Vec<Json> = calls
        .iter()
        .map(|call| request(call, false).unwrap().1)
        .map(|body| json!({ "key": body["key"], "value": body["value"], "version": "1" }))
        .collect();
    let body = format!("{{{HEADER},\"kvs\":{},\"count\":\"{}\"}}", Json::from(kvs.clone()), kvs.len());
    outcome(&Call::Read { key: calls[0].key().clone() }, &answer(200, &body))
}

#[test]
fn every_value_comes_back_as_it_was_written() {
    for value in [
        Value::Int(i64::MIN),
        Value::text("a/b \"0\" ü"),
        Value::text("1"),
        Value::Bool(false),
        Value::list([1.into(), Value::Nil]),
    ] {
        let write = Call::Write { key: "a/b".into(), value: value.clone() };
        assert_eq!(read_after(&[write]), Outcome::Ok(Ret::Value(value)));
    }
    let adds = [3, 1, 20].map(|value| Call::Add { key: "s".into(), value: value.into() });
    let all = Value::list([3.into(), 1.into(), 20.into()]);
    assert_eq!(read_after(&adds), Outcome::Ok(Ret::Value(all)));
    let nothing = answer(200, &format!("{{{HEADER}}}"));
    assert_eq!(outcome(&read("x"), &nothing), Outcome::Ok(Ret::Value(Value::Nil)));
}

#[test]
fn nil_is_the_absence_of_a_key() {
    let (path, _) = request(&Call::Write { key: "x".into(), value: Value::Nil }, false).unwrap();
    assert_eq!(path, "/v3/kv/deleterange");
    let (_, body) = request(&cas(Value::Nil, 1.into()), false).unwrap();
    assert_eq!(body["compare"][0]["version"], "0");
    let (_, body) = request(&cas(1.into(), Value::Nil), false).unwrap();
    assert!(body["success"][0]["request_delete_range"].is_object());
}

/// A range takes all that begins with a key's prefix and nothing of another key.
#[test]
fn keys_do_not_run_into_one_another() {
    let keys: [Key; 6] = [1.into(), 10.into(), "1".into(), "1/".into(), "1\"/".into(), "".into()];
    for one in &keys {
        let (_, body) = request(&Call::Read { key: one.clone() }, false).unwrap();
        let range = decode(&body["key"]).unwrap()..decode(&body["range_end"]).unwrap();
        for other in &keys {
            for call in [
                Call::Write { key: other.clone(), value: 1.into() },
                Call::Add { key: other.clone(), value: "/0~".into() },
            ] {
                let at = decode(&request(&call, false).unwrap().1["key"]).unwrap();
                assert_eq!(range.contains(&at), one == other, "{at} in {range:?}");
            }
        }
    }
}

#[test]
fn a_cas_that_met_another_value_failed_and_a_cut_answer_says_nothing() {
    let call = cas(1.into(), 2.into());
    let took = format!("{{{HEADER},\"succeeded\":true,\"responses\":[]}}");
    assert_eq!(outcome(&call, &answer(200, &took)), Outcome::Ok(Ret::Done));
    let met_another = format!("{{{HEADER}}}");
    assert_eq!(outcome(&call, &answer(200, &met_another)).word(), "fail");
    for nothing in ["", "{}", "null", "<html>"] {
        assert_eq!(outcome(&call, &answer(200, nothing)).word(), "info", "{nothing:?}");
        assert_eq!(outcome(&read("x"), &answer(200, nothing)).word(), "info", "{nothing:?}");
    }
}

#[test]
fn only_what_was_never_proposed_is_a_fail() {
    let write = Call::Write { key: "x".into(), value: 1.into() };
    for (status, words, word) in [
        (503, "etcdserver: no leader", "fail"),
        (500, "raft proposal dropped", "fail"),
        (429, "etcdserver: too many requests", "fail"),
        (400, "etcdserver: key is not provided", "fail"),
        (404, "etcdserver: requested lease not found", "fail"),
        (403, "etcdserver: permission denied", "fail"),
        (401, "etcdserver: invalid auth token", "fail"),
        (412, "etcdserver: user name is empty", "fail"),
        (413, "etcdserver: request is too large", "fail"),
        (416, "etcdserver: mvcc: required revision has been compacted", "fail"),
        (412, "etcdserver: not leader", "info"),
        (504, "context deadline exceeded", "info"),
        (503, "etcdserver: request timed out, possibly due to connection lost", "info"),
        (503, "etcdserver: request timed out, waiting for the applied index took too long", "info"),
        (500, "etcdserver: corrupt cluster", "info"),
        (503, "etcdserver: request timed out", "info"),
        (503, "etcdserver: request timed out, possibly due to previous leader failure", "info"),
        (503, "etcdserver: leader changed", "info"),
        (503, "etcdserver: server stopped", "info"),
        (429, "etcdserver: mvcc: database space exceeded", "info"),
        (503, "transport is closing", "info"),
        (500, "", "info"),
    ] {
        assert_eq!(outcome(&write, &refusal(status, words)).word(), word, "{status} {words}");
    }
}

/// etcd's refusals are chunked and end with a trailer. The connection must be usable afterwards, and stay one.
#[test]
fn a_refusal_with_a_trailer_does_not_spoil_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let body = r#"{"error":"etcdserver: no leader","message":"etcdserver: no leader","code":14}"#;
    let refused = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nTrailer: Grpc-Trailer-Content-Type\r\n\
         Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\nGrpc-Trailer-Content-Type: application/grpc\r\n\r\n",
        body.len()
    );
    let taken = format!("{{{HEADER}}}");
    let taken = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{taken}", taken.len());
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut asked = Vec::new();
        for reply in [refused, taken] {
            asked.push(request_of(&mut stream));
            stream.write_all(reply.as_bytes()).unwrap();
        }
        asked
    });
    let mut client = EtcdClient::new(Connection::new(address), false, Locks::new(2, true));
    let write = Call::Write { key: "x".into(), value: 1.into() };
    assert_eq!(client.call(&write, Duration::from_secs(10)).word(), "fail");
    assert_eq!(client.call(&write, Duration::from_secs(10)), Outcome::Ok(Ret::Done));
    for asked in server.join().unwrap() {
        assert!(asked.to_lowercase().contains("grpc-metadata-hasleader: true"), "{asked}");
    }
}

/// One request, whole.
fn request_of(stream: &mut std::net::TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let got = stream.read(&mut buffer).unwrap();
        assert!(got > 0, "the connection stays open: {text}");
        text.push_str(std::str::from_utf8(&buffer[..got]).unwrap());
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.to_lowercase().lines().find_map(|line| {
                line.strip_prefix("content-length:").and_then(|length| length.trim().parse::<usize>().ok())
            });
            if body.len() >= length.expect("a request says how long it is") {
                return text;
            }
        }
    }
}

/// Every row of the table is told apart from what is not in it, whatever HTTP state it comes with.
#[test]
fn the_words_decide_and_not_the_state() {
    let write = Call::Write { key: "x".into(), value: 1.into() };
    for words in NEVER_HAPPENED {
        for status in [403, 404, 412, 429, 500, 503] {
            assert_eq!(outcome(&write, &refusal(status, words)).word(), "fail", "{status} {words}");
            let others = format!("{words}, or so");
            assert_eq!(outcome(&write, &refusal(status, &others)).word(), "info", "{status} {others}");
        }
    }
}
