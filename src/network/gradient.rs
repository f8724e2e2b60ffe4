//! Backpropagation to the input: the values of one forward pass, and the gradients that run back through them.

use super::Real;
use super::architecture::{Architecture, Parameters};
use super::layer::LayerRule;
use super::loss;

/// The memory of one network's forward and backward pass, allocated once and used for any number of samples.
///
/// ```
/// use gradlaw::network::{Architecture, Dense, Initialisation, Relu, Shape, Tape, WeightDistribution};
/// use ndarray_rand::rand::SeedableRng;
///
/// let input = Shape::new([64]).expect("not empty");
/// let layers = vec![Dense::new(32).into(), Relu.into(), Dense::new(10).into()];
/// let network = Architecture::new(input, layers)?;
/// let initialisation = Initialisation::he(&network, WeightDistribution::Normal, 1.0);
/// let parameters = initialisation.draw::<f64>(&network, &mut rand_chacha::ChaCha8Rng::seed_from_u64(1));
///
/// let mut tape = Tape::new(&network);
/// tape.forward(&network, &parameters, &[0.5; 64]);
/// let gradient = tape.loss_gradient(&network, &parameters, 3);
/// assert_eq!(gradient.len(), 64);
/// # Ok::<(), gradlaw::network::ArchitectureError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tape<T> {
    /// The input, then every layer's output.
    values: Vec<Vec<T>>,
    upstream: Vec<T>,
    downstream: Vec<T>,
    scratch: Vec<T>,
}

impl<T: Real> Tape<T> {
    /// Memory for networks of this architecture.
    pub fn new(architecture: &Architecture) -> Self {
        let sizes: Vec<usize> = std::iter::once(architecture.dimension())
            .chain(architecture.nodes().iter().map(|node| node.output.len()))
            .collect();
        let widest = sizes.iter().copied().max().unwrap_or(0);
        Self {
            values: sizes.iter().map(|&size| vec![T::zero(); size]).collect(),
            upstream: vec![T::zero(); widest],
            downstream: vec![T::zero(); widest],
            scratch: Vec::new(),
        }
    }

    /// The input of the next [`propagate`](Self::propagate), to be written in place.
    pub fn input_mut(&mut self) -> &mut [T] {
        &mut self.values[0]
    }

    /// Runs the network on `input` (length d) and returns the logits.
    pub fn forward(&mut self, architecture: &Architecture, parameters: &Parameters<T>, input: &[T]) -> &[T] {
        self.input_mut().copy_from_slice(input);
        self.propagate(architecture, parameters)
    }

    /// Runs the network on the input written before and returns the logits.
    pub fn propagate(&mut self, architecture: &Architecture, parameters: &Parameters<T>) -> &[T] {
        for (index, node) in architecture.nodes().iter().enumerate() {
            let (before, after) = self.values.split_at_mut(index + 1);
            node.layer.forward(node.site(), parameters.of(node), &before[index], &mut after[0], &mut self.scratch);
        }
        self.logits()
    }

    /// The logits of the last forward pass.
    pub fn logits(&self) -> &[T] {
        // `values` holds the input at least.
        &self.values[self.values.len() - 1]
    }

    /// The input of the layer at this position in the last forward pass; one position further, its output.
    pub fn values(&self, index: usize) -> &[T] {
        &self.values[index]
    }

    /// ∂ₓL of the last forward pass, L the softmax cross-entropy with this label.
    pub fn loss_gradient(&mut self, architecture: &Architecture, parameters: &Parameters<T>, label: usize) -> &[T] {
        let (logits, outputs) = (&self.values[self.values.len() - 1], architecture.outputs());
        loss::cross_entropy_gradient(logits, label, &mut self.upstream[..outputs]);
        self.backpropagate(architecture, parameters)
    }

    /// ∂ₓf_k of the last forward pass, f_k the logit of index `logit`.
    pub fn logit_gradient(&mut self, architecture: &Architecture, parameters: &Parameters<T>, logit: usize) -> &[T] {
        self.upstream[..architecture.outputs()].fill(T::zero());
        self.upstream[logit] = T::one();
        self.backpropagate(architecture, parameters)
    }

    /// Carries `upstream`, a gradient with respect to the logits, back to the input.
    fn backpropagate(&mut self, architecture: &Architecture, parameters: &Parameters<T>) -> &[T] {
        for (index, node) in architecture.nodes().iter().enumerate().rev() {
            node.layer.backward(
                node.site(),
                parameters.of(node),
                &self.values[index],
                &self.values[index + 1],
                &self.upstream[..node.output.len()],
                &mut self.downstream[..node.input.len()],
                &mut self.scratch,
            );
            std::mem::swap(&mut self.upstream, &mut self.downstream);
        }
        &self.upstream[..architecture.dimension()]
    }
}
