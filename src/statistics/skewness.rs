//! Whether the mean of n values of a skewed law can be tested, and with which reference.
//!
//! The standardised mean of a law with a long tail is not normal: samples that missed the tail have a mean that is too low and a
//! standard error that is too small. [`Reference::Skewed`] takes that out to first order where the skewness is small beside √n; where
//! it is not, there are too few values. Simulated (`tests/suite/calibration.rs`): the rates of false alarms are those that tests state.

use super::Reference;

/// Fewer values are no ground for a test: their standard error is itself too uncertain.
pub const LEAST_COUNT: u64 = 20;

/// Largest skewness/√n at which Hall's transformation holds tail probabilities down to 10⁻⁵, for a skewness that is known.
const LARGEST_KNOWN: f64 = 0.25;
/// The same for a skewness that was estimated from the sample.
const LARGEST_ESTIMATED: f64 = 0.1;
/// Standard errors √(6/n) of the sample's skewness that are added to it: a sample that missed the tail looks symmetric.
const ALLOWANCE: f64 = 2.0;

/// Skewness E(X − EX)³/(Var X)^(3/2) of the law behind a sample.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Skewness {
    /// Known from theory.
    Known(f64),
    /// That of the sample.
    Estimated(f64),
}

/// There are too few values for a test.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TooFew {
    /// How many are needed.
    pub needed: f64,
    /// Whether that is known; if not, it is a lower bound, since a sample shows too little of a long tail.
    pub is_known: bool,
}

impl Skewness {
    /// The law of (mean − truth)/standard error for `count` values.
    ///
    /// # Errors
    /// There are too few values for so skewed a law: fewer than [`LEAST_COUNT`], skewness/√n above ¼ where it is known, or
    /// skewness + 2√(6/n) above √n/10 where it is estimated.
    pub fn reference(self, count: u64) -> Result<Reference, TooFew> {
        let needed = self.needed();
        let is_known = matches!(self, Self::Known(_));
        if (count as f64) < needed {
            return Err(TooFew { needed, is_known });
        }
        let (Self::Known(skewness) | Self::Estimated(skewness)) = self;
        Ok(Reference::Skewed { degrees: count as f64 - 1.0, skewness: skewness / (count as f64).sqrt() })
    }

    /// How many values are needed for a test, as far as this skewness is right.
    fn needed(self) -> f64 {
        let needed = match self {
            Self::Known(skewness) => (skewness / LARGEST_KNOWN).powi(2),
            Self::Estimated(skewness) => {
                // The root of 0.1 x² = |g| x + 2√6, x = √n.
                let size = skewness.abs();
                let allowance = 4.0 * LARGEST_ESTIMATED * ALLOWANCE * 6f64.sqrt();
                ((size + (size * size + allowance).sqrt()) / (2.0 * LARGEST_ESTIMATED)).powi(2)
            }
        };
        needed.max(LEAST_COUNT as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_skewness_needs_more_values() {
        assert!(Skewness::Known(1.0).reference(20).is_ok());
        assert!(Skewness::Known(0.0).reference(19).is_err());
        assert_eq!(Skewness::Known(-5.0).reference(399).unwrap_err(), TooFew { needed: 400.0, is_known: true });
        assert!(Skewness::Known(-5.0).reference(400).is_ok());
        assert!(Skewness::Estimated(0.0).reference(48).is_err() && Skewness::Estimated(0.0).reference(49).is_ok());
        // 3 + 2√(6/1000) = 3.15 < √1000/10 = 3.16.
        assert!(Skewness::Estimated(3.0).reference(1000).is_ok() && Skewness::Estimated(3.1).reference(1000).is_err());
    }
}
