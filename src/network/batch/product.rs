//! The two inner loops of layers with weights: sums over a [`Gather`] of input channels times weights, and of input channels
//! times gradients above, which are the gradients of these weights.
//!
//! A tile of sums stays in the processor's registers while everything is added to it, by fused multiply-adds in a fixed order:
//! results have the same bits on every processor, whatever its registers.

use super::super::Real;
use super::super::simd::{by_registers, copy};
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

/// Tiles of targets that take up one tap after another together, so that its weights stay in a first-level cache.
const TILES: usize = 8;

/// Some targets of a class over all samples, and their sums so far, `pitch(outputs)` for each.
struct Block<'a, T> {
    class: &'a Class,
    /// For each target of the block, its index in the class and where its sample's input begins.
    places: &'a [(usize, usize)],
    sums: &'a mut [T],
}

impl<T: Real> Product<'_, T> {
    /// `output[target, o] = bias[o] + Σ weights[tap, i, o] input[source, i]` over the target's list, for every sample.
    /// `biases` are `pitch(outputs)` values, or none.
    ///
    /// # Panics
    /// The slices are not those of whole samples.
    pub fn write(&self, biases: &[T], input: &[T], output: &mut [T]) {
        // Closures that are not inlined are compiled for the baseline only.
        if const { size_of::<T>() <= 4 } {
            by_registers(
                output,
                #[inline(always)]
                |output| self.wide::<16>(biases, input, output),
                #[inline(always)]
                |output| self.blocks::<8, 5, 2>(biases, input, output),
            );
        } else {
            by_registers(
                output,
                #[inline(always)]
                |output| self.wide::<8>(biases, input, output),
                #[inline(always)]
                |output| self.blocks::<4, 5, 2>(biases, input, output),
            );
        }
    }

    /// Tiles for 32 registers of L values: of few channels they take more targets.
    #[inline(always)]
    fn wide<const L: usize>(&self, biases: &[T], input: &[T], output: &mut [T]) {
        if pitch(self.outputs) <= 2 * L {
            self.blocks::<L, 12, 2>(biases, input, output);
        } else {
            self.blocks::<L, 6, 4>(biases, input, output);
        }
    }

    /// All targets of all samples, in blocks of tiles of R.
    #[inline(always)]
    fn blocks<const L: usize, const R: usize, const V: usize>(&self, biases: &[T], input: &[T], output: &mut [T]) {
        let (length, pitch) = (self.gather.sources * self.inputs, pitch(self.outputs));
        let samples = input.len() / length;
        let mut scratch = vec![T::zero(); TILES * R * pitch];
        let zeros = vec![T::zero(); pitch];
        let biases = if biases.is_empty() { &zeros } else { biases };
        let mut places = Vec::with_capacity(TILES * R);
        for class in &self.gather.classes {
            let count = samples * class.targets.len();
            for first in (0..count).step_by(TILES * R) {
                let end = count.min(first + TILES * R);
                let place = |position: usize| (position % class.targets.len(), position / class.targets.len());
                places.clear();
                // The last tile is filled up with copies of the last target, which are not written.
                let filled = first..first + (end - first).next_multiple_of(R);
                places.extend(filled.map(|position| {
                    let (index, sample) = place(position.min(end - 1));
                    (index, sample * length)
                }));
                // Where targets follow each other in the output, and whole tiles of them, their sums are made in place.
                let whole = pitch == self.outputs && class.targets.len() == self.gather.targets;
                let place_of = first * pitch..end * pitch;
                let in_place = whole && places.len() == end - first;
                let sums = if in_place { &mut output[place_of] } else { &mut scratch[..] };
                sums.chunks_exact_mut(pitch).for_each(|row| copy(biases, row));
                self.add::<L, R, V>(input, Block { class, places: &places, sums: &mut *sums });
                if in_place {
                    continue;
                }
                for (position, row) in (first..end).zip(scratch.chunks_exact(pitch)) {
                    let (index, sample) = place(position);
                    let target = sample * self.gather.targets + class.targets[index];
                    copy(row, &mut output[target * self.outputs..][..self.outputs]);
                }
            }
        }
    }

    /// Adds all taps to the sums of a block.
    #[inline(always)]
    fn add<const L: usize, const R: usize, const V: usize>(&self, input: &[T], block: Block<'_, T>) {
        let pitch = pitch(self.outputs);
        for (entry, &tap) in block.class.taps.iter().enumerate() {
            let weights = &self.weights[tap * self.inputs * pitch..][..self.inputs * pitch];
            for (places, sums) in block.places.chunks_exact(R).zip(block.sums.chunks_exact_mut(R * pitch)) {
                let mut seen: [&[T]; R] = [&[]; R];
                for (seen, &(index, start)) in seen.iter_mut().zip(places) {
                    let source = block.class.sources(index)[entry];
                    *seen = &input[start + source * self.inputs..][..self.inputs];
                }
                let mut column = 0;
                while column < pitch {
                    let (weights, sums) = (&weights[column..], &mut sums[column..]);
                    column += match (pitch - column) / L {
                        left if left >= V => tile::<T, L, R, V>(weights, &seen, pitch, sums),
                        1 => tile::<T, L, R, 1>(weights, &seen, pitch, sums),
                        2 => tile::<T, L, R, 2>(weights, &seen, pitch, sums),
                        _ => tile::<T, L, R, 3>(weights, &seen, pitch, sums),
                    };
                }
            }
        }
    }
}

/// Adds one tap to V registers of channels of R targets; `sums` are `pitch` apart. Returns the number of channels. Loops are over
/// indices that are known to the compiler, which then keeps the sums in registers.
#[inline(always)]
#[allow(clippy::needless_range_loop, clippy::manual_memcpy)]
fn tile<T: Real, const L: usize, const R: usize, const V: usize>(
    weights: &[T],
    seen: &[&[T]; R],
    pitch: usize,
    sums: &mut [T],
) -> usize {
    let mut held = [[[T::zero(); L]; V]; R];
    for r in 0..R {
        let begun = &sums[r * pitch..][..V * L];
        for v in 0..V {
            for l in 0..L {
                held[r][v][l] = begun[v * L + l];
            }
        }
    }
    held = multiply_add(held, weights, seen, pitch);
    for r in 0..R {
        let target = &mut sums[r * pitch..][..V * L];
        for v in 0..V {
            for l in 0..L {
                target[v * L + l] = held[r][v][l];
            }
        }
    }
    V * L
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
        if const { size_of::<T>() <= 4 } {
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
        let first = (class.taps[entry] * self.inputs + row) * self.pitch + column;
        let mut sums = [[[T::zero(); L]; V]; R];
        for r in 0..R {
            let begun = &gradient[first + r * self.pitch..][..V * L];
            for v in 0..V {
                for l in 0..L {
                    sums[r][v][l] = begun[v * L + l];
                }
            }
        }
        let [above, below] = [self.gather.targets * self.pitch, self.gather.sources * self.inputs];
        for (input, upstream) in self.input.chunks_exact(below).zip(self.upstream.chunks_exact(above)) {
            sums = self.multiply_add(sums, class, entry, [row, column], input, upstream);
        }
        for r in 0..R {
            let target = &mut gradient[first + r * self.pitch..][..V * L];
            for v in 0..V {
                for l in 0..L {
                    target[v * L + l] = sums[r][v][l];
                }
            }
        }
        V * L
    }

    /// The sums with what one sample adds to them. They come and go by value, so that the compiler keeps them in registers.
    #[inline(always)]
    #[allow(clippy::needless_range_loop, clippy::manual_memcpy)]
    fn multiply_add<const L: usize, const R: usize, const V: usize>(
        &self,
        mut sums: [[[T; L]; V]; R],
        class: &Class,
        entry: usize,
        [row, column]: [usize; 2],
        input: &[T],
        upstream: &[T],
    ) -> [[[T; L]; V]; R] {
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
        sums
    }
}

/// The sums with the products of one tap: `weights[i · pitch + v L + l] · seen[r][i]` for every input channel i. They come and go by
/// value, so that the compiler keeps them in registers.
#[inline(always)]
#[allow(clippy::needless_range_loop, clippy::manual_memcpy)]
fn multiply_add<T: Real, const L: usize, const R: usize, const V: usize>(
    mut sums: [[[T; L]; V]; R],
    weights: &[T],
    seen: &[&[T]; R],
    pitch: usize,
) -> [[[T; L]; V]; R] {
    for i in 0..seen[0].len() {
        let row = &weights[i * pitch..][..V * L];
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
    sums
}
