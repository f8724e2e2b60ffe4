//! What a pass asks of the layers: to act, and to act transposed. With weights that are at hand, every layer does so itself; whoever
//! has no weights, only the law of what they do, gives them as an operator of their own.

use super::Real;
use super::architecture::{Node, Parameters};
use super::layer::{LayerRule, Pass, Scratch, mask, rectify};

/// A node of a network, while samples run through it together.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its position among the nodes.
    pub index: usize,
    /// The node.
    pub node: &'a Node,
    /// Number of samples.
    pub batch: usize,
}

impl<'a> Place<'a> {
    /// The layer's pass with these parameters of its own.
    pub fn pass<T: Real>(self, parameters: &'a [T]) -> Pass<'a, T> {
        Pass { site: self.node.site(), batch: self.batch, parameters }
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

    /// output = ReLU(layer(input)).
    fn apply_relu(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        self.apply(place, input, output, scratch);
        rectify(output);
    }

    /// Like [`apply_transposed`](Self::apply_transposed), through the ReLU that gave the `input` as well.
    fn apply_relu_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        self.apply_transposed(place, input, upstream, downstream, scratch);
        mask(downstream, input);
    }
}

/// Weights that are at hand.
impl<T: Real> Operator<T> for &Parameters<T> {
    fn apply(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        place.node.layer.forward(place.pass(self.of(place.node)), input, output, scratch);
    }

    fn apply_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        place.node.layer.backward(place.pass(self.of(place.node)), input, upstream, downstream, scratch);
    }

    fn apply_relu(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        place.node.layer.forward_relu(place.pass(self.of(place.node)), input, output, scratch);
    }

    fn apply_relu_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        place.node.layer.backward_relu(place.pass(self.of(place.node)), input, upstream, downstream, scratch);
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

    fn apply_relu(&mut self, place: Place<'_>, input: &[T], output: &mut [T], scratch: &mut Scratch<T>) {
        (**self).apply_relu(place, input, output, scratch);
    }

    fn apply_relu_transposed(
        &mut self,
        place: Place<'_>,
        input: &[T],
        upstream: &[T],
        downstream: &mut [T],
        scratch: &mut Scratch<T>,
    ) {
        (**self).apply_relu_transposed(place, input, upstream, downstream, scratch);
    }
}
