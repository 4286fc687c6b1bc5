//! Collaborative texts: everyone types at the end of what they see, and reads; every client reads all texts at the end.
//!
//! Finds characters that were acknowledged and are gone or there twice, an author's words torn, and nodes that end with
//! different texts. Cannot find what only reads before the end saw.

use schism_checker::everyday::Texts;
use schism_engine::generator::{Context, Forever};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Value};

use crate::settle::{SETTLE, last_reads};
use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "text",
    about: "everyone types into a few texts: all end with the same, no character is lost, each author's are in order",
    calls: &[CallKind::Append, CallKind::Read],
    settings: &[Setting { name: "texts", about: "how many texts; 10 by default" }, SETTLE],
    make: |settings| make(settings),
};

/// Of a hundred calls so many are reads.
const READS: u64 = 20;

fn make(settings: &Settings) -> Workload {
    let texts = number(settings, "texts", 10);
    let mut typed = 0;
    let load = Forever(move |context: &mut Context<'_>| {
        let key = (context.random.below(texts) as i64).into();
        if context.random.below(100) < READS {
            return Call::Read { key };
        }
        typed += 1;
        // Who types it, so that a text can be read by people, and a number that makes it the only one of its kind.
        Call::Append { key, value: Value::text(&format!("{}/{typed}", context.thread)) }
    });
    let last = move |_| (0..texts).map(|text| Call::Read { key: (text as i64).into() }).collect();
    Workload {
        calls: ENTRY.calls,
        load: Box::new(load),
        finale: last_reads(settings, last),
        checkers: vec![Box::new(Texts)],
        unique_values: true,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schism_engine::generator::Limit;
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    #[test]
    fn every_character_is_typed_once_and_every_text_is_typed_into_and_read() {
        let made = Rehearsal::new(4).run(Limit::new(1_000, make(&Settings::new()).load));
        let typed: Vec<_> = made
            .iter()
            .filter_map(|made| if let Call::Append { value, .. } = &made.call { Some(value) } else { None })
            .collect();
        assert!((700..900).contains(&typed.len()), "{}", typed.len());
        assert_eq!(typed.iter().collect::<BTreeSet<_>>().len(), typed.len());
        let reads = made.iter().filter(|made| made.call.kind() == CallKind::Read);
        assert_eq!(reads.map(|made| made.call.key()).collect::<BTreeSet<_>>().len(), 10);
    }
}
