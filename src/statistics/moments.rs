//! Mean and variance of a stream of draws, in one pass and mergeable.
//!
//! Blocks of draws are reduced on all cores and merged in a fixed order, so that the result has the same bits for any
//! number of threads.

use serde::{Deserialize, Serialize};

/// Binary exponents, relative to the unit, between which the largest value may lie: its cube, and the square of what is next to
/// rounding beside it, are then far from the ends of the floating-point range.
const COMFORT: i32 = 300;
/// 2⁻³⁰⁰.
const LEAST_ORDINARY: f64 = f64::from_bits((1023 - COMFORT as u64) << 52);
/// 2³⁰⁰.
const MOST_ORDINARY: f64 = f64::from_bits((1023 + COMFORT as u64) << 52);
/// Largest magnitude of the unit's exponent, so that its reciprocal is a normal number.
const LARGEST_EXPONENT: i32 = 900;

/// Count, mean and sums of squared and cubed deviations of the values pushed so far.
///
/// Updates follow Welford (1962), merges Chan, Golub and LeVeque (1979) and Pébay (2008); all avoid the cancellation of
/// the textbook formula Σx² − (Σx)²/n. Sums are kept in a unit 2^e, 1 for ordinary values, so that squares and cubes of
/// values like 10³⁰⁰ or 10⁻³⁰⁰ neither overflow nor vanish. A NaN or infinite value makes the mean NaN or infinite: it is
/// never dropped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Moments {
    count: u64,
    /// The mean, and the sums, in units of 2^exponent.
    #[serde(with = "any_number")]
    mean: f64,
    #[serde(with = "any_number")]
    squared_deviations: f64,
    #[serde(with = "any_number")]
    cubed_deviations: f64,
    #[serde(default)]
    exponent: i32,
}

/// Numbers in formats that have no NaN and no infinity: those are words.
mod any_number {
    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form {
        Number(f64),
        Word(String),
    }

    pub fn serialize<S: Serializer>(number: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if number.is_finite() { serializer.serialize_f64(*number) } else { serializer.collect_str(number) }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        match Form::deserialize(deserializer)? {
            Form::Number(number) => Ok(number),
            Form::Word(word) => word.parse().map_err(serde::de::Error::custom),
        }
    }
}

impl Moments {
    /// Adds one value.
    pub fn push(&mut self, value: f64) {
        let value = self.in_units(value);
        self.count += 1;
        let count = self.count as f64;
        let deviation = value - self.mean;
        let step = deviation / count;
        let square = deviation * step * (count - 1.0);
        self.mean += step;
        self.cubed_deviations += step * (square * (count - 2.0) - 3.0 * self.squared_deviations);
        self.squared_deviations += square;
    }

    /// The value in units of 2^exponent, after a change of the unit where it is out of proportion.
    #[inline]
    fn in_units(&mut self, value: f64) -> f64 {
        let is_ordinary = self.exponent == 0 && (LEAST_ORDINARY..=MOST_ORDINARY).contains(&value.abs());
        if is_ordinary { value } else { self.in_other_units(value) }
    }

    #[cold]
    fn in_other_units(&mut self, value: f64) -> f64 {
        let magnitude = value.abs();
        if magnitude == 0.0 || !magnitude.is_finite() {
            return value;
        }
        let size = magnitude.log2() as i32;
        if size > self.exponent + COMFORT || (self.are_zero() && size < self.exponent - COMFORT) {
            self.change_unit(if size.abs() <= COMFORT { 0 } else { size });
        }
        value * 2f64.powi(-self.exponent)
    }

    /// Whether every value was zero.
    fn are_zero(&self) -> bool {
        self.mean == 0.0 && self.squared_deviations == 0.0
    }

    fn change_unit(&mut self, exponent: i32) {
        let exponent = exponent.clamp(-LARGEST_EXPONENT, LARGEST_EXPONENT);
        // In steps, since the factor of a cube leaves the range of floating-point numbers.
        for _ in 0..3 {
            self.cubed_deviations *= 2f64.powi(self.exponent - exponent);
        }
        for _ in 0..2 {
            self.squared_deviations *= 2f64.powi(self.exponent - exponent);
        }
        self.mean *= 2f64.powi(self.exponent - exponent);
        self.exponent = exponent;
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
        let mut other = *other;
        if self.exponent != other.exponent {
            // The unit of the larger values; zeros have none of their own.
            let exponent = match (self.are_zero(), other.are_zero()) {
                (true, false) => other.exponent,
                (false, true) => self.exponent,
                _ => self.exponent.max(other.exponent),
            };
            self.change_unit(exponent);
            other.change_unit(exponent);
        }
        let count = self.count + other.count;
        let deviation = other.mean - self.mean;
        let (mine, theirs) = (self.count as f64, other.count as f64);
        let share = theirs / count as f64;
        let mixed = mine * other.squared_deviations - theirs * self.squared_deviations;
        self.cubed_deviations += other.cubed_deviations
            + deviation / count as f64 * (deviation * deviation * mine * share * (mine - theirs) + 3.0 * mixed);
        self.mean += deviation * share;
        self.squared_deviations += other.squared_deviations + deviation * deviation * self.count as f64 * share;
        self.count = count;
    }

    /// Whether no value, and no sum of them, left the range of finite numbers.
    pub fn are_finite(&self) -> bool {
        self.mean.is_finite() && self.squared_deviations.is_finite() && self.cubed_deviations.is_finite()
    }

    /// Number of values n.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Arithmetic mean; 0 before the first value.
    pub fn mean(&self) -> f64 {
        self.mean * 2f64.powi(self.exponent)
    }

    /// Sample standard deviation, √(Σ(x − x̄)²/(n − 1)); 0 for fewer than two values.
    pub fn std_dev(&self) -> f64 {
        let root = if self.count < 2 { 0.0 } else { (self.squared_deviations / (self.count - 1) as f64).sqrt() };
        root * 2f64.powi(self.exponent)
    }

    /// Sample skewness, √n Σ(x − x̄)³/(Σ(x − x̄)²)^(3/2); 0 where all values are equal.
    pub fn skewness(&self) -> f64 {
        if self.squared_deviations == 0.0 {
            return 0.0;
        }
        (self.count as f64).sqrt() * self.cubed_deviations / self.squared_deviations.powf(1.5)
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
    fn skewness_has_its_textbook_value() {
        // Of 0, 0, 0, 4: mean 1, Σ(x − 1)² = 12, Σ(x − 1)³ = 24, so √4·24/12^(3/2) = 2/√3.
        let moments: Moments = [0.0, 0.0, 0.0, 4.0].into_iter().collect();
        assert!((moments.skewness() - 2.0 / 3f64.sqrt()).abs() < 1e-14);
        assert_eq!([5.0; 3].into_iter().collect::<Moments>().skewness(), 0.0);
    }

    #[test]
    fn a_value_that_is_not_finite_is_not_dropped() {
        let moments: Moments = [1.0, f64::INFINITY, 2.0].into_iter().collect();
        assert!(!moments.mean().is_finite());
    }

    #[test]
    fn zeros_before_and_after_tiny_values_do_not_hide_them() {
        let tiny: Moments = [0.0, 3e-250, 1e-250].into_iter().collect();
        let mut merged = Moments::default();
        for part in [&[0.0][..], &[3e-250], &[1e-250]] {
            merged.merge(&part.iter().copied().collect());
        }
        for moments in [tiny, merged] {
            assert!((moments.mean() / (4e-250 / 3.0) - 1.0).abs() < 1e-14);
            assert!((moments.std_dev() / 1.527_525_231_651_947e-250 - 1.0).abs() < 1e-12);
        }
    }

    proptest! {
        #[test]
        fn a_power_of_two_goes_through_every_moment(
            values in prop::collection::vec(-1e3f64..1e3, 2..60),
            power in -1000i32..1000,
            cut in 0usize..60,
        ) {
            let plain: Moments = values.iter().copied().collect();
            let unit = |value: f64| value * 2f64.powi(power / 2) * 2f64.powi(power - power / 2);
            let scaled: Vec<f64> = values.iter().map(|&value| unit(value)).collect();
            let cut = cut.min(scaled.len());
            let mut moments: Moments = scaled[..cut].iter().copied().collect();
            moments.merge(&scaled[cut..].iter().copied().collect());
            let close = |a: f64, b: f64, scale: f64| (a - b).abs() <= 1e-9 * scale;
            prop_assert!(close(moments.mean(), unit(plain.mean()), unit(1e3)));
            prop_assert!(close(moments.std_dev(), unit(plain.std_dev()), unit(1e3)));
            prop_assert!((moments.skewness() - plain.skewness()).abs() < 1e-7);
        }

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
            prop_assert!((parts.skewness() - whole.skewness()).abs() < 1e-7);
        }
    }
}
