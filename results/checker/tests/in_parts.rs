//! A text that is judged in parts: what is said of it is what is said of the whole, and no more memory is taken than
//! allowed. Alone in its process, since every allocation counts.

#[path = "../benches/shared/counting.rs"]
mod counting;

use std::fs::File;
use std::io::{BufReader, BufWriter, Seek, Write};
use std::time::Duration;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::{Rng, SeedableRng};
use schism_checker::judges::{Object, Objects};
use schism_checker::model::Register;
use schism_checker::synthetic::{self, Mix};
use schism_checker::{
    Budget, By, Checker, Concluded, Enough, Evidence, Judge, Linearizable, Part, SetFull, Verdict,
};
use schism_history::apart::{Ways, apart};
use schism_history::{
    Call, CallKind, Event, Format, History, Keys, Outcome, Process, Ret, Time, Value, What, export, jsonl,
};

const UNLIMITED: usize = usize::MAX;
const OURS: (Format, Keys) = (Format::Jsonl, Keys::One);

/// A text in a file without a name, and how long it is.
fn file(write: impl FnOnce(&mut BufWriter<File>)) -> (File, usize) {
    let mut out = BufWriter::new(tempfile::tempfile().unwrap());
    write(&mut out);
    let mut file = out.into_inner().unwrap();
    let length = file.stream_position().unwrap();
    file.rewind().unwrap();
    (file, length as usize)
}

/// What the judge says of a text that it sees in parts, how many there were, and how much memory it took at most.
fn in_parts(judge: &dyn Checker, file: &File, memory: usize) -> (Concluded, usize, usize) {
    let most = memory as u64 / 4;
    let ways = Ways { parts: 64, buffer: 512, salt: 0 };
    let mut asked = judge.by_parts().expect("it looks at each key by itself");
    let budget = Budget { bytes: memory / 2, time: Duration::from_secs(3600), over: &|| false };
    let mut input = file.try_clone().unwrap();
    input.rewind().unwrap();
    let (taken, count) = counting::most_bytes(|| {
        let apart =
            apart(BufReader::with_capacity(1 << 16, input), OURS, ways, &mut tempfile::tempfile).unwrap();
        let count = apart.each(most, ways, &mut tempfile::tempfile, &mut |part| {
            let cut = (!part.whole).then_some((part.key.as_ref(), part.operations));
            let places = Some(&part.places[..]);
            asked.take(&Part { history: &part.history, places, cut }, budget);
        });
        count.unwrap()
    });
    (asked.conclude(), count, taken)
}

fn whole(judge: &dyn Checker, file: &File) -> (History, schism_checker::Judgement) {
    let mut input = file.try_clone().unwrap();
    input.rewind().unwrap();
    let history = jsonl::read(BufReader::new(input)).unwrap().history;
    let budget = Budget { bytes: UNLIMITED, time: Duration::from_secs(3600), over: &|| false };
    let judgement = judge.check(&history, budget);
    (history, judgement)
}

/// Judged in parts and as a whole, by this judge: the same is said, within the memory allowed.
#[track_caller]
fn the_same(judge: &dyn Checker, file: &File, length: usize, memory: usize) -> Verdict {
    let (history, expected) = whole(judge, file);
    let (Concluded { judgement, cited }, count, taken) = in_parts(judge, file, memory);
    println!(
        "{}: {:?} in {count} parts, {taken} of {memory} bytes, a text of {length}",
        judgement.about, judgement.verdict
    );
    assert_eq!(judgement, expected);
    for anomaly in &judgement.anomalies {
        for at in &anomaly.witness {
            assert_eq!(cited.get(at), Some(&history.operation(*at)));
        }
    }
    assert!(count > 4 && length > 3 * memory, "{count} parts of {length} bytes");
    assert!(taken <= memory, "{taken} of {memory} bytes");
    judgement.verdict
}

/// Queues on many keys, everything that is put in taken out again; on each key in `bad` an element is taken twice.
fn queues(operations: i64, keys: i64, bad: &[i64]) -> (File, usize) {
    file(|out| {
        let mut index = 0;
        for at in 0..operations {
            let (key, element) = (Value::from(at / 2 % keys), Value::from(at / 2));
            let process = Process((at % 10) as u32);
            let (call, outcome) = if at % 2 == 0 {
                (Call::Enqueue { key, value: element }, Outcome::Ok(Ret::Done))
            } else {
                let again = bad.contains(&(at / 2 % keys)) && at / 2 / keys == 3;
                let taken = if again { Value::from(at / 2 - keys) } else { element };
                (Call::Dequeue { key }, Outcome::Ok(Ret::Value(taken)))
            };
            let node = Some(format!("n{}", process.0 % 3));
            let time = |more: i64| Time((10 * at + more) as u64);
            let invoke = What::Invoke { process, node, call: call.clone() };
            for (time, what) in [(time(0), invoke), (time(5), What::Complete { process, call, outcome })] {
                jsonl::write_event(out, index, &Event { time, what }).unwrap();
                index += 1;
            }
        }
    })
}

fn parts_say_what_the_whole_says_in_the_memory_allowed() {
    let mib = 1 << 20;
    let queue = Objects { object: Object::Queue };
    let (text, length) = queues(40_000, 200, &[]);
    assert_eq!(the_same(&queue, &text, length, 2 * mib), Verdict::Valid);
    let evidence = Evidence {
        calls: vec![Enough::in_all(CallKind::Dequeue, 20_000), Enough::in_all(CallKind::Read, 1)],
        faults: vec!["partition".into()],
        unique_values: true,
    };
    assert_eq!(the_same(&evidence, &text, length, 2 * mib), Verdict::Unknown);
    let (text, length) = queues(40_000, 200, &[17, 3, 4, 5, 6, 171, 180]);
    assert_eq!(the_same(&queue, &text, length, 2 * mib), Verdict::Invalid);

    // Registers that were called at random, some written to twice, with what is of unknown fate; then a stale read.
    let mut random = Pcg64::seed_from_u64(3);
    let mut next = || random.next_u64();
    let mix = Mix { keys: 400, info: 2, ..Mix::unique(50_000, 20) };
    let register = Linearizable { model: Register::default() };
    let history = synthetic::history(&mix, &mut next);
    let (stale, _) = synthetic::with_stale_read(&history, &mut next).unwrap();
    for (history, verdict) in [(history, Verdict::Valid), (stale, Verdict::Invalid)] {
        let (text, length) = file(|out| export::jsonl(out, &history).unwrap());
        assert_eq!(the_same(&register, &text, length, 3 * mib), verdict);
        let search = By { judge: Judge::Search, checker: register.clone() };
        assert_eq!(the_same(&search, &text, length, 3 * mib), verdict);
    }
}

/// Sets that are read whole: lists take far more memory than text.
fn whole_reads_are_counted() {
    let (text, length) = file(|out| {
        let mut index = 0;
        for at in 0..30_000u32 {
            let (key, number) = (Value::from(i64::from(at % 50)), i64::from(at / 50));
            let (call, answer) = match number % 20 {
                19 => (
                    Call::Read { key },
                    Ret::Value(Value::list((0..number).filter(|of| of % 20 != 19).map(Value::from))),
                ),
                _ => (Call::Add { key, value: number.into() }, Ret::Done),
            };
            let process = Process(0);
            let invoke = What::Invoke { process, node: None, call: call.clone() };
            let complete = What::Complete { process, call, outcome: Outcome::Ok(answer) };
            for what in [invoke, complete] {
                jsonl::write_event(out, index, &Event { time: Time(index.into()), what }).unwrap();
                index += 1;
            }
        }
        out.flush().unwrap();
    });
    let memory = length / 4;
    assert_eq!(the_same(&SetFull::default(), &text, length, memory), Verdict::Valid);
    assert_eq!(the_same(&Objects { object: Object::GrowingSet }, &text, length, memory), Verdict::Valid);
}

/// A key that is too large is judged as far as memory goes, and that is said; what is wrong before that is found.
fn a_key_too_large_is_not_known() {
    let mib = 1 << 20;
    let queue = Objects { object: Object::Queue };
    for (bad, verdict) in [(&[][..], Verdict::Unknown), (&[0], Verdict::Invalid)] {
        let (text, length) = queues(60_000, 1, bad);
        let (Concluded { judgement, .. }, count, taken) = in_parts(&queue, &text, 2 * mib);
        println!(
            "{:?}, {taken} of {} bytes, a text of {length}: {:?}",
            judgement.verdict,
            2 * mib,
            judgement.doubts
        );
        assert_eq!((judgement.verdict, count), (verdict, 1));
        assert!(judgement.doubts[0].reason.starts_with("key 0: of 60000 operations only the first "));
        assert!(taken <= 2 * mib, "{taken} bytes");
    }
}

/// A log, read by nobody: every call brings a value.
fn log(operations: u32) -> (File, usize) {
    file(|out| {
        for at in 0..operations {
            let (process, call) = (Process(0), Call::Append { key: 1.into(), value: i64::from(at).into() });
            let invoke = What::Invoke { process, node: None, call: call.clone() };
            for (index, what) in [invoke, What::Complete { process, call, outcome: Outcome::Ok(Ret::Done) }]
                .into_iter()
                .enumerate()
            {
                let index = 2 * at + index as u32;
                jsonl::write_event(out, index, &Event { time: Time(index.into()), what }).unwrap();
            }
        }
    })
}

/// What a part is said to take is about what it takes, the growing of lists included: more, and keys count as too large that
/// are not; less, and memory is not kept to.
fn bytes_are_about_right() {
    let mut random = Pcg64::seed_from_u64(4);
    let mut next = || random.next_u64();
    let texts = [
        ("registers, every value once", synthetic::history(&Mix::unique(50_000, 20), &mut next)),
        ("registers of five values", synthetic::history(&Mix::cas(50_000, 20), &mut next)),
    ];
    let texts = texts.map(|(name, history)| (name, file(|out| export::jsonl(out, &history).unwrap())));
    for (name, (text, _)) in
        texts.into_iter().chain([("a queue", queues(50_000, 1, &[])), ("a log", log(50_000))])
    {
        let mut input = text.try_clone().unwrap();
        input.rewind().unwrap();
        let ways = Ways { parts: 1, buffer: 512, salt: 0 };
        let mut taken = apart(BufReader::new(input), OURS, ways, &mut tempfile::tempfile).unwrap();
        let (said, around) = (taken.parts[0].bytes as usize, taken.around);
        let (takes, read) = counting::most_bytes(|| taken.parts[0].history(&around, u64::MAX).unwrap());
        let lines = 2 * read.history.len();
        println!("{name}: {} bytes a line, said to be {}", takes / lines, said / lines);
        assert!(takes <= said && said <= 3 * takes, "{name}: {takes} bytes, said to be {said}");
    }
}

/// One after the other: what one allocates would count for the next.
#[test]
fn judged_in_parts() {
    parts_say_what_the_whole_says_in_the_memory_allowed();
    whole_reads_are_counted();
    a_key_too_large_is_not_known();
    bytes_are_about_right();
}
