//! Factors of Gram matrices, which may be singular.

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
        let mut inverse = vec![0.0; rank * rank];
        for (row, &pivot) in self.pivots.iter().enumerate() {
            let own = &self.values[pivot * rank..][..=row];
            let (before, current) = inverse.split_at_mut(row * rank);
            let current = &mut current[..rank];
            for (&factor, earlier) in own.iter().zip(before.chunks_exact(rank)) {
                current.iter_mut().zip(earlier).for_each(|(sum, &value)| *sum -= factor * value);
            }
            current.iter_mut().for_each(|value| *value /= own[row]);
            current[row] = 1.0 / own[row];
        }
        inverse
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

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

    #[test]
    fn what_is_not_a_number_has_no_rank() {
        assert_eq!(Factor::new(&[f64::NAN; 4], 2, 1e-10).rank(), 0);
        assert_eq!(Factor::new(&[], 0, 1e-10).rank(), 0);
    }
}
