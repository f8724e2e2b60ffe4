//! Architectures: a chain of layers whose shapes fit, checked once.

use ndarray::ArrayView2;
use thiserror::Error;

use super::layer::{Layer, LayerRule, ParameterCount, Site};
use super::{Real, Shape};

/// A feed-forward network without its parameters: input shape, layers, and the shapes between them. One that exists has
/// consistent shapes and ends in a vector of logits.
#[derive(Debug, Clone, PartialEq)]
pub struct Architecture {
    input: Shape,
    nodes: Vec<Node>,
    parameter_count: usize,
}

/// A layer in its place.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The layer.
    pub layer: Layer,
    /// Shape of its input.
    pub input: Shape,
    /// Shape of its output.
    pub output: Shape,
    /// Its parameters, where it has any.
    pub parameters: Option<ParameterCount>,
    /// Where its parameters begin in the network's flat vector.
    pub offset: usize,
}

impl Node {
    /// The shapes around the layer.
    pub fn site(&self) -> Site<'_> {
        Site { input: &self.input, output: &self.output }
    }

    /// Number of parameters, weights and biases.
    pub fn parameter_count(&self) -> usize {
        self.parameters.map_or(0, |count| count.weights.saturating_add(count.biases))
    }
}

/// Why layers do not make a network.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum ArchitectureError {
    /// A layer does not fit what comes before it.
    #[error("layer {index} ({kind}) {reason}")]
    Layer {
        /// Position in the list of layers, from 0.
        index: usize,
        /// The layer's type.
        kind: &'static str,
        /// What it needs.
        reason: String,
    },
    /// The last layer does not give a vector of logits.
    #[error("the last layer gives shape {0}, but the logits must be a vector: end with flatten or dense")]
    Logits(Shape),
    /// No layer has weights.
    #[error("has no layer with weights, so there is nothing to sample: add a dense layer")]
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
        let mut nodes: Vec<Node> = Vec::with_capacity(layers.len());
        let (mut shape, mut offset) = (input.clone(), 0usize);
        for (index, layer) in layers.into_iter().enumerate() {
            let output = layer.output_shape(&shape).map_err(|reason| ArchitectureError::Layer {
                index,
                kind: layer.name(),
                reason,
            })?;
            let parameters = layer.parameters(&shape);
            let node = Node { layer, input: shape, output: output.clone(), parameters, offset };
            offset = offset.saturating_add(node.parameter_count());
            nodes.push(node);
            shape = output;
        }
        if shape.as_vector().is_none() {
            return Err(ArchitectureError::Logits(shape));
        }
        if offset == 0 {
            return Err(ArchitectureError::NoWeights);
        }
        if offset as u64 > 1 << 53 {
            return Err(ArchitectureError::TooLarge);
        }
        Ok(Self { input, nodes, parameter_count: offset })
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

    /// Number of parameters, weights and biases of all layers.
    pub fn parameter_count(&self) -> usize {
        self.parameter_count
    }

    /// Values that one forward and backward pass keeps: every layer's output, the two gradients of the widest layer, and
    /// the scratch memory of the layer that needs most.
    pub fn activation_count(&self) -> usize {
        let sizes = || self.nodes.iter().map(|node| node.output.len()).chain([self.input.len()]);
        let widest = sizes().max().unwrap_or(0);
        let scratch = self.nodes.iter().map(|node| node.layer.scratch_count(node.site())).max().unwrap_or(0);
        sizes().fold(widest.saturating_mul(2).saturating_add(scratch), usize::saturating_add)
    }
}

/// The parameters of one network: one flat vector, each layer's weights and then its biases, in the layers' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters<T> {
    values: Vec<T>,
}

impl<T: Real> Parameters<T> {
    /// All parameters zero.
    pub fn zeros(architecture: &Architecture) -> Self {
        Self { values: vec![T::zero(); architecture.parameter_count()] }
    }

    /// The parameters of one layer: weights, then biases.
    pub fn of(&self, node: &Node) -> &[T] {
        &self.values[node.offset..node.offset + node.parameter_count()]
    }

    /// The weights and the biases of one layer, to be written.
    pub fn of_mut(&mut self, node: &Node) -> (&mut [T], &mut [T]) {
        let weights = node.parameters.map_or(0, |count| count.weights);
        self.values[node.offset..node.offset + node.parameter_count()].split_at_mut(weights)
    }

    /// The weights of one layer as a matrix [units, fan-in]; `None` for a layer without weights.
    pub fn weights(&self, node: &Node) -> Option<ArrayView2<'_, T>> {
        let count = node.parameters?;
        ArrayView2::from_shape((count.weights / count.fan_in, count.fan_in), &self.of(node)[..count.weights]).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Flatten, Relu};
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
        let parameters = Parameters::<f64>::zeros(&network);
        assert_eq!(parameters.weights(&network.nodes()[3]).unwrap().dim(), (10, 8));
        assert!(parameters.weights(&network.nodes()[2]).is_none());
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
