//! A bank: money moves between accounts, none is made or lost, and no account is overdrawn.
//!
//! An account is a register that holds its balance, `BALANCE/TICKET`, and at first nothing: the opening balance. A transfer is
//! two compare-and-sets, money taken here and put there, so the total is right once all money that was taken is put
//! somewhere; each of the two is judged by itself. It finds **overdrawn**: a balance below nothing that somebody read; and
//! **money lost** and **money made**: a balance in the end that is not the opening one with all that was put there and taken
//! away. What is of unknown fate may have happened or not. It cannot find two errors that cancel one another out.

use std::collections::BTreeMap;

use schism_history::{Call, History, Key, Outcome, Value};

use super::{anomaly, final_reads, number, unread};
use crate::explain::wording::{did, when, who};
use crate::verdict::{Anomaly, Budget, Checker, Judgement};

/// The judge of a bank.
#[derive(Clone, Copy, Debug)]
pub struct Bank {
    /// What is in each account at first.
    pub opening: i64,
}

/// What became of an account.
#[derive(Default)]
struct Moved {
    /// All that was acknowledged, together.
    sure: i64,
    /// How much more may have been taken, and put there.
    perhaps: (i64, i64),
    /// The last acknowledged move.
    last: Option<usize>,
    overdrawn: Option<usize>,
}

impl Checker for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }

    fn check(&self, history: &History, _: Budget<'_>) -> Judgement {
        let reads = final_reads(history);
        let accounts = self.accounts(history);
        let moves = history
            .rows()
            .iter()
            .filter(|operation| matches!(operation.call, Call::Cas { .. }) && operation.outcome.is_ok());
        let moves = moves.count();
        let anomalies = accounts.iter().filter_map(|(account, moved)| {
            let overdrawn = moved.overdrawn.map(|read| overdrawn(history, account, read));
            overdrawn.or_else(|| self.out_of_balance(history, account, moved, reads.get(account)?))
        });
        let about = "no money is made or lost, and no account is overdrawn";
        Judgement::new(self.name(), about, anomalies.collect(), unread(&reads)).with_fact("moves", moves)
    }
}

impl Bank {
    fn balance(&self, value: &Value) -> Option<i64> {
        if *value == Value::Nil { Some(self.opening) } else { number(value) }
    }

    fn accounts<'h>(&self, history: &'h History) -> BTreeMap<&'h Key, Moved> {
        let mut accounts: BTreeMap<&Key, Moved> = BTreeMap::new();
        for (at, operation) in history.rows().iter().enumerate() {
            let moved = accounts.entry(operation.call.key()).or_default();
            if operation.read().and_then(|value| self.balance(value)).is_some_and(|balance| balance < 0) {
                moved.overdrawn.get_or_insert(at);
            }
            let Call::Cas { from, to, .. } = &operation.call else { continue };
            let (Some(from), Some(to)) = (self.balance(from), self.balance(to)) else { continue };
            match operation.outcome {
                Outcome::Ok(_) => {
                    moved.sure += to - from;
                    moved.last = Some(at);
                }
                Outcome::Info(_) => {
                    moved.perhaps.0 += (to - from).min(0);
                    moved.perhaps.1 += (to - from).max(0);
                }
                Outcome::Fail(_) => {}
            }
        }
        accounts
    }

    fn out_of_balance(
        &self,
        history: &History,
        account: &Key,
        moved: &Moved,
        reads: &[usize],
    ) -> Option<Anomaly> {
        let sum = self.opening + moved.sure;
        let (least, most) = (sum + moved.perhaps.0, sum + moved.perhaps.1);
        let rows = history.rows();
        let (read, balance) = reads.iter().find_map(|read| {
            let balance = self.balance(rows[*read].read()?)?;
            (!(least..=most).contains(&balance)).then_some((*read, balance))
        })?;
        let should = if least == most { format!("{sum}") } else { format!("{least} to {most}") };
        let sentence = format!(
            "account {account} was opened with {}; with all that was put there and taken away it holds {should}, but in the \
             end {} {}",
            self.opening,
            who(&rows[read]),
            did(&rows[read])
        );
        let name = if balance < least { "money lost" } else { "money made" };
        Some(anomaly(name, account, sentence, moved.last.into_iter().collect(), read))
    }
}

fn overdrawn(history: &History, account: &Key, read: usize) -> Anomaly {
    let row = &history.rows()[read];
    let sentence = format!("account {account} is overdrawn: {} {} ({})", who(row), did(row), when(row));
    anomaly("overdrawn", account, sentence, Vec::new(), read)
}
