//! Projected gradient ascent from the input itself (Kurakin et al., arXiv 1607.02533, for p = ∞; the same in ‖·‖₂).

use ndarray_rand::rand::Rng;

use super::gradient_step::step;
use super::{Attack, Model, Threat};
use crate::network::{Norm, Real};

/// K steps of size ε/(0.75 K) along the steepest direction, each followed by a projection onto the ball of size ε and the box.
/// Where the gradient is constant they end where one step of size ε does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iterative {
    /// The norm ‖·‖ₚ of the ball, 2 or ∞.
    pub norm: Norm,
    /// Number of steps K.
    pub steps: usize,
}

/// What the steps would cover together, over ε: a third more than the radius.
const REACH: f64 = 1.0 / 0.75;

impl Attack for Iterative {
    fn norm(&self) -> Norm {
        self.norm
    }

    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        threat: Threat,
        _: &mut (impl Rng + Clone),
        perturbed: &mut [T],
    ) {
        perturbed.copy_from_slice(input);
        self.climb(model, input, label, threat, perturbed);
    }
}

impl Iterative {
    /// Climbs from `perturbed`, inside the ball around `input` and the box.
    pub(super) fn climb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        threat: Threat,
        perturbed: &mut [T],
    ) {
        let mut direction = vec![T::zero(); input.len()];
        for _ in 0..self.steps {
            let gradient = model.loss_direction(perturbed, label).along;
            self.norm.dual().steepest_direction(gradient, &mut direction);
            step(&mut direction, threat.size * REACH / self.steps as f64, perturbed);
            perturbed.copy_from_slice(&direction);
            threat.project(self.norm, input, perturbed);
        }
    }
}
