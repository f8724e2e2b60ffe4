//! Flattening and the end of a residual block on batches, whose pixels have their channels side by side.

use crate::network::batch::{BatchRule, to_channels_first, to_channels_last};
use crate::network::{Real, Shape};

/// Pixel after pixel becomes channel after channel.
#[derive(Debug)]
pub struct Transpose(pub Shape);

impl<T: Real> BatchRule<T> for Transpose {
    fn forward(&self, input: &[T], output: &mut [T]) {
        let samples = input.chunks_exact(self.0.len()).zip(output.chunks_exact_mut(self.0.len()));
        samples.for_each(|(pixels, sample)| to_channels_first(&self.0, pixels, sample));
    }

    fn tangent(&self, _: &[T], tangent: &[T], output: &mut [T]) {
        self.forward(tangent, output);
    }

    fn backward(&self, _: &[T], upstream: &[T], downstream: &mut [T]) {
        let samples = upstream.chunks_exact(self.0.len()).zip(downstream.chunks_exact_mut(self.0.len()));
        samples.for_each(|(sample, pixels)| to_channels_last(&self.0, sample, pixels));
    }
}

/// The values are passed on; the tape adds the other arm.
#[derive(Debug)]
pub struct Pass;

impl<T: Real> BatchRule<T> for Pass {
    fn forward(&self, input: &[T], output: &mut [T]) {
        output.copy_from_slice(input);
    }

    fn tangent(&self, _: &[T], tangent: &[T], output: &mut [T]) {
        output.copy_from_slice(tangent);
    }

    fn backward(&self, _: &[T], upstream: &[T], downstream: &mut [T]) {
        downstream.copy_from_slice(upstream);
    }
}
