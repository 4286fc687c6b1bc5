//! What a count over few runs says of the rate behind it: Wilson's interval (1927), which stays honest for none of three
//! and three of three, where the textbook's p ± 2σ is a point.

use serde::Serialize;

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Rate {
    /// In how many it was so.
    pub hits: u64,
    /// Of how many.
    pub of: u64,
}

/// The quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_963_984_540_054;

impl Rate {
    /// Wilson's interval for 95 %, from 0 to 1: everything, if nothing was tried.
    pub fn interval(self) -> (f64, f64) {
        if self.of == 0 {
            return (0.0, 1.0);
        }
        let (n, z2) = (self.of as f64, Z * Z);
        let share = self.hits as f64 / n;
        let middle = (share + z2 / (2.0 * n)) / (1.0 + z2 / n);
        let half = Z * (share * (1.0 - share) / n + z2 / (4.0 * n * n)).sqrt() / (1.0 + z2 / n);
        // Exact at the ends, whatever rounding makes of them.
        let low = if self.hits == 0 { 0.0 } else { (middle - half).max(0.0) };
        let high = if self.hits == self.of { 1.0 } else { (middle + half).min(1.0) };
        (low, high)
    }

    /// `2 of 3 (21–94 %)`.
    pub fn words(self) -> String {
        if self.of == 0 {
            return "none".into();
        }
        let (low, high) = self.interval();
        // Outwards, so that no interval looks narrower than it is.
        let (low, high) = ((low * 100.0).floor(), (high * 100.0).ceil());
        format!("{} of {} ({low}–{high} %)", self.hits, self.of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the published table of Brown, Cai and DasGupta (Interval estimation for a binomial proportion, 2001) and
    /// by hand for the ends: n / (n + z²).
    #[test]
    fn intervals_are_wilsons() {
        let interval = |hits, of| {
            let (low, high) = Rate { hits, of }.interval();
            ((low * 1e4).round() / 1e4, (high * 1e4).round() / 1e4)
        };
        assert_eq!(interval(0, 3), (0.0, 0.5615));
        assert_eq!(interval(3, 3), (0.4385, 1.0));
        assert_eq!(interval(5, 10), (0.2366, 0.7634));
        assert_eq!(interval(1, 10), (0.0179, 0.4042));
        assert_eq!(interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn a_rate_in_words() {
        assert_eq!(Rate { hits: 0, of: 3 }.words(), "0 of 3 (0–57 %)");
        assert_eq!(Rate { hits: 2, of: 3 }.words(), "2 of 3 (20–94 %)");
        assert_eq!(Rate::default().words(), "none");
    }
}
