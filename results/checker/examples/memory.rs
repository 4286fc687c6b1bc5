//! How much memory it takes to judge a recorded history from end to end, beside the size of its binary form.
//!
//! ```sh
//! cargo run --release -p schism-checker --example memory -- write /tmp/million.jsonl
//! cargo run --release -p schism-checker --example memory -- check /tmp/million.jsonl
//! ```
//!
//! Two processes, since the first needs more. It measures reading and the linear-time judge, not the command's screen.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::time::Duration;

use schism_checker::model::Register;
use schism_checker::{Budget, Checker, Linearizable};
use schism_history::{
    Call, Event, Format, Keys, Outcome, Process, Ret, Time, Value, What, binary, jsonl, read_any,
};

const OPERATIONS: u32 = 1_000_000;

/// Ten processes in turn on twenty registers: every other operation writes what was never written, the next one reads it.
fn write(path: &str) -> std::io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    for at in 0..OPERATIONS {
        let (process, key) = (Process(at % 10), Value::Int(i64::from(at / 2 % 20)));
        let value = Value::Int(i64::from(at / 2));
        let (call, ret) = match at % 2 {
            0 => (Call::Write { key, value }, Ret::Done),
            _ => (Call::Read { key }, Ret::Value(value)),
        };
        let node = Some(format!("n{}", process.0 % 5));
        let time = |later: u64| Time(u64::from(at) * 10_000 + later);
        let invoke = What::Invoke { process, node, call: call.clone() };
        let complete = What::Complete { process, call, outcome: Outcome::Ok(ret) };
        jsonl::write_event(&mut out, 2 * at, &Event { time: time(0), what: invoke })?;
        jsonl::write_event(&mut out, 2 * at + 1, &Event { time: time(9_000), what: complete })?;
    }
    out.flush()
}

fn most_memory_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells of processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("and of their memory");
    line.trim().trim_end_matches(" kB").parse().expect("in kilobytes")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, path] = arguments.as_slice() else { return Err("say `write FILE` or `check FILE`".into()) };
    if verb == "write" {
        return Ok(write(path)?);
    }
    let history = read_any(BufReader::new(File::open(path)?), Format::Auto, Keys::One)?.history;
    let after_reading = most_memory_kib();
    let budget = Budget { bytes: 1 << 31, time: Duration::from_secs(600), over: &|| false };
    let judgement = Linearizable { model: Register::default() }.check(&history, budget);
    let most = most_memory_kib();
    // Only now, since it takes memory too.
    let mut file = Vec::new();
    binary::write(&mut file, &history)?;
    println!(
        "{:?}, {} operations: {} KiB after reading, {most} KiB at most; the binary form has {} KiB, ratio {:.2}",
        judgement.verdict,
        history.len(),
        after_reading,
        file.len() >> 10,
        most as f64 / (file.len() >> 10) as f64
    );
    Ok(())
}
