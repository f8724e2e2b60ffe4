//! Batch normalisation on batches, y = γ x̂ + β with x̂ = s (x − μ) and s = 1/√(σ² + ε), with the statistics of the batch or
//! running ones; its gradient, its tangent, and the derivative of its gradient.
//!
//! Means are over the batch and all pixels of a channel. With u = ∂L/∂y:
//! - gradient: ∂L/∂x = γ s (u − mean(u) − x̂ mean(u x̂));
//! - tangent, with a = mean(x̂ ẋ): dx̂ = s (ẋ − mean(ẋ) − a x̂), dy = γ dx̂;
//! - derivative of the gradient along ẋ, with m = mean(u x̂) and b = mean(u dx̂): the gradient of u's own derivative, and besides
//!   γ (−s² a (u − mean(u) − x̂ m) − s (m dx̂ + b x̂)), since ds = −s² a.
//!
//! With running statistics the layer is affine, and all of this but γ s is zero.

use rayon::prelude::*;

use crate::network::Real;
use crate::network::batch::{CHUNK, for_each_chunk, pixels_and_channels, samples};
use crate::network::layer::{BatchNorm, Site, Statistics};
use crate::network::simd::vectorized;

/// Rows of channels that are summed in the values' own precision before they go to sums in double precision.
const ROWS: usize = 256;

/// A normalisation with its parameters and, after a forward pass, its statistics.
#[derive(Debug, Clone)]
pub struct Normalisation {
    channels: usize,
    /// Values of one sample.
    length: usize,
    epsilon: f64,
    statistics: Statistics,
    scale: Vec<f64>,
    shift: Vec<f64>,
    /// Mean and variance that the last forward pass normalised with.
    mean: Vec<f64>,
    variance: Vec<f64>,
    /// mean(ẋ) and a of the last tangent pass.
    tangent: [Vec<f64>; 2],
}

impl Normalisation {
    pub fn new(layer: &BatchNorm, site: Site<'_>) -> Self {
        let [_, channels] = pixels_and_channels(site.input);
        let BatchNorm { statistics, epsilon } = *layer;
        let [zeros, ones] = [0.0, 1.0].map(|value| vec![value; channels]);
        Self {
            channels,
            length: site.input.len(),
            epsilon,
            statistics,
            scale: ones.clone(),
            shift: zeros.clone(),
            mean: zeros.clone(),
            variance: ones,
            tangent: [zeros.clone(), zeros],
        }
    }

    /// Takes γ, β and the running mean and variance.
    pub fn load<T: Real>(&mut self, parameters: &[T]) {
        let mut tensors = parameters.chunks_exact(self.channels);
        for tensor in [&mut self.scale, &mut self.shift, &mut self.mean, &mut self.variance] {
            let values = tensors.next().unwrap_or_default();
            tensor.iter_mut().zip(values).for_each(|(own, value)| *own = value.as_f64());
        }
    }

    /// Mean and variance that the last forward pass normalised with.
    pub fn moments(&self) -> [&[f64]; 2] {
        [&self.mean, &self.variance]
    }

    /// Whether the statistics are those of the batch.
    pub fn mixes(&self) -> bool {
        self.statistics == Statistics::Batch
    }

    /// s.
    fn inverse(&self, channel: usize) -> f64 {
        1.0 / (self.variance[channel] + self.epsilon).sqrt()
    }

    pub fn forward<T: Real>(&mut self, input: &[T], output: &mut [T]) {
        if self.mixes() {
            [self.mean, self.variance] = self.moments_of(input);
        }
        let factors = self.coefficients(|channel| {
            let factor = self.scale[channel] * self.inverse(channel);
            [factor, self.shift[channel] - factor * self.mean[channel]]
        });
        self.combine(output, &[input], &factors, false);
    }

    /// ẏ from ẋ.
    pub fn tangent<T: Real>(&mut self, input: &[T], tangent: &[T], output: &mut [T]) {
        let count = (input.len() / self.channels) as f64;
        if self.mixes() {
            let [plain, products] = self.sums(input.len(), [(tangent, None), (tangent, Some(input))]);
            let normalised = |channel: usize| {
                self.inverse(channel) * (products[channel] - self.mean[channel] * plain[channel]) / count
            };
            self.tangent =
                [plain.iter().map(|sum| sum / count).collect(), (0..self.channels).map(normalised).collect()];
        } else {
            self.tangent.iter_mut().for_each(|sums| sums.fill(0.0));
        }
        let factors = self.coefficients(|channel| {
            let (factor, inverse) = (self.scale[channel] * self.inverse(channel), self.inverse(channel));
            let [mean, slope] = [self.tangent[0][channel], self.tangent[1][channel]];
            [factor, -factor * slope * inverse, factor * (slope * inverse * self.mean[channel] - mean)]
        });
        self.combine(output, &[tangent, input], &factors, false);
    }

    /// ∂L/∂x from ∂L/∂y, with the sums Σu and Σ u x̂ that are the gradients of β and γ.
    pub fn backward<T: Real>(&self, input: &[T], upstream: &[T], downstream: Option<&mut [T]>) -> [Vec<f64>; 2] {
        let count = (input.len() / self.channels) as f64;
        let [plain, scaled] = self.upstream_sums(input, upstream);
        if let Some(downstream) = downstream {
            let factors = self.coefficients(|channel| {
                let (factor, inverse) = (self.scale[channel] * self.inverse(channel), self.inverse(channel));
                let [mean, slope] =
                    if self.mixes() { [plain[channel] / count, scaled[channel] / count] } else { [0.0; 2] };
                [factor, -factor * slope * inverse, factor * (slope * inverse * self.mean[channel] - mean)]
            });
            self.combine(downstream, &[upstream, input], &factors, false);
        }
        [plain, scaled]
    }

    /// Adds to `source` what the derivative of the gradient along the last tangent has besides the gradient of the
    /// upstream's derivative; returns Σ u dx̂, the gradient of γ in it.
    pub fn add_tangent_gradient<T: Real>(
        &self,
        input: &[T],
        tangent: &[T],
        upstream: &[T],
        source: &mut [T],
    ) -> Vec<f64> {
        let count = (input.len() / self.channels) as f64;
        let [plain, scaled] = self.upstream_sums(input, upstream);
        let [products] = self.sums(input.len(), [(upstream, Some(tangent))]);
        let moved: Vec<f64> = (0..self.channels)
            .map(|channel| {
                let [mean, slope] = [self.tangent[0][channel], self.tangent[1][channel]];
                self.inverse(channel) * (products[channel] - mean * plain[channel] - slope * scaled[channel])
            })
            .collect();
        if self.mixes() {
            let factors = self.coefficients(|channel| {
                let (scale, inverse) = (self.scale[channel], self.inverse(channel));
                let [mean, slope] = [self.tangent[0][channel], self.tangent[1][channel]];
                let [u, m, b] = [&plain, &scaled, &moved].map(|sums| sums[channel] / count);
                let normalised = scale * inverse * (2.0 * inverse * slope * m - b);
                [
                    -scale * inverse * inverse * slope,
                    -scale * inverse * inverse * m,
                    normalised * inverse,
                    scale * inverse * inverse * (slope * u + m * mean) - normalised * inverse * self.mean[channel],
                ]
            });
            self.combine(source, &[upstream, tangent, input], &factors, true);
        }
        moved
    }

    /// Mean and variance of each channel over the batch, which is read once: sums about a pivot, the mean of the first rows, keep
    /// the digits that the square of the mean would take where it is large beside the variance.
    fn moments_of<T: Real>(&self, input: &[T]) -> [Vec<f64>; 2] {
        let rows = input.len().min(ROWS * self.channels);
        let [sums] = self.sums(rows, [(input, None)]);
        let pivot: Vec<T> = sums.iter().map(|sum| T::from_f64(sum * self.channels as f64 / rows as f64)).collect();
        let [sums, squares] = self.reduce(
            input.len(),
            #[inline(always)]
            |first, count, [sums, squares]: [&mut [T]; 2]| {
                for row in samples(input, 1, first, count).chunks_exact(self.channels) {
                    for ((sum, square), (&x, &pivot)) in
                        sums.iter_mut().zip(squares.iter_mut()).zip(row.iter().zip(&pivot))
                    {
                        let difference = x - pivot;
                        *sum += difference;
                        *square += difference * difference;
                    }
                }
            },
        );
        let count = (input.len() / self.channels) as f64;
        let shift = |channel: usize| sums[channel] / count;
        let mean = |channel: usize| pivot[channel].as_f64() + shift(channel);
        let variance = |channel: usize| (squares[channel] / count - shift(channel).powi(2)).max(0.0);
        [(0..self.channels).map(mean).collect(), (0..self.channels).map(variance).collect()]
    }

    /// Σu and Σ u x̂.
    fn upstream_sums<T: Real>(&self, input: &[T], upstream: &[T]) -> [Vec<f64>; 2] {
        let [plain, mut products] = self.sums(input.len(), [(upstream, None), (upstream, Some(input))]);
        for (channel, product) in products.iter_mut().enumerate() {
            *product = self.inverse(channel) * (*product - self.mean[channel] * plain[channel]);
        }
        [plain, products]
    }

    /// Σ v, or Σ v w, for each channel.
    fn sums<T: Real, const K: usize>(&self, length: usize, pairs: [(&[T], Option<&[T]>); K]) -> [Vec<f64>; K] {
        self.reduce(
            length,
            #[inline(always)]
            |first, count, sums: [&mut [T]; K]| {
                for (sums, (values, others)) in sums.into_iter().zip(pairs) {
                    let rows = samples(values, 1, first, count).chunks_exact(self.channels);
                    match others {
                        None => rows.for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, &value)| *sum += value)),
                        Some(others) => {
                            for (row, other) in rows.zip(samples(others, 1, first, count).chunks_exact(self.channels)) {
                                let pairs = row.iter().zip(other);
                                sums.iter_mut().zip(pairs).for_each(|(sum, (&value, &other))| *sum += value * other);
                            }
                        }
                    }
                }
            },
        )
    }

    /// Sums over the batch: `add` adds the values of a part of it, (first value, number of values), to sums for each
    /// channel. Parts are of one length and their sums are added in double precision and in order.
    fn reduce<T: Real, const K: usize>(
        &self,
        length: usize,
        add: impl Fn(usize, usize, [&mut [T]; K]) + Sync,
    ) -> [Vec<f64>; K] {
        let chunk = CHUNK * self.length;
        let parts: Vec<[Vec<f64>; K]> = (0..length.div_ceil(chunk))
            .into_par_iter()
            .map(|index| {
                let end = length.min((index + 1) * chunk);
                let mut totals: [Vec<f64>; K] = std::array::from_fn(|_| vec![0.0; self.channels]);
                let mut own: [Vec<T>; K] = std::array::from_fn(|_| vec![T::zero(); self.channels]);
                for first in (index * chunk..end).step_by(ROWS * self.channels) {
                    let count = (ROWS * self.channels).min(end - first);
                    own.iter_mut().for_each(|sums| sums.fill(T::zero()));
                    vectorized(
                        #[inline(always)]
                        || add(first, count, own.each_mut().map(Vec::as_mut_slice)),
                    );
                    for (totals, own) in totals.iter_mut().zip(&own) {
                        totals.iter_mut().zip(own).for_each(|(total, sum)| *total += sum.as_f64());
                    }
                }
                totals
            })
            .collect();
        let mut sums: [Vec<f64>; K] = std::array::from_fn(|_| vec![0.0; self.channels]);
        for part in parts {
            for (sums, part) in sums.iter_mut().zip(part) {
                sums.iter_mut().zip(part).for_each(|(sum, more)| *sum += more);
            }
        }
        sums
    }

    /// Factors of each channel, one list for each of K.
    fn coefficients<T: Real, const K: usize>(&self, of: impl Fn(usize) -> [f64; K]) -> [Vec<T>; K] {
        let mut factors: [Vec<T>; K] = std::array::from_fn(|_| Vec::with_capacity(self.channels));
        for channel in 0..self.channels {
            for (factors, factor) in factors.iter_mut().zip(of(channel)) {
                factors.push(T::from_f64(factor));
            }
        }
        factors
    }

    /// output = Σ factors[n] · terms[n] + factors[last], channel by channel; added to what is there with `accumulate`.
    fn combine<T: Real, const N: usize, const K: usize>(
        &self,
        output: &mut [T],
        terms: &[&[T]; N],
        factors: &[Vec<T>; K],
        accumulate: bool,
    ) {
        let parts: Vec<(&[T], &[T])> = terms.iter().copied().zip(factors.iter().map(Vec::as_slice)).collect();
        for_each_chunk(output, self.length, |first, output| {
            vectorized(
                #[inline(always)]
                || {
                    let start = first * self.length;
                    let shifts = &factors[K - 1][..self.channels];
                    for (row, values) in output.chunks_exact_mut(self.channels).enumerate() {
                        let place = start + row * self.channels;
                        let [(first, own), rest @ ..] = &parts[..] else { continue };
                        let first = shifts.iter().zip(own.iter().zip(&first[place..]));
                        if accumulate {
                            let pairs = values.iter_mut().zip(first);
                            pairs.for_each(|(value, (&shift, (&factor, &x)))| *value = *value + shift + factor * x);
                        } else {
                            let pairs = values.iter_mut().zip(first);
                            pairs.for_each(|(value, (&shift, (&factor, &x)))| *value = shift + factor * x);
                        }
                        for (term, factors) in rest {
                            let pairs = factors.iter().zip(&term[place..]);
                            values.iter_mut().zip(pairs).for_each(|(value, (&factor, &x))| *value += factor * x);
                        }
                    }
                },
            );
        });
    }
}
