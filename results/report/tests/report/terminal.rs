//! The screens at the end of runs, compared with golden text.

use schism_report::terminal::{Look, compact, screen};

use crate::{golden, situations};

#[test]
fn valid() {
    golden("valid.txt", &screen(&situations::valid().summary, Look::PLAIN));
}

#[test]
fn stale_read() {
    golden("stale_read.txt", &screen(&situations::stale_read().summary, Look::PLAIN));
}

#[test]
fn stale_read_narrow_and_ascii() {
    let look = Look { width: 60, colour: false, ascii: true };
    let text = screen(&situations::stale_read().summary, look);
    assert!(text.is_ascii(), "{text}");
    golden("stale_read_narrow_ascii.txt", &text);
}

#[test]
fn stale_read_in_colour() {
    let look = Look { colour: true, ..Look::PLAIN };
    let text = screen(&situations::stale_read().summary, look);
    golden("stale_read_colour.txt", &text.replace('\u{1b}', "ESC"));
}

#[test]
fn unknown_with_doubts() {
    golden("unknown.txt", &screen(&situations::unknown().summary, Look::PLAIN));
}

#[test]
fn several_files_one_line_each() {
    let (valid, stale, unknown) = (situations::valid(), situations::stale_read(), situations::unknown());
    let several = [
        ("runs/a/history.jsonl", &valid.summary),
        ("b.jsonl", &stale.summary),
        ("runs/monday/history.jsonl", &unknown.summary),
    ];
    golden("several.txt", &compact(&several, Look::PLAIN));
}

/// Every line fits the width, but for commands, which are to be copied whole.
#[test]
fn lines_fit() {
    for situation in [situations::valid(), situations::stale_read(), situations::unknown()] {
        for width in [50, 72, 100, 140] {
            let text = screen(&situation.summary, Look { width, ..Look::PLAIN });
            let too_long = text.lines().find(|line| line.chars().count() > width && !line.contains("schism"));
            assert_eq!(too_long, None);
        }
        let lines = screen(&situation.summary, Look::PLAIN).lines().count();
        assert!(lines <= 45, "{lines} lines are more than a screen");
    }
}

/// Nothing a store says reaches the terminal as a control character.
#[test]
fn foreign_text_cannot_move_the_cursor() {
    let mut summary = situations::stale_read().summary;
    let evil = "\u{1b}[2J\u{1b}[H\rVALID\n".to_string();
    summary.title = evil.clone();
    summary.about.target = Some(evil.clone());
    summary.about.next[0].command = evil.clone();
    summary.about.folder = Some(evil.clone());
    summary.measured.faults[0].evidence = Some(evil.clone());
    summary.measured.nodes[0].notes.push((1, evil.clone()));
    let judged = &mut summary.judgements[0];
    judged.checker = evil.clone();
    judged.facts[0].1 = evil.clone();
    judged.doubts.push(schism_checker::Doubt { reason: evil.clone(), hint: Some(evil.clone()) });
    let finding = &mut judged.anomalies[0];
    finding.name = evil.clone();
    finding.sentences[0] = evil.clone();
    finding.possible_states[0] = evil.clone();
    finding.refused[0].because = evil.clone();
    finding.witness[0].outcome = evil.clone();
    finding.witness[1].node = Some(evil.clone());
    let text = screen(&summary, Look::PLAIN) + &compact(&[(evil.as_str(), &summary)], Look::PLAIN);
    let control = text.chars().find(|c| c.is_control() && *c != '\n');
    assert_eq!(control, None, "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("VALID")), "{text}");
}
