//! How numbers, times and foreign text are put on a page: units people read, control characters made visible, lines
//! broken at words.
//!
//! A character counts as one column wide; East Asian wide characters in a store's error text may overhang.

/// Nanoseconds as a duration in the unit people would say: `850 ns`, `12.3 ms`, `4.20 s`, `3 min 20 s`.
pub(crate) fn duration(ns: u64) -> String {
    let (us, ms, s) = (1e3, 1e6, 1e9);
    let value = ns as f64;
    match ns {
        0..1_000 => format!("{ns} ns"),
        // The bounds lie where rounding would carry into the next unit.
        1_000..999_500 => format!("{} µs", three_digits(value / us)),
        999_500..999_500_000 => format!("{} ms", three_digits(value / ms)),
        999_500_000..99_950_000_000 => format!("{} s", three_digits(value / s)),
        _ => {
            let whole = (value / s).round() as u64;
            if whole < 120 { format!("{whole} s") } else { format!("{} min {} s", whole / 60, whole % 60) }
        }
    }
}

fn three_digits(value: f64) -> String {
    match value {
        v if v < 9.995 => format!("{v:.2}"),
        v if v < 99.95 => format!("{v:.1}"),
        v => format!("{v:.0}"),
    }
}

/// A moment of the run in seconds; microseconds are shown where milliseconds would make two different moments equal.
pub(crate) fn moment(ns: u64, fine: bool) -> String {
    let seconds = ns as f64 / 1e9;
    if fine { format!("{seconds:.6} s") } else { format!("{seconds:.3} s") }
}

/// Whether some of these moments need more than milliseconds to be told apart.
pub(crate) fn needs_fine(moments: impl IntoIterator<Item = u64>) -> bool {
    let mut sorted: Vec<u64> = moments.into_iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    sorted.windows(2).any(|pair| pair[1] - pair[0] < 1_000_000)
}

/// A count with its noun: `1 window`, `3 windows`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn and(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} and {last}", init.join(", ")),
    }
}

/// Text of others made harmless for one line: control characters and line ends become visible escapes, so that no
/// store's error message can move the cursor or hide a verdict.
pub(crate) fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let hidden = c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
            let (plain, escaped) = if hidden { (None, Some(c.escape_default())) } else { (Some(c), None) };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// At most so many characters; what is cut off is marked by `…`.
pub(crate) fn shorten(text: &str, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text.into();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// Breaks text at words into lines of at most `width` characters; a longer word is broken where it must be.
pub(crate) fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(8);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split_whitespace() {
        let mut rest: Vec<char> = word.chars().collect();
        if used > 0 && used + 1 + rest.len() > width {
            lines.push(String::new());
            used = 0;
        }
        if used > 0 {
            lines.last_mut().expect("never empty").push(' ');
            used += 1;
        }
        while !rest.is_empty() {
            if used == width {
                lines.push(String::new());
                used = 0;
            }
            let part: Vec<char> = rest.drain(..rest.len().min(width - used)).collect();
            used += part.len();
            lines.last_mut().expect("never empty").extend(part);
        }
    }
    lines
}

/// What names sort by, so that `n10` comes after `n9`.
pub(crate) fn natural(name: &str) -> (String, u64, String) {
    let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = name[stem.len()..].parse().unwrap_or(0);
    (stem.into(), number, name.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_the_unit_people_would_say() {
        let said: Vec<String> =
            [7, 999, 1_000, 12_345, 999_499, 999_500, 45_000_000, 999_499_999, 4_200_000_000]
                .into_iter()
                .chain([31_000_000_000, 99_949_999_999, 99_950_000_000, 119_600_000_000, 200_000_000_000])
                .map(duration)
                .collect();
        let expected = [
            "7 ns",
            "999 ns",
            "1.00 µs",
            "12.3 µs",
            "999 µs",
            "1.00 ms",
            "45.0 ms",
            "999 ms",
            "4.20 s",
            "31.0 s",
            "99.9 s",
            "100 s",
            "2 min 0 s",
            "3 min 20 s",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn foreign_text_cannot_move_the_cursor() {
        assert_eq!(printable("a\u{1b}[2Jb\nc\u{202e}d é→"), "a\\u{1b}[2Jb\\nc\\u{202e}d é→");
    }

    #[test]
    fn lines_are_broken_at_words_and_long_words_where_they_must() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("a 0123456789abcdef b", 8), ["a", "01234567", "89abcdef", "b"]);
        assert_eq!(wrap("", 9), [""]);
    }

    #[test]
    fn node_ten_comes_after_node_nine() {
        let mut names = ["n10", "n9", "m", "n1"];
        names.sort_by_key(|name| natural(name));
        assert_eq!(names, ["m", "n1", "n9", "n10"]);
    }
}
