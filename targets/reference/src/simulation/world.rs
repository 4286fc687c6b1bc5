//! The simulated world: takes what happens next from the queue and lets it happen.

use schism_history::What;

use super::clients::{Answer, Clients, Try};
use super::faults::{self, Fault, Planned};
use super::machine::{Machine, written};
use super::network::Network;
use super::queue::{Micros, Queue};
use super::{Counts, Options};
use crate::protocol::{ACK_BEFORE_FSYNC, Config, Input, NodeId, Output, Protocol, Request, Ticket};
use crate::random::Random;

/// From the end of the last fault to the final reads.
const RECOVERS: Micros = 3_000_000;
/// The final reads have this long.
const FINAL: Micros = 10_000_000;
/// How long a write takes to be durable.
const FSYNC: (Micros, Micros) = (100, 2_000);
/// How long a client's request or answer takes.
const CLIENT_DELAY: (Micros, Micros) = (100, 600);
/// With the bug `ack-before-fsync`, one tick in this many writes the buffer out.
const SYNC_IN: u64 = 25;

/// What happens.
pub(super) enum Happening<M> {
    Tick {
        node: usize,
        life: u64,
    },
    Deliver {
        node: usize,
        delivery: Delivery<M>,
    },
    /// The first output in a machine's outbox is on its disk.
    Durable {
        node: usize,
        life: u64,
    },
    Begin(Planned),
    End {
        fault: u32,
    },
    /// A node that voted a moment ago crashes and is back at once.
    Blink {
        node: usize,
        life: u64,
    },
    /// A node that became leader a moment ago is struck.
    Strike {
        node: usize,
    },
    /// A machine that is down starts, unless a fault keeps it down.
    Start {
        node: usize,
    },
    Call {
        client: usize,
    },
    TryAgain {
        client: usize,
        number: u64,
    },
    GiveUp {
        client: usize,
        number: u64,
    },
    Answer {
        client: usize,
        number: u64,
        answer: Answer,
    },
    Heal,
    Final,
}

/// What arrives at a machine.
pub(super) enum Delivery<M> {
    Tick,
    Message { from: NodeId, message: M },
    Request { client: usize, number: u64, request: Request },
}

/// A fault that has begun.
pub(super) struct Active {
    pub id: u32,
    pub fault: Fault,
    /// What the proof that it bit is measured from.
    pub before: u64,
}

/// Each message of so many is written and read on its way, as the runtime does with all of them: what does not survive that
/// shows in any thousand messages, and each costs time.
const WRITTEN_EVERY: u64 = 16;

/// Everything.
pub(super) struct World<'a, P: Protocol, O> {
    options: &'a Options,
    pub queue: Queue<Happening<P::Message>>,
    pub machines: Vec<Machine<P>>,
    pub network: Network,
    pub clients: Clients,
    pub active: Vec<Active>,
    pub faults_begun: u32,
    /// The latest term each node was seen in, and the latest it was seen to lead.
    pub terms: Vec<(u64, u64)>,
    pub random: Random,
    pub heals: Micros,
    is_buffered: bool,
    pub counts: Counts,
    observe: O,
}

impl<'a, P: Protocol, O: FnMut(NodeId, &P)> World<'a, P, O> {
    pub(super) fn new(options: &'a Options, observe: O) -> Self {
        let stream = |purpose| Random::new(options.seed, purpose);
        World {
            options,
            queue: Queue::new(),
            machines: (0..options.nodes).map(|_| Machine::new()).collect(),
            network: Network::new(options.nodes, options.mix, stream(1)),
            clients: Clients::new::<P>(options, stream(2)),
            active: Vec::new(),
            faults_begun: 0,
            terms: vec![(0, 0); options.nodes],
            random: stream(3),
            heals: options.load.as_micros() as Micros,
            is_buffered: options.bugs.contains(ACK_BEFORE_FSYNC.name),
            counts: Counts::default(),
            observe,
        }
    }

    /// From the first start of the nodes to the last answer of the final reads.
    pub(super) fn run(&mut self) {
        self.clients.say(0, What::Phase("load".into()));
        for node in 0..self.machines.len() {
            self.start(node);
        }
        for client in 0..self.clients.all.len() {
            let at = self.clients.thinks();
            self.queue.at(at, Happening::Call { client });
        }
        for planned in faults::schedule(self.options.mix, self.heals, &mut self.random) {
            self.queue.at(planned.begin, Happening::Begin(planned));
        }
        self.queue.at(self.heals, Happening::Heal);
        self.queue.at(self.heals + RECOVERS, Happening::Final);
        let end = self.heals + RECOVERS + FINAL;
        while let Some(happening) = self.queue.next(end) {
            self.counts.happenings += 1;
            self.happen(happening);
            if self.queue.now() >= self.heals + RECOVERS && self.clients.is_over() {
                break;
            }
        }
        self.counts.lost = self.network.lost;
        self.counts.simulated_micros = self.queue.now();
    }

    fn happen(&mut self, happening: Happening<P::Message>) {
        let now = self.queue.now();
        match happening {
            Happening::Tick { node, life } if self.machines[node].life == life => {
                let jitter = self.random.below(2_000);
                let next = now + P::TICK.as_micros() as Micros + jitter;
                self.queue.at(next, Happening::Tick { node, life });
                if self.is_buffered && self.random.below(SYNC_IN) == 0 {
                    self.machines[node].disk.sync();
                }
                self.deliver(node, Delivery::Tick);
            }
            Happening::Deliver { node, delivery } => self.deliver(node, delivery),
            Happening::Durable { node, life } if self.machines[node].life == life => self.durable(node),
            Happening::Blink { node, life } if self.machines[node].life == life => self.blink(node),
            Happening::Tick { .. } | Happening::Durable { .. } | Happening::Blink { .. } => {}
            Happening::Begin(planned) => self.begin(planned),
            Happening::End { fault } => self.end(fault),
            Happening::Strike { node } => {
                let leader = NodeId(node as u8);
                let fault = faults::strike(leader, self.machines.len(), &mut self.random);
                self.strike_with(fault);
            }
            Happening::Start { node } => self.start_if_free(node),
            Happening::Call { client } => self.call(client),
            Happening::TryAgain { client, number } => {
                let again = self.clients.try_again(now, client, number);
                self.send_try(client, again);
            }
            Happening::GiveUp { client, number } => {
                let ended = self.clients.give_up(now, client, number);
                self.after(client, ended);
            }
            Happening::Answer { client, number, answer } => {
                let ended = self.clients.answer(now, client, number, answer);
                self.after(client, ended);
            }
            Happening::Heal => self.clients.say(now, What::Phase("heal".into())),
            Happening::Final => self.clients.say(now, What::Phase("final".into())),
        }
    }

    // Machines.

    fn start(&mut self, node: usize) {
        let now = self.queue.now();
        let machine = &mut self.machines[node];
        let id = NodeId(node as u8);
        let config = Config {
            id,
            nodes: (0..self.options.nodes).map(|node| NodeId(node as u8)).collect(),
            seed: self.options.seed,
            bugs: self.options.bugs.clone(),
            snapshot_every: self.options.snapshot_every,
            settings: self.options.settings.clone(),
        };
        machine.life += 1;
        machine.is_paused = false;
        let started = P::start(config, machine.disk.recover(), machine.clocks.read(now));
        (self.observe)(id, &started);
        machine.node = Some(started);
        let life = machine.life;
        let first = now + self.random.below(P::TICK.as_micros() as u64);
        self.queue.at(first, Happening::Tick { node, life });
    }

    fn deliver(&mut self, node: usize, delivery: Delivery<P::Message>) {
        let now = self.queue.now();
        let machine = &mut self.machines[node];
        let Some(protocol) = &mut machine.node else {
            if let Delivery::Request { client, number, .. } = delivery {
                self.answer_later(client, number, Answer::NotConnected);
            }
            return;
        };
        if machine.is_paused {
            let is_tick = matches!(delivery, Delivery::Tick);
            let holds_tick = || machine.held.iter().any(|held| matches!(held, Delivery::Tick));
            if !is_tick || !holds_tick() {
                machine.held.push(delivery);
            }
            return;
        }
        let input = match delivery {
            Delivery::Tick => Input::Tick,
            Delivery::Message { from, message } => Input::Message { from, message },
            Delivery::Request { client, number, request } => {
                let ticket = Ticket(machine.next_ticket);
                machine.next_ticket += 1;
                machine.waiting.insert(ticket, (client, number));
                Input::Request { ticket, request }
            }
        };
        let mut output = Output::default();
        protocol.handle(machine.clocks.read(now), input, &mut output);
        (self.observe)(NodeId(node as u8), protocol);
        self.watch(node);
        self.put_out(node, output);
    }

    /// What a node wants done: written first, and sent when that is durable.
    fn put_out(&mut self, node: usize, mut output: Output<P>) {
        let now = self.queue.now();
        let slow = self.active.iter().filter_map(|active| match active.fault {
            Fault::SlowDisk { node: slow, micros } if usize::from(slow.0) == node => Some(micros),
            _ => None,
        });
        let longest = slow.max().unwrap_or(FSYNC.1);
        let machine = &mut self.machines[node];
        if self.is_buffered {
            machine.disk.write(std::mem::take(&mut output.disk), true);
        }
        if output.disk.is_empty() && machine.outbox.is_empty() {
            return self.let_out(node, output);
        }
        let writes = !output.disk.is_empty();
        let takes = if writes { self.random.between(FSYNC.0, longest) } else { 0 };
        let before = machine.outbox.back().map_or(0, |(due, _)| *due);
        let due = before.max(now + takes);
        machine.outbox.push_back((due, output));
        let life = machine.life;
        self.queue.at(due, Happening::Durable { node, life });
        if writes && machine.is_doomed {
            self.crash(node);
        }
    }

    fn durable(&mut self, node: usize) {
        let machine = &mut self.machines[node];
        if let Some((_, mut output)) = machine.outbox.pop_front() {
            machine.disk.write(std::mem::take(&mut output.disk), false);
            self.let_out(node, output);
        }
    }

    fn let_out(&mut self, node: usize, output: Output<P>) {
        let now = self.queue.now();
        let from = NodeId(node as u8);
        for (to, message) in output.send {
            let mut copies = self.network.copies(from, to);
            let Some(first) = copies.next() else { continue };
            self.counts.messages += 1;
            let is_written = self.counts.messages.is_multiple_of(WRITTEN_EVERY);
            let message = if is_written { written(&message) } else { message };
            let node = usize::from(to.0);
            if let Some(second) = copies.next() {
                let delivery = Delivery::Message { from, message: message.clone() };
                self.queue.at(now + second, Happening::Deliver { node, delivery });
            }
            let delivery = Delivery::Message { from, message };
            self.queue.at(now + first, Happening::Deliver { node, delivery });
        }
        for (ticket, response) in output.reply {
            if let Some((client, number)) = self.machines[node].waiting.remove(&ticket) {
                self.answer_later(client, number, Answer::Response(response));
            }
        }
    }

    pub(super) fn crash(&mut self, node: usize) {
        if self.machines[node].node.is_none() {
            return;
        }
        self.counts.crashes += 1;
        for (client, number) in self.machines[node].crash(&mut self.random) {
            self.answer_later(client, number, Answer::Broken);
        }
    }

    pub(super) fn start_if_free(&mut self, node: usize) {
        let keeps_down = |active: &Active| match &active.fault {
            Fault::Crash { nodes, .. } => nodes.contains(&NodeId(node as u8)),
            _ => false,
        };
        if self.machines[node].node.is_none() && !self.active.iter().any(keeps_down) {
            self.start(node);
        }
    }

    // Clients.

    fn call(&mut self, client: usize) {
        let now = self.queue.now();
        let ends = self.heals + RECOVERS;
        if (ends.saturating_sub(self.options.quiet.as_micros() as Micros)..ends).contains(&now) {
            return self.queue.at(ends, Happening::Call { client });
        }
        let first = if now < ends {
            Some(self.clients.begin(now, client))
        } else if client < self.options.nodes {
            self.clients.begin_final(now, client)
        } else {
            None
        };
        if let Some(first) = &first {
            let gives_up = Happening::GiveUp { client, number: first.number };
            self.queue.at(Clients::gives_up(now), gives_up);
        }
        self.send_try(client, first);
    }

    fn send_try(&mut self, client: usize, next: Option<Try>) {
        let Some(Try { node, number, request, again }) = next else { return };
        let arrives = self.queue.now() + self.random.between(CLIENT_DELAY.0, CLIENT_DELAY.1);
        let delivery = Delivery::Request { client, number, request };
        self.queue.at(arrives, Happening::Deliver { node, delivery });
        if let Some(again) = again {
            self.queue.at(again, Happening::TryAgain { client, number });
        }
    }

    fn answer_later(&mut self, client: usize, number: u64, answer: Answer) {
        let arrives = self.queue.now() + self.random.between(CLIENT_DELAY.0, CLIENT_DELAY.1);
        self.queue.at(arrives, Happening::Answer { client, number, answer });
    }

    /// After a call comes the next.
    fn after(&mut self, client: usize, has_ended: bool) {
        let now = self.queue.now();
        if !has_ended {
            return;
        }
        if now >= self.heals + RECOVERS {
            self.clients.count_final(client);
        }
        let next = now + self.clients.thinks();
        self.queue.at(next, Happening::Call { client });
    }
}
