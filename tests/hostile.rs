//! Files of every form that are cut, garbled, contradictory or made to do harm: exit 3, an error with file and place, and no
//! verdict. What each reader refuses in detail is tested beside it.

use crate::binary::{file, folder, run};

const EDN: &str = "{:process 0 :type :invoke :f :write :value 1 :time 1}\n{:process 0 :type :ok :f :write :value 1 :time 2}\n";
const JSON: &str = r#"[{"process":0,"type":"invoke","f":"write","value":1,"time":1},
{"process":0,"type":"ok","f":"write","value":1,"time":2}]
"#;
const LOG: &str = "INFO  jepsen.util - 0\t:invoke\t:write\t1\nINFO  jepsen.util - 0\t:ok\t:write\t1\n";
const KV: &str = "{:process 0, :type :invoke, :f :put, :key \"1\", :value \"a\"}\n{:process 0, :type :ok, :f :put, :key \"1\", :value \"a\"}\n";

/// Each form with its wrongs: what is replaced by what, and the place that the error must name.
#[test]
fn no_hostile_file_gets_a_verdict() {
    let folder = folder();
    let deep = "[".repeat(100_000);
    let huge = "9".repeat(400);
    let forms = [
        ("edn", EDN, [(":process 0 :type :ok", ":process 5 :type :ok"), (":type :ok", ":type [")]),
        ("json", JSON, [(r#"0,"type":"ok""#, r#"5,"type":"ok""#), (r#""type":"ok""#, r#""type":["#)]),
        ("log", LOG, [("0\t:ok", "5\t:ok"), ("0\t:ok", "0\t:okay")]),
        ("kv", KV, [("0, :type :ok", "5, :type :ok"), (":type :ok", ":type [")]),
    ];
    for (form, text, wrongs) in forms {
        let model = if form == "kv" { "string" } else { "register" };
        let judge = |name: &str, text: &str| {
            file(folder.path(), name, text);
            run(folder.path(), &["check", name, "--model", model])
        };
        judge(&format!("good.{form}"), text).expect(0);
        for (place, (from, to)) in wrongs.iter().enumerate() {
            let name = format!("wrong-{place}.{form}");
            assert!(text.contains(from), "{form}: {from}");
            let ended = judge(&name, &text.replacen(from, to, 1)).expect(3).says(&name).says("line ");
            assert!(ended.out.is_empty(), "{}", ended.out);
        }
        // Its second line alone: an answer before its call.
        let answer = text.lines().last().unwrap();
        let alone = if form == "json" { format!("[{answer}") } else { answer.to_string() };
        judge(&format!("answer.{form}"), &format!("{alone}\n")).expect(3).says("line 1");
        let value = if form == "kv" { "\"a\"" } else { "1" };
        for (name, hostile) in [("deep", &deep), ("huge", &huge)] {
            let key = text.rfind(value).unwrap();
            let text = format!("{}{hostile}{}", &text[..key], &text[key + value.len()..]);
            let ended = judge(&format!("{name}.{form}"), &text);
            assert!(ended.code == Some(3) && ended.err.contains("line "), "{name} {form}: {}", ended.err);
        }
    }
}

/// The binary form, mapped: cut anywhere, or with a byte changed, it is refused with the byte where that was noticed.
#[test]
fn a_binary_history_that_was_tampered_with_is_refused() {
    let folder = folder();
    file(folder.path(), "good.edn", EDN);
    run(folder.path(), &["export", "good.edn", "--to", "binary", "--out", "good.schism"]).expect(0);
    run(folder.path(), &["check", "good.schism", "--model", "register"]).expect(0);
    let whole = std::fs::read(folder.path().join("good.schism")).unwrap();
    let judge = |bytes: &[u8]| {
        std::fs::write(folder.path().join("bad.schism"), bytes).unwrap();
        let ended =
            run(folder.path(), &["check", "bad.schism", "--model", "register"]).expect(3).says("byte ");
        assert!(ended.out.is_empty() && ended.err.contains("bad.schism"), "{}", ended.err);
    };
    for end in [8, 15, 16, 40, whole.len() / 2, whole.len() - 1] {
        judge(&whole[..end]);
    }
    for at in (7..whole.len()).step_by(41) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        judge(&bytes);
    }
    let lengths = [&whole[..16], &[0xff; 24 * 8], &whole[16 + 24 * 8..]].concat();
    judge(&lengths);
}
