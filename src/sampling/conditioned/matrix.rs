//! A Gaussian matrix that is drawn only as far as it acts.
//!
//! Let W be n × m with independent N(0, σ²) entries. What has been seen of it is its action on a subspace of the right, A = W Q with
//! orthonormal columns Q, and of the left, B = Wᵀ U. A new vector x = Q c + ρ q with q ⟂ Q has W x = A c + ρ W q, and given all that was
//! seen, W q = U Bᵀq + (I − U Uᵀ) σ z with z ~ N(0, I): the components along U are known, and the others are independent of everything
//! before. The same with both sides exchanged gives Wᵀ g. So any number of products, forward and backward and in any order, each of
//! which may depend on those before, have exactly the joint law of products with one W: n + m normals in place of n m.

use super::factor::Factor;
use super::rows::{add_combinations, dot, inner, scale};
use crate::network::Real;

/// What is left of a square by rounding, in double precision and of double the digits of single.
const TOLERANCE: f64 = 1e-10;

/// Independent normals.
pub trait Normals<T> {
    /// Fills with N(0, std_dev²).
    fn fill(&mut self, std_dev: T, values: &mut [T]);
}

/// W, of which only products are known.
#[derive(Debug, Clone)]
pub struct UnseenMatrix<T> {
    std_dev: T,
    /// Of a vector of length 1, the square of what has to be left beside those that were seen before, for a direction of its own.
    pub(super) tolerance: f64,
    right: Seen<T>,
    left: Seen<T>,
}

/// What is known on one side.
#[derive(Debug, Clone)]
struct Seen<T> {
    /// Length of this side's vectors.
    length: usize,
    /// Orthonormal vectors, one after the other.
    basis: Vec<T>,
    /// Their products with the matrix, vectors of the other side.
    images: Vec<T>,
}

/// Which way the matrix acts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// W x.
    Forward,
    /// Wᵀ g.
    Transposed,
}

impl<T: Real> UnseenMatrix<T> {
    /// A matrix [rows, columns] of which nothing is known but the law of its entries, N(0, std_dev²).
    pub fn new(rows: usize, columns: usize, std_dev: T) -> Self {
        let side = |length| Seen { length, basis: Vec::new(), images: Vec::new() };
        Self { std_dev, tolerance: TOLERANCE, right: side(columns), left: side(rows) }
    }

    /// Another matrix of the same law in its place.
    pub fn forget(&mut self) {
        for side in [&mut self.right, &mut self.left] {
            side.basis.clear();
            side.images.clear();
        }
    }

    /// Multiplies vectors, which lie one after the other and are changed, with the matrix or its transpose.
    pub fn multiply(&mut self, way: Way, vectors: &mut [T], products: &mut [T], normals: &mut impl Normals<T>) {
        let Self { std_dev, tolerance, right, left } = self;
        let (own, other) = match way {
            Way::Forward => (right, left),
            Way::Transposed => (left, right),
        };
        let sizes: Vec<T> = vectors.chunks_exact_mut(own.length).map(|vector| normalise(vector)).collect();
        let known = own.project(vectors);
        let (shares, rank) = own.extend(vectors, *tolerance);
        // The images of the new directions: what is known of them from the other side, and what is not.
        let seen = own.images.len();
        own.images.resize(seen + rank * other.length, T::zero());
        let fresh = &mut own.images[seen..];
        normals.fill(*std_dev, fresh);
        if !other.basis.is_empty() {
            let directions = &own.basis[own.basis.len() - rank * own.length..];
            let mut corrections = inner(directions, &other.images, own.length);
            let drawn = inner(fresh, &other.basis, other.length);
            corrections.iter_mut().zip(drawn).for_each(|(known, drawn)| *known -= drawn);
            add_combinations(&corrections, &other.basis, fresh, other.length);
        }
        products.fill(T::zero());
        add_combinations(&known, &own.images[..seen], products, other.length);
        add_combinations(&shares, &own.images[seen..], products, other.length);
        for (product, size) in products.chunks_exact_mut(other.length).zip(sizes) {
            scale(size, product);
        }
    }
}

/// Divides by the length, which is returned: 0, and nothing changed, of a vector of zeros.
fn normalise<T: Real>(vector: &mut [T]) -> T {
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

impl<T: Real> Seen<T> {
    /// Takes the part in the known subspace off the vectors; its coefficients, [vectors, directions known].
    fn project(&self, vectors: &mut [T]) -> Vec<T> {
        if self.basis.is_empty() {
            return Vec::new();
        }
        let mut total = inner(vectors, &self.basis, self.length);
        let take_off = |coefficients: &[T], vectors: &mut [T]| {
            let negative: Vec<T> = coefficients.iter().map(|&coefficient| -coefficient).collect();
            add_combinations(&negative, &self.basis, vectors, self.length);
        };
        take_off(&total, vectors);
        // Twice is enough (Kahan; Parlett 1998): what is left may be small, and rounding large beside it.
        let again = inner(vectors, &self.basis, self.length);
        take_off(&again, vectors);
        total.iter_mut().zip(again).for_each(|(sum, more)| *sum += more);
        total
    }

    /// Adds an orthonormal basis of the vectors, which are orthogonal to the known subspace; their coefficients in it, [vectors, rank], and
    /// the rank.
    fn extend(&mut self, vectors: &[T], tolerance: f64) -> (Vec<T>, usize) {
        let count = vectors.len() / self.length;
        let gram = inner(vectors, vectors, self.length);
        let gram: Vec<f64> = gram.into_iter().map(T::as_f64).collect();
        let factor = Factor::new(&gram, count, tolerance);
        let rank = factor.rank();
        let known = self.basis.len();
        self.basis.resize(known + rank * self.length, T::zero());
        let directions = &mut self.basis[known..];
        let inverse: Vec<T> = factor.inverse().into_iter().map(T::from_f64).collect();
        if factor.pivots.iter().enumerate().all(|(place, &pivot)| place == pivot) {
            add_combinations(&inverse, &vectors[..rank * self.length], directions, self.length);
        } else {
            let chosen = factor.pivots.iter().flat_map(|&pivot| &vectors[pivot * self.length..][..self.length]);
            add_combinations(&inverse, &chosen.copied().collect::<Vec<T>>(), directions, self.length);
        }
        // Where a vector is no number, neither is what it gives.
        let is_lost = |vector: usize| gram[vector * count + vector].is_nan();
        let shares = factor.values.iter().enumerate();
        let shares = shares.map(|(place, &share)| T::from_f64(if is_lost(place / rank) { f64::NAN } else { share }));
        (shares.collect(), rank)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{KolmogorovSmirnov, Moments};
    use ndarray_rand::rand::{Rng, SeedableRng};
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_distr::StandardNormal;

    impl Normals<f64> for ChaCha8Rng {
        fn fill(&mut self, std_dev: f64, values: &mut [f64]) {
            values.fill_with(|| std_dev * self.sample::<f64, _>(StandardNormal));
        }
    }

    fn vectors(count: usize, length: usize, rng: &mut ChaCha8Rng) -> Vec<f64> {
        (0..count * length).map(|_| rng.sample(StandardNormal)).collect()
    }

    proptest! {
        /// Products are those of one matrix: linear, ⟨g, W x⟩ = ⟨Wᵀ g, x⟩, and the same again, whatever the order, the rank, and the scale.
        #[test]
        fn all_products_are_those_of_one_matrix(
            [rows, columns] in [1usize..9, 1usize..9], counts in prop::collection::vec((1usize..6, any::<bool>()), 1..6),
            exponent in -150i32..150, seed in any::<u64>(),
        ) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let unit = 10f64.powi(exponent);
            let mut matrix = UnseenMatrix::new(rows, columns, 0.7);
            let mut seen: Vec<(Way, Vec<f64>, Vec<f64>)> = Vec::new();
            for (count, is_forward) in counts {
                let way = if is_forward { Way::Forward } else { Way::Transposed };
                let [own, other] = if is_forward { [columns, rows] } else { [rows, columns] };
                let mut given = vectors(count, own, &mut rng);
                given.iter_mut().for_each(|value| *value *= unit);
                let mut products = vec![0.0; count * other];
                matrix.multiply(way, &mut given.clone(), &mut products, &mut rng);
                for (vector, product) in given.chunks_exact(own).zip(products.chunks_exact(other)) {
                    seen.push((way, vector.to_vec(), product.to_vec()));
                }
            }
            let (forward, back): (Vec<_>, Vec<_>) = seen.iter().partition(|(way, ..)| *way == Way::Forward);
            let size = |vector: &[f64]| dot(vector, vector).sqrt();
            for (_, x, wx) in &forward {
                for (_, g, wg) in &back {
                    let (one, other) = (dot(g, wx) / unit / unit, dot(wg, x) / unit / unit);
                    let scale = (size(g) / unit) * (size(wx) / unit) + (size(wg) / unit) * (size(x) / unit);
                    prop_assert!((one - other).abs() < 1e-9 * scale, "{one} {other}");
                }
            }
            // Twice the first minus the last, which must not draw anything.
            for (way, of_way) in [(Way::Forward, &forward), (Way::Transposed, &back)] {
                if let [(_, first, of_first), .., (_, last, of_last)] = &of_way[..] {
                    let combine = |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| 2.0 * a - b).collect() };
                    let mut product = vec![0.0; of_first.len()];
                    matrix.multiply(way, &mut combine(first, last), &mut product, &mut rng);
                    let expected = combine(of_first, of_last);
                    let largest = size(of_first) + size(of_last) + unit;
                    prop_assert!(product.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-8 * largest));
                }
            }
        }
    }

    /// Products of one matrix in the law of a drawn one: forward, back with what depends on it, forward again along what depends on
    /// that. |z| < 4.5 for a mean, and Kolmogorov–Smirnov p above 10⁻⁵, for seven numbers each (false alarms below 2·10⁻⁴ in all).
    #[test]
    fn products_that_depend_on_each_other_have_the_law_of_a_drawn_matrix() {
        const ROWS: usize = 5;
        const COLUMNS: usize = 4;
        let follow = |multiply: &mut dyn FnMut(Way, &[f64]) -> Vec<f64>| -> [f64; 7] {
            let x: Vec<f64> = [1.0, -0.5, 0.25, 2.0, 1.0, 0.5, 0.0, 1.0, 2.0, -1.0, 0.5, 4.0].to_vec();
            let y = multiply(Way::Forward, &x);
            let g: Vec<f64> = y.iter().map(|y| y.max(0.0) * 1.5 + y.sin()).collect();
            let back = multiply(Way::Transposed, &g);
            let moved: Vec<f64> = back[..COLUMNS].iter().zip(&x).map(|(b, x)| x + 0.3 * b.signum()).collect();
            let again = multiply(Way::Forward, &moved);
            let size = |vector: &[f64]| dot(vector, vector).sqrt();
            let sum = |vector: &[f64]| vector.iter().map(|value| value.abs()).sum::<f64>();
            [
                size(&y),
                sum(&back),
                back[1] * back[6],
                size(&again),
                again[0] * y[0],
                dot(&back[8..], &moved),
                sum(&back[..4]),
            ]
        };
        const DRAWS: usize = 20_000;
        let mut rng = ChaCha8Rng::seed_from_u64(16);
        let mut found = vec![[Vec::new(), Vec::new()]; 7];
        for _ in 0..DRAWS {
            let mut matrix = UnseenMatrix::new(ROWS, COLUMNS, 0.7);
            let conditioned = follow(&mut |way, given| {
                let own = if way == Way::Forward { COLUMNS } else { ROWS };
                let mut products = vec![0.0; given.len() / own * (ROWS + COLUMNS - own)];
                matrix.multiply(way, &mut given.to_vec(), &mut products, &mut rng);
                products
            });
            let drawn = vectors(ROWS, COLUMNS, &mut rng);
            let explicit = follow(&mut |way, given| {
                let entry = |row: usize, column: usize| 0.7 * drawn[row * COLUMNS + column];
                match way {
                    Way::Forward => given
                        .chunks_exact(COLUMNS)
                        .flat_map(|x| (0..ROWS).map(|row| (0..COLUMNS).map(|c| entry(row, c) * x[c]).sum()))
                        .collect(),
                    Way::Transposed => given
                        .chunks_exact(ROWS)
                        .flat_map(|g| (0..COLUMNS).map(|c| (0..ROWS).map(|row| entry(row, c) * g[row]).sum()))
                        .collect(),
                }
            });
            for (columns, (one, other)) in found.iter_mut().zip(conditioned.into_iter().zip(explicit)) {
                columns[0].push(one);
                columns[1].push(other);
            }
        }
        for (number, [one, other]) in found.iter_mut().enumerate() {
            let [a, b] = [&*one, &*other].map(|values| values.iter().copied().collect::<Moments>());
            let z = (a.mean() - b.mean()) / a.std_error().hypot(b.std_error());
            assert!(z.abs() < 4.5, "{number}: {z}");
            let test = KolmogorovSmirnov::of_samples(one, other);
            assert!(test.p_value > 1e-5, "{number}: {test:?}");
        }
    }

    #[test]
    fn zeros_give_zeros_and_what_is_no_number_is_not_hidden() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut matrix = UnseenMatrix::new(3, 2, 1.0);
        let mut products = [1.0; 9];
        matrix.multiply(Way::Forward, &mut [0.0, 0.0, 1.0, 2.0, 0.0, 0.0], &mut products, &mut rng);
        assert!(products[..3].iter().chain(&products[6..]).all(|&product| product == 0.0));
        assert!(products[3..6].iter().all(|&product| product != 0.0));
        matrix.multiply(Way::Transposed, &mut [f64::NAN, 0.0, 1.0], &mut products[..2], &mut rng);
        assert!(products[..2].iter().all(|product| product.is_nan()));
    }
}
