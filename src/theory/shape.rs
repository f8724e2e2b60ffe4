//! The shape of the exact law of a logit gradient's norm: how wide it is beside its mean, and how skewed.
//!
//! A test of a mean must know how long the tail of the law is. A sample tells it too late, since samples that missed the tail are
//! those that look symmetric; where theory has the law it tells before a draw is made.
//!
//! An observable is a product of independent factors: √S^p of each layer, S = χ²_K + a² χ²_{n − K}, and one norm of ξ ~ N(0, I_d) to the power p. With a factor F of
//! mean 1, variance v and third central moment s, E F² = 1 + v and E F³ = 1 + 3v + s multiply.

use std::f64::consts::FRAC_PI_2;

use crate::network::{DenseChain, Norm};
use crate::observable::GradientObservable;
use crate::statistics::gaussian::{chi_moment, expected_maximum_power, gated_chi_moments, halved_chi_moments};

/// Widths and dimensions above this take the leading terms of their expansion: the next are smaller by a thousand.
const LARGEST_SUM: u64 = 1000;

/// Coefficient of variation and skewness of a law of positive values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shape {
    /// Standard deviation over mean.
    pub relative_std_dev: f64,
    /// E(X − EX)³/(Var X)^(3/2).
    pub skewness: f64,
}

/// Variance and third central moment of a factor of mean 1.
#[derive(Clone, Copy)]
struct Factor {
    variance: f64,
    third: f64,
}

impl Factor {
    /// From E F, E F² and E F³ of a factor of any mean.
    fn of_moments([first, second, third]: [f64; 3]) -> Self {
        let (second, third) = (second / first / first, third / first / first / first);
        Self { variance: second - 1.0, third: third - 3.0 * second + 2.0 }
    }

    /// The factor to the power r, by the leading terms of its expansion about the mean.
    fn power(self, r: f64) -> Self {
        let Self { variance, third } = self;
        let (square, cube) = (r * r, r * r * r);
        let third = cube * third + 3.0 * cube * (r - 1.0) * variance * variance;
        Self { variance: square * variance, third }
    }
}

impl Shape {
    /// The shape of an observable of ∂ₓf_k. Exact for `.l2` and its powers and for `.l1`; to leading order in 1/d for other norms,
    /// whose own scatter is small beside that of the layers: those between ℓ₁ and ℓ₂ count as ℓ₂, those above as the maximum.
    ///
    /// Infinite where the moments leave the range of f64, as those of very deep and narrow networks do.
    pub fn of(chain: &DenseChain, observable: &GradientObservable) -> Self {
        let power = observable.power;
        let layers = chain.widths.iter().zip(&chain.slopes).map(|(&width, &slope)| layer(width as u64, slope, power));
        let factors = layers.chain([norm(chain.dimension as u64, observable.norm().unwrap_or(Norm::ONE), power)]);
        // Logarithms of E F² and E F³, so that small variances do not drown beside 1.
        let (second, third) = factors.fold((0.0, 0.0), |(second, third), factor| {
            (second + factor.variance.ln_1p(), third + (3.0 * factor.variance + factor.third).ln_1p())
        });
        let variance = f64::exp_m1(second);
        let third_moment = f64::exp_m1(third) - 3.0 * variance;
        let skewness = third_moment / variance.powf(1.5);
        Self {
            relative_std_dev: variance.sqrt(),
            // The third moment overflows first, and its quotient by the variance then says nothing but "too large".
            skewness: if third_moment.is_finite() { skewness } else { f64::INFINITY },
        }
    }
}

/// √S^p over its mean, S a sum of n terms of which each is χ²₁ or a² χ²₁ by a fair coin: with m_k the k-th moment of a term, S over its mean
/// has variance (m₂/m₁² − 1)/n and third central moment (m₃/m₁³ − 3 m₂/m₁² + 2)/n², of a ReLU 5/n and 44/n².
fn layer(width: u64, slope: f64, power: i32) -> Factor {
    let n = width as f64;
    let square = slope * slope;
    let first = (1.0 + square) / 2.0;
    let second = 1.5 * (1.0 + square * square) / (first * first);
    let third = 7.5 * (1.0 + square.powi(3)) / first.powi(3);
    let sum = Factor { variance: (second - 1.0) / n, third: (third - 3.0 * second + 2.0) / (n * n) };
    match power {
        2 => sum,
        1 if width <= LARGEST_SUM && slope != 0.0 => Factor::of_moments(gated_chi_moments(width, slope)),
        _ if width <= LARGEST_SUM && slope == 0.0 => Factor::of_moments(halved_chi_moments(width, power)),
        _ => sum.power(f64::from(power) / 2.0),
    }
}

/// ‖ξ‖^p over its mean.
fn norm(dimension: u64, norm: Norm, power: i32) -> Factor {
    let d = dimension as f64;
    if norm == Norm::ONE {
        // |ξ| over its mean has variance π/2 − 1 and third central moment 2 − π/2.
        return Factor { variance: (FRAC_PI_2 - 1.0) / d, third: (2.0 - FRAC_PI_2) / (d * d) }.power(power.into());
    }
    if norm.order() > 2.0 {
        let moments = [1, 2, 3].map(|order| expected_maximum_power(dimension, order));
        return Factor::of_moments(moments).power(power.into());
    }
    if dimension <= LARGEST_SUM {
        return Factor::of_moments([1, 2, 3].map(|order| chi_moment(dimension, order * power)));
    }
    Factor { variance: 2.0 / d, third: 8.0 / (d * d) }.power(f64::from(power) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::Moments;
    use crate::stream::StreamKey;
    use ndarray_rand::rand::Rng;
    use rand_distr::{Distribution, StandardNormal};

    fn chain(dimension: usize, widths: &[usize]) -> DenseChain {
        let (std_devs, slopes) = (vec![1.0; widths.len() + 1], vec![0.0; widths.len()]);
        DenseChain { dimension, widths: widths.to_vec(), std_devs, slopes, outputs: 10 }
    }

    fn shape(dimension: usize, widths: &[usize], observable: &str) -> Shape {
        Shape::of(&chain(dimension, widths), &observable.parse().unwrap())
    }

    #[test]
    fn squared_lengths_have_the_fluctuations_of_hanin_and_nica() {
        let shape = shape(100, &[16, 16, 16], "logit.l2sq");
        let second = 1.02 * (1.0f64 + 5.0 / 16.0).powi(3);
        assert!((shape.relative_std_dev.powi(2) / (second - 1.0) - 1.0).abs() < 1e-12);
        // E A³ of a layer is (1 + 15/n + 44/n²), E‖ξ‖⁶/d³ = (1 + 2/d)(1 + 4/d).
        let third = 1.02 * 1.04 * (1.0f64 + 15.0 / 16.0 + 44.0 / 256.0).powi(3);
        let skewness = (third - 3.0 * second + 2.0) / (second - 1.0).powf(1.5);
        assert!((shape.skewness / skewness - 1.0).abs() < 1e-12, "{shape:?}");
    }

    #[test]
    fn sums_and_expansions_meet() {
        let near = |first: f64, second: f64, tolerance: f64| {
            assert!((first / second - 1.0).abs() < tolerance, "{first} {second}")
        };
        for observable in ["logit.l1", "logit.l2", "logit.l2sq.squared", "logit.linf"] {
            let [below, above] = [1000, 1001].map(|size| shape(size, &[size, size], observable));
            near(below.relative_std_dev, above.relative_std_dev, 0.01);
            near(below.skewness, above.skewness, 0.05);
        }
    }

    #[test]
    fn deep_and_narrow_laws_are_infinitely_skewed_and_wide_ones_nearly_normal() {
        assert_eq!(shape(64, &[2; 400], "logit.l2sq").skewness, f64::INFINITY);
        let wide = shape(1_000_000, &[100_000; 3], "logit.l1");
        assert!(wide.relative_std_dev > 0.0 && wide.relative_std_dev < 0.01);
        assert!(wide.skewness > 0.0 && wide.skewness < 0.05, "{wide:?}");
    }

    /// 200 000 products of their factors: deviation and skewness within 3 % and 15 %, several errors of both (fixed seed).
    #[test]
    fn sampled_products_have_the_shape() {
        let (dimension, widths) = (30, [12, 20]);
        let mut stream = StreamKey::new(5, &["shape"]).draw(0);
        let mut samples: [Moments; 4] = Default::default();
        for _ in 0..200_000 {
            let mut layers = 1.0;
            for width in widths {
                let kept: Vec<f64> = (0..width).map(|_| StandardNormal.sample(&mut stream)).collect();
                let kept = kept.into_iter().filter(|_| stream.random::<bool>());
                layers *= kept.map(|value: f64| value * value).sum::<f64>();
            }
            let normals: Vec<f64> = (0..dimension).map(|_| StandardNormal.sample(&mut stream)).collect();
            let norms = [
                normals.iter().map(|x| x.abs()).sum::<f64>(),
                normals.iter().map(|x| x * x).sum::<f64>().sqrt(),
                normals.iter().fold(0.0, |most: f64, x| most.max(x.abs())),
            ];
            for (sample, norm) in samples.iter_mut().zip(norms) {
                sample.push(layers.sqrt() * norm);
            }
            samples[3].push(layers * norms[1] * norms[1]);
        }
        for (sample, observable) in samples.iter().zip(["logit.l1", "logit.l2", "logit.linf", "logit.l2sq"]) {
            let shape = shape(dimension, &widths, observable);
            let relative = sample.std_dev() / sample.mean();
            assert!((shape.relative_std_dev / relative - 1.0).abs() < 0.03, "{observable}: {shape:?}, {relative}");
            assert!(
                (shape.skewness / sample.skewness() - 1.0).abs() < 0.15,
                "{observable}: {shape:?}, {}",
                sample.skewness()
            );
        }
    }
}
