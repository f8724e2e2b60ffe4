//! Weight pooling on batches: one learned filter for each channel.

use crate::network::Real;
use crate::network::batch::BatchRule;
use crate::network::batch::gather::Gather;
use crate::network::layer::{Site, Window};
use crate::network::simd::vectorized;

/// `z[c] = Σ w[c, tap] x[c, under tap]`, the filters laid out `[taps, channels]`.
#[derive(Debug, Clone)]
pub struct Depthwise<T> {
    there: Gather,
    back: Gather,
    channels: usize,
    taps: usize,
    filters: Vec<T>,
}

impl<T: Real> Depthwise<T> {
    pub fn new(window: &Window, site: Site<'_>) -> Self {
        let plane = |sizes: &[usize]| [sizes[1], sizes[2]];
        let [there, back] = Gather::sliding(window, plane(site.input.sizes()), plane(site.output.sizes()));
        let (channels, taps) = (site.input.sizes()[0], window.size.pow(2));
        Self { there, back, channels, taps, filters: vec![T::zero(); channels * taps] }
    }

    fn slide(&self, gather: &Gather, input: &[T], output: &mut [T]) {
        let channels = self.channels;
        let samples = input.chunks_exact(gather.sources * channels);
        vectorized(
            #[inline(always)]
            || {
                for (input, output) in samples.zip(output.chunks_exact_mut(gather.targets * channels)) {
                    gather.for_each_target(|target, taps, sources| {
                        let sums = &mut output[target * channels..][..channels];
                        sums.fill(T::zero());
                        for (&tap, &source) in taps.iter().zip(sources) {
                            let pairs = self.filters[tap * channels..].iter().zip(&input[source * channels..]);
                            sums.iter_mut().zip(pairs).for_each(|(sum, (&weight, &x))| *sum += weight * x);
                        }
                    });
                }
            },
        );
    }
}

impl<T: Real> BatchRule<T> for Depthwise<T> {
    /// Lays out filters of shape `[channels, taps]`.
    fn load(&mut self, parameters: &[T]) {
        for (index, &weight) in parameters.iter().enumerate() {
            self.filters[index % self.taps * self.channels + index / self.taps] = weight;
        }
    }

    fn forward(&self, input: &[T], output: &mut [T]) {
        self.slide(&self.there, input, output);
    }

    fn tangent(&self, _: &[T], tangent: &[T], output: &mut [T]) {
        self.slide(&self.there, tangent, output);
    }

    fn backward(&self, _: &[T], upstream: &[T], downstream: &mut [T]) {
        self.slide(&self.back, upstream, downstream);
    }

    fn gradient_len(&self) -> usize {
        self.filters.len()
    }

    fn add_gradient(&self, input: &[T], upstream: &[T], _: bool, gradient: &mut [T]) {
        let (gather, channels) = (&self.there, self.channels);
        let samples = input.chunks_exact(gather.sources * channels);
        for (input, upstream) in samples.zip(upstream.chunks_exact(gather.targets * channels)) {
            gather.for_each_target(|target, taps, sources| {
                for (&tap, &source) in taps.iter().zip(sources) {
                    let pairs = upstream[target * channels..].iter().zip(&input[source * channels..]);
                    let sums = gradient[tap * channels..][..channels].iter_mut();
                    sums.zip(pairs).for_each(|(sum, (&above, &x))| *sum += above * x);
                }
            });
        }
    }

    fn unpack(&self, gradient: &[T], parameters: &mut [T]) {
        for (index, weight) in parameters.iter_mut().enumerate() {
            *weight += gradient[index % self.taps * self.channels + index / self.taps];
        }
    }
}
