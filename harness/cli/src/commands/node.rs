//! `schism node`: one node of a bundled store, as a backend starts it. A person can, too.

use schism_reference::runtime::Arguments;
use schism_reference::{FAMILIES, named};

use crate::args;
use crate::failure::{Exit, Failure};

/// Runs until it is told to end or cannot go on.
pub fn run(args: args::Node) -> Result<Exit, Failure> {
    let Some(family) = named(&args.protocol) else {
        let names: Vec<_> = FAMILIES.iter().map(|family| family.name).collect();
        return Err(Failure::usage(
            format!("there is no bundled store {:?}", args.protocol),
            format!("there are: {}", names.join(", ")),
        ));
    };
    let ended = Arguments::parse(args.words).and_then(family.run);
    match ended {
        Ok(()) => Ok(Exit::Valid),
        Err(error) if error.is_usage() => Err(Failure::Usage(vec![(error.to_string(), None)])),
        Err(error) => Err(Failure::Harness { problem: error.to_string(), detail: None, hint: None }),
    }
}
