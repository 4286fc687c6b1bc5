//! What is written comes back, and whatever else a file holds is an error.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::column::List;
use crate::jsonl::tests::one_of_each;
use crate::{Call, Event, Outcome, Process, Value, What};

/// Every kind of call with every outcome, a fault, a phase and a note.
fn sample() -> History {
    let mut events = crate::jsonl::tests::sample();
    let mut time = 10;
    for (number, (call, ret)) in one_of_each().into_iter().enumerate() {
        for (place, outcome) in
            [Outcome::Ok(ret), Outcome::Fail("no".into()), Outcome::Info("?".into())].into_iter().enumerate()
        {
            let process = Process(100 + (number * 3 + place) as u32);
            let node = Some("n1".into());
            events.push(Event { time: Time(time), what: What::Invoke { process, node, call: call.clone() } });
            time += 1;
            let what = What::Complete { process, call: call.clone(), outcome };
            events.push(Event { time: Time(time), what });
        }
    }
    let call = one_of_each().remove(0).0;
    events.push(Event { time: Time(time), what: What::Invoke { process: Process(9), node: None, call } });
    History::from_events(events).unwrap()
}

fn written(history: &History) -> Vec<u8> {
    let mut file = Vec::new();
    write(&mut file, history).unwrap();
    file
}

/// The same file with another checksum: one that is right.
fn sealed(mut file: Vec<u8>) -> Vec<u8> {
    let checksum = crc32fast::hash(&file[16..]);
    file[12..16].copy_from_slice(&checksum.to_le_bytes());
    file
}

#[test]
fn every_history_comes_back_as_it_was() {
    for history in [sample(), History::default(), History::from_events([]).unwrap()] {
        let file = written(&history);
        assert_eq!(file.len() % 8, 0);
        let again = read(file.as_slice()).unwrap().history;
        assert_eq!(again, history);
        assert_eq!(written(&again), file);
    }
}

#[test]
fn a_file_cut_anywhere_or_with_any_byte_changed_is_an_error() {
    let file = written(&sample());
    for end in 0..file.len() {
        assert!(read(&file[..end]).is_err(), "cut at {end}");
    }
    for at in 0..file.len() {
        let mut changed = file.clone();
        changed[at] ^= 0x10;
        assert!(read(changed.as_slice()).is_err(), "byte {at} changed");
    }
}

/// Made on purpose: the checksum is right. Nothing may panic, and what is read is a history that can be written and read.
#[test]
fn a_hostile_file_is_an_error_or_a_history() {
    let file = written(&sample());
    let mut refused = 0;
    let mut tried = 0;
    for at in 16..file.len() {
        for change in [0x01, 0x80, 0xff] {
            let mut changed = file.clone();
            changed[at] ^= change;
            tried += 1;
            match read(sealed(changed).as_slice()) {
                Ok(recorded) => {
                    let rows: Vec<_> = recorded.history.operations().collect();
                    assert!(rows.iter().all(|row| row.invoke < row.complete && row.invoked <= row.completed));
                    assert_eq!(
                        read(written(&recorded.history).as_slice()).unwrap().history,
                        recorded.history
                    );
                }
                Err(error) => {
                    assert!(error.to_string().starts_with("byte "), "{error}");
                    refused += 1;
                }
            }
        }
    }
    println!("{tried} hostile files, {refused} refused");
    assert!(refused > tried / 2);
}

#[test]
fn what_is_wrong_is_said() {
    let error = |change: &dyn Fn(&mut Columns)| {
        let mut columns = sample().columns().clone();
        change(&mut columns);
        let sample = sample();
        let mut history = History::new(columns);
        (history.faults, history.phases, history.notes) = (sample.faults, sample.phases, sample.notes);
        (history.events, history.end) = (sample.events, sample.end);
        read(written(&history).as_slice()).unwrap_err().to_string()
    };
    for (change, said) in [
        (
            &(|columns: &mut Columns| columns.key[0] = 999) as &dyn Fn(&mut Columns),
            "has a key that there is not",
        ),
        (&|columns| columns.complete[1] = columns.invoke[1], "completes before it was invoked"),
        (&|columns| columns.invoked[5] = 0, "time goes back"),
        (&|columns| columns.process[1] = columns.process[0], "was open"),
        (&|columns| columns.values.own().push(Value::Nil), "stands there twice"),
        (&|columns| columns.values.own().push(Value::Int(1)), "the value 1 stands there twice"),
        (&|columns| columns.values.own().insert(2, Value::Int(1)), "the value 1 stands there twice"),
        (&|columns| columns.values.own().insert(0, Value::Int(1)), "stands there twice"),
        (&|columns| columns.argument[2] = 999, "has an argument that there is not"),
        (&|columns| columns.complete[2] = columns.invoke[3], "has a position that another event has"),
        (&|columns| columns.ended[3] = u64::MAX - 1, "is later than the end"),
        (&|columns| columns.node.own().truncate(1), "a column of 1 operations"),
    ] {
        let error = error(change);
        assert!(error.contains(said), "{error} where {said} was due");
    }
}

/// Operations that last for thousands of events, processes with large numbers, values in no order.
fn long() -> History {
    let mut events = Vec::new();
    let mut time = 0;
    let mut at = |what| {
        time += 3;
        events.push(Event { time: Time(time / 4), what });
    };
    let call = |number: u32| Call::Write {
        key: i64::from(number % 3).into(),
        value: (i64::from(number * 7 % 4001) - 9).into(),
    };
    let invoke = |number: u32, process| What::Invoke { process, node: None, call: call(number) };
    let done = |number: u32, process| {
        let outcome = if number % 5 == 1 { Outcome::Info("?".into()) } else { Outcome::Ok(crate::Ret::Done) };
        What::Complete { process, call: call(number), outcome }
    };
    at(invoke(0, Process(3)));
    for number in 1..4000 {
        let process = Process(if number % 5 == 1 { 30_000 + number } else { number % 2 * 40_000 });
        at(invoke(number, process));
        if number == 7 {
            at(What::Phase("x".into()));
        }
        at(done(number, process));
    }
    at(done(0, Process(3)));
    History::from_events(events).unwrap()
}

/// A file as long as a run's: it is read, and not otherwise than the slow look at each operation would have it.
#[test]
fn a_long_file_is_looked_through_quickly_and_rightly() {
    let history = long();
    let file = written(&history);
    let again = read(file.as_slice()).unwrap().history;
    assert!(again == history && again.is_as_it_was_read());
    assert!(matches!(again.columns().values, List::Integers { nil: true, .. }));
    // Each pair of neighbours changed in one column: a contradiction, or another history; both ways to look agree in that.
    let (mut refused, mut taken) = (0, 0);
    for at in (0..history.len() - 1).step_by(97) {
        let swapped: [&dyn Fn(&mut Columns); 6] = [
            &|columns| columns.complete.swap(at, at + 1),
            &|columns| columns.ended.swap(at, at + 1),
            &|columns| columns.process.swap(at, at + 1),
            &|columns| columns.invoke.swap(at, at + 1),
            &|columns| columns.status.swap(at, at + 1),
            &|columns| columns.key[at] = 3,
        ];
        for change in swapped {
            let mut changed = history.columns().clone();
            change(&mut changed);
            let mut other = History::new(changed);
            (other.phases, other.events, other.end) = (history.phases.clone(), history.events, history.end);
            match read(written(&other).as_slice()) {
                Ok(_) => taken += 1,
                Err(_) => refused += 1,
            }
        }
    }
    println!("{refused} refused, {taken} taken");
    assert!(refused > 100 && taken > 10);
}

/// A mapped file may be written to by others after it was looked through: that is noticed when it is asked for.
#[test]
fn a_file_that_changes_afterwards_is_noticed() {
    let first = written(&long());
    let mut second = first.clone();
    let middle = second.len() / 2;
    second[middle] ^= 1;
    let file = Arc::new(Turning { first, second, turned: AtomicBool::new(false) });
    let history = from_shared(file.clone()).unwrap().history;
    let other = history.clone();
    assert!(history.is_as_it_was_read() && other.is_as_it_was_read());
    file.turned.store(true, Ordering::Relaxed);
    assert!(!history.is_as_it_was_read() && !other.is_as_it_was_read());
    assert!(history.with(history.operations().take(3)).is_as_it_was_read(), "it lies in memory of its own");
}

/// A file that another program writes to.
struct Turning {
    first: Vec<u8>,
    second: Vec<u8>,
    turned: AtomicBool,
}

impl AsRef<[u8]> for Turning {
    fn as_ref(&self) -> &[u8] {
        if self.turned.load(Ordering::Relaxed) { &self.second } else { &self.first }
    }
}
