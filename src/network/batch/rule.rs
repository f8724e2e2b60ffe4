//! What a layer can do on batches. Most layers run on a few samples at a time; one that mixes the samples of a batch runs on all of them.

use std::fmt::Debug;

use super::super::Real;
use super::super::layer::batch_norm::batch::Normalisation;

/// A layer in its place, with its parameters laid out, on a chunk of samples. The passes build on each other as those of the
/// [tape](super::BatchTape) do.
pub trait BatchRule<T: Real>: Debug + Send + Sync {
    /// Takes the parameters of the layer.
    fn load(&mut self, parameters: &[T]) {
        let _ = parameters;
    }

    /// output = layer(input).
    fn forward(&self, input: &[T], output: &mut [T]);

    /// output = (∂layer/∂input) tangent, at the input of the last forward pass.
    fn tangent(&self, input: &[T], tangent: &[T], output: &mut [T]);

    /// downstream = (∂layer/∂input)ᵀ upstream, at the input of the last forward pass.
    fn backward(&self, input: &[T], upstream: &[T], downstream: &mut [T]);

    /// Whether its derivative depends on its input, so that [`add_curvature`](Self::add_curvature) adds something.
    fn is_curved(&self) -> bool {
        false
    }

    /// Adds the derivative of (∂layer/∂input)ᵀ upstream along the tangent, the upstream held, to `source`.
    fn add_curvature(&self, input: &[T], tangent: &[T], upstream: &[T], source: &mut [T]) {
        let _ = (input, tangent, upstream, source);
    }

    /// Values of a gradient of weights as [`add_gradient`](Self::add_gradient) lays it out; 0 for layers without.
    fn gradient_len(&self) -> usize {
        0
    }

    /// Adds the gradient of the weights of a chunk of samples, and with `biases` that of the biases.
    fn add_gradient(&self, input: &[T], upstream: &[T], biases: bool, gradient: &mut [T]) {
        let _ = (input, upstream, biases, gradient);
    }

    /// Adds the gradient of the weights of a chunk of samples of what the tangent's image has in common with the upstream,
    /// ∂/∂w ⟨(∂layer/∂input) tangent, upstream⟩: where the weights multiply the input, that is the same with the tangent in its place.
    fn add_tangent_gradient(&self, input: &[T], tangent: &[T], upstream: &[T], gradient: &mut [T]) {
        let _ = input;
        self.add_gradient(tangent, upstream, false, gradient);
    }

    /// Adds such a gradient to one in the order of the layer's parameters.
    fn unpack(&self, gradient: &[T], parameters: &mut [T]) {
        let _ = (gradient, parameters);
    }
}

/// A layer on batches.
#[derive(Debug)]
pub enum OnBatches<T> {
    /// Its samples have nothing to do with each other.
    Samples(Box<dyn BatchRule<T>>),
    /// A normalisation, which may need the whole batch.
    Whole(Normalisation),
}

impl<T: Real> OnBatches<T> {
    /// A layer whose samples have nothing to do with each other.
    pub fn of_samples(rule: impl BatchRule<T> + 'static) -> Self {
        Self::Samples(Box::new(rule))
    }

    /// Takes the parameters of the layer.
    pub fn load(&mut self, parameters: &[T]) {
        match self {
            Self::Samples(layer) => layer.load(parameters),
            Self::Whole(layer) => layer.load(parameters),
        }
    }
}
