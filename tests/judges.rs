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
