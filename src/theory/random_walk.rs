//! Random walks on a network's graph: path variances without a backward pass, as an independent way to the same numbers.
//!
//! E(∂f₀/∂xᵢ)² is a sum over paths, Σ_p Π_{edges} factor ([`path_variances`](super::path_variances)). At every unit a walk chooses
//! one of the m layers that read it with probability 1/m, then one of the n edges into this layer with probability 1/n,
//! among those that lead to logit 0; so it takes path p with probability Π 1/(m n). Its weight Π m·n·factor has the mean
//! Σ_p (Π 1/(m n))(Π m·n·factor) = Σ_p Π factor, whatever the graph: the mean weight is unbiased.
//!
//! m is 2 where a residual block begins and 1 elsewhere. Were the identity arm one edge among the hundreds of a
//! convolution, it would be taken rarely, with a large weight, and few walks would see it at all. Where all paths from an
//! input meet the same factors and numbers of edges, as in a dense net, every walk has the same weight and one is enough;
//! borders of images, strides and unequal arms spread the weights, the more the deeper the network.

use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use super::PathGraph;
use crate::scaled::Scaled;
use crate::statistics::Moments;
use crate::stream::{Stream, StreamKey};

/// Walks that share a stream; part of what fixes the bits of a result.
const BLOCK: u64 = 4096;

/// Where walks begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// At one input i, so that weights have the mean E(∂f₀/∂xᵢ)².
    Input(usize),
    /// At any input that has a path, each equally likely; weights are multiplied by their number and have the mean E‖∂ₓf₀‖₂².
    Anywhere,
}

/// The weights of so many random walks: their mean estimates E(∂f₀/∂xᵢ)² or E‖∂ₓf₀‖₂² under the hypotheses (H), their
/// standard error says how well. Weights are products and may be skewed; look at the skewness before trusting the error.
///
/// A weight beyond double precision is infinite, or the smallest number above zero; that of a single layer may be anything.
///
/// Block after block of walks uses the streams of `key`, on all threads of the current pool; the bits of the result do not
/// depend on their number. An input without a path to logit 0 has weights 0.
///
/// ```
/// use gradlaw::network::{Architecture, Dense, Initialisation, Part, Relu, Shape, WeightDistribution};
/// use gradlaw::sampling::StreamKey;
/// use gradlaw::theory::{PathGraph, Start, path_variances, random_walks};
///
/// let branch = vec![Dense::new(4).into(), Relu.into(), Dense::new(4).into()];
/// let block = Part::Residual { branch, projection: vec![] };
/// let network = Architecture::from_parts(Shape::new([4]).expect("a shape"), vec![block, Dense::new(3).into()])?;
/// let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
/// let graph = PathGraph::new(&network, &initialisation)?;
///
/// // Through the branch or around it: 2 + 1.
/// let exact: f64 = path_variances(&network, &initialisation)?.iter().sum();
/// assert_eq!(exact, 3.0);
/// let walks = random_walks(&graph, Start::Anywhere, 10_000, &StreamKey::new(1, &["walks"]));
/// assert!((walks.mean() - exact).abs() < 4.5 * walks.std_error());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn random_walks(graph: &PathGraph, start: Start, walks: u64, key: &StreamKey) -> Moments {
    let starts: Vec<u32> = match start {
        // Fits: graphs have fewer than 2³² units.
        Start::Input(input) => vec![input as u32],
        Start::Anywhere => {
            (0..graph.dimension()).filter(|&unit| !graph.edges(unit).is_empty()).map(|i| i as u32).collect()
        }
    };
    let block = |block: u64| -> Moments {
        let mut stream = key.draw(block);
        (0..(walks - block * BLOCK).min(BLOCK)).map(|_| walk(graph, &starts, &mut stream)).collect()
    };
    let blocks: Vec<Moments> = (0..walks.div_ceil(BLOCK)).into_par_iter().map(block).collect();
    blocks.iter().fold(Moments::default(), |mut sum, block| {
        sum.merge(block);
        sum
    })
}

/// The weight of one walk, which begins at one of these inputs.
fn walk(graph: &PathGraph, starts: &[u32], stream: &mut Stream) -> f64 {
    let (mut edges, mut weight) = (starts, Scaled::ONE);
    loop {
        if edges.is_empty() {
            return 0.0;
        }
        let unit = edges[choose(edges.len(), stream)] as usize;
        weight = weight * (edges.len() as f64).into() * graph.factor(unit).into();
        if unit == graph.logit() {
            return weight.nearest();
        }
        let layers = graph.edges_by_layer(unit).count();
        weight = weight * (layers.max(1) as f64).into();
        edges = graph.edges_by_layer(unit).nth(choose(layers, stream)).unwrap_or_default();
    }
}

/// One of `count` places, all equally likely; nothing is drawn where there is no choice.
fn choose(count: usize, stream: &mut Stream) -> usize {
    // Fits: graphs have at most 5·10⁷ edges.
    if count < 2 { 0 } else { stream.random_range(0..count as u32) as usize }
}

#[cfg(test)]
mod tests {
    use super::super::path_variances;
    use super::*;
    use crate::network::{
        Architecture, Conv, Dense, Flatten, Initialisation, PaddingMode, Part, Relu, Shape, WeightDistribution, Window,
    };

    fn network(input: &[usize], parts: Vec<Part>) -> (PathGraph, Vec<f64>) {
        let network = Architecture::from_parts(Shape::new(input).unwrap(), parts).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let graph = PathGraph::new(&network, &initialisation).unwrap();
        (graph, path_variances(&network, &initialisation).unwrap())
    }

    fn key() -> StreamKey {
        StreamKey::new(1, &["walks"])
    }

    #[test]
    fn where_all_walks_weigh_the_same_two_of_them_are_exact() {
        let dense = vec![Dense::new(7).into(), Relu.into(), Dense::new(5).into(), Relu.into(), Dense::new(3).into()];
        let window = Window { padding: 1, mode: PaddingMode::Circular, ..Window::new(3, 1) };
        let conv = |channels| Part::from(Conv { channels, window, bias: false });
        let circular = vec![conv(4), Relu.into(), conv(2), Relu.into(), Flatten.into(), Dense::new(10).into()];
        for (input, parts) in [(&[11][..], dense), (&[2, 5, 6], circular)] {
            let (graph, variances) = network(input, parts);
            for (start, exact) in [(Start::Anywhere, variances.iter().sum()), (Start::Input(3), variances[3])] {
                let walks = random_walks(&graph, start, 2, &key());
                assert!((walks.mean() / exact - 1.0).abs() < 1e-13 && walks.std_error() < 1e-13 * exact);
            }
        }
    }

    /// Through the branch with probability ½, weight 2·(2·1)·½·(2·1)·½ = 2; around it 2·½ = 1: mean 3/2, standard deviation
    /// ½. |z| < 4.5 has a false-alarm rate of 7·10⁻⁶.
    #[test]
    fn residual_blocks_are_walked_without_bias() {
        let branch = vec![Dense::new(2).into(), Relu.into(), Dense::new(2).into()];
        let block = Part::Residual { branch, projection: vec![] };
        let (graph, variances) = network(&[2], vec![block, Dense::new(1).into()]);
        assert_eq!(variances, [1.5, 1.5]);
        let walks = random_walks(&graph, Start::Input(0), 50_000, &key());
        assert!((walks.mean() - 1.5).abs() < 4.5 * walks.std_error());
        assert!((walks.std_dev() - 0.5).abs() < 0.005);
    }

    /// Uniform over all edges, a walk would go around all blocks with probability 37⁻⁸ and weigh 37⁸.
    #[test]
    fn both_arms_of_many_residual_blocks_are_seen() {
        let window = Window { padding: 1, mode: PaddingMode::Circular, ..Window::new(3, 1) };
        let conv = || Part::from(Conv { channels: 4, window, bias: false });
        let block = Part::Residual { branch: vec![conv(), Relu.into()], projection: vec![] };
        let parts = [vec![conv(), Relu.into()], vec![block; 8], vec![Flatten.into(), Dense::new(10).into()]].concat();
        let (graph, variances) = network(&[1, 5, 5], parts);
        let walks = random_walks(&graph, Start::Anywhere, 100, &key());
        assert!((walks.mean() / variances.iter().sum::<f64>() - 1.0).abs() < 1e-13);
        assert!((walks.mean() - 256.0).abs() < 1e-9, "a factor 2 for each block");
    }

    #[test]
    fn the_bits_do_not_depend_on_threads_and_inputs_without_a_path_weigh_nothing() {
        let conv = Conv { channels: 2, window: Window { padding: 1, ..Window::new(3, 2) }, bias: false };
        let sparse = Conv { channels: 2, window: Window::new(1, 2), bias: false };
        let parts = vec![conv.into(), Relu.into(), sparse.into(), Flatten.into(), Dense::new(2).into()];
        let (graph, variances) = network(&[1, 9, 9], parts);
        let with_threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| random_walks(&graph, Start::Anywhere, 3 * BLOCK + 5, &key()))
        };
        let walks = with_threads(1);
        assert_eq!(walks, with_threads(3));
        assert_eq!(walks.count(), 3 * BLOCK + 5);
        let dead = variances.iter().position(|&variance| variance == 0.0).unwrap();
        let dead = random_walks(&graph, Start::Input(dead), 10, &key());
        assert_eq!((dead.mean(), dead.count()), (0.0, 10));
    }
}
