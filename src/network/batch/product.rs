//! The two inner loops of layers with weights: sums over a [`Gather`] of input channels times weights, and of input channels
//! times gradients above, which are the gradients of these weights.
//!
//! A tile of sums stays in the processor's registers while everything is added to it, by fused multiply-adds in a fixed order:
//! results have the same bits on every processor, whatever its registers.

use super::super::Real;
use super::super::simd::by_registers;
use super::gather::{Class, Gather};

/// Channels that are summed side by side come in multiples of this many: one register of AVX-512 in single precision.
const ALIGNED: usize = 16;

/// Room for the output channels of one row of weights.
pub fn pitch(outputs: usize) -> usize {
    outputs.next_multiple_of(ALIGNED)
}

/// Weights `[taps, inputs, pitch(outputs)]` at the taps of a [`Gather`].
#[derive(Debug, Clone, Copy)]
pub struct Product<'a, T> {
    /// Which source each target sees under which tap.
    pub gather: &'a Gather,
    /// Channels of a source.
    pub inputs: usize,
    /// Channels of a target.
    pub outputs: usize,
    /// The weights; those beyond the outputs are zero.
    pub weights: &'a [T],
}

/// One target of one sample.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Target within its class.
    index: usize,
    /// Where the sample's input begins.
    input: usize,
    /// Where the target's channels begin.
    output: usize,
}

impl<T: Real> Product<'_, T> {
    /// `output[target, o] = bias[o] + Σ weights[tap, i, o] input[source, i]` over the target's list, for every sample.
    /// `biases` are `pitch(outputs)` values, or none.
    ///
    /// # Panics
    /// The slices are not those of whole samples.
    pub fn write(&self, biases: &[T], input: &[T], output: &mut [T]) {
        // Closures that are not inlined are compiled for the baseline only.
        if size_of::<T>() <= 4 {
            by_registers(
                output,
                #[inline(always)]
                |output| self.rows::<16, 6, 4>(biases, input, output),
                #[inline(always)]
                |output| self.rows::<8, 5, 2>(biases, input, output),
            );
        } else {
            by_registers(
                output,
                #[inline(always)]
                |output| self.rows::<8, 6, 4>(biases, input, output),
                #[inline(always)]
                |output| self.rows::<4, 5, 2>(biases, input, output),
            );
        }
    }

    /// All targets of all samples in tiles of R.
    #[inline(always)]
    fn rows<const L: usize, const R: usize, const V: usize>(&self, biases: &[T], input: &[T], output: &mut [T]) {
        let samples = input.len() / (self.gather.sources * self.inputs);
        for class in &self.gather.classes {
            let places = samples * class.targets.len();
            let mut first = 0;
            while first < places {
                if places < R {
                    self.columns::<L, 1, V>(class, first, biases, input, output);
                    first += 1;
                } else {
                    // The last tile begins early, so that it is full, and writes some targets again.
                    self.columns::<L, R, V>(class, first.min(places - R), biases, input, output);
                    first += R;
                }
            }
        }
    }

    /// All channels of R targets.
    #[inline(always)]
    fn columns<const L: usize, const R: usize, const V: usize>(
        &self,
        class: &Class,
        first: usize,
        biases: &[T],
        input: &[T],
        output: &mut [T],
    ) {
        let places: [Place; R] = std::array::from_fn(|r| {
            let (sample, index) = ((first + r) / class.targets.len(), (first + r) % class.targets.len());
            let target = sample * self.gather.targets + class.targets[index];
            Place { index, input: sample * self.gather.sources * self.inputs, output: target * self.outputs }
        });
        let mut column = 0;
        while column < pitch(self.outputs) {
            column += match (pitch(self.outputs) - column) / L {
                left if left >= V => self.tile::<L, R, V>(class, &places, column, biases, input, output),
                1 => self.tile::<L, R, 1>(class, &places, column, biases, input, output),
                2 => self.tile::<L, R, 2>(class, &places, column, biases, input, output),
                _ => self.tile::<L, R, 3>(class, &places, column, biases, input, output),
            };
        }
    }

    /// V registers of channels of R targets. Returns the number of channels. Loops are over indices that are known to the compiler,
    /// which then keeps the sums in registers.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, clippy::manual_memcpy)]
    fn tile<const L: usize, const R: usize, const V: usize>(
        &self,
        class: &Class,
        places: &[Place; R],
        column: usize,
        biases: &[T],
        input: &[T],
        output: &mut [T],
    ) -> usize {
        let pitch = pitch(self.outputs);
        let mut sums = [[[T::zero(); L]; V]; R];
        if !biases.is_empty() {
            for v in 0..V {
                for l in 0..L {
                    let bias = biases[column + v * L + l];
                    for r in 0..R {
                        sums[r][v][l] = bias;
                    }
                }
            }
        }
        for (entry, &tap) in class.taps.iter().enumerate() {
            let weights = &self.weights[tap * self.inputs * pitch..][..self.inputs * pitch];
            let mut seen: [&[T]; R] = [&[]; R];
            for r in 0..R {
                let source = class.sources(places[r].index)[entry];
                seen[r] = &input[places[r].input + source * self.inputs..][..self.inputs];
            }
            for (i, row) in weights.chunks_exact(pitch).enumerate() {
                let row = &row[column..][..V * L];
                let mut runs = [[T::zero(); L]; V];
                for v in 0..V {
                    for l in 0..L {
                        runs[v][l] = row[v * L + l];
                    }
                }
                for r in 0..R {
                    let x = seen[r][i];
                    for v in 0..V {
                        for l in 0..L {
                            sums[r][v][l] = runs[v][l].mul_add(x, sums[r][v][l]);
                        }
                    }
                }
            }
        }
        let width = (self.outputs - column).min(V * L);
        for r in 0..R {
            let target = &mut output[places[r].output + column..][..width];
            if width == V * L {
                for v in 0..V {
                    for l in 0..L {
                        target[v * L + l] = sums[r][v][l];
                    }
                }
            } else {
                target.copy_from_slice(&sums[r].as_flattened()[..width]);
            }
        }
        V * L
    }
}

/// `gradient[tap, i, o] += Σ input[source, i] upstream[target, o]` over all lists of a [`Gather`] and all samples: the gradient of
/// the weights of a [`Product`].
#[derive(Debug, Clone, Copy)]
pub struct Outer<'a, T> {
    /// Which source each target sees under which tap.
    pub gather: &'a Gather,
    /// Channels of a source.
    pub inputs: usize,
    /// Channels of a target, `pitch` of them, those beyond the last one zero.
    pub pitch: usize,
    /// The inputs of some samples.
    pub input: &'a [T],
    /// The gradients above.
    pub upstream: &'a [T],
}

impl<T: Real> Outer<'_, T> {
    /// Adds the sums to `gradient`, of shape `[taps, inputs, pitch]`.
    ///
    /// # Panics
    /// The slices are not those of whole samples, or the gradient is too short.
    pub fn add_to(&self, gradient: &mut [T]) {
        if size_of::<T>() <= 4 {
            by_registers(
                gradient,
                #[inline(always)]
                |gradient| self.rows::<16, 6, 4>(gradient),
                #[inline(always)]
                |gradient| self.rows::<8, 5, 2>(gradient),
            );
        } else {
            by_registers(
                gradient,
                #[inline(always)]
                |gradient| self.rows::<8, 6, 4>(gradient),
                #[inline(always)]
                |gradient| self.rows::<4, 5, 2>(gradient),
            );
        }
    }

    #[inline(always)]
    fn rows<const L: usize, const R: usize, const V: usize>(&self, gradient: &mut [T]) {
        for class in &self.gather.classes {
            for entry in 0..class.taps.len() {
                let mut row = 0;
                while row < self.inputs {
                    row += match self.inputs - row {
                        left if left >= R => self.columns::<L, R, V>(class, entry, row, gradient),
                        1 => self.columns::<L, 1, V>(class, entry, row, gradient),
                        2 | 3 => self.columns::<L, 2, V>(class, entry, row, gradient),
                        _ => self.columns::<L, 4, V>(class, entry, row, gradient),
                    };
                }
            }
        }
    }

    #[inline(always)]
    fn columns<const L: usize, const R: usize, const V: usize>(
        &self,
        class: &Class,
        entry: usize,
        row: usize,
        gradient: &mut [T],
    ) -> usize {
        let mut column = 0;
        while column < self.pitch {
            column += match (self.pitch - column) / L {
                left if left >= V => self.tile::<L, R, V>(class, entry, [row, column], gradient),
                1 => self.tile::<L, R, 1>(class, entry, [row, column], gradient),
                2 => self.tile::<L, R, 2>(class, entry, [row, column], gradient),
                _ => self.tile::<L, R, 3>(class, entry, [row, column], gradient),
            };
        }
        R
    }

    #[inline(always)]
    #[allow(clippy::needless_range_loop, clippy::manual_memcpy)]
    fn tile<const L: usize, const R: usize, const V: usize>(
        &self,
        class: &Class,
        entry: usize,
        [row, column]: [usize; 2],
        gradient: &mut [T],
    ) -> usize {
        let mut sums = [[[T::zero(); L]; V]; R];
        let [above, below] = [self.gather.targets * self.pitch, self.gather.sources * self.inputs];
        for (input, upstream) in self.input.chunks_exact(below).zip(self.upstream.chunks_exact(above)) {
            for (index, &target) in class.targets.iter().enumerate() {
                let run = &upstream[target * self.pitch + column..][..V * L];
                let seen = &input[class.sources(index)[entry] * self.inputs + row..][..R];
                let mut runs = [[T::zero(); L]; V];
                for v in 0..V {
                    for l in 0..L {
                        runs[v][l] = run[v * L + l];
                    }
                }
                for r in 0..R {
                    for v in 0..V {
                        for l in 0..L {
                            sums[r][v][l] = runs[v][l].mul_add(seen[r], sums[r][v][l]);
                        }
                    }
                }
            }
        }
        for r in 0..R {
            let start = (class.taps[entry] * self.inputs + row + r) * self.pitch + column;
            let target = &mut gradient[start..][..V * L];
            for v in 0..V {
                for l in 0..L {
                    target[v * L + l] += sums[r][v][l];
                }
            }
        }
        V * L
    }
}
