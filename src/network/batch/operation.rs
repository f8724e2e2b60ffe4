//! What each layer does to a chunk of samples of a batch.

use super::super::Real;
use super::super::architecture::Node;
use super::super::layer::batch_norm::batch::Normalisation;
use super::super::layer::normalise::batch::Constants;
use super::super::layer::pool::batch::Pool;
use super::super::layer::weight_pool::batch::Depthwise;
use super::super::layer::{Layer, mask, rectify};
use super::affine::Affine;
use super::{to_channels_first, to_channels_last};

/// A layer in its place, with its parameters laid out.
#[derive(Debug, Clone)]
pub enum Operation<T> {
    Affine(Affine<T>),
    Depthwise(Depthwise<T>),
    Normalisation(Normalisation),
    Constants(Constants<T>),
    Relu,
    Average(Pool),
    Largest(Pool),
    /// Pixel after pixel becomes channel after channel.
    Flatten,
    /// The layer that ends a residual block: the values are passed on, and the tape adds the other arm.
    Sum,
}

impl<T: Real> Operation<T> {
    pub fn new(node: &Node) -> Self {
        let site = node.site();
        match &node.layer {
            Layer::Dense(dense) => Self::Affine(Affine::dense(node.input.len(), dense.units, dense.bias)),
            Layer::Conv(conv) => Self::Affine(Affine::conv(conv, site)),
            Layer::WeightPool(pool) => Self::Depthwise(Depthwise::new(&pool.0, site)),
            Layer::BatchNorm(layer) => Self::Normalisation(Normalisation::new(layer, site)),
            Layer::Normalise(layer) => Self::Constants(Constants::new(layer, site)),
            Layer::Relu(_) => Self::Relu,
            Layer::AveragePool(pool) => Self::Average(Pool::sliding(&pool.0, site)),
            Layer::MaxPool(pool) => Self::Largest(Pool::sliding(&pool.0, site)),
            Layer::GlobalAveragePool(_) => Self::Average(Pool::global(site)),
            Layer::GlobalMaxPool(_) => Self::Largest(Pool::global(site)),
            Layer::Flatten(_) => Self::Flatten,
            Layer::Sum(_) => Self::Sum,
        }
    }

    /// Takes the parameters of the layer.
    pub fn load(&mut self, parameters: &[T]) {
        match self {
            Self::Affine(layer) => layer.load(parameters),
            Self::Depthwise(layer) => layer.load(parameters),
            Self::Normalisation(layer) => layer.load(parameters),
            _ => {}
        }
    }

    /// output = layer(input). A normalisation, which needs the whole batch, is run by the tape.
    pub fn forward(&self, node: &Node, input: &[T], output: &mut [T]) {
        match self {
            Self::Affine(layer) => layer.forward(input, output),
            Self::Constants(layer) => layer.forward(input, output),
            Self::Relu => {
                output.copy_from_slice(input);
                rectify(output);
            }
            Self::Largest(pool) => pool.largest(input, output),
            _ => self.linear(node, input, output),
        }
    }

    /// output = (∂layer/∂input) tangent, at the input of the last forward pass.
    pub fn tangent(&self, node: &Node, input: &[T], tangent: &[T], output: &mut [T]) {
        match self {
            Self::Affine(layer) => layer.tangent(tangent, output),
            Self::Relu => {
                output.copy_from_slice(tangent);
                mask(output, input);
            }
            Self::Largest(pool) => pool.tangent_of_largest(input, tangent, output),
            _ => self.linear(node, tangent, output),
        }
    }

    /// Layers that are their own derivatives.
    fn linear(&self, node: &Node, input: &[T], output: &mut [T]) {
        match self {
            Self::Depthwise(layer) => layer.forward(input, output),
            Self::Constants(layer) => layer.scale(input, output),
            Self::Average(pool) => pool.average(input, output),
            Self::Flatten => {
                let samples = input.chunks_exact(node.input.len()).zip(output.chunks_exact_mut(node.input.len()));
                samples.for_each(|(pixels, sample)| to_channels_first(&node.input, pixels, sample));
            }
            _ => output.copy_from_slice(input),
        }
    }

    /// downstream = (∂layer/∂input)ᵀ upstream, at the input of the last forward pass.
    pub fn backward(&self, node: &Node, input: &[T], upstream: &[T], downstream: &mut [T]) {
        match self {
            Self::Affine(layer) => layer.backward(upstream, downstream),
            Self::Depthwise(layer) => layer.backward(upstream, downstream),
            Self::Relu => {
                downstream.copy_from_slice(upstream);
                mask(downstream, input);
            }
            Self::Constants(layer) => layer.scale(upstream, downstream),
            Self::Average(pool) => pool.average_backward(upstream, downstream),
            Self::Largest(pool) => pool.largest_backward(input, upstream, downstream),
            Self::Flatten => {
                let samples =
                    upstream.chunks_exact(node.input.len()).zip(downstream.chunks_exact_mut(node.input.len()));
                samples.for_each(|(sample, pixels)| to_channels_last(&node.input, sample, pixels));
            }
            Self::Normalisation(_) | Self::Sum => downstream.copy_from_slice(upstream),
        }
    }

    /// Values of a gradient of weights as [`add_gradient`](Self::add_gradient) lays it out; 0 for layers without.
    pub fn gradient_len(&self) -> usize {
        match self {
            Self::Affine(layer) => layer.gradient_len(),
            Self::Depthwise(layer) => layer.gradient_len(),
            _ => 0,
        }
    }

    /// Adds the gradient of the weights of a chunk of samples, and with `biases` that of the biases.
    pub fn add_gradient(&self, input: &[T], upstream: &[T], biases: bool, gradient: &mut [T]) {
        match self {
            Self::Affine(layer) => layer.add_gradient(input, upstream, biases, gradient),
            Self::Depthwise(layer) => layer.add_gradient(input, upstream, gradient),
            _ => {}
        }
    }

    /// Adds such a gradient to one in the order of the layer's parameters.
    pub fn unpack(&self, gradient: &[T], parameters: &mut [T]) {
        match self {
            Self::Affine(layer) => layer.unpack(gradient, parameters),
            Self::Depthwise(layer) => layer.unpack(gradient, parameters),
            _ => {}
        }
    }
}
