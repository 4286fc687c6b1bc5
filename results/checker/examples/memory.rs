//! How much memory it takes to judge a recorded history from end to end, beside the size of its binary form.
//!
//! ```sh
//! cargo run --release -p schism-checker --example memory -- write /tmp/million.jsonl queue
//! cargo run --release -p schism-checker --example memory -- check /tmp/million.jsonl queue
//! ```
//!
//! Two processes, since the first needs more. It measures reading and the linear judge, not the command's screen. Without a
//! word the objects are registers; else that is one of `queue`, `stack`, `priority-queue`, `set-elements`, `counter`, `mutex`
//! and `log`.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_checker::model::Register;
use schism_checker::{Budget, Checker, Linearizable};
use schism_history::{
    Call, Event, Format, Keys, Outcome, Process, Ret, Time, Value, What, binary, jsonl, read_any,
};

const OPERATIONS: u32 = 1_000_000;
const KEYS: i64 = 20;

/// What is called, in turns of two, with what is answered: the second call takes, reads or gives back what the first one has
/// put there.
fn turn(object: &str, number: i64) -> Result<[(Call, Ret); 2], String> {
    let (key, value) = (Value::Int(number % KEYS), Value::Int(number));
    // How many there were before on the same key.
    let (before, other, seen) = (number / KEYS, key.clone(), Ret::Value(value.clone()));
    Ok(match object {
        "register" => [(Call::Write { key, value }, Ret::Done), (Call::Read { key: other }, seen)],
        "queue" | "priority-queue" => {
            [(Call::Enqueue { key, value }, Ret::Done), (Call::Dequeue { key: other }, seen)]
        }
        "stack" => [(Call::Push { key, value }, Ret::Done), (Call::Pop { key: other }, seen)],
        "set-elements" => {
            let found = Ret::Value(Value::Bool(true));
            [
                (Call::Add { key, value: value.clone() }, Ret::Done),
                (Call::Contains { key: other, value }, found),
            ]
        }
        "counter" => {
            let seen = Ret::Value(Value::Int(before + 1));
            [(Call::Increment { key, by: 1 }, Ret::Done), (Call::Read { key: other }, seen)]
        }
        "mutex" => [(Call::Acquire { key }, Ret::Done), (Call::Release { key: other }, Ret::Done)],
        "log" => {
            let offset = |more: i64| Ret::Value(Value::Int(2 * before + more));
            let another = Value::Int(-1 - number);
            let second = Call::Append { key: other, value: another };
            [(Call::Append { key, value }, offset(0)), (second, offset(1))]
        }
        other => return Err(format!("no object is called {other}")),
    })
}

/// Ten processes on twenty keys: two operations of one process after the other on the same key.
fn write(path: &str, object: &str) -> Result<(), Box<dyn std::error::Error>> {
    let mut out = BufWriter::new(File::create(path)?);
    for at in 0..OPERATIONS / 2 {
        let (process, number) = (Process(at % 10), i64::from(at));
        let turn = turn(object, number)?;
        for (place, (call, ret)) in (2 * at..).zip(turn) {
            let node = Some(format!("n{}", process.0 % 5));
            let time = |later: u64| Time(u64::from(place) * 10_000 + later);
            let invoke = What::Invoke { process, node, call: call.clone() };
            let complete = What::Complete { process, call, outcome: Outcome::Ok(ret) };
            jsonl::write_event(&mut out, 2 * place, &Event { time: time(0), what: invoke })?;
            jsonl::write_event(&mut out, 2 * place + 1, &Event { time: time(9_000), what: complete })?;
        }
    }
    Ok(out.flush()?)
}

/// Who judges it.
fn judge(object: &str) -> Result<Box<dyn Checker>, String> {
    let object = match object {
        "register" => return Ok(Box::new(Linearizable { model: Register::default() })),
        "queue" => Object::Queue,
        "priority-queue" => Object::PriorityQueue,
        "stack" => Object::Stack,
        "set-elements" => Object::Elements,
        "counter" => Object::Counter,
        "mutex" => Object::Mutex,
        "log" => Object::Log,
        other => return Err(format!("no object is called {other}")),
    };
    Ok(Box::new(Objects { object }))
}

fn most_memory_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").expect("the kernel tells of processes");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("and of their memory");
    line.trim().trim_end_matches(" kB").parse().expect("in kilobytes")
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [verb, path, object @ ..] = arguments.as_slice() else {
        return Err("say `write FILE` or `check FILE`, and which object".into());
    };
    let object = object.first().map_or("register", String::as_str);
    if verb == "write" {
        return write(path, object);
    }
    let judge = judge(object)?;
    let history = read_any(BufReader::new(File::open(path)?), Format::Auto, Keys::One)?.history;
    let after_reading = most_memory_kib();
    let budget = Budget { bytes: 1 << 31, time: Duration::from_secs(600), over: &|| false };
    let judgement = judge.check(&history, budget);
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
