//! Mean and variance of a stream of draws, in one pass and mergeable.
//!
//! Blocks of draws are reduced on all cores and merged in a fixed order, so that the result has the same bits for any
//! number of threads.

use serde::{Deserialize, Serialize};

/// Count, mean and sum of squared deviations of the values pushed so far.
///
/// Updates follow Welford (1962), merges Chan, Golub and LeVeque (1979); both avoid the cancellation of the textbook
/// formula Σx² − (Σx)²/n. A NaN or infinite value makes the mean NaN or infinite: it is never dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    mean: f64,
    squared_deviations: f64,
}

impl Moments {
    /// Adds one value.
    pub fn push(&mut self, value: f64) {
        self.count += 1;
        let deviation = value - self.mean;
        self.mean += deviation / self.count as f64;
        self.squared_deviations += deviation * (value - self.mean);
    }

    /// Adds all values of `other`. The order of merges fixes the bits of the result.
    pub fn merge(&mut self, other: &Moments) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = *other;
            return;
        }
        let count = self.count + other.count;
        let deviation = other.mean - self.mean;
        let share = other.count as f64 / count as f64;
        self.mean += deviation * share;
        self.squared_deviations += other.squared_deviations + deviation * deviation * self.count as f64 * share;
        self.count = count;
    }

    /// Number of values n.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Arithmetic mean; 0 before the first value.
    pub fn mean(&self) -> f64 {
        self.mean
    }

    /// Sample standard deviation, √(Σ(x − x̄)²/(n − 1)); 0 for fewer than two values.
    pub fn std_dev(&self) -> f64 {
        if self.count < 2 { 0.0 } else { (self.squared_deviations / (self.count - 1) as f64).sqrt() }
    }

    /// Standard error of the mean, s/√n; 0 for fewer than two values.
    pub fn std_error(&self) -> f64 {
        if self.count < 2 { 0.0 } else { self.std_dev() / (self.count as f64).sqrt() }
    }
}

impl Extend<f64> for Moments {
    fn extend<I: IntoIterator<Item = f64>>(&mut self, values: I) {
        values.into_iter().for_each(|value| self.push(value));
    }
}

impl FromIterator<f64> for Moments {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        let mut moments = Moments::default();
        moments.extend(values);
        moments
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_large_offset_does_not_cancel() {
        let moments: Moments = [4.0, 7.0, 13.0, 16.0].map(|x| x + 1e9).into_iter().collect();
        assert_eq!(moments.mean(), 1e9 + 10.0);
        assert!((moments.std_dev().powi(2) - 30.0).abs() < 1e-9);
        assert!((moments.std_error() - (30.0f64 / 4.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn a_value_that_is_not_finite_is_not_dropped() {
        let moments: Moments = [1.0, f64::INFINITY, 2.0].into_iter().collect();
        assert!(!moments.mean().is_finite());
    }

    proptest! {
        #[test]
        fn merging_parts_gives_the_whole(
            values in prop::collection::vec(-1e3f64..1e3, 1..60),
            cut in 0usize..60,
        ) {
            let cut = cut.min(values.len());
            let whole: Moments = values.iter().copied().collect();
            let mut parts: Moments = values[..cut].iter().copied().collect();
            parts.merge(&values[cut..].iter().copied().collect());
            prop_assert_eq!(parts.count(), whole.count());
            prop_assert!((parts.mean() - whole.mean()).abs() < 1e-9);
            prop_assert!((parts.std_dev() - whole.std_dev()).abs() < 1e-9);
        }
    }
}
