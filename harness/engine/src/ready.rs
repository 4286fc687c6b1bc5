//! How a node is found to be ready for calls: by the target's own question, or by a probe that a plan names.
//!
//! A probe asks once and says why not; whoever waits asks again. What it cannot tell: that a node stays ready.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::backend::{Backend, BackendError};
use crate::cluster::NodeSpec;
use crate::plan::Complaint;

/// The lines by which backends separate the starts of a node in its log.
pub const START: &str = "--- schism: ";

/// How long a command may take: an engine has to start it in a container first.
const COMMAND: Duration = Duration::from_secs(5);

/// How a node is found to be ready.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Ready {
    /// The target's own question about its health says so.
    #[default]
    Health,
    /// A GET of this path is answered with a status from 200 to 399.
    Http(u16, String),
    /// This port takes connections.
    Tcp(u16),
    /// These words are in the node's log, since its latest start.
    Log(String),
    /// This command ends with status 0: in the node where nodes are containers, in the clients' network elsewhere. The
    /// node's address is in its environment as `NODE_ADDRESS`.
    Command(Vec<String>),
}

impl Ready {
    /// Reads `health`, `http:2379/health`, `tcp:2379`, `log:WORDS`, `command:PROGRAM ARGUMENTS`; words of a command are
    /// parted by blanks.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse(text: &str) -> Result<Self, Complaint> {
        let wrong = || {
            let message = format!("`{text}` is no way to see that a node is ready");
            Complaint::new(message).hint(
                "write `health`, `http:2379/health`, `tcp:2379`, `log:WORDS` or `command:PROGRAM ARGUMENTS`",
            )
        };
        if text == "health" {
            return Ok(Ready::Health);
        }
        let port = |text: &str| text.parse().ok().filter(|port| *port > 0).ok_or_else(wrong);
        let (kind, rest) = text.split_once(':').ok_or_else(wrong)?;
        match kind {
            "http" => {
                let (number, path) = rest.split_once('/').unwrap_or((rest, ""));
                Ok(Ready::Http(port(number)?, format!("/{path}")))
            }
            "tcp" => Ok(Ready::Tcp(port(rest)?)),
            "log" if !rest.trim().is_empty() => Ok(Ready::Log(rest.trim().into())),
            "command" if !rest.trim().is_empty() => {
                Ok(Ready::Command(rest.split_whitespace().map(str::to_owned).collect()))
            }
            _ => Err(wrong()),
        }
    }

    /// Asks over the network; nothing for probes that need none. Called in the clients' network.
    pub fn over_network(&self, node: &NodeSpec, limit: Duration) -> Option<Result<(), String>> {
        match self {
            Ready::Http(port, path) => Some(get(node.reach(*port), path, limit)),
            Ready::Tcp(port) => {
                let tried = TcpStream::connect_timeout(&node.reach(*port), limit);
                Some(tried.map(drop).map_err(|error| format!("tcp port {port}: {error}")))
            }
            Ready::Health | Ready::Log(_) | Ready::Command(_) => None,
        }
    }

    /// Asks the backend; nothing for probes of the network.
    ///
    /// # Errors
    /// When the backend could not do it; that a node is not ready is none.
    pub fn at_backend(
        &self,
        node: &NodeSpec,
        backend: &mut dyn Backend,
    ) -> Result<Option<Result<(), String>>, BackendError> {
        match self {
            Ready::Log(words) => Ok(Some(logged(&backend.log(node.node), words))),
            Ready::Command(command) => backend.command(node.node, command, COMMAND).map(Some),
            Ready::Health | Ready::Http(..) | Ready::Tcp(_) => Ok(None),
        }
    }
}

/// Whether an HTTP server has an answer to a GET that is no refusal.
fn get(address: SocketAddr, path: &str, limit: Duration) -> Result<(), String> {
    let deadline = Instant::now() + limit;
    let asked = || -> io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&address, limit)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        let mut answer = Vec::new();
        let mut buffer = [0; 512];
        stream.write_all(request.as_bytes())?;
        while !answer.contains(&b'\n') && answer.len() < 4096 {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            stream.set_read_timeout(Some(left))?;
            match stream.read(&mut buffer)? {
                0 => break,
                count => answer.extend(&buffer[..count]),
            }
        }
        let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
        Ok(String::from_utf8_lossy(line).trim().to_owned())
    };
    let said = asked().map_err(|error| format!("GET {path}: {error}"))?;
    let status = said.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse::<u16>().ok());
    match status {
        Some(200..=399) => Ok(()),
        _ => Err(format!("GET {path}: {said:?}")),
    }
}

/// Whether words are in a log since the latest start.
fn logged(log: &Path, words: &str) -> Result<(), String> {
    let bytes = std::fs::read(log).map_err(|error| format!("{}: {error}", log.display()))?;
    let text = String::from_utf8_lossy(&bytes);
    let latest = text.rfind(START).map_or(&text[..], |at| &text[at..]);
    // The line of the start itself repeats the command line.
    let said = latest.split_once('\n').map_or("", |(_, rest)| rest);
    if said.contains(words) { Ok(()) } else { Err(format!("{words:?} is not in its log")) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn probes_are_read() {
        let read = |text| Ready::parse(text).ok();
        assert_eq!(read("health"), Some(Ready::Health));
        assert_eq!(read("http:80"), Some(Ready::Http(80, "/".into())));
        assert_eq!(read("http:80/a/b?c"), Some(Ready::Http(80, "/a/b?c".into())));
        assert_eq!(read("tcp:80"), Some(Ready::Tcp(80)));
        assert_eq!(read("log: ready to serve"), Some(Ready::Log("ready to serve".into())));
        assert_eq!(read("command:a -b"), Some(Ready::Command(vec!["a".into(), "-b".into()])));
        for text in ["", "tcp", "tcp:", "tcp:0", "tcp:65536", "log:", "command: ", "https:1/"] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn only_words_after_the_latest_start_count() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        let said = |text: &str| {
            std::fs::write(file.path(), text).expect("writing");
            logged(file.path(), "up").is_ok()
        };
        assert!(said("--- schism: n1, start 1: x\nup\n"));
        assert!(!said("--- schism: n1, start 1: x\nup\n--- schism: n1, start 2: x up\nwait\n"));
        assert!(said("up\n--- schism: n1, start 2: x\nand up\n"));
    }

    #[test]
    fn a_status_decides_and_silence_has_an_end() {
        for (answer, ready) in [
            ("HTTP/1.1 200 OK\r\n\r\n", true),
            ("HTTP/1.0 302 Found\r\n", true),
            ("HTTP/1.1 503 no\r\n\r\n", false),
            ("SSH-2.0\r\n", false),
            ("", false),
        ] {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
            let address = listener.local_addr().expect("bound");
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().expect("somebody");
                let mut request = [0; 512];
                let length = stream.read(&mut request).expect("a request");
                assert!(request[..length].starts_with(b"GET /x HTTP/1.1\r\n"));
                stream.write_all(answer.as_bytes()).expect("answering");
            });
            assert_eq!(get(address, "/x", Duration::from_secs(5)).is_ok(), ready, "{answer:?}");
            server.join().expect("it has answered");
        }
        let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = silent.local_addr().expect("bound");
        assert!(get(address, "/", Duration::from_millis(50)).is_err());
    }
}
