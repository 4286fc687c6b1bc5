//! What a bundled cluster costs on this machine's loopback and disk: latency of one client, throughput of twenty, and
//! the parts it is made of (a bare fsync, a bare HTTP call, a cluster of one).
//!
//! `cargo bench -p schism-reference --bench cluster`. Times are compared within one run; nothing fails here.

#[path = "../tests/processes/mod.rs"]
#[expect(dead_code, reason = "the tests use the rest of it")]
mod processes;

use std::fs::File;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use processes::{Cluster, agent, ask};

const SAMPLES: usize = 2000;
const LOAD: Duration = Duration::from_secs(5);
const CLIENTS: usize = 20;

fn main() {
    show("fdatasync of 200 bytes at the end of a file", fsyncs());
    for nodes in [1, 3, 5] {
        let cluster = Cluster::start(nodes, &[]);
        let leader = cluster.leader();
        let agent = agent();
        let at = cluster.arguments[leader].client;
        let timed = |method: &str, path: &str, body: &str| -> Duration {
            let begun = Instant::now();
            let (code, answer) = ask(&agent, at, method, path, body).expect("an answer");
            assert_eq!(code, 200, "{answer}");
            begun.elapsed()
        };
        println!("{nodes} nodes");
        for (name, method, path, body) in [
            ("  one client: status (HTTP alone)", "GET", "/status", ""),
            ("  one client: read at the leader", "GET", "/kv/x", ""),
            ("  one client: write at the leader", "PUT", "/kv/x", r#"{"value":1}"#),
        ] {
            let _warm: Vec<_> = (0..100).map(|_| timed(method, path, body)).collect();
            show(name, (0..SAMPLES).map(|_| timed(method, path, body)).collect());
        }
        for (name, method, body) in [("reads", "GET", ""), ("writes", "PUT", r#"{"value":1}"#)] {
            let (rate, times) = load(&cluster, leader, method, body);
            show(&format!("  {CLIENTS} clients at the leader: {rate:.0} {name}/s"), times);
        }
    }
}

/// Successful calls a second, and the time each took.
fn load(cluster: &Cluster, node: usize, method: &str, body: &str) -> (f64, Vec<Duration>) {
    let at = cluster.arguments[node].client;
    let over = AtomicBool::new(false);
    let client = |number: usize| {
        let agent = agent();
        let path = format!("/kv/k{number}");
        let mut times = Vec::new();
        while !over.load(Ordering::Relaxed) {
            let begun = Instant::now();
            if ask(&agent, at, method, &path, body).is_some_and(|(code, _)| code == 200) {
                times.push(begun.elapsed());
            }
        }
        times
    };
    let begun = Instant::now();
    let times = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                scope.spawn({
                    let client = &client;
                    move || client(number)
                })
            })
            .collect();
        std::thread::sleep(LOAD);
        over.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("no client panics")).collect::<Vec<_>>()
    });
    (times.len() as f64 / begun.elapsed().as_secs_f64(), times)
}

fn fsyncs() -> Vec<Duration> {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let mut file = File::create(directory.path().join("file")).expect("a file");
    let mut once = || {
        file.write_all(&[b'x'; 200]).expect("written");
        let begun = Instant::now();
        file.sync_data().expect("synced");
        begun.elapsed()
    };
    (0..SAMPLES).map(|_| once()).collect()
}

fn show(name: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_micros();
    println!("{name:<48} p50 {:>6} µs   p99 {:>6} µs   max {:>7} µs", at(0.5), at(0.99), at(1.0));
}
