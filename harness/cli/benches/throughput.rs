//! How many calls a second are driven and recorded against a target that answers at once: generator, interpreter, stamping,
//! the history as text on disk. Peers publish 20 000 to 50 000 a second.
//!
//! Compared in the same run: the same threads making the same calls with nothing in between, which is the most there is to
//! be had.

use std::fs::File;
use std::io::BufReader;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use schism_engine::backend::{BackendError, ClientNetwork};
use schism_engine::client::Client;
use schism_engine::generator::TimeLimit;
use schism_engine::interpreter::Clients;
use schism_engine::live::Live;
use schism_engine::random::Random;
use schism_engine::recorder::Recorder;
use schism_engine::stop::Stop;
use schism_history::{Call, Outcome, Ret, Value, jsonl};

/// How long each way is measured.
const TIME: Duration = Duration::from_secs(3);

struct Here;

impl ClientNetwork for Here {
    fn enter(&self) -> Result<(), BackendError> {
        Ok(())
    }
}

/// Answers at once.
struct AtOnce;

impl Client for AtOnce {
    fn call(&mut self, call: &Call, _: Duration) -> Outcome {
        Outcome::Ok(if call.changes() { Ret::Done } else { Ret::Value(Value::Nil) })
    }
}

fn main() {
    for threads in [2, 5, 20, 100] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("history.jsonl");
        let started = Instant::now();
        recorded(threads, &path);
        let took = started.elapsed();
        let history =
            jsonl::read(BufReader::new(File::open(&path).expect("it was just written"))).expect("it reads");
        let calls = history.history.len() as f64;
        let bytes = std::fs::metadata(&path).expect("it was just written").len();
        let rate = calls / took.as_secs_f64();
        let bare = bare(threads);
        println!(
            "{threads:>3} clients: {rate:>9.0} calls/s driven, recorded and on disk ({:.0} MB), {:.1} % of a bare loop's {bare:.0}",
            bytes as f64 / 1e6,
            100.0 * rate / bare,
        );
    }
}

/// Until everything is on disk.
fn recorded(threads: usize, path: &std::path::Path) {
    let recorder = Recorder::create(path).expect("the folder is writable");
    let (live, stop) = (Live::default(), Stop::default());
    let nodes: Vec<String> = (1..=5).map(|node| format!("n{node}")).collect();
    let connect = |_| Box::new(AtOnce) as Box<dyn Client>;
    let second = Duration::from_secs(1);
    let mut clients = Clients::new(threads, &nodes, &connect, &Here, second, &recorder, &live, &stop);
    let workload = (schism_workloads::named("register").expect("it exists").make)(&Default::default());
    let load = TimeLimit::new(TIME, workload.load);
    clients.carry_out(Box::new(load), Random::of(1, "bench")).expect("there is no network to enter");
    recorder.finish().expect("the disk takes it");
}

fn bare(threads: usize) -> f64 {
    let calls = AtomicU64::new(0);
    let started = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let (mut client, mut made) = (AtOnce, 0);
                while started.elapsed() < TIME {
                    let call = Call::Write { key: 0.into(), value: made.into() };
                    std::hint::black_box(client.call(&call, TIME));
                    made += 1;
                }
                calls.fetch_add(made as u64, Ordering::Relaxed);
            });
        }
    });
    calls.into_inner() as f64 / started.elapsed().as_secs_f64()
}
