//! Equivalence by two one-sided tests: evidence *for* a claim within a tolerance, not a failure to reject it.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The law that a standardised estimate (estimate − truth)/standard error is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reference {
    /// Standard normal: the standard error is known well.
    Normal,
    /// Student's t with these degrees of freedom: the standard error is itself estimated from scatter.
    StudentT(f64),
    /// The mean of n values of a skewed law, over its estimated standard error: with a = skewness/√n,
    /// y = t + a t²/3 + a² t³/27 + a/6 has Student's t law with n − 1 degrees up to terms of order 1/n (Hall 1992, *On the
    /// removal of skewness by transformation*). y grows with t, so that tests and intervals follow from it.
    Skewed {
        /// Degrees of freedom n − 1.
        degrees: f64,
        /// a = skewness/√n.
        skewness: f64,
    },
}

impl Reference {
    /// P(T ≥ t).
    pub fn upper_tail(&self, t: f64) -> f64 {
        if t.is_nan() {
            return f64::NAN;
        }
        match *self {
            Reference::Normal => Normal::standard().sf(t),
            // Degrees come from a fit with at least one left over, so the distribution exists; its survival function
            // at ±∞ is not defined in statrs.
            Reference::StudentT(degrees) if degrees.is_finite() => match StudentsT::new(0.0, 1.0, degrees) {
                Ok(distribution) if t.is_finite() => distribution.sf(t),
                _ => f64::from(t < 0.0),
            },
            Reference::StudentT(_) => Reference::Normal.upper_tail(t),
            Reference::Skewed { degrees, skewness } => {
                // Beyond ±∞ the cubic would be the difference of infinities.
                let y = if t.is_finite() { t + skewness * t * t / 3.0 * (1.0 + skewness * t / 9.0) } else { t };
                Reference::StudentT(degrees).upper_tail(y + skewness / 6.0)
            }
        }
    }

    /// P(T ≤ t).
    pub fn lower_tail(&self, t: f64) -> f64 {
        self.mirrored().upper_tail(-t)
    }

    /// The law of −T.
    pub fn mirrored(self) -> Self {
        match self {
            Reference::Skewed { degrees, skewness } => Reference::Skewed { degrees, skewness: -skewness },
            symmetric => symmetric,
        }
    }

    /// 2 min(P(T ≤ t), P(T ≥ t)).
    pub fn two_sided(&self, t: f64) -> f64 {
        (2.0 * self.upper_tail(t).min(self.lower_tail(t))).min(1.0)
    }

    /// The t below which T lies with this probability.
    fn quantile(&self, probability: f64) -> f64 {
        match *self {
            Reference::Normal => Normal::standard().inverse_cdf(probability),
            Reference::StudentT(degrees) if degrees.is_finite() => StudentsT::new(0.0, 1.0, degrees)
                .map_or(f64::INFINITY, |distribution| distribution.inverse_cdf(probability)),
            Reference::StudentT(_) => Reference::Normal.quantile(probability),
            Reference::Skewed { degrees, skewness } => {
                let y = Reference::StudentT(degrees).quantile(probability) - skewness / 6.0;
                // 3/a (∛(1 + a y) − 1), without its cancellation for a near 0.
                let root = (1.0 + skewness * y).cbrt();
                3.0 * y / (root * root + root + 1.0)
            }
        }
    }

    /// The central interval of the truth with this coverage: estimate − standard error × the quantiles of T.
    pub fn interval(&self, estimate: f64, std_error: f64, coverage: f64) -> [f64; 2] {
        let tail = (1.0 - coverage) / 2.0;
        [1.0 - tail, tail].map(|probability| estimate - std_error * self.quantile(probability))
    }
}

/// Result of comparing an estimate with the band [lower, upper] (Schuirmann 1987).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// p-value of the two one-sided tests: small when the truth lies inside the band.
    pub inside: f64,
    /// p-value against "the truth lies inside the band": small when it lies outside.
    pub outside: f64,
}

impl Equivalence {
    /// Tests `estimate` ± `std_error` against the band: `inside` = max(P(T ≥ (e − lower)/s), P(T ≤ (e − upper)/s)), the
    /// larger of the two one-sided p-values; `outside` is the one-sided p-value, at the nearer edge, of an estimate
    /// beyond the band.
    pub fn test(estimate: f64, std_error: f64, (lower, upper): (f64, f64), reference: Reference) -> Self {
        let (from_lower, from_upper) = ((estimate - lower) / std_error, (estimate - upper) / std_error);
        let inside = reference.upper_tail(from_lower).max(reference.lower_tail(from_upper));
        Self { inside, outside: reference.lower_tail(from_lower).min(reference.upper_tail(from_upper)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrow_interval_inside_is_equivalent_a_wide_one_is_not() {
        let inside = Equivalence::test(0.501, 0.002, (0.49, 0.51), Reference::Normal);
        assert!(inside.inside < 1e-5 && inside.outside > 0.5);
        let wide = Equivalence::test(0.501, 0.02, (0.49, 0.51), Reference::Normal);
        assert!(wide.inside > 0.05 && wide.outside > 0.05);
        let outside = Equivalence::test(0.6, 0.002, (0.49, 0.51), Reference::Normal);
        assert!(outside.inside > 0.99 && outside.outside < 1e-10);
    }

    #[test]
    fn tails_and_quantiles_have_their_tabulated_values() {
        assert!((Reference::Normal.upper_tail(1.644_853_6) - 0.05).abs() < 1e-8);
        assert!((Reference::Normal.interval(0.0, 1.0, 0.95)[1] - 1.959_963_985).abs() < 1e-8);
        // Student (1908) tables: t_{0.975} with 4 degrees of freedom.
        assert!((Reference::StudentT(4.0).interval(0.0, 1.0, 0.95)[1] - 2.776_445).abs() < 1e-5);
        assert_eq!(Reference::StudentT(4.0).upper_tail(f64::NEG_INFINITY), 1.0);
        assert!((Reference::Normal.upper_tail(10.0) / 7.619_853e-24 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_skewed_law_has_tails_that_fit_its_quantiles() {
        for skewness in [-0.3, 0.0, 1e-9, 0.2] {
            let reference = Reference::Skewed { degrees: 40.0, skewness };
            let [low, high] = reference.interval(0.0, 1.0, 0.9);
            assert!((reference.upper_tail(-low) - 0.05).abs() < 1e-7, "{skewness}");
            assert!((reference.lower_tail(-high) - 0.05).abs() < 1e-7, "{skewness}");
        }
        let (plain, none) = (Reference::StudentT(40.0), Reference::Skewed { degrees: 40.0, skewness: 0.0 });
        assert_eq!(plain.upper_tail(2.0), none.upper_tail(2.0));
        // Means of a law with a tail to the right are too low, and their errors too small, more often than the reverse.
        let skewed = Reference::Skewed { degrees: 40.0, skewness: 0.2 };
        assert!(skewed.lower_tail(-2.0) > plain.lower_tail(-2.0) && skewed.upper_tail(2.0) < plain.upper_tail(2.0));
        assert_eq!(skewed.upper_tail(f64::NEG_INFINITY), 1.0);
        assert_eq!(skewed.lower_tail(f64::NEG_INFINITY), 0.0);
    }

    #[test]
    fn at_the_edge_of_the_band_the_false_holds_rate_is_the_level() {
        let edge = Equivalence::test(0.51 - 1.644_853_6 * 0.001, 0.001, (0.49, 0.51), Reference::Normal);
        assert!((edge.inside - 0.05).abs() < 1e-7);
    }
}
