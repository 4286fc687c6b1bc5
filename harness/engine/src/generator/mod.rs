//! What yields the next call: generators are values that can be tested without a cluster, a clock or a thread.
//!
//! A client thread asks for its next call whenever it has nothing to do; time and chance come as arguments. The shape
//! follows Jepsen's generators, with one difference: there a scheduler picks the thread, here the thread asks. That
//! leaves nothing to schedule, and so nothing to wait for on the way from one call to the next.

mod each;
mod limit;
mod mix;
mod per_key;
mod phases;
mod rate;
pub mod rehearsal;
mod reserve;

use schism_history::{Call, Outcome, Time};

use crate::random::Random;

pub use each::{Calls, EachThread};
pub use limit::{Limit, TimeLimit};
pub use mix::Mix;
pub use per_key::PerKey;
pub use phases::Phases;
pub use rate::{Rate, Stagger};
pub use reserve::Reserve;

/// What a generator may know when it is asked.
pub struct Context<'a> {
    /// The time.
    pub now: Time,
    /// Which thread asks, from 0.
    pub thread: usize,
    /// How many threads there are.
    pub threads: usize,
    /// Where chance comes from.
    pub random: &'a mut Random,
}

/// A generator's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// Make this call now. The time is when it was due, which is now or has passed: how late a call is made belongs to
    /// its latency.
    Call(Call, Time),
    /// Ask again at this time, which lies ahead. What is called is decided then, by what is known then.
    Later(Time),
    /// Nothing yet: ask again when something else has happened.
    Wait,
    /// Nothing for this thread, ever again.
    Done,
}

/// Yields the calls of one workload, thread by thread.
pub trait Generator: Send {
    /// The next call of the thread that asks.
    fn next(&mut self, context: &mut Context<'_>) -> Next;

    /// Learns what became of a call that this generator yielded to `context.thread`.
    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        let _ = (context, call, outcome);
    }
}

impl Generator for Box<dyn Generator> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        (**self).next(context)
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        (**self).update(context, call, outcome);
    }
}

/// A generator from a function that always has a call.
pub struct Forever<F>(pub F);

impl<F: FnMut(&mut Context<'_>) -> Call + Send> Generator for Forever<F> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        Next::Call((self.0)(context), context.now)
    }
}
