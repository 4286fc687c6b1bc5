//! What is tested: one file a target, and how to speak to it. To add one, copy `etcd/mod.rs` and write it into [`all`].

mod bundled;
mod etcd;
mod executable;
mod http;

use schism_engine::target::Target;

/// Every target there is.
pub fn all() -> Vec<Box<dyn Target>> {
    let bundled = schism_reference::FAMILIES
        .iter()
        .map(|family| -> Box<dyn Target> { Box::new(bundled::Bundled::new(family)) });
    bundled.chain([Box::new(etcd::Etcd) as Box<dyn Target>]).collect()
}

/// The target of that name.
pub fn named(name: &str) -> Option<Box<dyn Target>> {
    all().into_iter().find(|target| target.name() == name)
}
