//! Unfolding (im2col) and its transpose: the pixels under every tap of a kernel at every place, as a matrix, so that a
//! convolution is one product of matrices.
//!
//! An image is first laid out with its padding, and with the pixels of a row that a stride steps over put side by side.
//! Then every tap sees one contiguous run in each row of places, whatever the padding and the stride, and copies are fast.

use std::ops::Range;

use super::window::Window;
use crate::network::Real;
use crate::network::simd::{add, copy, vectorized};

/// How a window slides over images of one size.
#[derive(Debug, Clone, Copy)]
pub struct Unfolding<'a> {
    window: &'a Window,
    channels: usize,
    /// Height and width of the image.
    image: [usize; 2],
    /// Rows and columns of places.
    places: [usize; 2],
}

impl<'a> Unfolding<'a> {
    /// The window over images [channels, height, width], at these rows and columns of places.
    pub fn new(window: &'a Window, [channels, height, width]: [usize; 3], places: [usize; 2]) -> Self {
        Self { window, channels, image: [height, width], places }
    }

    /// Places that one row of the padded image holds for each residue of the stride.
    fn phase(&self) -> usize {
        (self.image[1] + 2 * self.window.padding).div_ceil(self.window.stride)
    }

    /// Values of one row of the padded image.
    fn pitch(&self) -> usize {
        self.phase() * self.window.stride
    }

    /// Values of one channel of the padded image.
    fn plane(&self) -> usize {
        (self.image[0] + 2 * self.window.padding) * self.pitch()
    }

    /// Values of the padded image. Saturates where it overflows.
    pub fn padded_len(&self) -> usize {
        let side = |pixels: usize| pixels.saturating_add(self.window.padding.saturating_mul(2));
        let row = side(self.image[1]).saturating_add(self.window.stride);
        self.channels.saturating_mul(side(self.image[0])).saturating_mul(row)
    }

    /// Visits the pixel of the image that every position along a padded axis shows; `None` for a zero beyond the edge.
    fn shown(&self, axis: usize) -> impl Iterator<Item = (usize, Option<usize>)> + use<'_> {
        let pixels = self.image[axis];
        (0..pixels + 2 * self.window.padding).map(move |position| (position, self.window.pixel(position, pixels)))
    }

    /// Where a position of a padded row stands in its row.
    fn column(&self, position: usize) -> usize {
        position % self.window.stride * self.phase() + position / self.window.stride
    }

    /// The positions beyond the edges of a row that show a pixel: where they stand, and which pixel.
    fn borders(&self) -> Vec<(usize, usize)> {
        let interior = self.window.padding..self.window.padding + self.image[1];
        let beyond = self.shown(1).filter(|(position, _)| !interior.contains(position));
        beyond.filter_map(|(position, pixel)| Some((self.column(position), pixel?))).collect()
    }

    /// Lays an image out with its padding.
    pub fn pad<T: Real>(&self, image: &[T], padded: &mut Vec<T>) {
        let ([height, width], pitch) = (self.image, self.pitch());
        self.clear(padded);
        let borders = self.borders();
        vectorized(|| {
            for (plane, channel) in padded.chunks_exact_mut(self.plane()).zip(image.chunks_exact(height * width)) {
                for (row, pixel_row) in self.shown(0) {
                    let Some(pixel_row) = pixel_row else { continue };
                    let source = &channel[pixel_row * width..][..width];
                    let target = &mut plane[row * pitch..][..pitch];
                    self.split(source, target);
                    borders.iter().for_each(|&(column, pixel)| target[column] = source[pixel]);
                }
            }
        });
    }

    /// The transpose of [`pad`](Self::pad): every pixel becomes the sum of the positions that show it.
    pub fn unpad<T: Real>(&self, padded: &[T], image: &mut [T]) {
        let ([height, width], pitch) = (self.image, self.pitch());
        image.fill(T::zero());
        let borders = self.borders();
        vectorized(|| {
            for (plane, channel) in padded.chunks_exact(self.plane()).zip(image.chunks_exact_mut(height * width)) {
                for (row, pixel_row) in self.shown(0) {
                    let Some(pixel_row) = pixel_row else { continue };
                    let source = &plane[row * pitch..][..pitch];
                    let target = &mut channel[pixel_row * width..][..width];
                    self.join(source, target);
                    borders.iter().for_each(|&(column, pixel)| target[pixel] += source[column]);
                }
            }
        });
    }

    /// Where the pixels of a row begin in a padded row, by their residues: those of even and of odd index.
    fn starts(&self) -> [usize; 2] {
        [self.column(self.window.padding), self.column(self.window.padding + 1)]
    }

    /// Copies a row of pixels to its places in a padded row, without the borders.
    #[inline(always)]
    fn split<T: Real>(&self, source: &[T], target: &mut [T]) {
        match self.window.stride {
            1 => copy(source, &mut target[self.window.padding..][..source.len()]),
            2 => {
                let [even, odd] = self.starts();
                let (whole, rest) = source.as_chunks::<2>();
                target[even..].iter_mut().zip(whole).for_each(|(value, pair)| *value = pair[0]);
                target[odd..].iter_mut().zip(whole).for_each(|(value, pair)| *value = pair[1]);
                rest.iter().for_each(|&last| target[even + whole.len()] = last);
            }
            _ => {
                let pixels = source.iter().enumerate();
                pixels.for_each(|(pixel, &value)| target[self.column(pixel + self.window.padding)] = value);
            }
        }
    }

    /// The transpose of [`split`](Self::split): adds a padded row, without the borders, to a row of pixels.
    #[inline(always)]
    fn join<T: Real>(&self, source: &[T], target: &mut [T]) {
        match self.window.stride {
            1 => add(&source[self.window.padding..][..target.len()], target),
            2 => {
                let [even, odd] = self.starts();
                let (whole, rest) = target.as_chunks_mut::<2>();
                let pairs = source[even..].iter().zip(&source[odd..]);
                whole.iter_mut().zip(pairs).for_each(|(pair, (&first, &second))| {
                    pair[0] += first;
                    pair[1] += second;
                });
                rest.iter_mut().for_each(|last| *last += source[even + whole.len()]);
            }
            _ => {
                let pixels = target.iter_mut().enumerate();
                pixels.for_each(|(pixel, value)| *value += source[self.column(pixel + self.window.padding)]);
            }
        }
    }

    /// Visits every run that a tap sees in a row of places: where it begins in a plane of the padded image, and in the rows
    /// of one channel of the unfolded matrix.
    #[inline(always)]
    fn for_each_run(&self, rows: Range<usize>, mut visit: impl FnMut(usize, usize)) {
        let Window { size, stride, dilation, .. } = *self.window;
        let count = rows.len() * self.places[1];
        for tap in 0..size * size {
            let [down, across] = [tap / size * dilation, self.column(tap % size * dilation)];
            for (index, row) in rows.clone().enumerate() {
                visit((row * stride + down) * self.pitch() + across, tap * count + index * self.places[1]);
            }
        }
    }

    /// The matrix [channels · taps, places] of the pixels under every tap at the places of some rows.
    pub fn unfold<T: Real>(&self, rows: Range<usize>, padded: &[T], columns: &mut [T]) {
        let (width, channel) = (self.places[1], self.window.size.pow(2) * rows.len() * self.places[1]);
        vectorized(|| {
            for (plane, unfolded) in padded.chunks_exact(self.plane()).zip(columns.chunks_exact_mut(channel)) {
                self.for_each_run(rows.clone(), |from, to| copy(&plane[from..][..width], &mut unfolded[to..][..width]));
            }
        });
    }

    /// The transpose of [`unfold`](Self::unfold): adds every entry to its place in the padded image.
    pub fn fold<T: Real>(&self, rows: Range<usize>, columns: &[T], padded: &mut [T]) {
        let (width, channel) = (self.places[1], self.window.size.pow(2) * rows.len() * self.places[1]);
        vectorized(|| {
            for (plane, unfolded) in padded.chunks_exact_mut(self.plane()).zip(columns.chunks_exact(channel)) {
                self.for_each_run(rows.clone(), |to, from| add(&unfolded[from..][..width], &mut plane[to..][..width]));
            }
        });
    }

    /// Values of the padded image, all zero, before anything is folded into it.
    pub fn clear<T: Real>(&self, padded: &mut Vec<T>) {
        padded.clear();
        padded.resize(self.channels * self.plane(), T::zero());
    }
}
