//! Path sums: ∂f_k/∂xᵢ as the sum over all paths from input i to logit k of the product of their edges, enumerated one
//! by one. For small networks only; an independent way to the number that backpropagation gives.

use thiserror::Error;

use super::Real;
use super::architecture::Architecture;
use super::gradient::Tape;
use super::layer::{LayerRule, NoPathTheory, Pass};
use super::parameters::Parameters;
use crate::short::short;

/// Most paths that are enumerated.
pub const MOST_PATHS: f64 = 1e8;

/// Most edges of a graph that is built, at 24 bytes an edge.
pub const MOST_EDGES: usize = 20_000_000;

/// Why paths are not enumerated.
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum PathError {
    /// There are too many.
    #[error("has {} paths, more than the {MOST_PATHS:.0} that can be enumerated", short(.0))]
    TooMany(f64),
    /// The graph is too large.
    #[error("has {0} edges in its first layers, more than the {MOST_EDGES} of a graph whose paths can be enumerated")]
    TooLarge(usize),
    /// A layer has no edges to walk along.
    #[error(transparent)]
    NoPaths(#[from] NoPathTheory),
}

/// An edge to a unit of a later value.
#[derive(Debug, Clone, Copy)]
struct Edge<T> {
    value: usize,
    unit: usize,
    weight: T,
}

/// The graph of one network at one input: for each value and each of its units, the edges that leave it.
struct Graph<T> {
    edges: Vec<Vec<Vec<Edge<T>>>>,
}

/// ∂f_k/∂xᵢ = Σ over paths Π over edges, for every input i, at the first sample of the tape's last forward pass; closed units
/// have no edges.
///
/// # Errors
/// There are more than [`MOST_PATHS`] paths or [`MOST_EDGES`] edges, or a layer (batch normalisation by the batch's statistics) has none.
pub fn path_gradient<T: Real>(
    architecture: &Architecture,
    parameters: &Parameters<T>,
    tape: &Tape<T>,
    logit: usize,
) -> Result<Vec<T>, PathError> {
    let graph = Graph::new(architecture, parameters, tape)?;
    let paths = graph.count_paths(architecture.outputs(), logit);
    if paths > MOST_PATHS {
        return Err(PathError::TooMany(paths));
    }
    Ok((0..architecture.dimension()).map(|input| graph.walk(0, input, T::one(), logit)).collect())
}

impl<T: Real> Graph<T> {
    fn new(architecture: &Architecture, parameters: &Parameters<T>, tape: &Tape<T>) -> Result<Self, PathError> {
        let values = 0..architecture.nodes().len();
        let mut edges: Vec<_> = values.map(|value| vec![Vec::new(); architecture.value_shape(value).len()]).collect();
        let mut count = 0;
        for (index, node) in architecture.nodes().iter().enumerate() {
            let value = index + 1;
            let pass = Pass { site: node.site(), batch: 1, parameters: parameters.of(node) };
            let input = &tape.values(node.source)[..node.input.len()];
            // Counted first: the edges of a large network would fill the memory.
            node.layer.edges(pass, input, |_, _, _| count += 1)?;
            if count > MOST_EDGES {
                return Err(PathError::TooLarge(count));
            }
            node.layer.edges(pass, input, |from, unit, weight| {
                edges[node.source][from].push(Edge { value, unit, weight });
            })?;
            if let Some(addend) = node.addend {
                let passed = edges[addend.value].iter_mut().enumerate();
                passed.for_each(|(unit, edges)| edges.push(Edge { value, unit, weight: T::one() }));
            }
        }
        Ok(Self { edges })
    }

    /// Paths that reach the logit, counted from the logits down.
    fn count_paths(&self, outputs: usize, logit: usize) -> f64 {
        let mut counts: Vec<Vec<f64>> = self.edges.iter().map(|units| vec![0.0; units.len()]).collect();
        counts.push((0..outputs).map(|output| f64::from(u8::from(output == logit))).collect());
        for (value, units) in self.edges.iter().enumerate().rev() {
            for (unit, edges) in units.iter().enumerate() {
                counts[value][unit] = edges.iter().map(|edge| counts[edge.value][edge.unit]).sum();
            }
        }
        counts[0].iter().sum()
    }

    /// Sum over the paths that leave a unit, each with the product of its edges so far.
    fn walk(&self, value: usize, unit: usize, product: T, logit: usize) -> T {
        let Some(units) = self.edges.get(value) else {
            return if unit == logit { product } else { T::zero() };
        };
        let onward = |sum, edge: &Edge<T>| sum + self.walk(edge.value, edge.unit, product * edge.weight, logit);
        units[unit].iter().fold(T::zero(), onward)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Initialisation, Relu, Shape, WeightDistribution};
    use super::*;
    use ndarray_rand::rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_graph_that_would_fill_the_memory_is_refused_before_it_is_built() {
        let layers = vec![Dense::new(MOST_EDGES / 10 + 1).into(), Dense::new(1).into()];
        let network = Architecture::new(Shape::new([10]).unwrap(), layers).unwrap();
        let parameters = Parameters::<f32>::new(&network);
        let refused = path_gradient(&network, &parameters, &Tape::new(&network), 0).unwrap_err();
        assert_eq!(refused, PathError::TooLarge(MOST_EDGES + 10));
    }

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
        let refused = path_gradient(&network, &parameters, &tape, 0).unwrap_err();
        assert!(matches!(refused, PathError::TooMany(paths) if paths > MOST_PATHS), "{refused}");
    }
}
