//! Images shown at another size without storing them again.
//!
//! [`Resized`] wraps a set of images and resizes each one as it is copied, by the nearest input
//! pixel or by the mean over an area ([`ResizeFilter`]). The memory used stays that of the original
//! set, so one set can be shown at many sizes (share it in an [`Arc`](std::sync::Arc)).

use std::cell::Cell;
use std::fmt;

use super::SampleSet;

thread_local! {
    /// Room for one image at its original size; one per thread, so that copying allocates nothing.
    static ORIGINAL: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// What an output pixel takes of the input's. Rows and columns are treated alike: i is an output row
/// of `side`, h the number of input rows. All three repeat each pixel k × k times where side = k·h.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResizeFilter {
    /// Row ⌊i·h/side⌋, whose upper edge is nearest to the output row's from above: the `nearest` of
    /// OpenCV and PyTorch. Where h = k·side it keeps the first pixel of each k × k block.
    #[default]
    Nearest,
    /// Row ⌊(i + ½)·h/side⌋, in which the output row's middle lies: the `nearest-exact` of PyTorch, and
    /// what Pillow calls nearest.
    NearestExact,
    /// The mean of the rows under [i·h/side, (i + 1)·h/side), each weighted by its part that is under
    /// it: where h = k·side, the mean of each k × k block.
    Area,
}

impl ResizeFilter {
    const ALL: [(&'static str, Self); 3] =
        [("nearest", Self::Nearest), ("nearest-exact", Self::NearestExact), ("area", Self::Area)];

    /// The names of all filters, as specs write them.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().map(|(name, _)| *name)
    }

    /// The filter of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == name).map(|(_, filter)| *filter)
    }
}

/// The images of `S`, `[channels, h, w]`, resized to `[channels, side, side]` as they are copied, as a
/// [`ResizeFilter`] says. Labels and their order are those of `S`.
pub struct Resized<S> {
    inner: S,
    /// `[channels, side, side]`.
    shape: [usize; 3],
    pixels: Pixels,
    filter: ResizeFilter,
    /// Height and width of the original images.
    original: [usize; 2],
}

/// Which input pixels each output pixel takes.
enum Pixels {
    /// The input row of each output row, and the same of columns.
    Picked { rows: Vec<usize>, columns: Vec<usize> },
    /// The input rows under each output row, and the same of columns.
    Averaged { rows: Vec<Span>, columns: Vec<Span> },
}

/// Input positions under one output position.
struct Span {
    first: usize,
    /// Their shares, which sum to 1.
    shares: Vec<f64>,
}

impl Span {
    /// Those under output position `index` of `to`: in units of 1/to of an input position.
    fn new(index: usize, from: usize, to: usize) -> Self {
        // In 128 bits no product can overflow, and positions are below `from`.
        let [from, to] = [from as u128, to as u128];
        let (begin, end) = (index as u128 * from, (index as u128 + 1) * from);
        let (first, last) = (begin / to, (end - 1) / to);
        let covered = |position: u128| end.min((position + 1) * to) - begin.max(position * to);
        let shares = (first..=last).map(|position| covered(position) as f64 / from as f64).collect();
        Self { first: first as usize, shares }
    }

    fn all(from: usize, to: usize) -> Vec<Self> {
        (0..to).map(|index| Self::new(index, from, to)).collect()
    }
}

impl<S: SampleSet> Resized<S> {
    /// Shows the images of `inner`, whose shape is `[channels, h, w]`, with `side` rows and columns,
    /// by the [nearest](ResizeFilter::Nearest) pixel.
    ///
    /// # Panics
    ///
    /// As [`with_filter`](Self::with_filter).
    pub fn new(inner: S, side: usize) -> Self {
        Self::with_filter(inner, side, ResizeFilter::Nearest)
    }

    /// Shows the images of `inner`, whose shape is `[channels, h, w]`, with `side` rows and columns.
    ///
    /// # Panics
    ///
    /// Panics if `inner.shape()` does not have three axes, all at least 1 long, if `side` is 0, or
    /// if channels·side² overflows. These depend on the caller's choices, never on a file's
    /// content: check the shape first where it comes from a user.
    pub fn with_filter(inner: S, side: usize, filter: ResizeFilter) -> Self {
        let &[channels, height, width] = inner.shape() else {
            panic!("only samples [channels, height, width] can be resized, not {:?}", inner.shape());
        };
        assert!(
            channels > 0 && height > 0 && width > 0 && side > 0,
            "cannot resize [{channels}, {height}, {width}] to side {side}: a size is 0"
        );
        let size = side.checked_mul(side).and_then(|area| area.checked_mul(channels));
        assert!(size.is_some(), "{channels}·{side}² values overflow");
        Self {
            inner,
            shape: [channels, side, side],
            pixels: match filter {
                ResizeFilter::Area => {
                    Pixels::Averaged { rows: Span::all(height, side), columns: Span::all(width, side) }
                }
                _ => Pixels::Picked { rows: nearest(height, side, filter), columns: nearest(width, side, filter) },
            },
            filter,
            original: [height, width],
        }
    }
}

impl<S> Resized<S> {
    /// Fills `sample` from the original image `source`, channel by channel.
    fn spread(&self, source: &[f32], sample: &mut [f32]) {
        let [height, width] = self.original;
        let [_, _, side] = self.shape;
        let planes = source.chunks_exact(height * width).zip(sample.chunks_exact_mut(side * side));
        match &self.pixels {
            Pixels::Picked { rows, columns } => {
                planes.for_each(|(source, plane)| spread_picked(source, width, rows, columns, plane));
            }
            Pixels::Averaged { rows, columns } => {
                let mut sums = vec![0.0; width];
                planes.for_each(|(source, plane)| spread_averaged(source, rows, columns, &mut sums, plane));
            }
        }
    }
}

/// Picks the pixels of one channel, row by row.
///
/// When enlarging, most output rows equal the row before, and copying that is faster than looking up
/// each pixel again.
fn spread_picked(source: &[f32], width: usize, rows: &[usize], columns: &[usize], plane: &mut [f32]) {
    let side = columns.len();
    for (r, &from) in rows.iter().enumerate() {
        let (done, rest) = plane.split_at_mut(r * side);
        let row = &mut rest[..side];
        if r > 0 && rows[r - 1] == from {
            row.copy_from_slice(&done[(r - 1) * side..]);
        } else {
            pick(&source[from * width..][..width], columns, row);
        }
    }
}

/// Averages the pixels of one channel, row by row; `sums` is room for an input row.
fn spread_averaged(source: &[f32], rows: &[Span], columns: &[Span], sums: &mut [f64], plane: &mut [f32]) {
    let width = sums.len();
    for (span, row) in rows.iter().zip(plane.chunks_exact_mut(columns.len())) {
        sums.fill(0.0);
        for (values, share) in source[span.first * width..].chunks_exact(width).zip(&span.shares) {
            sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += share * f64::from(value));
        }
        for (pixel, span) in row.iter_mut().zip(columns) {
            let under = sums[span.first..].iter().zip(&span.shares);
            *pixel = under.map(|(sum, share)| sum * share).sum::<f64>() as f32;
        }
    }
}

impl<S: SampleSet> SampleSet for Resized<S> {
    fn len(&self) -> usize {
        self.inner.len()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn label(&self, index: usize) -> Option<usize> {
        self.inner.label(index)
    }

    fn copy_into(&self, index: usize, sample: &mut [f32]) {
        let [channels, side, _] = self.shape;
        assert_eq!(sample.len(), channels * side * side, "room for one sample of shape {:?}", self.shape);
        let [height, width] = self.original;
        if [height, width] == [side, side] {
            self.inner.copy_into(index, sample);
            return;
        }
        // Taken out of its cell meanwhile: `inner` may itself be a `Resized`, which then finds an
        // empty buffer instead of this one.
        let mut source = ORIGINAL.take();
        source.resize(channels * height * width, 0.0);
        self.inner.copy_into(index, &mut source);
        self.spread(&source, sample);
        ORIGINAL.set(source);
    }
}

impl<S: fmt::Debug> fmt::Debug for Resized<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("Resized");
        text.field("inner", &self.inner).field("shape", &self.shape).field("filter", &self.filter);
        text.finish_non_exhaustive()
    }
}

/// Input position of each output position i < `to`: ⌊i·from/to⌋, or ⌊(i + ½)·from/to⌋.
fn nearest(from: usize, to: usize, filter: ResizeFilter) -> Vec<usize> {
    let half = u128::from(filter == ResizeFilter::NearestExact);
    // In 128 bits the products cannot overflow, and the quotient is below `from`.
    (0..to).map(|i| ((2 * i as u128 + half) * from as u128 / (2 * to as u128)) as usize).collect()
}

/// Sets each pixel of `row` to the pixel of `source` at the same place of `columns`.
fn pick(source: &[f32], columns: &[usize], row: &mut [f32]) {
    for (pixel, &column) in row.iter_mut().zip(columns) {
        *pixel = source[column];
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::Flat;
    use super::*;
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Two images whose pixels are all different.
    fn images(channels: usize, height: usize, width: usize) -> Arc<Flat> {
        let size = 2 * channels * height * width;
        Arc::new(Flat { shape: vec![channels, height, width], values: (0..size).map(|i| i as f32 + 0.5).collect() })
    }

    const FILTERS: [ResizeFilter; 3] = [ResizeFilter::Nearest, ResizeFilter::NearestExact, ResizeFilter::Area];

    fn copy(set: &dyn SampleSet, index: usize) -> Vec<f32> {
        // Not zero, so that a pixel left unwritten shows.
        let mut sample = vec![f32::NAN; set.shape().iter().product()];
        set.copy_into(index, &mut sample);
        sample
    }

    proptest! {
        #[test]
        fn the_same_side_is_the_identity(channels in 1usize..4, side in 1usize..20) {
            let original = images(channels, side, side);
            let expected = copy(&original, 1);
            for filter in FILTERS {
                let resized = Resized::with_filter(original.clone(), side, filter);
                prop_assert_eq!(&copy(&resized, 1), &expected);
                // The tables must say the same as the shortcut that passes them by.
                let mut spread = vec![f32::NAN; expected.len()];
                resized.spread(&expected, &mut spread);
                prop_assert_eq!(&spread, &expected);
            }
        }

        #[test]
        fn an_integer_factor_repeats_each_pixel(
            channels in 1usize..4, small in 1usize..9, factor in 1usize..6,
        ) {
            let original = images(channels, small, small);
            let side = small * factor;
            let resized = Resized::new(original.clone(), side);
            prop_assert_eq!(resized.shape(), &[channels, side, side]);
            for filter in FILTERS {
                prop_assert_eq!(copy(&Resized::with_filter(original.clone(), side, filter), 1), copy(&resized, 1));
            }
            let (before, after) = (copy(&original, 1), copy(&resized, 1));
            for pixel in &before {
                let copies = after.iter().filter(|other| *other == pixel).count();
                prop_assert_eq!(copies, factor * factor);
            }
            for (i, &pixel) in after.iter().enumerate() {
                let (plane, r, c) = (i / (side * side), i / side % side, i % side);
                let from = (plane * small + r / factor) * small + c / factor;
                prop_assert_eq!(pixel, before[from]);
            }
        }

        #[test]
        fn every_pixel_follows_the_formula(
            channels in 1usize..4, h in 1usize..12, w in 1usize..12, side in 1usize..25,
        ) {
            let original = images(channels, h, w);
            let before = copy(&original, 0);
            let [nearest, exact, area] =
                FILTERS.map(|filter| copy(&Resized::with_filter(original.clone(), side, filter), 0));
            for i in 0..channels * side * side {
                let (plane, r, c) = (i / (side * side), i / side % side, i % side);
                let input = |r: usize, c: usize| before[(plane * h + r) * w + c];
                prop_assert_eq!(nearest[i], input(r * h / side, c * w / side));
                prop_assert_eq!(exact[i], input((2 * r + 1) * h / (2 * side), (2 * c + 1) * w / (2 * side)));
                // Each input pixel cut into side × side pieces, of which an output pixel takes h × w.
                let pieces = (r * h..(r + 1) * h).flat_map(|y| (c * w..(c + 1) * w).map(move |x| (y, x)));
                let sum: f64 = pieces.map(|(y, x)| f64::from(input(y / side, x / side))).sum();
                let mean = sum / (h * w) as f64;
                prop_assert!((f64::from(area[i]) - mean).abs() <= 1e-6 * mean, "{} {mean}", area[i]);
            }
        }
    }

    #[test]
    fn shrinking_keeps_the_first_pixel_of_each_block() {
        let resized = Resized::new(images(1, 4, 6), 2);
        assert_eq!(copy(&resized, 0), [0.5, 3.5, 12.5, 15.5]);
    }

    /// `torch.nn.functional.interpolate(x, size=3, mode=…)` of five rows: nearest 0, 1, 3; nearest-exact 0, 2, 4.
    #[test]
    fn filters_differ_where_they_shrink() {
        let rows = |filter| nearest(5, 3, filter);
        assert_eq!(rows(ResizeFilter::Nearest), [0, 1, 3]);
        assert_eq!(rows(ResizeFilter::NearestExact), [0, 2, 4]);
        let area = Resized::with_filter(images(1, 4, 6), 2, ResizeFilter::Area);
        assert_eq!(copy(&area, 0), [4.5, 7.5, 16.5, 19.5]);
        assert!(ResizeFilter::names().all(|name| ResizeFilter::named(name).is_some()));
    }

    #[test]
    fn a_resized_set_can_be_resized_again() {
        let original = images(2, 3, 3);
        let twice = Resized::new(Resized::new(original.clone(), 6), 12);
        let once = Resized::new(original, 12);
        assert_eq!(copy(&twice, 1), copy(&once, 1));
    }

    #[test]
    fn sets_of_different_sizes_take_turns_on_one_thread() {
        let (large, small) = (images(3, 9, 9), images(1, 2, 2));
        let (large, small) = (Resized::new(large, 5), Resized::new(small, 3));
        let first = copy(&large, 1);
        let [a, b, c, d] = [4.5, 5.5, 6.5, 7.5];
        assert_eq!(copy(&small, 1), [a, a, b, a, a, b, c, c, d]);
        assert_eq!(copy(&large, 1), first);
    }

    #[test]
    fn labels_and_length_are_the_originals() {
        let original = images(1, 2, 2);
        let resized = Resized::new(original.clone(), 5);
        assert_eq!(resized.len(), 2);
        assert_eq!(resized.label(1), original.label(1));
    }

    #[test]
    #[should_panic(expected = "only samples [channels, height, width]")]
    fn a_flat_sample_cannot_be_resized() {
        let flat = Flat { shape: vec![4], values: vec![0.0; 4] };
        Resized::new(flat, 2);
    }

    #[test]
    #[should_panic(expected = "room for one sample")]
    fn a_buffer_of_the_wrong_size_is_refused() {
        Resized::new(images(1, 2, 2), 4).copy_into(0, &mut [0.0; 15]);
    }
}
