//! `schism list`: what there is, one line each.

use schism_nemeses::Takes;

use crate::args::{self, Listed};
use crate::backends;
use crate::comparisons;
use crate::demos;
use crate::failure::{Exit, Failure};

/// Lists one thing, or everything under headings.
pub fn run(args: &args::List) -> Result<Exit, Failure> {
    use Listed::{Backends, Bugs, Checkers, Comparisons, Demos, Nemeses, Targets, Workloads};
    match args.what {
        Some(what) => print!("{}", aligned(&lines(what))),
        None => {
            for (heading, what) in [
                ("backends", Backends),
                ("targets", Targets),
                ("workloads", Workloads),
                ("nemeses", Nemeses),
                ("checkers", Checkers),
                ("bugs", Bugs),
                ("demos", Demos),
                ("comparisons", Comparisons),
            ] {
                println!("{heading}");
                for line in aligned(&lines(what)).lines() {
                    println!("  {line}");
                }
                println!();
            }
        }
    }
    Ok(Exit::Valid)
}

type Line = (String, String);

fn lines(what: Listed) -> Vec<Line> {
    match what {
        Listed::Backends => backends::ALL
            .iter()
            .flat_map(|entry| with_settings(entry.name, entry.about, entry.settings))
            .collect(),
        Listed::Targets => schism_targets::all()
            .iter()
            .flat_map(|target| with_settings(target.name(), target.about(), target.settings()))
            .collect(),
        Listed::Workloads => schism_workloads::ALL
            .iter()
            .flat_map(|entry| with_settings(entry.name, entry.about, entry.settings))
            .collect(),
        Listed::Nemeses => schism_nemeses::ALL.iter().flat_map(nemesis).collect(),
        Listed::Checkers => {
            CHECKERS.iter().map(|(name, about)| (name.to_string(), about.to_string())).collect()
        }
        Listed::Bugs => schism_targets::all().iter().flat_map(|target| bugs(&**target)).collect(),
        Listed::Comparisons => {
            comparisons::ALL.iter().map(|ready| (ready.name.into(), ready.about.into())).collect()
        }
        Listed::Demos => demos::ALL
            .iter()
            .map(|demo| (demo.name.into(), format!("{}: {}", demo.family, demo.about())))
            .collect(),
    }
}

const CHECKERS: &[(&str, &str)] = &[
    ("linearizable", "every object's operations have a legal order that agrees with real time"),
    ("set", "of the elements of a set, none is lost, late, doubled or made up"),
    ("staleness", "how far reads lag behind what was written, by time and by versions"),
    ("convergence", "whether all nodes end with the same, and with all that was acknowledged"),
    (
        "sessions",
        "each client sees its own writes, and time never runs back for it: the four session guarantees",
    ),
    ("pram", "each client sees the writes of every other one in the order in which they were made"),
    ("causal", "nobody sees an operation without all that comes before it: causal consistency, CC"),
    (
        "causal-convergent",
        "the same, and all agree on the order of concurrent writes: causal convergence, CCv",
    ),
    ("sequential", "one order of all operations keeps each client's own and explains every read"),
    ("set-elements", "adds, removals and questions for one element have a legal order"),
    ("growing-set", "adds and whole reads of a set have a legal order"),
    ("log", "appends, their offsets and whole reads of a log have a legal order"),
    (
        "queue",
        "elements come out in the order they were put in, each once, and nothing is found empty that is not",
    ),
    ("bag", "the same in any order"),
    ("total-queue", "the same, and all of it is taken out at the end: none lost, doubled or made up"),
    ("priority-queue", "the smallest element inside comes out first"),
    ("stack", "the element put in last comes out first"),
    ("counter", "reads count what was added, and every ticket is given once and in order"),
    ("unique-ids", "no identifier is given twice"),
    ("mutex", "nobody acquires a lock that is held, and only its holder gives it back"),
    ("semaphore", "the same, and anybody may give it back"),
    ("lease", "the same as a mutex, and a lease may run out: --ttl, --clock-error"),
    ("fencing-tokens", "tokens grow, and none is accepted after a later one was"),
    ("ledger", "every write that was acknowledged is there in the end"),
    ("seats", "a seat is sold once, and stays sold"),
    ("inventory", "no more is sold than there is, and the stock adds up"),
    ("likes", "every acknowledged like counts"),
    ("chat", "nobody sees a reply without its message"),
    ("catalog", "a customer sees no price older than one it saw"),
    ("cart", "what was put into a cart is in it at the checkout"),
    (
        "recovery",
        "every node serves again soon after faults are over, where a plan says how soon (check.recover-within)",
    ),
    ("evidence", "enough happened, every fault bit, the run came to its end: a pass is earned"),
];

fn with_settings(name: &str, about: &str, settings: &[schism_engine::target::Setting]) -> Vec<Line> {
    let mut lines = vec![(name.to_string(), about.to_string())];
    lines.extend(settings.iter().map(|setting| (format!("  {}", setting.name), setting.about.to_string())));
    lines
}

fn nemesis(entry: &schism_nemeses::Entry) -> Vec<Line> {
    let undone = schism_nemeses::undone_by(entry.name);
    let mut lines = vec![(entry.name.to_string(), format!("{}; undone by: {undone}", entry.about))];
    for setting in entry.settings {
        let words = match setting.takes {
            Takes::Words(words) => format!("; one of {}", words.join(", ")),
            _ => String::new(),
        };
        lines.push((format!("  {}", setting.name), format!("{}{words}", setting.about)));
    }
    lines
}

fn bugs(target: &dyn schism_engine::target::Target) -> Vec<Line> {
    let found_by = |bug: &str| match demos::finding(target.name(), bug) {
        Some(demo) => format!("found by `schism demo {}`{}", demo.name, demo.where_it_runs()),
        None => "no demo: it takes a fault that is not among the nemeses".into(),
    };
    let line = |bug: schism_engine::target::PlantedBug| {
        (format!("{}/{}", target.name(), bug.name), format!("{}; {}", bug.about, found_by(bug.name)))
    };
    target.bugs().into_iter().map(line).collect()
}

/// Two columns, the second wrapped under itself.
fn aligned(lines: &[Line]) -> String {
    const WIDTH: usize = 110;
    let left = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0) + 2;
    let mut text = String::new();
    for (name, about) in lines {
        let mut column = left;
        text.push_str(&format!("{name:<left$}"));
        for (at, word) in about.split_whitespace().enumerate() {
            let length = word.chars().count() + 1;
            if at > 0 && column + length > WIDTH {
                text.push_str(&format!("\n{:left$}", ""));
                column = left;
            } else if at > 0 {
                text.push(' ');
            }
            text.push_str(word);
            column += length;
        }
        text.push('\n');
    }
    text
}
