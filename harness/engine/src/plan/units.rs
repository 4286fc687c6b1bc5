//! Durations and sizes as people write them, `20s` and `2GiB`: read exactly, written exactly.
//!
//! Nothing is rounded: what cannot be kept to the nanosecond or the byte is refused. A number without a unit is refused
//! too, since nobody remembers whose default unit it is.

use std::time::Duration;

use super::mistake::Complaint;
use crate::link::Share;

const DURATION_UNITS: [(&str, u64); 6] = [
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

const SIZE_UNITS: [(&str, u64); 8] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

const SHARE_UNITS: [(&str, u64); 1] = [("%", 10_000)];

const RATE_UNITS: [(&str, u64); 4] =
    [("gbit", 1_000_000_000), ("mbit", 1_000_000), ("kbit", 1_000), ("bit", 1)];

/// Reads `20s`, `1500ms`, `1.5s`, `2m`, `1h`.
///
/// # Errors
/// If it is not a number with a unit, or cannot be kept exactly.
pub fn duration(text: &str) -> Result<Duration, Complaint> {
    match amount(text, &DURATION_UNITS) {
        Ok(nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
        Err(Amount::NoUnit) => {
            Err(Complaint::new(format!("`{text}` has no unit")).hint(format!("did you mean `{text}s`?")))
        }
        Err(Amount::Inexact) => Err(Complaint::new(format!("`{text}` is too long or too fine for a clock"))
            .hint("durations go from nanoseconds to centuries, in whole nanoseconds")),
        Err(Amount::Nonsense) => Err(Complaint::new(format!("`{text}` is not a duration"))
            .hint("write a number and a unit, as in `20s`, `1500ms` or `2m`")),
    }
}

/// Reads `2GiB`, `512MiB`, `1.5GB`, in bytes.
///
/// # Errors
/// If it is not a number with a unit, or cannot be kept exactly.
pub fn size(text: &str) -> Result<u64, Complaint> {
    amount(text, &SIZE_UNITS).map_err(|why| match why {
        Amount::NoUnit => {
            Complaint::new(format!("`{text}` has no unit")).hint(format!("did you mean `{text}MiB`?"))
        }
        Amount::Inexact => Complaint::new(format!("`{text}` is not a whole number of bytes, or too many")),
        Amount::Nonsense => Complaint::new(format!("`{text}` is not a size"))
            .hint("write a number and a unit, as in `512MiB` or `2GiB`"),
    })
}

/// Reads `10%`, `0.05%`: a part of all, to the millionth, from none to all.
///
/// # Errors
/// If it is not a number with a percent sign, not between 0 and 100, or cannot be kept exactly.
pub fn share(text: &str) -> Result<Share, Complaint> {
    let wrong = || {
        Complaint::new(format!("`{text}` is not a part of all"))
            .hint("write a number from 0 to 100 and a percent sign, as in `10%` or `0.5%`")
    };
    let millionths = amount(text, &SHARE_UNITS).ok().filter(|number| *number <= 1_000_000);
    millionths.map(|number| Share::millionths(number as u32)).ok_or_else(wrong)
}

/// Reads `10mbit`, `64kbit`, in bits a second: at least one.
///
/// # Errors
/// If it is not a number with a unit, or cannot be kept exactly.
pub fn rate(text: &str) -> Result<u64, Complaint> {
    amount(text, &RATE_UNITS).ok().filter(|rate| *rate > 0).ok_or_else(|| {
        Complaint::new(format!("`{text}` is not a rate"))
            .hint("write bits a second with their unit, as in `10mbit` or `64kbit`")
    })
}

/// A duration as [`duration`] reads it, in the largest unit that keeps it whole: `1500ms`, `2m`.
pub fn duration_text(duration: Duration) -> String {
    // Centuries do not occur; should they, the longest duration that can be read back is written.
    let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    if nanoseconds == 0 { "0s".into() } else { text(nanoseconds, &DURATION_UNITS) }
}

/// A number of bytes as [`size`] reads it, in the largest unit that keeps it whole: `2GiB`.
pub fn size_text(bytes: u64) -> String {
    if bytes == 0 { "0B".into() } else { text(bytes, &SIZE_UNITS) }
}

/// Why a text is not an amount.
enum Amount {
    NoUnit,
    Inexact,
    Nonsense,
}

fn amount(text: &str, units: &[(&str, u64)]) -> Result<u64, Amount> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = (&text[..end], text[end..].trim_start());
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    if whole.is_empty() || fraction.is_empty() || fraction.contains('.') {
        return Err(Amount::Nonsense);
    }
    if unit.is_empty() {
        return Err(Amount::NoUnit);
    }
    let &(_, factor) = units.iter().find(|(name, _)| *name == unit).ok_or(Amount::Nonsense)?;
    exactly(whole, fraction.trim_end_matches('0'), factor).ok_or(Amount::Inexact)
}

/// `whole.fraction` times the factor, if that is a whole number that fits.
fn exactly(whole: &str, fraction: &str, factor: u64) -> Option<u64> {
    let whole: u64 = whole.parse().ok()?;
    let scale = 10u128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
    let parts = if fraction.is_empty() { 0 } else { fraction.parse::<u128>().ok()? };
    let scaled = parts.checked_mul(u128::from(factor))?;
    let rest = u64::try_from(scaled.is_multiple_of(scale).then(|| scaled / scale)?).ok()?;
    whole.checked_mul(factor)?.checked_add(rest)
}

fn text(amount: u64, units: &[(&str, u64)]) -> String {
    let whole = units.iter().find(|(_, factor)| amount.is_multiple_of(*factor));
    // The last unit is one, which divides everything.
    let &(unit, factor) = whole.unwrap_or(&units[units.len() - 1]);
    format!("{}{unit}", amount / factor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn durations_are_read_exactly() {
        let read = |text| duration(text).ok().map(|duration| duration.as_nanos());
        assert_eq!(read("20s"), Some(20_000_000_000));
        assert_eq!(read("1500ms"), Some(1_500_000_000));
        assert_eq!(read(" 1.5 s "), Some(1_500_000_000));
        assert_eq!(read("2m"), Some(120_000_000_000));
        assert_eq!(read("0.000000001s"), Some(1));
        for wrong in ["", "s", "20", "-1s", "1.s", ".5s", "1.2.3s", "20sec", "20S", "1e3s", "١s", "0.1ns"] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
        assert_eq!(read("99999999h"), None);
        assert_eq!(read("99999999999999999999999999999999999999999s"), None);
    }

    #[test]
    fn sizes_are_read_exactly() {
        let read = |text| size(text).ok();
        assert_eq!(read("2GiB"), Some(2 << 30));
        assert_eq!(read("1.5 KiB"), Some(1536));
        assert_eq!(read("3GB"), Some(3_000_000_000));
        assert_eq!((read("2G"), read("2gib"), read("0.3B"), read("99999999TiB")), (None, None, None, None));
    }

    #[test]
    fn parts_and_rates_are_read_exactly() {
        assert_eq!(share("10%"), Ok(Share::percent(10)));
        assert_eq!(share("0.05 %"), Ok(Share::millionths(500)));
        assert_eq!((share("0%"), share("100%")), (Ok(Share::percent(0)), Ok(Share::ALL)));
        assert_eq!((rate("10mbit"), rate("1.5kbit")), (Ok(10_000_000), Ok(1_500)));
        assert!(["10", "101%", "-1%", "0.00001%", "x%"].iter().all(|text| share(text).is_err()));
        assert!(["10", "0mbit", "10MB", "mbit"].iter().all(|text| rate(text).is_err()));
    }

    #[test]
    fn what_is_wrong_is_said_with_an_example() {
        let wrong = |text| duration(text).unwrap_err().to_string();
        assert_eq!(wrong("20"), "`20` has no unit; did you mean `20s`?");
        assert_eq!(
            wrong("soon"),
            "`soon` is not a duration; write a number and a unit, as in `20s`, `1500ms` or `2m`"
        );
        assert_eq!(size("7").unwrap_err().to_string(), "`7` has no unit; did you mean `7MiB`?");
    }

    #[test]
    fn what_is_written_is_read_back() {
        assert_eq!(duration_text(Duration::from_millis(1_500)), "1500ms");
        assert_eq!(duration_text(Duration::from_secs(120)), "2m");
        assert_eq!((duration_text(Duration::ZERO), size_text(0)), ("0s".into(), "0B".into()));
        assert_eq!(size_text(2 << 30), "2GiB");
        let mut random = Random::of(1, "units");
        for _ in 0..10_000 {
            let bound = 1 << random.below(63);
            let amount = random.below(bound);
            let time = Duration::from_nanos(amount);
            assert_eq!(duration(&duration_text(time)), Ok(time));
            assert_eq!(size(&size_text(amount)), Ok(amount));
        }
    }
}
