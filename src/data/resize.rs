//! Images shown at another size without storing them again.
//!
//! [`Resized`] wraps a set of images and resizes each one as it is copied, by taking the nearest
//! input pixel. The memory used stays that of the original set, so one set can be shown at many
//! sizes (share it in an [`Arc`](std::sync::Arc)).

use std::cell::Cell;
use std::fmt;

use super::SampleSet;

thread_local! {
    /// Room for one image at its original size; one per thread, so that copying allocates nothing.
    static ORIGINAL: Cell<Vec<f32>> = const { Cell::new(Vec::new()) };
}

/// The images of `S`, `[channels, h, w]`, resized to `[channels, side, side]` as they are copied.
///
/// Nearest-neighbour: output pixel (r, c) takes input pixel (⌊r·h/side⌋, ⌊c·w/side⌋) of the same
/// channel. An integer factor k = side/h = side/w therefore repeats each pixel k × k times, and a
/// factor 1/k keeps the first pixel of each k × k block. Labels and their order are those of `S`.
pub struct Resized<S> {
    inner: S,
    /// `[channels, side, side]`.
    shape: [usize; 3],
    /// Input row of each output row.
    rows: Vec<usize>,
    /// Input column of each output column.
    columns: Vec<usize>,
    /// Height and width of the original images.
    original: [usize; 2],
}

impl<S: SampleSet> Resized<S> {
    /// Shows the images of `inner`, whose shape is `[channels, h, w]`, with `side` rows and columns.
    ///
    /// # Panics
    ///
    /// Panics if `inner.shape()` does not have three axes, all at least 1 long, if `side` is 0, or
    /// if channels·side² overflows. These depend on the caller's choices, never on a file's
    /// content: check the shape first where it comes from a user.
    pub fn new(inner: S, side: usize) -> Self {
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
            rows: nearest(height, side),
            columns: nearest(width, side),
            original: [height, width],
        }
    }
}

impl<S> Resized<S> {
    /// Fills `sample` from the original image `source`, row by row.
    ///
    /// When enlarging, most output rows equal the row before, and copying that is faster than
    /// looking up each pixel again.
    fn spread(&self, source: &[f32], sample: &mut [f32]) {
        let [height, width] = self.original;
        let side = self.columns.len();
        let planes = source.chunks_exact(height * width);
        for (source, plane) in planes.zip(sample.chunks_exact_mut(side * side)) {
            for (r, &from) in self.rows.iter().enumerate() {
                let (done, rest) = plane.split_at_mut(r * side);
                let row = &mut rest[..side];
                if r > 0 && self.rows[r - 1] == from {
                    row.copy_from_slice(&done[(r - 1) * side..]);
                } else {
                    pick(&source[from * width..][..width], &self.columns, row);
                }
            }
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
        f.debug_struct("Resized").field("inner", &self.inner).field("shape", &self.shape).finish_non_exhaustive()
    }
}

/// Input position ⌊i·from/to⌋ of each output position i < `to`.
fn nearest(from: usize, to: usize) -> Vec<usize> {
    // In 128 bits the product cannot overflow, and the quotient is below `from`.
    (0..to).map(|i| (i as u128 * from as u128 / to as u128) as usize).collect()
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
            let resized = Resized::new(original.clone(), side);
            let expected = copy(&original, 1);
            prop_assert_eq!(copy(&resized, 1), expected.clone());
            // The tables must say the same as the shortcut that passes them by.
            let mut spread = vec![f32::NAN; expected.len()];
            resized.spread(&expected, &mut spread);
            prop_assert_eq!(spread, expected);
        }

        #[test]
        fn an_integer_factor_repeats_each_pixel(
            channels in 1usize..4, small in 1usize..9, factor in 1usize..6,
        ) {
            let original = images(channels, small, small);
            let side = small * factor;
            let resized = Resized::new(original.clone(), side);
            prop_assert_eq!(resized.shape(), &[channels, side, side]);
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
            let (before, after) = (
                copy(&original, 0),
                copy(&Resized::new(original.clone(), side), 0),
            );
            for (i, &pixel) in after.iter().enumerate() {
                let (plane, r, c) = (i / (side * side), i / side % side, i % side);
                prop_assert_eq!(pixel, before[(plane * h + r * h / side) * w + c * w / side]);
            }
        }
    }

    #[test]
    fn shrinking_keeps_the_first_pixel_of_each_block() {
        let resized = Resized::new(images(1, 4, 6), 2);
        assert_eq!(copy(&resized, 0), [0.5, 3.5, 12.5, 15.5]);
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
