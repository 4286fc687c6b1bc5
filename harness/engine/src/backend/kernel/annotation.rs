//! What a capture says of a packet: what was done to it, and what for, in words that can be searched for.

use std::time::Duration;

use crate::link::Cut;
use crate::shaper::{Cause, Change, Fate, Released};

/// Every comment of ours begins with this.
pub(super) const OURS: &str = "schism: ";

/// What there is to say of a packet that comes out of the shaper; empty if nothing was done to it.
pub(super) fn said<T>(released: &Released<T>) -> String {
    let mut words = Vec::new();
    match released.fate {
        Fate::Lost => words.push(match released.lost_by {
            Some(cause) => format!("lost, by {}", lost_by(cause)),
            None => "lost".into(),
        }),
        Fate::Swallowed { answer: Some(_) } => words.push("swallowed, and acknowledged to its sender".into()),
        Fate::Swallowed { answer: None } => words.push("swallowed".into()),
        Fate::Copied { .. } => words.push("a copy, by duplicate".into()),
        Fate::Passed { .. } => {}
    }
    if let Fate::Passed { changed: Some(change), .. } | Fate::Copied { changed: Some(change) } = released.fate
    {
        words.push(match change {
            Change::Flip { bit, evading } => {
                let checksum = if evading { "its checksum right" } else { "its checksum wrong" };
                format!("bit {bit} of its payload changed, {checksum}, by corrupt")
            }
            Change::Shorten(left) => format!("cut short to {left} bytes, by partition (behind)"),
        });
    }
    if let Fate::Passed { numbers: Some(numbers), .. } = released.fate {
        let (sequence, acknowledges) = (numbers.sequence, numbers.acknowledges);
        words.push(format!("told seq {sequence} and ack {acknowledges}, by swallow"));
    }
    let for_what = [(released.delayed, "delay"), (released.waited, "rate"), (released.overtaken, "reorder")];
    let for_what: Vec<&str> = for_what.into_iter().filter(|(so, _)| *so).map(|(_, what)| what).collect();
    if !for_what.is_empty() {
        words.push(format!("{} late, by {}", milliseconds(released.held), for_what.join(" and ")));
    }
    if words.is_empty() { String::new() } else { format!("{OURS}{}", words.join("; ")) }
}

/// What there is to say of a packet that we have made.
pub(super) fn forged(what: &str) -> String {
    format!("{OURS}{what}")
}

fn lost_by(cause: Cause) -> &'static str {
    match cause {
        Cause::Cut(Cut::Drop) => "partition (drop)",
        Cause::Cut(Cut::Reset) => "partition (reset)",
        Cause::Cut(Cut::Refuse) => "partition (refuse)",
        Cause::Cut(Cut::Swallow) => "partition (swallow)",
        Cause::Port => "partition (port)",
        Cause::Byte => "partition (behind)",
        Cause::Flap => "partition (flapping)",
        Cause::Mtu => "mtu",
        Cause::Loss => "loss",
        Cause::Rate => "rate",
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{:.3} ms", time.as_secs_f64() * 1e3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Endpoint, Node};
    use crate::shaper::{Change, Numbers};

    fn out(fate: Fate) -> Released<()> {
        let pair = (Endpoint::Clients, Endpoint::Node(Node(0)));
        let held = Duration::from_micros(1500);
        Released {
            ticket: (),
            pair,
            fate,
            lost_by: None,
            held,
            delayed: false,
            waited: false,
            overtaken: false,
        }
    }

    #[test]
    fn what_was_done_is_said_and_nothing_else() {
        assert_eq!(said(&out(Fate::UNTOUCHED)), "");
        let lost = Released { lost_by: Some(Cause::Cut(Cut::Drop)), ..out(Fate::Lost) };
        assert_eq!(said(&lost), "schism: lost, by partition (drop)");
        let late = Released { delayed: true, overtaken: true, ..out(Fate::UNTOUCHED) };
        assert_eq!(said(&late), "schism: 1.500 ms late, by delay and reorder");
        let changed = Some(Change::Flip { bit: 9, evading: true });
        assert_eq!(
            said(&Released { waited: true, ..out(Fate::Copied { changed }) }),
            "schism: a copy, by duplicate; bit 9 of its payload changed, its checksum right, by corrupt; 1.500 ms late, by rate"
        );
        let numbers = Some(Numbers { sequence: 1, acknowledges: 2 });
        let told = out(Fate::Passed { changed: None, numbers });
        assert_eq!(said(&told), "schism: told seq 1 and ack 2, by swallow");
    }
}
