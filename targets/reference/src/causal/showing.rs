//! When a write of another node may be shown, and what counts then.

use super::Causal;
use super::message::Write;

impl Causal {
    /// Takes writes of other nodes, and shows what can be shown by now.
    pub(super) fn take(&mut self, writes: Vec<Write>) {
        let is_new = |write: &Write| write.number > self.shown.of(write.stamp.node);
        let new: Vec<Write> = writes.into_iter().filter(is_new).collect();
        self.pending.extend(new.into_iter().map(|write| (write.name(), write)));
        while let Some(name) = self.pending.values().find(|write| self.may_be_shown(write)).map(Write::name) {
            if let Some(write) = self.pending.remove(&name) {
                self.show(write);
            }
        }
        let shown = &self.shown;
        self.pending.retain(|(node, number), _| *number > shown.of(*node));
        self.serve();
    }

    fn may_be_shown(&self, write: &Write) -> bool {
        let is_next = self.bugs.gaps_skipped || write.number == self.shown.of(write.stamp.node) + 1;
        let has_all = self.bugs.dependencies_unchecked || self.shown.covers(&write.dependencies);
        is_next && has_all
    }

    /// Clients can read it from now on, or what counts instead of it.
    pub(super) fn show(&mut self, write: Write) {
        if !self.bugs.stamps_not_advanced {
            self.clock_time = self.clock_time.max(write.stamp.time);
        }
        self.turn.append(write.clone());
        self.place(write);
    }

    /// Puts a shown write where it belongs.
    pub(super) fn place(&mut self, write: Write) {
        self.shown.see(write.stamp.node, write.number);
        if self.keys.get(&write.key).is_none_or(|held| held.stamp < write.stamp) {
            self.keys.insert(write.key.clone(), write.clone());
        }
        self.log.insert(write.stamp, write);
    }
}
