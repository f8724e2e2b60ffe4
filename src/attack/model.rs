//! What an attack sees of a network: logits and the loss's steepest directions at inputs of its choice, and what it is to bring about.

use super::State;
use crate::network::{Architecture, LossDirection, Parameters, Real, Tape, loss};

/// A network whose first sample is moved about; the other samples of its batch, where there are any, stay.
///
/// An attack on it is to make a prediction wrong, whatever it becomes, or to make it one class, the target.
#[derive(Debug)]
pub struct Model<'a, T> {
    architecture: &'a Architecture,
    parameters: &'a Parameters<T>,
    tape: &'a mut Tape<T>,
    target: Option<usize>,
    /// The direction in which the target's loss falls.
    descent: Vec<T>,
}

impl<'a, T: Real> Model<'a, T> {
    /// The network of these parameters on this tape.
    pub fn new(architecture: &'a Architecture, parameters: &'a Parameters<T>, tape: &'a mut Tape<T>) -> Self {
        Self { architecture, parameters, tape, target: None, descent: Vec::new() }
    }

    /// The same network, of which attacks are to make the prediction this class.
    pub fn towards(self, target: Option<usize>) -> Self {
        Self { target, ..self }
    }

    /// The class that attacks are to make the prediction; `None` where any wrong one will do.
    pub fn target(&self) -> Option<usize> {
        self.target
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

    /// Whether the network predicts another class than the label at `input`, or the target where there is one; not where a logit is not
    /// finite.
    pub fn is_fooled(&mut self, input: &[T], label: usize) -> bool {
        let target = self.target;
        self.state(input, label).is_success(label, target)
    }

    /// How far an attack has come at `input`: whether it has succeeded, and what it raises, the loss with this label or minus the loss with
    /// the target.
    pub fn standing(&mut self, input: &[T], label: usize) -> (bool, f64) {
        let target = self.target;
        let logits = self.logits(input);
        let state = State::new(logits, label);
        let raised = target.map_or(state.loss, |target| -loss::cross_entropy(logits, target));
        (state.is_success(label, target), raised)
    }

    /// The direction in which what an attack raises rises most steeply in ‖·‖₂ at `input`, without its scale.
    pub(super) fn steepest_rise(&mut self, input: &[T], label: usize) -> &[T] {
        let Some(target) = self.target else { return self.loss_direction(input, label).along };
        let mut descent = std::mem::take(&mut self.descent);
        descent.clear();
        descent.extend(self.loss_direction(input, target).along.iter().map(|&coordinate| -coordinate));
        self.descent = descent;
        &self.descent
    }

    /// ∂ₓf_k at the input of the last forward pass.
    pub fn logit_gradient(&mut self, logit: usize) -> &[T] {
        self.tape.logit_gradient(self.architecture, self.parameters, logit)
    }
}
