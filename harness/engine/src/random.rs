//! The one source of chance: a seed a plan, split by name.
//!
//! The stream never changes between versions of Schism: PCG64 (O'Neill, 2014) underneath, and our own few lines for
//! drawing from a range, since those of general libraries may change. A plan thereby repeats exactly; a real cluster
//! does not.

use std::time::Duration;

use rand_pcg::Pcg64;
use rand_pcg::rand_core::Rng;

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(Pcg64);

impl Random {
    /// The stream called `name` of a seed. Streams of different names have nothing to do with one another, so that
    /// drawing more from one never changes another.
    pub fn of(seed: u64, name: &str) -> Self {
        // FNV-1a: stable, and all that is needed to tell names apart.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        for byte in name.bytes() {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        Random(Pcg64::new(u128::from(seed), u128::from(hash)))
    }

    /// A number below `bound`, each equally likely (Lemire's method with rejection).
    ///
    /// # Panics
    /// If `bound` is zero.
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "there is no number below zero");
        let threshold = bound.wrapping_neg() % bound;
        loop {
            let wide = u128::from(self.0.next_u64()) * u128::from(bound);
            if wide as u64 >= threshold {
                return (wide >> 64) as u64;
            }
        }
    }

    /// A position in a sequence of that length.
    pub fn index(&mut self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// True this often, from 0 (never) to 1 (always).
    pub fn chance(&mut self, probability: f64) -> bool {
        ((self.0.next_u64() >> 11) as f64) < probability * (1u64 << 53) as f64
    }

    /// One of these.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.index(items.len())]
    }

    /// Puts these in a random order (Fisher–Yates).
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.index(last + 1));
        }
    }

    /// A duration from `low` up to and including `high`, to the nanosecond.
    pub fn duration(&mut self, low: Duration, high: Duration) -> Duration {
        let span = high.saturating_sub(low).as_nanos() as u64;
        low + Duration::from_nanos(self.below(span.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Recorded once: a change here would make every recorded seed mean something else.
    #[test]
    fn the_stream_never_changes() {
        let mut random = Random::of(7, "generator");
        let drawn: Vec<u64> = (0..5).map(|_| random.below(1000)).collect();
        assert_eq!(drawn, STREAM);
    }

    #[test]
    fn names_split_the_seed() {
        let draw = |seed, name| Random::of(seed, name).below(u64::MAX);
        assert_ne!(draw(7, "generator"), draw(7, "nemesis"));
        assert_ne!(draw(7, "generator"), draw(8, "generator"));
    }

    #[test]
    fn draws_are_fair() {
        let mut random = Random::of(1, "fair");
        let mut counts = [0u32; 6];
        for _ in 0..60_000 {
            counts[random.index(6)] += 1;
        }
        assert!(counts.iter().all(|count| (9_500..10_500).contains(count)), "{counts:?}");
        let heads = (0..60_000).filter(|_| random.chance(0.25)).count();
        assert!((14_400..15_600).contains(&heads), "{heads}");
    }

    const STREAM: [u64; 5] = [191, 628, 428, 242, 545];
}
