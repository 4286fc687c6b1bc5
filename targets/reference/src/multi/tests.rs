//! Single rules, on nodes whose messages are carried by hand.

use std::time::Duration;

use schism_history::Value;

use super::*;
use crate::protocol::{Operation, Output, Request, Response, Ticket};

struct Hand {
    node: Multi,
    now: Duration,
}

impl Hand {
    fn start(id: u8, nodes: u8, settings: &[(&str, &str)]) -> Hand {
        let config = Config {
            id: NodeId(id),
            nodes: (0..nodes).map(NodeId).collect(),
            seed: 1,
            bugs: Default::default(),
            snapshot_every: Config::SNAPSHOT_EVERY,
            settings: Settings::of(settings),
        };
        let now = Duration::from_secs(1);
        let clock = Clock { monotonic: now, wall: now };
        Hand { node: Multi::start(config, Recovered::default(), clock), now }
    }

    fn input(&mut self, input: Input<Message>) -> Output<Multi> {
        let mut output = Output::default();
        self.node.handle(Clock { monotonic: self.now, wall: self.now }, input, &mut output);
        output
    }

    fn ask(&mut self, key: &str, operation: Operation) -> (Response, Vec<(NodeId, Message)>) {
        let request = Request { key: key.into(), operation, session: None, seen: None };
        let mut output = self.input(Input::Request { ticket: Ticket(1), request });
        (output.reply.remove(0).1, output.send)
    }

    fn read(&mut self, key: &str) -> Value {
        match self.ask(key, Operation::Read).0 {
            Response::Value(value) => value,
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn what_goes_to_another_region_is_held_back_and_nothing_else() {
    let mut node = Hand::start(0, 4, &[("regions", "2"), ("region-delay-ms", "150")]);
    let (_, sent) = node.ask("x", Operation::Write(1.into()));
    let shipped_to = |sent: &[(NodeId, Message)]| -> Vec<NodeId> {
        sent.iter().filter(|(_, it)| matches!(it, Message::Ship { .. })).map(|(to, _)| *to).collect()
    };
    assert_eq!(shipped_to(&sent), [NodeId(1)]);
    node.now += Duration::from_millis(149);
    assert!(shipped_to(&node.input(Input::Tick).send).is_empty());
    node.now += Duration::from_millis(1);
    assert_eq!(shipped_to(&node.input(Input::Tick).send), [NodeId(2), NodeId(3)]);
}

#[test]
fn what_is_not_acknowledged_is_sent_again_and_what_is_new_waits_for_it() {
    let mut node = Hand::start(0, 2, &[("anti-entropy", "false")]);
    let (_, sent) = node.ask("x", Operation::Write(1.into()));
    let [(_, Message::Ship { number, .. })] = &sent[..] else { panic!("{sent:?}") };
    assert!(node.ask("y", Operation::Write(2.into())).1.is_empty());
    node.now += Duration::from_millis(200);
    let again = node.input(Input::Tick).send;
    assert!(
        matches!(&again[..], [(_, Message::Ship { number: same, deltas })] if same == number && deltas.len() == 1)
    );
    let shipped = Message::Shipped { number: *number };
    let next = node.input(Input::Message { from: NodeId(1), message: shipped }).send;
    assert!(matches!(&next[..], [(_, Message::Ship { deltas, .. })] if deltas[0].0 == "y"), "{next:?}");
}

#[test]
fn a_write_replaces_what_its_context_has_seen_and_nothing_else() {
    let mut node = Hand::start(0, 2, &[("resolution", "siblings")]);
    node.ask("x", Operation::Write(1.into()));
    let (Response::Siblings { values, context }, _) = node.ask("x", Operation::Read) else { panic!() };
    assert_eq!(values, [1.into()]);
    node.ask("x", Operation::Write(2.into()));
    node.ask("x", Operation::Replace { value: 3.into(), context });
    let (Response::Siblings { values, context }, _) = node.ask("x", Operation::Read) else { panic!() };
    assert_eq!(values, [2.into(), 3.into()]);
    node.ask("x", Operation::Replace { value: Value::Nil, context });
    let (Response::Siblings { values, .. }, _) = node.ask("x", Operation::Read) else { panic!() };
    assert!(values.is_empty());
    let no_context = Operation::Replace { value: 4.into(), context: "?".into() };
    assert!(matches!(node.ask("x", no_context).0, Response::Refused { .. }));
}

#[test]
fn a_map_reads_as_its_fields_and_a_key_stays_what_it_is() {
    let mut node = Hand::start(0, 1, &[("resolution", "merge")]);
    node.ask("cart.apples", Operation::Increment(3));
    node.ask("cart.tags", Operation::Add("ripe".into()));
    node.ask("cart.note", Operation::Write("hurry".into()));
    node.ask("carton", Operation::Write(1.into()));
    let field = |name: &str, value: Value| Value::list([name.into(), value]);
    let all = Value::list([
        field("apples", 3.into()),
        field("note", "hurry".into()),
        field("tags", Value::list(["ripe".into()])),
    ]);
    assert_eq!(node.read("cart"), all);
    node.ask("cart.note", Operation::Write(Value::Nil));
    node.ask("cart.tags", Operation::Remove("ripe".into()));
    assert_eq!(node.read("cart"), Value::list([field("apples", 3.into())]));
    assert_eq!(node.read("nothing"), Value::Nil);
    let (other, _) = node.ask("cart.apples", Operation::Write(1.into()));
    assert_eq!(other, Response::Mismatch { found: 3.into() });
}
