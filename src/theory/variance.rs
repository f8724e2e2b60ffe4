//! The backward pass over variances: E(∂f_k/∂xᵢ)² as a sum over paths, at the cost of one backward pass.
//!
//! Each edge contributes its weight's variance, each ReLU a factor ½, each of k averaged edges 1/k². Which pairs of paths
//! this leaves out, [`path_variances`] says.
//!
//! Exact without further hypotheses for a dense chain of independent weights with symmetric rows wherever no
//! pre-activation is zero with positive probability: flipping the sign of a row flips its pre-activation and nothing else,
//! so every mask is a fair coin independent of the row's squares.

use super::applicability::check_applies;
use super::symmetry::relative_spread;
use crate::network::architecture::Addend;
use crate::network::layer::{LayerRule, NoPathTheory};
use crate::network::{Architecture, Initialisation};
use crate::scaled::Scaled;

/// E(∂f₀/∂xᵢ)² for every input i under the hypotheses (H), by the backward pass over variances: Σ over the paths p from i to
/// logit 0 of Π_{edges of p} factor.
///
/// # Which cross terms vanish
/// ∂f₀/∂xᵢ is a sum over paths, and its square a sum over pairs (p, p′) of them. The pass keeps p = p′. The term of two
/// different paths has the mean 0 as soon as they take two different weights anywhere, since these are uncorrelated and
/// independent of all others (H4, H5). So it vanishes
/// - in dense nets: two paths through different units take different weights;
/// - in convolutions with zero padding and pools that do not overlap: from one pixel, one tap leads to one place, so that
///   two paths part by taking different weights;
/// - wherever a dense layer reads every place by a weight of its own;
/// - between the arms of a residual block, if all paths through one of them take weights of it.
///
/// # What the hypotheses leave out
/// Masks depend on the weights before them. Behind an average pool, which sums a channel's units, this is a share of order 1/fan-in
/// for each layer. It does not vanish at infinite width while the first layer's fan-in, input channels times taps, stays: two
/// channels, zero padding and a pool have a path value of 0.1238 where the infinitely wide network has 0.1296.
///
/// # Which do not
/// Two paths that take *the same weights through different places* have a term of their own. They must part without a weight,
/// and meet again without one:
/// - they part where a pixel is in two windows of an average pool (a stride below the size), or under one tap of a kernel at
///   two places (reflect padding; circular padding that wraps a pixel in twice);
/// - they meet again in an average pool, most often the global one; never in a convolution, where one tap at one place sees
///   one pixel.
///
/// Such a term is the product of the common weights' variances, 1/k for each pooled edge of either path, ½ for a ReLU that
/// both pass in one place and ¼ for one that they pass in two. None is negative, so that the pass is a lower bound of the
/// mean over networks whose masks are independent fair coins, and equal to it where there is no such pair. (Two arms of
/// a residual block that can both be passed without weights are refused.) Here two of three columns' paths meet again over
/// one shared weight:
///
/// ```
/// use gradlaw::network::{Architecture, AveragePool, Conv, Dense, GlobalAveragePool, Initialisation, Parameters, Relu, Shape};
/// use gradlaw::network::{Tape, Variances, WeightDistribution, Window};
/// use gradlaw::theory::path_variances;
///
/// // Two overlapping pools of 2×2 on an image of 2×3; a 1×1 kernel v; ReLU; the mean of both; a weight w. Both variances 1.
/// let kernel = Conv { channels: 1, window: Window::new(1, 1), bias: false };
/// let pools = [AveragePool(Window::new(2, 1)).into(), kernel.into(), Relu.into(), GlobalAveragePool.into()];
/// let layers = [&pools[..], &[Dense::new(1).into()]].concat();
/// let network = Architecture::new(Shape::new([1, 2, 3]).expect("a shape"), layers)?;
/// let ones = |_, _, _| Ok::<_, Box<dyn std::error::Error>>(Variances { weight: 1.0, bias: 0.0 });
/// let initialisation = Initialisation::by_layer(&network, WeightDistribution::Rademacher, ones)?;
///
/// // An edge of the first pool ¼² = 1/16, of the second ½² = ¼, the ReLU ½: a path has 1/128. The pixels of the middle
/// // column have two paths, the others one: 8 paths.
/// let pass: f64 = path_variances(&network, &initialisation)?.iter().sum();
/// assert_eq!(pass, 8.0 / 128.0);
///
/// // All four masks, each by an image: its left column decides over the left pool, its right column over the right one.
/// // The signs of v and w change neither the squares nor the law of the masks, so v = w = 1 will do.
/// let mut parameters = Parameters::<f64>::new(&network);
/// let nodes = network.nodes();
/// [&nodes[1], &nodes[4]].map(|node| parameters.tensor_mut(node, 0).fill(1.0));
/// let mut tape = Tape::new(&network);
/// let mut mean = 0.0;
/// for [left, right] in [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]] {
///     tape.forward(&network, &parameters, &[left, 0.0, right, left, 0.0, right]);
///     let gradient = tape.logit_gradient(&network, &parameters, 0);
///     mean += gradient.iter().map(|g| g * g).sum::<f64>() / 4.0;
/// }
/// // Each of the two middle pixels adds the pair of its paths, twice ¼²·½²·¼ = 2/256.
/// assert_eq!(mean, pass + 2.0 * 2.0 / 256.0);
/// assert_eq!(mean / pass, 1.25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A layer, or an order of layers, to which path theory does not apply ([`check_applies`]), or variances beyond double precision,
/// which [`PathVariances`] holds.
pub fn path_variances(architecture: &Architecture, initialisation: &Initialisation) -> Result<Vec<f64>, NoPathTheory> {
    PathVariances::new(architecture, initialisation)?.to_vec().ok_or(NoPathTheory::Beyond)
}

/// The same variances at any depth: of units of one value, in a power of two that may be beyond double precision.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PathVariances {
    values: Vec<f64>,
    unit: Scaled,
}

impl PathVariances {
    /// E(∂f₀/∂xᵢ)² for every input, as [`path_variances`] defines it.
    ///
    /// # Errors
    /// A layer, or an order of layers, to which path theory does not apply ([`check_applies`]).
    pub fn new(architecture: &Architecture, initialisation: &Initialisation) -> Result<Self, NoPathTheory> {
        check_applies(architecture)?;
        let nodes = architecture.nodes();
        let mut variances = vec![Self::default(); nodes.len() + 1];
        let mut of_logit = vec![0.0; architecture.outputs()];
        of_logit[0] = 1.0;
        variances[nodes.len()] = Self { values: of_logit, unit: Scaled::ONE };
        for (index, node) in nodes.iter().enumerate().rev() {
            // Whatever reads this value came later, and is done.
            let upstream = std::mem::take(&mut variances[index + 1]);
            let mut downstream = vec![0.0; node.input.len()];
            let (variance, exponent) = Scaled::from(initialisation.variances(index).weight).parts();
            node.layer.variance_backward(node.site(), variance, &upstream.values, &mut downstream)?;
            let unit = upstream.unit * Scaled::power_of_two(exponent);
            variances[node.source].add(Self { values: downstream, unit }.balanced());
            if let Some(Addend { value, .. }) = node.addend {
                variances[value].add(upstream);
            }
        }
        Ok(variances.swap_remove(0))
    }

    /// Of one input.
    pub fn of(&self, input: usize) -> Scaled {
        self.unit * self.values[input].into()
    }

    /// E‖∂ₓf₀‖₂², their sum.
    pub fn total(&self) -> Scaled {
        self.unit * self.values.iter().sum::<f64>().into()
    }

    /// Σ √E(∂f₀/∂xᵢ)².
    pub fn total_of_roots(&self) -> Scaled {
        self.unit.sqrt() * self.values.iter().map(|variance| variance.sqrt()).sum::<f64>().into()
    }

    /// By how much they differ ([`relative_spread`]).
    pub fn relative_spread(&self) -> f64 {
        relative_spread(&self.values)
    }

    /// All of them, where double precision holds the largest.
    fn to_vec(&self) -> Option<Vec<f64>> {
        let largest = self.values.iter().fold(0.0, |most: f64, &variance| most.max(variance));
        (self.unit * largest.into()).to_f64()?;
        Some(if self.unit == Scaled::ONE {
            self.values.clone()
        } else {
            (0..self.values.len()).map(|input| self.of(input).nearest()).collect()
        })
    }

    /// The same in the unit of the largest, beside which nothing that underflows counts.
    fn balanced(mut self) -> Self {
        let largest = self.values.iter().fold(0.0, |most: f64, &variance| most.max(variance));
        let (mantissa, exponent) = Scaled::from(largest).parts();
        if exponent != 0 {
            let factor = mantissa / largest;
            self.values.iter_mut().for_each(|variance| *variance *= factor);
            self.unit = self.unit * Scaled::power_of_two(exponent);
        }
        self
    }

    /// Adds another contribution to the variances of a value, which are empty before the first.
    fn add(&mut self, mut other: Self) {
        if self.values.is_empty() {
            *self = other;
            return;
        }
        if other.unit > self.unit {
            std::mem::swap(self, &mut other);
        }
        let factor = (other.unit / self.unit).nearest();
        self.values.iter_mut().zip(other.values).for_each(|(sum, more)| *sum += factor * more);
        *self = std::mem::take(self).balanced();
    }
}

#[cfg(test)]
mod tests {
    use super::super::DenseLaw;
    use super::*;
    use crate::network::{Dense, DenseChain, Part, Relu, Shape, WeightDistribution};
    use proptest::prelude::*;

    fn deep(depth: usize, block: impl Fn() -> Vec<Part>, variance: f64) -> PathVariances {
        let parts = (0..depth).flat_map(|_| block()).chain([Dense::new(3).into()]).collect();
        let network = Architecture::from_parts(Shape::new([4]).unwrap(), parts).unwrap();
        let rule = |_, _, _| Ok::<_, ()>(crate::network::Variances { weight: variance, bias: 0.0 });
        let initialisation = Initialisation::by_layer(&network, WeightDistribution::Normal, rule).unwrap();
        let variances = PathVariances::new(&network, &initialisation).unwrap();
        let is_held = variances.total().to_f64().is_some();
        assert_eq!(path_variances(&network, &initialisation).is_ok(), is_held, "{}", variances.total());
        variances
    }

    #[test]
    fn depth_neither_overflows_nor_underflows() {
        // A layer of 4 units and ReLU: a factor 2·variance; a residual block: 1 + 2·variance; the last layer: variance.
        let plain = || vec![Dense::new(4).into(), Relu.into()];
        let residual = || vec![Part::Residual { branch: vec![Dense::new(4).into(), Relu.into()], projection: vec![] }];
        for (variance, depth) in [(0.5, 3000), (0.125, 500), (0.125, 3000), (2.0, 3000), (1e-300, 50), (1e300, 50)] {
            let variances = deep(depth, plain, variance);
            let exact = 2.0 + variance.log2() + depth as f64 * (2.0 * variance).log2();
            assert!((variances.total().log2() - exact).abs() <= 1e-12 * exact.abs() + 1e-11, "{variance} {depth}");
            assert_eq!(variances.relative_spread(), 0.0);
            // Four inputs: Σ√ is twice √Σ.
            let roots = variances.total_of_roots() / variances.total().sqrt();
            assert!((roots.nearest() - 2.0).abs() < 1e-14);
            if variance <= 2.0 {
                let exact = 2.0 + variance.log2() + depth as f64 * (1.0 + 2.0 * variance).log2();
                let total = deep(depth, residual, variance).total();
                assert!((total.log2() - exact).abs() <= 1e-12 * exact.abs() + 1e-11, "{variance} {depth}");
            }
        }
        assert_eq!(deep(10, plain, 0.0).total(), Scaled::ZERO);
    }

    proptest! {
        #[test]
        fn the_pass_agrees_with_the_closed_form(
            dimension in 1usize..200, widths in prop::collection::vec(1usize..60, 0..4), gain in 0.1f64..3.0,
        ) {
            let mut layers = Vec::new();
            for &width in &widths {
                layers.extend([Dense::new(width).into(), Relu.into()]);
            }
            layers.push(Dense::new(10).into());
            let network = Architecture::new(Shape::new([dimension]).unwrap(), layers).unwrap();
            let initialisation = Initialisation::he(&network, WeightDistribution::Normal, gain);
            let chain = DenseChain::new(&network, &initialisation).unwrap();
            let closed = DenseLaw::new(&chain).mean(&"logit.l2sq".parse().unwrap()).unwrap().nearest();
            prop_assert!((path_variances(&network, &initialisation).unwrap().iter().sum::<f64>() / closed - 1.0).abs() < 1e-12);
        }
    }
}
