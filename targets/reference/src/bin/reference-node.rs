//! One reference node, for this crate's own tests and measurements. People start nodes with `schism node`, which takes
//! the same words.

use std::process::ExitCode;

use schism_reference::runtime::{Arguments, NodeError};

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1);
    let family = words.next().unwrap_or_default();
    let result = match schism_reference::named(&family) {
        Some(family) => Arguments::parse(words).and_then(family.run),
        None => Err(NodeError::Arguments(format!("there is no family {family:?}"))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(if error.is_usage() { 64 } else { 3 })
        }
    }
}
