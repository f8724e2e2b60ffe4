//! The exact law of the logit gradient of a bias-free dense ReLU network with Gaussian weights.
//!
//! For hidden widths n₁…n_D, W_l ~ N(0, σ_l²) independent and x ≠ 0, the rows' sign symmetry makes every mask a fair coin
//! that is independent of the squared pre-activations, so that ∂ₓf_k is isotropic:
//!
//! ∂ₓf_k = σ₁ √A ξ in law, ξ ~ N(0, I_d), A = Π_{l=1..D} σ²_{l+1} χ²_{K_l}, K_l ~ Binomial(n_l, ½), all independent.
//!
//! No width or dimension is taken to infinity.

use crate::network::{DenseChain, Norm};
use crate::sampling::GradientObservable;
use crate::sampling::observable::Statistic;
use crate::statistics::gaussian::{expected_norm, halved_chi_mean};

/// Moments of ∂ₓf_k, of any logit k.
///
/// ```
/// use gradlaw::network::DenseChain;
/// use gradlaw::theory::DenseLaw;
///
/// let he = |fan_in: f64, gain: f64| (gain / fan_in).sqrt();
/// let chain = DenseChain {
///     dimension: 100,
///     widths: vec![16, 16, 16],
///     std_devs: vec![he(100.0, 2.0), he(16.0, 2.0), he(16.0, 2.0), he(16.0, 1.0)],
///     outputs: 10,
/// };
/// let law = DenseLaw::new(&chain);
/// assert!((law.mean(&"logit.l1".parse().unwrap()).unwrap() - 7.0639).abs() < 1e-4);
/// assert!((law.fourth_moment_ratio() - 1.02 * (1.0f64 + 5.0 / 16.0).powi(3)).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct DenseLaw<'a> {
    chain: &'a DenseChain,
}

impl<'a> DenseLaw<'a> {
    /// The law for this chain; its weights are taken to be Gaussian.
    pub fn new(chain: &'a DenseChain) -> Self {
        Self { chain }
    }

    /// The mean of an observable of the logit gradient; `None` where no closed form or quadrature is known.
    ///
    /// First powers: E‖∂ₓf_k‖_q = σ₁ E√A E‖ξ‖_q with E√A = Π σ_{l+1} m(n_l), m(n) = E χ_K. Even powers of ℓ₂ and squares of ℓ₁
    /// need only E A and E A² ([`scale_moment`](Self::scale_moment)).
    pub fn mean(&self, observable: &GradientObservable) -> Option<f64> {
        let d = self.chain.dimension as f64;
        let norm = observable.norm().unwrap_or(Norm::ONE);
        // Everything but the norm itself: the scale, and 1/d or d^(1−1/Q) to the observable's power.
        let factor = observable.value(1.0, self.chain.dimension);
        let norm_moment = match (observable.power, norm, observable.statistic) {
            (1, _, _) => expected_norm(self.chain.dimension as u64, norm.order()),
            (2, Norm::TWO, _) => d,
            (4, Norm::TWO, _) => d * (d + 2.0),
            (2, Norm::ONE, Statistic::Norm(_) | Statistic::Coordinate) => {
                d + d * (d - 1.0) * std::f64::consts::FRAC_2_PI
            }
            _ => return None,
        };
        norm_moment.is_finite().then_some(factor * self.scale_moment(observable.power)? * norm_moment)
    }

    /// E (σ₁ √A)^p for p = 1, 2, 4: with E χ_K = m(n), E χ²_K = n/2 and E χ⁴_K = n(n + 5)/4 for K ~ Binomial(n, ½).
    pub fn scale_moment(&self, power: i32) -> Option<f64> {
        let width_moment = |&width: &usize| {
            let n = width as f64;
            match power {
                1 => Some(halved_chi_mean(width as u64)),
                2 => Some(n / 2.0),
                4 => Some(n * (n + 5.0) / 4.0),
                _ => None,
            }
        };
        let widths: f64 = self.chain.widths.iter().map(width_moment).product::<Option<f64>>()?;
        Some(widths * self.chain.std_devs.iter().map(|std_dev| std_dev.powi(power)).product::<f64>())
    }

    /// E‖∂ₓf_k‖₂⁴/(E‖∂ₓf_k‖₂²)² = (1 + 2/d) Π(1 + 5/n_l): the finite-width fluctuations of Hanin and Nica (2018).
    pub fn fourth_moment_ratio(&self) -> f64 {
        let fluctuation = |&width: &usize| 1.0 + 5.0 / width as f64;
        (1.0 + 2.0 / self.chain.dimension as f64) * self.chain.widths.iter().map(fluctuation).product::<f64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn he_chain(dimension: usize, widths: &[usize]) -> DenseChain {
        let fan_ins: Vec<usize> = std::iter::once(dimension).chain(widths.iter().copied()).collect();
        let gain = |layer| if layer == widths.len() { 1.0 } else { 2.0 };
        let std_devs = fan_ins.iter().enumerate().map(|(layer, &n)| f64::sqrt(gain(layer) / n as f64)).collect();
        DenseChain { dimension, widths: widths.to_vec(), std_devs, outputs: 10 }
    }

    fn mean(chain: &DenseChain, name: &str) -> f64 {
        DenseLaw::new(chain).mean(&name.parse().unwrap()).unwrap()
    }

    #[test]
    fn he_networks_have_unit_squared_norm_at_any_width_up_to_a_million() {
        for widths in [&[][..], &[1], &[7, 3], &[1_000_000, 12, 1_000_000]] {
            let chain = he_chain(1000, widths);
            assert!((mean(&chain, "logit.l2sq") - 1.0).abs() < 1e-13, "{widths:?}");
        }
    }

    #[test]
    fn wide_networks_approach_the_gaussian_limit_as_one_over_width() {
        // E‖·‖₁ → √(2d/π) as widths grow, with Π E χ_K/√(n/2) = 1 − (5/8)/n + … a layer.
        let limit = (2.0 * 4096.0 / std::f64::consts::PI).sqrt();
        let gap = |n: usize| 1.0 - mean(&he_chain(4096, &[n]), "logit.l1") / limit;
        assert!((gap(1_000_000) * 1e6 / 0.625 - 1.0).abs() < 1e-4, "{}", gap(1_000_000));
        assert!((gap(1000) / gap(100_000) - 100.0).abs() < 1.0);
    }

    #[test]
    fn what_has_no_closed_form_is_none() {
        let chain = he_chain(64, &[8]);
        assert_eq!(DenseLaw::new(&chain).mean(&"logit.l3.squared".parse().unwrap()), None);
        assert_eq!(DenseLaw::new(&chain).mean(&"logit.linf.squared".parse().unwrap()), None);
    }

    proptest! {
        #[test]
        fn norms_are_ordered_and_scaled_forms_multiply(dimension in 1usize..5000, width in 1usize..300) {
            let chain = he_chain(dimension, &[width, width]);
            let d = dimension as f64;
            let [one, mid, two, three, most] =
                ["logit.l1", "logit.l1.5", "logit.l2", "logit.l3", "logit.linf"].map(|name| mean(&chain, name));
            let slack = 1.0 + 1e-9;
            prop_assert!(one * slack >= mid && mid * slack >= two && two * slack >= three && three * slack >= most);
            prop_assert!((mean(&chain, "logit.coordinate") * d / one - 1.0).abs() < 1e-12);
            prop_assert!((mean(&chain, "logit.linf.scaled") / (most * d) - 1.0).abs() < 1e-12);
            prop_assert!((mean(&chain, "logit.l2.scaled") / (two * d.sqrt()) - 1.0).abs() < 1e-12);
            let ratio = mean(&chain, "logit.l2sq.squared") / mean(&chain, "logit.l2sq").powi(2);
            prop_assert!((ratio / DenseLaw::new(&chain).fourth_moment_ratio() - 1.0).abs() < 1e-12);
            prop_assert!(two * two <= mean(&chain, "logit.l2sq") * slack, "Jensen");
            prop_assert!(one * one <= mean(&chain, "logit.l1.squared") * slack, "Jensen");
        }
    }
}
