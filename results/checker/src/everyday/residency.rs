//! Residency: what belongs to a region is at no node of another one, at any time.
//!
//! A key says where it belongs: `r2-17` to the second region. Nodes are dealt to the regions in turn: `n1` to the first, `n2`
//! to the second, and so on. A read of `r2-17@here` asks a node what it holds itself, without asking anybody else. It finds
//! **out of its region**: a node of another region that holds anything of a key. It cannot find what a node held and no
//! longer had when it was asked. Linear.

use schism_history::{Call, History, Key, Operation, Value};

use super::anomaly;
use crate::explain::wording::{did, when, who};
use crate::verdict::{Budget, Checker, Doubt, Judgement};

/// What a key ends with that asks what a node holds itself.
pub const HERE: &str = "@here";

/// The judge of residency.
#[derive(Clone, Copy, Debug)]
pub struct Residency {
    /// How many regions there are.
    pub regions: usize,
}

impl Checker for Residency {
    fn name(&self) -> &'static str {
        "residency"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let (mut anomalies, mut asked) = (Vec::new(), 0_usize);
        for (at, operation) in history.rows().iter().enumerate() {
            let Some((key, region)) = self.belongs(operation.call.key()) else { continue };
            let (Call::Read { .. }, Some(seen)) = (&operation.call, operation.read()) else { continue };
            let Some(of_node) = self.region_of(operation).filter(|of_node| *of_node != region) else {
                continue;
            };
            asked += 1;
            let is_held = *seen != Value::Nil;
            if is_held && anomalies.iter().all(|told: &crate::Anomaly| told.key.as_ref() != Some(&key)) {
                let sentence = format!(
                    "{key} belongs to region {}, and {} of region {} {} ({})",
                    region + 1,
                    who(operation),
                    of_node + 1,
                    did(operation),
                    when(operation)
                );
                anomalies.push(anomaly("out of its region", &key, sentence, Vec::new(), at));
            }
        }
        let doubts = (asked == 0).then(|| Doubt {
            reason: "no node of another region was asked what it holds".into(),
            hint: None,
        });
        let about = "what belongs to a region is at no node of another one";
        Judgement::new(self.name(), about, anomalies, doubts.into_iter().collect())
            .with_fact("looked for where it must not be", asked)
    }
}

impl Residency {
    /// The key that is asked for at one node, and the region that it belongs to, counted from 0.
    fn belongs(&self, asked: &Key) -> Option<(Key, usize)> {
        let Value::Text(text) = asked else { return None };
        let key = text.strip_suffix(HERE)?;
        let region: usize = key.strip_prefix('r')?.split_once('-')?.0.parse().ok()?;
        Some((Value::text(key), region.checked_sub(1)?))
    }

    /// The region of the node that was asked.
    fn region_of(&self, operation: &Operation) -> Option<usize> {
        let number: usize = operation.node.as_deref()?.strip_prefix('n')?.parse().ok()?;
        Some(number.checked_sub(1)? % self.regions.max(1))
    }
}
