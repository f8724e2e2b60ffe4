//! A network on a batch of labelled samples: the loss, its gradients, and their derivatives.

use crate::attack::LossDirections;
use crate::network::batch::BatchTape;
use crate::network::layer::LayerRule;
use crate::network::{Architecture, Parameters, Real, loss, pools_first};

/// A network and the memory in which batches run through it. Average pools run before the convolutions that they
/// follow, which changes nothing but the work ([`pools_first`]).
///
/// A batch is its samples one after the other, with their channels last
/// ([`to_channels_last`](crate::network::batch::to_channels_last)).
#[derive(Debug)]
pub struct BatchModel<T> {
    architecture: Architecture,
    gradient: Parameters<T>,
    tape: BatchTape<T>,
    upstream: Vec<T>,
}

impl<T: Real> BatchModel<T> {
    /// Memory for an architecture, whose parameters are to be [loaded](Self::load).
    pub fn new(architecture: &Architecture) -> Self {
        Self {
            gradient: Parameters::zeros(architecture),
            tape: BatchTape::new(&pools_first(architecture)),
            upstream: Vec::new(),
            architecture: architecture.clone(),
        }
    }

    /// The architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Takes the parameters with which the next passes run.
    pub fn load(&mut self, parameters: &Parameters<T>) {
        self.tape.load(parameters);
    }

    /// Runs a batch and returns its logits, sample after sample.
    pub fn forward(&mut self, input: &[T]) -> &[T] {
        self.tape.forward(input)
    }

    /// The logits of the last forward pass, sample after sample.
    pub fn logits(&self) -> impl Iterator<Item = &[T]> {
        self.tape.logits().chunks_exact(self.architecture.outputs())
    }

    /// The mean loss L of the last forward pass.
    pub fn mean_loss(&self, labels: &[usize]) -> f64 {
        let losses = self.logits().zip(labels).map(|(logits, &label)| loss::cross_entropy(logits, label));
        losses.sum::<f64>() / labels.len() as f64
    }

    /// ∂ₓ ΣL: the gradient of every sample's loss with respect to it, with what it changes in the others' through the
    /// statistics of the batch.
    pub fn loss_gradient(&mut self, labels: &[usize]) -> &[T] {
        self.write_upstream(labels, 1.0);
        self.tape.backward(&self.upstream)
    }

    /// What an attack needs of it: [`loss_gradient`](Self::loss_gradient) up to a factor above zero, which keeps it in the range of `T`
    /// however sure of its labels the network is. Each sample has a factor of its own, 1/(1 − p_y) with p the softmax and y the label,
    /// unless the samples act on each other through the statistics of the batch: then the largest 1 − p_y serves all.
    pub fn loss_direction(&mut self, labels: &[usize]) -> &[T] {
        self.write_direction(labels);
        self.tape.backward(&self.upstream)
    }

    /// ∂ₓ Σf_k: the gradient of one logit of every sample, in the same way.
    pub fn logit_gradient(&mut self, logit: usize) -> &[T] {
        self.write_one(logit);
        self.tape.backward(&self.upstream)
    }

    /// The same without its last step: what [`add_tangent_gradient`](Self::add_tangent_gradient) needs of it.
    pub fn backpropagate_logit(&mut self, logit: usize) {
        self.write_one(logit);
        self.tape.backward_for_parameters(&self.upstream);
    }

    /// ∂Σf_k/∂logits.
    fn write_one(&mut self, logit: usize) {
        let outputs = self.architecture.outputs();
        self.upstream.clear();
        self.upstream.resize(self.tape.logits().len(), T::zero());
        self.upstream.iter_mut().skip(logit).step_by(outputs).for_each(|entry| *entry = T::one());
    }

    /// Adds the parameter gradient of `weight` × mean loss.
    pub fn accumulate_loss(&mut self, labels: &[usize], weight: f64) {
        self.write_upstream(labels, weight / labels.len() as f64);
        self.tape.accumulate(&self.upstream, &mut self.gradient, false);
    }

    /// The same, and returns the [direction](Self::loss_direction) of the gradient with respect to the input, by other factors. One
    /// backward pass gives both, unless the network is so sure of a label that single coordinates would underflow.
    pub fn accumulate_loss_and_direction(&mut self, labels: &[usize], weight: f64) -> &[T] {
        self.write_upstream(labels, weight / labels.len() as f64);
        self.tape.accumulate(&self.upstream, &mut self.gradient, true);
        let least = T::min_positive_value().sqrt();
        let rows = self.upstream.chunks_exact(self.architecture.outputs());
        let mut are_held = rows.zip(labels).map(|(row, &label)| row[label].abs() >= least);
        let is_direction = if self.mixes() { are_held.any(|held| held) } else { are_held.all(|held| held) };
        if is_direction { self.tape.input_gradient() } else { self.loss_direction(labels) }
    }

    /// Whether the samples of a batch act on each other.
    fn mixes(&self) -> bool {
        self.architecture.nodes().iter().any(|node| node.layer.mixes_batch())
    }

    /// Takes up the derivative along `direction` of the last gradient with respect to the input
    /// ([`loss_gradient`](Self::loss_gradient) or [`logit_gradient`](Self::logit_gradient)), to be completed by
    /// [`accumulate_with_curvature`](Self::accumulate_with_curvature) or [`accumulate_loss`](Self::accumulate_loss): the latter where
    /// ∂/∂logits does not change along the direction, as for a logit.
    pub fn add_tangent_gradient(&mut self, direction: &[T]) {
        self.tape.tangent(direction);
        self.tape.add_tangent_gradient();
    }

    /// Adds the parameter gradient of the mean loss and of what was added by tangents from [`loss_gradient`](Self::loss_gradient),
    /// whose logits' derivative is d(p − onehot) = p ∘ (ḟ − p·ḟ), p the softmax and ḟ the logits' tangent.
    pub fn accumulate_with_curvature(&mut self, labels: &[usize]) {
        let outputs = self.architecture.outputs();
        let tangents = self.tape.tangent_of_logits().chunks_exact(outputs);
        let share = T::from_f64(1.0 / labels.len() as f64);
        // The upstream is that of ∂ₓΣL: p − onehot.
        for ((upstream, tangent), &label) in self.upstream.chunks_exact_mut(outputs).zip(tangents).zip(labels) {
            let first = upstream.to_vec();
            upstream[label] += T::one();
            let mean = upstream.iter().zip(tangent).fold(T::zero(), |sum, (&p, &t)| sum + p * t);
            for ((entry, &tangent), &first) in upstream.iter_mut().zip(tangent).zip(&first) {
                *entry = share * first + *entry * (tangent - mean);
            }
        }
        self.tape.accumulate(&self.upstream, &mut self.gradient, false);
    }

    /// Moves the parameter gradient that was collected to `gradient`, and begins anew.
    pub fn take_gradient(&mut self, gradient: &mut Parameters<T>) {
        gradient.values_mut().copy_from_slice(self.gradient.values());
        self.gradient.values_mut().fill(T::zero());
    }

    /// Moves the running statistics of `parameters` a share `momentum` of the way to those of the last batch; a variance is
    /// multiplied by n/(n − 1), n the values that it is taken over.
    pub fn update_statistics(&self, parameters: &mut Parameters<T>, momentum: f64) {
        let samples = self.tape.logits().len() / self.architecture.outputs();
        let nodes = self.architecture.nodes().iter().filter(|node| node.layer.mixes_batch());
        // The normalisations keep their order, whatever the pools'.
        for (node, (_, [means, variances])) in nodes.zip(self.tape.moments()) {
            let count = (samples * node.input.len() / means.len()) as f64;
            for (tensor, values, factor) in [(2, means, 1.0), (3, variances, count / (count - 1.0))] {
                let running = parameters.tensor_mut(node, tensor);
                for (own, &value) in running.iter_mut().zip(values) {
                    *own = T::from_f64(own.as_f64() + momentum * (factor * value - own.as_f64()));
                }
            }
        }
    }

    /// ∂ΣL/∂logits by the factors of [`loss_direction`](Self::loss_direction).
    fn write_direction(&mut self, labels: &[usize]) {
        let outputs = self.architecture.outputs();
        let logits = self.tape.logits();
        self.upstream.resize(logits.len(), T::zero());
        let rows = logits.chunks_exact(outputs).zip(self.upstream.chunks_exact_mut(outputs)).zip(labels);
        let scales: Vec<f64> =
            rows.map(|((logits, row), &label)| loss::cross_entropy_direction(logits, label, row)).collect();
        let largest = scales.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // Without other logits all is zero.
        if self.mixes() && largest > f64::NEG_INFINITY {
            for (row, scale) in self.upstream.chunks_exact_mut(outputs).zip(scales) {
                let factor = T::from_f64((scale - largest).exp());
                row.iter_mut().for_each(|entry| *entry *= factor);
            }
        }
    }

    /// weight · ∂ΣL/∂logits.
    fn write_upstream(&mut self, labels: &[usize], weight: f64) {
        let outputs = self.architecture.outputs();
        let logits = self.tape.logits();
        self.upstream.resize(logits.len(), T::zero());
        let weight = T::from_f64(weight);
        for ((logits, upstream), &label) in
            logits.chunks_exact(outputs).zip(self.upstream.chunks_exact_mut(outputs)).zip(labels)
        {
            loss::cross_entropy_gradient(logits, label, upstream);
            upstream.iter_mut().for_each(|entry| *entry *= weight);
        }
    }
}

impl<T: Real> LossDirections<T> for BatchModel<T> {
    fn loss_directions(&mut self, points: &[T], labels: &[usize]) -> &[T] {
        self.forward(points);
        self.loss_direction(labels)
    }
}
