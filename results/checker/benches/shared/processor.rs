//! The time a program had processors.

use std::time::Duration;

/// How long the threads of this process had processors, all together: what other programs do at the same time hardly
/// matters then. The kernel's account goes by milliseconds.
pub fn processor_time() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").expect("the kernel lists threads");
    let accounts = threads.filter_map(|thread| {
        let account = std::fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        account.split(' ').next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(accounts.sum())
}
