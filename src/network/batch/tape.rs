//! The passes of a whole network over a batch, and the memory in which they run.

use rayon::prelude::*;

use super::super::Real;
use super::super::architecture::{Addend, Architecture, Node};
use super::super::layer::{Activation, LayerRule};
use super::super::layer::{mask, rectify};
use super::super::parameters::Parameters;
use super::{BatchRule, CHUNK, OnBatches, for_each_chunk, samples};

/// The values, gradients and tangents of a network at a batch of samples.
///
/// The passes build on each other: [`forward`](Self::forward); then [`backward`](Self::backward), which gives ∂L/∂x, or
/// [`accumulate`](Self::accumulate), which gives parameter gradients; and for derivatives of ∂L/∂x in a direction ẋ, after `backward`, a
/// [`tangent`](Self::tangent) pass whose result [`add_tangent_gradient`](Self::add_tangent_gradient) takes up and the next
/// `accumulate` completes.
#[derive(Debug)]
pub struct BatchTape<T> {
    architecture: Architecture,
    layers: Vec<OnBatches<T>>,
    /// For every node whether it is a ReLU that takes over the memory of the value before it, which it alone reads: the layer
    /// there needs only its own input on the way back, and which units are open is seen from what the ReLU gives. A ReLU
    /// behind another one does not: the one before looks at what it gave itself.
    in_place: Vec<bool>,
    /// Samples of the last forward pass.
    count: usize,
    /// Value 0 is the input, value i + 1 the output of node i.
    values: Vec<Vec<T>>,
    gradients: Vec<Vec<T>>,
    tangents: Vec<Vec<T>>,
    /// What `add_tangent_gradient` has collected for the gradients below each normalisation and each curved activation; empty where
    /// nothing is.
    sources: Vec<Vec<T>>,
    /// Weight gradients that `add_tangent_gradient` has collected, in the order of the parameters.
    tangent_gradient: Vec<T>,
}

impl<T: Real> BatchTape<T> {
    /// Memory for an architecture, whose parameters are to be [loaded](Self::load).
    pub fn new(architecture: &Architecture) -> Self {
        let nodes = architecture.nodes();
        let none = || vec![Vec::new(); nodes.len() + 1];
        let readers = |value: usize| nodes.iter().flat_map(Node::sources).filter(|&source| source == value).count();
        let is_relu = |node: &Node| node.layer.activation() == Some(Activation::Relu);
        let in_place = nodes.iter().enumerate().map(|(index, node)| {
            let follows = index > 0 && node.source == index && !is_relu(&nodes[index - 1]);
            is_relu(node) && follows && readers(index) == 1
        });
        Self {
            in_place: in_place.collect(),
            layers: nodes.iter().map(|node| node.layer.on_batches(node.site())).collect(),
            count: 0,
            values: none(),
            gradients: none(),
            tangents: none(),
            sources: none(),
            tangent_gradient: Vec::new(),
            architecture: architecture.clone(),
        }
    }

    /// The architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Takes the parameters with which the next passes run.
    pub fn load(&mut self, parameters: &Parameters<T>) {
        for (node, layer) in self.architecture.nodes().iter().zip(&mut self.layers) {
            layer.load(parameters.of(node));
        }
    }

    /// Runs the network on samples, one after the other with their [channels last](super::to_channels_last), and returns
    /// the logits, sample after sample.
    ///
    /// # Panics
    /// The slice does not hold whole samples.
    pub fn forward(&mut self, input: &[T]) -> &[T] {
        let dimension = self.architecture.dimension();
        assert!(input.len().is_multiple_of(dimension), "a batch of whole samples");
        self.count = input.len() / dimension;
        self.values[0].clear();
        self.values[0].extend_from_slice(input);
        give_back(&self.architecture, &self.in_place, &mut self.values);
        for (index, node) in self.architecture.nodes().iter().enumerate() {
            let (before, after) = self.values.split_at_mut(index + 1);
            if self.in_place[index] {
                after[0] = std::mem::take(&mut before[node.source]);
                for_each_chunk(&mut after[0], node.output.len(), |_, values| rectify(values));
                continue;
            }
            let (input, output) = (&before[node.source], sized(&mut after[0], self.count * node.output.len()));
            match &mut self.layers[index] {
                OnBatches::Whole(layer) => layer.forward(input, output),
                OnBatches::Samples(layer) => for_each_chunk(output, node.output.len(), |first, output| {
                    layer.forward(own(node, input, first, output.len()), output);
                }),
            }
            if let Some(addend) = node.addend {
                add(output, &before[addend.value]);
            }
        }
        self.logits()
    }

    /// The input of the last forward pass.
    pub fn input(&self) -> &[T] {
        &self.values[0]
    }

    /// The logits of the last forward pass.
    pub fn logits(&self) -> &[T] {
        // `values` holds the input at least.
        &self.values[self.values.len() - 1]
    }

    /// For every normalisation by batch statistics: its node, and the mean and variance that the last forward pass
    /// normalised with.
    pub fn moments(&self) -> impl Iterator<Item = (&Node, [&[f64]; 2])> {
        self.architecture.nodes().iter().zip(&self.layers).filter_map(|(node, layer)| match layer {
            OnBatches::Whole(layer) if layer.mixes() => Some((node, layer.moments())),
            _ => None,
        })
    }

    /// Carries ∂S/∂logits back and returns ∂S/∂x for every sample, S any function of the batch's logits. All gradients on the
    /// way are kept for [`add_tangent_gradient`](Self::add_tangent_gradient).
    pub fn backward(&mut self, upstream: &[T]) -> &[T] {
        self.backpropagate(upstream, None, true);
        &self.gradients[0]
    }

    /// The same as far as [`add_tangent_gradient`](Self::add_tangent_gradient) needs it, without ∂S/∂x.
    pub fn backward_for_parameters(&mut self, upstream: &[T]) {
        self.backpropagate(upstream, None, false);
    }

    /// Carries ∂S/∂logits back and adds ∂S/∂θ to `gradient`, with what was added by tangents since the last time. With `to_input`
    /// also ∂S/∂x is computed, for [`input_gradient`](Self::input_gradient).
    pub fn accumulate(&mut self, upstream: &[T], gradient: &mut Parameters<T>, to_input: bool) {
        self.backpropagate(upstream, Some(gradient), to_input);
        gradient.add(&self.tangent_gradient);
        self.tangent_gradient.clear();
        self.sources.iter_mut().for_each(Vec::clear);
    }

    /// ∂S/∂x of the last pass that computed it.
    pub fn input_gradient(&self) -> &[T] {
        &self.gradients[0]
    }

    /// Carries a direction ẋ of the last forward pass's input to the logits, whose derivative along it is returned.
    pub fn tangent(&mut self, direction: &[T]) -> &[T] {
        assert_eq!(direction.len(), self.values[0].len(), "one direction for every sample");
        self.tangents[0].clear();
        self.tangents[0].extend_from_slice(direction);
        give_back(&self.architecture, &self.in_place, &mut self.tangents);
        for (index, node) in self.architecture.nodes().iter().enumerate() {
            let (before, after) = self.tangents.split_at_mut(index + 1);
            if self.in_place[index] {
                after[0] = std::mem::take(&mut before[node.source]);
                close(node, &self.values[index + 1], &mut after[0]);
                continue;
            }
            let (tangent, output) = (&before[node.source], sized(&mut after[0], self.count * node.output.len()));
            let input = &self.values[node.source];
            match &mut self.layers[index] {
                OnBatches::Whole(layer) => layer.tangent(input, tangent, output),
                OnBatches::Samples(layer) => for_each_chunk(output, node.output.len(), |first, output| {
                    let [input, tangent] = [input, tangent].map(|values| own(node, values, first, output.len()));
                    layer.tangent(input, tangent, output);
                }),
            }
            if let Some(addend) = node.addend {
                add(output, &before[addend.value]);
            }
        }
        self.tangent_of_logits()
    }

    /// The logits' derivative along the direction of the last tangent pass.
    pub fn tangent_of_logits(&self) -> &[T] {
        &self.tangents[self.tangents.len() - 1]
    }

    /// Takes up what the last tangent ẋ and the last backward pass's gradients u give to ∂/∂θ of the derivative of S along ẋ
    /// other than through u's own derivative: the products of ẋ and u in every layer. With the next
    /// [`accumulate`](Self::accumulate), given d(∂S/∂logits) along ẋ, the derivative is complete. Several tangents may be added before.
    pub fn add_tangent_gradient(&mut self) {
        sized(&mut self.tangent_gradient, self.architecture.parameter_count());
        for (index, node) in self.architecture.nodes().iter().enumerate() {
            let (tangent, upstream) = (&self.tangents[node.source], &self.gradients[index + 1]);
            let place = node.offset..node.offset + node.parameter_count();
            match &self.layers[index] {
                OnBatches::Whole(layer) => {
                    let source = sized(&mut self.sources[index], tangent.len());
                    let scales = layer.add_tangent_gradient(&self.values[node.source], tangent, upstream, source);
                    add_sums(&mut self.tangent_gradient[place], &scales);
                }
                OnBatches::Samples(layer) => {
                    if layer.is_curved() {
                        let source = sized(&mut self.sources[index], tangent.len());
                        let input = &self.values[node.source];
                        for_each_chunk(source, node.input.len(), |first, source| {
                            let [input, tangent, upstream] =
                                [input, tangent, upstream].map(|values| own(node, values, first, source.len()));
                            layer.add_curvature(input, tangent, upstream, source);
                        });
                    }
                    let [inputs, outputs] = [&node.input, &node.output].map(|shape| CHUNK * shape.len());
                    let values = self.values[node.source].par_chunks(inputs);
                    let chunks = values.zip(tangent.par_chunks(inputs)).zip(upstream.par_chunks(outputs));
                    let add = |((input, tangent), upstream): ((&[T], &[T]), &[T]), part: &mut [T]| {
                        layer.add_tangent_gradient(input, tangent, upstream, part);
                    };
                    add_weights(&**layer, chunks, add, &mut self.tangent_gradient[place]);
                }
            }
        }
    }

    fn backpropagate(&mut self, upstream: &[T], mut gradient: Option<&mut Parameters<T>>, to_input: bool) {
        let nodes = self.architecture.nodes();
        for (index, node) in nodes.iter().enumerate().filter(|(index, _)| self.in_place[*index]) {
            self.gradients[index + 1] = std::mem::take(&mut self.gradients[node.source]);
        }
        self.gradients[nodes.len()].clear();
        self.gradients[nodes.len()].extend_from_slice(upstream);
        let mut is_begun = vec![false; nodes.len() + 1];
        for (index, node) in nodes.iter().enumerate().rev() {
            let (below, above) = self.gradients.split_at_mut(index + 1);
            if self.in_place[index] {
                below[node.source] = std::mem::take(&mut above[0]);
                close(node, &self.values[index + 1], &mut below[node.source]);
                continue;
            }
            let (upstream, input) = (&above[0], &self.values[node.source]);
            let layer = &self.layers[index];
            if let (Some(gradient), OnBatches::Samples(layer)) = (&mut gradient, layer) {
                let [inputs, outputs] = [&node.input, &node.output].map(|shape| CHUNK * shape.len());
                let chunks = input.par_chunks(inputs).zip(upstream.par_chunks(outputs));
                let add = |(input, upstream): (&[T], &[T]), part: &mut [T]| {
                    layer.add_gradient(input, upstream, true, part);
                };
                add_weights(&**layer, chunks, add, gradient.of_mut(node));
            }
            let is_wanted = node.source > 0 || to_input;
            let mut memory = Vec::new();
            let is_first = !std::mem::replace(&mut is_begun[node.source], true);
            // The first contribution to a value's gradient is written in place, others are added to it.
            let target = if is_first { &mut below[node.source] } else { &mut memory };
            let target = sized(target, self.count * node.input.len());
            match layer {
                OnBatches::Whole(layer) => {
                    let sums = layer.backward(input, upstream, is_wanted.then_some(&mut *target));
                    if let Some(gradient) = &mut gradient {
                        let [shifts, scales] = sums;
                        add_sums(gradient.tensor_mut(node, 0), &scales);
                        add_sums(gradient.tensor_mut(node, 1), &shifts);
                        // A source is empty where nothing was taken up.
                        add(target, &self.sources[index]);
                    }
                }
                _ if !is_wanted => {}
                OnBatches::Samples(layer) => {
                    for_each_chunk(target, node.input.len(), |first, target| {
                        let count = target.len() / node.input.len();
                        let upstream = samples(upstream, node.output.len(), first, count);
                        layer.backward(own(node, input, first, count * node.output.len()), upstream, target);
                    });
                    if gradient.is_some() {
                        add(target, &self.sources[index]);
                    }
                }
            }
            if !is_first {
                add(&mut below[node.source], &memory);
            }
            if let Some(Addend { value, .. }) = node.addend {
                if std::mem::replace(&mut is_begun[value], true) {
                    add(&mut below[value], upstream);
                } else {
                    sized(&mut below[value], upstream.len()).copy_from_slice(upstream);
                }
            }
        }
    }
}

/// Gives the memory that ReLUs took over back to the layers before them.
fn give_back<T>(architecture: &Architecture, in_place: &[bool], values: &mut [Vec<T>]) {
    for (index, node) in architecture.nodes().iter().enumerate().filter(|(index, _)| in_place[*index]) {
        values[node.source] = std::mem::take(&mut values[index + 1]);
    }
}

/// Sets the values of units to zero that a ReLU has closed.
fn close<T: Real>(node: &Node, rectified: &[T], values: &mut [T]) {
    for_each_chunk(values, node.output.len(), |first, values| {
        let start = first * node.output.len();
        mask(values, &rectified[start..start + values.len()]);
    });
}

/// The input of a layer for a chunk whose output has `length` values.
fn own<'v, T>(node: &Node, values: &'v [T], first: usize, length: usize) -> &'v [T] {
    samples(values, node.input.len(), first, length / node.output.len())
}

/// Memory of this length: what it holds, and zeros behind it.
fn sized<T: Real>(memory: &mut Vec<T>, length: usize) -> &mut [T] {
    memory.resize(length, T::zero());
    memory
}

fn add<T: Real>(sums: &mut [T], values: &[T]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += value);
}

fn add_sums<T: Real>(sums: &mut [T], values: &[f64]) {
    sums.iter_mut().zip(values).for_each(|(sum, &value)| *sum += T::from_f64(value));
}

/// Adds the gradient of a layer's weights, the sum of those of the chunks in their order.
fn add_weights<T: Real, C: Send>(
    layer: &dyn BatchRule<T>,
    chunks: impl IndexedParallelIterator<Item = C>,
    add_chunk: impl Fn(C, &mut [T]) + Sync,
    gradient: &mut [T],
) {
    let length = layer.gradient_len();
    if length == 0 {
        return;
    }
    let of_chunk = |chunk| {
        let mut part = vec![T::zero(); length];
        add_chunk(chunk, &mut part);
        part
    };
    let parts: Vec<Vec<T>> = chunks.map(of_chunk).collect();
    let sum = parts.into_iter().reduce(|mut sum, part| {
        add(&mut sum, &part);
        sum
    });
    layer.unpack(&sum.unwrap_or_default(), gradient);
}
