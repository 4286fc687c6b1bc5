//! `schism doctor`: what this machine can do, found out by doing it in a throw-away child.

use schism_engine::backend::sandbox;

use crate::args;
use crate::failure::{Exit, Failure};

/// Tries everything. Exit 0 if the sandbox works, 3 if not.
pub fn run(args: &args::Doctor) -> Result<Exit, Failure> {
    let probes = sandbox::probe();
    let works = probes.iter().all(|probe| probe.works || !probe.needed);
    if args.json {
        let probes: Vec<_> = probes
            .iter()
            .map(|probe| {
                serde_json::json!({
                    "capability": probe.name, "works": probe.works, "needed": probe.needed,
                    "how": probe.how, "remedy": probe.remedy,
                })
            })
            .collect();
        println!("{}", serde_json::json!({ "sandbox": works, "probes": probes }));
    } else {
        for probe in &probes {
            let mark = if probe.works { "yes" } else { "no " };
            println!("{mark}  {:<28} {}", probe.name, probe.how);
            if let Some(remedy) = &probe.remedy {
                println!("     hint: {remedy}");
            }
        }
        println!();
        println!("{}", if works { "the sandbox works here" } else { "the sandbox does not work here" });
    }
    Ok(if works { Exit::Valid } else { Exit::Harness })
}
