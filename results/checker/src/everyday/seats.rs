//! Seat booking: a seat is sold to one customer, and whoever was told that it is theirs keeps it.
//!
//! A seat is a register, empty at first; booking it is a compare-and-set from empty to the customer. Finds a seat that was
//! sold twice and a booking that is gone in the end. Cannot find a customer who was wrongly told that a seat is taken.

use schism_history::{Call, History, Value};

use super::{acknowledged, anomaly, final_reads, unread};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Budget, Checker, Judgement};

/// The judge of seat bookings.
#[derive(Clone, Copy, Debug, Default)]
pub struct Seats;

impl Checker for Seats {
    fn name(&self) -> &'static str {
        "seats"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        let reads = final_reads(history);
        let mut anomalies = Vec::new();
        let booked =
            acknowledged(history, |operation| matches!(&operation.call, Call::Cas { from: Value::Nil, .. }));
        for (seat, bookings) in &booked {
            if let [first, second, ..] = bookings[..] {
                let (one, two) = (&rows[first], &rows[second]);
                let sentence = format!(
                    "seat {seat} was sold twice: {} {} ({}), and {} {} ({})",
                    who(one),
                    did(one),
                    when(one),
                    who(two),
                    did(two),
                    when(two)
                );
                anomalies.push(anomaly("seat sold twice", seat, sentence, vec![first], second));
                continue;
            }
            let Call::Cas { to: customer, .. } = &rows[bookings[0]].call else { continue };
            let gone = reads.get(seat).and_then(|reads| {
                reads.iter().find(|read| rows[**read].read().is_some_and(|seen| seen != customer))
            });
            if let Some(read) = gone {
                let (booking, read_row) = (&rows[bookings[0]], &rows[*read]);
                let sentence = format!(
                    "seat {seat}: {} {} ({}), and in the end {} {}: the booking is gone",
                    who(booking),
                    did(booking),
                    when(booking),
                    who(read_row),
                    did(read_row)
                );
                anomalies.push(anomaly("booking lost", seat, sentence, vec![bookings[0]], *read));
            }
        }
        Judgement::new(self.name(), "a seat is sold once, and stays sold", anomalies, unread(&reads))
            .with_fact("seats booked", booked.len())
    }
}
