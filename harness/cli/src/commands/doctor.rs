//! `schism doctor`: what this machine can do, found out by doing it in a throw-away child.

use schism_engine::backend::{docker, sandbox};

use crate::args::{self, Ground};
use crate::failure::{Exit, Failure};

/// Tries everything, or what is asked for. Exit 0 if that works, 3 if not: of both, the sandbox counts, since who has no
/// Docker needs none.
pub fn run(args: &args::Doctor) -> Result<Exit, Failure> {
    // The sandbox first: its attempts fork, which only a process without threads may do.
    let sandbox = (args.what != Some(Ground::Docker)).then(sandbox::probe);
    let docker = (args.what != Some(Ground::Sandbox)).then(docker::probe);
    let sums = [
        sandbox
            .as_ref()
            .map(|probes| ("the sandbox", probes.iter().all(|probe| probe.works || !probe.needed))),
        docker.as_ref().map(|probes| ("docker", probes.iter().all(|probe| probe.works))),
    ];
    let works = sums.iter().flatten().next().is_some_and(|(_, works)| *works);
    let probes: Vec<_> = sandbox.into_iter().flatten().chain(docker.into_iter().flatten()).collect();
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
        println!(
            "{}",
            serde_json::json!({ "sandbox": sums[0].map(|sum| sum.1), "docker": sums[1].map(|sum| sum.1), "probes": probes })
        );
    } else {
        for probe in &probes {
            let mark = if probe.works { "yes" } else { "no " };
            println!("{mark}  {:<28} {}", probe.name, probe.how);
            if let Some(remedy) = &probe.remedy {
                println!("     hint: {remedy}");
            }
        }
        println!();
        for (name, works) in sums.into_iter().flatten() {
            println!("{name} {} here", if works { "works" } else { "does not work" });
        }
    }
    Ok(if works { Exit::Valid } else { Exit::Harness })
}
