//! One reference node, for this crate's own tests and measurements. People start nodes with `schism node`, which takes
//! the same words.

use std::process::ExitCode;

use schism_reference::raft::Raft;
use schism_reference::runtime::{Arguments, NodeError, run};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let result = match words.next().as_deref() {
        Some("raft") => Arguments::parse(words).and_then(run::<Raft>),
        other => Err(NodeError::Arguments(format!("a protocol is missing: raft, not {other:?}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is_usage() { 64 } else { 3 })
        }
    }
}
