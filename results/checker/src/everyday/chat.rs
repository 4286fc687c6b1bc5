//! Chat: nobody sees a reply without the message that it replies to.
//!
//! Conversation 17 is two registers, `m17` and `r17`: somebody writes the message, somebody who has read it writes the reply.
//! Finds a client that saw the reply and afterwards, looking for the message, found nothing. Cannot find one that never
//! looked.

use std::collections::BTreeMap;

use schism_history::{Call, History, Key, Process, Value};

use super::anomaly;
use crate::explain::wording::{when, who};
use crate::verdict::{Budget, Checker, Doubt, Judgement};

/// The judge of chats.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chat;

/// The message that a reply is a reply to.
fn message_of(key: &Key) -> Option<Key> {
    let Value::Text(text) = key else { return None };
    Some(Value::text(&format!("m{}", text.strip_prefix('r')?)))
}

impl Checker for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let rows = history.rows();
        // Which client saw the reply to which message, first.
        let mut saw: BTreeMap<(Process, Key), usize> = BTreeMap::new();
        let (mut anomalies, mut looked) = (Vec::new(), 0);
        for (at, operation) in rows.iter().enumerate() {
            let (Call::Read { key }, Some(seen)) = (&operation.call, operation.read()) else { continue };
            if let Some(message) = message_of(key).filter(|_| *seen != Value::Nil) {
                saw.entry((operation.process, message)).or_insert(at);
                continue;
            }
            let Some(reply) = saw.get(&(operation.process, key.clone())) else { continue };
            looked += 1;
            if *seen == Value::Nil {
                let sentence = format!(
                    "{} saw a reply ({}), and the message {key} that it replies to was not there ({})",
                    who(operation),
                    when(&rows[*reply]),
                    when(operation)
                );
                anomalies.push(anomaly("reply without its message", key, sentence, vec![*reply], at));
            }
        }
        let doubts = if looked == 0 {
            vec![Doubt {
                reason: "nobody who saw a reply looked for its message".into(),
                hint: Some("raise --time-limit or --rate".into()),
            }]
        } else {
            Vec::new()
        };
        Judgement::new(self.name(), "nobody sees a reply without its message", anomalies, doubts)
            .with_fact("messages looked for", looked)
    }
}
