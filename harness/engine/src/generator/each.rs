//! The same for each thread, and a fixed list of calls.

use std::collections::VecDeque;

use schism_history::{Call, Outcome};

use super::{Context, Generator, Next};

/// Each thread runs a generator of its own, made when it first asks.
pub struct EachThread<F> {
    make: F,
    own: Vec<Option<Box<dyn Generator>>>,
}

impl<F: FnMut(usize) -> Box<dyn Generator> + Send> EachThread<F> {
    /// `make` gets the thread's number.
    pub fn new(make: F) -> Self {
        EachThread { make, own: Vec::new() }
    }
}

impl<F: FnMut(usize) -> Box<dyn Generator> + Send> Generator for EachThread<F> {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        self.own.resize_with(context.threads, || None);
        let own = self.own[context.thread].get_or_insert_with(|| (self.make)(context.thread));
        own.next(&mut Context { now: context.now, thread: 0, threads: 1, random: context.random })
    }

    fn update(&mut self, context: &mut Context<'_>, call: &Call, outcome: &Outcome) {
        if let Some(Some(own)) = self.own.get_mut(context.thread) {
            own.update(context, call, outcome);
        }
    }
}

/// These calls in this order, each once, whoever asks.
pub struct Calls(VecDeque<Call>);

impl Calls {
    /// These.
    pub fn new(calls: impl IntoIterator<Item = Call>) -> Self {
        Calls(calls.into_iter().collect())
    }
}

impl Generator for Calls {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        self.0.pop_front().map_or(Next::Done, |call| Next::Call(call, context.now))
    }
}

#[cfg(test)]
mod tests {
    use super::super::rehearsal::Rehearsal;
    use super::*;

    #[test]
    fn every_thread_makes_every_call_in_order() {
        let read = |key: i64| Call::Read { key: key.into() };
        let made =
            Rehearsal::new(3).run(EachThread::new(move |_| Box::new(Calls::new([read(1), read(2)])) as _));
        assert_eq!(made.len(), 6);
        for thread in 0..3 {
            let own: Vec<&Call> =
                made.iter().filter(|call| call.thread == thread).map(|call| &call.call).collect();
            assert_eq!(own, [&read(1), &read(2)]);
        }
    }
}
