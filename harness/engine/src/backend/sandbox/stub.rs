//! The sandbox where there is none: on anything but Linux it says so, and what to do instead.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use super::{Capability, Options, Timings};
use crate::backend::{Backend, BackendError, ClientNetwork};
use crate::cluster::{Death, Desired, Node, NodeSpec, Observation, Program};

const PROBLEM: &str = "sandboxes need Linux";
const REMEDY: &str =
    "run schism in a Linux virtual machine, or in a Linux container started with --privileged";

/// There is none here.
pub enum Fabric {}

impl Fabric {
    /// Whether a user namespace was needed.
    pub fn rootless(&self) -> bool {
        match *self {}
    }
}

/// There is none here.
pub enum Sandbox {}

/// Says that sandboxes need Linux.
///
/// # Errors
/// Always.
pub fn enter() -> Result<Fabric, BackendError> {
    Err(BackendError::Unsupported { problem: PROBLEM.into(), remedy: REMEDY.into() })
}

/// Says that sandboxes need Linux.
pub fn agent_main() -> ExitCode {
    eprintln!("error: {PROBLEM}");
    ExitCode::from(64)
}

/// What this machine can do for sandboxes: nothing.
pub fn probe() -> Vec<Capability> {
    vec![Capability {
        name: "sandbox",
        works: false,
        needed: true,
        how: PROBLEM.into(),
        remedy: Some(REMEDY.into()),
    }]
}

impl Sandbox {
    /// Cannot be called, as there is no fabric.
    ///
    /// # Errors
    /// None.
    pub fn create(fabric: &Fabric, _: &Options) -> Result<Self, BackendError> {
        match *fabric {}
    }

    /// How long it took to make.
    pub fn timings(&self) -> Timings {
        match *self {}
    }

    /// What works less well than it could.
    pub fn notes(&self) -> &[String] {
        match *self {}
    }

    /// By what its links are cut and shaped.
    pub fn mechanisms(&self) -> &[String] {
        match *self {}
    }
}

impl Backend for Sandbox {
    fn name(&self) -> &'static str {
        match *self {}
    }

    fn nodes(&self) -> &[NodeSpec] {
        match *self {}
    }

    fn client_network(&self) -> Arc<dyn ClientNetwork> {
        match *self {}
    }

    fn start(&mut self, _: Node, _: Program) -> Result<(), BackendError> {
        match *self {}
    }

    fn apply(&mut self, _: &Desired) -> Result<(), BackendError> {
        match *self {}
    }

    fn observe(&mut self) -> Result<Observation, BackendError> {
        match *self {}
    }

    fn deaths(&mut self) -> Vec<Death> {
        match *self {}
    }

    fn command(&mut self, _: Node, _: &[String], _: Duration) -> Result<Result<(), String>, BackendError> {
        match *self {}
    }

    fn log(&self, _: Node) -> PathBuf {
        match *self {}
    }

    fn stop(&mut self) -> Result<(), BackendError> {
        match *self {}
    }
}
