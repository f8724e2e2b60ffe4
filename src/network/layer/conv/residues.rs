//! The input gradient of a convolution as convolutions of the gradient above, one for each residue of the stride.
//!
//! Pixels of the padded image a stride apart are seen by the same taps, each of which stands over them at neighbouring places.
//! So their gradients are sums over the same taps of the gradients at neighbouring places: a convolution of stride 1. Its
//! results, residue by residue, are then put side by side, and what fell on the padding is added to the pixels shown there.

use std::ops::Range;

use super::shifts::{Axis, Tap};
use crate::network::Real;
use crate::network::layer::relu::masked;
use crate::network::layer::window::{PaddingMode, Window};
use crate::network::simd::vectorized;

/// The residues along one axis.
#[derive(Debug, Clone)]
pub struct Residues {
    /// Positions of the padded axis whose gradient is wanted: those of the image itself if the others are zeros.
    positions: Range<usize>,
    /// Places of the gradient above that taps see, at as many positions as the first residue has; the others may have one less.
    pub axis: Axis,
    /// For each residue, counted from the first position, the taps that see its positions.
    pub taps: Vec<Vec<Tap>>,
}

impl Residues {
    /// The residues of a window along an axis of so many pixels.
    pub fn new(window: &Window, pixels: usize) -> Self {
        let &Window { size, stride, dilation, padding, mode } = window;
        let positions = match mode {
            PaddingMode::Zeros => padding..padding + pixels,
            PaddingMode::Reflect | PaddingMode::Circular => 0..pixels + 2 * padding,
        };
        let mut axis = Axis { firsts: Vec::new(), stride: 1, places: positions.len().div_ceil(stride) };
        let mut taps = vec![Vec::new(); stride.min(positions.len())];
        for (residue, taps) in taps.iter_mut().enumerate() {
            for tap in 0..size {
                let distance = (positions.start + residue).cast_signed() - (tap * dilation).cast_signed();
                if distance % stride.cast_signed() == 0 {
                    let first = distance / stride.cast_signed();
                    let known = axis.firsts.iter().position(|&known| known == first);
                    taps.push((tap, known.unwrap_or(axis.firsts.len())));
                    axis.firsts.extend(known.is_none().then_some(first));
                }
            }
        }
        Self { positions, axis, taps }
    }

    /// The pixel that each position shows.
    fn shown(&self, window: &Window, pixels: usize) -> Vec<Option<usize>> {
        let inside = |position: usize| position.cast_signed() - window.padding.cast_signed();
        self.positions.clone().map(|position| window.mode.pixel(inside(position), pixels)).collect()
    }
}

/// The gradient with respect to images of one size.
#[derive(Debug, Clone)]
pub struct Gradient<'a> {
    window: &'a Window,
    /// Height and width of the image.
    image: [usize; 2],
    /// The residues along the height and the width.
    pub residues: [Residues; 2],
}

impl<'a> Gradient<'a> {
    /// The gradient with respect to images of this height and width.
    pub fn new(window: &'a Window, image: [usize; 2]) -> Self {
        Self { window, image, residues: image.map(|pixels| Residues::new(window, pixels)) }
    }

    /// Whether the gradient of the only residue is that of the image.
    pub fn is_plain(&self) -> bool {
        self.window.mode == PaddingMode::Zeros && self.window.stride == 1
    }

    /// Gradients of one channel with one pair of residues.
    pub fn part(&self) -> usize {
        self.residues[0].axis.places * self.residues[1].axis.places
    }

    /// Gradients of one channel.
    pub fn count(&self) -> usize {
        self.residues[0].taps.len() * self.residues[1].taps.len() * self.part()
    }

    /// Puts the residues of all channels side by side, and adds what fell on the padding to the pixels that are shown there;
    /// then masks them by what a ReLU gave there, if it is given.
    pub fn join<T: Real>(&self, parts: &[T], image: &mut [T], open: Option<&[T]>) {
        let [height, width] = self.image;
        let [rows, columns] = [self.residues[0].shown(self.window, height), self.residues[1].shown(self.window, width)];
        let is_zeros = self.window.mode == PaddingMode::Zeros;
        let starts: Vec<usize> = (0..rows.len()).map(|position| self.start(position)).collect();
        let mut line = vec![T::zero(); columns.len()];
        vectorized(
            #[inline(always)]
            || {
                let channels = parts.chunks_exact(self.count()).zip(image.chunks_exact_mut(height * width));
                for (index, (parts, channel)) in channels.enumerate() {
                    if !is_zeros {
                        channel.fill(T::zero());
                    }
                    for (row, &start) in rows.iter().zip(&starts) {
                        // With zeros beyond the edges, the only positions are the image's own pixels.
                        let Some(row) = row else { continue };
                        let pixels = &mut channel[row * width..][..width];
                        if is_zeros {
                            self.interleave(&parts[start..], pixels);
                        } else {
                            self.interleave(&parts[start..], &mut line);
                            for (&value, pixel) in line.iter().zip(&columns) {
                                pixel.iter().for_each(|&pixel| pixels[pixel] += value);
                            }
                        }
                    }
                    if let Some(open) = open {
                        let open = &open[index * height * width..];
                        channel.iter_mut().zip(open).for_each(|(gradient, &z)| *gradient = masked(*gradient, z));
                    }
                }
            },
        );
    }

    /// Where the residues of one row of positions begin in a channel.
    fn start(&self, position: usize) -> usize {
        let (stride, count) = (self.window.stride, self.residues[1].taps.len());
        // With a stride beyond the positions, every residue has one.
        position % stride * count * self.part() + position / stride * self.residues[1].axis.places
    }

    /// Puts the residues of one row of positions side by side.
    #[inline(always)]
    fn interleave<T: Real>(&self, parts: &[T], line: &mut [T]) {
        let (places, count) = (self.residues[1].axis.places, self.residues[1].taps.len());
        interleave(parts, self.part(), places, count, line);
    }
}

/// Puts `count` runs of so many places, a pitch apart, side by side: the first place of each, then the second of each.
#[inline(always)]
pub fn interleave<T: Real>(runs: &[T], pitch: usize, places: usize, count: usize, line: &mut [T]) {
    if count == 2 {
        let (even, odd) = (&runs[..places], &runs[pitch..][..places]);
        match places {
            16.. => pairs::<T, 16>(even, odd, line),
            8.. => pairs::<T, 8>(even, odd, line),
            4.. => pairs::<T, 4>(even, odd, line),
            _ => pairs::<T, 2>(even, odd, line),
        }
    } else {
        for index in 0..count {
            let values = line[index..].iter_mut().step_by(count);
            values.zip(&runs[index * pitch..]).for_each(|(value, &part)| *value = part);
        }
    }
}

/// Puts two runs side by side, by shuffles of L values where they are whole pieces of so many; the line may end with the first
/// of a pair.
#[inline(always)]
fn pairs<T: Real, const L: usize>(even: &[T], odd: &[T], line: &mut [T]) {
    let ((evens, rest), (odds, _)) = (even.as_chunks::<L>(), odd.as_chunks::<L>());
    if rest.is_empty() && line.len() == 2 * even.len() {
        let (pieces, _) = line.as_chunks_mut::<L>();
        for (two, (even, odd)) in pieces.chunks_exact_mut(2).zip(evens.iter().zip(odds)) {
            two[0] = in_turns(0, even, odd);
            two[1] = in_turns(L / 2, even, odd);
        }
    } else {
        let (pairs, last) = line.as_chunks_mut::<2>();
        pairs.iter_mut().zip(even.iter().zip(odd)).for_each(|(pair, (&even, &odd))| *pair = [even, odd]);
        last.iter_mut().zip(even.last()).for_each(|(value, &last)| *value = last);
    }
}

/// Values of both in turns, from these ones on: two registers are shuffled into one.
#[inline(always)]
pub fn in_turns<T: Real, const L: usize>(first: usize, one: &[T; L], other: &[T; L]) -> [T; L] {
    let mut values = [T::zero(); L];
    for lane in 0..L / 2 {
        values[2 * lane] = one[first + lane];
        values[2 * lane + 1] = other[first + lane];
    }
    values
}
