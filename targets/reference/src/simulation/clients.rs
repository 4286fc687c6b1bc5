//! The clients, by the harness's rules: one call at a time; what was certainly not done is a `fail`, what nobody knows an
//! `info`, after which the process is retired for ever; written values are unique. Some clients hold a session and try
//! again, elsewhere, when no answer comes: still one call.

use std::collections::BTreeMap;

use schism_history::{Call, CallKind, Event, Outcome, Process, Ret, Time, Value, What};

use super::Options;
use super::queue::Micros;
use crate::protocol::{Operation, Protocol, Request, Response};
use crate::random::Random;

/// A call without an answer after this is an `info`.
const PATIENCE: Micros = 4_000_000;
/// A client with a session tries again after this, more or less.
const TRY_AGAIN: Micros = 400_000;
/// Between two calls of a client, on average.
const THINKS: Micros = 100_000;
/// Between two calls of a client that moves: what comes of what must be seen while it is young.
const THINKS_MOVING: Micros = 25_000;
/// A client that moves does so before one call in this many.
const MOVES_IN: u64 = 5;

/// What clients do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Habit {
    /// Reads, writes, and cas where it is spoken; every value is written once.
    Registers,
    /// The same, and now and then a key is deleted: nil is written to it.
    Deletes,
    /// Adds to sets, and reads of them.
    Sets,
    /// Adds and removes, again and again, of a few elements, and reads of them; some elements are added once.
    Elements,
    /// Increments of counters, and reads of them.
    Counters,
    /// Characters typed at the ends of texts, and reads of them.
    Texts,
    /// Reads, and writes with the context of the client's last read of the key, where reads give one.
    Updates,
    /// As `Registers`; now and then a client goes on at another node, with what it has seen.
    Moves,
}

/// One client; one process after another.
pub(super) struct Client {
    /// The node it speaks to.
    pub node: usize,
    process: Process,
    session: Option<String>,
    /// What it has seen, as a node said last.
    seen: Option<String>,
    calls: u64,
    open: Option<Open>,
    /// What it last read of each key, and the context that came with it.
    known: BTreeMap<String, (Value, Option<String>)>,
    /// In the final phase: how many keys it has read.
    pub read_at_end: usize,
}

struct Open {
    /// Tells late answers to earlier calls apart.
    number: u64,
    call: Call,
    request: Request,
    tries: u32,
}

/// What comes back to a client.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// From the node.
    Response(Response),
    /// Nobody listens there.
    NotConnected,
    /// The connection broke after the request was sent.
    Broken,
}

/// What a client does next.
pub(super) struct Try {
    pub node: usize,
    pub number: u64,
    pub request: Request,
    /// When to look again whether there is an answer; `None`: only when patience ends.
    pub again: Option<Micros>,
}

/// All clients, and what they have done.
pub(super) struct Clients {
    pub all: Vec<Client>,
    pub events: Vec<Event>,
    nodes: usize,
    keys: usize,
    processes: u32,
    values: i64,
    habit: Habit,
    speaks_cas: bool,
    /// What was last seen or written under each key: what a cas starts from.
    seen: Vec<Value>,
    random: Random,
}

impl Clients {
    pub(super) fn new<P: Protocol>(options: &Options, mut random: Random) -> Self {
        let Options { clients: count, nodes, keys, habit, .. } = *options;
        let client = |at: usize, has_session: bool| Client {
            node: at % nodes,
            process: Process(at as u32),
            session: has_session.then(|| format!("client-{at}")),
            seen: None,
            calls: 0,
            open: None,
            known: BTreeMap::new(),
            read_at_end: 0,
        };
        Clients {
            all: (0..count).map(|at| client(at, random.chance(400_000) && P::KEEPS_SESSIONS)).collect(),
            events: Vec::new(),
            nodes,
            keys,
            processes: count as u32,
            values: 0,
            habit,
            speaks_cas: P::SPEAKS.contains(&CallKind::Cas),
            seen: vec![Value::Nil; keys],
            random,
        }
    }

    pub(super) fn say(&mut self, now: Micros, what: What) {
        self.events.push(Event { time: Time(now * 1_000), what });
    }

    /// How long a client thinks before its next call.
    pub(super) fn thinks(&mut self) -> Micros {
        let thinks = if self.habit == Habit::Moves { THINKS_MOVING } else { THINKS };
        self.random.between(thinks / 10, 2 * thinks)
    }

    /// A client begins a call of its choice.
    pub(super) fn begin(&mut self, now: Micros, client: usize) -> Try {
        if self.habit == Habit::Moves && self.random.below(MOVES_IN) == 0 {
            self.all[client].node = self.random.below(self.nodes as u64) as usize;
        }
        let key = self.random.below(self.keys as u64) as usize;
        let name = Value::Int(key as i64);
        let (call, operation) = match (self.random.below(10), self.habit) {
            (0..5, _) => (Call::Read { key: name }, Operation::Read),
            (_, Habit::Sets) => {
                let value = self.new_value();
                (Call::Add { key: name, value: value.clone() }, Operation::Add(value))
            }
            (drawn, Habit::Elements) => self.add_or_remove(client, name, drawn == 5),
            (_, Habit::Texts) => {
                let value = self.new_value();
                (Call::Append { key: name, value: value.clone() }, Operation::Append(value))
            }
            (_, Habit::Counters) => {
                let by = self.random.between(1, 5) as i64;
                (Call::Increment { key: name, by }, Operation::Increment(by))
            }
            (_, Habit::Updates) => {
                let value = self.new_value();
                let context =
                    self.all[client].known.get(&name.to_string()).and_then(|(_, context)| context.clone());
                let operation = match context {
                    Some(context) => Operation::Replace { value: value.clone(), context },
                    None => Operation::Write(value.clone()),
                };
                (Call::Write { key: name, value }, operation)
            }
            (drawn, habit) if drawn < 8 || !self.speaks_cas => {
                let deletes = habit == Habit::Deletes && drawn == 5;
                let value = if deletes { Value::Nil } else { self.new_value() };
                (Call::Write { key: name, value: value.clone() }, Operation::Write(value))
            }
            _ => {
                let (from, to) = (self.seen[key].clone(), self.new_value());
                let call = Call::Cas { key: name, from: from.clone(), to: to.clone() };
                (call, Operation::Cas { from, to })
            }
        };
        self.invoke(now, client, call, operation)
    }

    /// A remove of something that the client has seen, or an add: of something new, or of what was there before.
    fn add_or_remove(&mut self, client: usize, key: Value, is_new: bool) -> (Call, Operation) {
        let known = self.all[client].known.get(&key.to_string()).map(|(value, _)| value.clone());
        let seen = known.as_ref().and_then(Value::elements).unwrap_or_default();
        if self.random.chance(500_000)
            && let Some(value) = self.random.choose(seen).cloned()
        {
            return (Call::Remove { key, value: value.clone() }, Operation::Remove(value));
        }
        // The few that come and go are below zero, those that are added once above.
        let value = if is_new { self.new_value() } else { Value::Int(-1 - self.random.below(4) as i64) };
        (Call::Add { key, value: value.clone() }, Operation::Add(value))
    }

    /// A client reads the next key it has not read in the final phase.
    pub(super) fn begin_final(&mut self, now: Micros, client: usize) -> Option<Try> {
        // Each node is read from by the client of its number, wherever that was.
        self.all[client].node = client;
        let key = self.all[client].read_at_end;
        let call = Call::Read { key: Value::Int(key as i64) };
        (key < self.keys).then(|| self.invoke(now, client, call, Operation::Read))
    }

    /// Whether every final read was answered.
    pub(super) fn is_over(&self) -> bool {
        self.all.iter().take(self.nodes).all(|client| client.read_at_end == self.keys)
    }

    fn new_value(&mut self) -> Value {
        self.values += 1;
        Value::Int(self.values)
    }

    fn invoke(&mut self, now: Micros, at: usize, call: Call, operation: Operation) -> Try {
        let client = &mut self.all[at];
        client.calls += 1;
        let session = match operation {
            Operation::Read => None,
            _ => client.session.clone().map(|session| (session, client.calls)),
        };
        let seen = client.seen.clone();
        let request = Request { key: call.key().to_string(), operation, session, seen };
        let node = Some(crate::protocol::NodeId(client.node as u8).to_string());
        let process = client.process;
        client.open = Some(Open { number: client.calls, call: call.clone(), request, tries: 0 });
        self.say(now, What::Invoke { process, node, call });
        self.try_now(now, at)
    }

    fn try_now(&mut self, now: Micros, at: usize) -> Try {
        let retries_after = self.random.between(TRY_AGAIN / 2, 2 * TRY_AGAIN);
        let elsewhere = self.random.below(self.nodes as u64) as usize;
        let client = &mut self.all[at];
        let Some(open) = &mut client.open else { unreachable!("only a client with an open call tries") };
        open.tries += 1;
        let again = open.request.session.is_some().then_some(now + retries_after);
        let node = if open.tries == 1 { client.node } else { elsewhere };
        Try { node, number: open.number, request: open.request.clone(), again }
    }

    /// When to give a call up that begins now.
    pub(super) fn gives_up(now: Micros) -> Micros {
        now + PATIENCE
    }

    fn is_open(&self, client: usize, number: u64) -> bool {
        self.all[client].open.as_ref().is_some_and(|open| open.number == number)
    }

    /// Time to try the same call again, if it is still open.
    pub(super) fn try_again(&mut self, now: Micros, client: usize, number: u64) -> Option<Try> {
        self.is_open(client, number).then(|| self.try_now(now, client))
    }

    /// Patience ends. True if the call was still open.
    pub(super) fn give_up(&mut self, now: Micros, client: usize, number: u64) -> bool {
        let was_open = self.is_open(client, number);
        if was_open {
            self.complete(now, client, Outcome::Info("no answer in time".into()));
        }
        was_open
    }

    /// An answer arrives. True if it ends the client's call.
    pub(super) fn answer(&mut self, now: Micros, client: usize, number: u64, answer: Answer) -> bool {
        if !self.is_open(client, number) {
            return false;
        }
        let context = match &answer {
            Answer::Response(Response::Siblings { context, .. }) => Some(context.clone()),
            _ => None,
        };
        if let Answer::Response(Response::Seen { seen, .. }) = &answer {
            self.all[client].seen = Some(seen.clone());
        }
        let outcome = self.all[client].open.as_ref().and_then(|open| outcome(open, answer));
        if let (Some(Outcome::Ok(Ret::Value(value))), Some(open)) = (&outcome, &self.all[client].open) {
            let key = open.request.key.clone();
            self.all[client].known.insert(key, (value.clone(), context));
        }
        let ends = outcome.is_some();
        if let Some(outcome) = outcome {
            self.complete(now, client, outcome);
        }
        ends
    }

    fn complete(&mut self, now: Micros, at: usize, outcome: Outcome) {
        let client = &mut self.all[at];
        let Some(Open { call, .. }) = client.open.take() else { return };
        let process = client.process;
        if matches!(outcome, Outcome::Info(_)) {
            client.process = Process(self.processes);
            client.known.clear();
            self.processes += 1;
            client.seen = None;
        }
        if let Outcome::Ok(ret) = &outcome {
            let now_there = match (&call, ret) {
                (Call::Write { value, .. }, _) => Some(value),
                (Call::Cas { to, .. }, _) => Some(to),
                (_, Ret::Value(value)) => Some(value),
                _ => None,
            };
            if let (Value::Int(key), Some(value)) = (call.key(), now_there) {
                self.seen[*key as usize] = value.clone();
            }
        }
        self.say(now, What::Complete { process, call, outcome });
    }

    /// In the final phase a read that was answered is done with.
    pub(super) fn count_final(&mut self, client: usize) {
        let is_answered = matches!(
            self.events.last().map(|event| &event.what),
            Some(What::Complete { outcome: Outcome::Ok(_), .. })
        );
        self.all[client].read_at_end += usize::from(is_answered);
    }
}

/// What an answer makes of a call; `None` if a further try may still bring a better one.
fn outcome(open: &Open, answer: Answer) -> Option<Outcome> {
    let has_session = open.request.session.is_some();
    let certainly_not = |why: String| {
        // An earlier try of the same call may still be under way.
        if open.tries == 1 { Some(Outcome::Fail(why)) } else { None }
    };
    let nobody_knows = |why: &str| (!has_session).then(|| Outcome::Info(why.into()));
    let reads = !open.call.changes();
    match answer {
        Answer::Response(Response::Done) if !reads => Some(Outcome::Ok(Ret::Done)),
        Answer::Response(Response::Value(value)) if reads => Some(Outcome::Ok(Ret::Value(value))),
        Answer::Response(Response::Siblings { values, .. }) if reads => {
            Some(Outcome::Ok(Ret::Value(Value::list(values))))
        }
        Answer::Response(Response::Seen { value, .. }) if value.is_some() == reads => {
            Some(Outcome::Ok(value.map_or(Ret::Done, Ret::Value)))
        }
        Answer::Response(Response::Mismatch { found }) => Some(Outcome::Fail(format!("found {found}"))),
        Answer::Response(Response::Refused { reason, .. }) => certainly_not(reason),
        Answer::Response(Response::Unknown { reason }) => nobody_knows(&reason),
        Answer::Response(
            Response::Done | Response::Value(_) | Response::Siblings { .. } | Response::Seen { .. },
        ) => nobody_knows("an answer to another question"),
        Answer::NotConnected => certainly_not("nobody listens".into()),
        Answer::Broken => nobody_knows("the connection broke"),
    }
}
