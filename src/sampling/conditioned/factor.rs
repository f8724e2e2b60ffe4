//! Factors of Gram matrices: by blocks where the vectors are clearly independent, and with pivots where they may depend on each other.

use super::rows::product;
use crate::network::matrix::Matrix;

/// Rows that are factored without blocks.
const UNBLOCKED: usize = 16;

/// The most that tr K⁻¹ may be, by vector of length 1, in an independent set. Vectors of independent directions have 1; an error ε of K makes
/// one of up to ε tr K⁻¹ in what is orthogonal to all.
const INDEPENDENT: f64 = 32.0;

/// Cholesky's factor L of a Gram matrix of independent vectors, K = L Lᵀ, lower triangular, and its inverse, both [size, size].
#[derive(Debug)]
pub struct Independent {
    /// L.
    pub factor: Vec<f64>,
    /// L⁻¹.
    pub inverse: Vec<f64>,
}

impl Independent {
    /// The factor of K, [size, size]; `None` where the vectors depend on each other so far that digits would be lost, or no more than
    /// `tolerance` is left of one of them beside those before.
    pub fn new(gram: &[f64], size: usize, tolerance: f64) -> Option<Self> {
        let found = Self::of_block(gram, size, tolerance)?;
        // The rows of L⁻¹ are the vectors' coefficients of an orthonormal basis, and the sum of their squares is tr K⁻¹.
        let trace: f64 = found.inverse.iter().map(|value| value * value).sum();
        (trace <= INDEPENDENT * size as f64).then_some(found)
    }

    /// By halves, so that all but the smallest blocks are products of matrices.
    fn of_block(gram: &[f64], size: usize, tolerance: f64) -> Option<Self> {
        if size <= UNBLOCKED {
            return Self::by_rows(gram, size, tolerance);
        }
        let above = size / 2;
        let below = size - above;
        let block = |from: usize, rows: usize, column: usize, columns: usize| -> Vec<f64> {
            gram[from * size..][..rows * size]
                .chunks_exact(size)
                .flat_map(|row| &row[column..][..columns])
                .copied()
                .collect()
        };
        let first = Self::of_block(&block(0, above, 0, above), above, tolerance)?;
        let inverse_above = Matrix::new(&first.inverse, above, above);
        let between = product(Matrix::new(&block(above, below, 0, above), below, above), inverse_above.transposed());
        let off_diagonal = Matrix::new(&between, below, above);
        let mut rest = block(above, below, above, below);
        let explained = product(off_diagonal, off_diagonal.transposed());
        rest.iter_mut().zip(explained).for_each(|(rest, explained)| *rest -= explained);
        let second = Self::of_block(&rest, below, tolerance)?;
        let behind = product(off_diagonal, inverse_above);
        let inverse_between = product(Matrix::new(&second.inverse, below, below), Matrix::new(&behind, below, above));
        let mut whole = Self { factor: vec![0.0; size * size], inverse: vec![0.0; size * size] };
        for row in 0..above {
            whole.factor[row * size..][..above].copy_from_slice(&first.factor[row * above..][..above]);
            whole.inverse[row * size..][..above].copy_from_slice(&first.inverse[row * above..][..above]);
        }
        for row in 0..below {
            let place = (above + row) * size;
            whole.factor[place..][..above].copy_from_slice(&between[row * above..][..above]);
            whole.factor[place + above..][..below].copy_from_slice(&second.factor[row * below..][..below]);
            let of_row = &inverse_between[row * above..][..above];
            whole.inverse[place..][..above].iter_mut().zip(of_row).for_each(|(value, negative)| *value = -negative);
            whole.inverse[place + above..][..below].copy_from_slice(&second.inverse[row * below..][..below]);
        }
        Some(whole)
    }

    fn by_rows(gram: &[f64], size: usize, tolerance: f64) -> Option<Self> {
        let mut factor = vec![0.0; size * size];
        for row in 0..size {
            let (before, own) = factor.split_at_mut(row * size);
            for column in 0..row {
                let earlier = &before[column * size..][..=column];
                let seen: f64 = own[..column].iter().zip(earlier).map(|(a, b)| a * b).sum();
                own[column] = (gram[row * size + column] - seen) / earlier[column];
            }
            let rest = gram[row * size + row] - own[..row].iter().map(|value| value * value).sum::<f64>();
            // What is not a number is never more.
            own[row] = if rest > tolerance { rest.sqrt() } else { return None };
        }
        let inverse = inverse(&factor, size);
        Some(Self { factor, inverse })
    }
}

/// The inverse of a lower triangular matrix [size, size].
fn inverse(triangle: &[f64], size: usize) -> Vec<f64> {
    let mut inverse = vec![0.0; size * size];
    for (row, own) in triangle.chunks_exact(size.max(1)).enumerate() {
        let (before, current) = inverse.split_at_mut(row * size);
        let current = &mut current[..=row];
        for (place, (&factor, earlier)) in own.iter().zip(before.chunks_exact(size)).enumerate() {
            current[..=place].iter_mut().zip(earlier).for_each(|(sum, &value)| *sum -= factor * value);
        }
        current.iter_mut().for_each(|value| *value /= own[row]);
        current[row] = 1.0 / own[row];
    }
    inverse
}

/// A factor L of a Gram matrix K = L Lᵀ, [vectors, rank] row by row, whose rows at the pivots are lower triangular: the vectors at the pivots
/// are a basis of all.
#[derive(Debug)]
pub struct Factor {
    /// L.
    pub values: Vec<f64>,
    /// The vector that each column of L was made from; as many as the rank.
    pub pivots: Vec<usize>,
}

impl Factor {
    /// Cholesky's factor with complete pivoting of a matrix [size, size], until no more than `tolerance` is left of any diagonal element.
    pub fn new(gram: &[f64], size: usize, tolerance: f64) -> Self {
        let mut left: Vec<f64> = (0..size).map(|index| gram[index * size + index]).collect();
        let mut pivots: Vec<usize> = Vec::with_capacity(size);
        // Row by row with room for every column; cut off at the rank in the end.
        let mut values = vec![0.0; size * size];
        while pivots.len() < size {
            // The first of the largest; what is not a number is never one.
            let largest = left.iter().enumerate().filter(|(_, rest)| **rest > tolerance);
            let Some((pivot, &rest)) = largest.reduce(|best, next| if next.1 > best.1 { next } else { best }) else {
                break;
            };
            let column = pivots.len();
            let root = rest.sqrt();
            let of_pivot = values[pivot * size..][..column].to_vec();
            for (index, rest) in left.iter_mut().enumerate() {
                let row = &mut values[index * size..][..=column];
                let value = if index == pivot {
                    root
                } else if pivots.contains(&index) {
                    0.0
                } else {
                    let seen: f64 = row.iter().zip(&of_pivot).map(|(a, b)| a * b).sum();
                    (gram[index * size + pivot] - seen) / root
                };
                row[column] = value;
                *rest -= value * value;
            }
            left[pivot] = 0.0;
            pivots.push(pivot);
        }
        let rank = pivots.len();
        let values = values.chunks_exact(size.max(1)).flat_map(|row| row[..rank].iter().copied()).collect();
        Self { values, pivots }
    }

    /// The rank r that was found.
    pub fn rank(&self) -> usize {
        self.pivots.len()
    }

    /// The inverse of the rows of L at the pivots, [r, r], lower triangular.
    pub fn inverse(&self) -> Vec<f64> {
        let rank = self.rank();
        let at_pivots: Vec<f64> =
            self.pivots.iter().flat_map(|&pivot| &self.values[pivot * rank..][..rank]).copied().collect();
        inverse(&at_pivots, rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray_rand::rand::{Rng, SeedableRng};
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;

    proptest! {
        #[test]
        fn the_factor_gives_the_matrix_back_whatever_its_rank(
            size in 1usize..12, rank in 0usize..12, entries in prop::collection::vec(-1.0f64..1.0, 144),
        ) {
            let rank = rank.min(size);
            let vector = |index: usize| &entries[index * 12..][..rank];
            let gram: Vec<f64> = (0..size * size)
                .map(|place| vector(place / size).iter().zip(vector(place % size)).map(|(a, b)| a * b).sum())
                .collect();
            let factor = Factor::new(&gram, size, 1e-12);
            prop_assert!(factor.rank() <= rank);
            let row = |index: usize| &factor.values[index * factor.rank()..][..factor.rank()];
            for (place, &expected) in gram.iter().enumerate() {
                let product: f64 = row(place / size).iter().zip(row(place % size)).map(|(a, b)| a * b).sum();
                prop_assert!((product - expected).abs() < 1e-10, "{product} {expected}");
            }
            // L at the pivots times its inverse.
            let inverse = factor.inverse();
            for (i, &pivot) in factor.pivots.iter().enumerate() {
                for j in 0..factor.rank() {
                    let terms = (0..factor.rank()).map(|k| row(pivot)[k] * inverse[k * factor.rank() + j]);
                    let size: f64 = terms.clone().map(f64::abs).sum();
                    let expected = f64::from(u8::from(i == j));
                    prop_assert!((terms.sum::<f64>() - expected).abs() < 1e-12 * (1.0 + size));
                }
            }
        }
    }

    /// Vectors of independent entries with a common part, as patches of images have; blocks of every size.
    #[test]
    fn blocks_give_the_factor_of_independent_vectors_and_its_inverse() {
        for size in [1, 2, 15, 16, 17, 33, 64, 100] {
            let length = 2 * size + 3;
            let mut rng = ChaCha8Rng::seed_from_u64(size as u64);
            let scale = 1.0 / (4.0 * length as f64 / 3.0).sqrt();
            let vectors: Vec<f64> = (0..size * length).map(|_| scale * rng.random_range(0.0..2.0)).collect();
            let vector = |index: usize| &vectors[index * length..][..length];
            let inner = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
            let gram: Vec<f64> = (0..size * size).map(|at| inner(vector(at / size), vector(at % size))).collect();
            let Independent { factor, inverse } = Independent::new(&gram, size, 1e-10).unwrap();
            for at in 0..size * size {
                let (row, column) = (at / size, at % size);
                let [of_row, of_column] = [row, column].map(|place| &factor[place * size..][..size]);
                assert!((inner(of_row, of_column) - gram[at]).abs() < 1e-13, "{size}");
                let one: f64 = (0..size).map(|k| of_row[k] * inverse[k * size + column]).sum();
                assert!((one - f64::from(u8::from(row == column))).abs() < 1e-12, "{size}");
                assert!(column <= row || (factor[at] == 0.0 && inverse[at] == 0.0));
            }
        }
    }

    #[test]
    fn vectors_that_depend_on_each_other_are_not_independent() {
        // 1 − 10⁻³ as the cosine of two among twenty: tr K⁻¹ is 1018, and 640 at most.
        let mut gram: Vec<f64> = (0..400).map(|at| f64::from(u8::from(at % 21 == 0))).collect();
        assert!(Independent::new(&gram, 20, 1e-10).is_some());
        [gram[19], gram[380]] = [0.999; 2];
        assert!(Independent::new(&gram, 20, 1e-10).is_none());
        gram[19] = 0.9;
        gram[380] = 0.9;
        assert!(Independent::new(&gram, 20, 1e-10).is_some());
        assert!(Independent::new(&gram, 20, 0.2).is_none(), "1 − 0.9² is left of the last");
        assert!(Independent::new(&[1.0, 1.0, 1.0, 1.0], 2, 1e-10).is_none());
        assert!(Independent::new(&[f64::NAN], 1, 1e-10).is_none());
    }

    #[test]
    fn what_is_not_a_number_has_no_rank() {
        assert_eq!(Factor::new(&[f64::NAN; 4], 2, 1e-10).rank(), 0);
        assert_eq!(Factor::new(&[], 0, 1e-10).rank(), 0);
    }
}
