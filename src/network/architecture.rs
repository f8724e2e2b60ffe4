//! Architectures: layers whose shapes fit, checked once, in the order in which they run.

use thiserror::Error;

use super::Shape;
use super::layer::{Activation, Fan, Layer, LayerRule, Role, Site, Statistics, Sum, Tensor};

/// Most parameters that can be addressed.
const MOST_PARAMETERS: u64 = 1 << 53;

/// A feed-forward network without its parameters: input shape, layers, and the shapes between them. One that exists has
/// consistent shapes and ends in a vector of logits.
///
/// The values of a run are numbered: value 0 is the input, value i + 1 the output of node i. A chain of layers reads them in
/// turn; residual blocks read earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    input: Shape,
    nodes: Vec<Node>,
    parameter_count: usize,
}

/// What an architecture is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Part {
    /// One layer.
    Layer(Layer),
    /// branch(x) + projection(x), or branch(x) + x without a projection (He et al., arXiv 1512.03385).
    Residual {
        /// The layers of the branch.
        branch: Vec<Part>,
        /// The layers of the other arm; none for the identity.
        projection: Vec<Part>,
    },
}

impl<L: Into<Layer>> From<L> for Part {
    fn from(layer: L) -> Self {
        Part::Layer(layer.into())
    }
}

/// A layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The layer.
    pub layer: Layer,
    /// Where it stands among the parts, as `nn.Sequential` counts: `2`, or `2.layers.0` inside a residual block.
    pub position: String,
    /// The name of its arrays in a file of weights, before the dot: its position, unless the file has another.
    pub arrays: String,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// The value that it reads.
    pub source: usize,
    /// What is added to its output, at the end of a residual block.
    pub addend: Option<Addend>,
    /// Its parameters.
    pub tensors: Vec<Tensor>,
    /// Where its parameters begin in the network's flat vector.
    pub offset: usize,
}

/// The other arm of a residual block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addend {
    /// The value that is added.
    pub value: usize,
    /// Whether all paths through one of the arms take weights of its own, so that paths through different arms are
    /// uncorrelated.
    pub has_weights: bool,
}

impl Node {
    /// The shapes around the layer.
    pub fn site(&self) -> Site<'_> {
        Site { input: &self.input, output: &self.output }
    }

    /// Number of its parameters. Saturates where it overflows.
    pub fn parameter_count(&self) -> usize {
        self.tensors.iter().fold(0, |sum, tensor| sum.saturating_add(tensor.len()))
    }

    /// Fan-in and fan-out of its weights; `None` for a layer without.
    pub fn fan(&self) -> Option<Fan> {
        self.tensors.iter().find_map(|tensor| match tensor.role {
            Role::Weight(fan) => Some(fan),
            _ => None,
        })
    }

    /// Whether it adds biases.
    pub fn has_bias(&self) -> bool {
        self.tensors.iter().any(|tensor| tensor.role == Role::Bias)
    }

    /// The values that it reads: its source, and the other arm of a residual block.
    pub fn sources(&self) -> impl Iterator<Item = usize> {
        std::iter::once(self.source).chain(self.addend.map(|addend| addend.value))
    }
}

/// Why layers do not make a network.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ArchitectureError {
    /// A layer does not fit what comes before it.
    #[error("layer {position} ({kind}) {reason}")]
    Layer {
        /// Position among the layers, from 0; `2.layers.0` inside a residual block.
        position: String,
        /// The layer's type.
        kind: &'static str,
        /// What it needs.
        reason: String,
    },
    /// The last layer does not give a vector of logits.
    #[error("the last layer gives shape {0}, but the logits must be a vector: end with flatten or dense")]
    Logits(Shape),
    /// No layer has weights.
    #[error("has no layer with weights: add one, such as a dense layer")]
    NoWeights,
    /// More parameters than can be addressed.
    #[error("has more than 2^53 parameters")]
    TooLarge,
}

impl Architecture {
    /// Chains the layers behind the input. Only shapes are computed: nothing of the networks' size is allocated.
    ///
    /// # Errors
    /// Names the first layer that does not fit, or what is wrong with the whole.
    pub fn new(input: Shape, layers: Vec<Layer>) -> Result<Self, ArchitectureError> {
        Self::from_parts(input, layers.into_iter().map(Part::Layer).collect())
    }

    /// The same for layers and residual blocks.
    ///
    /// # Errors
    /// Names the first layer that does not fit, or what is wrong with the whole.
    pub fn from_parts(input: Shape, parts: Vec<Part>) -> Result<Self, ArchitectureError> {
        let mut builder = Builder { nodes: Vec::new(), offset: 0 };
        let start = End { value: 0, shape: input.clone(), weighted: false };
        let End { shape, .. } = builder.chain(parts, "", start)?;
        let Builder { nodes, offset } = builder;
        if shape.as_vector().is_none() {
            return Err(ArchitectureError::Logits(shape));
        }
        if !nodes.iter().any(|node| node.fan().is_some()) {
            return Err(ArchitectureError::NoWeights);
        }
        if offset as u64 > MOST_PARAMETERS {
            return Err(ArchitectureError::TooLarge);
        }
        Ok(Self { input, nodes, parameter_count: offset })
    }

    /// The same network with biases in every layer for which `has` says so and which can have them.
    ///
    /// # Errors
    /// It has too many parameters then.
    pub fn with_biases(mut self, has: impl Fn(&Node) -> bool) -> Result<Self, ArchitectureError> {
        let mut offset = 0usize;
        for node in &mut self.nodes {
            if has(node) {
                node.layer.add_bias();
                node.tensors = node.layer.tensors(&node.input);
            }
            node.offset = offset;
            offset = offset.saturating_add(node.parameter_count());
        }
        if offset as u64 > MOST_PARAMETERS {
            return Err(ArchitectureError::TooLarge);
        }
        self.parameter_count = offset;
        Ok(self)
    }

    /// The same network whose layers have arrays of these names in files of weights, in the order of the nodes.
    pub fn with_arrays(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.nodes.iter_mut().zip(names).for_each(|(node, name)| node.arrays = name);
        self
    }

    /// The same network with every batch normalisation by these statistics. The parameters are the same.
    pub fn with_statistics(mut self, statistics: Statistics) -> Self {
        for node in &mut self.nodes {
            if let Layer::BatchNorm(layer) = &mut node.layer {
                layer.statistics = statistics;
            }
        }
        self
    }

    /// Puts other layers in the places of two that follow each other.
    pub(super) fn replace(&mut self, first: usize, pair: [Node; 2]) {
        pair.into_iter().zip(&mut self.nodes[first..]).for_each(|(node, place)| *place = node);
    }

    /// Shape of one input.
    pub fn input(&self) -> &Shape {
        &self.input
    }

    /// Input dimension d, all inputs counted.
    pub fn dimension(&self) -> usize {
        self.input.len()
    }

    /// Number of logits.
    pub fn outputs(&self) -> usize {
        self.nodes.last().map_or(self.input.len(), |node| node.output.len())
    }

    /// The layers in their places, from the input to the logits.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Number of parameters of all layers.
    pub fn parameter_count(&self) -> usize {
        self.parameter_count
    }

    /// The shape of a value: 0 is the input, i + 1 the output of node i.
    pub fn value_shape(&self, value: usize) -> &Shape {
        if value == 0 { &self.input } else { &self.nodes[value - 1].output }
    }

    /// Samples that must run together at least, because a layer normalises by the statistics of its batch.
    pub fn least_batch(&self) -> usize {
        self.nodes.iter().map(|node| node.layer.least_batch(&node.input)).max().unwrap_or(1)
    }

    /// The activation that the output of a node comes to first, before other weights; `None` where there is none.
    pub fn activation_behind(&self, index: usize) -> Option<Activation> {
        let mut value = index + 1;
        for (reader, node) in self.nodes.iter().enumerate().skip(index + 1) {
            if node.sources().any(|source| source == value) {
                if node.fan().is_some() {
                    return None;
                }
                if let Some(activation) = node.layer.activation() {
                    return Some(activation);
                }
                value = reader + 1;
            }
        }
        None
    }

    /// The factor of He's variance, factor/fan-in, of the weights of a node: that of the activation behind them (2 for a ReLU), and
    /// 2 where there is none.
    pub fn he_factor(&self, index: usize) -> f64 {
        self.activation_behind(index).map_or(2.0, Activation::he_factor)
    }

    /// Whether a sample's logits depend on the other samples of its batch.
    pub fn mixes_batch(&self) -> bool {
        self.nodes.iter().any(|node| node.layer.mixes_batch())
    }

    /// Multiplications of one forward pass of one sample, about, and one for every value that is written: as much as a pass
    /// costs beside others.
    pub fn cost(&self) -> f64 {
        let of_node = |node: &Node| (1.0 + node.fan().map_or(0.0, |fan| fan.inputs as f64)) * node.output.len() as f64;
        self.nodes.iter().map(of_node).sum()
    }

    /// Values that one forward and backward pass of one sample keeps: every layer's output, the gradients that are held at
    /// one time, and the scratch memory of the layer that needs most.
    pub fn activation_count(&self) -> usize {
        let sizes = || self.nodes.iter().map(|node| node.output.len()).chain([self.input.len()]);
        let widest = sizes().max().unwrap_or(0);
        let gradients = if self.nodes.iter().any(|node| node.addend.is_some()) { 4usize } else { 2 };
        let scratch = self.nodes.iter().map(|node| node.layer.scratch_count(node.site())).max().unwrap_or(0);
        sizes().fold(widest.saturating_mul(gradients).saturating_add(scratch), usize::saturating_add)
    }
}

/// Where a chain of layers has come to.
#[derive(Debug, Clone)]
struct End {
    value: usize,
    shape: Shape,
    /// Whether every path through the chain so far takes a weight of the chain.
    weighted: bool,
}

struct Builder {
    nodes: Vec<Node>,
    offset: usize,
}

impl Builder {
    fn chain(&mut self, parts: Vec<Part>, prefix: &str, start: End) -> Result<End, ArchitectureError> {
        parts.into_iter().enumerate().try_fold(start, |end, (index, part)| {
            let position = format!("{prefix}{index}");
            match part {
                Part::Layer(layer) => self.push(layer, position, end, None),
                Part::Residual { branch, projection } => self.residual(branch, projection, position, end),
            }
        })
    }

    fn residual(
        &mut self,
        branch: Vec<Part>,
        projection: Vec<Part>,
        position: String,
        start: End,
    ) -> Result<End, ArchitectureError> {
        let before = start.weighted;
        let start = End { weighted: false, ..start };
        let one = self.chain(branch, &format!("{position}.layers."), start.clone())?;
        let other = self.chain(projection, &format!("{position}.projection."), start)?;
        if one.shape != other.shape {
            let reason = format!(
                "adds {} to the {} of its layers, and both must have one shape: give it a projection that has",
                other.shape, one.shape
            );
            return Err(ArchitectureError::Layer { position, kind: Layer::from(Sum).name(), reason });
        }
        let has_weights = one.weighted || other.weighted;
        let weighted = before || (one.weighted && other.weighted);
        self.push(Sum.into(), position, End { weighted, ..one }, Some(Addend { value: other.value, has_weights }))
    }

    fn push(
        &mut self,
        layer: Layer,
        position: String,
        before: End,
        addend: Option<Addend>,
    ) -> Result<End, ArchitectureError> {
        let output = match layer.output_shape(&before.shape) {
            Ok(output) => output,
            Err(reason) => return Err(ArchitectureError::Layer { position, kind: layer.name(), reason }),
        };
        let tensors = layer.tensors(&before.shape);
        let node = Node {
            layer,
            arrays: position.clone(),
            position,
            input: before.shape,
            output: output.clone(),
            source: before.value,
            addend,
            tensors,
            offset: self.offset,
        };
        self.offset = self.offset.saturating_add(node.parameter_count());
        let weighted = before.weighted || node.fan().is_some();
        self.nodes.push(node);
        Ok(End { value: self.nodes.len(), shape: output, weighted })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Flatten, Parameters, Pointwise, Relu};
    use super::*;

    fn shape(sizes: &[usize]) -> Shape {
        Shape::new(sizes).unwrap()
    }

    #[test]
    fn shapes_offsets_and_counts_follow_the_chain() {
        let layers = vec![Flatten.into(), Dense::new(8).into(), Relu.into(), Dense { units: 10, bias: true }.into()];
        let network = Architecture::new(shape(&[3, 2, 2]), layers).unwrap();
        assert_eq!((network.dimension(), network.outputs()), (12, 10));
        assert_eq!(network.parameter_count(), 12 * 8 + 8 * 10 + 10);
        assert_eq!(network.nodes()[3].offset, 96);
        assert_eq!(network.activation_count(), 12 + 12 + 8 + 8 + 10 + 2 * 12);
        let mut parameters = Parameters::<f64>::new(&network);
        parameters.tensor_mut(&network.nodes()[3], 1).fill(2.0);
        assert_eq!(parameters.of(&network.nodes()[3])[79..82], [0.0, 2.0, 2.0]);
        assert!(parameters.of(&network.nodes()[2]).is_empty());
        assert_eq!(network.nodes()[3].fan(), Some(Fan { inputs: 8, outputs: 10 }));
    }

    #[test]
    fn biases_are_added_where_they_are_asked_for() {
        let layers = vec![Dense::new(8).into(), Relu.into(), Dense { units: 3, bias: true }.into()];
        let network = Architecture::new(shape(&[4]), layers).unwrap();
        let same = network.clone().with_biases(|node| node.position == "1").unwrap();
        assert_eq!(same, network);
        let layers = vec![Dense { units: 8, bias: true }.into(), Relu.into(), Dense { units: 3, bias: true }.into()];
        let biased = Architecture::new(shape(&[4]), layers).unwrap();
        assert_eq!(network.with_biases(|node| node.position == "0").unwrap(), biased);
    }

    #[test]
    fn residual_blocks_read_earlier_values_and_name_their_places() {
        let block = |units| Part::Residual { branch: vec![Dense::new(units).into(), Relu.into()], projection: vec![] };
        let parts = vec![Relu.into(), block(6), Part::from(Dense::new(2))];
        let network = Architecture::from_parts(shape(&[6]), parts).unwrap();
        let places: Vec<(&str, usize)> =
            network.nodes().iter().map(|node| (node.position.as_str(), node.source)).collect();
        assert_eq!(places, [("0", 0), ("1.layers.0", 1), ("1.layers.1", 2), ("1", 3), ("2", 4)]);
        assert_eq!(network.nodes()[3].addend, Some(Addend { value: 1, has_weights: true }));
        let refused = Architecture::from_parts(shape(&[6]), vec![block(5), Dense::new(2).into()]).unwrap_err();
        assert!(refused.to_string().starts_with("layer 0 (residual) adds [6] to the [5]"), "{refused}");
    }

    #[test]
    fn layers_know_the_activation_that_they_come_to() {
        let tanh = || Part::from(Pointwise(Activation::Tanh));
        let block = Part::Residual { branch: vec![Relu.into(), Dense::new(6).into()], projection: vec![] };
        let parts = vec![
            Dense::new(6).into(),
            block,
            Part::from(Dense::new(6)),
            Dense::new(6).into(),
            tanh(),
            Dense::new(2).into(),
        ];
        let network = Architecture::from_parts(shape(&[6]), parts).unwrap();
        let behind = |position: &str| {
            network.activation_behind(network.nodes().iter().position(|node| node.position == position).unwrap())
        };
        // The block's own output, its sum, comes to other weights.
        let found = ["0", "1.layers.1", "2", "3", "5"].map(behind);
        assert_eq!(found, [Some(Activation::Relu), None, None, Some(Activation::Tanh), None]);
        assert_eq!([network.he_factor(0), network.he_factor(5)], [2.0, Activation::Tanh.he_factor()]);
    }

    /// x + (x + Wx) has the path x twice, however many weights the inner block has.
    #[test]
    fn an_arm_has_weights_only_where_no_path_goes_around_them() {
        let block = |branch: Vec<Part>, projection: Vec<Part>| Part::Residual { branch, projection };
        let dense = || Part::from(Dense::new(6));
        let flags = |part: Part| -> Vec<bool> {
            let network = Architecture::from_parts(shape(&[6]), vec![dense(), part, Dense::new(2).into()]).unwrap();
            network.nodes().iter().filter_map(|node| Some(node.addend?.has_weights)).collect()
        };
        let around = block(vec![dense()], vec![]);
        assert_eq!(flags(block(vec![around.clone()], vec![])), [true, false]);
        assert_eq!(flags(block(vec![around.clone(), dense()], vec![])), [true, true]);
        assert_eq!(flags(block(vec![around.clone()], vec![dense()])), [true, true]);
        assert_eq!(flags(block(vec![block(vec![dense()], vec![dense()])], vec![])), [true, true]);
        assert_eq!(flags(block(vec![Relu.into()], vec![])), [false]);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let unflattened = Architecture::new(shape(&[3, 2, 2]), vec![Relu.into(), Dense::new(8).into()]);
        assert!(unflattened.unwrap_err().to_string().starts_with("layer 1 (dense) takes a vector"));
        let image = Architecture::new(shape(&[3, 2, 2]), vec![Relu.into()]);
        assert_eq!(image.unwrap_err(), ArchitectureError::Logits(shape(&[3, 2, 2])));
        assert_eq!(Architecture::new(shape(&[3]), vec![Relu.into()]).unwrap_err(), ArchitectureError::NoWeights);
        let huge = Architecture::new(shape(&[1 << 40]), vec![Dense::new(1 << 40).into()]);
        assert_eq!(huge.unwrap_err(), ArchitectureError::TooLarge);
    }
}
