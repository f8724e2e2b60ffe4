//! The mathematics of one group of values that are normalised together.
//!
//! With x̂ = s (x − μ), s = 1/√(σ² + ε), and u the gradient with respect to x̂:
//! - gradient: s (u − mean(u) − x̂ mean(u x̂));
//! - tangent, with a = mean(x̂ ẋ): dx̂ = s (ẋ − mean(ẋ) − a x̂);
//! - derivative of the gradient along ẋ with u held, m = mean(u x̂) and b = mean(u dx̂):
//!   −s a (gradient) − s (m dx̂ + b x̂), since ds = −s² a.
//!
//! Where no mean is subtracted, μ, mean(u) and mean(ẋ) are left out, and all the rest is the same.

use crate::network::Real;
use crate::network::simd::{dot, vectorized};

/// Partial sums of a mean.
const LANES: usize = 8;

/// A group after its forward pass.
#[derive(Debug)]
pub struct Group {
    /// x̂.
    pub normalised: Vec<f64>,
    /// s.
    inverse: f64,
    is_centred: bool,
}

impl Group {
    /// Normalises these values, in this memory.
    pub fn new<T: Real>(values: &[T], memory: Vec<f64>, is_centred: bool, epsilon: f64) -> Self {
        let mean = if is_centred { mean(values) } else { 0.0 };
        let mut normalised = memory;
        normalised.resize(values.len(), 0.0);
        let mut group = Self { normalised, inverse: 1.0, is_centred };
        let variance = group.centre(values, mean) / values.len() as f64;
        group.inverse = 1.0 / (variance + epsilon).sqrt();
        vectorized(
            #[inline(always)]
            || group.normalised.iter_mut().for_each(|value| *value *= group.inverse),
        );
        group
    }

    /// Writes x − μ; Σ (x − μ)².
    fn centre<T: Real>(&mut self, values: &[T], mean: f64) -> f64 {
        let ((to, to_rest), (from, from_rest)) =
            (self.normalised.as_chunks_mut::<LANES>(), values.as_chunks::<LANES>());
        vectorized(
            #[inline(always)]
            || {
                let mut sums = [0.0; LANES];
                for (to, from) in to.iter_mut().zip(from) {
                    *to = from.map(|value| value.as_f64() - mean);
                    sums = std::array::from_fn(|lane| sums[lane] + to[lane] * to[lane]);
                }
                let mut rest = 0.0;
                for (to, from) in to_rest.iter_mut().zip(from_rest) {
                    *to = from.as_f64() - mean;
                    rest += *to * *to;
                }
                sums.iter().fold(rest, |sum, lane| sum + lane)
            },
        )
    }

    /// The gradient with respect to x of what has the gradient `upstream` with respect to x̂.
    pub fn backward<T: Real>(&self, upstream: &[f64], downstream: &mut [T]) {
        self.project(upstream, downstream);
    }

    /// dx̂ along ẋ.
    pub fn tangent(&self, along: &[f64]) -> Vec<f64> {
        // The Jacobian is symmetric.
        self.projected(along).0
    }

    /// The derivative of the gradient along ẋ, `upstream` held.
    pub fn curvature(&self, along: &[f64], upstream: &[f64]) -> Vec<f64> {
        let [(moved, slope), (gradient, product)] = [along, upstream].map(|values| self.projected(values));
        let bend = mean_product(upstream, &moved);
        let (s, x) = (self.inverse, &self.normalised);
        (0..x.len()).map(|unit| -s * (slope * gradient[unit] + product * moved[unit] + bend * x[unit])).collect()
    }

    /// s (v − mean(v) − x̂ mean(v x̂)), and mean(v x̂).
    fn projected(&self, values: &[f64]) -> (Vec<f64>, f64) {
        let mut projected = vec![0.0; values.len()];
        let product = self.project(values, &mut projected);
        (projected, product)
    }

    /// Writes s (v − mean(v) − x̂ mean(v x̂)); mean(v x̂).
    fn project<T: Real>(&self, values: &[f64], projected: &mut [T]) -> f64 {
        let product = mean_product(values, &self.normalised);
        let shift = if self.is_centred { mean(values) } else { 0.0 };
        vectorized(
            #[inline(always)]
            || {
                for ((projected, &value), &x) in projected.iter_mut().zip(values).zip(&self.normalised) {
                    *projected = T::from_f64(self.inverse * (value - shift - x * product));
                }
            },
        );
        product
    }
}

/// The mean of the values.
fn mean<T: Real>(values: &[T]) -> f64 {
    let (lanes, rest) = values.as_chunks::<LANES>();
    let sums = vectorized(
        #[inline(always)]
        || {
            let mut sums = [0.0; LANES];
            for chunk in lanes {
                sums = std::array::from_fn(|lane| sums[lane] + chunk[lane].as_f64());
            }
            sums
        },
    );
    let rest: f64 = rest.iter().map(|value| value.as_f64()).sum();
    (sums.iter().sum::<f64>() + rest) / values.len() as f64
}

/// The mean of the products of two values each.
fn mean_product(one: &[f64], other: &[f64]) -> f64 {
    let sum = vectorized(
        #[inline(always)]
        || dot::<LANES, f64>(one, other),
    );
    sum / one.len() as f64
}
