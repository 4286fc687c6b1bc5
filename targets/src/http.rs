//! One connection to one node over HTTP, with nothing happening behind our back: no redirects, no proxy, no second
//! connection, no retry.

use std::io::Read;
use std::time::Duration;

use ureq::http::Response;
use ureq::{Agent, Body, Error};

/// A connection to a node. Opens when first used, and again after it broke.
pub struct Connection {
    agent: Agent,
    base: String,
}

/// An answer: its status, and its body as JSON (`null` if it is none).
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body.
    pub body: serde_json::Value,
}

/// Why there is no answer.
pub enum NoAnswer {
    /// The connection was refused or could not be opened in time: nothing was sent.
    NotSent(String),
    /// Something may have been sent: what was asked may still happen.
    Unknown(String),
}

impl Connection {
    /// To `http://{address}`, an IP address with a port.
    pub fn new(address: String) -> Self {
        let config = Agent::config_builder()
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .max_idle_connections(1)
            .max_idle_connections_per_host(1)
            .max_idle_age(Duration::from_secs(3600))
            .build();
        Connection { agent: Agent::new_with_config(config), base: format!("http://{address}") }
    }

    /// Asks, and waits at most `timeout`.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub fn get(&self, path: &str, timeout: Duration) -> Result<Answer, NoAnswer> {
        let request = self.agent.get(format!("{}{path}", self.base));
        answer(request.config().timeout_global(Some(timeout)).build().call())
    }

    /// Sends a body, and waits at most `timeout` for the answer.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub fn send(
        &self,
        method: Method,
        path: &str,
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        self.send_with(&[], method, path, body, timeout)
    }

    /// The same, with headers: names and values.
    ///
    /// # Errors
    /// When there is no whole answer in time.
    pub fn send_with(
        &self,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        let url = format!("{}{path}", self.base);
        let request = match method {
            Method::Put => self.agent.put(url),
            Method::Post => self.agent.post(url),
        };
        let request =
            headers.iter().fold(request.content_type("application/json"), |request, (name, value)| {
                request.header(*name, *value)
            });
        answer(request.config().timeout_global(Some(timeout)).build().send(body.to_string()))
    }
}

impl Connection {
    /// Sends a body by POST, and gives the answer's status and its body while that is being sent, for `timeout` in all.
    /// A body that is not read to its end closes the connection.
    ///
    /// # Errors
    /// When no answer has begun in time.
    pub fn stream(
        &self,
        headers: &[(&str, &str)],
        path: &str,
        body: &serde_json::Value,
        timeout: Duration,
    ) -> Result<(u16, impl Read + use<>), NoAnswer> {
        let request = self.agent.post(format!("{}{path}", self.base)).content_type("application/json");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.config().timeout_global(Some(timeout)).build();
        let response = request.send(body.to_string()).map_err(classify)?;
        Ok((response.status().as_u16(), response.into_body().into_reader()))
    }
}

/// How a body is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// PUT
    Put,
    /// POST
    Post,
}

fn answer(result: Result<Response<Body>, Error>) -> Result<Answer, NoAnswer> {
    let mut response = result.map_err(classify)?;
    let status = response.status().as_u16();
    let text = response.body_mut().with_config().limit(64 << 20).read_to_string().map_err(classify)?;
    Ok(Answer { status, body: serde_json::from_str(&text).unwrap_or_default() })
}

/// Which errors leave no doubt. A refused connection does: the node's kernel answered that nobody listens, so nothing was
/// sent. So does a connection that could not be opened in time or for which there is no route: the request goes out only
/// after the handshake. Everything else may have happened after the request left.
fn classify(error: Error) -> NoAnswer {
    use std::io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable};
    let text = error.to_string();
    match error {
        Error::Io(io) if matches!(io.kind(), ConnectionRefused | HostUnreachable | NetworkUnreachable) => {
            NoAnswer::NotSent(text)
        }
        Error::Timeout(ureq::Timeout::Connect) | Error::ConnectionFailed | Error::HostNotFound => {
            NoAnswer::NotSent(text)
        }
        _ => NoAnswer::Unknown(text),
    }
}
