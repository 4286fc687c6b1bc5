//! The last reads of a workload: at once, and, if a plan asks for it, once more after a while in which nobody writes. Nodes
//! that copy from one another need a moment to agree; whoever asks only at once hears of that moment and nothing else.

use std::time::Duration;

use schism_engine::generator::{Calls, Context, EachThread, Generator, Next, Phases};
use schism_engine::target::Setting;
use schism_history::{Call, Time};

use crate::{Settings, number};

/// The setting, for workloads that have it.
pub(crate) const SETTLE: Setting = Setting {
    name: "settle-ms",
    about: "after this many milliseconds without writes all is read once more; once only by default",
};

/// Each client makes the reads of its number, and makes them again once all had time to settle.
pub(crate) fn last_reads(
    settings: &Settings,
    reads: impl Fn(usize) -> Vec<Call> + Send + 'static,
) -> Box<dyn Generator> {
    let settle = settings.get(SETTLE.name).map(|_| Duration::from_millis(number(settings, SETTLE.name, 0)));
    Box::new(EachThread::new(move |thread: usize| -> Box<dyn Generator> {
        let round = || -> Box<dyn Generator> { Box::new(Calls::new(reads(thread))) };
        match settle {
            None => round(),
            Some(settle) => {
                let pause = Pause { settle, until: None };
                Box::new(Phases::new(vec![round(), Box::new(pause), round()]))
            }
        }
    }))
}

/// Nothing, for a while.
struct Pause {
    settle: Duration,
    until: Option<Time>,
}

impl Generator for Pause {
    fn next(&mut self, context: &mut Context<'_>) -> Next {
        let end = || Time::from(context.now.since_start() + self.settle);
        let until = *self.until.get_or_insert_with(end);
        if context.now < until { Next::Later(until) } else { Next::Done }
    }
}

#[cfg(test)]
mod tests {
    use schism_engine::generator::rehearsal::Rehearsal;

    use super::*;

    fn read(settings: &[(&str, &str)]) -> Vec<(usize, Time)> {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let reads = |thread: usize| vec![Call::Read { key: (thread as i64).into() }; 2];
        let made = Rehearsal::new(3).run(last_reads(&settings, reads));
        made.into_iter().map(|made| (made.thread, made.at)).collect()
    }

    #[test]
    fn all_is_read_again_once_it_had_time_to_settle() {
        assert_eq!(read(&[]).len(), 6);
        let made = read(&[("settle-ms", "700")]);
        assert_eq!(made.len(), 12);
        for thread in 0..3 {
            let times: Vec<Time> = made.iter().filter(|(by, _)| *by == thread).map(|(_, at)| *at).collect();
            assert!(times[2].since(times[1]) >= Duration::from_millis(700), "{times:?}");
        }
    }
}
