//! How a terminal wants its text: width, colour, alphabet; and a page that is written line by line in that look.

use schism_checker::Verdict;

use crate::wording::{printable, shorten, wrap};

/// How a terminal wants its text. The caller knows: it has asked the terminal and the environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    /// Columns to fill at most; below 40 counts as 40. Commands to copy are never wrapped.
    pub width: usize,
    /// Whether to colour verdict words (256-colour escapes).
    pub colour: bool,
    /// Whether lines and marks of our own must be ASCII.
    pub ascii: bool,
}

impl Look {
    /// 100 columns, no colour, lines drawn in Unicode.
    pub const PLAIN: Look = Look { width: 100, colour: false, ascii: false };

    /// Harmless, and in this look's alphabet as far as the marks are our own.
    pub(crate) fn text(self, text: &str) -> String {
        let text = printable(text);
        match self.ascii {
            true => text.replace('→', "->").replace('…', "...").replace('–', "-").replace('µ', "u"),
            false => text,
        }
    }

    /// As [`Look::text`], in one line of at most so many columns.
    pub(crate) fn shorten(self, text: &str, most: usize) -> String {
        let text = self.text(text);
        match self.ascii {
            true if text.chars().count() > most => {
                let kept: String = text.chars().take(most.saturating_sub(3)).collect();
                format!("{kept}...")
            }
            _ => shorten(&text, most),
        }
    }

    /// The escapes around a verdict's words.
    pub(crate) fn tone(self, verdict: Verdict) -> (&'static str, &'static str) {
        match (self.colour, verdict) {
            (false, _) => ("", ""),
            (true, Verdict::Valid) => ("\u{1b}[1;38;5;75m", "\u{1b}[0m"),
            (true, Verdict::Unknown) => ("\u{1b}[1;38;5;214m", "\u{1b}[0m"),
            (true, Verdict::Invalid) => ("\u{1b}[1;38;5;211m", "\u{1b}[0m"),
        }
    }
}

/// Text in the making.
pub(crate) struct Page {
    pub(crate) look: Look,
    text: String,
}

impl Page {
    pub(crate) fn new(mut look: Look) -> Self {
        look.width = look.width.max(40);
        Page { look, text: String::new() }
    }

    /// The text, each line ended, no blanks before line ends.
    pub(crate) fn finish(self) -> String {
        let mut out = String::with_capacity(self.text.len());
        for line in self.text.lines() {
            out.push_str(line.trim_end());
            out.push('\n');
        }
        out
    }

    pub(crate) fn blank(&mut self) {
        self.text.push('\n');
    }

    /// Lines that are laid out already, such as a table.
    pub(crate) fn raw(&mut self, lines: &str) {
        self.text.push_str(lines);
        self.text.push('\n');
    }

    /// One line, however long.
    pub(crate) fn whole(&mut self, line: &str) {
        let line = self.look.text(line);
        self.raw(&line);
    }

    /// A paragraph, wrapped, every line indented.
    pub(crate) fn indented(&mut self, indent: usize, paragraph: &str) {
        for line in wrap(&self.look.text(paragraph), self.look.width.saturating_sub(indent)) {
            self.text.extend(std::iter::repeat_n(' ', indent));
            self.raw(&line);
        }
    }

    pub(crate) fn bold(&mut self, paragraph: &str) {
        let (on, off) = if self.look.colour { ("\u{1b}[1m", "\u{1b}[0m") } else { ("", "") };
        for line in wrap(&self.look.text(paragraph), self.look.width) {
            self.raw(&format!("{on}{line}{off}"));
        }
    }

    /// A verdict's word in its tone, and a line beside it.
    pub(crate) fn verdict_line(&mut self, verdict: Verdict, word: &str, line: &str) {
        let (on, off) = self.look.tone(verdict);
        self.raw(&format!("{on}{word}{off}  {line}"));
    }

    /// A paragraph whose first word is toned; continued lines are indented by two.
    pub(crate) fn labelled(&mut self, label: &str, tone: Verdict, paragraph: &str) {
        let (on, off) = self.look.tone(tone);
        let text = format!("{label} {}", self.look.text(paragraph));
        for (at, line) in wrap(&text, self.look.width.saturating_sub(2)).iter().enumerate() {
            match at {
                0 => self.raw(&format!("{on}{label}{off}{}", &line[label.len()..])),
                _ => self.raw(&format!("  {line}")),
            }
        }
    }
}
