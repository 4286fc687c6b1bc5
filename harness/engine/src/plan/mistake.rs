//! What is wrong with a plan: in words, and, for one from a file, where.

use std::fmt;
use std::ops::Range;

use thiserror::Error;

/// Something wrong, in words, without a place.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}{}", tail(.help.as_deref()))]
pub struct Complaint {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it, or what was meant.
    pub help: Option<String>,
}

impl Complaint {
    /// Something wrong that needs no advice.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Complaint { message: message.into(), help: None }
    }

    /// The same with advice.
    pub(crate) fn hint(self, help: impl Into<String>) -> Self {
        Complaint { help: Some(help.into()), ..self }
    }
}

/// Something wrong in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Where: bytes of the text. Always inside it, and between whole characters. Empty if something is missing.
    pub span: Range<usize>,
    /// The line it begins on, from 1.
    pub line: usize,
    /// The character of that line it begins on, from 1.
    pub column: usize,
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// What to do about it, or what was meant.
    pub help: Option<String>,
}

impl Mistake {
    /// A complaint with its place in a text. A span that is not one of this text is moved to the nearest that is.
    pub(super) fn at(text: &str, span: Range<usize>, complaint: Complaint) -> Self {
        let mut start = span.start.min(text.len());
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, text.len());
        while !text.is_char_boundary(end) {
            end += 1;
        }
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Mistake {
            span: start..end,
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            message: complaint.message,
            help: complaint.help,
        }
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}{}", self.line, self.column, self.message, tail(self.help.as_deref()))
    }
}

/// Everything wrong in a file, in the order of the text. Shown as `file:line:column: message`, one a line.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{}", lines(.source_name, .mistakes))]
pub struct Mistakes {
    /// What the text is called, mostly the file's path.
    pub source_name: String,
    /// The text.
    pub text: String,
    /// What is wrong in it; never empty.
    pub mistakes: Vec<Mistake>,
}

fn lines(source_name: &str, mistakes: &[Mistake]) -> String {
    mistakes.iter().map(|mistake| format!("{source_name}:{mistake}")).collect::<Vec<_>>().join("\n")
}

fn tail(help: Option<&str>) -> String {
    help.map(|help| format!("; {help}")).unwrap_or_default()
}

/// A name that is not one of the known ones, and what was meant or could be.
pub(super) fn unknown<'a>(
    what: &str,
    name: &str,
    known: impl IntoIterator<Item = &'a str, IntoIter: Clone>,
) -> Complaint {
    Complaint::new(format!("unknown {what} `{name}`")).hint(instead(name, known))
}

/// What could stand instead of a name: the one that was probably meant, or else all there are.
pub(super) fn instead<'a>(name: &str, known: impl IntoIterator<Item = &'a str, IntoIter: Clone>) -> String {
    let known = known.into_iter();
    match (meant(name, known.clone()), listed(known)) {
        (Some(meant), _) => format!("did you mean `{meant}`?"),
        (None, Some(list)) => format!("there is {list}"),
        (None, None) => "there is none".into(),
    }
}

/// The known name that was probably meant: at most a third of its letters off, whatever the case and the joining sign.
pub(super) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |name: &str| name.to_lowercase().replace(['_', ' '], "-");
    let name = plain(name);
    let known = known.into_iter();
    known
        .map(|known| (strsim::damerau_levenshtein(&name, &plain(known)), known))
        .filter(|(distance, known)| *distance <= known.chars().count() / 3)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, known)| known)
}

/// Names as a sentence shows them: `` `a`, `b` ``.
pub(super) fn listed<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let quoted: Vec<String> = names.into_iter().map(|name| format!("`{name}`")).collect();
    (!quoted.is_empty()).then(|| quoted.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_counted_in_characters_and_lies_inside_the_text() {
        let text = "é = 1\nüx = 2\n";
        let at = |span| Mistake::at(text, span, Complaint::new("wrong"));
        let mistake = at(7..10);
        assert_eq!((mistake.line, mistake.column, &text[mistake.span]), (2, 1, "üx"));
        assert_eq!(at(9..10).column, 2);
        // The middle of a character, behind the end, and the wrong way round.
        assert_eq!(at(1..1).span, 0..2);
        assert_eq!(at(90..99).span, text.len()..text.len());
        #[expect(clippy::reversed_empty_ranges, reason = "the nonsense is the test")]
        let reversed = at(5..3);
        assert_eq!(reversed.span, 5..5);
    }

    #[test]
    fn the_nearest_name_is_suggested_and_a_far_one_is_not() {
        let of = |name| unknown("nemesis", name, ["partition", "pause", "kill"]).to_string();
        assert_eq!(of("Partitoin"), "unknown nemesis `Partitoin`; did you mean `partition`?");
        assert_eq!(of("puase"), "unknown nemesis `puase`; did you mean `pause`?");
        assert_eq!(of("reboot"), "unknown nemesis `reboot`; there is `partition`, `pause`, `kill`");
    }
}
