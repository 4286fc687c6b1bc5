//! `schism doctor`: what this machine can do, found out by doing it in a throw-away child.

use schism_engine::backend::sandbox::Capability;
use schism_engine::backend::{docker, sandbox};
use schism_nemeses::{FOOTINGS, Footing, undone_by};

use crate::args::{self, Ground};
use crate::failure::{Exit, Failure};

/// Tries everything, or what is asked for. Exit 0 if that works, 3 if not: of both, the sandbox counts, since who has no
/// Docker needs none.
pub fn run(args: &args::Doctor) -> Result<Exit, Failure> {
    // The sandbox first: its attempts fork, which only a process without threads may do.
    let sandbox = (args.what != Some(Ground::Docker)).then(sandbox::probe);
    let docker = (args.what != Some(Ground::Sandbox)).then(docker::probe);
    let sum = |probes: &Vec<Capability>| probes.iter().all(|probe| probe.works || !probe.needed);
    let sums = [
        sandbox.as_ref().map(|probes| ("the sandbox", sum(probes))),
        docker.as_ref().map(|probes| ("docker", sum(probes))),
    ];
    let works = sums.iter().flatten().next().is_some_and(|(_, works)| *works);
    let tables = [("sandbox", &sandbox), ("docker", &docker)];
    let tables = tables.map(|(name, probes)| (name, rows(probes.as_deref().unwrap_or_default())));
    let probes: Vec<_> = sandbox.iter().flatten().chain(docker.iter().flatten()).collect();
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
        let faults = tables.iter().flat_map(|(name, rows)| rows.iter().map(|row| row.json(name)));
        let faults: Vec<_> = faults.collect();
        println!(
            "{}",
            serde_json::json!({
                "sandbox": sums[0].map(|sum| sum.1), "docker": sums[1].map(|sum| sum.1), "probes": probes,
                "faults": faults,
            })
        );
    } else {
        for probe in &probes {
            let mark = if probe.works { "yes" } else { "no " };
            println!("{mark}  {:<28} {}", probe.name, probe.how);
            if let Some(remedy) = &probe.remedy {
                println!("     hint: {remedy}");
            }
        }
        for (name, rows) in &tables {
            table(name, rows);
        }
        println!();
        for (name, works) in sums.into_iter().flatten() {
            println!("{name} {} here", if works { "works" } else { "does not work" });
        }
    }
    Ok(if works { Exit::Valid } else { Exit::Harness })
}

/// A fault, and what this machine makes of it.
struct Row<'a> {
    footing: &'static Footing,
    capability: &'a Capability,
}

impl Row<'_> {
    fn undone_by(&self) -> &'static str {
        undone_by(self.footing.fault.split(':').next().unwrap_or_default())
    }

    fn json(&self, backend: &str) -> serde_json::Value {
        serde_json::json!({
            "backend": backend,
            "fault": self.footing.fault, "works": self.capability.works, "mechanism": self.capability.how,
            "precision": self.footing.precision, "undone_by": self.undone_by(), "unlock": self.capability.remedy,
        })
    }
}

/// Every fault that stands on something that was tried.
fn rows(capabilities: &[Capability]) -> Vec<Row<'_>> {
    let of = |footing: &'static Footing| {
        let capability = capabilities.iter().find(|one| footing.attempts.contains(&one.name))?;
        Some(Row { footing, capability })
    };
    FOOTINGS.iter().filter_map(of).collect()
}

/// The faults in columns. What would unlock a better mechanism stands with the attempt, above.
fn table(backend: &str, rows: &[Row<'_>]) {
    if rows.is_empty() {
        return;
    }
    let title = format!("fault in {backend}");
    println!("\n{:<5}{title:<23}{:<32}{:<52}undone by", "", "stands on", "precision");
    for row in rows {
        let mark = if row.capability.works { "yes" } else { "no" };
        let Footing { fault, precision, .. } = row.footing;
        println!("{mark:<5}{fault:<23}{:<32}{precision:<52}{}", row.capability.name, row.undone_by());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_works_where_what_it_stands_on_does() {
        let capability = |name, works| Capability {
            name,
            works,
            needed: false,
            how: "so".into(),
            remedy: Some("do this".into()),
        };
        let capabilities = [capability("docker links", true), capability("skewed clocks", false)];
        let rows = rows(&capabilities);
        let works: Vec<_> = rows.iter().map(|row| (row.footing.fault, row.capability.works)).collect();
        assert_eq!(works, [("partition", true), ("clock", false)]);
        let clock = rows[1].json("sandbox");
        assert_eq!((&clock["unlock"], &clock["works"]), (&"do this".into(), &false.into()));
    }
}
