//! Finds threads that will return into code that is to be changed: a signal has interrupted them there, and its handler still
//! runs. Where a thread was interrupted stands in the frame that the kernel puts on the handler's stack.
//!
//! The frame is searched for by its shape on the stack in use, above the stack pointer. Cannot find one that a handler has left
//! behind on another stack (`swapcontext`), nor one beyond the first mebibyte.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

use super::arch::{FRAME_BYTES, interrupted};
use super::vdso;

/// How much of a stack is searched.
const DEPTH: u64 = 1 << 20;

/// Whether a thread whose stack pointer is this will return into one of these ranges, other than to its beginning.
///
/// # Errors
/// When the process's memory cannot be read.
pub(super) fn returns_into(pid: i32, memory: &File, stack: u64, ranges: &[(u64, u64)]) -> io::Result<bool> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps"))?;
    let around = maps.lines().filter_map(vdso::range).find(|(start, end)| (*start..*end).contains(&stack));
    let Some((_, end)) = around else { return Ok(false) };
    let mut bytes = vec![0; (end - stack).min(DEPTH) as usize];
    memory.read_exact_at(&mut bytes, stack)?;
    Ok(holds_frame(&bytes, ranges))
}

/// Whether these bytes, which begin at a multiple of eight, hold a frame of a signal that came inside one of these ranges.
fn holds_frame(stack: &[u8], ranges: &[(u64, u64)]) -> bool {
    let inside = |at: u64| ranges.iter().any(|(start, end)| (start + 1..*end).contains(&at));
    stack.windows(FRAME_BYTES).step_by(8).any(|frame| interrupted(frame).is_some_and(inside))
}

#[cfg(test)]
mod tests {
    use super::super::trace::Held;
    use super::super::{Block, JUMP_BYTES, Process, mend, places, ranges, read, skew};
    use super::*;

    #[cfg(target_arch = "aarch64")]
    #[test]
    fn a_frame_is_known_by_its_shape() {
        let ranges = [(0x7000, 0x7018)];
        let frame = |stack: u64, at: u64, state: u64| {
            let words = [0, stack, at, state, 0];
            words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect::<Vec<u8>>()
        };
        let stack = 0x7fff_fff0;
        assert!(holds_frame(&frame(stack, 0x7004, 0x6000_0000), &ranges));
        assert!(holds_frame(&frame(stack, 0x7014, 0x1000), &ranges));
        assert!(!holds_frame(&frame(stack, 0x7000, 0), &ranges), "at the beginning nothing is half done");
        assert!(!holds_frame(&frame(stack, 0x7018, 0), &ranges));
        assert!(!holds_frame(&frame(stack + 8, 0x7004, 0), &ranges), "no stack pointer");
        assert!(!holds_frame(&frame(stack, 0x7004, 0x5), &ranges), "the kernel's own state");
        assert!(!holds_frame(&[], &ranges));
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_frame_is_known_by_its_shape() {
        let ranges = [(0x7000, 0x700c)];
        let frame = |at: u64, flags: u64, selector: u64| {
            let words = [0, 0x7fff_0000, at, flags, selector, 0];
            words.iter().flat_map(|word: &u64| word.to_le_bytes()).collect::<Vec<u8>>()
        };
        assert!(holds_frame(&frame(0x7003, 0x246, 0x2b_0000_0000_0033), &ranges));
        assert!(holds_frame(&frame(0x700b, 0x202, 0x33), &ranges));
        assert!(!holds_frame(&frame(0x7000, 0x246, 0x33), &ranges), "at the beginning nothing is half done");
        assert!(!holds_frame(&frame(0x700c, 0x246, 0x33), &ranges));
        assert!(!holds_frame(&frame(0x7003, 0x7000_0246, 0x33), &ranges), "no flags");
        assert!(!holds_frame(&frame(0x7003, 0x246, 0), &ranges), "no code segment");
        assert!(!holds_frame(&[], &ranges));
    }

    /// In the child: a handler that runs until a byte comes, and then says so.
    static mut WAKE: [i32; 2] = [-1; 2];

    extern "C" fn linger(_signal: i32) {
        let mut byte = 0u8;
        // SAFETY: plain system calls on descriptors that were opened before the fork, and a live byte.
        unsafe {
            libc::read(WAKE[0], (&raw mut byte).cast(), 1);
        }
    }

    /// A child that asks for the time for ever.
    fn ticking() -> i32 {
        // SAFETY: between fork and its end the child makes only calls that are safe there.
        unsafe {
            assert_eq!(libc::pipe((&raw mut WAKE).cast()), 0);
            let pid = libc::fork();
            assert_ne!(pid, -1);
            if pid == 0 {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                libc::signal(libc::SIGUSR1, linger as extern "C" fn(i32) as libc::sighandler_t);
                let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
                loop {
                    libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time);
                }
            }
            pid
        }
    }

    /// A thread is interrupted between the first instructions of the very function that is to be patched. While the handler runs
    /// the process is not patched, and says why; afterwards it is, and lives on.
    #[test]
    fn nobody_returns_into_changed_code() {
        let pid = ticking();
        let process = Process::open(pid).expect("it is our child");
        let places = places();
        let (offset, _) = places[0];
        let start = process.vdso.start + offset as u64;
        let inside = (start, start + JUMP_BYTES as u64);
        {
            let mut held = Held::process(pid).expect("it is our child");
            held.step_into(inside).expect("it asks for the time for ever");
            held.deliver(libc::SIGUSR1);
        }
        let jump = Block { jump_ns: 3_600_000_000_000, ..Block::default() };
        let refused = skew(pid, &jump).expect_err("a handler is running");
        assert!(refused.to_string().contains("signal handler"), "{refused}");
        let mut code = [0; JUMP_BYTES];
        process.memory.read_exact_at(&mut code, start).expect("it lives");
        assert_eq!(code, vdso::image()[offset..offset + JUMP_BYTES], "nothing is changed");
        // SAFETY: a plain system call on our own pipe and a live byte.
        assert_eq!(unsafe { libc::write(WAKE[1], [1u8].as_ptr().cast(), 1) }, 1);
        // The handler needs a moment to end.
        let begun = std::time::Instant::now();
        while let Err(error) = skew(pid, &jump) {
            assert!(begun.elapsed().as_secs() < 20, "{error}");
        }
        let ahead = read(pid, &[]).expect("it lives").expect("it is patched").ahead_ns;
        assert!((ahead - jump.jump_ns).abs() < jump.jump_ns / 2, "{ahead}");
        mend(pid).expect("it lives");
        process.memory.read_exact_at(&mut code, start).expect("it lives");
        assert_eq!(code, vdso::image()[offset..offset + JUMP_BYTES]);
        assert_eq!(ranges(process.vdso, &places).len(), places.len());
        // SAFETY: our own child, which is then waited for.
        unsafe {
            libc::kill(pid, libc::SIGKILL);
            assert_eq!(libc::waitpid(pid, std::ptr::null_mut(), 0), pid);
        }
    }
}
