//! Random walks on a network's graph: path variances without a backward pass, as an independent way to the same numbers.
//!
//! E(∂f₀/∂xᵢ)² is a sum over paths, Σ_p Π_{edges} factor ([`path_variances`](super::path_variances)). A walk leaves every unit
//! along one of its n edges with probability 1/n each, among those that lead to logit 0, and so takes path p with
//! probability Π 1/n. Its weight Π n·factor has the mean Σ_p (Π 1/n)(Π n·factor) = Σ_p Π factor, whatever the graph: the
//! mean weight is unbiased. Where all paths from an input meet the same factors and numbers of edges, as in a dense net,
//! every walk has the same weight and one is enough; residual blocks and image borders spread the weights, the more the
//! deeper the network.

use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use super::PathGraph;
use crate::sampling::{Stream, StreamKey};
use crate::statistics::Moments;

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
/// Block after block of walks uses the streams of `key`, on all threads of the current pool; the bits of the result do not
/// depend on their number. An input without a path to logit 0 has weights 0.
///
/// ```
/// use gradlaw::network::{Architecture, Dense, Initialisation, Part, Relu, Shape, WeightDistribution};
/// use gradlaw::sampling::StreamKey;
/// use gradlaw::theory::{PathGraph, Start, path_variances, random_walks};
///
/// let block = Part::Residual { branch: vec![Dense::new(4).into(), Relu.into()], projection: vec![] };
/// let network = Architecture::from_parts(Shape::new([4]).expect("a shape"), vec![block, Dense::new(3).into()])?;
/// let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
/// let graph = PathGraph::new(&network, &initialisation)?;
///
/// // Through the branch or around it: 1 + 1.
/// let exact: f64 = path_variances(&network, &initialisation)?.iter().sum();
/// assert!((exact - 2.0).abs() < 1e-15);
/// let walks = random_walks(&graph, Start::Anywhere, 10_000, &StreamKey::new(1, &["walks"]));
/// assert!((walks.mean() - exact).abs() < 4.5 * walks.std_error());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn random_walks(graph: &PathGraph, start: Start, walks: u64, key: &StreamKey) -> Moments {
    let starts: Vec<u32> = match start {
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

/// The weight of one walk, which begins along one of these edges.
fn walk(graph: &PathGraph, starts: &[u32], stream: &mut Stream) -> f64 {
    let (mut edges, mut weight) = (starts, 1.0);
    loop {
        let unit = match *edges {
            [] => return 0.0,
            [only] => only as usize,
            // Graphs have at most 5·10⁷ edges.
            _ => edges[stream.random_range(0..edges.len() as u32) as usize] as usize,
        };
        weight *= edges.len() as f64 * graph.factor(unit);
        if unit == graph.logit() {
            return weight;
        }
        edges = graph.edges(unit);
    }
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

    /// From an input of two, three edges: two through the branch of weight 3·(2/2)·½·b, one around it of weight 3·b, b = ½.
    /// |z| < 4.5 has a false-alarm rate of 7·10⁻⁶.
    #[test]
    fn residual_blocks_are_walked_without_bias() {
        let block = Part::Residual { branch: vec![Dense::new(2).into(), Relu.into()], projection: vec![] };
        let (graph, variances) = network(&[2], vec![block, Dense::new(1).into()]);
        assert_eq!(variances, [1.0, 1.0]);
        let walks = random_walks(&graph, Start::Input(0), 50_000, &key());
        assert!((walks.mean() - 1.0).abs() < 4.5 * walks.std_error());
        // 3/4 with probability ⅔, 3/2 with ⅓: standard deviation √(1/8).
        assert!((walks.std_dev() - 0.125f64.sqrt()).abs() < 0.005);
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
