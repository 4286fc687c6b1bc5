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
        second("{:process 1 :type :invoke :f :txn :value [[:r 1 nil]]}"),
        "line 2: :f :txn is not understood: read (get), write (put), cas, add and append are"
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

#[test]
fn json_says_the_same() {
    let json = r#"[{"type":"invoke","f":"read","process":0,"value":null},{"type":"ok","f":"read","process":0,"value":[1,"a"]}]"#;
    let edn = r#"[{:type :invoke :f :read :process 0} {:type :ok :f :read :process 0 :value [1 "a"]}]"#;
    assert_eq!(read_json(json.as_bytes(), Keys::One).unwrap().history, history(edn));
}
