//! Convolutions with kernels of 3 × 3 taps and stride 1 by fewer multiplications (Winograd 1980; for images Lavin and Gray,
//! [arXiv 1509.09308](https://arxiv.org/abs/1509.09308)).
//!
//! An image is cut into tiles of 2 × 2 places, which see 4 × 4 pixels. A tile's pixels, and every kernel, become values at 4 × 4
//! points, sums and differences of them; each point is multiplied and added up over the channels by itself, and a place is a
//! sum of products at its tile's points: 16 multiplications instead of 36. The points of an axis are 0, 1, −1 and ∞, for which
//! results are as accurate as those of the definition.

use std::ops::{Add, Mul, Sub};

use super::correlation::{Correlation, Step, Target};
use super::residues::{in_turns, interleave};
use super::shifts::{Axis, Shifts};
use crate::network::Real;
use crate::network::layer::relu::positive;
use crate::network::layer::window::PaddingMode;
use crate::network::simd::{LANES, aligned, vectorized};

/// Points of an axis, and pixels that the places of a tile see.
const POINTS: usize = 4;

/// Points of a tile.
const ALL: usize = POINTS * POINTS;

/// Places of a tile along an axis.
const PLACES: usize = 2;

/// Values at points that are held at a time, about: those of all channels of some rows of tiles. At one point, those of
/// 64 channels stay in the first-level cache with their kernels.
const BLOCK_VALUES: usize = 3 << 14;

/// A value for each of some neighbouring tiles, or kernels.
#[derive(Debug, Clone, Copy)]
struct Run<T>([T; LANES]);

impl<T: Real> Run<T> {
    #[inline(always)]
    fn zip(mut self, other: Self, combine: impl Fn(T, T) -> T) -> Self {
        for lane in 0..LANES {
            self.0[lane] = combine(self.0[lane], other.0[lane]);
        }
        self
    }

    #[inline(always)]
    fn read(values: &[T]) -> Self {
        let mut run = Self::default();
        run.0.copy_from_slice(&values[..LANES]);
        run
    }

    #[inline(always)]
    fn write(self, values: &mut [T]) {
        values[..LANES].copy_from_slice(&self.0);
    }
}

impl<T: Real> Default for Run<T> {
    #[inline(always)]
    fn default() -> Self {
        Self([T::zero(); LANES])
    }
}

impl<T: Real> Add for Run<T> {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }
}

impl<T: Real> Sub for Run<T> {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }
}

impl<T: Real> Mul<f64> for Run<T> {
    type Output = Self;

    #[inline(always)]
    fn mul(self, factor: f64) -> Self {
        let factor = T::from_f64(factor);
        Self(self.0.map(|value| value * factor))
    }
}

/// The points of the pixels that a tile sees along an axis.
#[inline(always)]
fn of_pixels<T: Real>([a, b, c, d]: [Run<T>; POINTS]) -> [Run<T>; POINTS] {
    [a - c, b + c, c - b, d - b]
}

/// The points of a kernel's taps.
#[inline(always)]
fn of_taps<T: Real>([a, b, c]: [Run<T>; 3]) -> [Run<T>; POINTS] {
    let (even, odd) = ((a + c) * 0.5, b * 0.5);
    [a, even + odd, even - odd, c]
}

/// The places of a tile from the products at its points.
#[inline(always)]
fn to_places<T: Real>([a, b, c, d]: [Run<T>; POINTS]) -> [Run<T>; PLACES] {
    [a + (b + c), (b - c) + d]
}

/// Memory that is kept between convolutions.
#[derive(Debug)]
pub struct Memory<'a, T> {
    /// An image laid out, and later the places of a channel.
    pub image: &'a mut Vec<T>,
    /// The points of the image, and of the sums.
    pub points: &'a mut Vec<T>,
    /// The points of the kernels.
    pub kernels: &'a mut Vec<T>,
    /// The addends of the sums.
    pub steps: &'a mut Vec<Step>,
}

/// Kernels of 3 × 3 taps.
#[derive(Debug, Clone, Copy)]
pub struct Kernels<'a, T> {
    /// The taps, `[out, in, 3, 3]`.
    pub weights: &'a [T],
    /// Channels out and in.
    pub channels: [usize; 2],
    /// Where the sums of each channel begin; empty for zeros.
    pub biases: &'a [T],
    /// Whether taps are mirrored, and sums run over the channels out: the convolution that carries a gradient back.
    pub is_backward: bool,
    /// Whether sums below zero are written as zeros.
    pub is_rectified: bool,
}

/// A convolution of stride 1 by its points.
#[derive(Debug, Clone, Copy)]
pub struct Winograd {
    /// Height and width of the image.
    pub image: [usize; 2],
    /// The position that the first tap sees at the first place, along both axes.
    pub first: isize,
    /// What lies beyond the edges.
    pub mode: PaddingMode,
    /// Rows and columns of places.
    pub places: [usize; 2],
}

/// Some rows of tiles while they are worked on.
struct Block {
    /// The first of the rows, and how many they are.
    first: usize,
    rows: usize,
    /// Tiles of a row.
    across: usize,
    /// Tiles of all rows, and what fills up the last register.
    pitch: usize,
}

impl Winograd {
    /// Writes the maps of one image.
    pub fn convolve<T: Real>(&self, image: &[T], kernels: Kernels<'_, T>, maps: &mut [T], memory: Memory<'_, T>) {
        let Memory { image: laid, points, kernels: transformed, steps } = memory;
        let [outs, ins] = kernels.channels;
        let matrix = apart(outs * ins);
        let weights = aligned(transformed, ALL * matrix);
        kernels.transform(weights, matrix);
        // From one channel of sums to the next, and from one addend to the next.
        let [(channels, weight_stride), (sources, step)] =
            if kernels.is_backward { [(ins, 1), (outs, ins)] } else { [(outs, ins), (ins, 1)] };

        let [down, across] = self.places.map(|places| places.div_ceil(PLACES));
        for (first, rows) in blocks(down, across, channels.max(sources)) {
            let block = Block { first, rows, across, pitch: (rows * across).next_multiple_of(LANES) };
            let pitches = [sources, channels].map(|channels| apart(channels * block.pitch));
            let (seen, sums) = aligned(points, ALL * (pitches[0] + pitches[1])).split_at_mut(ALL * pitches[0]);
            self.pixels(&block, image, laid, seen);
            steps.clear();
            steps.extend((0..sources).map(|source| Step { pixel: source * block.pitch, weight: source * step }));
            let of_points = seen.chunks_exact(pitches[0]).zip(weights.chunks_exact(matrix));
            for ((pixels, weights), sums) in of_points.zip(sums.chunks_exact_mut(pitches[1])) {
                let weights = &weights[..outs * ins];
                let floor = T::neg_infinity();
                Correlation { steps, pixels, weights, weight_stride, biases: &[], floor }.write(Target {
                    values: sums,
                    channels,
                    places: block.pitch,
                    pitch: block.pitch,
                });
            }
            self.maps(&block, sums, kernels, laid, maps);
        }
    }

    /// Writes the points of the image, one matrix `[channel, tile]` for each.
    fn pixels<T: Real>(&self, block: &Block, image: &[T], memory: &mut Vec<T>, points: &mut [T]) {
        let firsts: Vec<isize> = (0..POINTS.cast_signed()).map(|pixel| self.first + pixel).collect();
        let axis = |places| Axis { firsts: firsts.clone(), stride: PLACES, places };
        let rows = axis(block.first + block.rows).at(block.first..block.first + block.rows);
        let shifts = Shifts::new(self.image, self.mode, [rows, axis(block.across)]);
        let (pixels, pitch) = (shifts.lay(image, memory), points.len() / ALL);
        let channels = image.len() / (self.image[0] * self.image[1]);
        vectorized(
            #[inline(always)]
            || {
                for (channel, tile) in each(channels, block.pitch) {
                    let mut lines = [[Run::default(); POINTS]; POINTS];
                    for (row, line) in lines.iter_mut().enumerate() {
                        let read = |column| Run::read(&pixels[shifts.place(channel, row, column) + tile..]);
                        *line = of_pixels([read(0), read(1), read(2), read(3)]);
                    }
                    for column in 0..POINTS {
                        let values = of_pixels(lines.map(|line| line[column]));
                        for (row, value) in values.into_iter().enumerate() {
                            let place = (row * POINTS + column) * pitch + channel * block.pitch + tile;
                            value.write(&mut points[place..]);
                        }
                    }
                }
            },
        );
    }

    /// Writes the places of all channels from the sums at the points.
    fn maps<T: Real>(&self, block: &Block, points: &[T], kernels: Kernels<'_, T>, memory: &mut Vec<T>, maps: &mut [T]) {
        let ([height, width], pitch) = (self.places, points.len() / ALL);
        // All tiles of one channel, by the place in a tile.
        let parts = aligned(memory, PLACES * PLACES * block.pitch);
        vectorized(
            #[inline(always)]
            || {
                for (channel, map) in maps.chunks_exact_mut(height * width).enumerate() {
                    let bias = Run([kernels.biases.get(channel).copied().unwrap_or_default(); LANES]);
                    for tile in (0..block.pitch).step_by(LANES) {
                        let mut lines = [[Run::default(); PLACES]; POINTS];
                        for (row, line) in lines.iter_mut().enumerate() {
                            let place = |column| (row * POINTS + column) * pitch + channel * block.pitch + tile;
                            let read = |column| Run::read(&points[place(column)..]);
                            *line = to_places([read(0), read(1), read(2), read(3)]);
                        }
                        for column in 0..PLACES {
                            let values = to_places(lines.map(|line| line[column]));
                            for (row, value) in values.into_iter().enumerate() {
                                let sums = value + bias;
                                let sums = if kernels.is_rectified { Run(sums.0.map(positive)) } else { sums };
                                sums.write(&mut parts[(row * PLACES + column) * block.pitch + tile..]);
                            }
                        }
                    }
                    let lines = map[block.first * PLACES * width..].chunks_exact_mut(width);
                    for (row, line) in lines.take(block.rows * PLACES).enumerate() {
                        let first = row % PLACES * PLACES * block.pitch + row / PLACES * block.across;
                        interleave(&parts[first..], block.pitch, block.across, PLACES, line);
                    }
                }
            },
        );
    }
}

/// Blocks of rows of tiles of about the same size: the first row, and how many.
fn blocks(down: usize, across: usize, channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let most = (BLOCK_VALUES / (ALL * channels * across)).clamp(1, down);
    let rows = down.div_ceil(down.div_ceil(most));
    (0..down).step_by(rows).map(move |first| (first, rows.min(down - first)))
}

/// Values that one convolution holds: points of kernels, image and sums.
pub fn scratch_count([outs, ins]: [usize; 2], places: [usize; 2]) -> usize {
    let [down, across] = places.map(|places| places.div_ceil(PLACES));
    let (most, least) = (outs.max(ins), outs.min(ins));
    let rows = (BLOCK_VALUES / (ALL.saturating_mul(most).saturating_mul(across)).max(1)).clamp(1, down);
    let tiles = rows.saturating_mul(across).saturating_add(LANES);
    let values = tiles.saturating_mul(most.saturating_add(least)).saturating_add(outs.saturating_mul(ins));
    values.saturating_add(8 * LANES).saturating_mul(ALL)
}

/// Every channel with every run of its tiles.
#[inline(always)]
fn each(channels: usize, tiles: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..channels).flat_map(move |channel| (0..tiles).step_by(LANES).map(move |tile| (channel, tile)))
}

/// Room for so many values of each point, and a little more: what lies powers of two apart would all want one place in the cache.
fn apart(values: usize) -> usize {
    values.next_multiple_of(LANES) + LANES
}

/// Values from the first weight of some kernels to the last that is read with them.
const REACH: usize = 9 * (LANES - 1) + LANES;

impl<T: Real> Kernels<'_, T> {
    /// Writes the points of all kernels, one matrix `[out, in]` for each, so far apart.
    fn transform(&self, points: &mut [T], pitch: usize) {
        vectorized(
            #[inline(always)]
            || {
                for first in (0..self.weights.len() / 9).step_by(LANES) {
                    let weights = &self.weights[first * 9..];
                    let mut last = [T::zero(); REACH];
                    // Whole registers are read of every kernel.
                    let weights = if weights.len() >= REACH {
                        &weights[..REACH]
                    } else {
                        last[..weights.len()].copy_from_slice(weights);
                        &last
                    };
                    let mut rows = [Run::default(); LANES];
                    for (kernel, row) in rows.iter_mut().enumerate() {
                        *row = Run::read(&weights[kernel * 9..]);
                    }
                    let [a, b, c, d, e, f, g, h, i, ..] = turned(turned(turned(turned(rows))));
                    let [above, middle, below] = if self.is_backward {
                        [of_taps([i, h, g]), of_taps([f, e, d]), of_taps([c, b, a])]
                    } else {
                        [of_taps([a, b, c]), of_taps([d, e, f]), of_taps([g, h, i])]
                    };
                    for column in 0..POINTS {
                        let values = of_taps([above[column], middle[column], below[column]]);
                        for (row, value) in values.into_iter().enumerate() {
                            value.write(&mut points[(row * POINTS + column) * pitch + first..]);
                        }
                    }
                }
            },
        );
    }
}

/// Values of both, in turns: those of the first halves, then those of the second.
#[inline(always)]
fn merged<T: Real>(one: Run<T>, other: Run<T>) -> (Run<T>, Run<T>) {
    (Run(in_turns(0, &one.0, &other.0)), Run(in_turns(LANES / 2, &one.0, &other.0)))
}

/// A step towards the transpose of a square, which is there after four: the first half of its rows merged with the second.
/// That takes a few instructions a row, where moving single values would take as many as there are values.
#[inline(always)]
fn turned<T: Real>(rows: [Run<T>; LANES]) -> [Run<T>; LANES] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = rows;
    let ((a, i), (b, j), (c, k), (d, l)) = (merged(a, i), merged(b, j), merged(c, k), merged(d, l));
    let ((e, m), (f, n), (g, o), (h, p)) = (merged(e, m), merged(f, n), merged(g, o), merged(h, p));
    [a, i, b, j, c, k, d, l, e, m, f, n, g, o, h, p]
}
