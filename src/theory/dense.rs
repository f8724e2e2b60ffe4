//! The exact law of the logit gradient of a bias-free dense network with Gaussian weights and homogeneous activations, such as ReLUs.
//!
//! For hidden widths n₁…n_D, W_l ~ N(0, σ_l²) independent, slopes a_l below zero and x ≠ 0, the rows' sign symmetry makes every mask a fair
//! coin that is independent of the squared pre-activations, so that ∂ₓf_k is isotropic:
//!
//! ∂ₓf_k = σ₁ √A ξ in law, ξ ~ N(0, I_d), A = Π_{l=1..D} σ²_{l+1} (χ²_{K_l} + a_l² χ²_{n_l − K_l}), K_l ~ Binomial(n_l, ½), all independent.
//!
//! No width or dimension is taken to infinity. Moments are products over layers, held as [`Scaled`] numbers: at any depth, and
//! with any variance, they lose a few units in the last place a layer and nothing else.

use crate::network::{DenseChain, Norm};
use crate::observable::{GradientObservable, Statistic};
use crate::scaled::Scaled;
use crate::statistics::gaussian::{expected_norm, gated_chi_mean};

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
///     slopes: vec![0.0; 3],
///     outputs: 10,
/// };
/// let law = DenseLaw::new(&chain);
/// assert!((law.mean(&"logit.l1".parse().unwrap()).unwrap().nearest() - 7.0639).abs() < 1e-4);
/// assert!((law.fourth_moment_ratio().nearest() - 1.02 * (1.0f64 + 5.0 / 16.0).powi(3)).abs() < 1e-12);
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
    pub fn mean(&self, observable: &GradientObservable) -> Option<Scaled> {
        // Everything but the norm itself: the scale, and 1/d or d^(1−1/Q) to the observable's power.
        let factor = observable.value(Scaled::ONE, self.chain.dimension);
        let norm_moment = gaussian_moment(observable, self.chain.dimension)?;
        Some(factor * self.scale_moment(observable.power)? * norm_moment.into())
    }

    /// E (σ₁ √A)^p for p = 1, 2, 4: with S = χ²_K + a² χ²_{n − K}, K ~ Binomial(n, ½), E √S by [`gated_chi_mean`], E S = n m₁ and E S² =
    /// n (m₂ − m₁²) + (n m₁)², m₁ = (1 + a²)/2 and m₂ = 3 (1 + a⁴)/2; of a ReLU n/2 and n(n + 5)/4.
    pub fn scale_moment(&self, power: i32) -> Option<Scaled> {
        let layer_moment = |(width, slope): (usize, f64)| {
            let n = width as f64;
            match power {
                1 => Some(gated_chi_mean(width as u64, slope)),
                2 => Some(n / 2.0 * (1.0 + slope * slope)),
                4 => Some(n * ((n + 5.0) / 4.0) * ratio_to_relu(n, slope)),
                _ => None,
            }
        };
        let layers: Vec<(usize, f64)> = self.layers().collect();
        let mut widths = Scaled::ONE;
        for equal in layers.chunk_by(|a, b| a == b) {
            let moment = Scaled::from(layer_moment(equal[0])?);
            widths = equal.iter().fold(widths, |product, _| product * moment);
        }
        let std_devs = self.chain.std_devs.iter().map(|&std_dev| Scaled::from(std_dev).power(power as u32));
        Some(widths * std_devs.product())
    }

    /// E‖∂ₓf_k‖₂⁴/(E‖∂ₓf_k‖₂²)² = (1 + 2/d) Π(1 + c_l/n_l), c = m₂/m₁² − 1, which is 5 for a ReLU: the finite-width fluctuations of Hanin
    /// and Nica (2018).
    pub fn fourth_moment_ratio(&self) -> Scaled {
        let fluctuation = |(width, slope): (usize, f64)| Scaled::from(1.0 + fluctuation(slope) / width as f64);
        let widths: Scaled = self.layers().map(fluctuation).product();
        Scaled::from(1.0 + 2.0 / self.chain.dimension as f64) * widths
    }

    /// Width and slope of each hidden layer.
    fn layers(&self) -> impl Iterator<Item = (usize, f64)> + 'a {
        self.chain.widths.iter().copied().zip(self.chain.slopes.iter().copied())
    }
}

/// c = m₂/m₁² − 1, n times the relative variance of S.
pub(super) fn fluctuation(slope: f64) -> f64 {
    let square = slope * slope;
    6.0 * (1.0 + square * square) / (1.0 + square).powi(2) - 1.0
}

/// E S² over that of a ReLU.
fn ratio_to_relu(n: f64, slope: f64) -> f64 {
    (1.0 + slope * slope).powi(2) * ((n + fluctuation(slope)) / (n + 5.0))
}

/// The mean of the observable's norm, to its power, of d independent N(0, 1) coordinates; `None` where there is no closed form, or it
/// is beyond double precision.
pub(super) fn gaussian_moment(observable: &GradientObservable, dimension: usize) -> Option<f64> {
    let d = dimension as f64;
    let norm = observable.norm().unwrap_or(Norm::ONE);
    let moment = match (observable.power, norm, observable.statistic) {
        (1, _, _) => expected_norm(dimension as u64, norm.order()),
        (2, Norm::TWO, _) => d,
        (4, Norm::TWO, _) => d * (d + 2.0),
        // E(Σ|zᵢ|)² = d + d(d − 1) 2/π.
        (2, Norm::ONE, Statistic::Norm(_) | Statistic::Coordinate) => d + d * (d - 1.0) * std::f64::consts::FRAC_2_PI,
        _ => return None,
    };
    moment.is_finite().then_some(moment)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::gaussian::halved_chi_mean;
    use proptest::prelude::*;

    fn he_chain(dimension: usize, widths: &[usize]) -> DenseChain {
        let fan_ins: Vec<usize> = std::iter::once(dimension).chain(widths.iter().copied()).collect();
        let gain = |layer| if layer == widths.len() { 1.0 } else { 2.0 };
        let std_devs = fan_ins.iter().enumerate().map(|(layer, &n)| f64::sqrt(gain(layer) / n as f64)).collect();
        DenseChain { dimension, widths: widths.to_vec(), std_devs, slopes: vec![0.0; widths.len()], outputs: 10 }
    }

    fn mean(chain: &DenseChain, name: &str) -> f64 {
        DenseLaw::new(chain).mean(&name.parse().unwrap()).unwrap().to_f64().unwrap()
    }

    #[test]
    fn he_networks_have_unit_squared_norm_at_any_width_up_to_a_million() {
        for widths in [&[][..], &[1], &[7, 3], &[1_000_000, 12, 1_000_000], &[512; 128], &[512; 150], &[300; 3000]] {
            let chain = he_chain(1000, widths);
            let slack = 1e-13 + 1e-15 * widths.len() as f64;
            assert!((mean(&chain, "logit.l2sq") - 1.0).abs() < slack, "{widths:?}");
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
    fn deep_wide_networks_have_the_moments_of_their_logarithms() {
        // E‖·‖₂² = Π σ²·(n/2)·d: variance ½/fan-in in every layer gives 4⁻⁸⁹/2, that is 2⁻¹⁷⁹, and E‖·‖₂⁴ has (1 + 5/2000)⁸⁹ more.
        let widths = vec![2000; 89];
        let std_devs = std::iter::once(3072.0).chain(vec![2000.0; 89]).map(|n: f64| (0.5 / n).sqrt()).collect();
        let chain = DenseChain { dimension: 3072, widths, std_devs, slopes: vec![0.0; 89], outputs: 10 };
        assert!((mean(&chain, "logit.l2sq") / 2f64.powi(-179) - 1.0).abs() < 1e-13);
        assert!((mean(&chain, "logit.l2sq") / 1.305e-54 - 1.0).abs() < 1e-3);
        let fourth = 2f64.powi(-358) * (1.0 + 2.0 / 3072.0) * (1.0f64 + 5.0 / 2000.0).powi(89);
        assert!((mean(&chain, "logit.l2sq.squared") / fourth - 1.0).abs() < 1e-12);
        let wide = he_chain(1000, &[512; 128]);
        let fourth = 1.002 * (1.0f64 + 5.0 / 512.0).powi(128);
        assert!((mean(&wide, "logit.l2sq.squared") / fourth - 1.0).abs() < 1e-12);
        assert!(mean(&wide, "logit.l2") < 1.0, "Jensen");
    }

    #[test]
    fn moments_beyond_double_precision_are_said_to_be_so() {
        let std_devs = vec![(0.5f64 / 64.0).sqrt(); 1001];
        let slopes = vec![0.0; 1000];
        let chain = DenseChain { dimension: 64, widths: vec![64; 1000], std_devs, slopes, outputs: 10 };
        let moment = |name: &str| DenseLaw::new(&chain).mean(&name.parse().unwrap()).unwrap();
        // 4⁻¹⁰⁰⁰/2, and its root.
        assert_eq!(moment("logit.l2sq").to_f64(), None);
        assert!((moment("logit.l2sq").log2() + 2001.0).abs() < 1e-9);
        assert!(moment("logit.l2").to_f64().is_some_and(|length| length > 0.0 && length < 2f64.powi(-1000)));
    }

    /// theory.md 11, of slopes 0.2, −1, 1 and 0: E‖·‖₂² = 1 at He's variance, and the ratios of fourth moments.
    #[test]
    fn homogeneous_activations_have_the_moments_of_their_slopes() {
        let widths = [8, 5, 12];
        for (slope, ratio) in [(0.2, 4.415), (-1.0, 2.178), (1.0, 2.178), (0.0, 4.911)] {
            let he = |fan_in: f64| (2.0 / ((1.0 + slope * slope) * fan_in)).sqrt();
            let std_devs = vec![(1.0f64 / 30.0).sqrt(), he(8.0), he(5.0), he(12.0)];
            let chain =
                DenseChain { dimension: 30, widths: widths.to_vec(), std_devs, slopes: vec![slope; 3], outputs: 4 };
            assert!((mean(&chain, "logit.l2sq") - 1.0).abs() < 1e-14, "{slope}");
            let found = DenseLaw::new(&chain).fourth_moment_ratio().nearest();
            assert!((found - ratio).abs() < 5e-4, "{slope}: {found}");
            assert!((mean(&chain, "logit.l2sq.squared") / found - 1.0).abs() < 1e-13);
            assert!(mean(&chain, "logit.l2") < 1.0);
        }
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
            prop_assert!((ratio / DenseLaw::new(&chain).fourth_moment_ratio().nearest() - 1.0).abs() < 1e-12);
            prop_assert!(two * two <= mean(&chain, "logit.l2sq") * slack, "Jensen");
            prop_assert!(one * one <= mean(&chain, "logit.l1.squared") * slack, "Jensen");
        }
    }

    proptest! {
        // A case takes a tenth of a second: deep chains have many factors.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn moments_are_the_sums_of_the_logarithms_of_their_factors(
            dimension in 1usize..5000, depth in prop_oneof![1usize..300, 300usize..10_000],
            widths in prop::collection::vec(1usize..100_000, 1..4), logarithm in -300.0f64..300.0,
        ) {
            let widths: Vec<usize> = widths.into_iter().cycle().take(depth).collect();
            let std_dev = 10f64.powf(logarithm / 2.0);
            let slopes = vec![0.0; depth];
            let chain = DenseChain { dimension, std_devs: vec![std_dev; depth + 1], widths, slopes, outputs: 3 };
            let law = DenseLaw::new(&chain);
            let is_product = |name: &str, power: usize, norm: f64, of_width: fn(f64) -> f64| {
                let widths = chain.widths.iter().map(|&width| of_width(width as f64));
                let (exponent, fraction) = log2_of_product(vec![std_dev; power * (depth + 1)].into_iter().chain(widths).chain([norm]));
                let mean = law.mean(&name.parse().unwrap()).unwrap();
                // A few units in the last place for each factor.
                ((mean / Scaled::power_of_two(exponent)).nearest().log2() - fraction).abs() < 1e-15 * (5 * (depth + 2)) as f64
            };
            let d = dimension as f64;
            prop_assert!(is_product("logit.l2sq", 2, d, |n| n / 2.0));
            prop_assert!(is_product("logit.l2sq.squared", 4, d * (d + 2.0), |n| n * (n + 5.0) / 4.0));
            for (name, q) in [("logit.l1", 1.0), ("logit.l2", 2.0), ("logit.l3", 3.0), ("logit.linf", f64::INFINITY)] {
                let norm = expected_norm(dimension as u64, q);
                prop_assert!(is_product(name, 1, norm, |n| halved_chi_mean(n as u64)), "{name}");
            }
        }
    }

    /// log₂ Π fᵢ, its whole part and the rest, from the exact sum of the factors' logarithms to 60 binary places.
    fn log2_of_product(factors: impl Iterator<Item = f64>) -> (i64, f64) {
        let places = 2f64.powi(60);
        let sum: i128 = factors
            .map(|factor| {
                let whole = factor.log2().floor();
                // In two steps, since 2^whole may be no normal number.
                let mantissa = factor * 2f64.powi(-whole as i32 / 2) * 2f64.powi(-whole as i32 - -whole as i32 / 2);
                ((whole as i128) << 60) + (mantissa.log2() * places) as i128
            })
            .sum();
        ((sum >> 60) as i64, (sum & ((1 << 60) - 1)) as f64 / places)
    }
}
