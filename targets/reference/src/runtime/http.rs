//! JSON over HTTP for clients, so that a person can `curl` it. [`HELP`] shows the calls.
//!
//! What an answer claims: 200 it happened; 409 the cas found something else; 503 and 400 it certainly did not and will
//! not happen (`"done":"no"`); 504 nobody knows (`"done":"unknown"`). No redirects: a client that wants the leader is
//! told its name.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, PathRejection};
use axum::extract::{Path, State};
use axum::http::{StatusCode, Uri};
use axum::response::Json;
use axum::routing::{get, post};
use axum::serve::ListenerExt;
use schism_history::Value;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;

use crate::protocol::{Operation, Request, Response, Status};

/// What `GET /` says.
pub const HELP: &str = r#"one node of a replicated key-value store

  curl     HERE/kv/x                                          → {"value":…}, null if nothing is there
  curl     HERE/kv/x -X PUT -d '{"value":1}'                  → {}
  curl     HERE/kv/x/cas    -d '{"from":1,"to":2}'            → {}, or 409 {"error":"mismatch","found":…}
  curl     HERE/kv/x/add    -d '{"value":3}'                  → {}; makes the value a set; so does remove
  curl     HERE/kv/x/increment -d '{"by":1}'                  → {}; by may be negative
  curl     HERE/kv/x/append -d '{"value":"a"}'                → {}; at the end of a list, or text
  curl     HERE/status                                        → role, term, leader; never waits for other nodes

a value is null, a boolean, an integer, a string, or a list of those
with siblings a value is a list of all, beside a "context"; a PUT with that "context" replaces those and no others
a body may also hold "session":"s","seq":N: the same session and number happen once, however often they are sent
some families answer with "seen": what you have seen; go on with it, here or at another node: curl HERE/kv/x?seen=…
503 it was not done ("leader" names who might do it), 504 nobody knows whether it was or will be done
"#;

/// How long a client is kept waiting before it is told that nobody knows.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// How many requests may be open at once; more are refused.
pub const MAX_OPEN: usize = 1024;

/// Takes a request to the protocol; `false` if it cannot be taken now, and certainly will not be done.
pub type Submit = dyn Fn(Request, oneshot::Sender<Response>) -> bool + Send + Sync;

/// What the HTTP side needs of a node.
#[derive(Clone)]
pub struct Front {
    /// Takes a request to the protocol.
    pub submit: Arc<Submit>,
    /// What the protocol last said of itself.
    pub status: Arc<RwLock<Status>>,
}

struct Shared {
    front: Front,
    open: Semaphore,
}

/// An HTTP answer.
type Answer = (StatusCode, Json<serde_json::Value>);

/// Serves clients, for ever.
///
/// # Errors
/// None in practice: trouble with one connection ends that connection alone.
pub async fn serve(listener: TcpListener, front: Front) -> std::io::Result<()> {
    let shared = Arc::new(Shared { front, open: Semaphore::new(MAX_OPEN) });
    let router = Router::new()
        .route("/", get(async || HELP))
        .route("/status", get(status))
        .route("/kv/{key}", get(read).put(write))
        .route("/kv/{key}/cas", post(cas))
        .route("/kv/{key}/add", post(add))
        .route("/kv/{key}/remove", post(remove))
        .route("/kv/{key}/append", post(append))
        .route("/kv/{key}/increment", post(increment))
        .fallback(nowhere)
        .method_not_allowed_fallback(async || {
            refuse(StatusCode::METHOD_NOT_ALLOWED, "another method is meant: see GET /")
        })
        .with_state(shared);
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    axum::serve(listener, router).await
}

async fn nowhere(uri: Uri) -> Answer {
    refuse(StatusCode::NOT_FOUND, &format!("nothing is at {}: see GET /", uri.path()))
}

async fn status(State(shared): State<Arc<Shared>>) -> Json<Status> {
    Json(shared.front.status.read().unwrap_or_else(PoisonError::into_inner).clone())
}

type Key = Result<Path<String>, PathRejection>;
type Raw = Result<Bytes, BytesRejection>;

/// What comes after `?seen=`; as it stands, since no character of it needs escaping.
fn seen(uri: &Uri) -> Option<String> {
    uri.query()?.split('&').find_map(|pair| pair.strip_prefix("seen=")).map(str::to_owned)
}

async fn read(State(shared): State<Arc<Shared>>, key: Key, uri: Uri) -> Answer {
    shared.ask(key, &uri, Ok((Operation::Read, None))).await
}

/// A body with its session taken off.
type Body = Result<(Operation, Option<(String, u64)>), String>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ValueBody {
    value: Value,
    context: Option<String>,
    session: Option<String>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ElementBody {
    value: Value,
    session: Option<String>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AmountBody {
    by: i64,
    session: Option<String>,
    seq: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CasBody {
    from: Value,
    to: Value,
    session: Option<String>,
    seq: Option<u64>,
}

async fn write(State(shared): State<Arc<Shared>>, key: Key, uri: Uri, body: Raw) -> Answer {
    let body = parse::<ValueBody>(body).and_then(|it| {
        let operation = match it.context {
            None => Operation::Write(it.value),
            Some(context) => Operation::Replace { value: it.value, context },
        };
        Ok((operation, session(it.session, it.seq)?))
    });
    shared.ask(key, &uri, body).await
}

async fn add(State(shared): State<Arc<Shared>>, key: Key, uri: Uri, body: Raw) -> Answer {
    shared.ask(key, &uri, element(body, Operation::Add)).await
}

async fn remove(State(shared): State<Arc<Shared>>, key: Key, uri: Uri, body: Raw) -> Answer {
    shared.ask(key, &uri, element(body, Operation::Remove)).await
}

async fn append(State(shared): State<Arc<Shared>>, key: Key, uri: Uri, body: Raw) -> Answer {
    shared.ask(key, &uri, element(body, Operation::Append)).await
}

fn element(body: Raw, operation: fn(Value) -> Operation) -> Body {
    parse::<ElementBody>(body).and_then(|it| Ok((operation(it.value), session(it.session, it.seq)?)))
}

async fn increment(State(shared): State<Arc<Shared>>, key: Key, uri: Uri, body: Raw) -> Answer {
    let body = parse::<AmountBody>(body)
        .and_then(|it| Ok((Operation::Increment(it.by), session(it.session, it.seq)?)));
    shared.ask(key, &uri, body).await
}

async fn cas(State(shared): State<Arc<Shared>>, key: Key, uri: Uri, body: Raw) -> Answer {
    let body = parse::<CasBody>(body)
        .and_then(|it| Ok((Operation::Cas { from: it.from, to: it.to }, session(it.session, it.seq)?)));
    shared.ask(key, &uri, body).await
}

fn parse<T: DeserializeOwned>(body: Raw) -> Result<T, String> {
    let body = body.map_err(|error| error.body_text())?;
    serde_json::from_slice(&body).map_err(|error| format!("the body is not as expected: {error}"))
}

fn session(session: Option<String>, seq: Option<u64>) -> Result<Option<(String, u64)>, String> {
    match (session, seq) {
        (Some(session), Some(seq)) => Ok(Some((session, seq))),
        (None, None) => Ok(None),
        _ => Err("session and seq only go together".into()),
    }
}

impl Shared {
    async fn ask(&self, key: Key, uri: &Uri, body: Body) -> Answer {
        let key = match key {
            Ok(Path(key)) => key,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &error.body_text()),
        };
        let (operation, session) = match body {
            Ok(body) => body,
            Err(error) => return refuse(StatusCode::BAD_REQUEST, &error),
        };
        let overloaded = || refusal("too many requests are open".into(), None);
        let Ok(_open) = self.open.try_acquire() else { return overloaded() };
        let seen = seen(uri);
        let (reply, response) = oneshot::channel();
        if !(self.front.submit)(Request { key, operation, session, seen }, reply) {
            return overloaded();
        }
        match timeout(PATIENCE, response).await {
            Ok(Ok(response)) => answer(response),
            Ok(Err(_)) => unknown("the node stopped before it was done"),
            Err(_) => unknown(&format!("no answer within {} s", PATIENCE.as_secs())),
        }
    }
}

fn answer(response: Response) -> Answer {
    match response {
        Response::Done => (StatusCode::OK, Json(json!({}))),
        Response::Value(value) => (StatusCode::OK, Json(json!({ "value": value }))),
        Response::Siblings { values, context } => {
            (StatusCode::OK, Json(json!({ "value": values, "context": context })))
        }
        Response::Seen { value: Some(value), seen } => {
            (StatusCode::OK, Json(json!({ "value": value, "seen": seen })))
        }
        Response::Seen { value: None, seen } => (StatusCode::OK, Json(json!({ "seen": seen }))),
        Response::Mismatch { found } => {
            (StatusCode::CONFLICT, Json(json!({ "error": "mismatch", "found": found })))
        }
        Response::Refused { reason, leader } => refusal(reason, leader.map(|leader| leader.to_string())),
        Response::Unknown { reason } => unknown(&reason),
    }
}

fn refuse(code: StatusCode, error: &str) -> Answer {
    (code, Json(json!({ "error": error, "done": "no" })))
}

fn refusal(reason: String, leader: Option<String>) -> Answer {
    (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": reason, "leader": leader, "done": "no" })))
}

fn unknown(reason: &str) -> Answer {
    (StatusCode::GATEWAY_TIMEOUT, Json(json!({ "error": reason, "done": "unknown" })))
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
