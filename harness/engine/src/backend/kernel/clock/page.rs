//! The two pages that a patched process gets: one of parameters and code, which it may read and execute, and one that it may write
//! to: it says there what it was told last, and it is used as a stack while its clock is read.
//!
//! Parameters are changed while threads read them. Each set is written into the next of several blocks and then chosen by
//! one aligned word, so that a reader sees the old ones or the new ones, and nothing in between.

use super::{arch, labels};

/// One page, and all of it ours.
pub(super) const PAGE_BYTES: usize = 4096;
/// How far apart the two pages begin.
pub(super) const APART: usize = arch::PAGES_APART;
/// How long a skew stands that nobody renews.
pub(super) const LEASE_NS: u64 = 4_000_000_000;
/// How far clocks that are cheaper to read may be behind (a tick of the kernel's, which is 10 ms at most): a moment that is so much
/// older than a renewal is one of its lease.
const COARSE_NS: u64 = 20_000_000;

/// When a lease ends that is renewed at this moment.
pub(super) fn expires(now_ns: u64) -> u64 {
    now_ns + LEASE_NS - COARSE_NS
}

/// Tells our page from others.
pub(super) const MAGIC: [u8; 16] = *b"schism's clock 1";
pub(super) const EXPIRES_AT: usize = 0x10;
pub(super) const WHICH_AT: usize = 0x18;
pub(super) const BLOCKS_AT: usize = 0x40;
pub(super) const BLOCK_BYTES: usize = 64;
pub(super) const BLOCKS: u64 = 8;
/// Where a library has the path of its own file, which ends with a zero.
pub(super) const PATH_AT: usize = BLOCKS_AT + BLOCKS as usize * BLOCK_BYTES;
pub(super) const PATH_BYTES: usize = TRAP_AT - PATH_AT;
pub(super) const TRAP_AT: usize = 0x3f0;
pub(super) const CODE_AT: usize = 0x400;

const _: () = assert!(PATH_AT < TRAP_AT && LEASE_NS > 0);

/// What the payload adds to the time of day. All zero: nothing. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// So much later, or earlier.
    pub jump_ns: i64,
    /// So many nanoseconds more a second, since then.
    pub drift_ppb: i64,
    pub drift_from_ns: u64,
    /// So much later or earlier every other while of this length, since then; the first while is shifted.
    pub strobe_ns: i64,
    pub strobe_every_ns: u64,
    pub strobe_from_ns: u64,
    /// From then on one second less; zero: never.
    pub leap_at_ns: u64,
}

impl Block {
    pub(super) fn bytes(&self) -> [u8; BLOCK_BYTES] {
        let words = [
            self.jump_ns as u64,
            self.drift_ppb as u64,
            self.drift_from_ns,
            self.strobe_ns as u64,
            self.strobe_every_ns,
            self.strobe_from_ns,
            self.leap_at_ns,
        ];
        let mut bytes = [0; BLOCK_BYTES];
        for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }
}

/// A fresh page: no skew, no lease.
pub(super) fn fresh() -> Vec<u8> {
    let mut page = vec![0; CODE_AT];
    page[..MAGIC.len()].copy_from_slice(&MAGIC);
    page[TRAP_AT..TRAP_AT + arch::TRAP.len()].copy_from_slice(&arch::TRAP);
    page.extend(labels::payload());
    assert!(page.len() <= PAGE_BYTES, "the payload is longer than its page");
    page
}
