//! What a pass asks of the layers: to act, and to act transposed. With weights that are at hand, every layer does so itself; whoever
//! has no weights, only the law of what they do, gives them as an operator of their own.

use super::Real;
use super::architecture::Node;
use super::layer::{LayerRule, Pass, Scratch};
use super::parameters::Parameters;

/// A node of a network, while samples run through it together.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its position among the nodes.
    pub index: usize,
    /// The node.
    pub node: &'a Node,
    /// Number of samples.
    pub batch: usize,
    /// Whether a ReLU is done along with it: on the way there the one that reads its output, on the way back the one that gave its input.
    pub with_relu: bool,
}

impl<'a> Place<'a> {
    /// The layer's pass with these parameters of its own.
    pub fn pass<T: Real>(self, parameters: &'a [T]) -> Pass<'a, T> {
        Pass { site: self.node.site(), batch: self.batch, parameters }
    }

    /// output = layer(input) with these parameters of its own, through the ReLU behind it if there is one.
    pub fn forward<T: Real>(self, parameters: &[T], input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        let layer = &self.node.layer;
        match self.with_relu {
            true => layer.forward_relu(self.pass(parameters), input, output, scratch),
            false => layer.forward(self.pass(parameters), input, output, scratch),
        }
    }

    /// downstream = (∂output/∂input)ᵀ upstream with these parameters of its own, through the ReLU that gave the `input` if there is one.
    pub fn backward<T: Real>(
        self,
        parameters: &[T],
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        let layer = &self.node.layer;
        match self.with_relu {
            true => layer.backward_relu(self.pass(parameters), input, upstream, downstream, scratch),
            false => layer.backward(self.pass(parameters), input, upstream, downstream, scratch),
        }
    }
}

/// How the layers of one network act on values and, transposed, on gradients.
pub trait Operator<T: Real> {
    /// output = layer(input).
    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>);

    /// downstream = (∂output/∂input)ᵀ upstream, at the `input` of the last forward pass.
    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    );
}

/// Weights that are at hand.
impl<T: Real> Operator<T> for &Parameters<T> {
    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        place.forward(self.of(place.node), input, output, scratch);
    }

    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        place.backward(self.of(place.node), input, upstream, downstream, scratch);
    }
}

impl<T: Real, O: Operator<T>> Operator<T> for &mut O {
    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        (**self).apply(place, input, output, scratch);
    }

    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        (**self).apply_transposed(place, input, upstream, downstream, scratch);
    }
}
