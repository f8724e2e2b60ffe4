//! The symmetry assumption (S) of Theorem 5 (Simon-Gabriel et al., arXiv 1802.01421): the multiset of path-degrees seen from
//! every input to the output is the same.
//!
//! The degree of a path is the product of the in-degrees of its units behind the input ([`PathGraph::in_degree`]). A
//! convolution's unit that stands partly on padded zeros has fewer inputs than the others, a unit of an average pool has k,
//! a ReLU one and the end of a residual block two.
//!
//! One pass from the logit down gives every unit its multiset {degree of the path behind the unit → number of paths}, in
//! integers: the sum over its edges of their targets' multisets, times the targets' in-degrees. Units whose edges lead to
//! the same multisets, as all channels of a pixel and most pixels of an image, are summed once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use thiserror::Error;

use super::PathGraph;

/// Most degrees that are held, in all different multisets together, each with its number of paths: 32 bytes a degree.
pub const MOST_DEGREES: usize = 4_000_000;

/// Degrees in rising order, each with its number of paths.
type Multiset = Arc<[(u128, u128)]>;

/// Why path-degrees are not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DegreeError {
    /// A degree or a number of paths is too large.
    #[error(
        "has path-degrees or numbers of paths above 2^128: fewer channels and units keep them small, and (S) does not \
         depend on them in a chain of layers"
    )]
    Overflow,
    /// There are too many.
    #[error("has more than {MOST_DEGREES} path-degrees in different multisets")]
    TooMany,
}

/// How far the assumption (S) is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Condition {
    /// All inputs see one multiset.
    Exact,
    /// More than half of the inputs see one multiset: the interior of an image with zero padding.
    Approximate,
    /// No multiset is seen by more than half of the inputs.
    Violated,
}

impl Condition {
    /// The word that tables use.
    pub fn name(self) -> &'static str {
        match self {
            Condition::Exact => "exact",
            Condition::Approximate => "approximate",
            Condition::Violated => "violated",
        }
    }
}

/// The multiset of path-degrees that each input sees, from its paths to logit 0.
///
/// ```
/// use gradlaw::network::{Architecture, Conv, Dense, Flatten, Initialisation, PaddingMode, Shape, WeightDistribution, Window};
/// use gradlaw::theory::{Condition, PathDegrees, PathGraph};
///
/// let condition = |kernel, stride, mode| -> Result<Condition, Box<dyn std::error::Error>> {
///     let window = Window { padding: 1, mode, ..Window::new(kernel, stride) };
///     let layers = vec![Conv { channels: 2, window, bias: false }.into(), Flatten.into(), Dense::new(10).into()];
///     let network = Architecture::new(Shape::new([1, 16, 16]).expect("a shape"), layers)?;
///     let graph = PathGraph::new(&network, &Initialisation::he(&network, WeightDistribution::Normal, 1.0))?;
///     Ok(PathDegrees::new(&graph)?.condition())
/// };
/// assert_eq!(condition(3, 1, PaddingMode::Circular)?, Condition::Exact);
/// // 144 of the 256 pixels are two or more from the border.
/// assert_eq!(condition(3, 1, PaddingMode::Zeros)?, Condition::Approximate);
/// // A kernel of 3 at stride 2 sees the pixels once, twice or four times; one of 4 sees all of them four times.
/// assert_eq!(condition(3, 2, PaddingMode::Circular)?, Condition::Violated);
/// assert_eq!(condition(4, 2, PaddingMode::Circular)?, Condition::Exact);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathDegrees {
    multisets: Vec<Multiset>,
    /// Of each input, the place of its multiset.
    inputs: Vec<u32>,
}

impl PathDegrees {
    /// Counts the paths of every input by degree, in exact integers.
    ///
    /// # Errors
    /// A degree or a count exceeds 2¹²⁸, or there are more than [`MOST_DEGREES`] degrees.
    pub fn new(graph: &PathGraph) -> Result<Self, DegreeError> {
        let mut pool = Pool::default();
        let nothing = pool.intern(Vec::new())?;
        // Of each unit from the logit down, the multiset of its paths, and that of the paths through an edge into it.
        let (mut own, mut entering) = (vec![nothing; graph.logit() + 1], vec![nothing; graph.logit() + 1]);
        let mut edges = Vec::new();
        for unit in (0..=graph.logit()).rev() {
            if unit == graph.logit() {
                own[unit] = pool.intern(vec![(1, 1)])?;
            } else {
                edges.clear();
                edges.extend(graph.edges(unit).iter().map(|&target| entering[target as usize]));
                edges.sort_unstable();
                own[unit] = pool.sum(&edges)?;
            }
            if unit >= graph.dimension() {
                entering[unit] = pool.scaled(own[unit], graph.in_degree(unit))?;
            }
        }
        own.truncate(graph.dimension());
        Ok(Self { multisets: pool.multisets, inputs: own })
    }

    /// The degrees of an input's paths in rising order, each with its number of paths; empty for an input without paths.
    pub fn of(&self, input: usize) -> &[(u128, u128)] {
        &self.multisets[self.inputs[input] as usize]
    }

    /// Share of the inputs that see the commonest multiset.
    pub fn commonest_share(&self) -> f64 {
        let mut counts = vec![0u32; self.multisets.len()];
        self.inputs.iter().for_each(|&multiset| counts[multiset as usize] += 1);
        f64::from(counts.into_iter().max().unwrap_or(0)) / self.inputs.len() as f64
    }

    /// How far (S) is true: exact where the [`commonest_share`](Self::commonest_share) is 1, approximate where it is above
    /// ½, else violated.
    ///
    /// It is judged input by input. Circular padding alone does not make it true: the stride must divide the side, and the
    /// kernel's size as well, or some pixels are under more taps than others, although sums over blocks of stride × stride
    /// pixels agree and with them ‖∂ₓf‖₂. Nor does (S) alone make all E(∂f₀/∂xᵢ)² equal where paths of one degree differ in
    /// their factors, as in residual blocks.
    pub fn condition(&self) -> Condition {
        match self.commonest_share() {
            1.0 => Condition::Exact,
            share if share > 0.5 => Condition::Approximate,
            _ => Condition::Violated,
        }
    }
}

/// (largest − smallest)/mean of the inputs' path variances E(∂f₀/∂xᵢ)²: by how much (S) fails, weighed by what it is for. 0
/// where all are equal.
pub fn relative_spread(variances: &[f64]) -> f64 {
    let (least, most, sum) = variances
        .iter()
        .fold((f64::INFINITY, 0.0f64, 0.0), |(least, most, sum), &v| (f64::min(least, v), most.max(v), sum + v));
    if most <= least { 0.0 } else { (most - least) * variances.len() as f64 / sum }
}

/// All different multisets, and what was already computed of them.
#[derive(Default)]
struct Pool {
    multisets: Vec<Multiset>,
    degrees: usize,
    places: HashMap<Multiset, u32>,
    sums: HashMap<Vec<u32>, u32>,
    products: HashMap<(u32, u32), u32>,
}

impl Pool {
    /// The place of a multiset, whose degrees rise.
    fn intern(&mut self, multiset: Vec<(u128, u128)>) -> Result<u32, DegreeError> {
        let multiset: Multiset = multiset.into();
        if let Some(&place) = self.places.get(&multiset) {
            return Ok(place);
        }
        self.degrees += multiset.len();
        if self.degrees > MOST_DEGREES {
            return Err(DegreeError::TooMany);
        }
        // At most one for each unit of a graph, and one more.
        let place = self.multisets.len() as u32;
        self.multisets.push(Arc::clone(&multiset));
        self.places.insert(multiset, place);
        Ok(place)
    }

    /// The sum of the multisets at these places, which do not fall.
    fn sum(&mut self, places: &[u32]) -> Result<u32, DegreeError> {
        if let [only] = places {
            return Ok(*only);
        }
        if let Some(&sum) = self.sums.get(places) {
            return Ok(sum);
        }
        let mut counts = BTreeMap::new();
        for equal in places.chunk_by(|a, b| a == b) {
            for &(degree, count) in self.multisets[equal[0] as usize].iter() {
                let more = count.checked_mul(equal.len() as u128).ok_or(DegreeError::Overflow)?;
                let sum = counts.entry(degree).or_insert(0u128);
                *sum = sum.checked_add(more).ok_or(DegreeError::Overflow)?;
            }
        }
        let sum = self.intern(counts.into_iter().collect())?;
        self.sums.insert(places.to_vec(), sum);
        Ok(sum)
    }

    /// The multiset at a place with all degrees multiplied.
    fn scaled(&mut self, place: u32, factor: u32) -> Result<u32, DegreeError> {
        if let Some(&product) = self.products.get(&(place, factor)) {
            return Ok(product);
        }
        let scale = |&(degree, count): &(u128, u128)| Some((degree.checked_mul(factor.into())?, count));
        let scaled: Option<Vec<_>> = self.multisets[place as usize].iter().map(scale).collect();
        let product = self.intern(scaled.ok_or(DegreeError::Overflow)?)?;
        self.products.insert((place, factor), product);
        Ok(product)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{
        Architecture, AveragePool, Conv, Dense, Flatten, Initialisation, PaddingMode, Part, Relu, Shape,
        WeightDistribution, Window,
    };

    fn degrees(input: &[usize], parts: Vec<Part>) -> Result<PathDegrees, DegreeError> {
        let network = Architecture::from_parts(Shape::new(input).unwrap(), parts).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        PathDegrees::new(&PathGraph::new(&network, &initialisation).unwrap())
    }

    fn conv(channels: usize, kernel: usize, stride: usize, padding: usize, mode: PaddingMode) -> Part {
        Conv { channels, window: Window { padding, mode, ..Window::new(kernel, stride) }, bias: false }.into()
    }

    #[test]
    fn dense_nets_are_exact_and_have_one_degree() {
        let parts = vec![Dense::new(7).into(), Relu.into(), Dense::new(5).into(), Relu.into(), Dense::new(3).into()];
        let degrees = degrees(&[11], parts).unwrap();
        assert_eq!(degrees.of(4), [(11 * 7 * 5, 7 * 5)]);
        assert_eq!((degrees.condition(), degrees.commonest_share()), (Condition::Exact, 1.0));
    }

    /// A row of four pixels under a 3×3 kernel with zero padding: in-degrees 2, 3, 3, 2, and 8 in the dense layer above.
    #[test]
    fn zero_padding_has_the_multisets_counted_by_hand() {
        let parts = vec![conv(2, 3, 1, 1, PaddingMode::Zeros), Relu.into(), Flatten.into(), Dense::new(3).into()];
        let degrees = degrees(&[1, 1, 4], parts).unwrap();
        assert_eq!(degrees.of(0), [(16, 2), (24, 2)]);
        assert_eq!(degrees.of(1), [(16, 2), (24, 4)]);
        assert_eq!(degrees.of(3), degrees.of(0));
        assert_eq!((degrees.condition(), degrees.commonest_share()), (Condition::Violated, 0.5));
    }

    #[test]
    fn the_interior_decides_whether_zero_padding_is_approximate() {
        let network = |side| {
            let layers = [conv(3, 3, 1, 1, PaddingMode::Zeros), Relu.into(), conv(2, 3, 1, 1, PaddingMode::Zeros)];
            degrees(&[2, side, side], [&layers[..], &[Flatten.into(), Dense::new(10).into()]].concat()).unwrap()
        };
        // Pixels at least three from the border see one multiset: those two away see narrow units in the second layer.
        for side in [12, 32] {
            assert_eq!(network(side).commonest_share(), ((side - 6) as f64 / side as f64).powi(2));
        }
        assert_eq!(network(12).condition(), Condition::Violated);
        assert_eq!(network(32).condition(), Condition::Approximate);
    }

    #[test]
    fn strides_need_kernels_that_are_their_multiples_and_pools_are_symmetric() {
        let network = |kernel, padding| {
            let strided = conv(2, kernel, 2, padding, PaddingMode::Circular);
            let pooled = [Relu.into(), AveragePool(Window::new(2, 2)).into(), Flatten.into(), Dense::new(3).into()];
            degrees(&[1, 8, 8], [&[strided][..], &pooled].concat()).unwrap()
        };
        let violated = network(3, 1);
        assert_eq!((violated.condition(), violated.commonest_share()), (Condition::Violated, 0.5));
        // In-degree 9, 4 in the pool, 8 above; a pixel is under 1, 2 or 4 taps in each of 2 channels.
        assert_eq!([9, 1, 0].map(|pixel| violated.of(pixel)), [[(288, 8)], [(288, 4)], [(288, 2)]]);
        assert_eq!(network(4, 1).condition(), Condition::Exact);
        assert_eq!(network(2, 0).of(5), [(4 * 4 * 8, 2)]);
    }

    #[test]
    fn the_end_of_a_residual_block_has_two_inputs() {
        let block = Part::Residual { branch: vec![Dense::new(3).into(), Relu.into()], projection: vec![] };
        let degrees = degrees(&[3], vec![block, Dense::new(1).into()]).unwrap();
        // Around the branch 2·3, through it 3·2·3.
        assert_eq!(degrees.of(2), [(6, 1), (18, 3)]);
    }

    #[test]
    fn degrees_beyond_128_bits_are_refused() {
        let mut parts = Vec::new();
        for _ in 0..33 {
            parts.extend([Dense::new(16).into(), Relu.into()]);
        }
        assert_eq!(degrees(&[1], [&parts[..], &[Dense::new(1).into()]].concat()), Err(DegreeError::Overflow));
        assert!(degrees(&[1], [&parts[..62], &[Dense::new(1).into()]].concat()).is_ok());
    }

    #[test]
    fn the_spread_is_relative_to_the_mean() {
        assert_eq!(relative_spread(&[1.0, 2.0, 3.0]), 1.0);
        assert_eq!(relative_spread(&[0.25; 3]), 0.0);
        assert_eq!(relative_spread(&[0.0; 3]), 0.0);
    }
}
