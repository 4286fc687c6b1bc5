//! A capture as it is written down: a file of pcapng with a place for each endpoint that packets are for, and the packets of
//! those who have no file at hand, to be handed on to whoever has.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::pcapng::{Seen, Writer};
use super::{BackendError, Capture, Captured};
use crate::cluster::{Endpoint, Node};

/// The file, while packets are written into it.
pub(super) struct Book {
    writer: Writer<BufWriter<File>>,
    failed: Option<io::Error>,
    told: Arc<OnceLock<Captured>>,
}

/// A packet on its way to the file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Noted {
    /// When, since 1970.
    pub(super) time: Duration,
    /// For whom it is.
    pub(super) to: Endpoint,
    /// From its IP header on.
    #[serde(serialize_with = "to_text", deserialize_with = "from_text")]
    pub(super) bytes: Vec<u8>,
    /// What there is to say of it; nothing if empty.
    pub(super) comment: String,
    /// Whether we have made it: whoever it is for may see it arrive, and does not know that.
    pub(super) forged: bool,
}

impl Book {
    /// Begins a file for a cluster of so many nodes. Nothing is ever overwritten.
    ///
    /// # Errors
    /// When it cannot be made.
    pub(super) fn begin(asked: &Capture, nodes: usize) -> Result<Self, BackendError> {
        let names: Vec<String> = (0..=nodes).map(|at| format!("to {}", endpoint(at))).collect();
        let made = |path: &Path| File::options().write(true).create_new(true).open(path);
        let writer = made(&asked.file)
            .and_then(|file| Writer::begin(BufWriter::new(file), "schism", &names, asked.bytes))
            .map_err(BackendError::system(format!("making {}", asked.file.display())))?;
        let mut book = Book { writer, failed: None, told: asked.told.clone() };
        // A reader who comes before the first packet finds a capture without any.
        book.flush();
        Ok(book)
    }

    /// Writes a packet down. After the first failure nothing more is tried.
    pub(super) fn write(&mut self, to: Endpoint, time: Duration, bytes: &[u8], comment: &str) {
        if self.failed.is_none() {
            self.failed = self.writer.packet(Seen { interface: number(to), time, bytes, comment }).err();
        }
    }

    /// What was written goes to whoever reads.
    pub(super) fn flush(&mut self) {
        if self.failed.is_none() {
            self.failed = self.writer.flush().err();
        }
    }

    /// Ends it, and tells what became of it; so many more packets were never seen.
    pub(super) fn end(self, unseen: u64) {
        let captured = match (self.writer.end(now(), unseen), self.failed) {
            (Ok(counted), None) => {
                Captured { packets: counted.written, missed: counted.missed, failed: None }
            }
            (Err(error), _) | (_, Some(error)) => {
                Captured { packets: 0, missed: 0, failed: Some(error.to_string()) }
            }
        };
        // It is told once.
        let _ = self.told.set(captured);
    }
}

/// The endpoint with this number: the clients come before the nodes.
pub(super) fn endpoint(number: usize) -> Endpoint {
    number.checked_sub(1).map_or(Endpoint::Clients, |node| Endpoint::Node(Node(node)))
}

fn number(endpoint: Endpoint) -> usize {
    match endpoint {
        Endpoint::Clients => 0,
        Endpoint::Node(node) => node.0 + 1,
    }
}

/// The time of day, as packets are stamped by it.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn to_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&BASE64.encode(bytes))
}

fn from_text<'a, D: Deserializer<'a>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64.decode(text).map_err(serde::de::Error::custom)
}
