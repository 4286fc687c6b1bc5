//! Chance of the kinds that links need: delays around a mean, and losses one by one, in bursts or by number.

use std::time::Duration;

use crate::link::{Delay, Loss, Spread};
use crate::random::Random;

/// By how much one packet is late: never less than nothing.
pub(super) fn delay(delay: &Delay, random: &mut Random) -> Duration {
    if delay.jitter.is_zero() {
        return delay.mean;
    }
    let off = match delay.spread {
        Spread::Uniform => 2.0 * fraction(random) - 1.0,
        // Box and Muller (1958).
        Spread::Normal => {
            let radius = (-2.0 * (1.0 - fraction(random)).ln()).sqrt();
            radius * (std::f64::consts::TAU * fraction(random)).cos()
        }
        // With exponent 3 and least value 1, the mean is 3/2 and the variance 3/4.
        Spread::Pareto => ((1.0 - fraction(random)).powf(-1.0 / 3.0) - 1.5) / 0.75f64.sqrt(),
    };
    let seconds = delay.mean.as_secs_f64() + off * delay.jitter.as_secs_f64();
    // The tail of Pareto's law has no end; an hour is one.
    Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))
}

/// From 0 up to but not including 1.
fn fraction(random: &mut Random) -> f64 {
    random.below(1 << 53) as f64 / (1u64 << 53) as f64
}

/// Which of a line's packets are lost: the state that bursts and counting need.
#[derive(Default)]
pub(super) struct Losses {
    count: u32,
    /// In the middle of a burst.
    bad: bool,
}

impl Losses {
    /// Whether the next packet is lost.
    pub(super) fn next(&mut self, loss: Loss, random: &mut Random) -> bool {
        match loss {
            Loss::Random(share) => random.chance(share.probability()),
            Loss::Bursts(share, length) => {
                let share = share.probability();
                let ends = 1.0 / f64::from(length.max(1));
                let begins = if share < 1.0 { share * ends / (1.0 - share) } else { 1.0 };
                // All lost is one burst that never ends.
                self.bad =
                    if self.bad { share >= 1.0 || !random.chance(ends) } else { random.chance(begins) };
                self.bad
            }
            Loss::Every(nth) => {
                self.count = if nth == 0 { 0 } else { (self.count + 1) % nth };
                nth > 0 && self.count == 0
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link::Share;

    const DRAWS: usize = 100_000;

    fn ms(ms: f64) -> Duration {
        Duration::from_secs_f64(ms / 1e3)
    }

    /// Mean and standard deviation, smallest and largest, in milliseconds.
    fn drawn(spread: Spread) -> [f64; 4] {
        let asked = Delay { mean: ms(50.0), jitter: ms(10.0), spread };
        let mut random = Random::of(5, "delays");
        let all: Vec<f64> = (0..DRAWS).map(|_| delay(&asked, &mut random).as_secs_f64() * 1e3).collect();
        let mean = all.iter().sum::<f64>() / DRAWS as f64;
        let variance = all.iter().map(|one| (one - mean).powi(2)).sum::<f64>() / DRAWS as f64;
        let (least, most) = all.iter().fold((f64::MAX, 0f64), |(a, b), one| (a.min(*one), b.max(*one)));
        [mean, variance.sqrt(), least, most]
    }

    #[test]
    fn delays_lie_as_asked_around_the_mean() {
        for (spread, deviation) in [(Spread::Uniform, 5.7735), (Spread::Normal, 10.0), (Spread::Pareto, 10.0)]
        {
            let [mean, found, least, most] = drawn(spread);
            assert!((mean - 50.0).abs() < 0.2, "{spread:?}: mean {mean}");
            // Pareto's fourth moment is infinite: its deviation converges slowly.
            let tolerance = if spread == Spread::Pareto { 0.15 } else { 0.02 };
            assert!((found / deviation - 1.0).abs() < tolerance, "{spread:?}: deviation {found}");
            let [low, high] = match spread {
                Spread::Uniform => [40.0, 60.0],
                Spread::Normal => [0.0, 110.0],
                Spread::Pareto => [50.0 - 5.774, 3_600_000.0],
            };
            assert!(least >= low && most <= high, "{spread:?}: {least} to {most}");
        }
    }

    #[test]
    fn no_jitter_is_exact_and_nothing_arrives_before_it_was_sent() {
        let mut random = Random::of(1, "delays");
        let exact = Delay { mean: ms(7.0), ..Delay::default() };
        assert_eq!(delay(&exact, &mut random), ms(7.0));
        let wild = Delay { mean: ms(1.0), jitter: ms(100.0), spread: Spread::Normal };
        assert!((0..1000).any(|_| delay(&wild, &mut random).is_zero()));
    }

    #[test]
    fn losses_are_as_many_as_asked_and_bursts_as_long() {
        for share in [1, 10, 30] {
            for loss in [Loss::Random(Share::percent(share)), Loss::Bursts(Share::percent(share), 5)] {
                let (mut losses, mut random) = (Losses::default(), Random::of(3, "losses"));
                let lost: Vec<bool> = (0..10 * DRAWS).map(|_| losses.next(loss, &mut random)).collect();
                let count = lost.iter().filter(|lost| **lost).count() as f64;
                let part = count / lost.len() as f64;
                assert!((part / loss.part() - 1.0).abs() < 0.1, "{loss:?}: {part}");
                let bursts = lost.windows(2).filter(|pair| !pair[0] && pair[1]).count() as f64;
                let wanted = if matches!(loss, Loss::Bursts(..)) { 5.0 } else { 1.0 / (1.0 - loss.part()) };
                assert!((count / bursts / wanted - 1.0).abs() < 0.1, "{loss:?}: {}", count / bursts);
            }
        }
        let (mut losses, mut random) = (Losses::default(), Random::of(3, "losses"));
        assert!((0..100).all(|_| losses.next(Loss::Bursts(Share::ALL, 3), &mut random)));
    }

    #[test]
    fn every_nth_is_lost() {
        let (mut losses, mut random) = (Losses::default(), Random::of(3, "losses"));
        let lost: Vec<bool> = (0..6).map(|_| losses.next(Loss::Every(3), &mut random)).collect();
        assert_eq!(lost, [false, false, true, false, false, true]);
        assert!(!losses.next(Loss::Every(0), &mut random));
    }
}
