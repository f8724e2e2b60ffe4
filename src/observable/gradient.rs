//! Norms of gradients as observables.
//!
//! `loss.*` looks at ∂ₓL, `logit.*` at ∂ₓf₀. What follows is a norm (`.l1`, `.l2`, `.linf`, `.lQ` for any real Q ≥ 1), the
//! mean magnitude of a coordinate (`.coordinate`), or the conditional mean of ℓ₁ (`.l1.rao-blackwell`), and then
//! modifiers: `.scaled` (times d^(1−1/Q)) and `.squared`; `.l2sq` is short for `.l2.squared`.

use std::str::FromStr;

use super::{UnknownObservable, strip};
use crate::network::Norm;
use crate::network::norm::NormSums;
use crate::scaled::{Magnitude, Scaled};

/// Whose gradient with respect to the input is observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gradient {
    /// ∂ₓL of the softmax cross-entropy L.
    Loss,
    /// ∂ₓf₀ of the first logit.
    Logit,
}

/// What is measured of the gradient, before modifiers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Statistic {
    /// A norm of the gradient.
    Norm(Norm),
    /// Mean magnitude of the coordinates, ‖g‖₁/d.
    Coordinate,
    /// The mean of ‖g‖₁ given the scalars of the collapsed sampler: the same mean, less variance.
    RaoBlackwell,
}

/// One number of a draw's gradient.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientObservable {
    /// Whose gradient.
    pub gradient: Gradient,
    /// What of it.
    pub statistic: Statistic,
    /// Whether the norm is multiplied by d^(1−1/Q).
    pub scaled: bool,
    /// The power to which the number is raised, after scaling: 1, 2 or 4.
    pub power: i32,
}

/// The forms of its names, and what they are.
pub(super) const SUMMARIES: [(&str, &str); 8] = [
    ("loss.lQ", "‖∂ₓL‖_Q of the loss L, for any real Q ≥ 1; `loss.linf` is the largest coordinate"),
    ("logit.lQ", "‖∂ₓf₀‖_Q of the first logit f₀"),
    ("loss.coordinate", "‖∂ₓL‖₁/d, the mean magnitude of a coordinate"),
    ("logit.coordinate", "‖∂ₓf₀‖₁/d"),
    (
        "loss.l1.rao-blackwell",
        "mean of ‖∂ₓL‖₁ given the scalars of the collapsed sampler: the same mean, less variance; `logit.` too",
    ),
    ("loss.lQ.scaled", "d^(1−1/Q)‖∂ₓL‖_Q, that is εₚ‖∂ₓL‖_Q at ε_∞ = 1 with 1/p + 1/Q = 1; `logit.` too"),
    ("loss.lQ.squared", "the square of any of these; `logit.` too"),
    ("logit.l2sq", "short for `logit.l2.squared`, as `loss.l2sq` is; may be squared again"),
];

impl GradientObservable {
    /// What its name may be, for error messages.
    pub const ALLOWED: &'static str = "loss or logit, then .l1, .l2, .l2sq, .linf, .lQ (a number Q >= 1), .coordinate or \
                                       .l1.rao-blackwell, then .scaled and .squared where wanted";

    /// The norm whose sums the observable needs; `None` for the Rao–Blackwell form.
    pub fn norm(&self) -> Option<Norm> {
        match self.statistic {
            Statistic::Norm(norm) => Some(norm),
            Statistic::Coordinate => Some(Norm::ONE),
            Statistic::RaoBlackwell => None,
        }
    }

    /// Whether ‖g‖₂ alone determines the observable, so that no coordinate is needed.
    pub fn needs_length_only(&self) -> bool {
        self.norm() == Some(Norm::TWO)
    }

    /// The observable from the norm of its gradient (for [`Statistic::RaoBlackwell`], from the conditional mean of ℓ₁).
    pub(crate) fn value<M: Magnitude>(&self, norm: M, dimension: usize) -> M {
        let value = match self.statistic {
            Statistic::Coordinate => norm / (dimension as f64).into(),
            Statistic::Norm(order) if self.scaled => norm * order.dimension_factor(dimension).into(),
            _ => norm,
        };
        // 1, 2 or 4.
        value.powered(self.power as u32)
    }

    /// The observable of a whole gradient. The Rao–Blackwell form needs the collapsed sampler's scalars: NaN. Infinite where it
    /// is beyond double precision, and the smallest number above zero where it is below.
    pub fn of_sums(&self, sums: &NormSums) -> f64 {
        self.of_sums_in_units(sums, Scaled::ONE)
    }

    /// The same of a gradient whose coordinates were summed in this unit.
    pub fn of_sums_in_units(&self, sums: &NormSums, unit: Scaled) -> f64 {
        let value = |norm| self.value(unit * sums.norm(norm).into(), sums.count()).nearest();
        self.norm().map_or(f64::NAN, value)
    }
}

impl FromStr for GradientObservable {
    type Err = UnknownObservable;

    fn from_str(name: &str) -> Result<Self, UnknownObservable> {
        let (gradient, rest) = name.split_once('.').ok_or(UnknownObservable)?;
        let gradient = match gradient {
            "loss" => Gradient::Loss,
            "logit" => Gradient::Logit,
            _ => return Err(UnknownObservable),
        };
        let (rest, squared) = strip(rest, ".squared");
        let (rest, scaled) = strip(rest, ".scaled");
        let (statistic, power) = match rest {
            "coordinate" => (Statistic::Coordinate, 1),
            "l1.rao-blackwell" => (Statistic::RaoBlackwell, 1),
            "linf" => (Statistic::Norm(Norm::INFINITY), 1),
            "l2sq" => (Statistic::Norm(Norm::TWO), 2),
            _ => (Statistic::Norm(order(rest).ok_or(UnknownObservable)?), 1),
        };
        let has_order = matches!(statistic, Statistic::Norm(_)) && power == 1;
        if (scaled && !has_order) || (squared && statistic == Statistic::RaoBlackwell) {
            return Err(UnknownObservable);
        }
        Ok(Self { gradient, statistic, scaled, power: if squared { 2 * power } else { power } })
    }
}

/// The order in `lQ`.
fn order(name: &str) -> Option<Norm> {
    let digits = name.strip_prefix('l')?;
    let plain = digits.starts_with(|first: char| first.is_ascii_digit());
    let norm = Norm::new(digits.parse().ok()?)?;
    (plain && norm.order().is_finite()).then_some(norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(name: &str, gradient: &[f64]) -> f64 {
        let observable: GradientObservable = name.parse().unwrap();
        let mut sums = NormSums::new(&observable.norm().into_iter().collect::<Vec<_>>());
        sums.add(gradient);
        observable.of_sums(&sums)
    }

    #[test]
    fn names_mean_what_they_say() {
        let gradient = [3.0, -4.0, 0.0, 0.0];
        for (name, expected) in [
            ("loss.l1", 7.0),
            ("loss.l2", 5.0),
            ("logit.l2sq", 25.0),
            ("logit.l2.squared", 25.0),
            ("logit.l2sq.squared", 625.0),
            ("loss.linf", 4.0),
            ("loss.coordinate", 1.75),
            ("loss.l1.scaled", 7.0),
            ("loss.l2.scaled", 10.0),
            ("loss.linf.scaled", 16.0),
            ("loss.l3", 91f64.cbrt()),
            ("loss.l3.scaled", 91f64.cbrt() * 4f64.powf(2.0 / 3.0)),
            ("loss.l1.scaled.squared", 49.0),
        ] {
            assert!((value(name, &gradient) - expected).abs() < 1e-12, "{name}");
        }
    }

    #[test]
    fn powers_of_norms_beyond_double_precision_are_infinite_or_just_above_zero() {
        assert_eq!(value("loss.l2", &[3e-200, 4e-200]), 5e-200);
        assert_eq!(value("loss.l2sq", &[3e-200, 4e-200]), f64::from_bits(1));
        assert_eq!(value("loss.l2sq", &[3e200]), f64::INFINITY);
        assert_eq!(value("loss.l2sq", &[0.0, 0.0]), 0.0);
        assert!(value("loss.l2sq", &[f64::NAN]).is_nan());
    }

    #[test]
    fn other_names_are_refused() {
        for name in [
            "l1",
            "loss",
            "loss.",
            "loss.l0.5",
            "loss.lnan",
            "loss.l-2",
            "loss.linfinity",
            "loss.l1.squared.scaled",
            "gain.l1",
            "loss.coordinate.scaled",
            "loss.l2sq.scaled",
            "loss.l1.rao-blackwell.squared",
            "loss.l2.l2",
        ] {
            assert_eq!(name.parse::<GradientObservable>(), Err(UnknownObservable), "{name}");
        }
        assert!("logit.l1.rao-blackwell".parse::<GradientObservable>().is_ok());
    }
}
