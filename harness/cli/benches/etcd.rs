//! How many calls a second a real store is asked through schism (generator, interpreter, stamping, the history on disk),
//! as a share of what the same clients on the same number of threads ask it in a bare loop that records nothing.
//!
//! One etcd on the loopback interface: it answers faster than a cluster, which leaves schism the least time to hide in. The
//! two ways take turns, and the ratio is that of the middle turn. Skipped by name where there is no etcd.

use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use schism_engine::backend::{BackendError, ClientNetwork};
use schism_engine::client::Client;
use schism_engine::cluster::{Node, NodeSpec};
use schism_engine::generator::Limit;
use schism_engine::generator::rehearsal::Rehearsal;
use schism_engine::interpreter::Clients;
use schism_engine::live::Live;
use schism_engine::random::Random;
use schism_engine::recorder::Recorder;
use schism_engine::stop::Stop;
use schism_engine::target::Choices;
use schism_engine::workload::Workload;
use schism_history::Call;

/// How many clients ask at the same time.
const CLIENTS: usize = 10;
/// How many calls are made each turn.
const CALLS: u64 = 4_000;
/// How often each way has its turn.
const TURNS: usize = 7;
/// How long a call may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The least share that is promised.
const PROMISED: f64 = 0.90;

struct Here;

impl ClientNetwork for Here {
    fn enter(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

/// Ends what it started.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn main() {
    let target = schism_targets::named("etcd").expect("it is in the list");
    let choices = Choices::default();
    if let Err(missing) = target.executable(&choices) {
        println!("skipped: etcd: {}: {}", missing.what, missing.remedy);
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    // An address of its own, so that any number of these may run.
    let [high, low] = (std::process::id() as u16).to_be_bytes();
    let address = Ipv4Addr::new(127, 200, high, low);
    let node = NodeSpec::new(Node(0), address, folder.path());
    let program = target.program(&node, std::slice::from_ref(&node), &choices);
    let _daemon = Daemon(
        Command::new(program.file.expect("etcd is not our own program"))
            .args(program.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it was found"),
    );
    while !target.health(&node, TIMEOUT).is_ok_and(|health| health.ready) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let connect = |_: usize| target.client(&node, &choices);
    let mut ratios = Vec::new();
    for turn in 0..=TURNS {
        let bare = bare(&connect);
        let path = folder.path().join(format!("history-{turn}.jsonl"));
        let recorded = recorded(&connect, &path);
        // The first turn warms up: connections, files, the processor's idea of both.
        if turn > 0 {
            println!("turn {turn}: {recorded:>6.0} calls/s through schism, {bare:>6.0} in a bare loop");
            ratios.push(recorded / bare);
        }
    }
    ratios.sort_by(f64::total_cmp);
    let middle = ratios[ratios.len() / 2];
    let kept = if middle >= PROMISED { "kept" } else { "MISSED" };
    println!(
        "{:.1} % of a bare loop's calls; promised are {:.0} %: {kept}",
        100.0 * middle,
        100.0 * PROMISED
    );
}

fn workload() -> Workload {
    (schism_workloads::named("register").expect("it exists").make)(&Default::default())
}

/// Calls a second, until everything is on disk.
fn recorded(connect: &(dyn Fn(usize) -> Box<dyn Client> + Sync), path: &std::path::Path) -> f64 {
    let recorder = Recorder::create(path).expect("the folder is writable");
    let (live, stop) = (Live::default(), Stop::default());
    let nodes = ["n1".to_string()];
    let load = Limit::new(CALLS, workload().load);
    let started = Instant::now();
    let mut clients = Clients::new(CLIENTS, &nodes, connect, &Here, TIMEOUT, &recorder, &live, &stop);
    clients.carry_out(Box::new(load), Random::of(1, "bench")).expect("there is no network to enter");
    recorder.finish().expect("the disk takes it");
    CALLS as f64 / started.elapsed().as_secs_f64()
}

/// Calls a second of clients that are told everything in advance and forget every answer.
fn bare(connect: &(dyn Fn(usize) -> Box<dyn Client> + Sync)) -> f64 {
    let mut calls: Vec<Vec<Call>> = vec![Vec::new(); CLIENTS];
    for made in Rehearsal::new(CLIENTS).run(Limit::new(CALLS, workload().load)) {
        calls[made.thread].push(made.call);
    }
    let started = Instant::now();
    std::thread::scope(|scope| {
        for calls in &calls {
            scope.spawn(move || {
                let mut client = connect(0);
                for call in calls {
                    std::hint::black_box(client.call(call, TIMEOUT));
                }
            });
        }
    });
    CALLS as f64 / started.elapsed().as_secs_f64()
}
