//! `schism node`: one node of a bundled store, as a backend starts it. A person can, too.

use schism_reference::raft::Raft;
use schism_reference::runtime::{self, Arguments};

use crate::args;
use crate::failure::{Exit, Failure};

/// Runs until it is told to end or cannot go on.
pub fn run(args: args::Node) -> Result<Exit, Failure> {
    if args.protocol != "raft" {
        return Err(Failure::usage(
            format!("there is no bundled store {:?}", args.protocol),
            "there is: raft",
        ));
    }
    let ended = Arguments::parse(args.words).and_then(runtime::run::<Raft>);
    match ended {
        Ok(()) => Ok(Exit::Valid),
        Err(error) if error.is_usage() => Err(Failure::Usage(vec![(error.to_string(), None)])),
        Err(error) => Err(Failure::Harness { problem: error.to_string(), detail: None, hint: None }),
    }
}
