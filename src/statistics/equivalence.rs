//! Equivalence by two one-sided tests: evidence *for* a claim within a tolerance, not a failure to reject it.

use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

/// The law that a standardised estimate is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reference {
    /// Standard normal: the standard error is known well.
    Normal,
    /// Student's t with these degrees of freedom: the standard error is itself estimated from scatter.
    StudentT(f64),
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
            Reference::StudentT(degrees) => match StudentsT::new(0.0, 1.0, degrees) {
                Ok(distribution) if t.is_finite() => distribution.sf(t),
                _ => f64::from(t < 0.0),
            },
        }
    }

    /// Half-width, in standard errors, of the central interval with this coverage.
    pub fn quantile(&self, coverage: f64) -> f64 {
        let probability = 0.5 + coverage / 2.0;
        match *self {
            Reference::Normal => Normal::standard().inverse_cdf(probability),
            Reference::StudentT(degrees) => StudentsT::new(0.0, 1.0, degrees)
                .map_or(f64::INFINITY, |distribution| distribution.inverse_cdf(probability)),
        }
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
    /// Tests `estimate` ± `std_error` against the band: `inside` = max(P(T ≥ (e − lower)/s), P(T ≥ (upper − e)/s)), the
    /// larger of the two one-sided p-values; `outside` is the one-sided p-value, at the nearer edge, of an estimate
    /// beyond the band.
    pub fn test(estimate: f64, std_error: f64, (lower, upper): (f64, f64), reference: Reference) -> Self {
        let above_lower = reference.upper_tail((estimate - lower) / std_error);
        let below_upper = reference.upper_tail((upper - estimate) / std_error);
        let beyond = reference
            .upper_tail((lower - estimate) / std_error)
            .min(reference.upper_tail((estimate - upper) / std_error));
        Self { inside: above_lower.max(below_upper), outside: beyond }
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
        assert!((Reference::Normal.quantile(0.95) - 1.959_963_985).abs() < 1e-8);
        // Student (1908) tables: t_{0.975} with 4 degrees of freedom.
        assert!((Reference::StudentT(4.0).quantile(0.95) - 2.776_445).abs() < 1e-5);
        assert_eq!(Reference::StudentT(4.0).upper_tail(f64::NEG_INFINITY), 1.0);
        assert!((Reference::Normal.upper_tail(10.0) / 7.619_853e-24 - 1.0).abs() < 1e-6);
    }

    #[test]
    fn at_the_edge_of_the_band_the_false_holds_rate_is_the_level() {
        let edge = Equivalence::test(0.51 - 1.644_853_6 * 0.001, 0.001, (0.49, 0.51), Reference::Normal);
        assert!((edge.inside - 0.05).abs() < 1e-7);
    }
}
