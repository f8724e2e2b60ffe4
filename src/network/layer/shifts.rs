//! Images laid out for convolutions: one copy of an image for every column of a kernel's taps, in whose rows the pixels that
//! the tap sees at a row of places stand side by side.
//!
//! Rows of a copy have as many pixels as there are places in a row, whatever the padding, the stride and the dilation. So what a
//! tap sees at all places is one run without gaps, a whole number of rows into its copy; nothing is moved for each row of taps.

use std::ops::Range;

use super::window::PaddingMode;
use crate::network::Real;
use crate::network::correlation::Step;
use crate::network::simd::{LANES, aligned, vectorized};

/// How taps slide along one axis of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// The position that each tap sees at the first place, without repetition.
    pub firsts: Vec<isize>,
    /// Positions between two places.
    pub stride: usize,
    /// Places.
    pub places: usize,
}

/// A tap: its index along an axis of the kernel, and its index among those of an [`Axis`].
pub type Tap = (usize, usize);

/// Positions of an axis a stride apart that are laid side by side.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The first position and the last that a tap sees at the first place.
    first: isize,
    last: isize,
    /// Where the run begins.
    start: usize,
    /// How many positions.
    length: usize,
}

impl Axis {
    /// The same taps at some of the places.
    pub fn at(&self, places: Range<usize>) -> Self {
        let skipped = (places.start * self.stride).cast_signed();
        let firsts = self.firsts.iter().map(|first| first + skipped).collect();
        Self { firsts, stride: self.stride, places: places.len() }
    }

    /// Positions that taps see, in runs without gaps, and where the first place of each tap stands.
    fn runs(&self) -> (Vec<Run>, Vec<usize>) {
        let stride = self.stride.cast_signed();
        let mut runs: Vec<Run> = Vec::new();
        for &first in &self.firsts {
            match runs.iter_mut().find(|run| (run.first - first) % stride == 0) {
                Some(run) => (run.first, run.last) = (run.first.min(first), run.last.max(first)),
                None => runs.push(Run { first, last: first, start: 0, length: 0 }),
            }
        }
        let mut start = 0;
        for run in &mut runs {
            (run.start, run.length) = (start, run.first.abs_diff(run.last) / self.stride + self.places);
            start += run.length;
        }
        let place = |first: isize| {
            let run = runs.iter().find(|run| (run.first - first) % stride == 0);
            // Every tap is in the run that it opened or widened.
            run.map_or(0, |run| run.start + run.first.abs_diff(first) / self.stride)
        };
        let starts = self.firsts.iter().map(|&first| place(first)).collect();
        (runs, starts)
    }
}

/// How a line of pixels is spread over the positions of an axis.
struct Spread {
    /// Positions in all.
    length: usize,
    stride: usize,
    /// Runs inside of the image: where they begin in the line of positions, at which pixel, and how long they are.
    inside: Vec<(usize, usize, usize)>,
    /// Positions beyond the edges that show a pixel, and which.
    borders: Vec<(usize, usize)>,
}

impl Spread {
    fn new(runs: &[Run], stride: usize, pixels: usize, mode: PaddingMode) -> Self {
        let length = runs.iter().map(|run| run.length).sum();
        let mut spread = Self { length, stride, inside: Vec::new(), borders: Vec::new() };
        for run in runs {
            let position = |index: usize| run.first + (index * stride).cast_signed();
            let begin = (run.first.min(0).unsigned_abs().div_ceil(stride)).min(run.length);
            let left = pixels.cast_signed() - position(begin);
            let end = (begin + left.max(0).unsigned_abs().div_ceil(stride)).min(run.length);
            if begin < end {
                spread.inside.push((run.start + begin, position(begin).unsigned_abs(), end - begin));
            }
            for index in (0..begin).chain(end..run.length) {
                let pixel = mode.pixel(position(index), pixels);
                spread.borders.extend(pixel.map(|pixel| (run.start + index, pixel)));
            }
        }
        spread
    }

    /// Writes all positions that show a pixel; the others stay as they are.
    #[inline(always)]
    fn write<T: Real>(&self, pixels: &[T], line: &mut [T]) {
        for &(to, from, length) in &self.inside {
            let (target, source) = (&mut line[to..][..length], &pixels[from..]);
            match self.stride {
                1 => target.iter_mut().zip(source).for_each(|(value, &pixel)| *value = pixel),
                2 => {
                    let (pairs, rest) = source.as_chunks::<2>();
                    target.iter_mut().zip(pairs).for_each(|(value, pair)| *value = pair[0]);
                    target.iter_mut().skip(pairs.len()).zip(rest).for_each(|(value, &pixel)| *value = pixel);
                }
                stride => {
                    target.iter_mut().zip(source.iter().step_by(stride)).for_each(|(value, &pixel)| *value = pixel);
                }
            }
        }
        self.borders.iter().for_each(|&(to, from)| line[to] = pixels[from]);
    }
}

/// What is laid out: images of some channels, for taps that slide along both axes.
#[derive(Debug, Clone)]
pub struct Shifts {
    /// Height and width of the image.
    image: [usize; 2],
    /// Pixels of the image that the rows of a copy show; `None` for zeros.
    rows: Vec<Option<usize>>,
    /// The row of a copy in which each row of taps begins.
    starts: Vec<usize>,
    columns: Axis,
    mode: PaddingMode,
    /// Distance between the copies of a channel.
    copy: usize,
}

impl Shifts {
    /// The layout of images of this height and width, beyond whose edges is what the mode says.
    pub fn new([height, width]: [usize; 2], mode: PaddingMode, [rows, columns]: [Axis; 2]) -> Self {
        let (runs, starts) = rows.runs();
        let stride = rows.stride.cast_signed();
        let positions =
            runs.iter().flat_map(|run| (0..run.length.cast_signed()).map(|index| run.first + index * stride));
        let shown: Vec<Option<usize>> = positions.map(|position| mode.pixel(position, height)).collect();
        let copy = Self::copy_len(shown.len(), columns.places);
        Self { image: [height, width], rows: shown, starts, columns, mode, copy }
    }

    /// Values of a copy of so many rows and columns: a copied row may reach beyond its end by almost one register.
    pub fn copy_len(rows: usize, columns: usize) -> usize {
        rows.saturating_mul(columns).saturating_add(2 * LANES) / LANES * LANES
    }

    /// Distance between the channels.
    fn plane(&self) -> usize {
        self.columns.firsts.len() * self.copy
    }

    /// The addends of a convolution of so many channels with some of the taps, channel by channel and tap by tap: `weight` is
    /// given the channel, and the row and column of the tap in the kernel.
    pub fn steps(
        &self,
        channels: usize,
        [rows, columns]: [&[Tap]; 2],
        steps: &mut Vec<Step>,
        weight: impl Fn(usize, usize, usize) -> usize,
    ) {
        steps.clear();
        for channel in 0..channels {
            for &(row, down) in rows {
                let start = channel * self.plane() + self.starts[down] * self.columns.places;
                for &(column, across) in columns {
                    steps.push(Step { pixel: start + across * self.copy, weight: weight(channel, row, column) });
                }
            }
        }
    }

    /// Lays out all channels of an image.
    pub fn lay<'a, T: Real>(&self, image: &[T], memory: &'a mut Vec<T>) -> &'a [T] {
        let [height, width] = self.image;
        let channels = image.len() / (height * width);
        let laid = aligned(memory, channels * self.plane() + LANES);
        if self.starts.is_empty() || self.columns.firsts.is_empty() {
            return laid;
        }
        let (runs, starts) = self.columns.runs();
        let spread = Spread::new(&runs, self.columns.stride, width, self.mode);
        let (places, pitch) = (self.columns.places, spread.length + LANES);
        // All lines of a channel, before any is copied: to read at once what was just written elsewhere would stall.
        let mut lines = vec![T::zero(); self.rows.len() * pitch];
        vectorized(
            #[inline(always)]
            || {
                for (channel, plane) in image.chunks_exact(height * width).zip(laid.chunks_exact_mut(self.plane())) {
                    for (line, row) in lines.chunks_exact_mut(pitch).zip(&self.rows) {
                        if let Some(row) = row {
                            spread.write(&channel[row * width..][..width], line);
                        }
                    }
                    for (&start, copy) in starts.iter().zip(plane.chunks_exact_mut(self.copy)) {
                        if places > LANES / 2 {
                            copy_rows::<T, LANES>(&lines[start..], pitch, copy, places);
                        } else {
                            copy_rows::<T, { LANES / 2 }>(&lines[start..], pitch, copy, places);
                        }
                    }
                }
            },
        );
        laid
    }
}

/// Copies the first values of every line, so that they follow each other, in pieces of L values.
#[inline(always)]
fn copy_rows<T: Real, const L: usize>(lines: &[T], pitch: usize, rows: &mut [T], places: usize) {
    let whole = places.next_multiple_of(L);
    let mut start = 0;
    for line in lines.chunks(pitch) {
        let (from, to) = (&line[..whole], &mut rows[start..start + whole]);
        // What is written beyond a row is overwritten by the next.
        to.as_chunks_mut::<L>().0.iter_mut().zip(from.as_chunks::<L>().0).for_each(|(to, from)| *to = *from);
        start += places;
    }
}
