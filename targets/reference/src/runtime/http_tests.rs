//! The table of answers, over a real socket.

use std::sync::Mutex;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::protocol::NodeId;

struct Served {
    address: std::net::SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
}

/// Serves clients; the protocol behind it always answers `response`, or takes nothing, or forgets to answer.
async fn served(response: Option<Response>, takes: bool) -> Served {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let kept = asked.clone();
    let submit = move |request, reply: oneshot::Sender<Response>| {
        kept.lock().unwrap().push(request);
        if let Some(response) = response.clone() {
            reply.send(response).unwrap();
        }
        takes
    };
    let status = Status {
        node: "n1".into(),
        role: "candidate".into(),
        term: 3,
        leader: None,
        commit: 2,
        applied: 1,
        ready: true,
        details: Default::default(),
    };
    let front = Front { submit: Arc::new(submit), status: Arc::new(RwLock::new(status)) };
    tokio::spawn(serve(listener, front));
    Served { address, asked }
}

impl Served {
    /// Code and body of the answer.
    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let length = body.len();
        let head = format!("{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n");
        let text = format!("{head}content-length: {length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.split(' ').nth(1).unwrap().parse().unwrap(), body.into())
    }
}

fn request(key: &str, operation: Operation) -> Request {
    Request { key: key.into(), operation, session: None, seen: None }
}

#[tokio::test]
async fn calls_become_requests() {
    let served = served(Some(Response::Done), true).await;
    let cas = Operation::Cas { from: Value::Nil, to: Value::Int(2) };
    let session = Some(("s".to_owned(), 7));
    for (method, path, body, expected) in [
        ("GET", "/kv/x", "", request("x", Operation::Read)),
        ("PUT", "/kv/x", r#"{"value":[1,"a"]}"#, {
            request("x", Operation::Write(Value::list([1.into(), "a".into()])))
        }),
        ("PUT", "/kv/a%2Fb%20%C3%A4", r#"{"value":null}"#, request("a/b ä", Operation::Write(Value::Nil))),
        ("POST", "/kv/x/cas", r#"{"from":null,"to":2}"#, request("x", cas)),
        ("POST", "/kv/x/add", r#"{"value":3,"session":"s","seq":7}"#, {
            Request { session, ..request("x", Operation::Add(Value::Int(3))) }
        }),
        ("POST", "/kv/x/remove", r#"{"value":3}"#, request("x", Operation::Remove(Value::Int(3)))),
        ("POST", "/kv/x/append", r#"{"value":"a"}"#, request("x", Operation::Append("a".into()))),
        ("POST", "/kv/x/increment", r#"{"by":-2}"#, request("x", Operation::Increment(-2))),
        ("PUT", "/kv/x", r#"{"value":1,"context":"c"}"#, {
            request("x", Operation::Replace { value: Value::Int(1), context: "c".into() })
        }),
    ] {
        assert_eq!(served.ask(method, path, body).await, (200, "{}".into()), "{method} {path} {body}");
        assert_eq!(served.asked.lock().unwrap().pop().unwrap(), expected);
    }
}

#[tokio::test]
async fn responses_become_answers() {
    for (response, code, body) in [
        (Response::Value(Value::Int(1)), 200, r#"{"value":1}"#),
        (Response::Value(Value::Nil), 200, r#"{"value":null}"#),
        (Response::Siblings { values: vec![Value::Int(1)], context: "c".into() }, 200, {
            r#"{"context":"c","value":[1]}"#
        }),
        (Response::Mismatch { found: Value::Int(4) }, 409, r#"{"error":"mismatch","found":4}"#),
        (Response::Refused { reason: "no".into(), leader: Some(NodeId(1)) }, 503, {
            r#"{"done":"no","error":"no","leader":"n2"}"#
        }),
        (Response::Refused { reason: "no".into(), leader: None }, 503, {
            r#"{"done":"no","error":"no","leader":null}"#
        }),
        (Response::Unknown { reason: "lost".into() }, 504, r#"{"done":"unknown","error":"lost"}"#),
    ] {
        let served = served(Some(response), true).await;
        assert_eq!(served.ask("GET", "/kv/x", "").await, (code, body.into()));
    }
}

#[tokio::test]
async fn what_is_not_taken_was_not_done_and_what_is_forgotten_is_unknown() {
    let full = served(None, false).await;
    let (code, body) = full.ask("GET", "/kv/x", "").await;
    assert_eq!((code, body.contains(r#""done":"no""#)), (503, true), "{body}");
    // Its reply is dropped unanswered, as by a node that stops.
    let forgetful = served(None, true).await;
    let (code, body) = forgetful.ask("PUT", "/kv/x", r#"{"value":1}"#).await;
    assert_eq!((code, body.contains(r#""done":"unknown""#)), (504, true), "{body}");
}

#[tokio::test]
async fn mistakes_are_named_and_never_reach_the_protocol() {
    let served = served(Some(Response::Done), true).await;
    for (method, path, body, code, part) in [
        ("PUT", "/kv/x", "", 400, "EOF"),
        ("PUT", "/kv/x", "{}", 400, "missing field `value`"),
        ("PUT", "/kv/x", r#"{"value":1.5}"#, 400, "an integer that fits"),
        ("PUT", "/kv/x", r#"{"value":1,"ttl":2}"#, 400, "unknown field `ttl`"),
        ("PUT", "/kv/x", r#"{"value":1,"seq":2}"#, 400, "only go together"),
        ("POST", "/kv/x/cas", r#"{"from":1}"#, 400, "missing field `to`"),
        ("POST", "/kv/x/add", r#"{"value":1,"context":"c"}"#, 400, "unknown field `context`"),
        ("PUT", "/kv/%ff", r#"{"value":1}"#, 400, "UTF-8"),
        ("GET", "/nowhere", "", 404, "nothing is at /nowhere"),
        ("DELETE", "/kv/x", "", 405, "another method"),
    ] {
        let (answered, text) = served.ask(method, path, body).await;
        assert_eq!(answered, code, "{method} {path} {body}: {text}");
        assert!(text.contains(part) && text.contains(r#""done":"no""#), "{method} {path} {body}: {text}");
    }
    // One byte more than is read.
    let (code, text) = served.ask("PUT", "/kv/x", &"x".repeat((2 << 20) + 1)).await;
    assert_eq!((code, text.contains("length limit exceeded")), (400, true), "{text}");
    assert!(served.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn status_and_help_ask_nobody() {
    let served = served(None, false).await;
    let (code, body) = served.ask("GET", "/status", "").await;
    let expected =
        r#"{"node":"n1","role":"candidate","term":3,"leader":null,"commit":2,"applied":1,"ready":true}"#;
    assert_eq!((code, body.as_str()), (200, expected));
    assert_eq!(served.ask("GET", "/", "").await, (200, HELP.into()));
    assert!(served.asked.lock().unwrap().is_empty());
}
