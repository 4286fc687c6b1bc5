//! Configurations at one event, without those that another one stands for.

use rustc_hash::FxHashMap;

use super::super::allowance::{Holding, Spent};
use super::super::pending::PendingSet;
use super::super::states::StateId;
use super::super::used::{UsedId, UsedSets};

/// What may be the case at one event.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Config<P> {
    pub(super) state: StateId,
    /// The optional operations used.
    pub(super) used: UsedId,
    /// The pending required operations that are in line.
    pub(super) done: P,
    /// The pending writes that are not in line and were called after the last write went in line.
    pub(super) open: P,
}

/// Which kinds of operations are pending. Whatever is neither must be equal in two configurations for one to stand for
/// the other.
#[derive(Clone)]
pub(super) struct Kinds<P> {
    /// Operations that change nothing.
    pub(super) observers: P,
    /// Operations that change the state without looking at it, where all effects are known.
    pub(super) writes: P,
}

const END: u32 = u32::MAX;

struct Node<P> {
    config: Config<P>,
    next: u32,
    live: bool,
}

/// A set of configurations in which none stands for another.
pub(super) struct Pool<P> {
    /// By state and strict operations in line: a list through the nodes.
    heads: FxHashMap<(StateId, P), u32>,
    nodes: Vec<Node<P>>,
    live: usize,
}

impl<P: PendingSet> Pool<P> {
    pub(super) fn new() -> Self {
        Pool { heads: FxHashMap::default(), nodes: Vec::new(), live: 0 }
    }

    /// How many it holds.
    pub(super) fn len(&self) -> usize {
        self.live
    }

    /// How many it ever took in since it was empty: those are numbered from zero on.
    pub(super) fn taken(&self) -> usize {
        self.nodes.len()
    }

    /// The configuration with this number, unless another one stands for it by now.
    pub(super) fn get(&self, number: usize) -> Option<&Config<P>> {
        self.nodes.get(number).filter(|node| node.live).map(|node| &node.config)
    }

    /// Takes a configuration in, unless one it holds stands for it; drops those that the new one stands for.
    ///
    /// One stands for another if they agree on the state and on which strict operations are in line, and it has every
    /// observer in line that the other has, uses no optional operation that the other does not, has no write in line
    /// that the other has not, and each write that is pending in both is covered if it is in the other.
    pub(super) fn add(
        &mut self,
        config: Config<P>,
        kinds: &Kinds<P>,
        used: &UsedSets,
        holding: &mut Holding<'_, '_>,
    ) -> Result<bool, Spent> {
        self.make_room(holding)?;
        let strict = config.done.without(&kinds.observers).without(&kinds.writes);
        let stands_for = |one: &Config<P>, other: &Config<P>| {
            one.open.within(&other.open)
                && one.done.both(&kinds.writes).within(&other.done)
                && other.done.both(&kinds.observers).within(&one.done)
                && used.within(one.used, other.used)
        };
        let number = self.nodes.len() as u32;
        let head = self.heads.entry((config.state, strict)).or_insert(END);
        let (mut at, mut before) = (*head, END);
        while at != END {
            let node = &self.nodes[at as usize];
            let next = node.next;
            if stands_for(&node.config, &config) {
                return Ok(false);
            }
            if stands_for(&config, &node.config) {
                self.nodes[at as usize].live = false;
                self.live -= 1;
                match before {
                    END => *head = next,
                    _ => self.nodes[before as usize].next = next,
                }
            } else {
                before = at;
            }
            at = next;
        }
        let next = std::mem::replace(head, number);
        holding.grow(2 * config.done.heap() + config.open.heap())?;
        self.nodes.push(Node { config, next, live: true });
        self.live += 1;
        Ok(true)
    }

    /// Empties it into a list.
    pub(super) fn drain_into(&mut self, list: &mut Vec<Config<P>>, holding: &mut Holding<'_, '_>) {
        list.extend(self.nodes.iter().filter(|node| node.live).map(|node| node.config.clone()));
        self.clear(holding);
    }

    /// Empties it. Tables much larger than what was in them are given back: to empty them takes as long as they are large.
    pub(super) fn clear(&mut self, holding: &mut Holding<'_, '_>) {
        let heap: usize =
            self.nodes.iter().map(|node| 2 * node.config.done.heap() + node.config.open.heap()).sum();
        holding.shrink(heap);
        if self.heads.capacity() > 1024 && self.heads.len() < self.heads.capacity() / 32 {
            holding.shrink(self.table());
            self.heads = FxHashMap::default();
        }
        self.nodes.clear();
        self.heads.clear();
        self.live = 0;
    }

    /// Bytes of the hash table, which is at most 7/8 full.
    fn table(&self) -> usize {
        self.heads.capacity() / 7 * 8 * (size_of::<((StateId, P), u32)>() + 1)
    }

    /// Grows the tables, if there is memory for the old and the new ones side by side.
    fn make_room(&mut self, holding: &mut Holding<'_, '_>) -> Result<(), Spent> {
        if self.nodes.len() == self.nodes.capacity() {
            let old = self.nodes.capacity() * size_of::<Node<P>>();
            let new = (self.nodes.capacity() * 2).max(64);
            holding.grow(new * size_of::<Node<P>>())?;
            self.nodes.reserve_exact(new - self.nodes.len());
            holding.shrink(old);
        }
        if self.heads.len() == self.heads.capacity() {
            let old = self.table();
            holding.grow((2 * old).max(64 * (size_of::<((StateId, P), u32)>() + 1)))?;
            self.heads.reserve(self.heads.capacity().max(28));
            holding.shrink(old);
        }
        Ok(())
    }
}
