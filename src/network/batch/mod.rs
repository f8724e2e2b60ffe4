//! Batches of samples that share one network's parameters, as in training: forward and backward passes, gradients with
//! respect to the parameters, and the derivatives of gradients that penalties need.
//!
//! Where the sampler runs one sample through each of a million networks, training runs many samples through one. The values of a
//! sample lie pixel after pixel, the channels of a pixel side by side ([`to_channels_last`]): loops run along the channels,
//! whatever the size of the image, and samples are spread over the processor's cores in fixed chunks, so that
//! sums have the same bits for any number of threads. Both ways of running a network are tested against each other.

mod affine;
pub(super) mod gather;
mod product;
mod rule;
mod tape;
#[cfg(test)]
mod tests;

pub(super) use affine::Affine;
pub use rule::{BatchRule, OnBatches};
pub use tape::BatchTape;

use rayon::prelude::*;

use super::{Real, Shape};

/// Samples that one core works on at a time. Sums over a batch are sums over its chunks, in their order.
pub(super) const CHUNK: usize = 8;

/// Pixels and channels of a shape: a vector is one pixel.
pub(super) fn pixels_and_channels(shape: &Shape) -> [usize; 2] {
    let channels = shape.sizes()[0];
    if shape.as_vector().is_some() { [1, shape.len()] } else { [shape.len() / channels, channels] }
}

/// Turns a sample `[channels, height, width]` into pixels with their channels side by side; a vector stays as it is.
pub fn to_channels_last<T: Real>(shape: &Shape, sample: &[T], pixels: &mut [T]) {
    let [count, channels] = pixels_and_channels(shape);
    for (pixel, values) in pixels.chunks_exact_mut(channels).enumerate() {
        values.iter_mut().enumerate().for_each(|(channel, value)| *value = sample[channel * count + pixel]);
    }
}

/// The way back from [`to_channels_last`].
pub fn to_channels_first<T: Real>(shape: &Shape, pixels: &[T], sample: &mut [T]) {
    let [count, channels] = pixels_and_channels(shape);
    for (pixel, values) in pixels.chunks_exact(channels).enumerate() {
        values.iter().enumerate().for_each(|(channel, &value)| sample[channel * count + pixel] = value);
    }
}

/// Runs `each` on the chunks of samples of `output`, in parallel, with their place among the samples: the first one of
/// each chunk, and how many.
pub(super) fn for_each_chunk<T: Real>(output: &mut [T], length: usize, each: impl Fn(usize, &mut [T]) + Sync) {
    output.par_chunks_mut(CHUNK * length).enumerate().for_each(|(chunk, output)| each(chunk * CHUNK, output));
}

/// The samples from `first` on that go with a chunk of `count` samples.
pub(super) fn samples<T>(values: &[T], length: usize, first: usize, count: usize) -> &[T] {
    &values[first * length..(first + count) * length]
}
