//! The parameters of a network: where each layer's weights, biases, scales and shifts lie.

use super::Real;
use super::architecture::{Architecture, Node};
use super::layer::Tensor;

/// The parameters of one network: one flat vector, each layer's tensors in turn, in the layers' order.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters<T> {
    values: Vec<T>,
}

impl<T: Real> Parameters<T> {
    /// Before anything is drawn or learned: weights and biases zero, normalisations at their initial values.
    pub fn new(architecture: &Architecture) -> Self {
        let mut parameters = Self { values: vec![T::zero(); architecture.parameter_count()] };
        for node in architecture.nodes() {
            for (index, tensor) in node.tensors.iter().enumerate() {
                parameters.tensor_mut(node, index).fill(T::from_f64(tensor.role.initial_value()));
            }
        }
        parameters
    }

    /// Zeros, as for sums of gradients.
    pub fn zeros(architecture: &Architecture) -> Self {
        Self { values: vec![T::zero(); architecture.parameter_count()] }
    }

    /// The same parameters, each rounded to the nearest of another type.
    pub fn converted<U: Real>(&self) -> Parameters<U> {
        Parameters { values: self.values.iter().map(|value| U::from_f64(value.as_f64())).collect() }
    }

    /// The parameters of one layer, tensor after tensor.
    pub fn of(&self, node: &Node) -> &[T] {
        &self.values[node.offset..node.offset + node.parameter_count()]
    }

    /// One tensor of a layer.
    pub fn tensor(&self, node: &Node, index: usize) -> &[T] {
        &self.values[Self::range(node, index)]
    }

    /// One tensor of a layer, to be written.
    pub fn tensor_mut(&mut self, node: &Node, index: usize) -> &mut [T] {
        &mut self.values[Self::range(node, index)]
    }

    /// The parameters of one layer, to be written.
    pub fn of_mut(&mut self, node: &Node) -> &mut [T] {
        &mut self.values[node.offset..node.offset + node.parameter_count()]
    }

    /// All values, layer after layer.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// All values, to be written.
    pub fn values_mut(&mut self) -> &mut [T] {
        &mut self.values
    }

    /// Adds numbers to the values, one to each from the first on.
    pub fn add(&mut self, values: &[T]) {
        self.values.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
    }

    fn range(node: &Node, index: usize) -> std::ops::Range<usize> {
        let start = node.offset + node.tensors[..index].iter().map(Tensor::len).sum::<usize>();
        start..start + node.tensors[index].len()
    }
}
