//! Backpropagation to the input: the values of one forward pass, and the gradients that run back through them.

use super::architecture::{Addend, Architecture};
use super::layer::{Activation, LayerRule, Scratch, mask};
use super::operator::{Operator, Place};
use super::{Norm, Real, loss};
use crate::stop::Stop;

/// The memory of one network's forward and backward pass, allocated once and used for any number of runs.
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
    batch: usize,
    /// The input, and every layer's output, but for those that a ReLU replaces.
    values: Vec<Vec<T>>,
    relus: Vec<Option<Joined>>,
    gradients: GradientMemory<T>,
    scratch: Scratch<T>,
    stop: Stop,
}

/// ∂ₓL without its scale: what attacks look at, who only want a direction. A network that is all but sure of the label has a ∂ₓL that
/// no floating-point number holds, but its direction is that of any other network.
#[derive(Debug, Clone, Copy)]
pub struct LossDirection<'a, T> {
    /// ∂ₓL/(1 − p_y): the gradient that runs back from [`loss::cross_entropy_direction`], p the softmax and y the label.
    pub along: &'a [T],
    /// log(1 − p_y).
    pub log_scale: f64,
}

impl<T: Real> LossDirection<'_, T> {
    /// ‖∂ₓL‖ in true scale, where ‖∂ₓL‖/(1 − p_y) is `norm`; not zero as long as f64 holds it.
    pub fn in_scale(&self, norm: f64) -> f64 {
        // Twice the root, since the whole factor may underflow where the product does not.
        let root = (0.5 * self.log_scale).exp();
        root * norm * root
    }

    /// ‖∂ₓL‖ in true scale.
    pub fn norm(&self, norm: Norm) -> f64 {
        self.in_scale(norm.of(self.along))
    }
}

/// A ReLU that the layer before it does along with its own work, so that what it is given is never stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Joined {
    /// Whether one layer alone reads what it gives, and does its backward pass too.
    both_ways: bool,
}

impl Joined {
    /// Of each node, whether it is such a ReLU.
    fn of(architecture: &Architecture) -> Vec<Option<Self>> {
        let nodes = architecture.nodes();
        let (mut readers, mut addends) = (vec![0; nodes.len() + 1], vec![0; nodes.len() + 1]);
        for node in nodes {
            readers[node.source] += 1;
            node.addend.iter().for_each(|addend| addends[addend.value] += 1);
        }
        let joined = |index: usize| {
            let before = &nodes[index.checked_sub(1)?];
            let is_alone = readers[index] == 1 && addends[index] == 0 && nodes[index].source == index;
            let is_relu =
                nodes[index].layer.activation() == Some(Activation::Relu) && before.layer.activation().is_none();
            let both_ways = readers[index + 1] == 1 && addends[index + 1] == 0;
            (is_alone && is_relu && before.addend.is_none() && nodes[index].addend.is_none())
                .then_some(Self { both_ways })
        };
        (0..nodes.len()).map(joined).collect()
    }
}

/// Memory for the gradients with respect to the values, each kept only while it is needed.
#[derive(Debug, Clone)]
struct GradientMemory<T> {
    /// The slot of each value's gradient.
    slots: Vec<usize>,
    /// Of each node, whether its contributions to the gradients of its source and its addend are the first ones.
    first: Vec<[bool; 2]>,
    memory: Vec<Vec<T>>,
    /// A second contribution to a gradient, before it is added.
    contribution: Vec<T>,
}

impl<T: Real> GradientMemory<T> {
    fn new(architecture: &Architecture, relus: &[Option<Joined>], batch: usize) -> Self {
        let values = architecture.nodes().len() + 1;
        let (mut slots, mut free, mut sizes) = (vec![None; values], Vec::new(), Vec::new());
        let (mut contribution, mut first) = (0, vec![[true; 2]; values - 1]);
        let mut take = |size: usize, free: &mut Vec<usize>| {
            let slot = free.pop().unwrap_or_else(|| {
                sizes.push(0);
                sizes.len() - 1
            });
            sizes[slot] = sizes[slot].max(size * batch);
            slot
        };
        slots[values - 1] = Some(take(architecture.outputs(), &mut free));
        for (index, node) in architecture.nodes().iter().enumerate().rev() {
            if relus[index].is_some() {
                // In place.
                slots[node.source] = slots[index + 1];
                continue;
            }
            for (source, is_first) in node.sources().zip(&mut first[index]) {
                let size = architecture.value_shape(source).len();
                if slots[source].is_some() {
                    *is_first = false;
                    contribution = contribution.max(size * batch);
                } else {
                    slots[source] = Some(take(size, &mut free));
                }
            }
            // Whatever reads the node's own value came later, and is done.
            free.extend(slots[index + 1]);
        }
        Self {
            // Every value is read by a later node, or is the logits.
            slots: slots.into_iter().map(Option::unwrap_or_default).collect(),
            first,
            memory: sizes.into_iter().map(|size| vec![T::zero(); size]).collect(),
            contribution: vec![T::zero(); contribution],
        }
    }

    /// Adds to the gradient of a value what `write` writes; the first contribution is written in place.
    fn contribute(&mut self, value: usize, size: usize, is_first: bool, write: impl FnOnce(&mut [T])) {
        let slot = &mut self.memory[self.slots[value]][..size];
        if is_first {
            return write(slot);
        }
        let contribution = &mut self.contribution[..size];
        write(contribution);
        slot.iter_mut().zip(contribution).for_each(|(sum, &mut more)| *sum += more);
    }
}

impl<T: Real> Tape<T> {
    /// Memory for networks of this architecture, one sample at a time.
    pub fn new(architecture: &Architecture) -> Self {
        Self::with_batch(architecture, 1)
    }

    /// Memory for `batch` samples that run together.
    pub fn with_batch(architecture: &Architecture, batch: usize) -> Self {
        let relus = Joined::of(architecture);
        let size = |value: usize| {
            let is_replaced = relus.get(value).is_some_and(Option::is_some);
            if is_replaced { 0 } else { batch * architecture.value_shape(value).len() }
        };
        Self {
            batch,
            values: (0..=architecture.nodes().len()).map(|value| vec![T::zero(); size(value)]).collect(),
            gradients: GradientMemory::new(architecture, &relus, batch),
            relus,
            scratch: Scratch::default(),
            stop: Stop::default(),
        }
    }

    /// Lets passes look for a request to stop before each layer. One that finds it ends there, and what it returns means
    /// nothing.
    pub fn stop_at(&mut self, stop: &Stop) {
        self.stop = stop.clone();
    }

    /// Number of samples that run together.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The input of the next [`propagate`](Self::propagate), sample after sample, to be written in place.
    pub fn input_mut(&mut self) -> &mut [T] {
        &mut self.values[0]
    }

    /// Runs the network on `input` (length d for each sample) and returns the logits.
    pub fn forward(&mut self, architecture: &Architecture, weights: impl Operator<T>, input: &[T]) -> &[T] {
        self.input_mut().copy_from_slice(input);
        self.propagate(architecture, weights)
    }

    /// Runs the network on the input written before and returns the logits, sample after sample.
    pub fn propagate(&mut self, architecture: &Architecture, mut weights: impl Operator<T>) -> &[T] {
        for (index, node) in architecture.nodes().iter().enumerate() {
            if self.stop.is_asked() {
                break;
            }
            let (before, after) = self.values.split_at_mut(index + 1);
            let is_joined = |index: usize| self.relus.get(index).is_some_and(Option::is_some);
            let with_relu = is_joined(index + 1);
            if !is_joined(index) {
                let place = Place { index, node, batch: self.batch, with_relu };
                let output = &mut after[usize::from(with_relu)];
                weights.apply(place, &before[node.source], output, &mut self.scratch);
            }
            if let Some(addend) = node.addend {
                after[0].iter_mut().zip(&before[addend.value]).for_each(|(sum, &other)| *sum += other);
            }
        }
        self.logits()
    }

    /// The logits of the last forward pass, sample after sample.
    pub fn logits(&self) -> &[T] {
        // `values` holds the input at least.
        &self.values[self.values.len() - 1]
    }

    /// A value of the last forward pass: 0 is the input, i + 1 the output of node i; or, where a ReLU alone reads that, what the
    /// ReLU gives, which is positive for the same units.
    pub fn values(&self, index: usize) -> &[T] {
        &self.values[if self.relus.get(index).is_some_and(Option::is_some) { index + 1 } else { index }]
    }

    /// ∂ₓL of the first sample of the last forward pass, L the softmax cross-entropy with this label.
    pub fn loss_gradient(&mut self, architecture: &Architecture, weights: impl Operator<T>, label: usize) -> &[T] {
        let gradient = self.gradient(architecture, weights, |logits, upstream| {
            loss::cross_entropy_gradient(logits, label, upstream);
        });
        &gradient[..architecture.dimension()]
    }

    /// The same without its scale, which may be out of the range of `T`.
    pub fn loss_direction(
        &mut self,
        architecture: &Architecture,
        weights: impl Operator<T>,
        label: usize,
    ) -> LossDirection<'_, T> {
        let mut log_scale = f64::NAN;
        let gradient = self.gradient(architecture, weights, |logits, upstream| {
            log_scale = loss::cross_entropy_direction(logits, label, upstream);
        });
        LossDirection { along: &gradient[..architecture.dimension()], log_scale }
    }

    /// ∂ₓf_k of the first sample of the last forward pass, f_k the logit of index `logit`.
    pub fn logit_gradient(&mut self, architecture: &Architecture, weights: impl Operator<T>, logit: usize) -> &[T] {
        let gradient = self.gradient(architecture, weights, |_, upstream| upstream[logit] = T::one());
        &gradient[..architecture.dimension()]
    }

    /// The gradient with respect to all inputs of a function of the first sample's logits, at the last forward pass:
    /// `write` is given these logits, and writes the function's derivatives with respect to them over zeros.
    pub fn gradient(
        &mut self,
        architecture: &Architecture,
        weights: impl Operator<T>,
        write: impl FnOnce(&[T], &mut [T]),
    ) -> &[T] {
        let (count, outputs) = (architecture.nodes().len(), architecture.outputs());
        let upstream = &mut self.gradients.memory[self.gradients.slots[count]][..self.batch * outputs];
        upstream.fill(T::zero());
        write(&self.values[count][..outputs], &mut upstream[..outputs]);
        self.backpropagate(architecture, weights)
    }

    /// Carries the gradient with respect to the logits back to the inputs.
    fn backpropagate(&mut self, architecture: &Architecture, mut weights: impl Operator<T>) -> &[T] {
        for (index, node) in architecture.nodes().iter().enumerate().rev() {
            if self.stop.is_asked() {
                break;
            }
            let slot = self.gradients.slots[index + 1];
            if let Some(Joined { both_ways }) = self.relus[index] {
                if !both_ways {
                    mask(&mut self.gradients.memory[slot], &self.values[index + 1]);
                }
                continue;
            }
            let upstream = std::mem::take(&mut self.gradients.memory[slot]);
            let above = &upstream[..self.batch * node.output.len()];
            let (input, scratch) = (&self.values[node.source], &mut self.scratch);
            let from_relu = node.source.checked_sub(1).and_then(|before| self.relus[before]);
            let with_relu = from_relu == Some(Joined { both_ways: true });
            let place = Place { index, node, batch: self.batch, with_relu };
            let [first, addend_first] = self.gradients.first[index];
            self.gradients.contribute(node.source, self.batch * node.input.len(), first, |below| {
                weights.apply_transposed(place, input, above, below, scratch);
            });
            if let Some(Addend { value, .. }) = node.addend {
                self.gradients.contribute(value, above.len(), addend_first, |below| below.copy_from_slice(above));
            }
            self.gradients.memory[slot] = upstream;
        }
        &self.gradients.memory[self.gradients.slots[0]][..self.batch * architecture.dimension()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Dense, Parameters, Part, Relu, Shape};
    use super::*;

    #[test]
    fn a_pass_that_is_to_stop_does_nothing() {
        let shape = Shape::new([2]).unwrap();
        let network = Architecture::new(shape, vec![Dense::new(2).into(), Relu.into(), Dense::new(2).into()]).unwrap();
        let mut parameters = Parameters::<f64>::new(&network);
        parameters.values_mut().fill(1.0);
        let (mut tape, stop) = (Tape::new(&network), Stop::new());
        tape.stop_at(&stop);
        assert_eq!(tape.forward(&network, &parameters, &[1.0, 2.0]), [6.0; 2]);
        assert_eq!(tape.logit_gradient(&network, &parameters, 0), [2.0; 2]);
        stop.ask();
        assert_eq!(tape.forward(&network, &parameters, &[5.0, 5.0]), [6.0; 2]);
        parameters.values_mut().fill(7.0);
        assert_ne!(tape.logit_gradient(&network, &parameters, 0), [98.0; 2]);
    }

    #[test]
    fn a_chain_holds_two_gradients_and_a_residual_block_three() {
        let memory = |network: &Architecture| GradientMemory::<f64>::new(network, &Joined::of(network), 1);
        let shape = Shape::new([5]).unwrap();
        let chain = Architecture::new(shape.clone(), vec![Dense::new(5).into(), Relu.into(), Dense::new(2).into()]);
        assert_eq!(memory(&chain.unwrap()).memory.len(), 2);
        let branch = vec![Dense::new(5).into(), Relu.into()];
        let parts = vec![Part::Residual { branch, projection: vec![] }, Dense::new(2).into()];
        let memory = memory(&Architecture::from_parts(shape, parts).unwrap());
        assert_eq!((memory.memory.len(), memory.contribution.len()), (3, 5));
    }
}
