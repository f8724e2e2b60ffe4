//! Products of a few long vectors, which lie one after the other: loops for one or two of them, products of matrices for many. All have
//! the same bits for every instruction set on which the products have.

use crate::network::Real;
use crate::network::matrix::{Matrix, MatrixMut};
use crate::network::simd::{self, vectorized};

/// Partial sums of an inner product.
const LANES: usize = 32;

/// Pairs of vectors from which on a product of matrices pays.
const WORTH_A_PRODUCT: usize = 9;

/// Σ aᵢ bᵢ.
pub fn dot<T: Real>(a: &[T], b: &[T]) -> T {
    vectorized(
        #[inline(always)]
        || simd::dot::<LANES, T>(a, b),
    )
}

/// `to` += factor · `from`.
pub fn add_scaled<T: Real>(factor: T, from: &[T], to: &mut [T]) {
    vectorized(
        #[inline(always)]
        || to.iter_mut().zip(from).for_each(|(sum, &value)| *sum += factor * value),
    );
}

/// `values` · factor.
pub fn scale<T: Real>(factor: T, values: &mut [T]) {
    vectorized(
        #[inline(always)]
        || values.iter_mut().for_each(|value| *value *= factor),
    );
}

/// All inner products of the vectors of `a` with those of `b`, each of `length` values: [vectors of a, vectors of b].
pub fn inner<T: Real>(a: &[T], b: &[T], length: usize) -> Vec<T> {
    let (rows, columns) = (a.len() / length, b.len() / length);
    if rows * columns < WORTH_A_PRODUCT {
        return a.chunks_exact(length).flat_map(|a| b.chunks_exact(length).map(|b| dot(a, b))).collect();
    }
    let mut products = vec![T::zero(); rows * columns];
    Matrix::new(a, rows, length).multiply(
        Matrix::new(b, columns, length).transposed(),
        MatrixMut::new(&mut products, rows, columns),
        false,
    );
    products
}

/// Adds to every vector of `sums` a combination of the vectors of `b`, by its row of `coefficients`.
pub fn add_combinations<T: Real>(coefficients: &[T], b: &[T], sums: &mut [T], length: usize) {
    let (rows, columns) = (sums.len() / length, b.len() / length);
    if rows == 0 || columns == 0 {
        return;
    }
    if rows * columns < WORTH_A_PRODUCT {
        for (coefficients, sum) in coefficients.chunks_exact(columns).zip(sums.chunks_exact_mut(length)) {
            for (&factor, b) in coefficients.iter().zip(b.chunks_exact(length)) {
                add_scaled(factor, b, sum);
            }
        }
        return;
    }
    let product = MatrixMut::new(sums, rows, length);
    Matrix::new(coefficients, rows, columns).multiply(Matrix::new(b, columns, length), product, true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_vectors_have_the_same_products() {
        let vectors = |count: usize, seed: usize| -> Vec<f64> {
            (0..count * 37).map(|index| ((index * 7919 + seed) % 23) as f64 - 11.0).collect()
        };
        for (rows, columns) in [(1, 1), (2, 4), (3, 3), (5, 4)] {
            let (a, b) = (vectors(rows, 1), vectors(columns, 5));
            let products = inner(&a, &b, 37);
            let mut sums = vectors(rows, 3);
            add_combinations(&products, &b, &mut sums, 37);
            for row in 0..rows {
                for column in 0..columns {
                    let exact: f64 = (0..37).map(|k| a[row * 37 + k] * b[column * 37 + k]).sum();
                    assert_eq!(products[row * columns + column], exact);
                }
                for k in 0..37 {
                    let more: f64 = (0..columns).map(|c| products[row * columns + c] * b[c * 37 + k]).sum();
                    assert_eq!(sums[row * 37 + k], vectors(rows, 3)[row * 37 + k] + more);
                }
            }
        }
    }
}
