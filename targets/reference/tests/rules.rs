//! Raft's rules, one situation each: a single node, and the test in the place of all others. Every situation is played
//! twice: the rule holds on the correct node and is seen to be broken by the bug that is planted for it.

use std::time::Duration;

use schism_history::Value;
use schism_reference::protocol::{
    Clock, Config, DiskWrite, Input, NodeId, Operation, Output, Protocol, Recovered, Request, Response,
    Ticket,
};
use schism_reference::raft::{
    AppendResult, Entry, HardState, Image, Message, Origin, Position, Proposal, Raft, Record,
};
use schism_reference::settings::Settings;

const SELF: NodeId = NodeId(0);
const B: NodeId = NodeId(1);
const C: NodeId = NodeId(2);

/// One node of three, its clock and its disk.
struct Node {
    raft: Raft,
    bug: String,
    millis: u64,
    records: Vec<Record>,
    snapshot: Option<<Raft as Protocol>::Snapshot>,
    sent: Vec<(NodeId, Message)>,
    replies: Vec<(Ticket, Response)>,
}

impl Node {
    fn start(bug: &str, records: Vec<Record>) -> Node {
        let raft = Node::raft(bug, Recovered { snapshot: None, records: records.clone() }, 0);
        let (sent, replies) = (Vec::new(), Vec::new());
        Node { raft, bug: bug.into(), millis: 0, records, snapshot: None, sent, replies }
    }

    fn raft(bug: &str, recovered: Recovered<Raft>, millis: u64) -> Raft {
        let config = Config {
            id: SELF,
            nodes: vec![SELF, B, C],
            seed: 1,
            bugs: Some(bug.to_string()).filter(|bug| !bug.is_empty()).into_iter().collect(),
            snapshot_every: 4,
            settings: Settings::default(),
        };
        Raft::start(config, recovered, Node::clock(millis))
    }

    fn clock(millis: u64) -> Clock {
        let monotonic = Duration::from_millis(millis);
        Clock { monotonic, wall: Duration::from_secs(1_000) + monotonic }
    }

    fn crash_and_restart(&mut self) {
        let recovered = Recovered { snapshot: self.snapshot.clone(), records: self.records.clone() };
        self.raft = Node::raft(&self.bug, recovered, self.millis);
    }

    fn input(&mut self, input: Input<Message>) {
        let mut output = Output::default();
        self.raft.handle(Node::clock(self.millis), input, &mut output);
        for write in output.disk {
            match write {
                DiskWrite::Append(record) => self.records.push(record),
                DiskWrite::Snapshot(snapshot) => {
                    self.snapshot = Some(snapshot);
                    self.records.clear();
                }
            }
        }
        self.sent.extend(output.send);
        self.replies.extend(output.reply);
    }

    fn hear(&mut self, from: NodeId, message: Message) {
        self.input(Input::Message { from, message });
    }

    /// Time passes, and nobody says anything.
    fn wait(&mut self, millis: u64) {
        for _ in 0..millis / 20 {
            self.millis += 20;
            self.input(Input::Tick);
        }
    }

    fn ask(&mut self, ticket: u64, operation: Operation) {
        let request = Request { key: "x".into(), operation, session: None, seen: None };
        self.input(Input::Request { ticket: Ticket(ticket), request });
    }

    fn answer_to(&self, ticket: u64) -> Option<&Response> {
        self.replies.iter().find(|(known, _)| *known == Ticket(ticket)).map(|(_, response)| response)
    }

    /// It is elected by B in the next term.
    fn elect(&mut self) {
        self.wait(1_100);
        let term = self.raft.status().term + 1;
        self.hear(B, Message::PreVoteReply { term, granted: true });
        self.hear(B, Message::VoteReply { term, granted: true });
        assert_eq!(self.raft.status().role, "leader");
    }

    /// A follower's log is the leader's up to here.
    fn matches(&mut self, from: NodeId, index: u64, round: u64) {
        let term = self.raft.status().term;
        self.hear(from, Message::AppendReply { term, round, result: AppendResult::Matches(index) });
    }

    /// B leads in a term and sends entries.
    fn append(&mut self, term: u64, previous: (u64, u64), entries: Vec<Entry>, commit: u64) {
        let previous = Position { index: previous.0, term: previous.1 };
        self.hear(B, Message::Append { term, previous, entries, commit, round: 1 });
    }

    /// What the node answered to the last entries it was sent.
    fn last_result(&self) -> Option<AppendResult> {
        self.sent.iter().rev().find_map(|(_, message)| match message {
            Message::AppendReply { result, .. } => Some(*result),
            _ => None,
        })
    }

    fn last_round(&self) -> u64 {
        let rounds = self.sent.iter().rev().find_map(|(_, message)| match message {
            Message::Append { round, .. } => Some(*round),
            _ => None,
        });
        rounds.unwrap_or(0)
    }

    fn votes_for(&mut self, from: NodeId, term: u64, last: Position) -> bool {
        self.sent.clear();
        self.hear(from, Message::Vote { term, last });
        matches!(self.sent.last(), Some((_, Message::VoteReply { granted: true, .. })))
    }
}

const NOWHERE: Position = Position { index: 0, term: 0 };

fn noop(term: u64) -> Entry {
    Entry { term, proposal: None }
}

/// A write that node C proposed.
fn write(term: u64, sequence: u64, value: i64) -> Entry {
    let request =
        Request { key: "x".into(), operation: Operation::Write(value.into()), session: None, seen: None };
    let origin = Origin { node: C, incarnation: 1, sequence };
    Entry { term, proposal: Some(Proposal { origin, answered_below: 0, request: request.into() }) }
}

/// What the node's own state holds, seen through a read that B lets it answer.
fn own_state(node: &mut Node, sequence: u64, commit: u64) -> Option<Response> {
    node.ask(900 + sequence, Operation::Read);
    let asked = node.sent.iter().rev().find_map(|(_, message)| match message {
        Message::ReadIndex(read) => Some(*read),
        _ => None,
    });
    if let Some(read) = asked {
        node.hear(B, Message::ReadIndexReply { read, index: commit });
    }
    node.answer_to(900 + sequence).cloned()
}

/// A rule holds on the correct node, and the bug breaks it.
#[track_caller]
fn rule(bug: &str, holds: impl Fn(Node) -> bool) {
    assert!(Raft::BUGS.iter().any(|known| known.name == bug), "{bug} is not a bug");
    assert!(holds(Node::start("", Vec::new())), "the rule does not hold");
    assert!(!holds(Node::start(bug, Vec::new())), "{bug} does not break the rule");
}

/// §5.2: or two leaders could be elected in one term.
#[test]
fn nobody_votes_twice_in_a_term_not_even_after_a_crash() {
    rule("vote-not-persisted", |mut node| {
        assert!(node.votes_for(B, 1, NOWHERE));
        assert!(node.votes_for(B, 1, NOWHERE), "the same vote may be given again");
        assert!(!node.votes_for(C, 1, NOWHERE));
        node.crash_and_restart();
        !node.votes_for(C, 1, NOWHERE)
    });
}

/// §5.4.1: or a leader could be elected that lacks decided entries. The last term counts first, then the length.
#[test]
fn only_a_log_that_is_as_up_to_date_gets_a_vote() {
    rule("vote-ignores-log", |mut node| {
        node.append(3, (0, 0), vec![noop(1), noop(3)], 0);
        node.wait(600);
        let longer_but_older = Position { term: 2, index: 9 };
        let shorter = Position { term: 3, index: 1 };
        let refuses = !node.votes_for(C, 8, longer_but_older) && !node.votes_for(C, 9, shorter);
        assert!(node.votes_for(C, 10, Position { term: 3, index: 2 }));
        refuses
    });
}

/// §5.4.2, Figure 8: an older entry on a majority may still be replaced, so it is not decided by that.
#[test]
fn entries_of_earlier_terms_are_not_committed_by_counting() {
    let holds = |bug: &str| {
        let hard = HardState { term: 2, vote: None };
        let mut node = Node::start(
            bug,
            vec![Record::HardState(hard), Record::Entry { index: 1, entry: write(2, 1, 7) }],
        );
        node.elect();
        node.matches(B, 1, 1);
        let is_undecided = node.raft.status().commit == 0;
        if bug.is_empty() {
            node.matches(B, 2, 1);
            assert_eq!(node.raft.status().commit, 2, "its own first entry decides the older one too");
        }
        is_undecided
    };
    assert!(holds(""));
    assert!(!holds("commit-old-term"));
}

/// §5.3: a follower's entry that conflicts with the leader's goes, with all that follow it.
#[test]
fn a_conflicting_suffix_is_replaced() {
    rule("suffix-not-truncated", |mut node| {
        node.append(1, (0, 0), vec![write(1, 1, 1), write(1, 2, 2), write(1, 3, 3)], 1);
        node.append(2, (1, 1), vec![write(2, 4, 4)], 2);
        assert_eq!(node.last_result(), Some(AppendResult::Matches(2)));
        own_state(&mut node, 1, 2) == Some(Response::Value(4.into()))
    });
}

/// §5.3: the follower names the first entry of the conflicting term, so that one answer skips the whole term.
#[test]
fn a_leader_learns_in_one_answer_where_to_start_again() {
    let mut node = Node::start("", Vec::new());
    node.append(5, (3, 5), vec![], 0);
    assert_eq!(node.last_result(), Some(AppendResult::Differs { from: 1 }), "the log is too short");
    node.append(5, (0, 0), vec![noop(1), noop(4), noop(4), noop(4)], 0);
    node.append(6, (4, 5), vec![], 0);
    assert_eq!(node.last_result(), Some(AppendResult::Differs { from: 2 }), "term 4 began there");
    node.append(4, (4, 4), vec![noop(4)], 5);
    assert_eq!(node.raft.status().commit, 0, "the leader of an older term is not believed");
}

/// §5.3: decided means on a majority of disks.
#[test]
fn a_write_is_answered_when_a_majority_has_it() {
    rule("ack-before-majority", |mut node| {
        node.elect();
        node.ask(1, Operation::Write(1.into()));
        let waits = node.answer_to(1).is_none();
        node.matches(B, 2, 1);
        assert_eq!(node.answer_to(1), Some(&Response::Done));
        waits
    });
}

/// Thesis §6.4: somebody else may lead by now, and may have decided a write.
#[test]
fn a_leader_answers_a_read_when_a_majority_confirmed_it_after_the_question() {
    for bug in ["unconfirmed-leader-reads", "follower-reads"] {
        rule(bug, |mut node| {
            node.elect();
            node.matches(B, 1, 1);
            node.ask(1, Operation::Read);
            let waits = node.answer_to(1).is_none();
            let round = node.last_round();
            node.matches(C, 1, round - u64::from(round > 1));
            let still_waits = node.answer_to(1).is_none();
            node.matches(C, 1, round);
            assert_eq!(node.answer_to(1), Some(&Response::Value(Value::Nil)));
            waits && still_waits
        });
    }
}

/// Thesis §6.4: before, a new leader may not know of what was decided last.
#[test]
fn a_new_leader_answers_reads_when_an_entry_of_its_own_term_is_decided() {
    rule("commit-old-term", |mut node| {
        node.elect();
        node.ask(1, Operation::Read);
        for _ in 0..3 {
            node.wait(100);
            let round = node.last_round();
            node.matches(B, 0, round);
        }
        let waits = node.answer_to(1).is_none();
        let end = if waits { 1 } else { 0 };
        node.matches(B, end, 0);
        let round = node.last_round();
        node.matches(B, end, round);
        assert!(node.answer_to(1).is_some());
        waits
    });
}

/// A lease is only as good as the clock: here the leader is paused for 2 s and asked before its next tick.
#[test]
fn a_paused_leader_does_not_answer_reads_when_it_goes_on() {
    rule("lease-trusts-clock", |mut node| {
        node.elect();
        node.matches(B, 1, 1);
        for _ in 0..5 {
            node.wait(100);
            let round = node.last_round();
            node.matches(B, 1, round);
        }
        node.millis += 2_000;
        node.ask(1, Operation::Read);
        node.answer_to(1).is_none()
    });
}

/// Thesis §6.2: its clients would wait for ever.
#[test]
fn a_leader_that_hears_from_nobody_steps_down_and_refuses() {
    rule("unconfirmed-leader-reads", |mut node| {
        node.elect();
        node.wait(1_200);
        node.ask(1, Operation::Write(1.into()));
        matches!(node.answer_to(1), Some(Response::Refused { leader: None, .. }))
    });
}

/// Thesis §9.6, §4.2.3: who was cut off neither pushes the term up nor gets votes from those who hear a leader.
#[test]
fn a_node_that_was_cut_off_disturbs_nobody() {
    let mut node = Node::start("", Vec::new());
    node.wait(10_000);
    assert_eq!(node.raft.status().term, 0, "asking for pre-votes changes no term");
    node.append(1, (0, 0), vec![noop(1)], 1);
    node.sent.clear();
    node.hear(C, Message::PreVote { term: 9, last: Position { term: 9, index: 9 } });
    assert!(matches!(node.sent[0].1, Message::PreVoteReply { granted: false, term: 1 }));
    assert!(!node.votes_for(C, 9, Position { term: 9, index: 9 }));
    assert_eq!(node.raft.status().term, 1);
}

/// Thesis §6.3: a proposal may stand in the log twice, when it was passed on twice.
#[test]
fn a_proposal_is_applied_once() {
    rule("retry-applied-twice", |mut node| {
        node.append(1, (0, 0), vec![write(1, 1, 1), write(1, 2, 2), write(1, 1, 1)], 3);
        own_state(&mut node, 1, 3) == Some(Response::Value(2.into()))
    });
}

/// The same for a client's own session, whichever node it asks again: the second answer is the first one.
#[test]
fn a_clients_retry_is_answered_as_the_first_time() {
    rule("retry-applied-twice", |mut node| {
        node.elect();
        node.matches(B, 1, 1);
        let cas = Operation::Cas { from: Value::Nil, to: 1.into() };
        for ticket in [1, 2] {
            let session = Some(("client".to_string(), 1));
            let request = Request { key: "x".into(), operation: cas.clone(), session, seen: None };
            node.input(Input::Request { ticket: Ticket(ticket), request });
        }
        node.matches(B, 3, 1);
        assert_eq!(node.answer_to(1), Some(&Response::Done));
        node.answer_to(2) == Some(&Response::Done)
    });
}

/// §7 and thesis §6.3: a snapshot is taken after four entries here; the sessions are part of the state.
#[test]
fn a_proposal_is_applied_once_across_a_snapshot_and_a_restart() {
    rule("snapshot-drops-sessions", |mut node| {
        node.append(1, (0, 0), vec![write(1, 1, 1), write(1, 2, 2), noop(1), noop(1)], 4);
        assert!(node.snapshot.is_some());
        node.crash_and_restart();
        node.append(1, (4, 1), vec![write(1, 1, 1)], 5);
        own_state(&mut node, 1, 5) == Some(Response::Value(2.into()))
    });
}

/// §7: a follower that needs entries which are gone gets the state, and goes on from there, also after a crash.
#[test]
fn a_state_takes_the_place_of_entries() {
    let mut donor = Node::start("", Vec::new());
    donor.append(1, (0, 0), (1..=4).map(|n| write(1, n, n as i64)).collect(), 4);
    let image: Image = donor.snapshot.expect("four entries make a snapshot").image;
    let mut node = Node::start("", Vec::new());
    node.append(1, (0, 0), vec![write(1, 1, 1)], 1);
    node.hear(B, Message::Install { term: 1, image: image.clone(), round: 1 });
    assert_eq!(node.last_result(), Some(AppendResult::Matches(4)));
    node.append(1, (4, 1), vec![write(1, 5, 5)], 5);
    node.hear(B, Message::Install { term: 1, image, round: 1 });
    assert_eq!(own_state(&mut node, 1, 5), Some(Response::Value(5.into())), "a late state changes nothing");
    node.crash_and_restart();
    assert_eq!(node.raft.status().applied, 4);
    node.append(1, (5, 1), vec![], 5);
    assert_eq!(own_state(&mut node, 2, 5), Some(Response::Value(5.into())));
}

/// A refusal is a claim that nothing happened: it is made before anything was proposed, and never after.
#[test]
fn what_was_proposed_is_never_refused() {
    let mut node = Node::start("", Vec::new());
    node.ask(1, Operation::Write(1.into()));
    assert!(matches!(node.answer_to(1), Some(Response::Refused { .. })));
    node.append(1, (0, 0), vec![noop(1)], 1);
    node.ask(2, Operation::Write(2.into()));
    assert!(node.sent.iter().any(|(to, message)| *to == B && matches!(message, Message::Propose(_))));
    node.wait(4_900);
    assert_eq!(node.answer_to(2), None);
    node.wait(200);
    assert!(matches!(node.answer_to(2), Some(Response::Unknown { .. })));
}

/// A set is what was added to it, once each; anything but a list is no set, and stays.
#[test]
fn sets_take_elements() {
    let mut node = Node::start("", Vec::new());
    node.elect();
    let mut operations = vec![Operation::Write(Value::list([2.into(), 1.into()]))];
    operations.extend([3, 2, 3].map(|element| Operation::Add(element.into())));
    operations.extend([Operation::Write(9.into()), Operation::Add(1.into())]);
    for (ticket, operation) in (1..).zip(operations) {
        node.ask(ticket, operation);
        node.matches(B, ticket + 1, 1);
        if ticket == 4 {
            node.ask(50, Operation::Read);
            let round = node.last_round();
            node.matches(B, ticket + 1, round);
        }
    }
    let elements = [1, 2, 3].map(Value::from);
    assert_eq!(node.answer_to(50), Some(&Response::Value(Value::list(elements))));
    assert_eq!(node.answer_to(6), Some(&Response::Mismatch { found: 9.into() }));
}
