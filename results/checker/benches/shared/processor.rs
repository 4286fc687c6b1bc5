//! The time a thread had a processor.

use std::time::Duration;

/// How long this thread had a processor: what other programs do at the same time hardly matters then. The kernel's
/// account goes by milliseconds.
pub fn processor_time() -> Duration {
    let account =
        std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel accounts for threads");
    let nanoseconds = account.split(' ').next().and_then(|number| number.parse().ok());
    Duration::from_nanos(nanoseconds.expect("the first number is the time on a processor"))
}
