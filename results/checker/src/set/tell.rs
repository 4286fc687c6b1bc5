//! The plain sentences of the set's anomalies.

use schism_history::{Operation, Outcome};

use super::{Accounts, Element};

impl Accounts<'_> {
    /// How the element came to be known.
    fn tell_known(&self, element: &Element<'_>) -> String {
        let Some(known) = self.known(element) else { return String::new() };
        let operation = self.operation(known);
        if element.acknowledged == Some(known) {
            format!("{} of {} was acknowledged at {}.", operation.call, who(&operation), operation.completed)
        } else {
            format!("{} was read by {} at {}.", element.value, who(&operation), operation.completed)
        }
    }

    pub(super) fn tell_lost(&self, element: &Element<'_>, read: usize) -> Vec<String> {
        let operation = self.operation(read);
        let last = match element.last_seen {
            Some(at) => {
                let seen = self.operation(at);
                format!("It was last read by {}, until {}.", who(&seen), seen.completed)
            }
            None => "No read ever saw it.".into(),
        };
        let later = self.reads.len() - self.reads.partition_point(|other| *other <= read);
        let missing =
            format!("{} began a read at {} and did not find it", who(&operation), operation.invoked);
        vec![
            self.tell_known(element),
            last,
            match later {
                0 => format!("{missing}."),
                1 => format!("{missing}; nor did the one read after that."),
                _ => format!("{missing}; nor did any of the {later} reads after that."),
            },
        ]
    }

    pub(super) fn tell_stale(&self, element: &Element<'_>, read: usize) -> Vec<String> {
        let operation = self.operation(read);
        let mut sentences = vec![
            self.tell_known(element),
            format!(
                "{} began a read at {}, after that, and did not find it.",
                who(&operation),
                operation.invoked
            ),
        ];
        if let Some(at) = element.last_seen {
            let seen = self.operation(at);
            sentences.push(format!("{} did find it at {}.", who(&seen), seen.completed));
        }
        sentences
    }

    pub(super) fn tell_unexpected(&self, element: &Element<'_>, read: usize) -> String {
        let operation = self.operation(read);
        let what = format!("{} read {} at {}", who(&operation), element.value, operation.completed);
        match (element.add, element.failed) {
            (Some(add), _) => {
                format!("{what}, but nobody tried to add it before {}.", self.operation(add).invoked)
            }
            (None, Some(failed)) => {
                let failed = self.operation(failed);
                let why = match &failed.outcome {
                    Outcome::Fail(why) if !why.is_empty() => format!(" ({why})"),
                    _ => String::new(),
                };
                format!("{what}, but its only add, by {}, had failed{why}.", who(&failed))
            }
            (None, None) => format!("{what}, but nobody ever added it."),
        }
    }
}

/// The process and, where known, its node.
pub(super) fn who(operation: &Operation) -> String {
    match &operation.node {
        Some(node) => format!("{} on {node}", operation.process),
        None => operation.process.to_string(),
    }
}
