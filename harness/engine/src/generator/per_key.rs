//! Many keys, a group of clients on each: long enough for real concurrency on a key, and several keys at once.

use std::collections::HashMap;

use schism_history::{Call, Key, Outcome};

use super::{Context, Generator, Next};

/// Splits the threads into groups; each group works one key at a time and moves on to its next key after so many calls,
/// round and round. A key belongs to one group for ever.
pub struct PerKey {
    group_size: usize,
    visit: u64,
    keys: Vec<Box<dyn Generator>>,
    key_at: HashMap<Key, usize>,
    groups: Vec<Group>,
}

/// The keys of one group that are not done, the one at work first.
struct Group {
    ring: std::collections::VecDeque<usize>,
    left: u64,
}

impl PerKey {
    /// Groups of `group_size` threads; `visit` calls before a group moves on; the keys with their generators.
    ///
    /// # Panics
    /// If there is no key, or a size is zero.
    pub fn new(group_size: usize, visit: u64, keys: Vec<(Key, Box<dyn Generator>)>) -> Self {
        assert!(group_size > 0 && visit > 0 && !keys.is_empty(), "groups, visits and keys must not be empty");
        let key_at = keys.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect();
        let keys = keys.into_iter().map(|(_, generator)| generator).collect();
        PerKey { group_size, visit, keys, key_at, groups: Vec::new() }
    }

    /// Deals the keys out to the groups, once the number of threads is known. With fewer keys than groups, groups share.
    fn deal(&mut self, threads: usize) {
        let groups = threads.div_ceil(self.group_size);
        let rounds = self.keys.len().max(groups);
        self.groups = (0..groups)
            .map(|group| Group {
                ring: (group..rounds).step_by(groups).map(|at| at % self.keys.len()).collect(),
                left: self.visit,
            })
            .collect();
    }

    fn own<'a>(&self, context: &'a mut Context<'_>) -> Context<'a> {
        let first = context.thread / self.group_size * self.group_size;
        Context {
            now: context.now,
            thread: context.thread - first,
            threads: self.group_size.min(context.threads - first),
            random: context.random,
        }
    }
}

impl Generator for PerKey {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        if self.groups.is_empty() {
            self.deal(context.threads);
        }
        let group = context.thread / self.group_size;
        while let Some(key) = self.groups[group].ring.front().copied() {
            let mut own = self.own(context);
            let next = self.keys[key].next(&mut own);
            let group = &mut self.groups[group];
            match next {
                Next::Wait | Next::Later(_) => return next,
                Next::Done => {
                    group.ring.pop_front();
                    group.left = self.visit;
                }
                Next::Call(..) => {
                    group.left -= 1;
                    if group.left == 0 {
                        group.ring.rotate_left(1);
                        group.left = self.visit;
                    }
                    return next;
                }
            }
        }
        Next::Done
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let Some(key) = self.key_at.get(call.key()).copied() {
            let mut own = self.own(context);
            self.keys[key].update(&mut own, call, outcome);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use super::super::Limit;
    use super::super::rehearsal::{Rehearsal, reads_of};
    use super::*;

    fn keys(count: i64) -> Vec<(Key, Box<dyn Generator>)> {
        (0..count).map(|key| (Key::Int(key), Box::new(reads_of(key)) as Box<dyn Generator>)).collect()
    }

    #[test]
    fn a_key_is_worked_by_one_group_and_every_key_is_worked() {
        let made = Rehearsal::new(6).run(Limit::new(600, PerKey::new(3, 10, keys(4))));
        let mut groups: BTreeMap<Key, BTreeSet<usize>> = BTreeMap::new();
        for call in &made {
            groups.entry(call.call.key().clone()).or_default().insert(call.thread / 3);
        }
        assert_eq!(groups.len(), 4);
        assert!(groups.values().all(|groups| groups.len() == 1), "{groups:?}");
    }

    #[test]
    fn fewer_keys_than_groups_are_shared() {
        let made = Rehearsal::new(6).run(Limit::new(60, PerKey::new(2, 5, keys(1))));
        let threads: BTreeSet<usize> = made.iter().map(|call| call.thread).collect();
        assert_eq!(threads.len(), 6);
    }

    #[test]
    fn done_when_all_keys_are() {
        let keys =
            (0..3).map(|key| (Key::Int(key), Box::new(Limit::new(7, reads_of(key))) as Box<dyn Generator>));
        let made = Rehearsal::new(4).run(PerKey::new(2, 3, keys.collect()));
        assert_eq!(made.len(), 21);
    }
}
