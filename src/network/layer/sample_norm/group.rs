//! The mathematics of one group of values that are normalised together.
//!
//! With x̂ = s (x − μ), s = 1/√(σ² + ε), and u the gradient with respect to x̂:
//! - gradient: s (u − mean(u) − x̂ mean(u x̂));
//! - tangent, with a = mean(x̂ ẋ): dx̂ = s (ẋ − mean(ẋ) − a x̂);
//! - derivative of the gradient along ẋ with u held, m = mean(u x̂) and b = mean(u dx̂):
//!   −s a (gradient) − s (m dx̂ + b x̂), since ds = −s² a.
//!
//! Where no mean is subtracted, μ, mean(u) and mean(ẋ) are left out, and all the rest is the same.

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
    /// Normalises these values.
    pub fn new(mut values: Vec<f64>, is_centred: bool, epsilon: f64) -> Self {
        if is_centred {
            let mean = mean(&values);
            values.iter_mut().for_each(|value| *value -= mean);
        }
        let inverse = 1.0 / (mean_product(&values, &values) + epsilon).sqrt();
        vectorized(
            #[inline(always)]
            || values.iter_mut().for_each(|value| *value *= inverse),
        );
        Self { normalised: values, inverse, is_centred }
    }

    /// The gradient with respect to x of what has the gradient `upstream` with respect to x̂.
    pub fn backward(&self, upstream: &[f64]) -> Vec<f64> {
        self.project(upstream).0
    }

    /// dx̂ along ẋ.
    pub fn tangent(&self, along: &[f64]) -> Vec<f64> {
        // The Jacobian is symmetric.
        self.project(along).0
    }

    /// The derivative of the gradient along ẋ, `upstream` held.
    pub fn curvature(&self, along: &[f64], upstream: &[f64]) -> Vec<f64> {
        let (moved, slope) = self.project(along);
        let (gradient, product) = self.project(upstream);
        let bend = mean_product(upstream, &moved);
        let (s, x) = (self.inverse, &self.normalised);
        (0..x.len()).map(|unit| -s * (slope * gradient[unit] + product * moved[unit] + bend * x[unit])).collect()
    }

    /// s (v − mean(v) − x̂ mean(v x̂)), and mean(v x̂).
    fn project(&self, values: &[f64]) -> (Vec<f64>, f64) {
        let product = mean_product(values, &self.normalised);
        let shift = if self.is_centred { mean(values) } else { 0.0 };
        let mut projected = vec![0.0; values.len()];
        vectorized(
            #[inline(always)]
            || {
                for ((projected, &value), &x) in projected.iter_mut().zip(values).zip(&self.normalised) {
                    *projected = self.inverse * (value - shift - x * product);
                }
            },
        );
        (projected, product)
    }
}

/// The mean of the values.
fn mean(values: &[f64]) -> f64 {
    let (lanes, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for chunk in lanes {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
    }
    (sums.iter().sum::<f64>() + rest.iter().sum::<f64>()) / values.len() as f64
}

/// The mean of the products of two values each.
fn mean_product(one: &[f64], other: &[f64]) -> f64 {
    dot::<LANES, f64>(one, other) / one.len() as f64
}
