//! The graph of a network before any input is known: what random walks and path-degrees run over.

use thiserror::Error;

use super::applicability::check_applies;
use crate::network::architecture::Addend;
use crate::network::layer::{LayerRule, NoPathTheory};
use crate::network::{Architecture, Initialisation, Node};
use crate::scaled::Scaled;

/// Most edges and inputs of a graph that is held in memory: 4 bytes an edge, and while it is made at most
/// 24 for each of the fewer units.
pub const MOST_EDGES: usize = 50_000_000;

/// Why there is no graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum GraphError {
    /// It would not fit.
    #[error("has up to {0} edges and inputs, more than the {MOST_EDGES} of a graph held in memory")]
    TooLarge(usize),
    /// Path theory does not apply to a layer.
    #[error(transparent)]
    NoPathTheory(#[from] NoPathTheory),
}

/// All edges that lie on a path to logit 0. Units are numbered through the whole network, inputs first, so that an edge leads
/// to a unit of a larger number; an edge counts as often as its layer has it, as where a kernel wraps around an image and
/// meets a pixel twice. The identity arm of a residual block is an edge of factor 1.
#[derive(Debug, Clone, PartialEq)]
pub struct PathGraph {
    dimension: usize,
    logit: usize,
    /// Where the units of each value begin.
    values: Vec<usize>,
    /// Of each unit, the factor of the edges that enter it; 1 for the inputs.
    factors: Vec<f64>,
    in_degrees: Vec<u32>,
    /// Of each unit, where its edges begin among the targets; and the end of all.
    starts: Vec<u32>,
    targets: Vec<u32>,
}

impl PathGraph {
    /// The graph of a network, with the factors of path theory. Its layers are visited twice, to count and to fill.
    ///
    /// # Errors
    /// It has more than [`MOST_EDGES`] edges and inputs (known before anything is allocated), or path theory does not apply.
    pub fn new(architecture: &Architecture, initialisation: &Initialisation) -> Result<Self, GraphError> {
        let edges = architecture.nodes().iter().map(most_edges);
        let size = edges.fold(architecture.dimension(), usize::saturating_add);
        if size > MOST_EDGES {
            return Err(GraphError::TooLarge(size));
        }
        check_applies(architecture)?;
        let places = Places::new(architecture, initialisation);
        let (units, logit) = (places.units, places.offsets[architecture.nodes().len()]);
        let (mut factors, mut in_degrees, mut out_degrees) = (vec![1.0; units], vec![0; units], vec![0; units]);
        // From the logits down: what leaves a unit is known before what enters it.
        for index in (0..architecture.nodes().len()).rev() {
            places.for_each_edge(index, |from, to, factor| {
                if to == logit || out_degrees[to] > 0 {
                    out_degrees[from] += 1;
                    in_degrees[to] += 1;
                    factors[to] = factor;
                }
            })?;
        }
        let mut starts = vec![0; units + 1];
        for (unit, &degree) in out_degrees.iter().enumerate() {
            starts[unit + 1] = starts[unit] + degree;
        }
        let mut targets = vec![0; starts[units] as usize];
        let mut next = starts.clone();
        for index in 0..architecture.nodes().len() {
            places.for_each_edge(index, |from, to, _| {
                if in_degrees[to] > 0 {
                    // Fits: there are fewer units than edges and inputs.
                    targets[next[from] as usize] = to as u32;
                    next[from] += 1;
                }
            })?;
        }
        let (dimension, values) = (architecture.dimension(), places.offsets);
        Ok(Self { dimension, logit, values, factors, in_degrees, starts, targets })
    }

    /// Input dimension d; the inputs are units 0 to d − 1.
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The unit of logit 0.
    pub fn logit(&self) -> usize {
        self.logit
    }

    /// Where the edges of a unit lead; nowhere for a unit without a path to logit 0, and for the logit.
    pub fn edges(&self, unit: usize) -> &[u32] {
        &self.targets[self.starts[unit] as usize..self.starts[unit + 1] as usize]
    }

    /// The same edges, those into each layer together: more than one slice only where a residual block begins.
    pub fn edges_by_layer(&self, unit: usize) -> impl Iterator<Item = &[u32]> {
        // They were filled layer by layer.
        let mut rest = self.edges(unit);
        std::iter::from_fn(move || {
            let first = *rest.first()? as usize;
            let next = self.values.partition_point(|&start| start <= first);
            let within = |&target: &u32| self.values.get(next).is_none_or(|&end| (target as usize) < end);
            let (layer, others) = rest.split_at(rest.partition_point(within));
            rest = others;
            Some(layer)
        })
    }

    /// The factor of path theory of each edge into a unit: its weight's variance, ½ for a ReLU, 1/k² for an average over k
    /// inputs, 1 for the end of a residual block. 1 for an input.
    pub fn factor(&self, unit: usize) -> f64 {
        self.factors[unit]
    }

    /// Number of edges into a unit, 0 for an input: its fan-in, but for a kernel that stands partly on padded zeros fewer; 1
    /// for a ReLU and whatever else passes values on, k for an average over k inputs, 2 for the end of a residual block.
    pub fn in_degree(&self, unit: usize) -> u32 {
        self.in_degrees[unit]
    }

    /// Number of paths from all inputs to logit 0; exact below 2⁵³.
    pub fn path_count(&self) -> Scaled {
        let mut counts = vec![Scaled::ZERO; self.logit + 1];
        counts[self.logit] = Scaled::ONE;
        for unit in (0..self.logit).rev() {
            counts[unit] = self.edges(unit).iter().map(|&target| counts[target as usize]).sum();
        }
        counts[..self.dimension].iter().copied().sum()
    }
}

/// Edges into a node, at most.
fn most_edges(node: &Node) -> usize {
    let added = node.addend.map_or(0, |_| node.output.len());
    node.layer.edge_count(node.site()).max(node.output.len()).saturating_add(added)
}

/// Where the units of each value begin in the numbering of the whole network.
struct Places<'a> {
    nodes: &'a [Node],
    initialisation: &'a Initialisation,
    offsets: Vec<usize>,
    units: usize,
}

impl<'a> Places<'a> {
    fn new(architecture: &'a Architecture, initialisation: &'a Initialisation) -> Self {
        let (nodes, mut offsets, mut units) = (architecture.nodes(), Vec::new(), 0);
        for value in 0..=nodes.len() {
            offsets.push(units);
            units += architecture.value_shape(value).len();
        }
        Self { nodes, initialisation, offsets, units }
    }

    /// Visits the edges into a node, (unit, unit, factor).
    fn for_each_edge(&self, index: usize, mut visit: impl FnMut(usize, usize, f64)) -> Result<(), NoPathTheory> {
        let node = &self.nodes[index];
        let (below, above) = (self.offsets[node.source], self.offsets[index + 1]);
        let variance = self.initialisation.variances(index).weight;
        node.layer.connections(node.site(), variance, |from, to, factor| visit(below + from, above + to, factor))?;
        if let Some(Addend { value, .. }) = node.addend {
            (0..node.output.len()).for_each(|unit| visit(self.offsets[value] + unit, above + unit, 1.0));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{
        Conv, Dense, Flatten, GlobalAveragePool, PaddingMode, Part, Relu, Shape, WeightDistribution, Window,
    };

    fn graph(input: &[usize], parts: Vec<Part>) -> Result<PathGraph, GraphError> {
        let network = Architecture::from_parts(Shape::new(input).unwrap(), parts).unwrap();
        PathGraph::new(&network, &Initialisation::he(&network, WeightDistribution::Normal, 1.0))
    }

    #[test]
    fn only_what_leads_to_logit_0_is_kept() {
        let graph = graph(&[3], vec![Dense::new(2).into(), Relu.into(), Dense::new(10).into()]).unwrap();
        assert_eq!((graph.dimension(), graph.logit()), (3, 7));
        assert_eq!([0, 3, 5].map(|unit| graph.edges(unit)), [&[3, 4][..], &[5], &[7]]);
        assert_eq!([0, 3, 5, 7].map(|unit| graph.in_degree(unit)), [0, 3, 1, 2]);
        assert_eq!([0, 3, 5, 7].map(|unit| graph.factor(unit)), [1.0, 2.0 / 3.0, 0.5, 0.5]);
        assert_eq!(graph.path_count().to_f64(), Some(6.0));
        assert!((8..17).all(|unit| graph.in_degree(unit) == 0));
    }

    #[test]
    fn both_arms_of_a_residual_block_and_every_tap_of_a_kernel_are_edges() {
        let block = Part::Residual { branch: vec![Dense::new(2).into(), Relu.into()], projection: vec![] };
        let residual = graph(&[2], vec![block, Dense::new(1).into()]).unwrap();
        assert_eq!(residual.path_count().to_f64(), Some(6.0));
        assert_eq!((residual.edges(0), residual.in_degree(6)), (&[2, 3, 6][..], 2));
        assert_eq!(residual.edges_by_layer(0).collect::<Vec<_>>(), [&[2, 3][..], &[6]]);
        assert_eq!(residual.edges_by_layer(6).collect::<Vec<_>>(), [&[8]]);
        assert_eq!(residual.edges_by_layer(8).count(), 0);
        // One pixel, under all nine taps of a kernel that wraps around.
        let window = Window { padding: 1, mode: PaddingMode::Circular, ..Window::new(3, 1) };
        let conv = Conv { channels: 1, window, bias: false };
        let wrapped = graph(&[1, 1, 1], vec![conv.into(), Flatten.into()]).unwrap();
        assert_eq!((wrapped.edges(0).len(), wrapped.in_degree(1)), (9, 9));
    }

    #[test]
    fn what_is_too_large_or_has_no_path_theory_is_refused() {
        let wide = graph(&[1 << 20], vec![Dense::new(1 << 20).into(), Dense::new(1).into()]).unwrap_err();
        assert!(matches!(wide, GraphError::TooLarge(size) if size > 1 << 40), "{wide}");
        let coarse = Conv { channels: 1, window: Window::new(1, 1 << 20), bias: false };
        let sparse = graph(&[1, 1 << 20, 1 << 20], vec![coarse.into(), GlobalAveragePool.into()]).unwrap_err();
        assert!(matches!(sparse, GraphError::TooLarge(_)), "{sparse}");
        let bare = Part::Residual { branch: vec![Relu.into()], projection: vec![] };
        let bare = graph(&[2], vec![bare, Dense::new(1).into()]).unwrap_err();
        assert!(matches!(bare, GraphError::NoPathTheory(_)), "{bare}");
    }
}
