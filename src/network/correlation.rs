//! The inner loop of convolutions: sums of pixels at fixed distances from a place, times weights, for many places and many
//! channels at once.
//!
//! A tile of sums stays in the processor's registers while all of its steps are added; each step reads a few runs of
//! neighbouring places and one weight for every channel, where they lie. Every sum is added in the order of its steps, by
//! fused multiply-adds, which are exactly rounded: results have the same bits on every processor, whatever its registers.
//! Only speed depends on them, and suffers much on processors without fused multiply-adds.

use super::Real;
use super::simd::{LANES, by_registers};

/// One addend of every sum: where its pixel lies for the first place, and its weight for the first channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// The pixel of the first place; those of the next places follow it.
    pub pixel: usize,
    /// The weight of the first channel.
    pub weight: usize,
}

/// `sum[c, p] = bias[c] + Σ weights[step.weight + c · weight_stride] pixels[step.pixel + p]` over all steps, in their order.
#[derive(Debug, Clone, Copy)]
pub struct Correlation<'a, T> {
    /// The addends.
    pub steps: &'a [Step],
    /// What the steps' pixels count in, with [`LANES`] values of any kind behind the last one.
    pub pixels: &'a [T],
    /// What the steps' weights count in.
    pub weights: &'a [T],
    /// Distance between the weights of neighbouring channels.
    pub weight_stride: usize,
    /// Where each channel's sums begin; empty for zeros.
    pub biases: &'a [T],
    /// What is written for sums below it: 0 for a ReLU, −∞ for none.
    pub floor: T,
}

/// Where sums are written.
#[derive(Debug)]
pub struct Target<'a, T> {
    /// Channel after channel.
    pub values: &'a mut [T],
    /// Channels.
    pub channels: usize,
    /// Places of each channel that are written, from its first on.
    pub places: usize,
    /// Distance between the first places of neighbouring channels.
    pub pitch: usize,
}

impl<T: Real> Correlation<'_, T> {
    /// Writes the sums of all channels and places.
    ///
    /// # Panics
    /// A step leads outside of the pixels or weights, or the target is too short.
    pub fn write(&self, target: Target<'_, T>) {
        // Closures that are not inlined are compiled for the baseline only.
        if size_of::<T>() <= 4 {
            by_registers(
                target,
                #[inline(always)]
                |target| self.wide::<LANES>(target),
                #[inline(always)]
                |target| self.narrow::<8>(target),
            );
        } else {
            by_registers(
                target,
                #[inline(always)]
                |target| self.wide::<8>(target),
                #[inline(always)]
                |target| self.narrow::<4>(target),
            );
        }
    }

    /// Tiles for 32 registers of L values.
    #[inline(always)]
    fn wide<const L: usize>(&self, target: Target<'_, T>) {
        match target.channels {
            1 => self.rows::<L, 1, 6>(target),
            2 => self.rows::<L, 2, 6>(target),
            3 => self.rows::<L, 3, 6>(target),
            4..=7 => self.rows::<L, 4, 6>(target),
            _ => self.rows::<L, 8, 3>(target),
        }
    }

    /// Tiles for 16 registers of L values.
    #[inline(always)]
    fn narrow<const L: usize>(&self, target: Target<'_, T>) {
        match target.channels {
            1 => self.rows::<L, 1, 3>(target),
            2 => self.rows::<L, 2, 3>(target),
            3 => self.rows::<L, 3, 3>(target),
            _ => self.rows::<L, 4, 3>(target),
        }
    }

    /// All sums by tiles of R channels and up to V runs of L places.
    #[inline(always)]
    fn rows<const L: usize, const R: usize, const V: usize>(&self, target: Target<'_, T>) {
        let runs = target.places.div_ceil(L);
        let mut done = 0;
        let Target { values, channels, places, pitch } = target;
        while done < runs {
            let column = Column { values: &mut *values, channels, places, pitch, first: done * L };
            // Two tiles of two rather than one of three and one of one.
            done += match runs - done {
                left if V > 3 && left >= V => self.column::<L, R, V>(column),
                1 => self.column::<L, R, 1>(column),
                2 | 4 => self.column::<L, R, 2>(column),
                _ => self.column::<L, R, 3>(column),
            };
        }
    }

    /// The sums of all channels at V runs of L places; the last tile begins early if there are not R channels left for it.
    /// Returns V.
    #[inline(always)]
    fn column<const L: usize, const R: usize, const V: usize>(&self, column: Column<'_, T>) -> usize {
        let Column { values, channels, places, pitch, first } = column;
        let width = (places - first).min(V * L);
        for channel in (0..channels).step_by(R).map(|channel| channel.min(channels - R)) {
            let values = &mut values[channel * pitch + first..];
            if width == V * L {
                self.tile::<L, R, V>(channel, first, values, pitch);
            } else {
                let mut whole = [[[T::zero(); L]; V]; R];
                self.tile::<L, R, V>(channel, first, whole.as_flattened_mut().as_flattened_mut(), V * L);
                for (row, whole) in values.chunks_mut(pitch).zip(&whole) {
                    row[..width].copy_from_slice(&whole.as_flattened()[..width]);
                }
            }
        }
        V
    }

    /// The sums of R channels at V runs of L places. Loops are over indices that are known to the compiler, which then keeps
    /// the sums in registers.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, clippy::manual_memcpy)]
    fn tile<const L: usize, const R: usize, const V: usize>(
        &self,
        channel: usize,
        place: usize,
        values: &mut [T],
        pitch: usize,
    ) {
        let mut sums = [[[T::zero(); L]; V]; R];
        let mut weights: [&[T]; R] = [&[]; R];
        // One length for all rows, so that one check of a step's weight does for all of them.
        let length = self.weights.len() - (channel + R - 1) * self.weight_stride;
        for r in 0..R {
            weights[r] = &self.weights[(channel + r) * self.weight_stride..][..length];
            if !self.biases.is_empty() {
                sums[r] = [[self.biases[channel + r]; L]; V];
            }
        }
        // Without any steps there need be no pixels.
        let pixels = self.pixels.get(place..).unwrap_or_default();
        for step in self.steps {
            let seen = &pixels[step.pixel..][..V * L];
            let mut runs = [[T::zero(); L]; V];
            for v in 0..V {
                for l in 0..L {
                    runs[v][l] = seen[v * L + l];
                }
            }
            for r in 0..R {
                let weight = weights[r][step.weight];
                for v in 0..V {
                    for l in 0..L {
                        sums[r][v][l] = runs[v][l].mul_add(weight, sums[r][v][l]);
                    }
                }
            }
        }
        for r in 0..R {
            for v in 0..V {
                let target = &mut values[r * pitch + v * L..][..L];
                for l in 0..L {
                    let sum = sums[r][v][l];
                    target[l] = if sum < self.floor { self.floor } else { sum };
                }
            }
        }
    }
}

/// Some places of all channels of a [`Target`].
struct Column<'a, T> {
    values: &'a mut [T],
    channels: usize,
    places: usize,
    pitch: usize,
    /// The first of these places.
    first: usize,
}

#[cfg(test)]
mod tests {
    use super::super::simd::vectorized;
    use super::*;

    /// Values that are not special in any way.
    fn values<T: Real>(count: usize, seed: usize) -> Vec<T> {
        let value = |index: usize| (((index + seed) * 2_654_435_761) >> 8 & 0xffff) as f64 / 65_536.0 - 0.5;
        (0..count).map(|index| T::from_f64(value(index))).collect()
    }

    /// All sizes of tiles against the definition, added in the same order: the same bits.
    fn check<T: Real>() {
        for channels in 1..=19 {
            for places in [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 129] {
                for is_biased in [false, true] {
                    let steps: Vec<Step> = (0..11).map(|n| Step { pixel: n * 13 % 29, weight: n * 5 % 23 }).collect();
                    let (pixels, weights) = (values::<T>(29 + places + LANES, 1), values::<T>(23 + channels * 23, 2));
                    let biases = values::<T>(if is_biased { channels } else { 0 }, 3);
                    let correlation = Correlation {
                        steps: &steps,
                        pixels: &pixels,
                        weights: &weights,
                        weight_stride: 23,
                        biases: &biases,
                        floor: T::neg_infinity(),
                    };
                    let pitch = places + 2;
                    let mut expected = vec![T::nan(); channels * pitch];
                    for (channel, row) in expected.chunks_exact_mut(pitch).enumerate() {
                        for (place, sum) in row[..places].iter_mut().enumerate() {
                            let start = biases.get(channel).copied().unwrap_or_default();
                            *sum = steps.iter().fold(start, |sum, step| {
                                pixels[step.pixel + place].mul_add(weights[step.weight + channel * 23], sum)
                            });
                        }
                    }
                    type Way<'a, T> = &'a dyn Fn(Target<'_, T>);
                    let ways: [Way<'_, T>; 5] = [
                        &|target| correlation.write(target),
                        &|target| vectorized(|| correlation.wide::<16>(target)),
                        &|target| correlation.wide::<8>(target),
                        &|target| vectorized(|| correlation.narrow::<8>(target)),
                        &|target| correlation.narrow::<4>(target),
                    ];
                    for way in ways {
                        let mut sums = vec![T::nan(); channels * pitch];
                        way(Target { values: &mut sums, channels, places, pitch });
                        for (sum, expected) in sums.iter().zip(&expected) {
                            assert!(sum == expected || sum.is_nan() && expected.is_nan(), "{channels} {places}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn sums_are_those_of_the_definition_to_the_last_bit_whatever_the_registers() {
        check::<f32>();
        check::<f64>();
    }
}
