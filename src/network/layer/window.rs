//! The geometry of layers that slide a window over an image: sizes, strides, dilation, and what lies beyond the edge.

use std::ops::Range;

use super::Shape;
use super::keys::{Key, Kind, Values};

/// What a window sees beyond the edge of the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PaddingMode {
    /// Zeros.
    #[default]
    Zeros,
    /// The image mirrored at its outermost pixels, which are not repeated.
    Reflect,
    /// The image again, from its other side.
    Circular,
}

impl PaddingMode {
    /// The names of all modes.
    pub const NAMES: &'static [&'static str] = &["zeros", "reflect", "circular"];

    /// The mode of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "zeros" => Some(Self::Zeros),
            "reflect" => Some(Self::Reflect),
            "circular" => Some(Self::Circular),
            _ => None,
        }
    }

    /// The pixel that a position along an axis shows, also before the first pixel and behind the last; `None` for a zero.
    #[inline]
    pub fn pixel(self, position: isize, pixels: usize) -> Option<usize> {
        let last = pixels.cast_signed() - 1;
        let inside = match self {
            PaddingMode::Zeros if position < 0 || position > last => return None,
            PaddingMode::Zeros => position,
            PaddingMode::Reflect if position < 0 => -position,
            PaddingMode::Reflect if position > last => 2 * last - position,
            PaddingMode::Reflect => position,
            PaddingMode::Circular => position.rem_euclid(pixels.cast_signed()),
        };
        // Reflection and wrapping lead inside, since the padding was checked against the image.
        Some(inside.cast_unsigned())
    }
}

/// A square window that slides over both axes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Pixels along each side.
    pub size: usize,
    /// Pixels between two places of the window.
    pub stride: usize,
    /// Pixels between two taps of the window.
    pub dilation: usize,
    /// Pixels added on every side of the image.
    pub padding: usize,
    /// What the added pixels hold.
    pub mode: PaddingMode,
}

impl Window {
    /// A window without padding and dilation.
    pub fn new(size: usize, stride: usize) -> Self {
        Self { size, stride, dilation: 1, padding: 0, mode: PaddingMode::Zeros }
    }

    /// The keys of a layer that pools.
    pub(super) const KEYS_OF_POOLS: &'static [Key] =
        &[Key::required("size", Kind::Size), Key::optional("stride", Kind::Size)];

    /// The window of a layer that pools; windows lie side by side unless the stride says otherwise.
    pub(super) fn of_pool(values: &Values) -> Self {
        let size = values.size("size");
        Self::new(size, values.whole("stride").unwrap_or(size))
    }

    /// Places along an axis, ⌊(n + 2·padding − dilation·(size − 1) − 1)/stride⌋ + 1, or in words why there are none.
    fn places(&self, pixels: usize) -> Result<usize, String> {
        let Self { size, stride, dilation, padding, mode } = *self;
        if [size, stride, dilation].contains(&0) {
            return Err("needs a size, stride and dilation of at least 1".into());
        }
        let reach = dilation.checked_mul(size - 1).and_then(|reach| reach.checked_add(1));
        let padded = padding.checked_mul(2).and_then(|both| both.checked_add(pixels));
        let (Some(reach), Some(padded)) = (reach, padded) else {
            return Err("has a dilation or padding beyond all images".into());
        };
        if reach > padded {
            return Err(format!("spans {reach} pixels, more than the padded input's {padded}"));
        }
        match mode {
            PaddingMode::Reflect if padding >= pixels => {
                Err(format!("reflects {padding} pixels, which must be fewer than the input's {pixels}"))
            }
            PaddingMode::Circular if padding > pixels => {
                Err(format!("wraps {padding} pixels around, which must be at most the input's {pixels}"))
            }
            _ => Ok((padded - reach) / stride + 1),
        }
    }

    /// Channels, height and width of an image, and the height and width of what the window gives.
    ///
    /// # Errors
    /// In words, what the layer needs instead.
    pub fn slide(&self, input: &Shape) -> Result<([usize; 3], [usize; 2]), String> {
        let &[channels, height, width] = input.sizes() else {
            return Err(format!("takes an image [channels, height, width], not an input of shape {input}"));
        };
        let places = |pixels| self.places(pixels).map_err(|reason| format!("{reason} (input {input})"));
        Ok(([channels, height, width], [places(height)?, places(width)?]))
    }

    /// The pixel under a tap at a place along an axis; `None` for a zero beyond the edge.
    #[inline]
    pub fn source(&self, place: usize, tap: usize, pixels: usize) -> Option<usize> {
        self.mode.pixel((place * self.stride + tap * self.dilation).cast_signed() - self.padding.cast_signed(), pixels)
    }

    /// Visits every tap, place and pixel whose pixel is not a zero beyond the edge; all three are counted row by row.
    pub fn for_each(&self, image: [usize; 2], places: [usize; 2], mut visit: impl FnMut(usize, usize, usize)) {
        self.for_each_run(image, places, |run| {
            for step in 0..run.length {
                visit(run.tap, run.place + step, run.pixel + step * self.stride);
            }
        });
    }

    /// `below[pixel] += Σ above[place]` over every tap and place that sees the pixel: the windows of both axes are
    /// independent, so that columns are summed first and rows then.
    pub fn sum_backward(
        &self,
        [height, width]: [usize; 2],
        [rows, columns]: [usize; 2],
        above: &[f64],
        below: &mut [f64],
    ) {
        let mut wide = vec![0.0; rows * width];
        for (sums, places) in wide.chunks_exact_mut(width).zip(above.chunks_exact(columns)) {
            self.for_each_on_axis(width, columns, |place, pixel| sums[pixel] += places[place]);
        }
        self.for_each_on_axis(height, rows, |place, pixel| {
            let sums = &wide[place * width..][..width];
            below[pixel * width..][..width].iter_mut().zip(sums).for_each(|(sum, more)| *sum += more);
        });
    }

    /// Visits every place and pixel of one axis that a tap joins.
    fn for_each_on_axis(&self, pixels: usize, places: usize, mut visit: impl FnMut(usize, usize)) {
        for place in 0..places {
            (0..self.size).filter_map(|tap| self.source(place, tap, pixels)).for_each(|pixel| visit(place, pixel));
        }
    }

    /// Visits the same in runs of neighbouring places, whose pixels are the stride apart.
    pub(crate) fn for_each_run(
        &self,
        [height, width]: [usize; 2],
        [rows, columns]: [usize; 2],
        mut visit: impl FnMut(Run),
    ) {
        for tap_row in 0..self.size {
            for row in 0..rows {
                let Some(pixel_row) = self.source(row, tap_row, height) else { continue };
                for tap_column in 0..self.size {
                    let tap = tap_row * self.size + tap_column;
                    let inside = self.inside(tap_column, width, columns);
                    let mut run = |column: usize, pixel_column: usize, length: usize| {
                        visit(Run {
                            tap,
                            place: row * columns + column,
                            pixel: pixel_row * width + pixel_column,
                            length,
                        });
                    };
                    for column in (0..inside.start).chain(inside.end..columns) {
                        if let Some(pixel) = self.source(column, tap_column, width) {
                            run(column, pixel, 1);
                        }
                    }
                    if !inside.is_empty() {
                        let first = inside.start * self.stride + tap_column * self.dilation - self.padding;
                        run(inside.start, first, inside.len());
                    }
                }
            }
        }
    }

    /// Places along an axis at which a tap stands on a pixel of the image itself.
    fn inside(&self, tap: usize, pixels: usize, places: usize) -> Range<usize> {
        let shift = tap * self.dilation;
        let first = self.padding.saturating_sub(shift).div_ceil(self.stride).min(places);
        let end = (pixels + self.padding).saturating_sub(shift).div_ceil(self.stride).min(places);
        first..end.max(first)
    }
}

/// The shape that a window gives in each channel of its own.
pub fn window_shape(window: &Window, input: &Shape) -> Result<Shape, String> {
    let ([channels, ..], [rows, columns]) = window.slide(input)?;
    Shape::new([channels, rows, columns]).ok_or_else(|| "needs from 1 to 2^53 output units".into())
}

/// Neighbouring places in one row under one tap, and the first one's pixel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The tap.
    pub tap: usize,
    /// The first place.
    pub place: usize,
    /// The first pixel.
    pub pixel: usize,
    /// How many.
    pub length: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn padded(mode: PaddingMode) -> Vec<Option<usize>> {
        let window = Window { size: 1, stride: 1, dilation: 1, padding: 2, mode };
        (0..8).map(|place| window.source(place, 0, 4)).collect()
    }

    #[test]
    fn each_padding_shows_what_it_says() {
        let some = |pixels: [usize; 8]| pixels.map(Some).to_vec();
        assert_eq!(padded(PaddingMode::Reflect), some([2, 1, 0, 1, 2, 3, 2, 1]));
        assert_eq!(padded(PaddingMode::Circular), some([2, 3, 0, 1, 2, 3, 0, 1]));
        let zeros = padded(PaddingMode::Zeros);
        assert_eq!(zeros[..2], [None, None]);
        assert_eq!(zeros[2..6], [Some(0), Some(1), Some(2), Some(3)]);
    }

    #[test]
    fn sizes_follow_the_formula_and_impossible_ones_are_refused() {
        let image = Shape::new([3, 8, 6]).unwrap();
        let window = Window { padding: 1, ..Window::new(3, 2) };
        assert_eq!(window.slide(&image).unwrap(), ([3, 8, 6], [4, 3]));
        assert_eq!(Window { dilation: 2, ..window }.slide(&image).unwrap().1, [3, 2]);
        let refused = |window: Window| window.slide(&image).unwrap_err();
        assert!(refused(Window::new(7, 1)).contains("more than the padded input's 6"));
        assert!(refused(Window::new(0, 1)).contains("at least 1"));
        assert!(refused(Window { padding: 6, mode: PaddingMode::Reflect, ..window }).contains("reflects 6"));
        assert!(refused(Window { padding: 7, mode: PaddingMode::Circular, ..window }).contains("wraps 7"));
        assert!(refused(Window { dilation: usize::MAX, ..window }).contains("beyond all images"));
        assert!(window.slide(&Shape::new([3, 8]).unwrap()).unwrap_err().contains("[3, 8]"));
    }

    #[test]
    fn runs_visit_what_the_definition_says() {
        for (size, stride, dilation, padding) in [(3, 1, 1, 1), (3, 2, 1, 2), (2, 3, 2, 3), (3, 1, 2, 0), (1, 2, 1, 4)]
        {
            for mode in [PaddingMode::Zeros, PaddingMode::Reflect, PaddingMode::Circular] {
                let window = Window { size, stride, dilation, padding, mode };
                let (_, places) = window.slide(&Shape::new([1, 5, 6]).unwrap()).unwrap();
                let mut visited = Vec::new();
                window.for_each([5, 6], places, |tap, place, pixel| visited.push((tap, place, pixel)));
                let mut expected = Vec::new();
                for tap in 0..size * size {
                    for place in 0..places[0] * places[1] {
                        let row = window.source(place / places[1], tap / size, 5);
                        let column = window.source(place % places[1], tap % size, 6);
                        expected.extend(row.zip(column).map(|(row, column)| (tap, place, row * 6 + column)));
                    }
                }
                visited.sort_unstable();
                expected.sort_unstable();
                assert_eq!(visited, expected, "{window:?}");
            }
        }
    }
}
