//! Takes a node out of its cluster while that runs, and brings it in again, empty.
//!
//! Every step is asked for until the cluster itself, read back, says that it is so: a request without an answer may have
//! been carried out, and both steps are safe to repeat. Nothing here waits for longer than it was given.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use crate::cluster::{Node, NodeSpec, Program};
use crate::target::Choices;

/// How long a node may take to answer one request.
const ASK: Duration = Duration::from_millis(1500);

/// How long until everybody is asked again.
const AGAIN: Duration = Duration::from_millis(50);

/// A target whose members can be changed while it runs. All requests go over the clients' network.
pub trait Membership {
    /// The addresses of all members, by what `via` says after it has asked a quorum.
    ///
    /// # Errors
    /// When it does not say: why.
    fn members(&self, via: &NodeSpec, timeout: Duration) -> Result<BTreeSet<Ipv4Addr>, String>;

    /// Asks `via` to take a node out.
    ///
    /// # Errors
    /// When it does not say that it is done: why. It may be done all the same.
    fn remove(&self, node: &NodeSpec, via: &NodeSpec, timeout: Duration) -> Result<(), String>;

    /// Asks `via` to take a node in that has nothing of its own.
    ///
    /// # Errors
    /// When it does not say that it is done: why. It may be done all the same.
    fn add(&self, node: &NodeSpec, via: &NodeSpec, timeout: Duration) -> Result<(), String>;

    /// How a node that was taken in is started: with none of the data that it had, so that it has to get all of it from
    /// the other members. `time` counts how often this node has come back, from 1.
    fn comes_back(&self, node: &NodeSpec, members: &[NodeSpec], time: u32, choices: &Choices) -> Program;
}

/// Takes a node out, and gives the members that are left.
///
/// # Errors
/// When the cluster did not say within `patience` that it is out; then nobody knows.
pub fn take_out(
    membership: &dyn Membership,
    node: Node,
    specs: &[NodeSpec],
    patience: Duration,
) -> Result<Vec<Node>, String> {
    until(node, specs, patience, |one, via| {
        if membership.members(via, ASK)?.contains(&one.address) {
            membership.remove(one, via, ASK)?;
        }
        let members = membership.members(via, ASK)?;
        if members.contains(&one.address) { Err("it is a member still".into()) } else { Ok(members) }
    })
}

/// Takes a node in, and gives the members there are then.
///
/// # Errors
/// When the cluster did not say within `patience` that it is in; then nobody knows.
pub fn take_in(
    membership: &dyn Membership,
    node: Node,
    specs: &[NodeSpec],
    patience: Duration,
) -> Result<Vec<Node>, String> {
    until(node, specs, patience, |one, via| {
        if !membership.members(via, ASK)?.contains(&one.address) {
            membership.add(one, via, ASK)?;
        }
        let members = membership.members(via, ASK)?;
        if members.contains(&one.address) { Ok(members) } else { Err("it is no member yet".into()) }
    })
}

/// Tries every other node, one after the other, until one succeeds or the time is over.
fn until(
    node: Node,
    specs: &[NodeSpec],
    patience: Duration,
    step: impl Fn(&NodeSpec, &NodeSpec) -> Result<BTreeSet<Ipv4Addr>, String>,
) -> Result<Vec<Node>, String> {
    let deadline = Instant::now() + patience;
    let mut why = "there is no other node to ask".to_string();
    loop {
        for via in specs.iter().filter(|spec| spec.node != node) {
            match step(&specs[node.0], via) {
                Ok(members) => {
                    let members = specs.iter().filter(|spec| members.contains(&spec.address));
                    return Ok(members.map(|spec| spec.node).collect());
                }
                Err(problem) => why = format!("{}: {problem}", via.node),
            }
            if Instant::now() >= deadline {
                return Err(why);
            }
        }
        std::thread::sleep(AGAIN);
        if Instant::now() >= deadline {
            return Err(why);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// A cluster of three whose members are a set; what it does with each request is told in advance, `Ok` at the end.
    struct Told {
        members: RefCell<BTreeSet<Ipv4Addr>>,
        requests: RefCell<Vec<Result<(), &'static str>>>,
    }

    fn specs() -> Vec<NodeSpec> {
        let spec = |at: usize| NodeSpec::new(Node(at), Ipv4Addr::new(10, 0, 0, at as u8 + 1), "/data");
        (0..3).map(spec).collect()
    }

    impl Told {
        fn new(members: &[usize], requests: Vec<Result<(), &'static str>>) -> Self {
            let members = members.iter().map(|at| specs()[*at].address).collect();
            Told { members: RefCell::new(members), requests: RefCell::new(requests) }
        }

        /// What becomes of the next request: refused, done without an answer, or done.
        fn next(&self, change: impl FnOnce(&mut BTreeSet<Ipv4Addr>)) -> Result<(), String> {
            let next = self.requests.borrow_mut().pop().unwrap_or(Ok(()));
            if next != Err("refused") {
                change(&mut self.members.borrow_mut());
            }
            next.map_err(str::to_owned)
        }
    }

    impl Membership for Told {
        fn members(&self, _: &NodeSpec, _: Duration) -> Result<BTreeSet<Ipv4Addr>, String> {
            Ok(self.members.borrow().clone())
        }

        fn remove(&self, node: &NodeSpec, via: &NodeSpec, _: Duration) -> Result<(), String> {
            assert_ne!(node.node, via.node, "nobody is asked to take itself out");
            self.next(|members| assert!(members.remove(&node.address), "it is taken out once"))
        }

        fn add(&self, node: &NodeSpec, _: &NodeSpec, _: Duration) -> Result<(), String> {
            self.next(|members| assert!(members.insert(node.address), "it is taken in once"))
        }

        fn comes_back(&self, _: &NodeSpec, _: &[NodeSpec], _: u32, _: &Choices) -> Program {
            Program::default()
        }
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn refused_or_without_an_answer_it_is_asked_again_and_done_once() {
        for requests in
            [vec![], vec![Err("refused")], vec![Err("no answer")], vec![Err("no answer"), Err("refused")]]
        {
            let told = Told::new(&[0, 1, 2], requests.clone());
            assert_eq!(take_out(&told, Node(1), &specs(), LONG), Ok(vec![Node(0), Node(2)]));
            let told = Told::new(&[0, 2], requests);
            assert_eq!(take_in(&told, Node(1), &specs(), LONG), Ok(vec![Node(0), Node(1), Node(2)]));
        }
    }

    #[test]
    fn it_gives_up_when_its_time_is_over_and_says_why() {
        let told = Told::new(&[0, 1, 2], vec![Err("refused"); 10]);
        let why = take_out(&told, Node(0), &specs(), Duration::ZERO).unwrap_err();
        assert_eq!(why, "n2: refused");
    }
}
