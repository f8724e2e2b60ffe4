//! A Gaussian matrix that is drawn only as far as it acts.
//!
//! Let W be n × m with independent N(0, σ²) entries. What has been seen of it is its action on a subspace of the right, A = W Q with
//! orthonormal columns Q, and of the left, B = Wᵀ U. A new vector x = Q c + ρ q with q ⟂ Q has W x = A c + ρ W q, and given all that was
//! seen, W q = U Bᵀq + (I − U Uᵀ) σ z with z ~ N(0, I): the components along U are known, and the others are independent of everything
//! before. The same with both sides exchanged gives Wᵀ g. So any number of products, forward and backward and in any order, each of
//! which may depend on those before, have exactly the joint law of products with one W: n + m normals in place of n m.

use super::basis::{Basis, Shares, normalise};
use super::rows::{combine, combine_lower, inner, scale};
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
    basis: Basis<T>,
    /// What the matrix makes of the basis, vectors of the other side; memory behind them is kept.
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
        let side = |length| Seen { basis: Basis::new(length), images: Vec::new() };
        Self { std_dev, tolerance: TOLERANCE, right: side(columns), left: side(rows) }
    }

    /// Another matrix of the same law in its place.
    pub fn forget(&mut self) {
        self.right.basis.clear();
        self.left.basis.clear();
    }

    /// Multiplies vectors, which lie one after the other and are changed, with the matrix or its transpose. What comes back is where the
    /// vectors lie in their side's basis.
    pub fn multiply(
        &mut self,
        way: Way,
        vectors: &mut [T],
        products: &mut [T],
        normals: &mut impl Normals<T>,
    ) -> Coordinates<T> {
        let Self { std_dev, tolerance, right, left } = self;
        let (Seen { basis, images }, other) = match way {
            Way::Forward => (right, left),
            Way::Transposed => (left, right),
        };
        let (length, other_basis) = (other.basis.length(), &other.basis);
        let sizes: Vec<T> = vectors.chunks_exact_mut(basis.length()).map(|vector| normalise(vector)).collect();
        let known = basis.project(vectors);
        let seen = basis.rank();
        let shares = basis.extend(vectors, *tolerance);
        let rank = basis.rank();
        let mut corrections = basis.of_last(&other.images[..other_basis.rank() * basis.length()]);
        // The images of the new directions: what is known of them from the other side, and what is not.
        if images.len() < rank * length {
            images.resize(rank * length, T::zero());
        }
        let (known_images, fresh) = images[..rank * length].split_at_mut(seen * length);
        normals.fill(*std_dev, fresh);
        if other_basis.rank() > 0 {
            let drawn = other_basis.in_basis(inner(fresh, other_basis.vectors(), length));
            corrections.iter_mut().zip(drawn).for_each(|(known, drawn)| *known -= drawn);
            combine(&other_basis.in_vectors(corrections), other_basis.vectors(), fresh, length, true);
        }
        let combine_new = if shares.is_lower { combine_lower } else { combine };
        combine_new(&shares.coefficients, fresh, products, length, false);
        combine(&known, known_images, products, length, true);
        for (product, &size) in products.chunks_exact_mut(length).zip(&sizes) {
            scale(size, product);
        }
        Coordinates { sizes, known, shares }
    }
}

/// Vectors as combinations of an orthonormal basis.
pub struct Coordinates<T> {
    sizes: Vec<T>,
    known: Vec<T>,
    shares: Shares<T>,
}

impl<T: Real> Coordinates<T> {
    /// How many vectors there are.
    pub fn count(&self) -> usize {
        self.sizes.len()
    }

    /// Writes those of all vectors, each at the beginning of `pitch` values, with zeros behind them.
    pub fn lay(&self, pitch: usize, values: &mut [T]) {
        let count = self.sizes.len();
        let [known, new] = [&self.known, &self.shares.coefficients].map(|values| values.len() / count);
        for (vector, (values, &size)) in values.chunks_exact_mut(pitch).zip(&self.sizes).enumerate() {
            let of_known = &self.known[vector * known..][..known];
            let of_new = &self.shares.coefficients[vector * new..][..new];
            let (of_basis, behind) = values.split_at_mut(known + new);
            of_basis.iter_mut().zip(of_known.iter().chain(of_new)).for_each(|(to, &share)| *to = size * share);
            behind.fill(T::zero());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::rows::dot;
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

    impl Normals<f32> for ChaCha8Rng {
        fn fill(&mut self, std_dev: f32, values: &mut [f32]) {
            values.fill_with(|| std_dev * self.sample::<f32, _>(StandardNormal));
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

    /// In single precision products are those of one matrix to its digits, however near to dependent the vectors are: ⟨g, W x⟩ = ⟨Wᵀ g, x⟩
    /// beside |g| |W x| + |Wᵀ g| |x|.
    #[test]
    fn single_precision_keeps_its_digits_for_vectors_close_to_each_other() {
        const ROWS: usize = 60;
        const COLUMNS: usize = 90;
        const COUNT: usize = 40;
        let size = |vector: &[f32]| vector.iter().map(|&value| f64::from(value).powi(2)).sum::<f64>().sqrt();
        let product = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
        for apart in [1.0, 0.3, 0.1, 0.03, 1e-2, 1e-3, 1e-4, 0.0] {
            let mut rng = ChaCha8Rng::seed_from_u64(9);
            let mut near = |length: usize| -> Vec<f32> {
                let common = vectors(1, length, &mut rng);
                let own = vectors(COUNT, length, &mut rng);
                own.iter().enumerate().map(|(at, value)| (common[at % length] + apart * value) as f32).collect()
            };
            let (x, g) = (near(COLUMNS), near(ROWS));
            let mut matrix = UnseenMatrix::new(ROWS, COLUMNS, 0.5f32);
            let (mut wx, mut wg) = (vec![0.0; COUNT * ROWS], vec![0.0; COUNT * COLUMNS]);
            matrix.multiply(Way::Forward, &mut x.clone(), &mut wx, &mut rng);
            matrix.multiply(Way::Transposed, &mut g.clone(), &mut wg, &mut rng);
            for (x, wx) in x.chunks_exact(COLUMNS).zip(wx.chunks_exact(ROWS)) {
                for (g, wg) in g.chunks_exact(ROWS).zip(wg.chunks_exact(COLUMNS)) {
                    let error = (product(g, wx) - product(wg, x)).abs();
                    let unit = size(g) * size(wx) + size(wg) * size(x);
                    assert!(error < 2e-6 * unit, "{apart}: {}", error / unit);
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
