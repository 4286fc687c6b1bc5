//! The EDN reader on good forms, hostile ones, and every cut of a good one.

use super::*;

fn forms(text: &str) -> Result<Vec<Form>> {
    let mut reader = Reader::new(text.as_bytes());
    let mut forms = Vec::new();
    while let Some(form) = reader.next_form()? {
        forms.push(form);
    }
    Ok(forms)
}

fn one(text: &str) -> Form {
    let mut all = forms(text).unwrap();
    assert_eq!(all.len(), 1, "{text}");
    all.remove(0)
}

fn error(text: &str) -> String {
    forms(text).unwrap_err().to_string()
}

#[test]
fn atoms() {
    use Form::{Bool, Char, Fraction, Int, Keyword, Nil, Symbol, Text};
    assert_eq!(
        forms("nil true, false 1 -2 +3 4N 1.5 -2e3 2.5M ##Inf").unwrap(),
        [
            Nil,
            Bool(true),
            Bool(false),
            Int(1),
            Int(-2),
            Int(3),
            Int(4),
            Fraction(1.5),
            Fraction(-2000.0),
            Fraction(2.5),
            Fraction(f64::INFINITY)
        ]
    );
    assert_eq!(
        forms(r#":a :a/b-c? foo - "x\n\"\u00e9\ud83d\ude00" \a \( \newline \u0041 null"#).unwrap(),
        [
            Keyword("a".into()),
            Keyword("a/b-c?".into()),
            Symbol("foo".into()),
            Symbol("-".into()),
            Text("x\n\"é😀".into()),
            Char('a'),
            Char('('),
            Char('\n'),
            Char('A'),
            Symbol("null".into())
        ]
    );
}

#[test]
fn collections_tags_comments_and_discards() {
    use Form::{Int, Keyword, List, Map, Set, Tagged, Vector};
    assert_eq!(one("(1 [2] #{3})"), List(vec![Int(1), Vector(vec![Int(2)]), Set(vec![Int(3)])]));
    assert_eq!(one("{:a 1, 2 ()}"), Map(vec![(Keyword("a".into()), Int(1)), (Int(2), List(vec![]))]));
    assert_eq!(
        one("; hello\n#jepsen.history.Op{:a 1} ; bye"),
        Tagged("jepsen.history.Op".into(), Box::new(one("{:a 1}")))
    );
    assert_eq!(one("[1 #_[2 3] #_ #_ 4 5 6 #_7]"), Vector(vec![Int(1), Int(6)]));
    assert_eq!(forms(" ,; nothing\n#_1").unwrap(), []);
}

#[test]
fn json() {
    let mut reader = Reader::json(&br#"{"a":[1,null,"b:c"],"d":{"e":-1.5}}"#[..]);
    let form = reader.next_form().unwrap().unwrap();
    assert_eq!(form, one(r#"{"a" [1 nil "b:c"] "d" {"e" -1.5}}"#));
    assert_eq!(reader.next_form().unwrap(), None);
}

#[test]
fn what_is_wrong_is_named_with_line_and_column() {
    assert_eq!(error("[1\n ))"), "line 2, column 2: ) closes nothing");
    assert_eq!(error("{:a}"), "line 1, column 5: a map with a key but no value for it");
    assert_eq!(
        error("9223372036854775808 "),
        "line 1, column 20: 9223372036854775808 does not fit in 64 bits"
    );
    assert_eq!(error("1/2 "), "line 1, column 4: 1/2 is no number that is understood here");
    assert_eq!(error("#\"a+\""), "line 1, column 2: #\\\" is not understood");
    assert_eq!(error("[1 @x]"), "line 1, column 4: @ is not understood");
    assert_eq!(error("[\"a\nb"), "line 2: the text ends within a form");
    assert_eq!(error("[1e"), "line 1: the text ends within a form");
    assert_eq!(error("#_"), "line 1: the text ends within a form");
}

/// Nesting is what overflows a recursive reader's stack.
#[test]
fn hostile_nesting_is_an_error() {
    for open in ["[", "(", "{", "#{", "#_", "#t ", "[{:a "] {
        let text = open.repeat(1_000_000);
        assert!(error(&text).contains("nested deeper than 64"), "{open}");
    }
    let deep = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
    assert!(forms(&deep).is_ok());
}

/// A buffer of one byte at a time gives the same forms as one that holds the whole text.
#[test]
fn buffers_of_any_size() {
    let text = "[{:process 12, :type :invoke} \"long text\" nil -1234 #tag (1 2)]\n; end";
    for size in 1..20 {
        let mut reader = Reader::new(io::BufReader::with_capacity(size, text.as_bytes()));
        assert_eq!(reader.next_form().unwrap().unwrap(), one(text), "{size}");
        assert_eq!(reader.next_form().unwrap(), None);
    }
}
