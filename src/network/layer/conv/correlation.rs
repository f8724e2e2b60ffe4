//! The inner loop of convolutions: sums of pixels at fixed distances from a place, times weights, for many places and many
//! channels at once.
//!
//! A tile of sums stays in the processor's registers while all of its steps are added; each step reads a few runs of
//! neighbouring places and one weight for every channel, where they lie. Every sum is added in the order of its steps, by
//! fused multiply-adds, which are exactly rounded: results have the same bits on every processor, whatever its registers.
//! Only speed depends on them, and suffers much on processors without fused multiply-adds.

use pulp::{Simd, WithSimd};

use crate::network::simd::{LANES, Lanes};
use crate::network::{InstructionSet, Real};

/// Steps that all tiles take together, so that their pixels stay in the first-level cache.
const BLOCK: usize = 144;

/// Sums that stay there too, in single precision; of more, each is added up at once.
const HELD: usize = 1 << 12;

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
        InstructionSet::current().run(Write { correlation: self, target });
    }
}

/// The loop, compiled for each instruction set.
struct Write<'c, 't, T> {
    correlation: &'c Correlation<'c, T>,
    target: Target<'t, T>,
}

impl<T: Real> WithSimd for Write<'_, '_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { correlation, target: Target { values, channels, places, pitch } } = self;
        let runs = places.div_ceil(Kernel::<T, S>::RUN);
        let mut kernel = Kernel { simd, correlation, values, channels, places, pitch };
        let mut done = 0;
        while done < runs {
            // A constant, so that tiles that do not run are not compiled.
            done += if const { S::REGISTER_COUNT >= 32 } {
                kernel.wide(done, runs - done)
            } else {
                kernel.narrow(done, runs - done)
            };
        }
    }
}

struct Kernel<'c, 't, T, S> {
    simd: S,
    correlation: &'c Correlation<'c, T>,
    values: &'t mut [T],
    channels: usize,
    places: usize,
    pitch: usize,
}

/// Sums of R channels at V runs of places, each run a register.
type Tile<T, S, const R: usize, const V: usize> = [[<T as Lanes>::Register<S>; V]; R];

impl<T: Real, S: Simd> Kernel<'_, '_, T, S> {
    /// Places of a run.
    const RUN: usize = size_of::<T::Register<S>>() / size_of::<T>();

    /// The sums of all channels at some of the runs that are left, by tiles for 32 registers. Returns how many. A step of a tile
    /// reads a register for every run, and a weight for every channel; the more sums there are to each, the better.
    #[inline(always)]
    fn wide(&mut self, run: usize, left: usize) -> usize {
        let is_cached = self.correlation.steps.len() <= BLOCK || self.is_held();
        match (self.channels, left) {
            (1, 1) => self.column::<1, 1>(run),
            (1, 2) => self.column::<1, 2>(run),
            (1, 3..=5) => self.column::<1, 3>(run),
            (1, _) => self.column::<1, 6>(run),
            (2 | 3, 1) => self.column::<2, 1>(run),
            (2 | 3, 2) => self.column::<2, 2>(run),
            (2 | 3, 3..=5) => self.column::<2, 3>(run),
            (2 | 3, _) => self.column::<2, 6>(run),
            (4..=7, 1) => self.column::<4, 1>(run),
            (4..=7, 2) => self.column::<4, 2>(run),
            (_, 1) => self.column::<8, 1>(run),
            (_, 2) => self.column::<8, 2>(run),
            // Registers that do not come from the first-level cache are slower than weights, and less of them better.
            (8.., 4) if !is_cached => self.column::<8, 2>(run),
            (8.., _) if !is_cached => self.column::<8, 3>(run),
            (8.., 3 | 5) => self.column::<8, 3>(run),
            (8.., 4 | 7 | 8) => self.column::<6, 4>(run),
            (_, 3..=5) => self.column::<4, 3>(run),
            _ => self.column::<4, 6>(run),
        }
    }

    /// The same for 16 registers.
    #[inline(always)]
    fn narrow(&mut self, run: usize, left: usize) -> usize {
        match (self.channels, left) {
            (1, 1) => self.column::<1, 1>(run),
            (1, 2) => self.column::<1, 2>(run),
            (1, _) => self.column::<1, 3>(run),
            (2 | 3, 1) => self.column::<2, 1>(run),
            // Two tiles of two rather than one of three and one of one.
            (2 | 3, 2 | 4) => self.column::<2, 2>(run),
            (2 | 3, _) => self.column::<2, 3>(run),
            (4 | 5, 1) => self.column::<4, 1>(run),
            (4 | 5, _) => self.column::<4, 2>(run),
            // With a register for a weight and one for every run, these are fifteen.
            (_, 1) => self.column::<6, 1>(run),
            _ => self.column::<6, 2>(run),
        }
    }

    /// The sums of all channels at V runs of places, by tiles of R channels. Returns V.
    #[inline(always)]
    fn column<const R: usize, const V: usize>(&mut self, run: usize) -> usize {
        let Self { correlation: &Correlation { steps, floor, .. }, channels, pitch, .. } = *self;
        let first = run * Self::RUN;
        let width = (self.places - first).min(V * Self::RUN);
        let in_blocks = if steps.len() > BLOCK && self.is_held() && width == V * Self::RUN {
            // Tiles that are whole and do not overlap.
            channels - channels % R
        } else {
            0
        };
        self.blocks::<R, V>(in_blocks, first);
        // The last tile begins early if there are not R channels left for it.
        for channel in (in_blocks..channels).step_by(R).map(|channel| channel.min(channels - R)) {
            let mut sums = [[T::splat(self.simd, T::zero()); V]; R];
            for (r, sums) in sums.iter_mut().enumerate() {
                *sums = [T::splat(self.simd, self.bias(channel + r)); V];
            }
            let sums = self.add(steps, channel, first, sums);
            let place = channel * pitch + first;
            if width == V * Self::RUN {
                self.store(sums, floor, place);
            } else {
                self.store_some(sums, floor, place, width);
            }
        }
        V
    }

    /// The sums of so many channels, by blocks of steps; between two blocks they lie where they are written.
    #[inline(always)]
    fn blocks<const R: usize, const V: usize>(&mut self, channels: usize, first: usize) {
        let Self { correlation: &Correlation { steps, floor, .. }, pitch, .. } = *self;
        for channel in 0..channels {
            let bias = self.bias(channel);
            self.values[channel * pitch + first..][..V * Self::RUN].fill(bias);
        }
        let mut left = if channels == 0 { &[] } else { steps };
        while !left.is_empty() {
            let (block, after) = left.split_at(left.len().min(BLOCK));
            let floor = if after.is_empty() { floor } else { T::neg_infinity() };
            for channel in (0..channels).step_by(R) {
                let place = channel * pitch + first;
                let sums = self.add(block, channel, first, self.load::<R, V>(place));
                self.store(sums, floor, place);
            }
            left = after;
        }
    }

    /// Whether all sums stay in the first-level cache.
    #[inline(always)]
    fn is_held(&self) -> bool {
        self.channels * self.pitch <= HELD
    }

    /// Where the sums of a channel begin.
    #[inline(always)]
    fn bias(&self, channel: usize) -> T {
        self.correlation.biases.get(channel).copied().unwrap_or_default()
    }

    /// The sums with what some steps add to them. They come and go by value, so that the compiler keeps them in registers.
    #[inline(always)]
    #[allow(clippy::needless_range_loop)]
    fn add<const R: usize, const V: usize>(
        &self,
        steps: &[Step],
        channel: usize,
        first: usize,
        mut sums: Tile<T, S, R, V>,
    ) -> Tile<T, S, R, V> {
        let Correlation { pixels, weights: all, weight_stride, .. } = *self.correlation;
        let mut weights: [&[T]; R] = [&[]; R];
        // One length for all rows, so that one check of a step's weight does for all of them.
        let length = all.len() - (channel + R - 1) * weight_stride;
        for r in 0..R {
            weights[r] = &all[(channel + r) * weight_stride..][..length];
        }
        // Without any steps there need be no pixels.
        let pixels = pixels.get(first..).unwrap_or_default();
        for step in steps {
            let seen = T::registers::<S>(&pixels[step.pixel..][..V * Self::RUN]);
            for r in 0..R {
                let weight = T::splat(self.simd, weights[r][step.weight]);
                for v in 0..V {
                    sums[r][v] = T::multiply_add(self.simd, seen[v], weight, sums[r][v]);
                }
            }
        }
        sums
    }

    /// The sums that begin in this place.
    #[inline(always)]
    fn load<const R: usize, const V: usize>(&self, place: usize) -> Tile<T, S, R, V> {
        let mut sums = [[T::splat(self.simd, T::zero()); V]; R];
        for (r, sums) in sums.iter_mut().enumerate() {
            sums.copy_from_slice(T::registers::<S>(&self.values[place + r * self.pitch..][..V * Self::RUN]));
        }
        sums
    }

    /// Writes sums from this place on, or the floor for those below it.
    #[inline(always)]
    fn store<const R: usize, const V: usize>(&mut self, sums: Tile<T, S, R, V>, floor: T, place: usize) {
        let floor = T::splat(self.simd, floor);
        for (r, sums) in sums.into_iter().enumerate() {
            let row = &mut self.values[place + r * self.pitch..][..V * Self::RUN];
            for (to, sum) in T::registers_mut::<S>(row).iter_mut().zip(sums) {
                *to = T::at_least(self.simd, floor, sum);
            }
        }
    }

    /// The same for so many places of each channel.
    #[inline(always)]
    fn store_some<const R: usize, const V: usize>(
        &mut self,
        sums: Tile<T, S, R, V>,
        floor: T,
        place: usize,
        count: usize,
    ) {
        let floor = T::splat(self.simd, floor);
        for (r, sums) in sums.into_iter().enumerate() {
            let row = &mut self.values[place + r * self.pitch..][..count];
            for (piece, sum) in row.chunks_mut(Self::RUN).zip(sums) {
                let mut whole = [T::zero(); LANES];
                // A register holds at most so many values.
                T::registers_mut::<S>(&mut whole[..Self::RUN])[0] = T::at_least(self.simd, floor, sum);
                piece.copy_from_slice(&whole[..piece.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that are not special in any way.
    fn values<T: Real>(count: usize, seed: usize) -> Vec<T> {
        let value = |index: usize| (((index + seed) * 2_654_435_761) >> 8 & 0xffff) as f64 / 65_536.0 - 0.5;
        (0..count).map(|index| T::from_f64(value(index))).collect()
    }

    /// All sizes of tiles against the definition, added in the same order: the same bits.
    fn check<T: Real>() {
        for channels in 1..=19 {
            for places in [1, 3, 4, 7, 8, 15, 16, 17, 31, 33, 48, 63, 64, 65, 100, 129, 300] {
                // Few steps, and more than a block of them; a ReLU.
                let none = T::neg_infinity();
                for (is_biased, count, floor) in
                    [(false, 11, none), (true, 11, none), (true, 2 * BLOCK + 11, T::zero())]
                {
                    let steps: Vec<Step> =
                        (0..count).map(|n| Step { pixel: n * 13 % 29, weight: n * 5 % 23 }).collect();
                    let (pixels, weights) = (values::<T>(29 + places + LANES, 1), values::<T>(23 + channels * 23, 2));
                    let biases = values::<T>(if is_biased { channels } else { 0 }, 3);
                    let correlation = Correlation {
                        steps: &steps,
                        pixels: &pixels,
                        weights: &weights,
                        weight_stride: 23,
                        biases: &biases,
                        floor,
                    };
                    let pitch = places + 2;
                    let mut expected = vec![T::nan(); channels * pitch];
                    for (channel, row) in expected.chunks_exact_mut(pitch).enumerate() {
                        for (place, sum) in row[..places].iter_mut().enumerate() {
                            let start = biases.get(channel).copied().unwrap_or_default();
                            let total = steps.iter().fold(start, |sum, step| {
                                pixels[step.pixel + place].mul_add(weights[step.weight + channel * 23], sum)
                            });
                            *sum = if total < floor { floor } else { total };
                        }
                    }
                    for set in InstructionSet::ALL {
                        let mut sums = vec![T::nan(); channels * pitch];
                        let target = Target { values: &mut sums, channels, places, pitch };
                        set.run(Write { correlation: &correlation, target });
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
