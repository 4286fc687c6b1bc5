//! Turns of a protocol that appends what it is asked and answers at once.

use schism_history::Value;

use super::*;
use crate::protocol::{Bug, Config, Operation};
use crate::turn::Turn;

struct Echo {
    inputs: Vec<&'static str>,
    turn: Turn<Echo>,
}

impl Protocol for Echo {
    type Message = String;
    type Record = Request;
    type Snapshot = ();

    const TICK: Duration = Duration::from_millis(20);
    const BUGS: &'static [Bug] = &[];

    fn start(_: Config, _: Recovered<Self>, clock: Clock) -> Self {
        Echo { inputs: Vec::new(), turn: Turn::new(clock) }
    }

    fn turn(&mut self) -> &mut Turn<Self> {
        &mut self.turn
    }

    fn step(&mut self, input: Input<String>) {
        match input {
            Input::Tick => self.inputs.push("tick"),
            Input::Message { .. } => self.inputs.push("message"),
            Input::Request { ticket, request } => {
                self.inputs.push("request");
                self.turn.append(request);
                self.turn.reply(ticket, Response::Done);
                self.turn.send(NodeId(1), "done".into());
            }
        }
    }

    fn status(&self) -> Status {
        let (node, role) = ("n1".into(), "echo".into());
        Status {
            node,
            role,
            term: 0,
            leader: None,
            commit: 0,
            applied: self.inputs.len() as u64,
            ready: true,
            details: Default::default(),
        }
    }
}

fn node(directory: &std::path::Path) -> Node<Echo> {
    let (disk, _) = Disk::open(directory, NodeId(0), Flaws::default()).unwrap();
    let zero = Clock { monotonic: Duration::ZERO, wall: Duration::ZERO };
    let protocol = Echo { inputs: Vec::new(), turn: Turn::new(zero) };
    let status = Arc::new(RwLock::new(protocol.status()));
    Node {
        id: NodeId(0),
        protocol,
        disk,
        links: Links::new([NodeId(1)]),
        started: Instant::now(),
        next_tick: Instant::now() + Duration::from_secs(3600),
        replies: HashMap::new(),
        tickets: 0,
        status,
    }
}

fn request() -> (Arrival<String>, oneshot::Receiver<Response>) {
    let (reply, response) = oneshot::channel();
    let request =
        Request { key: "x".into(), operation: Operation::Write(Value::Int(1)), session: None, seen: None };
    (Arrival::Request { request, reply }, response)
}

#[test]
fn all_that_waits_is_one_turn_and_its_answers_leave() {
    let directory = tempfile::tempdir().unwrap();
    let mut node = node(directory.path());
    let (arrivals, waiting) = sync_channel(10);
    let responses = [(); 5].map(|()| {
        let (arrival, response) = request();
        arrivals.try_send(arrival).ok().unwrap();
        response
    });
    node.turn(&waiting).unwrap();
    assert_eq!(node.protocol.inputs, ["request"; 5]);
    for mut response in responses {
        assert_eq!(response.try_recv().unwrap(), Response::Done);
    }
    assert_eq!(node.links.waiting(NodeId(1)), 5);
    assert!(node.replies.is_empty());
    assert_eq!(node.status.read().unwrap().applied, 5);
}

#[test]
fn nothing_leaves_when_the_fsync_fails() {
    let directory = tempfile::tempdir().unwrap();
    let mut node = node(directory.path());
    let (arrivals, waiting) = sync_channel(10);
    let (arrival, mut response) = request();
    arrivals.try_send(arrival).ok().unwrap();
    node.disk.refuse_fsync();
    node.turn(&waiting).unwrap_err();
    assert_eq!(response.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    assert_eq!(node.links.waiting(NodeId(1)), 0);
}

#[test]
fn a_tick_comes_when_it_is_due_and_forgets_clients_that_are_gone() {
    let directory = tempfile::tempdir().unwrap();
    let mut node = node(directory.path());
    let (_arrivals, waiting) = sync_channel(10);
    let (reply, response) = oneshot::channel();
    node.replies.insert(Ticket(7), reply);
    drop(response);
    node.next_tick = Instant::now();
    node.turn(&waiting).unwrap();
    assert_eq!(node.protocol.inputs, ["tick"]);
    assert!(node.replies.is_empty());
    assert!(node.next_tick > node.started);
}

#[test]
fn ticks_keep_their_rhythm_and_a_long_stop_brings_no_burst_of_them() {
    let (start, tick) = (Instant::now(), Duration::from_millis(20));
    let at = |millis| start + Duration::from_millis(millis);
    assert_eq!(next_tick(at(0), at(3), tick), at(20), "a little late: the next one is not late too");
    assert_eq!(next_tick(at(20), at(60_000), tick), at(60_000), "a minute late: one more now");
    assert_eq!(next_tick(at(60_000), at(60_000), tick), at(60_020), "and then as ever");
}

#[test]
fn a_node_whose_network_ended_does_not_go_on_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut node = node(directory.path());
    let (arrivals, waiting) = sync_channel::<Arrival<String>>(10);
    drop(arrivals);
    assert!(matches!(node.turn(&waiting), Err(NodeError::Network(_))));
}
