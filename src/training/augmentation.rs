//! Random changes of training images that keep their class.

use ndarray_rand::rand::Rng;

use crate::network::Shape;

/// A random crop of the image padded with zeros, and a horizontal flip half of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Augmentation {
    /// Pixels added on every side before the crop; 0 for no crop.
    pub crop: usize,
    /// Whether images are flipped.
    pub flip: bool,
}

impl Augmentation {
    /// Changes an image `[channels, height, width]`; anything else stays as it is.
    pub fn apply(self, shape: &Shape, image: &mut [f32], rng: &mut impl Rng) {
        let &[_, height, width] = shape.sizes() else { return };
        if self.crop > 0 {
            let mut shift = || rng.random_range(0..=2 * self.crop).cast_signed() - self.crop.cast_signed();
            let (down, right) = (shift(), shift());
            for plane in image.chunks_exact_mut(height * width) {
                let original = plane.to_vec();
                for (index, pixel) in plane.iter_mut().enumerate() {
                    let row = (index / width).checked_add_signed(down).filter(|&row| row < height);
                    let column = (index % width).checked_add_signed(right).filter(|&column| column < width);
                    *pixel = row.zip(column).map_or(0.0, |(row, column)| original[row * width + column]);
                }
            }
        }
        if self.flip && rng.random::<bool>() {
            image.chunks_exact_mut(width).for_each(<[f32]>::reverse);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray_rand::rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;
    use std::collections::HashSet;

    #[test]
    fn images_are_shifted_and_flipped_in_every_way_and_zeros_come_in() {
        let shape = Shape::new([2, 2, 3]).unwrap();
        let image: Vec<f32> = (1..=12u8).map(f32::from).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut seen = HashSet::new();
        for _ in 0..500 {
            let mut changed = image.clone();
            Augmentation { crop: 1, flip: true }.apply(&shape, &mut changed, &mut rng);
            seen.insert(changed.iter().map(|&value| value as u8).collect::<Vec<_>>());
        }
        // Nine shifts, each flipped or not.
        assert_eq!(seen.len(), 18);
        assert!(seen.contains(&vec![1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]));
        assert!(seen.contains(&vec![3, 2, 1, 6, 5, 4, 9, 8, 7, 12, 11, 10]));
        assert!(seen.contains(&vec![5, 6, 0, 0, 0, 0, 11, 12, 0, 0, 0, 0]), "up and to the left");
    }
}
