//! Normalisation by constants on batches: a factor and a shift for each channel.

use crate::network::Real;
use crate::network::batch::{BatchRule, pixels_and_channels};
use crate::network::layer::{Normalise, Site};

/// y = factor · x + shift, channel by channel.
#[derive(Debug, Clone)]
pub struct Constants<T> {
    factors: Vec<T>,
    shifts: Vec<T>,
}

impl<T: Real> Constants<T> {
    pub fn new(layer: &Normalise, site: Site<'_>) -> Self {
        let [_, channels] = pixels_and_channels(site.input);
        let coefficients = layer.coefficients(channels).map(|coefficients| coefficients.map(T::from_f64));
        let (factors, shifts) = coefficients.map(|[factor, shift]| (factor, shift)).unzip();
        Self { factors, shifts }
    }

    /// The layer's derivative, which is its own adjoint.
    fn scale(&self, values: &[T], scaled: &mut [T]) {
        self.map(values, scaled, |factor, _, value| factor * value);
    }

    fn map(&self, from: &[T], to: &mut [T], each: impl Fn(T, T, T) -> T) {
        let channels = self.factors.len();
        for (from, to) in from.chunks_exact(channels).zip(to.chunks_exact_mut(channels)) {
            let coefficients = self.factors.iter().zip(&self.shifts);
            to.iter_mut()
                .zip(from)
                .zip(coefficients)
                .for_each(|((to, &from), (&factor, &shift))| *to = each(factor, shift, from));
        }
    }
}

impl<T: Real> BatchRule<T> for Constants<T> {
    fn forward(&self, input: &[T], output: &mut [T]) {
        self.map(input, output, |factor, shift, x| factor * x + shift);
    }

    fn tangent(&self, _: &[T], tangent: &[T], output: &mut [T]) {
        self.scale(tangent, output);
    }

    fn backward(&self, _: &[T], upstream: &[T], downstream: &mut [T]) {
        self.scale(upstream, downstream);
    }
}
