//! Means of an activation's squares over Gaussian units: what He's factor and mean-field theory are made of.

use std::f64::consts::{FRAC_2_PI, SQRT_2};

use libm::{erf, erfc};

use super::{Activation, density};

/// Distance of two nodes of the quadrature, in its own variable.
const STEP: f64 = 1.0 / 128.0;

/// Where it begins and ends: z from 10⁻⁶⁰ to 40, between which all of the integral lies.
const RANGE: [i32; 2] = [-640, 480];

impl Activation {
    /// E φ(√q z)² with z ~ N(0, 1): the mean square of a unit whose pre-activation has variance q.
    pub fn mean_square(self, q: f64) -> f64 {
        match (self, self.slope_below()) {
            (_, Some(slope)) => q * (1.0 + slope * slope) / 2.0,
            (Self::HardTanh, _) => {
                // The part that is cut off, and ∫ q z² over the rest.
                let edge = 1.0 / q.sqrt();
                let rest = erf(edge / SQRT_2) - FRAC_2_PI.sqrt() * edge * (-edge * edge / 2.0).exp();
                erfc(edge / SQRT_2) + if edge.is_finite() { q * rest } else { 0.0 }
            }
            _ => gaussian_mean(|z| self.value(q.sqrt() * z).powi(2)),
        }
    }

    /// E φ′(√q z)² with z ~ N(0, 1): what a unit's squared gradient is multiplied by on the way back, in the mean.
    pub fn mean_square_slope(self, q: f64) -> f64 {
        match (self, self.slope_below()) {
            (_, Some(slope)) => (1.0 + slope * slope) / 2.0,
            (Self::HardTanh, _) => erf(1.0 / (2.0 * q).sqrt()),
            _ => gaussian_mean(|z| self.slope(q.sqrt() * z).powi(2)),
        }
    }

    /// He's factor: the variance × fan-in that keeps a mean square of 1, 1/E φ(z)². 2/(1 + a²) for a positively homogeneous
    /// activation with slope a below zero: 2 for a ReLU (He et al. 2015).
    pub fn he_factor(self) -> f64 {
        match self.slope_below() {
            Some(slope) => 2.0 / (1.0 + slope * slope),
            None => 1.0 / self.mean_square(1.0),
        }
    }
}

/// E g(z), z ~ N(0, 1), of a function that is smooth on both sides of zero: the trapezoidal rule in t with z = exp(t − e^(−t)) on
/// either half-line (Takahasi and Mori 1974), whose error is that of rounding whatever the scale on which g varies.
fn gaussian_mean(g: impl Fn(f64) -> f64) -> f64 {
    let node = |index: i32| {
        let t = f64::from(index) * STEP;
        let decay = (-t).exp();
        let z = (t - decay).exp();
        (g(z) + g(-z)) * density(z) * z * (1.0 + decay)
    };
    STEP * (RANGE[0]..=RANGE[1]).map(node).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::super::ALL;
    use super::*;

    #[test]
    fn means_over_gaussian_units_are_exact() {
        let exact = [(1.0, 1.0), (0.0, 0.0), (3.0, 15.0)];
        assert!((gaussian_mean(|_| 1.0) - 1.0).abs() < 1e-14);
        assert!((gaussian_mean(|z| z.powi(6)) - exact[2].1).abs() < 1e-12);
        // E erf(√q z)² = 2/π asin(2q/(1 + 2q)) (Williams 1997), and the mean of its slope's square, 4/(π√(1 + 4q)).
        for q in [1e-6, 0.3, 1.0, 40.0, 1e8f64] {
            let square = FRAC_2_PI * (2.0 * q / (1.0 + 2.0 * q)).asin();
            assert!((Activation::Erf.mean_square(q) / square - 1.0).abs() < 1e-11, "{q}");
            let slope = 4.0 / (std::f64::consts::PI * (1.0 + 4.0 * q).sqrt());
            assert!((Activation::Erf.mean_square_slope(q) / slope - 1.0).abs() < 1e-11, "{q}");
            // Two more that have closed forms: E e^(2x) over x < 0 is e^(2q) Φ(−2√q).
            if q < 100.0 {
                let tail = |k: f64| (k * k * q / 2.0).exp() * erfc(k * (q / 2.0).sqrt()) / 2.0;
                let square = q / 2.0 + tail(2.0) - 2.0 * tail(1.0) + 0.5;
                assert!((Activation::Elu.mean_square(q) - square).abs() < 1e-12 * (1.0 + square), "{q}");
                assert!((Activation::Elu.mean_square_slope(q) - 0.5 - tail(2.0)).abs() < 1e-12, "{q}");
            }
        }
    }

    /// The closed forms for kinked activations against a sum over a fine grid.
    #[test]
    fn closed_forms_agree_with_sums() {
        let sum = |g: &dyn Fn(f64) -> f64| {
            let count = 400_000;
            let step = 24.0 / f64::from(count);
            (0..count)
                .map(|index| -12.0 + step * (f64::from(index) + 0.5))
                .map(|z| g(z) * density(z) * step)
                .sum::<f64>()
        };
        for activation in ALL {
            for q in [0.05, 1.0, 7.0f64] {
                let square = sum(&|z| activation.value(q.sqrt() * z).powi(2));
                assert!(
                    (activation.mean_square(q) - square).abs() < 1e-8 * (1.0 + square),
                    "{activation:?} {q} {square}"
                );
                let slope = sum(&|z| activation.slope(q.sqrt() * z).powi(2));
                assert!((activation.mean_square_slope(q) - slope).abs() < 1e-4, "{activation:?} {q} {slope}");
            }
        }
    }

    #[test]
    fn factors_keep_a_mean_square_of_one() {
        assert_eq!(Activation::Relu.he_factor(), 2.0);
        assert_eq!(Activation::Identity.he_factor(), 1.0);
        for activation in ALL {
            let kept = activation.he_factor() * activation.mean_square(1.0);
            assert!((kept - 1.0).abs() < 1e-14, "{activation:?}");
        }
        assert!((Activation::Tanh.he_factor() - 2.5361).abs() < 1e-4, "{}", Activation::Tanh.he_factor());
    }
}
