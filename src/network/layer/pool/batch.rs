//! Pools on batches: the mean or the largest of each channel under a window.

use crate::network::Real;
use crate::network::batch::BatchRule;
use crate::network::batch::gather::Gather;
use crate::network::layer::{Site, Window};
use crate::network::simd::{LANES, vectorized};

/// Windows over the channels of an image.
#[derive(Debug, Clone)]
pub struct Pool {
    there: Gather,
    back: Gather,
    channels: usize,
    /// Pixels under a window.
    members: usize,
}

impl Pool {
    /// Windows of the layer's own size.
    pub fn sliding(window: &Window, site: Site<'_>) -> Self {
        let plane = |sizes: &[usize]| [sizes[1], sizes[2]];
        let ways = Gather::sliding(window, plane(site.input.sizes()), plane(site.output.sizes()));
        Self::new(ways, site.input.sizes()[0], window.size.pow(2))
    }

    /// One window over the whole image.
    pub fn global(site: Site<'_>) -> Self {
        let pixels = site.input.sizes()[1] * site.input.sizes()[2];
        Self::new(Gather::whole(pixels), site.input.sizes()[0], pixels)
    }

    fn new([there, back]: [Gather; 2], channels: usize, members: usize) -> Self {
        Self { there, back, channels, members }
    }

    fn add_shares<T: Real>(&self, gather: &Gather, input: &[T], output: &mut [T]) {
        let (channels, share) = (self.channels, T::one() / T::from_f64(self.members as f64));
        let samples = input.chunks_exact(gather.sources * channels);
        vectorized(
            #[inline(always)]
            || {
                for (input, output) in samples.zip(output.chunks_exact_mut(gather.targets * channels)) {
                    for class in &gather.classes {
                        for (index, &target) in class.targets.iter().enumerate() {
                            let (sources, target) =
                                (class.sources(index), &mut output[target * channels..][..channels]);
                            let mut first = 0;
                            while first < channels {
                                let pixels = &input[first..];
                                let sums = &mut target[first..];
                                first += match sums.len() / LANES {
                                    0 => mean::<T, 1, 1>(sources, pixels, channels, share, sums),
                                    1 => mean::<T, 1, LANES>(sources, pixels, channels, share, sums),
                                    2 | 3 => mean::<T, 2, LANES>(sources, pixels, channels, share, sums),
                                    _ => mean::<T, 4, LANES>(sources, pixels, channels, share, sums),
                                };
                            }
                        }
                    }
                }
            },
        );
    }

    /// Visits every window and channel: the index of the first largest input, a NaN counting as largest, and of the output.
    fn for_each_largest<T: Real>(&self, input: &[T], mut visit: impl FnMut(usize, usize)) {
        let channels = self.channels;
        for (sample, values) in input.chunks_exact(self.there.sources * channels).enumerate() {
            let (below, above) = (sample * values.len(), sample * self.there.targets * channels);
            self.there.for_each_target(|target, _, sources| {
                for channel in 0..channels {
                    let value = |source: usize| values[source * channels + channel];
                    let larger = |largest: usize, source: usize| {
                        if value(source) > value(largest) || value(source).is_nan() { source } else { largest }
                    };
                    // Windows have at least one pixel.
                    let largest = sources.iter().copied().reduce(larger).unwrap_or(0);
                    visit(below + largest * channels + channel, above + target * channels + channel);
                }
            });
        }
    }
}

/// The means of the windows' pixels.
#[derive(Debug)]
pub struct Average(pub Pool);

impl<T: Real> BatchRule<T> for Average {
    fn forward(&self, input: &[T], output: &mut [T]) {
        self.0.add_shares(&self.0.there, input, output);
    }

    fn tangent(&self, _: &[T], tangent: &[T], output: &mut [T]) {
        self.forward(tangent, output);
    }

    fn backward(&self, _: &[T], upstream: &[T], downstream: &mut [T]) {
        self.0.add_shares(&self.0.back, upstream, downstream);
    }
}

/// The largest of the windows' pixels.
#[derive(Debug)]
pub struct Largest(pub Pool);

impl<T: Real> BatchRule<T> for Largest {
    fn forward(&self, input: &[T], output: &mut [T]) {
        self.0.for_each_largest(input, |from, to| output[to] = input[from]);
    }

    fn tangent(&self, input: &[T], tangent: &[T], output: &mut [T]) {
        self.0.for_each_largest(input, |from, to| output[to] = tangent[from]);
    }

    fn backward(&self, input: &[T], upstream: &[T], downstream: &mut [T]) {
        downstream.fill(T::zero());
        self.0.for_each_largest(input, |from, to| downstream[from] += upstream[to]);
    }
}

/// sums = share · Σ pixels[source · channels..] for V registers of L channels. Returns the number of channels that were written.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn mean<T: Real, const V: usize, const L: usize>(
    sources: &[usize],
    pixels: &[T],
    channels: usize,
    share: T,
    sums: &mut [T],
) -> usize {
    let mut held = [[T::zero(); L]; V];
    for &source in sources {
        held = plus(held, &pixels[source * channels..]);
    }
    let sums = &mut sums[..V * L];
    for v in 0..V {
        for l in 0..L {
            sums[v * L + l] = held[v][l] * share;
        }
    }
    V * L
}

/// Sums come and go by value, so that the compiler keeps them in registers.
#[inline(always)]
#[allow(clippy::needless_range_loop)]
fn plus<T: Real, const V: usize, const L: usize>(mut sums: [[T; L]; V], values: &[T]) -> [[T; L]; V] {
    let values = &values[..V * L];
    for v in 0..V {
        for l in 0..L {
            sums[v][l] += values[v * L + l];
        }
    }
    sums
}
