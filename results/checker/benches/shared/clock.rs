//! How long something takes: the shortest of several runs.

#[path = "processor.rs"]
mod processor;

use std::time::{Duration, Instant};

use processor::processor_time;

/// A run that takes longer is not repeated.
const LONG: Duration = Duration::from_secs(1);

/// The shortest of so many runs, and an answer. By the clock; of a run so long that others may have had the processor in
/// between, by the time this process had processors, all its threads together.
pub fn best<T>(runs: usize, mut run: impl FnMut() -> T) -> (Duration, T) {
    let mut timed = || {
        let had = processor_time();
        let start = Instant::now();
        // Else the work might be moved behind the second look at the clock.
        let answer = std::hint::black_box(run());
        let took = start.elapsed();
        let had = processor_time() - had;
        (if took > Duration::from_millis(20) { took.min(had) } else { took }, answer)
    };
    let (mut fastest, mut answer) = timed();
    for _ in 1..runs {
        if fastest > LONG {
            break;
        }
        let (took, again) = timed();
        fastest = fastest.min(took);
        answer = again;
    }
    (fastest, answer)
}
