//! One step along the steepest direction: FGSM for p = ∞ (Goodfellow et al., arXiv 1412.6572), the gradient itself for p = 2.

use ndarray_rand::rand::Rng;

use super::{Attack, Model, Threat};
use crate::network::{Norm, Real};

/// x + εₚ u, clipped to the box, where u attains Hölder's bound u·∂ₓL = ‖∂ₓL‖_q among ‖u‖ₚ ≤ 1: to first order the strongest
/// attack of its size, where there is no box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientStep {
    /// The norm ‖·‖ₚ.
    pub norm: Norm,
}

impl Attack for GradientStep {
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
        let gradient = model.loss_direction(input, label).along;
        self.norm.dual().steepest_direction(gradient, perturbed);
        step(perturbed, threat.size, input);
        threat.clip(perturbed);
    }
}

/// Turns a direction into input + size · direction.
pub(super) fn step<T: Real>(direction: &mut [T], size: f64, input: &[T]) {
    let size = T::from_f64(size);
    direction.iter_mut().zip(input).for_each(|(value, &x)| *value = x + size * *value);
}
