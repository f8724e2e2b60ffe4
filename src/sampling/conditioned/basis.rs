//! An orthonormal basis that grows, kept as combinations of the vectors that it was made from.

use super::factor::{Factor, Independent};
use super::rows::{combine, dot, gram, inner, product, scale};
use crate::network::Real;
use crate::network::matrix::Matrix;

/// Product by product, the orthonormal vectors are N V of the vectors V that were new in it.
#[derive(Debug, Clone)]
pub struct Basis<T> {
    /// Values of a vector.
    length: usize,
    /// All V, one vector after the other; memory behind them is kept.
    vectors: Vec<T>,
    /// How many came with each product, and their N, lower triangular; where there is none, the vectors are orthonormal themselves.
    products: Vec<(usize, Option<Vec<T>>)>,
}

/// The vectors of one product in the new part of the basis.
pub struct Shares<T> {
    /// Coefficients, [vectors, rank].
    pub coefficients: Vec<T>,
    /// Whether every vector is a new direction, and has no share of those behind it.
    pub is_lower: bool,
}

impl<T: Real> Basis<T> {
    /// An empty basis of vectors with so many values.
    pub fn new(length: usize) -> Self {
        Self { length, vectors: Vec::new(), products: Vec::new() }
    }

    /// Values of a vector.
    pub fn length(&self) -> usize {
        self.length
    }

    /// Empty again, in the same memory.
    pub fn clear(&mut self) {
        self.products.clear();
    }

    /// How many vectors the basis has.
    pub fn rank(&self) -> usize {
        self.products.iter().map(|(rank, _)| rank).sum()
    }

    /// All V.
    pub fn vectors(&self) -> &[T] {
        &self.vectors[..self.rank() * self.length]
    }

    /// Takes the part in the known subspace off the vectors; its coefficients, [vectors, directions known].
    pub fn project(&self, vectors: &mut [T]) -> Vec<T> {
        if self.rank() == 0 {
            return Vec::new();
        }
        let mut take_off = || {
            let coefficients = self.in_basis(inner(vectors, self.vectors(), self.length));
            let negative = coefficients.iter().map(|&coefficient| -coefficient).collect();
            combine(&self.in_vectors(negative), self.vectors(), vectors, self.length, true);
            coefficients
        };
        let mut total = take_off();
        // Twice is enough (Kahan; Parlett 1998): what is left may be small, and rounding large beside it.
        let again = take_off();
        total.iter_mut().zip(again).for_each(|(sum, more)| *sum += more);
        total
    }

    /// From inner products with the vectors V to those with the basis N V, row by row.
    pub fn in_basis(&self, products: Vec<T>) -> Vec<T> {
        self.by_product(products, |inverse| inverse.transposed())
    }

    /// From a combination of the basis to one of the vectors V, row by row.
    pub fn in_vectors(&self, coefficients: Vec<T>) -> Vec<T> {
        self.by_product(coefficients, |inverse| inverse)
    }

    /// Multiplies the columns of every product by what becomes of its N.
    fn by_product(&self, mut values: Vec<T>, factor: impl Fn(Matrix<'_, T>) -> Matrix<'_, T>) -> Vec<T> {
        let (columns, mut from) = (self.rank(), 0);
        for (rank, inverse) in &self.products {
            if let Some(inverse) = inverse {
                let own: Vec<T> = values.chunks_exact(columns).flat_map(|row| &row[from..][..*rank]).copied().collect();
                let rows = own.len() / rank;
                let turned = product(Matrix::new(&own, rows, *rank), factor(Matrix::new(inverse, *rank, *rank)));
                for (row, own) in values.chunks_exact_mut(columns).zip(turned.chunks_exact(*rank)) {
                    row[from..][..*rank].copy_from_slice(own);
                }
            }
            from += rank;
        }
        values
    }

    /// Inner products of the basis vectors of the last product with others, [rank, others].
    pub fn of_last(&self, others: &[T]) -> Vec<T> {
        let Some((rank, inverse)) = self.products.last() else { return Vec::new() };
        let products = inner(&self.vectors()[(self.rank() - rank) * self.length..], others, self.length);
        match inverse {
            Some(inverse) if !products.is_empty() => {
                product(Matrix::new(inverse, *rank, *rank), Matrix::new(&products, *rank, products.len() / rank))
            }
            _ => products,
        }
    }

    /// Adds vectors V and their N to what is known.
    fn push(&mut self, values: impl ExactSizeIterator<Item = T>, inverse: Option<Vec<T>>) {
        let (known, count) = (self.rank() * self.length, values.len() / self.length);
        if self.vectors.len() < known + values.len() {
            self.vectors.resize(known + values.len(), T::zero());
        }
        self.vectors[known..].iter_mut().zip(values).for_each(|(to, value)| *to = value);
        self.products.push((count, inverse));
    }

    /// Adds a basis of the vectors, which are orthogonal to the known subspace and of a length up to 1.
    pub fn extend(&mut self, vectors: &[T], tolerance: f64) -> Shares<T> {
        let count = vectors.len() / self.length;
        let in_double = |values: &[T]| values.iter().map(|value| value.as_f64()).collect::<Vec<f64>>();
        let gram_matrix = in_double(&gram(vectors, self.length));
        if let Some(Independent { factor, inverse }) = Independent::new(&gram_matrix, count, tolerance) {
            self.push(vectors.iter().copied(), Some(inverse.into_iter().map(T::from_f64).collect()));
            let coefficients = factor.into_iter().map(T::from_f64).collect();
            return Shares { coefficients, is_lower: true };
        }
        // Where vectors depend on each other, a Gram matrix has the square of their condition: it asks for double precision.
        let exact = in_double(vectors);
        let gram_matrix = gram(&exact, self.length);
        let factor = Factor::new(&gram_matrix, count, tolerance);
        let rank = factor.rank();
        let chosen = factor.pivots.iter().flat_map(|&pivot| &exact[pivot * self.length..][..self.length]);
        let chosen: Vec<f64> = chosen.copied().collect();
        let mut directions = vec![0.0; chosen.len()];
        combine(&factor.inverse(), &chosen, &mut directions, self.length, false);
        self.push(directions.into_iter().map(T::from_f64), None);
        // Where a vector is no number, neither is what it gives.
        let is_lost = |vector: usize| gram_matrix[vector * count + vector].is_nan();
        let coefficients = factor.values.iter().enumerate();
        let coefficients =
            coefficients.map(|(place, &share)| T::from_f64(if is_lost(place / rank) { f64::NAN } else { share }));
        Shares { coefficients: coefficients.collect(), is_lower: false }
    }
}

/// Divides by the length, which is returned: 0, and nothing changed, of a vector of zeros.
pub fn normalise<T: Real>(vector: &mut [T]) -> T {
    let square = dot(vector, vector);
    if square.is_normal() {
        let length = square.sqrt();
        scale(T::one() / length, vector);
        return length;
    }
    // Squares out of range: in units of the largest one. A NaN is kept by the maximum's own sum.
    let largest = vector.iter().fold(T::zero(), |most, value| if value.abs() > most { value.abs() } else { most });
    if largest.is_zero() && !square.is_nan() {
        return T::zero();
    }
    vector.iter_mut().for_each(|value| *value /= largest);
    let length = dot(vector, vector).sqrt();
    scale(T::one() / length, vector);
    largest * length
}
