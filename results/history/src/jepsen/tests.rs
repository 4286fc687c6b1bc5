//! The reader of Jepsen operations: what each shape of line becomes, and what is refused.

use super::*;
use crate::History;

fn history(text: &str) -> History {
    read_edn(text.as_bytes(), Keys::One).unwrap().history
}

fn error(text: &str) -> String {
    read_edn(text.as_bytes(), Keys::One).unwrap_err().to_string()
}

const WRITE: &str = "{:process 0 :type :invoke :f :write :value 1}";

#[test]
fn a_vector_a_list_or_maps_one_after_another() {
    let maps = format!("{WRITE}\n{{:process 0, :type :ok, :f :write, :value 1}}");
    let expected = history(&maps);
    assert_eq!(expected.len(), 1);
    assert_eq!(expected.rows()[0].call, Call::Write { key: Value::Nil, value: 1.into() });
    for text in [format!("[{maps}]"), format!("; x\n({maps}) ; y"), maps.replace('{', "#jepsen.history.Op{")]
    {
        assert_eq!(history(&text), expected);
    }
    assert_eq!(error(&format!("[{maps}]\n{WRITE}")), "line 3: something follows the end of the history");
}

#[test]
fn the_nemesis_is_left_out() {
    let text = format!("{{:process :nemesis, :type :info, :f :kill, :value {{:a 1.5}}}} {WRITE}");
    assert_eq!(history(&text).events, 1);
}

/// Only what a read returned is taken from a completion.
#[test]
fn completions_may_say_something_else_or_nothing() {
    let text = format!(
        "{WRITE} {{:process 0 :type :ok :f :write :value [9 9]}}
         {{:process 1 :type :invoke :f :read :value 4}} {{:process 1 :type :ok :f :read :value 5}}
         {{:process 2 :type :invoke :f :cas :value [1 2]}} {{:process 2 :type :fail}}"
    );
    let operations = history(&text).rows().to_vec();
    assert_eq!(operations[0].outcome, Outcome::Ok(Ret::Done));
    assert_eq!(operations[0].call, Call::Write { key: Value::Nil, value: 1.into() });
    assert_eq!(operations[1].read(), Some(&Value::Int(5)));
    assert_eq!(operations[2].outcome, Outcome::Fail(String::new()));
}

/// The order in the file decides; times only follow it.
#[test]
fn times_that_are_missing_or_go_back() {
    let op = |time: &str, process| format!("{{:process {process} :type :invoke :f :read :time {time}}} ");
    let text = [op("70", 0), op("50", 1), op("nil", 2), op("-4", 3), op("90", 4)].concat();
    let times: Vec<u64> = history(&text).operations().map(|op| op.invoked.0).collect();
    assert_eq!(times, [70, 70, 70, 70, 90]);
    let untimed: Vec<u64> =
        history(&text.replace(":time", ":clock")).operations().map(|op| op.invoked.0).collect();
    assert_eq!(untimed, [0, 1, 2, 3, 4]);
}

/// Peers' histories have processes that come back: what they left open stays open.
#[test]
fn a_process_may_come_back_after_info() {
    let text = format!(
        "{WRITE} {{:process 0 :type :info :f :write :value 1 :error [:timeout 5]}}
         {{:process 0 :type :invoke :f :read}} {{:process 0 :type :ok :f :read :value nil}}"
    );
    let operations = history(&text).rows().to_vec();
    assert_eq!(operations[0].outcome, Outcome::Info("timeout 5".into()));
    assert_eq!(operations[0].completed, Time::NEVER);
    assert_eq!(operations[1].read(), Some(&Value::Nil));
}

#[test]
fn keys_in_tuples() {
    let text = "{:process 0 :type :invoke :f :cas :value [\"k\" [1 2]]}
                {:process 1 :type :invoke :f :read :value [:k nil]}
                {:process 1 :type :ok :f :read :value [:k 3]}";
    let operations = read_edn(text.as_bytes(), Keys::Tuple).unwrap().history.rows().to_vec();
    assert_eq!(operations[0].call, Call::Cas { key: "k".into(), from: 1.into(), to: 2.into() });
    assert_eq!(operations[1].call, Call::Read { key: ":k".into() });
    assert_eq!(operations[1].read(), Some(&Value::Int(3)));
    let tagged = text
        .replace("[\"k\"", "#jepsen.independent/tuple [\"k\"")
        .replace("[:k", "#jepsen.independent/tuple[:k");
    assert_eq!(history(&tagged).rows(), operations);
    let other = text.replace("[:k 3]", "[:q 3]");
    let error = |text: &str| read_edn(text.as_bytes(), Keys::Tuple).unwrap_err().to_string();
    assert_eq!(error(&other), "line 3: a read of key \":k\" returned key \":q\"");
    assert_eq!(error(WRITE), "line 1: 1 as :value, where [key value] was due");
}

#[test]
fn what_is_wrong_is_named_with_its_line() {
    let second = |op: &str| error(&format!("{WRITE}\n{op}"));
    assert_eq!(second("7"), "line 2: 7 where the map of an operation was due");
    assert_eq!(second("{:process 1 :f :read}"), "line 2: an operation without :type");
    assert_eq!(
        second("{:process 1 :type :done :f :read}"),
        "line 2: :type :done is not one of invoke, ok, fail, info"
    );
    assert_eq!(
        second("{:process 1 :type :invoke :f :drain}"),
        "line 2: :f :drain is not understood: read, write, cas, add, remove, contains, append, enqueue, dequeue, push, pop, \
         increment, generate, acquire, release, use, txn are"
    );
    assert_eq!(second("{:process 1 :type :invoke :value []}"), "line 2: an invocation without :f");
    assert_eq!(
        second("{:process 1 :type :invoke :f :write}"),
        "line 2: an invocation of write without :value"
    );
    assert_eq!(
        second("{:process 1 :type :invoke :f :cas :value [1]}"),
        "line 2: the :value of a cas must be [from to], not [1]"
    );
    assert_eq!(
        second("{:process 0 :type :ok :f :read}"),
        "line 2: process 0 completes read, but what it invoked was write(1)"
    );
    assert_eq!(
        second("{:process 1 :type :ok :f :read}"),
        "line 2: process 1 completes read, which it never invoked"
    );
    assert_eq!(second(WRITE), "line 2: process 0 invokes write(1) while its write(1) is still open");
    assert_eq!(second("{:process -1 :type :ok}"), "line 2: process -1 is not between 0 and 4294967295");
    assert_eq!(second("{:type :ok :type :ok}"), "line 2: type stands twice in one operation");
    assert_eq!(
        second("{:process 1 :type :invoke :f :write :value {:a 1}}"),
        "line 2: a map as a value is not understood"
    );
    assert_eq!(
        second("{:process 1 :type :invoke :f :read} {:process 1 :type :ok :f :read}"),
        "line 2: a read that is ok, without :value"
    );
    assert_eq!(second("\n {:process ]"), "line 3: ] closes nothing, at column 12");
}

/// An operation of each sort, as text that another tool wrote, and what it means.
#[test]
fn words_of_queues_counters_locks_and_transactions() {
    let read = |f: &str, asked: &str, seen: &str| {
        let history = history(&format!(
            "{{:process 0 :type :invoke :f {f} :value {asked}}} {{:process 0 :type :ok :f {f} :value {seen}}}"
        ));
        let operation = history.operation(0);
        (operation.call, operation.outcome)
    };
    let (nil, done) = (|| Value::Nil, || Outcome::Ok(Ret::Done));
    let seen = |value: Value| Outcome::Ok(Ret::Value(value));
    for (f, asked, told, call, outcome) in [
        (":enqueue", "7", "7", Call::Enqueue { key: nil(), value: 7.into() }, done()),
        (":dequeue", "nil", "7", Call::Dequeue { key: nil() }, seen(7.into())),
        (":push", "7", "7", Call::Push { key: nil(), value: 7.into() }, done()),
        (":pop", "nil", "nil", Call::Pop { key: nil() }, seen(nil())),
        (":remove", "7", "7", Call::Remove { key: nil(), value: 7.into() }, done()),
        (":contains", "7", "false", Call::Contains { key: nil(), value: 7.into() }, seen(Value::Bool(false))),
        (":inc", "nil", "nil", Call::Increment { key: nil(), by: 1 }, done()),
        (":increment", "-2", "-2", Call::Increment { key: nil(), by: -2 }, done()),
        (":generate", "nil", "\"x\"", Call::Generate { key: nil() }, seen("x".into())),
        (":lock", "nil", "nil", Call::Acquire { key: nil() }, done()),
        (":acquire", "nil", "33", Call::Acquire { key: nil() }, seen(33.into())),
        (":release", "nil", "nil", Call::Release { key: nil() }, done()),
    ] {
        assert_eq!(read(f, asked, told), (call, outcome), "{f}");
    }
    let (call, outcome) =
        read(":txn", "[[:r 1 nil] [:append 2 5] [:w 3 4]]", "[[:r 1 [9]] [:append 2 5] [:w 3 4]]");
    let steps = [
        Step::Read { key: 1.into() },
        Step::Append { key: 2.into(), value: 5.into() },
        Step::Write { key: 3.into(), value: 4.into() },
    ];
    assert_eq!(call, Call::Txn { steps: steps.into() });
    assert_eq!(outcome, seen(Value::list([Value::list([9.into()]), nil(), nil()])));
    let txn = |value: &str, told: &str| {
        error(&format!("{{:type :invoke :f :txn :value {value}}}\n{{:type :ok :f :txn :value {told}}}"))
    };
    assert_eq!(
        txn("[[:w 1 2]]", "[[:w 1 3]]"),
        "line 2: a txn that is ok with other steps than were asked for"
    );
    assert!(txn("[[:r 1]]", "[]").starts_with("line 1: the :value of a txn must be"));
}

#[test]
fn json_says_the_same() {
    let json = r#"[{"type":"invoke","f":"read","process":0,"value":null},{"type":"ok","f":"read","process":0,"value":[1,"a"]}]"#;
    let edn = r#"[{:type :invoke :f :read :process 0} {:type :ok :f :read :process 0 :value [1 "a"]}]"#;
    assert_eq!(read_json(json.as_bytes(), Keys::One).unwrap().history, history(edn));
}
