//! Who judges a recorded history: `schism check --judge`.

use crate::binary::{file, folder, run};

/// Element 5 is put in twice.
const EQUAL: &str = r#"{"index":0,"time":10,"type":"invoke","process":0,"f":"enqueue","key":1,"value":5}
{"index":1,"time":20,"type":"ok","process":0,"f":"enqueue","key":1,"value":5}
{"index":2,"time":30,"type":"invoke","process":0,"f":"enqueue","key":1,"value":5}
{"index":3,"time":40,"type":"ok","process":0,"f":"enqueue","key":1,"value":5}
{"index":4,"time":50,"type":"invoke","process":1,"f":"dequeue","key":1}
{"index":5,"time":60,"type":"ok","process":1,"f":"dequeue","key":1,"value":5}
"#;

/// What the linear judge cannot judge is searched, unless that is not wanted; the verdict says who judged.
#[test]
fn the_judge_is_chosen_by_what_a_history_satisfies() {
    let folder = folder();
    file(folder.path(), "equal.jsonl", EQUAL);
    let check = |judge, model| {
        run(folder.path(), &["check", "equal.jsonl", "--json", "--judge", judge, "--model", model])
    };
    check("auto", "queue")
        .expect(0)
        .prints("linear 0 keys, search 1")
        .prints("searched because")
        .prints("an element was put in twice");
    check("search", "queue").expect(0).prints("the search was asked for");
    check("linear", "queue")
        .expect(2)
        .prints("not judged: an element was put in twice")
        .prints("--judge auto lets the search decide");
    check("auto", "bag").expect(0).prints("linearizable bag");
    check("linear", "string").expect(64).says("--judge linear: this model has no linear judge");
    check("search", "mutex").expect(64).says("--judge search: nobody searches");
    run(folder.path(), &["check", "equal.jsonl", "--judge", "search"]).expect(64).says("--model");
    // What a model has no rule for is nobody's mistake.
    check("auto", "stack").expect(2).prints("a stack has no rule for enqueue(5)");
    for model in ["fenced-lock", "multi-register"] {
        check("auto", model).expect(2).prints("has no rule for");
    }
}

/// Two hundred queues; on one of them an element is taken twice if asked.
fn queues(twice: bool) -> String {
    let mut text = String::new();
    for at in 0..8_000 {
        let (key, element, process, index, time) = (at / 2 % 200, at / 2, at % 10, 2 * at, 10 * at);
        let (f, put) = if at % 2 == 0 {
            ("enqueue", format!(r#","value":{element}"#))
        } else {
            ("dequeue", String::new())
        };
        let taken = if twice && at == 5_001 { element - 200 } else { element };
        let line = |index, time, kind, value: &str| {
            format!(
                r#"{{"index":{index},"time":{time},"type":"{kind}","process":{process},"f":"{f}","key":{key}{value}}}"#
            )
        };
        let told = if at % 2 == 0 { put.clone() } else { format!(r#","value":{taken}"#) };
        text +=
            &format!("{}\n{}\n", line(index, time, "invoke", &put), line(index + 1, time + 5, "ok", &told));
    }
    text
}

/// A text larger than the memory allowed is judged in parts, and the verdict says so and says the same.
#[test]
fn a_text_larger_than_the_memory_allowed_is_judged_in_parts() {
    let folder = folder();
    file(folder.path(), "right.jsonl", &queues(false));
    file(folder.path(), "wrong.jsonl", &queues(true));
    let check = |name, memory, model| {
        run(folder.path(), &["check", name, "--json", "--memory", memory, "--model", model])
    };
    check("right.jsonl", "512KiB", "queue").expect(0).prints("judged in parts").prints(r#"["keys","200"]"#);
    assert!(!check("right.jsonl", "1GiB", "queue").expect(0).out.contains("judged in parts"));
    let parts = check("wrong.jsonl", "512KiB", "queue").expect(1).prints("judged in parts");
    let whole = check("wrong.jsonl", "1GiB", "queue").expect(1);
    let anomalies = |printed: &str| {
        let summary: serde_json::Value = serde_json::from_str(printed).unwrap();
        summary["judgements"][0]["anomalies"].clone()
    };
    assert_eq!(anomalies(&parts.out), anomalies(&whole.out));
    assert_eq!(anomalies(&parts.out)[0]["name"], "duplicated element");
    // Not by a judge that has to see the whole.
    assert!(!check("right.jsonl", "512KiB", "convergence").out.contains("judged in parts"));
    file(folder.path(), "cut.jsonl", queues(false).trim_end());
    check("cut.jsonl", "512KiB", "queue").expect(3).says("line 16000: the file is cut off here");
}
