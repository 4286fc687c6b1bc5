//! How the terminal looks: width, colour, alphabet.

use std::io::IsTerminal;

use schism_report::terminal::Look;

/// For text on stdout. Colour only on a terminal that wants it (NO_COLOR, TERM=dumb), wide as the terminal is.
pub fn look() -> Look {
    let terminal = std::io::stdout().is_terminal();
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    let utf8 = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_none_or(|locale| locale.to_uppercase().contains("UTF") || locale == "C.UTF-8");
    Look {
        width: width().unwrap_or(100).clamp(60, 140),
        colour: set("CLICOLOR_FORCE") || (terminal && !set("NO_COLOR") && !dumb),
        ascii: terminal && !utf8,
    }
}

fn width() -> Option<usize> {
    console::Term::stdout().size_checked().map(|(_, columns)| usize::from(columns))
}
