//! Every form is recognised by its first bytes; and whatever is done to a text, it is read or refused with a line.

use super::*;
use crate::{Call, Outcome};

const SAMPLES: [(Format, &str); 5] = [
    (
        Format::Jsonl,
        concat!(
            "{\"index\":0,\"time\":1,\"type\":\"phase\",\"phase\":\"load\"}\n",
            "{\"index\":1,\"time\":2,\"type\":\"invoke\",\"process\":0,\"node\":\"n1\",\"f\":\"cas\",\"key\":1,\"value\":[1,2]}\n",
            "{\"index\":2,\"time\":3,\"type\":\"ok\",\"process\":0,\"f\":\"cas\",\"key\":1,\"value\":[1,2]}\n",
            "{\"index\":3,\"time\":4,\"type\":\"invoke\",\"process\":0,\"f\":\"read\",\"key\":\"k\"}\n",
            "{\"index\":4,\"time\":5,\"type\":\"ok\",\"process\":0,\"f\":\"read\",\"key\":\"k\",\"value\":[\"a\\n\",null]}\n",
        ),
    ),
    (
        Format::JepsenEdn,
        concat!(
            "; a comment\n[{:process 7 :type :invoke :f :txn :value [[:r 1 nil] [:append :k 2]]}\n",
            "{:process 8 :type :invoke :f :dequeue} {:process 8 :type :ok :f :dequeue :value 3}\n",
            "{:process 7 :type :ok :f :txn :value [[:r 1 [3]] [:append :k 2]]} {:process 0, :type :invoke, :f :write, :value 4, :time 17, :error [:a \"b\"]}\n",
            " {:process :nemesis :type :info :f :start :value {\"n1\" #{1 2}}}\n",
            " #jepsen.history.Op{:process 1 :type :invoke :f :cas :value [4 5N]}\n",
            " #_{:skip me} {:process 0 :type :ok :f :write :value 4, :time 5}\n",
            " {:process 1 :type :info, :f :cas, :value [4 5] :error \"x\\u00e9\"}]\n",
        ),
    ),
    (
        Format::JepsenJson,
        concat!(
            "[{\"type\":\"invoke\",\"f\":\"add\",\"value\":[0,\"\\ud83d\\ude00\"],\"process\":0,\"index\":0},\n",
            "{\"type\":\"ok\",\"f\":\"add\",\"value\":[0,1.5e3],\"process\":0,\"time\":7,\"index\":1},\n",
            "{\"type\":\"info\",\"f\":\"kill\",\"value\":null,\"process\":\"nemesis\",\"index\":2}]\n",
        ),
    ),
    (
        Format::JepsenLog,
        concat!(
            "INFO  jepsen.util - 0\t:invoke\t:cas\t[1 2]\n",
            "INFO  jepsen.util - 1\t:invoke\t:read\tnil\n",
            "INFO  jepsen.util - 1\t:ok\t:read\t3\n",
            "INFO  jepsen.util - 0\t:info\t:cas\t:timed-out\n",
        ),
    ),
    (
        Format::PorcupineKv,
        concat!(
            "{:process 0, :type :invoke, :f :append, :key \"4\", :value \"x 0 1 y\"}\n",
            "{:process 1, :type :invoke, :f :get, :key \"4\", :value nil}\n",
            "{:process 1, :type :ok, :f :get, :key \"4\", :value \"\"}\n",
            "{:process 0, :type :ok, :f :append, :key \"4\", :value \"x 0 1 y\"}\n",
        ),
    ),
];

#[test]
fn recognised_and_read() {
    let operations = [2, 4, 1, 2, 2];
    for ((format, text), expected) in SAMPLES.into_iter().zip(operations) {
        assert_eq!(Format::sniff(text.as_bytes()), Some(format));
        let recorded = read_any(text.as_bytes(), Format::Auto, Keys::One).unwrap();
        assert_eq!(recorded.history.len(), expected, "{format:?}");
        assert_eq!(recorded.cut, None);
        assert_eq!(recorded.history, read_any(text.as_bytes(), format, Keys::One).unwrap().history);
        let marked = ["\u{feff}", text].concat();
        assert_eq!(recorded.history, read_any(marked.as_bytes(), Format::Auto, Keys::One).unwrap().history);
        let small = io::BufReader::with_capacity(3, text.as_bytes());
        assert_eq!(recorded.history, read_any(small, Format::Auto, Keys::One).unwrap().history);
    }
    assert_eq!(Format::sniff(b"({:process 1"), Some(Format::JepsenEdn));
    assert_eq!(Format::sniff(b"#jepsen.history.Op{:process 1"), Some(Format::JepsenEdn));
    assert_eq!(read_any(&b" \n"[..2], Format::Auto, Keys::One).unwrap().history.events, 0);
    assert!(
        read_any(&b"<html>"[..], Format::Auto, Keys::One)
            .unwrap_err()
            .to_string()
            .starts_with("line 1: begins like none of jsonl,")
    );
}

/// Cut anywhere, the forms that can be cut read up to the last whole operation.
#[test]
fn cut_at_any_byte() {
    for (format, text) in SAMPLES {
        let whole = read_any(text.as_bytes(), format, Keys::One).unwrap().history;
        for length in 1..text.len() {
            let part = &text.as_bytes()[..length];
            match read_any(part, format, Keys::One) {
                Ok(recorded) => {
                    let complete = part.trim_ascii_end() == text.as_bytes().trim_ascii_end();
                    let between = part.ends_with(b"\n") || part.ends_with(b"}") || part.starts_with(b";");
                    assert!(recorded.cut.is_some() || complete || between, "{format:?} {length}");
                    assert!(recorded.history.len() <= whole.len());
                    let pairs = recorded.history.rows().iter().zip(whole.rows());
                    for (part, whole) in pairs {
                        assert_eq!(part.call, whole.call);
                        assert!(part.outcome == whole.outcome || matches!(part.outcome, Outcome::Info(_)));
                    }
                }
                Err(error) => panic!("{format:?} cut at {length}: {error}"),
            }
        }
    }
}

fn line_of(error: &ReadError) -> usize {
    match error {
        ReadError::Binary { .. } => panic!("no sample is binary: {error}"),
        ReadError::Io { line, .. } | ReadError::Line { line, .. } | ReadError::Contradiction { line, .. } => {
            *line
        }
    }
}

/// Bytes changed, removed, doubled and swapped at random: read or refused, with a line of the file, and never a panic.
#[test]
fn garbled_at_random() {
    let mut state = 1u64;
    let mut below = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let interesting = *b"\"\\:;#_{}[]() \n\t,0-9eN/^@\0\xff\xc3u";
    let (mut read, mut refused) = (0, 0);
    for round in 0..60_000 {
        let (format, text) = SAMPLES[round % SAMPLES.len()];
        let mut bytes = text.as_bytes().to_vec();
        for _ in 0..1 + below(4) {
            let at = below(bytes.len());
            match below(5) {
                0 => bytes[at] = interesting[below(interesting.len())],
                1 => bytes[at] = below(256) as u8,
                2 => drop(bytes.remove(at)),
                3 => bytes.insert(at, interesting[below(interesting.len())]),
                _ => bytes.swap(at, 0),
            }
        }
        let format = if below(2) == 0 { Format::Auto } else { format };
        let keys = if below(4) == 0 { Keys::Tuple } else { Keys::One };
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
        match read_any(bytes.as_slice(), format, keys) {
            Ok(recorded) => {
                read += 1;
                assert!(recorded.history.rows().iter().all(|op| op.invoked <= op.completed));
                assert!(recorded.cut.is_none_or(|line| (1..=lines).contains(&line)));
                // The binary form refuses what no reader would have let in, and nothing else.
                let mut file = Vec::new();
                binary::write(&mut file, &recorded.history).unwrap();
                assert_eq!(binary::read(file.as_slice()).unwrap().history, recorded.history);
            }
            Err(error) => {
                refused += 1;
                assert!((1..=lines).contains(&line_of(&error)), "{error}");
            }
        }
    }
    assert!(read > 5000 && refused > 5000, "{read} read, {refused} refused");
}

#[test]
fn tuples_only_when_asked() {
    let text = SAMPLES[2].1.as_bytes();
    let call = |keys| read_any(text, Format::Auto, keys).unwrap().history.rows()[0].call.clone();
    assert_eq!(call(Keys::Tuple), Call::Add { key: 0.into(), value: "😀".into() });
    assert_eq!(call(Keys::One).key(), &crate::Value::Nil);
}
