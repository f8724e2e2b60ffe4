//! Images laid out for convolutions: one copy of an image for every column of a kernel's taps, in whose rows the pixels that
//! the tap sees at a row of places stand side by side.
//!
//! Rows of a copy have as many pixels as there are places in a row, whatever the padding, the stride and the dilation. So what a
//! tap sees at all places is one run without gaps, a whole number of rows into its copy; nothing is moved for each row of taps.

use std::ops::Range;

use super::correlation::Step;
use crate::network::Real;
use crate::network::layer::window::PaddingMode;
use crate::network::simd::{LANES, aligned, copy, vectorized};

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

/// A line of pixels with what lies beyond its edges, at all positions from the first that a tap sees to the last.
struct Line {
    /// Positions.
    length: usize,
    /// Where the pixels that are seen begin in the line, at which pixel, and how many they are.
    inside: (usize, usize, usize),
    /// Positions beyond the edges that show a pixel, and which.
    borders: Vec<(usize, usize)>,
}

impl Line {
    fn new(axis: &Axis, pixels: usize, mode: PaddingMode) -> Self {
        let (first, last) =
            axis.firsts.iter().fold((isize::MAX, isize::MIN), |(a, b), &first| (a.min(first), b.max(first)));
        let length = first.abs_diff(last) + (axis.places - 1) * axis.stride + 1;
        let begin = first.min(0).unsigned_abs().min(length);
        let pixel = (first + begin.cast_signed()).unsigned_abs();
        let end = begin + pixels.saturating_sub(pixel).min(length - begin);
        let beyond = (0..begin).chain(end..length);
        let border = |position: usize| Some((position, mode.pixel(first + position.cast_signed(), pixels)?));
        Self { length, inside: (begin, pixel, end - begin), borders: beyond.filter_map(border).collect() }
    }

    /// Writes all positions that show a pixel; the others stay as they are.
    #[inline(always)]
    fn write<T: Real>(&self, pixels: &[T], line: &mut [T]) {
        let (to, from, length) = self.inside;
        let (to, from) = (&mut line[to..][..length], pixels.get(from..).unwrap_or_default());
        to.iter_mut().zip(from).for_each(|(value, &pixel)| *value = pixel);
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

    /// Where what the tap in a row and column of taps sees at the first place lies in a channel.
    #[inline(always)]
    pub fn place(&self, channel: usize, row: usize, column: usize) -> usize {
        channel * self.plane() + column * self.copy + self.starts[row] * self.columns.places
    }

    /// The addends of a convolution of so many channels with some of the taps, channel by channel and tap by tap; weights of
    /// neighbouring channels and rows of the kernel lie so far apart.
    pub fn steps(
        &self,
        channels: usize,
        [rows, columns]: [&[Tap]; 2],
        [channel_weights, row_weights]: [usize; 2],
        steps: &mut Vec<Step>,
    ) {
        let (taps, plane) = (rows.len() * columns.len(), self.plane());
        steps.resize(channels * taps, Step { pixel: 0, weight: 0 });
        let (first, others) = steps.split_at_mut(taps);
        let pairs = rows.iter().flat_map(|row| columns.iter().map(move |column| (row, column)));
        for (step, (&(row, down), &(column, across))) in first.iter_mut().zip(pairs) {
            step.pixel = self.starts[down] * self.columns.places + across * self.copy;
            step.weight = row * row_weights + column;
        }
        for (channel, steps) in (1..).zip(others.chunks_exact_mut(taps.max(1))) {
            for (step, first) in steps.iter_mut().zip(&*first) {
                step.pixel = first.pixel + channel * plane;
                step.weight = first.weight + channel * channel_weights;
            }
        }
    }

    /// Lays out all channels of an image.
    pub fn lay<'a, T: Real>(&self, image: &[T], memory: &'a mut Vec<T>) -> &'a [T] {
        let [height, width] = self.image;
        let channels = image.len() / (height * width);
        let half = if self.is_halved() { self.rows.len() * self.columns.places } else { 0 };
        let memory = aligned(memory, channels * self.plane() + LANES + 2 * half);
        let (laid, halves) = memory.split_at_mut(channels * self.plane() + LANES);
        if self.starts.is_empty() || self.columns.firsts.is_empty() {
            return laid;
        }
        if half > 0 {
            halves.fill(T::zero());
            vectorized(
                #[inline(always)]
                || {
                    let (even, odd) = halves.split_at_mut(half);
                    for (channel, plane) in image.chunks_exact(height * width).zip(laid.chunks_exact_mut(self.plane()))
                    {
                        self.halve(channel, even, odd);
                        for (&column, copy) in self.columns.firsts.iter().zip(plane.chunks_exact_mut(self.copy)) {
                            let from = if column % 2 == 0 { &*even } else { &*odd };
                            shift(from, self.columns.places, column.div_euclid(2), &mut copy[..half]);
                        }
                    }
                },
            );
            return laid;
        }
        if let Some(inside) = self.whole_rows() {
            vectorized(
                #[inline(always)]
                || {
                    for (channel, plane) in image.chunks_exact(height * width).zip(laid.chunks_exact_mut(self.plane()))
                    {
                        for (&column, copy) in self.columns.firsts.iter().zip(plane.chunks_exact_mut(self.copy)) {
                            let (above, rows) = copy[..self.rows.len() * width].split_at_mut(inside.start * width);
                            let (rows, below) = rows.split_at_mut(inside.count * width);
                            above.fill(T::zero());
                            shift(&channel[inside.first * width..][..rows.len()], width, column, rows);
                            below.fill(T::zero());
                        }
                    }
                },
            );
            return laid;
        }
        let line = Line::new(&self.columns, width, self.mode);
        let first = self.columns.firsts.iter().min().copied().unwrap_or_default();
        // Whole registers are read at every column, however few places are left.
        let pitch = line.length + (LANES + self.columns.stride) * self.columns.stride;
        // All lines of a channel, before any is copied: to read at once what was just written elsewhere would stall.
        let mut lines = vec![T::zero(); self.rows.len() * pitch];
        vectorized(
            #[inline(always)]
            || {
                for (channel, plane) in image.chunks_exact(height * width).zip(laid.chunks_exact_mut(self.plane())) {
                    for (values, row) in lines.chunks_exact_mut(pitch).zip(&self.rows) {
                        if let Some(row) = row {
                            line.write(&channel[row * width..][..width], values);
                        }
                    }
                    for (column, copy) in self.columns.firsts.iter().zip(plane.chunks_exact_mut(self.copy)) {
                        self.copy(&lines[column.abs_diff(first)..], pitch, copy);
                    }
                }
            },
        );
        laid
    }
}

/// Rows of a copy that show rows of the image, one after the other; those before and behind them show zeros.
struct Inside {
    start: usize,
    count: usize,
    /// The first row of the image.
    first: usize,
}

impl Shifts {
    /// The rows inside of the image, where a row of a copy is a row of the image, moved sideways.
    fn whole_rows(&self) -> Option<Inside> {
        let is_plain =
            self.mode == PaddingMode::Zeros && self.columns.stride == 1 && self.columns.places == self.image[1];
        let start = self.rows.iter().position(Option::is_some).unwrap_or(self.rows.len());
        let shown = self.rows[start..].iter().map_while(|row| *row);
        let (count, first) = (shown.clone().count(), shown.clone().next().unwrap_or_default());
        let is_run = shown.zip(first..).all(|(row, expected)| row == expected)
            && self.rows[start + count..].iter().all(Option::is_none);
        (is_plain && is_run).then_some(Inside { start, count, first })
    }

    /// Whether places are two pixels apart and half as many as these, and even: rows of a copy are then every other pixel of rows of the
    /// image, moved sideways.
    fn is_halved(&self) -> bool {
        let Axis { stride, places, .. } = self.columns;
        self.mode == PaddingMode::Zeros && stride == 2 && places % 2 == 0 && 2 * places == self.image[1]
    }

    /// Parts the pixels of all rows of one channel into even and odd ones; rows of zeros stay as they are.
    #[inline(always)]
    fn halve<T: Real>(&self, channel: &[T], even: &mut [T], odd: &mut [T]) {
        match self.columns.places {
            places if places % 16 == 0 => self.halve_by::<T, 16>(channel, even, odd),
            places if places % 8 == 0 => self.halve_by::<T, 8>(channel, even, odd),
            places if places % 4 == 0 => self.halve_by::<T, 4>(channel, even, odd),
            _ => self.halve_by::<T, 2>(channel, even, odd),
        }
    }

    /// The same in pieces of L pairs.
    #[inline(always)]
    fn halve_by<T: Real, const L: usize>(&self, channel: &[T], even: &mut [T], odd: &mut [T]) {
        let (width, places) = (self.image[1], self.columns.places);
        let halves = even.chunks_exact_mut(places).zip(odd.chunks_exact_mut(places));
        for (row, (even, odd)) in self.rows.iter().zip(halves) {
            let Some(row) = row else { continue };
            let ((evens, _), (odds, _)) = (even.as_chunks_mut::<L>(), odd.as_chunks_mut::<L>());
            let (pieces, _) = channel[row * width..][..width].as_chunks::<L>();
            for ((even, odd), two) in evens.iter_mut().zip(odds).zip(pieces.chunks_exact(2)) {
                *even = every_other(0, &two[0], &two[1]);
                *odd = every_other(1, &two[0], &two[1]);
            }
        }
    }

    /// Copies what one column of taps sees of every line.
    #[inline(always)]
    fn copy<T: Real>(&self, lines: &[T], pitch: usize, copy: &mut [T]) {
        let Axis { stride, places, .. } = self.columns;
        match (stride, places > LANES / 2) {
            (1, true) => copy_rows::<T, LANES>(lines, pitch, 1, copy, places),
            (1, false) => copy_rows::<T, { LANES / 2 }>(lines, pitch, 1, copy, places),
            (2, true) => copy_rows::<T, LANES>(lines, pitch, 2, copy, places),
            (2, false) => copy_rows::<T, { LANES / 2 }>(lines, pitch, 2, copy, places),
            (stride, _) => copy_rows::<T, { LANES / 2 }>(lines, pitch, stride, copy, places),
        }
    }
}

/// Copies rows moved by so many columns; zeros come in.
#[inline(always)]
fn shift<T: Real>(rows: &[T], width: usize, columns: isize, moved: &mut [T]) {
    let distance = columns.unsigned_abs().min(width);
    let kept = rows.len().saturating_sub(distance);
    // All at once: what comes in from the neighbouring rows is then replaced by zeros.
    let edge = if columns < 0 {
        copy(&rows[..kept], &mut moved[distance.min(rows.len())..]);
        0..distance
    } else {
        copy(&rows[rows.len() - kept..], &mut moved[..kept]);
        width - distance..width
    };
    match distance {
        0 => {}
        // Almost always: without a loop for it.
        1 => moved.iter_mut().skip(edge.start).step_by(width).for_each(|value| *value = T::zero()),
        _ => moved.chunks_exact_mut(width).for_each(|row| row[edge.clone()].fill(T::zero())),
    }
}

/// Copies values of every line a stride apart, so that they follow each other, in pieces of L values.
#[inline(always)]
fn copy_rows<T: Real, const L: usize>(lines: &[T], pitch: usize, stride: usize, rows: &mut [T], places: usize) {
    let whole = places.next_multiple_of(L);
    for (row, line) in lines.chunks(pitch).enumerate() {
        // What is written beyond a row is overwritten by the next.
        let (to, _) = rows[row * places..][..whole].as_chunks_mut::<L>();
        let (from, _) = line[..whole * stride].as_chunks::<L>();
        for (to, from) in to.iter_mut().zip(from.chunks_exact(stride)) {
            match from {
                [from] => *to = *from,
                [from, next] => *to = every_other(0, from, next),
                _ => {
                    let pixels = from.as_flattened().iter().step_by(stride);
                    to.iter_mut().zip(pixels).for_each(|(value, &pixel)| *value = pixel);
                }
            }
        }
    }
}

/// Every other value of both, from the first or second on: two registers are shuffled into one.
#[inline(always)]
fn every_other<T: Real, const L: usize>(first: usize, one: &[T; L], other: &[T; L]) -> [T; L] {
    let mut values = [T::zero(); L];
    for lane in 0..L / 2 {
        values[lane] = one[2 * lane + first];
        values[L / 2 + lane] = other[2 * lane + first];
    }
    values
}
