//! What an attack sees of a network: logits and the loss's steepest directions at inputs of its choice.

use super::State;
use crate::network::{Architecture, LossDirection, Parameters, Real, Tape};

/// A network whose first sample is moved about; the other samples of its batch, where there are any, stay.
#[derive(Debug)]
pub struct Model<'a, T> {
    architecture: &'a Architecture,
    parameters: &'a Parameters<T>,
    tape: &'a mut Tape<T>,
}

impl<'a, T: Real> Model<'a, T> {
    /// The network of these parameters on this tape.
    pub fn new(architecture: &'a Architecture, parameters: &'a Parameters<T>, tape: &'a mut Tape<T>) -> Self {
        Self { architecture, parameters, tape }
    }

    /// The input of the last forward pass.
    pub fn input(&self) -> &[T] {
        &self.tape.values(0)[..self.architecture.dimension()]
    }

    /// The logits of the last forward pass.
    pub fn last_logits(&self) -> &[T] {
        &self.tape.logits()[..self.architecture.outputs()]
    }

    /// The logits at `input`.
    pub fn logits(&mut self, input: &[T]) -> &[T] {
        self.tape.input_mut()[..input.len()].copy_from_slice(input);
        &self.tape.propagate(self.architecture, self.parameters)[..self.architecture.outputs()]
    }

    /// ∂ₓL at `input` without its scale, L the softmax cross-entropy with this label.
    pub fn loss_direction(&mut self, input: &[T], label: usize) -> LossDirection<'_, T> {
        self.logits(input);
        self.tape.loss_direction(self.architecture, self.parameters, label)
    }

    /// The loss and the prediction at `input`.
    pub fn state(&mut self, input: &[T], label: usize) -> State {
        State::new(self.logits(input), label)
    }

    /// Whether the network predicts another class than the label at `input`; not where a logit is not finite.
    pub fn is_fooled(&mut self, input: &[T], label: usize) -> bool {
        let state = self.state(input, label);
        state.is_finite && state.prediction != label
    }

    /// ∂ₓf_k at the input of the last forward pass.
    pub fn logit_gradient(&mut self, logit: usize) -> &[T] {
        self.tape.logit_gradient(self.architecture, self.parameters, logit)
    }
}
