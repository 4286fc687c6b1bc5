//! What is tested: one file a target, and how to speak to it. To add one, copy `raft.rs` and write it into [`all`].

mod etcd;
mod executable;
mod http;
mod raft;

use schism_engine::target::Target;

/// Every target there is.
pub fn all() -> Vec<Box<dyn Target>> {
    vec![Box::new(raft::Raft), Box::new(etcd::Etcd)]
}

/// The target of that name.
pub fn named(name: &str) -> Option<Box<dyn Target>> {
    all().into_iter().find(|target| target.name() == name)
}
