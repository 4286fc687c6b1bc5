//! How packets are chosen for a treatment: by an owned nftables table, or by a chain of iptables where that is not to be had.

use std::collections::{BTreeMap, BTreeSet};

use super::chain::Chain;
use super::cuts::{Cuts, Pair, Place};
use super::netlink::Netlink;
use super::programs::Iptables;
use super::treatment::Treatment;
use crate::backend::BackendError;

/// A set of ordered pairs whose packets meet a treatment.
pub(super) enum Chooser {
    Table(Cuts),
    Chain(Chain),
}

impl Chooser {
    /// By the program if there is one, else by a table over a socket of the namespace.
    pub(super) fn make(
        netlink: Netlink,
        iptables: Option<&Iptables>,
        place: Place,
        treatment: Treatment,
    ) -> Result<Self, BackendError> {
        match iptables {
            Some(iptables) => Chain::create(iptables.clone(), place, treatment).map(Chooser::Chain),
            None => Cuts::treating(netlink, place, treatment).map(Chooser::Table),
        }
    }

    pub(super) fn applied(&self) -> &BTreeSet<Pair> {
        match self {
            Chooser::Table(cuts) => cuts.applied(),
            Chooser::Chain(chain) => chain.applied(),
        }
    }

    pub(super) fn apply(&mut self, wanted: &BTreeSet<Pair>) -> Result<(), BackendError> {
        match self {
            Chooser::Table(cuts) => cuts.apply(wanted),
            Chooser::Chain(chain) => chain.apply(wanted),
        }
    }

    pub(super) fn dropped(&mut self) -> Result<BTreeMap<Pair, u64>, BackendError> {
        match self {
            Chooser::Table(cuts) => cuts.dropped(),
            Chooser::Chain(chain) => chain.dropped(),
        }
    }

    /// How it is done, for people.
    pub(super) fn how(&self) -> String {
        match self {
            Chooser::Table(cuts) if cuts.mechanism().owner => {
                "a table of nftables that our socket owns".into()
            }
            Chooser::Table(_) => "a table of nftables".into(),
            Chooser::Chain(chain) => chain.how(),
        }
    }

    /// What it cannot do as well as the best there is, a sentence each.
    pub(super) fn lacks(&self) -> Vec<String> {
        match self {
            Chooser::Table(cuts) => cuts.mechanism().lacks().map(str::to_owned).collect(),
            Chooser::Chain(chain) => {
                vec![format!(
                    "links are cut by {} in each node's own network, not by an owned table",
                    chain.how()
                )]
            }
        }
    }
}
