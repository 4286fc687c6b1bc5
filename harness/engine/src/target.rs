//! The seam to a system under test: how its nodes are started, how one tells that they are ready, and who speaks to them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use schism_history::CallKind;

use crate::client::Client;
use crate::cluster::{NodeSpec, Program};
use crate::membership::Membership;
use crate::plan::Values;

/// A system under test.
pub trait Target: Send + Sync {
    /// Its name in plans.
    fn name(&self) -> &'static str;

    /// What it is, in a line.
    fn about(&self) -> &'static str;

    /// The calls it understands.
    fn speaks(&self) -> &'static [CallKind];

    /// Bugs that can be planted in it.
    fn bugs(&self) -> Vec<PlantedBug> {
        Vec::new()
    }

    /// Settings that a plan may give it.
    fn settings(&self) -> &[Setting] {
        &[]
    }

    /// What one of its settings may be set to.
    fn values(&self, _setting: &str) -> Values {
        Values::Any
    }

    /// The rule that settings break together, or in a cluster of so many nodes, though each is allowed by itself. Asked
    /// before anything is started.
    fn contradiction(&self, _nodes: usize, _choices: &Choices) -> Option<String> {
        None
    }

    /// The program that its nodes run, if it is not our own. Asked before anything is started.
    ///
    /// # Errors
    /// What this machine lacks, and what would add it.
    fn executable(&self, _choices: &Choices) -> Result<Option<PathBuf>, Missing> {
        Ok(None)
    }

    /// How its nodes are started as containers, with the same arguments as the program; `None` if they cannot be.
    fn image(&self) -> Option<Image> {
        None
    }

    /// The arguments with which its program says its version, in its first line, and ends at once. The same of a program
    /// on this machine and of one in an image.
    fn version_arguments(&self) -> Option<&'static [&'static str]> {
        None
    }

    /// How a node is started as a program.
    fn program(&self, node: &NodeSpec, nodes: &[NodeSpec], choices: &Choices) -> Program;

    /// How its members are changed while it runs, if they can be.
    fn membership(&self) -> Option<&dyn Membership> {
        None
    }

    /// A new client of a node. Opens nothing yet.
    fn client(&self, node: &NodeSpec, choices: &Choices) -> Box<dyn Client>;

    /// Asks a node how it is, over the clients' network.
    ///
    /// # Errors
    /// When it does not answer in time or not sensibly: why.
    fn health(&self, node: &NodeSpec, timeout: Duration) -> Result<Health, String>;
}

/// How a node says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Health {
    /// It would take calls now.
    pub ready: bool,
    /// It takes itself for the leader, in this term or epoch. The highest term is the one to believe.
    pub leads: Option<u64>,
}

/// How a target's nodes are started as containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// The ports of a node that clients speak to.
    pub client_ports: &'static [u16],
    /// The store's image; `None` if nodes run our own program.
    pub store: Option<StoreImage>,
}

/// The image of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreImage {
    /// The image that its makers publish.
    pub official: &'static str,
    /// A Dockerfile that builds the same store from Debian's packages, on the image named by its argument `BASE`.
    pub dockerfile: &'static str,
    /// The program in either image: a path, or a name on the image's `PATH`.
    pub program: &'static str,
}

/// What a plan chooses about a target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choices {
    /// The plan's seed, for a target that wants one.
    pub seed: u64,
    /// Bugs to plant, by name.
    pub bugs: Vec<String>,
    /// Settings by name.
    pub settings: BTreeMap<String, String>,
}

/// Why a target cannot run on this machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// What is missing.
    pub what: String,
    /// What would add it.
    pub remedy: String,
}

/// A setting of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Its name in plans.
    pub name: &'static str,
    /// What it does, in a line, with its default.
    pub about: &'static str,
}

/// A bug that can be planted in a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlantedBug {
    /// Its name in plans.
    pub name: &'static str,
    /// What it does wrong, in a sentence.
    pub about: &'static str,
}
