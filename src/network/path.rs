//! Path sums: ∂f_k/∂xᵢ as the sum over all paths from input i to logit k of the product of their edges, enumerated one
//! by one. For small networks only; an independent way to the number that backpropagation gives.

use thiserror::Error;

use super::Real;
use super::architecture::{Architecture, Parameters};
use super::gradient::Tape;
use super::layer::LayerRule;

/// Most paths that are enumerated.
pub const MOST_PATHS: f64 = 1e8;

/// There are too many paths to enumerate.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[error("has {0:.0} paths, more than the {MOST_PATHS:.0} that can be enumerated")]
pub struct TooManyPaths(pub f64);

/// Edges that leave each unit of a layer's input: the unit they reach, and their weight.
type Edges<T> = Vec<Vec<(usize, T)>>;

/// ∂f_k/∂xᵢ = Σ over paths Π over edges, for every input i, at the tape's last forward pass; closed units have no edges.
///
/// # Errors
/// There are more than [`MOST_PATHS`] paths.
pub fn path_gradient<T: Real>(
    architecture: &Architecture,
    parameters: &Parameters<T>,
    tape: &Tape<T>,
    logit: usize,
) -> Result<Vec<T>, TooManyPaths> {
    let layers: Vec<Edges<T>> = architecture
        .nodes()
        .iter()
        .enumerate()
        .map(|(index, node)| {
            let mut edges = vec![Vec::new(); node.input.len()];
            let (input, output) = (tape.values(index), tape.values(index + 1));
            node.layer.edges(node.site(), parameters.of(node), input, output, |from, to, weight| {
                edges[from].push((to, weight));
            });
            edges
        })
        .collect();
    let paths = count_paths(&layers, architecture.outputs(), logit);
    if paths > MOST_PATHS {
        return Err(TooManyPaths(paths));
    }
    Ok((0..architecture.dimension()).map(|input| walk(&layers, input, T::one(), logit)).collect())
}

/// Paths that reach the logit, counted from the logits down.
fn count_paths<T>(layers: &[Edges<T>], outputs: usize, logit: usize) -> f64 {
    let mut above = vec![0.0; outputs];
    above[logit] = 1.0;
    for edges in layers.iter().rev() {
        above = edges.iter().map(|edges| edges.iter().map(|&(to, _)| above[to]).sum()).collect();
    }
    above.iter().sum()
}

/// Sum over the paths that leave a unit, each with the product of its edges so far.
fn walk<T: Real>(layers: &[Edges<T>], unit: usize, product: T, logit: usize) -> T {
    let Some((edges, rest)) = layers.split_first() else {
        return if unit == logit { product } else { T::zero() };
    };
    edges[unit].iter().fold(T::zero(), |sum, &(to, weight)| sum + walk(rest, to, product * weight, logit))
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Initialisation, Relu, Shape, WeightDistribution};
    use super::*;
    use ndarray_rand::rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_network_with_too_many_paths_is_refused_before_it_is_walked() {
        let mut layers = Vec::new();
        for _ in 0..8 {
            layers.extend([Dense::new(60).into(), Relu.into()]);
        }
        layers.push(Dense::new(2).into());
        let network = Architecture::new(Shape::new([30]).unwrap(), layers).unwrap();
        let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
        let parameters = initialisation.draw::<f64>(&network, &mut ChaCha8Rng::seed_from_u64(1));
        let mut tape = Tape::new(&network);
        tape.forward(&network, &parameters, &[1.0; 30]);
        assert!(path_gradient(&network, &parameters, &tape, 0).unwrap_err().0 > MOST_PATHS);
    }
}
