//! Locks with leases: clients acquire a lock, use what it guards, showing their fencing token, and give it back. Some
//! sleep past their lease in between, as a client does that is stopped by a long collection of garbage or a swapped-out
//! machine, and wake up believing that they hold the lock still.
//!
//! Finds a resource that lets somebody in who has lost the lock, a lock that two hold at a time, and fencing tokens that do
//! not grow. Cannot find what a client does that keeps its lease alive: none does. The load paces itself; a plan sets
//! `rate = 0`.

use std::time::Duration;

use schism_checker::judges::{Object, Objects};
use schism_engine::generator::{Calls, Context, EachThread, Generator, Next};
use schism_engine::target::Setting;
use schism_engine::workload::Workload;
use schism_history::{Call, CallKind, Key, Outcome, Ret, Time, Value};

use crate::{Entry, Settings, number};

pub(crate) const ENTRY: Entry = Entry {
    name: "lock",
    about: "locks with leases and fencing tokens, some holders sleeping past theirs: nobody late is let in",
    calls: &[CallKind::Acquire, CallKind::Use, CallKind::Release, CallKind::Read],
    settings: &[
        Setting { name: "locks", about: "how many locks; 4 by default" },
        Setting {
            name: "lease-ms",
            about: "for how long the target grants a lock, as it is set there; 2000 by default",
        },
        Setting { name: "hold-ms", about: "how long a lock is held at most; 200 by default" },
        Setting {
            name: "paused-per-100",
            about: "how many of a hundred holders sleep past their lease; 20 by default",
        },
    ],
    make: |settings| make(settings),
};

/// Of a hundred clients that hold nothing so many look at what is guarded, and the rest want the lock.
const READS: u64 = 15;

/// How often somebody uses what it guards before giving the lock back, at most.
const USES: u64 = 3;

/// How long a client that did not get a lock stays away, at most.
const AWAY: Duration = Duration::from_millis(150);

/// How long after its lease's end a sleeper sleeps on, at least: another has taken the lock by then, and used it.
const OVERSLEPT: Duration = Duration::from_secs(1);

fn make(settings: &Settings) -> Workload {
    let locks = number(settings, "locks", 4);
    let lease = Duration::from_millis(number(settings, "lease-ms", 2_000));
    let habits = Habits {
        locks,
        lease,
        hold: Duration::from_millis(number(settings, "hold-ms", 200)),
        paused_per_100: number(settings, "paused-per-100", 20),
    };
    let load = move |_| -> Box<dyn Generator> { Box::new(Client { habits, does: Does::Rests(Time(0)) }) };
    let last = move |_| -> Box<dyn Generator> {
        Box::new(Calls::new((0..locks).map(|lock| Call::Read { key: lock_named(lock) })))
    };
    Workload {
        calls: ENTRY.calls,
        load: Box::new(EachThread::new(load)),
        finale: Box::new(EachThread::new(last)),
        checkers: vec![
            Box::new(Objects { object: Object::Fencing }),
            // Both are in the words of the target: by its own clock a lease may not run out early.
            Box::new(Objects { object: Object::Lease { ttl: lease, clock_error: Duration::ZERO } }),
        ],
        unique_values: false,
    }
}

fn lock_named(lock: u64) -> Key {
    Key::Int(lock as i64)
}

/// What clients do with locks.
#[derive(Clone, Copy)]
struct Habits {
    locks: u64,
    lease: Duration,
    hold: Duration,
    paused_per_100: u64,
}

/// One client.
struct Client {
    habits: Habits,
    does: Does,
}

/// What it does until it makes its next call.
enum Does {
    /// It holds nothing, and asks for a lock at that time.
    Rests(Time),
    /// It takes itself for a holder, and uses what the lock guards at that time, or gives it back after the last use.
    Holds { key: Key, token: Value, uses_left: u64, next: Time },
}

impl Client {
    fn rest(&mut self, context: &mut Context<'_>) {
        self.does = Does::Rests(after(context.now, context.random.duration(Duration::ZERO, AWAY)));
    }

    /// How long a new holder waits before its first use.
    fn first_wait(&self, context: &mut Context<'_>) -> Duration {
        if context.random.below(100) < self.habits.paused_per_100 {
            let past = self.habits.lease + OVERSLEPT;
            context.random.duration(past, past + self.habits.lease)
        } else {
            self.wait(context)
        }
    }

    fn wait(&self, context: &mut Context<'_>) -> Duration {
        context.random.duration(Duration::ZERO, self.habits.hold / (USES as u32 + 1))
    }
}

fn after(now: Time, wait: Duration) -> Time {
    Time::from(now.since_start() + wait)
}

impl Generator for Client {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let (at, call) = match &self.does {
            Does::Rests(until) => (*until, None),
            Does::Holds { key, uses_left: 0, next, .. } => (*next, Some(Call::Release { key: key.clone() })),
            Does::Holds { key, token, next, .. } => {
                (*next, Some(Call::Use { key: key.clone(), token: token.clone() }))
            }
        };
        if at > context.now {
            return Next::Later(at);
        }
        let call = call.unwrap_or_else(|| {
            let key = lock_named(context.random.below(self.habits.locks));
            if context.random.below(100) < READS { Call::Read { key } } else { Call::Acquire { key } }
        });
        Next::Call(call, context.now)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        match (call, outcome) {
            (Call::Acquire { key }, Outcome::Ok(Ret::Value(token))) => {
                let next = after(context.now, self.first_wait(context));
                let uses_left = 1 + context.random.below(USES);
                self.does = Does::Holds { key: key.clone(), token: token.clone(), uses_left, next };
            }
            // Refused or not, it goes on as it meant to: it does not know better.
            (Call::Use { .. }, Outcome::Ok(_) | Outcome::Fail(_)) => {
                let wait = self.wait(context);
                if let Does::Holds { uses_left, next, .. } = &mut self.does {
                    *uses_left -= 1;
                    *next = after(context.now, wait);
                }
            }
            // Given back, not got, or retired: a new process holds nothing.
            _ => self.rest(context),
        }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::TimeLimit;
    use schism_engine::random::Random;

    use super::*;

    /// One client of a lock that always grants, for some calls: what it does, and when.
    fn rehearse(paused: u64) -> Vec<(Time, Call)> {
        let habits = Habits {
            locks: 2,
            lease: Duration::from_secs(2),
            hold: Duration::from_millis(200),
            paused_per_100: paused,
        };
        let client = Client { habits, does: Does::Rests(Time(0)) };
        let mut client = TimeLimit::new(Duration::from_secs(600), client);
        let mut random = Random::of(3, "lock");
        let (mut now, mut made, mut token) = (Time(0), Vec::new(), 0i64);
        loop {
            let mut context = Context { now, thread: 0, threads: 1, random: &mut random };
            match client.next(&mut context) {
                Next::Later(at) => now = at,
                Next::Call(call, _) => {
                    made.push((now, call.clone()));
                    token += 1;
                    let grants = matches!(call, Call::Acquire { .. });
                    let ret = if grants { Ret::Value(token.into()) } else { Ret::Done };
                    let mut context = Context { now, thread: 0, threads: 1, random: &mut random };
                    client.update(&mut context, &call, &Outcome::Ok(ret));
                }
                _ => return made,
            }
        }
    }

    #[test]
    fn a_lock_is_acquired_used_with_its_token_and_given_back() {
        let made = rehearse(0);
        let mut held: Option<(Key, usize)> = None;
        for (at, (_, call)) in made.iter().enumerate() {
            match call {
                Call::Acquire { key } => {
                    assert_eq!(held, None);
                    held = Some((key.clone(), at + 1));
                }
                Call::Read { .. } => assert_eq!(held, None),
                Call::Use { key, token } => {
                    let (lock, granted) = held.clone().unwrap();
                    assert_eq!((key, token), (&lock, &Value::from(granted as i64)));
                }
                _ => assert_eq!(call, &Call::Release { key: held.take().unwrap().0 }),
            }
        }
        assert!(made.len() > 1_000, "{}", made.len());
    }

    #[test]
    fn as_many_sleep_past_their_lease_as_are_told_to() {
        for (paused, expected) in [(0, 0..1), (20, 14..27), (100, 100..101)] {
            let made = rehearse(paused);
            let grants: Vec<_> =
                made.windows(2).filter(|pair| matches!(pair[0].1, Call::Acquire { .. })).collect();
            let slept = |pair: &&&[(Time, Call)]| pair[1].0.since(pair[0].0) > Duration::from_secs(2);
            let percent = grants.iter().filter(slept).count() * 100 / grants.len();
            assert!(expected.contains(&percent), "{paused}: {percent} of {}", grants.len());
        }
    }
}
