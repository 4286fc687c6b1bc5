//! Carries out what a generator says: one thread a client, each asking for its next call when its last one ended.
//!
//! On the way from one call to the next there is one lock and no hand-over between threads, which is what makes hundreds
//! of thousands of calls a second possible.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schism_history::{Call, Outcome, Process, Time, What};

use crate::backend::{BackendError, ClientNetwork};
use crate::client::Client;
use crate::generator::{Context, Generator, Next};
use crate::live::Live;
use crate::random::Random;
use crate::recorder::Recorder;
use crate::stop::Stop;

/// How long a thread that was told to wait sleeps at most before it asks again; it is woken earlier when anything happens.
const NAP: Duration = Duration::from_millis(50);

/// The clients of a run. Lives through all its phases, since a process that is retired stays retired.
pub struct Clients<'a> {
    /// The names of the nodes.
    pub nodes: &'a [String],
    /// Makes a client of the node at that position.
    pub connect: &'a (dyn Fn(usize) -> Box<dyn Client> + Sync),
    /// Where they live.
    pub network: &'a dyn ClientNetwork,
    /// How long a call may take.
    pub timeout: Duration,
    /// Where everything is written down.
    pub recorder: &'a Recorder,
    /// Where it can be watched.
    pub live: &'a Live,
    /// Who may end it early.
    pub stop: &'a Stop,
    /// After so many calls a client goes on at the next node, with what its session has seen; 0: never.
    pub roam: u64,
    /// Whom each thread plays now.
    sessions: Vec<Session>,
}

/// A process, and what it has seen, while it is between two clients.
struct Session {
    process: Process,
    context: Option<String>,
}

impl Session {
    /// Keeps what it has seen, if it had a client at all.
    fn leave(&mut self, client: Option<Box<dyn Client>>) {
        if let Some(client) = client {
            self.context = client.context();
        }
    }
}

/// What the threads share while they run.
struct Desk {
    generator: Box<dyn Generator>,
    random: Random,
    waiting: usize,
}

/// The desk, and the bell that rings when something happened at it.
struct Office {
    desk: Mutex<Desk>,
    news: Condvar,
}

impl<'a> Clients<'a> {
    /// So many clients; the thread at position i speaks to the node at position i modulo their number, or begins there
    /// if it roams.
    #[expect(
        clippy::too_many_arguments,
        reason = "a run's parts, each named at the one place that calls this"
    )]
    pub fn new(
        threads: usize,
        nodes: &'a [String],
        connect: &'a (dyn Fn(usize) -> Box<dyn Client> + Sync),
        network: &'a dyn ClientNetwork,
        timeout: Duration,
        recorder: &'a Recorder,
        live: &'a Live,
        stop: &'a Stop,
    ) -> Self {
        let session = |thread| Session { process: Process(thread), context: None };
        let sessions = (0..threads as u32).map(session).collect();
        Clients { nodes, connect, network, timeout, recorder, live, stop, roam: 0, sessions }
    }

    /// Carries out a generator to its end, or until asked to stop or the history cannot be written.
    ///
    /// # Errors
    /// When a thread could not enter the clients' network. All threads are through then.
    pub fn carry_out(&mut self, generator: Box<dyn Generator>, random: Random) -> Result<(), BackendError> {
        let office =
            Office { desk: Mutex::new(Desk { generator, random, waiting: 0 }), news: Condvar::new() };
        let mut sessions = std::mem::take(&mut self.sessions);
        let threads = sessions.len();
        let shared = &*self;
        let results: Vec<Result<(), BackendError>> = std::thread::scope(|scope| {
            let office = &office;
            let handles: Vec<_> = sessions
                .iter_mut()
                .enumerate()
                .map(|(thread, session)| scope.spawn(move || shared.work(office, thread, threads, session)))
                .collect();
            handles.into_iter().map(|thread| thread.join().expect("a client does not panic")).collect()
        });
        self.sessions = sessions;
        results.into_iter().collect()
    }

    /// One thread's work: ask, call, tell, ask again.
    fn work(
        &self,
        office: &Office,
        thread: usize,
        threads: usize,
        session: &mut Session,
    ) -> Result<(), BackendError> {
        self.network.enter()?;
        sleep_precisely();
        let mut node = thread % self.nodes.len();
        let mut calls = 0;
        let mut client: Option<Box<dyn Client>> = None;
        let mut ended: Option<(Call, Outcome)> = None;
        loop {
            let mut desk = office.lock();
            if let Some((call, outcome)) = ended.take() {
                let Desk { generator, random, .. } = &mut *desk;
                let mut context = Context { now: self.recorder.now(), thread, threads, random };
                generator.update(&mut context, &call, &outcome);
            }
            let Some((call, due)) = self.next(office, desk, thread, threads) else {
                session.leave(client.take());
                return Ok(());
            };
            if self.roam > 0 && calls == self.roam {
                session.leave(client.take());
                (node, calls) = ((node + 1) % self.nodes.len(), 0);
            }
            calls += 1;
            self.recorder.record(What::Invoke {
                process: session.process,
                node: Some(self.nodes[node].clone()),
                call: call.clone(),
            });
            let outcome = client.get_or_insert_with(|| self.go_on(session, node)).call(&call, self.timeout);
            let now = self.recorder.record(What::Complete {
                process: session.process,
                call: call.clone(),
                outcome: outcome.clone(),
            });
            self.live.ended(&outcome, now.since(due));
            if matches!(outcome, Outcome::Info(_)) {
                // This process is never heard of again: whatever it asked may still happen. The thread goes on as a new
                // one, over a new connection.
                session.process.0 += threads as u32;
                client = None;
            }
            ended = Some((call, outcome));
        }
    }

    /// A client of a node that knows what its session has seen.
    fn go_on(&self, session: &mut Session, node: usize) -> Box<dyn Client> {
        let mut client = (self.connect)(node);
        if let Some(context) = session.context.take() {
            client.resume(context);
        }
        client
    }

    /// The thread's next call and when it was due, or nothing if it has done its part.
    fn next<'o>(
        &self,
        office: &'o Office,
        mut desk: MutexGuard<'o, Desk>,
        thread: usize,
        threads: usize,
    ) -> Option<(Call, Time)> {
        loop {
            if self.stop.requested() || self.recorder.broken() {
                return None;
            }
            let Desk { generator, random, waiting } = &mut *desk;
            let mut context = Context { now: self.recorder.now(), thread, threads, random };
            let next = generator.next(&mut context);
            if !matches!(next, Next::Wait) && *waiting > 0 {
                office.news.notify_all();
            }
            match next {
                Next::Call(call, due) => return Some((call, due)),
                Next::Done => return None,
                Next::Later(at) => {
                    drop(desk);
                    self.stop.sleep_until(self.recorder.start() + at.since_start());
                    desk = office.lock();
                }
                Next::Wait => {
                    desk.waiting += 1;
                    desk = office.news.wait_timeout(desk, NAP).unwrap_or_else(PoisonError::into_inner).0;
                    desk.waiting -= 1;
                }
            }
        }
    }
}

impl Office {
    fn lock(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the kernel to wake this thread when it is due, not up to 50 µs later: calls are made on a schedule.
fn sleep_precisely() {
    #[cfg(target_os = "linux")]
    // SAFETY: this call reads no memory and changes only how this thread's timers are rounded.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs::File;
    use std::io::BufReader;

    use schism_history::{History, Ret, Value, jsonl};

    use super::*;
    use crate::generator::rehearsal::reads;
    use crate::generator::{Limit, Phases, Rate};

    struct Here;

    impl ClientNetwork for Here {
        fn enter(&self) -> Result<(), BackendError> {
            Ok(())
        }
    }

    /// Answers like a script: what it does depends on the number of its call.
    struct Scripted<F>(u64, F);

    impl<F: FnMut(u64) -> Outcome + Send> Client for Scripted<F> {
        fn call(&mut self, call: &Call, _: Duration) -> Outcome {
            self.0 += 1;
            match (self.1)(self.0) {
                Outcome::Ok(_) if call.changes() => Outcome::Ok(Ret::Done),
                outcome => outcome,
            }
        }
    }

    fn ok() -> Outcome {
        Outcome::Ok(Ret::Value(Value::Nil))
    }

    fn carry_out(
        threads: usize,
        generator: impl Generator + 'static,
        answer: impl Fn(u64) -> Outcome + Send + Sync + Copy + 'static,
    ) -> History {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        let (live, stop) = (Live::default(), Stop::default());
        let nodes = ["n1".to_string(), "n2".to_string()];
        let connect = |_| Box::new(Scripted(0, answer)) as Box<dyn Client>;
        let second = Duration::from_secs(1);
        let mut clients = Clients::new(threads, &nodes, &connect, &Here, second, &recorder, &live, &stop);
        clients.carry_out(Box::new(generator), Random::of(1, "test")).unwrap();
        recorder.finish().unwrap();
        jsonl::read(BufReader::new(File::open(path).unwrap())).unwrap().history
    }

    /// The reader itself refuses a process that comes back, so that the history reads at all is most of the proof.
    #[test]
    fn a_process_is_retired_after_info_and_its_thread_goes_on() {
        let history = carry_out(3, Limit::new(60, reads()), |call| match call % 4 {
            0 => Outcome::Info("no answer".into()),
            _ => ok(),
        });
        assert_eq!(history.len(), 60);
        let mut nodes: BTreeMap<u32, BTreeSet<std::sync::Arc<str>>> = BTreeMap::new();
        for operation in history.rows() {
            let node = operation.node.clone().unwrap();
            nodes.entry(operation.process.0 % 3).or_default().insert(node);
        }
        assert!(nodes.values().all(|nodes| nodes.len() == 1), "a thread keeps to its node: {nodes:?}");
        assert!(history.rows().iter().any(|operation| operation.process.0 >= 3));
    }

    #[test]
    fn phases_do_not_overlap() {
        let phases =
            Phases::new(vec![Box::new(Limit::new(20, reads())), Box::new(Limit::new(20, writes_of_1()))]);
        let history = carry_out(4, phases, |_| ok());
        let (writes, reads): (Vec<_>, Vec<_>) =
            history.rows().iter().partition(|operation| operation.call.changes());
        assert_eq!((reads.len(), writes.len()), (20, 20));
        assert!(reads.iter().all(|read| writes.iter().all(|write| read.precedes(write))));
    }

    fn writes_of_1() -> impl Generator {
        crate::generator::Forever(|_: &mut Context<'_>| Call::Write { key: 0.into(), value: 1.into() })
    }

    /// Answers with how many calls its session has made, at whichever nodes; every seventh is lost.
    struct Counting(i64);

    impl Client for Counting {
        fn call(&mut self, _: &Call, _: Duration) -> Outcome {
            self.0 += 1;
            if self.0 == 7 { Outcome::Info("lost".into()) } else { Outcome::Ok(Ret::Value(self.0.into())) }
        }

        fn context(&self) -> Option<String> {
            Some(self.0.to_string())
        }

        fn resume(&mut self, context: String) {
            self.0 = context.parse().unwrap();
        }
    }

    #[test]
    fn a_client_that_roams_takes_its_session_along_and_a_new_process_begins_a_new_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("history.jsonl");
        let recorder = Recorder::create(&path).unwrap();
        let (live, stop) = (Live::default(), Stop::default());
        let nodes = ["n1".to_string(), "n2".to_string(), "n3".to_string()];
        let connect = |_| Box::new(Counting(0)) as Box<dyn Client>;
        let second = Duration::from_secs(1);
        let mut clients = Clients::new(1, &nodes, &connect, &Here, second, &recorder, &live, &stop);
        clients.roam = 2;
        clients.carry_out(Box::new(Limit::new(9, reads())), Random::of(1, "test")).unwrap();
        clients.roam = 0;
        clients.carry_out(Box::new(Limit::new(2, reads())), Random::of(1, "test")).unwrap();
        recorder.finish().unwrap();
        let history = jsonl::read(BufReader::new(File::open(path).unwrap())).unwrap().history;
        let visited: Vec<String> =
            history.rows().iter().map(|operation| operation.node.clone().unwrap().to_string()).collect();
        assert_eq!(visited, ["n1", "n1", "n2", "n2", "n3", "n3", "n1", "n1", "n2", "n1", "n1"]);
        let counted: Vec<Option<Value>> =
            history.operations().map(|operation| operation.read().cloned()).collect();
        let expected =
            [Some(1), Some(2), Some(3), Some(4), Some(5), Some(6), None, Some(1), Some(2), Some(3), Some(4)];
        assert_eq!(counted, expected.map(|count| count.map(Value::Int)));
    }

    /// One call in five blocks its client for 20 ms; the other clients keep the schedule.
    #[test]
    fn calls_are_not_made_before_they_are_due() {
        let history = carry_out(4, Limit::new(50, Rate::new(1_000.0, reads())), |call| {
            if call % 5 == 0 {
                std::thread::sleep(Duration::from_millis(20));
            }
            ok()
        });
        let first = history.rows()[0].invoked.0;
        for (place, operation) in history.rows().iter().enumerate() {
            let due = first + place as u64 * 1_000_000;
            assert!(operation.invoked.0 + 1_000_000 >= due, "call {place} was made early");
        }
    }
}
