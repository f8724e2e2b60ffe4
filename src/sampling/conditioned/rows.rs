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

/// Vectors whose products with those before and among them are taken at a time, where only a triangle is wanted.
const BLOCK: usize = 32;

/// The product of two matrices, row by row.
pub fn product<T: Real>(one: Matrix<'_, T>, other: Matrix<'_, T>) -> Vec<T> {
    let (rows, columns) = (one.rows(), other.columns());
    let mut values = vec![T::zero(); rows * columns];
    one.multiply(other, MatrixMut::new(&mut values, rows, columns), false);
    values
}

/// All inner products of the vectors of `a` with those of `b`, each of `length` values: [vectors of a, vectors of b].
pub fn inner<T: Real>(a: &[T], b: &[T], length: usize) -> Vec<T> {
    let (rows, columns) = (a.len() / length, b.len() / length);
    if rows * columns < WORTH_A_PRODUCT {
        return a.chunks_exact(length).flat_map(|a| b.chunks_exact(length).map(|b| dot(a, b))).collect();
    }
    product(Matrix::new(a, rows, length), Matrix::new(b, columns, length).transposed())
}

/// All inner products of the vectors with each other, [vectors, vectors]; each is computed once.
pub fn gram<T: Real>(vectors: &[T], length: usize) -> Vec<T> {
    let count = vectors.len() / length;
    let mut products = vec![T::zero(); count * count];
    for (from, block) in vectors.chunks(BLOCK * length).enumerate() {
        let from = from * BLOCK;
        let until = from + block.len() / length;
        for (row, of_row) in (from..).zip(inner(block, &vectors[..until * length], length).chunks_exact(until)) {
            products[row * count..][..until].copy_from_slice(of_row);
            (0..from).for_each(|column| products[column * count + row] = of_row[column]);
        }
    }
    products
}

/// Writes to every vector of `sums` a combination of the vectors of `b`, by its row of `coefficients`; with `accumulate`, adds it.
pub fn combine<T: Real>(coefficients: &[T], b: &[T], sums: &mut [T], length: usize, accumulate: bool) {
    let (rows, columns) = (sums.len() / length, b.len() / length);
    if rows * columns >= WORTH_A_PRODUCT {
        let product = MatrixMut::new(sums, rows, length);
        return Matrix::new(coefficients, rows, columns).multiply(Matrix::new(b, columns, length), product, accumulate);
    }
    if !accumulate {
        sums.fill(T::zero());
    }
    if columns > 0 {
        for (coefficients, sum) in coefficients.chunks_exact(columns).zip(sums.chunks_exact_mut(length)) {
            for (&factor, b) in coefficients.iter().zip(b.chunks_exact(length)) {
                add_scaled(factor, b, sum);
            }
        }
    }
}

/// As `combine`, of as many vectors, where no sum has a share of a vector behind its own place.
pub fn combine_lower<T: Real>(coefficients: &[T], b: &[T], sums: &mut [T], length: usize, accumulate: bool) {
    let count = b.len() / length;
    if count <= BLOCK {
        return combine(coefficients, b, sums, length, accumulate);
    }
    for (block, sums) in sums.chunks_mut(BLOCK * length).enumerate() {
        let (from, rows) = (block * BLOCK, sums.len() / length);
        let shares = Matrix::new(&coefficients[from * count..][..rows * count], rows, count);
        let reached = from + rows;
        let vectors = Matrix::new(&b[..reached * length], reached, length);
        shares.first_columns(reached).multiply(vectors, MatrixMut::new(sums, rows, length), accumulate);
    }
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
            combine(&products, &b, &mut sums, 37, true);
            let mut alone = vec![f64::NAN; rows * 37];
            combine(&products, &b, &mut alone, 37, false);
            for row in 0..rows {
                for column in 0..columns {
                    let exact: f64 = (0..37).map(|k| a[row * 37 + k] * b[column * 37 + k]).sum();
                    assert_eq!(products[row * columns + column], exact);
                }
                for k in 0..37 {
                    let more: f64 = (0..columns).map(|c| products[row * columns + c] * b[c * 37 + k]).sum();
                    assert_eq!(sums[row * 37 + k], vectors(rows, 3)[row * 37 + k] + more);
                    assert_eq!(alone[row * 37 + k], more);
                }
            }
        }
    }

    #[test]
    fn triangles_by_blocks_are_those_of_whole_products() {
        let length = 19;
        for count in [1, 7, 32, 33, 80] {
            let vectors: Vec<f64> = (0..count * length).map(|index| ((index * 7919) % 23) as f64 - 11.0).collect();
            let whole = inner(&vectors, &vectors, length);
            assert_eq!(gram(&vectors, length), whole);
            let lower = whole.iter().enumerate().map(|(at, &value)| if at % count > at / count { 0.0 } else { value });
            let lower: Vec<f64> = lower.collect();
            let [mut by_blocks, mut expected] = [vec![f64::NAN; vectors.len()], vec![f64::NAN; vectors.len()]];
            combine_lower(&lower, &vectors, &mut by_blocks, length, false);
            combine(&lower, &vectors, &mut expected, length, false);
            assert_eq!(by_blocks, expected);
        }
    }
}
