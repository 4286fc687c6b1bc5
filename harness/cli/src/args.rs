//! The command line.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Breaks clusters on purpose and proves what they kept.
#[derive(Debug, Parser)]
#[command(name = "schism", version, about, long_about = LONG, after_help = EXIT_CODES, max_term_width = 100)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const LONG: &str = "\
Breaks clusters on purpose and proves what they kept.

Schism starts a clustered store, lets concurrent clients use it while the network is cut and nodes are killed and paused, \
records every operation, and then proves from that history what the store kept and what it did not.

  schism run                     five bundled Raft nodes, registers, partitions and crashes
  schism demo follower-reads     a planted bug, found and explained
  schism check history.jsonl     judge a recorded history again";

const EXIT_CODES: &str = "\
exit codes: 0 valid · 1 invalid · 2 unknown · 3 the harness could not do its work · 64 wrong usage · 130 interrupted; \
of several runs or files the worst wins: invalid, harness, unknown, valid";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// One test, start to end: cluster, clients, faults, history, verdict
    Run(Box<Run>),
    /// Many runs beside one another: what each target kept, gave up, and what it cost
    Compare(Compare),
    /// Judge recorded histories again, ours or a peer's
    Check(Check),
    /// The smallest part of an invalid history that is still invalid
    Shrink(Shrink),
    /// A recorded history in another form
    Export(Export),
    /// A known bug, found and explained in under a minute
    Demo(Demo),
    /// What there is, one line each
    List(List),
    /// What this machine can do, found out by doing
    Doctor(Doctor),
    /// Removes whatever a killed run left behind
    Clean(Clean),
    /// Images for clusters in Docker: which there are, and how to build them
    Images(Images),
    /// Runs one node of a bundled store
    #[command(hide = true)]
    Node(Node),
}

const RUN_HELP: &str = "\
Every flag has its place in a plan file, and overrides it there. A run leaves a folder with the whole plan (plan.toml), so \
that `schism run FOLDER/plan.toml` repeats it.

  schism run --nemesis partition:shape=leader,pause:who=leader --time-limit 30s
  schism run --bug follower-reads --seed 7
  schism run my-plan.toml --rate 2000 --json > verdict.json";

/// `schism run`
#[derive(Args, Debug)]
#[command(after_help = RUN_HELP)]
pub struct Run {
    /// A plan in TOML; without one: the bundled Raft store, registers, partitions and kills
    pub plan: Option<PathBuf>,
    /// What to test [`schism list targets`]
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// A bug to plant; may be given several times [`schism list bugs`]
    #[arg(long = "bug", value_name = "NAME")]
    pub bugs: Vec<String>,
    /// A setting, as backend.KEY=VALUE, target.KEY=VALUE, workload.KEY=VALUE, check.time=60s or evidence.ok-min=100; may be given several times
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub settings: Vec<String>,
    /// How many nodes
    #[arg(long, value_name = "N")]
    pub nodes: Option<usize>,
    /// Where the cluster runs: sandbox or docker
    #[arg(long, value_name = "NAME")]
    pub backend: Option<String>,
    /// What clients do [`schism list workloads`]
    #[arg(long, value_name = "NAME")]
    pub workload: Option<String>,
    /// What goes wrong: NAME or NAME:KEY=VALUE, several with commas; `none` for nothing [`schism list nemeses`]
    #[arg(long, value_name = "LIST")]
    pub nemesis: Option<String>,
    /// How many nodes faults may break at once, all of them together: a number, minority (the default) or any
    #[arg(long, value_name = "N")]
    pub broken_max: Option<String>,
    /// Write the packets of all links into the run's folder, this many bytes at most, and what faults did to them [if given without: 256MiB]
    #[arg(long, value_name = "SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "256MiB")]
    pub capture: Option<String>,
    /// How long clients make calls, such as 30s or 2m
    #[arg(long, value_name = "DURATION")]
    pub time_limit: Option<String>,
    /// Calls a second over the whole cluster; 0 for as fast as possible
    #[arg(long, value_name = "N")]
    pub rate: Option<f64>,
    /// How many clients
    #[arg(long, value_name = "N")]
    pub concurrency: Option<usize>,
    /// After so many calls a client goes on at the next node, with its session; 0 to stay (the default)
    #[arg(long, value_name = "N")]
    pub roam: Option<u64>,
    /// How long a call may take
    #[arg(long, value_name = "DURATION")]
    pub timeout: Option<String>,
    /// Calls at random intervals around the mean (true) or at even ones (false)
    #[arg(long, value_name = "BOOL")]
    pub stagger: Option<bool>,
    /// How long the nodes may take until all are ready
    #[arg(long, value_name = "DURATION")]
    pub start_limit: Option<String>,
    /// How long the cluster may take to be ready again after all faults are healed
    #[arg(long, value_name = "DURATION")]
    pub recovery_limit: Option<String>,
    /// The verdict you expect: valid, invalid or unknown; said in the plan, and checked by nobody but you
    #[arg(long, value_name = "VERDICT")]
    pub expect: Option<String>,
    /// Repeats the plan's choices: what is called and broken, and when
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub output: Output,
}

/// Where results go.
#[derive(Args, Clone, Debug)]
pub struct Output {
    /// The run's folder, which must not exist yet or be empty [default: a new one in schism-runs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Print verdict.json on stdout instead of the screen for people
    #[arg(long)]
    pub json: bool,
}

const COMPARE_HELP: &str = "\
A comparison's plan lists targets, cases of faults, workloads and seeds; every combination is a run. Several go at once, \
since a run waits more than it computes; where calls take longer than they would alone, ask for fewer. What is finished \
stays: the same command with the same --out, or the folder itself, goes on where it stopped. The folder holds \
comparison.html, comparison.md and comparison.json beside all the runs.

  schism compare quorums
  schism compare my-plan.toml --out results
  schism compare results";

/// `schism compare`
#[derive(Args, Debug)]
#[command(after_help = COMPARE_HELP)]
pub struct Compare {
    /// A plan in TOML, one that is ready [`schism list comparisons`], or the folder of a comparison that was begun
    pub plan: String,
    /// The comparison's folder: a new one, or one that was begun with this plan [default: a new one in schism-runs]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// How many runs go at once [default: two for each processor]
    #[arg(long, short, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// An earlier comparison by the same plan: say whether this one has the same verdict in every cell, and rates within
    /// its intervals; that alone decides the exit code
    #[arg(long, value_name = "DIR")]
    pub confirm: Option<PathBuf>,
    /// Print comparison.json on stdout instead of the tables for people
    #[arg(long)]
    pub json: bool,
}

const CHECK_HELP: &str = "\
A history of ours knows its workload from the plan.toml beside it; others need --model. The files are never written to.

  schism check schism-runs/latest
  schism check history.edn --model cas-register
  schism check *.log --model cas-register --json

Where every value or element is put in once, most models have a linear judge, which takes no longer than reading the file. \
Else the key is searched, within --time and --memory; the verdict says which of the two judged. --judge linear never \
searches, --judge search always does: their answers are the same.";

/// `schism check`
#[derive(Args, Debug)]
#[command(after_help = CHECK_HELP)]
pub struct Check {
    /// Recorded histories, or folders of runs
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// What each object should do
    #[arg(long, value_enum)]
    pub model: Option<Model>,
    /// Who judges
    #[arg(long, value_enum, value_name = "WHO", default_value = "auto", requires = "model")]
    pub judge: Judge,
    /// What an object holds at first: nil, or a number
    #[arg(long, value_name = "VALUE", default_value = "nil")]
    pub initial: String,
    /// How the files are written [auto, jsonl, binary, jepsen-edn, jepsen-json, jepsen-log, porcupine-kv]
    #[arg(long, value_name = "FORMAT", default_value = "auto")]
    pub format: String,
    /// Values are [key value] pairs, as of Jepsen's independent workloads
    #[arg(long)]
    pub independent: bool,
    /// Judge a file whose last line is cut off up to the line before, instead of refusing it
    #[arg(long)]
    pub cut: bool,
    /// How long a lease is held at least, from when it is granted
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub ttl: String,
    /// How far the clock of whoever grants leases may be off over that time
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub clock_error: String,
    /// Of the store it is known that a write that began when another was over is the newer one: sessions are judged by that, too
    #[arg(long)]
    pub real_time: bool,
    /// How long each judge may take
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub time: String,
    /// How much memory each judge may use; a text larger than this is judged in parts, if its judges look at each key by
    /// itself, and takes no more in all
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub memory: String,
    /// Print one JSON document for each file instead of text for people
    #[arg(long)]
    pub json: bool,
}

const SHRINK_HELP: &str = "\
Whole keys and values are left out while the rest stays invalid, then single reads and other observers; never what the rest \
depends on. What is left is judged again, and written as a history of its own beside the file: history.shrunk.jsonl. The exit \
code is 1, since it is invalid; that of a history with nothing wrong is that of its verdict, and nothing is written.

  schism shrink history.jsonl --model register
  schism shrink queue.edn --model queue --out smallest.jsonl";

/// `schism shrink`
#[derive(Args, Debug)]
#[command(after_help = SHRINK_HELP)]
pub struct Shrink {
    /// A recorded history, or the folder of a run
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What each object should do
    #[arg(long, value_enum)]
    pub model: Model,
    /// The file to write, which must not be there yet [default: FILE.shrunk.jsonl, without FILE's own ending]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// What an object holds at first: nil, or a number
    #[arg(long, value_name = "VALUE", default_value = "nil")]
    pub initial: String,
    /// Values are [key value] pairs, as of Jepsen's independent workloads
    #[arg(long)]
    pub independent: bool,
    /// How long a lease is held at least, from when it is granted
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    pub ttl: String,
    /// How far the clock of whoever grants leases may be off over that time
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub clock_error: String,
    /// Of the store it is known that a write that began when another was over is the newer one: sessions are judged by that, too
    #[arg(long)]
    pub real_time: bool,
    /// How long to look for a smaller part
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    pub time: String,
    /// How much memory the judge may use
    #[arg(long, value_name = "SIZE", default_value = "2GiB")]
    pub memory: String,
}

/// `schism export`
#[derive(Args, Debug)]
pub struct Export {
    /// A recorded history, or the folder of a run
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The form to write
    #[arg(long, value_enum, value_name = "FORM")]
    pub to: ExportForm,
    /// The file to write, which must not be there yet; else the standard output
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Values are [key value] pairs, as of Jepsen's independent workloads
    #[arg(long)]
    pub independent: bool,
}

/// The forms that `schism export` writes.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum ExportForm {
    /// All of it, in the form that is read fastest
    Binary,
    /// All of it, as runs are recorded
    Jsonl,
    /// Operations as Jepsen writes them
    Edn,
    /// A table, a line an operation
    Csv,
    /// The same table, for DuckDB, pandas and others
    Parquet,
}

/// Who judges, where two could.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Judge {
    /// The linear judge where a key is fit for it, else the search
    Auto,
    /// The linear judge alone
    Linear,
    /// The search alone
    Search,
}

/// What an object should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Model {
    /// Reads and writes
    Register,
    /// Reads, writes and compare-and-sets
    CasRegister,
    /// Puts, appends and gets of text
    String,
    /// Registers and lists under transactions: one legal order of all of them, by search alone
    MultiRegister,
    /// Adds and reads of a whole set: nothing lost, late, doubled or made up
    Set,
    /// Registers whose values are written once: measures how stale reads are
    Staleness,
    /// Registers whose values are written once: what each client can rely on by itself
    Sessions,
    /// The same: each client sees the writes of every other one in the order in which they were made
    Pram,
    /// The same: nobody sees an operation without all that comes before it (CC)
    Causal,
    /// The same, and all agree on the order of concurrent writes (CCv)
    CausalConvergent,
    /// The same: one order of all operations that keeps each client's own
    Sequential,
    /// Registers, sets of elements, counters: all nodes end with the same, and with all that was acknowledged
    Convergence,
    /// A set under adds, removals and questions for one element
    SetElements,
    /// A set under adds and reads of the whole: linearizable
    GrowingSet,
    /// A log under appends, which may answer their offset, and reads of the whole
    Log,
    /// A queue, first in first out
    Queue,
    /// A queue that gives its elements in any order
    Bag,
    /// The same, and all of it is taken out at the end: nothing lost, doubled or made up
    TotalQueue,
    /// A queue that gives its smallest element first
    PriorityQueue,
    /// A stack
    Stack,
    /// A counter from zero, with or without answers that say what it held before
    Counter,
    /// Identifiers given out once
    UniqueIds,
    /// A lock that its holder gives back
    Mutex,
    /// A lock that anybody gives back
    Semaphore,
    /// A lock that gives itself back: see --ttl
    Lease,
    /// Fencing tokens: they grow, and none is accepted after a later one
    FencingTokens,
    /// A lock that gives such tokens and is never lost before it is given back, by search alone
    FencedLock,
}

/// `schism demo`
#[derive(Args, Debug)]
pub struct Demo {
    /// Which [`schism list demos`]
    #[arg(default_value = "follower-reads")]
    pub name: String,
    /// The same plan without the bug: it should be valid
    #[arg(long)]
    pub fixed: bool,
    /// Another seed than the demo's own
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    #[command(flatten)]
    pub output: Output,
}

/// `schism list`
#[derive(Args, Debug)]
pub struct List {
    /// What to list; everything if not said
    #[arg(value_enum)]
    pub what: Option<Listed>,
}

/// What there are lists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Listed {
    /// Where clusters can run
    Backends,
    /// What can be tested
    Targets,
    /// What clients can do
    Workloads,
    /// What can go wrong
    Nemeses,
    /// Who judges
    Checkers,
    /// What can be planted, and which demo finds it
    Bugs,
    /// Known bugs to see found
    Demos,
    /// Comparisons that are ready
    Comparisons,
}

/// `schism doctor`
#[derive(Args, Debug)]
pub struct Doctor {
    /// Try only what clusters there need; both if not said, and then the exit code is the sandbox's
    #[arg(value_enum)]
    pub what: Option<Ground>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Where clusters can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Ground {
    /// In namespaces of this machine
    Sandbox,
    /// In containers
    Docker,
}

/// `schism clean`
#[derive(Args, Debug)]
pub struct Clean {}

const IMAGES_HELP: &str = "\
A target's nodes run its official image, or one that is built here from Debian's packages; `--set target.image=NAME` takes \
any other. The engine is the local one, or where DOCKER_HOST points.

  schism images list
  schism images build etcd";

/// `schism images`
#[derive(Args, Debug)]
#[command(after_help = IMAGES_HELP)]
pub struct Images {
    /// What to do
    #[command(subcommand)]
    pub what: ImagesCommand,
}

/// What can be done about images.
#[derive(Debug, Subcommand)]
pub enum ImagesCommand {
    /// Each target's images, and whether they are at hand
    List,
    /// Builds a target's image from Debian's packages
    Build {
        /// Which [`schism list targets`]
        target: String,
    },
}

/// `schism node`
#[derive(Args, Debug)]
pub struct Node {
    /// Which store
    pub protocol: String,
    /// What the node is told
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub words: Vec<String>,
}
