//! How fast histories are read back: a million lines of ours, the same operations as a peer writes them, and the binary form,
//! out of a mapped file as well, beside a plain pass over its bytes.
//!
//! `cargo bench -p schism-history --bench read -- jsonl` measures one form alone. Prints megabytes of the file and lines per second of processor time, each the best of a few rounds, and fails on nothing.

use std::fmt::Write as _;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;

use schism_history::{
    Call, Event, Format, Keys, Outcome, Process, ReadError, Recorded, Ret, Time, Value, What, binary, jsonl,
    read_any,
};

const LINES: u32 = 1_000_000;
const ROUNDS: u32 = 5;
const PASSES: u32 = 20;

/// Ten processes in turn, each writing, swapping and reading one of fifty registers.
fn events() -> impl Iterator<Item = Event> {
    (0..LINES / 2).flat_map(|round| {
        let process = Process(round % 10);
        let key = Value::Int(i64::from(round % 50));
        let number = Value::Int(i64::from(round));
        let (call, ret) = match round % 4 {
            0 => (Call::Write { key, value: number }, Ret::Done),
            1 => (Call::Cas { key, from: Value::Int(1), to: number }, Ret::Done),
            _ => (Call::Read { key }, Ret::Value(number)),
        };
        let node = Some(format!("n{}", process.0 % 5));
        let at = |later: u64| Time(u64::from(round) * 123_457 + later);
        let outcome = Outcome::Ok(ret);
        [
            Event { time: at(0), what: What::Invoke { process, node, call: call.clone() } },
            Event { time: at(100_000), what: What::Complete { process, call, outcome } },
        ]
    })
}

fn edn(events: impl Iterator<Item = Event>) -> String {
    let mut text = String::new();
    let value = |call: &Call, seen: Option<&Value>| match (call, seen) {
        (Call::Write { value, .. }, _) => value.to_string(),
        (Call::Cas { from, to, .. }, _) => format!("[{from} {to}]"),
        (_, seen) => seen.unwrap_or(&Value::Nil).to_string(),
    };
    for (index, event) in events.enumerate() {
        let (process, kind, call, seen) = match &event.what {
            What::Invoke { process, call, .. } => (process, "invoke", call, None),
            What::Complete { process, call, outcome: Outcome::Ok(Ret::Value(seen)) } => {
                (process, "ok", call, Some(seen))
            }
            What::Complete { process, call, .. } => (process, "ok", call, None),
            _ => continue,
        };
        writeln!(
            text,
            "{{:index {index}, :time {}, :type :{kind}, :process {}, :f :{}, :value [{} {}]}}",
            event.time.0,
            process.0,
            call.kind(),
            call.key(),
            value(call, seen)
        )
        .expect("text can be written");
    }
    text
}

fn measure(what: &str, text: &[u8], keys: Keys) {
    measure_by(what, text, |text| read_any(text, Format::Auto, keys));
}

fn measure_by(what: &str, text: &[u8], read: impl Fn(&[u8]) -> Result<Recorded, ReadError>) {
    let asked = |args: std::env::Args| args.skip(1).filter(|arg| !arg.starts_with('-')).collect::<Vec<_>>();
    let asked = asked(std::env::args());
    if !asked.is_empty() && !asked.iter().any(|word| what.contains(word.as_str())) {
        return;
    }
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let started = processor_seconds();
        let recorded = read(text).expect("what was just written can be read");
        best = best.min(processor_seconds() - started);
        assert_eq!(recorded.history.events, LINES);
    }
    let megabytes = text.len() as f64 / 1e6;
    println!(
        "{what}: {megabytes:.0} MB in {best:.3} s: {:.0} MB/s, {:.2} million lines/s",
        megabytes / best,
        f64::from(LINES) / best / 1e6
    );
}

fn mapped(file: &File) -> memmap2::Mmap {
    // SAFETY: nobody else knows the file.
    unsafe { memmap2::Mmap::map(file) }.expect("a file can be mapped")
}

/// The sum of all bytes: the least that looking at every one of them can cost.
fn plain_pass(bytes: &[u8]) {
    let mut best = f64::MAX;
    for _ in 0..ROUNDS {
        let started = processor_seconds();
        // Many times, since the kernel's account of processor time goes by milliseconds.
        for _ in 0..PASSES {
            let sum = std::hint::black_box(bytes).iter().fold(0u64, |sum, byte| sum + u64::from(*byte));
            std::hint::black_box(sum);
        }
        best = best.min((processor_seconds() - started) / f64::from(PASSES));
    }
    println!("a plain pass over the binary: {:.0} MB/s", bytes.len() as f64 / 1e6 / best);
}

/// How long this thread had a processor: what other programs do at the same time hardly matters then.
fn processor_seconds() -> f64 {
    let account =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel accounts for threads");
    let nanoseconds = account.split(' ').next().and_then(|number| number.parse::<u64>().ok());
    nanoseconds.expect("the first number is the time on a processor") as f64 / 1e9
}

fn main() {
    let mut ours = Vec::new();
    for (index, event) in (0..).zip(events()) {
        jsonl::write_event(&mut ours, index, &event).expect("memory can be written");
    }
    measure("jsonl", &ours, Keys::One);
    measure("jepsen edn", edn(events()).as_bytes(), Keys::Tuple);
    let mut binary = Vec::new();
    let history = jsonl::read(ours.as_slice()).expect("what was just written can be read").history;
    binary::write(&mut binary, &history).expect("memory can be written");
    measure_by("binary, in memory", &binary, binary::from_bytes);
    let mut file = tempfile::NamedTempFile::new().expect("a file can be made");
    file.write_all(&binary).expect("a file can be written");
    measure_by("binary, mapped", &binary, |_| binary::from_shared(Arc::new(mapped(file.as_file()))));
    plain_pass(&binary);
}
