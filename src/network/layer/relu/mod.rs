//! The rectified linear unit, h = max(z, 0).

mod batch;

use crate::network::batch::OnBatches;
use crate::network::layer::keys::{Defaults, Keyed, Refusal, Values};
use crate::network::layer::{Activation, LayerRule, NoPathTheory, Pass, Real, Scratch, Shape, Site};
use crate::network::simd::vectorized;

/// h = max(z, 0) with derivative 1 for z > 0 and 0 otherwise; a NaN stays a NaN.
#[derive(Debug, Clone, PartialEq)]
pub struct Relu;

impl Keyed for Relu {
    const SUMMARY: &'static str = "max(z, 0)";
    fn from_values(_: &Values, _: Defaults<'_>) -> Result<Self, Refusal> {
        Ok(Self)
    }
}

impl LayerRule for Relu {
    fn output_shape(&self, input: &Shape) -> Result<Shape, String> {
        Ok(input.clone())
    }

    fn is_symmetric(&self, _: bool) -> bool {
        false
    }

    fn activation(&self) -> Option<Activation> {
        Some(Activation::Relu)
    }

    fn forward<T: Real>(&self, _: Pass<'_, T>, input: &[T], output: &mut [T], _: &mut Scratch<T>) {
        vectorized(|| output.iter_mut().zip(input).for_each(|(unit, &z)| *unit = positive(z)));
    }

    fn backward<T: Real>(&self, _: Pass<'_, T>, input: &[T], upstream: &[T], downstream: &mut [T], _: &mut Scratch<T>) {
        vectorized(|| {
            for ((gradient, &z), &above) in downstream.iter_mut().zip(input).zip(upstream) {
                *gradient = masked(above, z);
            }
        });
    }

    fn on_batches<T: Real>(&self, _: Site<'_>) -> OnBatches<T> {
        OnBatches::of_samples(batch::Rectify)
    }

    fn edges<T: Real>(
        &self,
        _: Pass<'_, T>,
        input: &[T],
        mut visit: impl FnMut(usize, usize, T),
    ) -> Result<(), NoPathTheory> {
        let open = input.iter().enumerate().filter(|(_, z)| **z > T::zero());
        open.for_each(|(unit, _)| visit(unit, unit, T::one()));
        Ok(())
    }

    /// H1: each unit is open half of the time, independently of the weights.
    fn connections(
        &self,
        site: Site<'_>,
        _: f64,
        mut visit: impl FnMut(usize, usize, f64),
    ) -> Result<(), NoPathTheory> {
        (0..site.input.len()).for_each(|unit| visit(unit, unit, 0.5));
        Ok(())
    }
}

/// max(z, 0), written so that a NaN, which compares false, is passed on rather than hidden as a zero.
#[inline(always)]
pub fn positive<T: Real>(z: T) -> T {
    if z <= T::zero() { T::zero() } else { z }
}

/// What becomes of a gradient below a ReLU that was given z, or that gave it: both have one sign.
#[inline(always)]
pub fn masked<T: Real>(gradient: T, z: T) -> T {
    if z <= T::zero() { T::zero() } else { gradient }
}

/// A ReLU in place.
pub fn rectify<T: Real>(values: &mut [T]) {
    vectorized(|| values.iter_mut().for_each(|value| *value = positive(*value)));
}

/// A ReLU's backward pass in place, at what it was given or gave.
pub fn mask<T: Real>(gradients: &mut [T], values: &[T]) {
    vectorized(|| gradients.iter_mut().zip(values).for_each(|(gradient, &z)| *gradient = masked(*gradient, z)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn negative_units_are_closed_both_ways_and_nan_is_not_hidden() {
        let shape = Shape::new([4]).unwrap();
        let pass = Pass { site: Site { input: &shape, output: &shape }, batch: 1, parameters: &[] };
        let input = [-1.0, 0.0, 2.0, f64::NAN];
        let (mut output, mut gradient) = ([0.0f64; 4], [0.0f64; 4]);
        Relu.forward(pass, &input, &mut output, &mut Scratch::default());
        assert_eq!(output[..3], [0.0, 0.0, 2.0]);
        assert!(output[3].is_nan());
        Relu.backward(pass, &input, &[5.0, 5.0, 5.0, f64::NAN], &mut gradient, &mut Scratch::default());
        assert_eq!(gradient[..3], [0.0, 0.0, 5.0]);
        assert!(gradient[3].is_nan());
    }
}
