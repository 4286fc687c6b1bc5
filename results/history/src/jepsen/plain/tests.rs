//! The short way says what the long way says: of histories put together and garbled at random, in every word of them.

use super::*;
use crate::edn::Reader;
use crate::jepsen::{self, Keys};
use crate::{History, ReadError, Recorded};

fn said(read: Result<Recorded, ReadError>) -> Result<(History, Option<usize>), String> {
    match read {
        Ok(recorded) => Ok((recorded.history, recorded.cut)),
        Err(error) => Err(error.to_string()),
    }
}

const VALUES: [&str; 20] = [
    "nil",
    "1",
    "-2",
    "[1 2]",
    "[3 [1 2]]",
    "[\"k\" nil]",
    "[3 nil]",
    "[3, 4]",
    "[]",
    "[3 [1 2 3]]",
    "[1 2 3 [4]]",
    "true",
    "[1 false]",
    "\"a\u{e9} b\"",
    ":word",
    "1N",
    "999999999999999999999",
    "(1 2)",
    "#{1}",
    "[[:r 1 nil]]",
];

const WORDS: [&str; 14] = [
    "read",
    "write",
    "cas",
    "add",
    "contains",
    "acquire",
    "release",
    "increment",
    "inc",
    "generate",
    "dequeue",
    "enqueue",
    "txn",
    "drain",
];

/// Histories of a few processes, most of them without contradictions.
fn put_together(below: &mut impl FnMut(usize) -> usize) -> String {
    let mut text = String::new();
    let mut open = [None; 4];
    for time in 0..2 + below(12) {
        let process = below(open.len());
        let (kind, word) = match open[process] {
            Some(word) => (["ok", "ok", "ok", "fail", "info", "invoke"][below(12).saturating_sub(6)], word),
            None => ("invoke", WORDS[below(100).min(WORDS.len() - 1) % 12]),
        };
        open[process] = (kind == "invoke").then_some(word);
        let value = VALUES[below(100) % if below(8) == 0 { VALUES.len() } else { 8 }];
        let tag = ["", "", "#jepsen.history.Op"][below(3)];
        text += &format!("{tag}{{ :process {process}, :type :{kind} :f :{word}, :value {value}");
        match below(30) {
            0 => text += ", :error [:a \"b\"]",
            1..4 => text += " :error :timed-out",
            4 => text += " :time nil",
            5 => text += " :type :ok",
            6 => text += " :clock 4.5",
            7..10 => text += ", :node \"n1\"",
            _ => text += &format!(", :time {time}, :index {time}"),
        }
        text += ["}\n", "}", " }\n  "][below(3)];
    }
    text
}

#[test]
fn the_short_way_says_what_the_long_way_says() {
    let mut state = 7u64;
    let mut below = move |bound: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % bound
    };
    let garbage = *b"\"\\:;#_{}[]() \n\t,0-9eN/^@\0\xff\xc3u";
    let (mut read, mut refused, mut plain) = (0, 0, 0);
    for round in 0..20_000 {
        let mut text = put_together(&mut below).into_bytes();
        if round % 2 == 0 {
            for _ in 0..1 + below(3) {
                let at = below(text.len());
                text[at] = garbage[below(garbage.len())];
            }
        }
        plain += text.split(|byte| *byte == b'\n').filter(|line| operation(line).is_some()).count();
        for keys in [Keys::One, Keys::Tuple] {
            let [short, long] =
                [true, false].map(|short| said(jepsen::read(Reader::new(text.as_slice()), keys, short)));
            assert_eq!(short, long, "{keys:?}: {}", String::from_utf8_lossy(&text));
            *if short.is_ok() { &mut read } else { &mut refused } += 1;
        }
    }
    println!("{read} read, {refused} refused, {plain} lines read the short way");
    assert!(read > 2_000 && refused > 2_000 && plain > 30_000, "{read}, {refused}, {plain}");
}

#[test]
fn what_is_plain() {
    let plain = |text: &str| operation(text.as_bytes()).is_some();
    for text in [
        "{:index 0, :time 104, :process 3, :type :invoke, :f :cas, :value [1 2]}",
        "#jepsen.history.Op{:process 3, :type :fail, :f :get, :value nil :error :timeout}",
        "{:process 3 :type :ok :f :read :value [1 [2 3 \"x\"]] :node \"n1\" :error \"why\"}",
    ] {
        assert!(plain(text), "{text}");
        for end in 0..text.len() {
            assert!(!plain(&text[..end]), "{}", &text[..end]);
        }
        for (from, to) in [("3", "3N"), ("process", "process 3 :process"), ("3", ":nemesis"), (" :f", "\n:f")]
        {
            assert!(!plain(&text.replacen(from, to, 1)), "{text}: {to}");
        }
    }
}
