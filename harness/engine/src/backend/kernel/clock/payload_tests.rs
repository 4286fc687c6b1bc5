//! The payload's arithmetic, in our own process: what it makes of a moment, beside the same in plain numbers.
//!
//! Run for another processor than this machine's by `CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
//! CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER='qemu-aarch64 -L /usr/aarch64-linux-gnu' cargo test --target
//! aarch64-unknown-linux-gnu -p schism-engine --lib clock` (Debian: gcc-aarch64-linux-gnu, qemu-user).

use super::page::{APART, BLOCK_BYTES, BLOCKS_AT, Block, EXPIRES_AT, LEASE_NS, WHICH_AT, expires, fresh};
use super::{arch, labels, now_ns};
use crate::random::Random;

const SECOND_NS: u64 = 1_000_000_000;

/// The two pages as a patched process has them.
struct Pages(*mut u8);

impl Pages {
    fn new() -> Self {
        // SAFETY: a mapping of our own, written to before it may be executed.
        unsafe {
            let rights = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
            let pages = libc::mmap(std::ptr::null_mut(), 2 * APART, rights, flags, -1, 0).cast::<u8>();
            assert_ne!(pages.cast(), libc::MAP_FAILED);
            let page = fresh();
            std::ptr::copy_nonoverlapping(page.as_ptr(), pages, page.len());
            assert_eq!(libc::mprotect(pages.cast(), APART, rights | libc::PROT_EXEC), 0);
            Pages(pages)
        }
    }

    fn word(&self, at: usize) -> u64 {
        // SAFETY: an aligned word within the mapping.
        unsafe { self.0.add(at).cast::<u64>().read_volatile() }
    }

    fn set(&self, at: usize, bytes: &[u8]) {
        // SAFETY: as many bytes within the mapping.
        unsafe { std::ptr::copy_nonoverlapping(bytes.as_ptr(), self.0.add(at), bytes.len()) };
    }

    fn choose(&self, which: u64, block: &Block, expires_ns: u64) {
        self.set(BLOCKS_AT + which as usize * BLOCK_BYTES, &block.bytes());
        self.set(WHICH_AT, &which.to_le_bytes());
        self.set(EXPIRES_AT, &expires_ns.to_le_bytes());
    }
}

/// What is to be made of a moment.
fn reference(block: &Block, expires_ns: u64, ns: u64) -> u64 {
    if expires_ns.wrapping_sub(ns) > LEASE_NS {
        return ns;
    }
    let since = |from: u64| i128::from(ns) - i128::from(from);
    let mut told = i128::from(ns) + i128::from(block.jump_ns);
    told += since(block.drift_from_ns) * i128::from(block.drift_ppb) / i128::from(SECOND_NS);
    if block.strobe_every_ns != 0
        && (ns.wrapping_sub(block.strobe_from_ns) / block.strobe_every_ns).is_multiple_of(2)
    {
        told += i128::from(block.strobe_ns);
    }
    if block.leap_at_ns != 0 && ns >= block.leap_at_ns {
        told -= i128::from(SECOND_NS);
    }
    told.max(0) as u64
}

#[test]
fn each_moment_is_told_as_the_parameters_say() {
    let pages = Pages::new();
    let mut random = Random::of(1, "payload");
    let mut met = [0; 3];
    for round in 0..200_000u64 {
        let ns = random.below(2_000_000_000) * SECOND_NS + random.below(SECOND_NS);
        let around = |random: &mut Random, ns: u64| match random.below(4) {
            0 => 0,
            1 => ns.saturating_sub(random.below(90_000 * SECOND_NS)),
            2 => ns + random.below(SECOND_NS),
            _ => ns,
        };
        let signed = |random: &mut Random, most: u64| random.below(2 * most) as i64 - most as i64;
        let block = Block {
            jump_ns: signed(&mut random, 2_000_000_000) * random.below(SECOND_NS) as i64,
            drift_ppb: signed(&mut random, 900_000_000),
            drift_from_ns: around(&mut random, ns),
            strobe_ns: signed(&mut random, 3_600 * SECOND_NS),
            strobe_every_ns: random.below(2) * (1 + random.below(SECOND_NS)),
            strobe_from_ns: around(&mut random, ns),
            leap_at_ns: around(&mut random, ns),
        };
        let expires = match random.below(4) {
            0 => ns - 1,
            1 => ns + LEASE_NS + 1,
            _ => ns + random.below(LEASE_NS + 1),
        };
        pages.choose(round % 8, &block, expires);
        let told = arch::shifted(pages.0 as u64, ns);
        assert_eq!(told, reference(&block, expires, ns), "round {round}: {ns} until {expires} {block:?}");
        assert_eq!([pages.word(APART), pages.word(APART + 8)], [ns, told], "it says what it told");
        met[match told {
            0 => 0,
            _ if told == ns => 1,
            _ => 2,
        }] += 1;
    }
    assert!(met.iter().all(|times| *times > 1000), "{met:?}");
}

/// The functions themselves, as a program calls them: what they add is what is told, to the second and what is left of it.
#[test]
fn the_functions_tell_it_as_the_kernel_would() {
    const HOUR_NS: i64 = 3_600_000_000_000;
    let pages = Pages::new();
    let entry = |offset: u64| (pages.0 as u64 + super::CODE_AT as u64 + offset) as *const u8;
    // SAFETY: the payload is there, with functions of these shapes; all pointers are those of live values.
    unsafe {
        let gettime: extern "C" fn(libc::clockid_t, *mut libc::timespec) -> i32 =
            std::mem::transmute(entry(0));
        let of_day: extern "C" fn(*mut libc::timeval, *mut u8) -> i32 =
            std::mem::transmute(entry(arch::FUNCTIONS[1].1()));
        let seconds: extern "C" fn(*mut i64) -> i64 = std::mem::transmute(entry(labels::time()));
        for by in [0, HOUR_NS, -HOUR_NS] {
            pages.choose(1, &Block { jump_ns: by, ..Block::default() }, expires(now_ns()));
            let near = |told_ns: i64| (told_ns - by - now_ns() as i64).abs() < HOUR_NS / 2;
            let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            for clock in [libc::CLOCK_REALTIME, libc::CLOCK_REALTIME_COARSE] {
                assert_eq!(gettime(clock, &raw mut time), 0);
                assert!(near(time.tv_sec * 1_000_000_000 + time.tv_nsec), "{by}");
                assert!((0..1_000_000_000).contains(&time.tv_nsec));
            }
            let mut monotonic = libc::timespec { tv_sec: 0, tv_nsec: 0 };
            libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut monotonic);
            assert_eq!(gettime(libc::CLOCK_MONOTONIC, &raw mut time), 0);
            assert!((time.tv_sec - monotonic.tv_sec).abs() < 1800, "not this one");
            assert_eq!(gettime(99, &raw mut time), -libc::EINVAL);
            let mut day = libc::timeval { tv_sec: 0, tv_usec: 0 };
            assert_eq!(of_day(&raw mut day, std::ptr::null_mut()), 0);
            assert!(near(day.tv_sec * 1_000_000_000 + day.tv_usec * 1000), "{by}");
            assert!((0..1_000_000).contains(&day.tv_usec));
            assert_eq!(of_day(std::ptr::null_mut(), std::ptr::null_mut()), 0);
            let mut written = 0;
            let told = seconds(&raw mut written);
            assert!(told == written && near(told * 1_000_000_000), "{by}");
            assert!(near(seconds(std::ptr::null_mut()) * 1_000_000_000), "{by}");
        }
    }
}
