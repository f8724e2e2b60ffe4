//! Adversarial augmentation (Goodfellow et al., arXiv 1412.6572).

use ndarray_rand::rand::Rng;

use super::super::BatchModel;
use super::{Choices, Keyed, ObjectiveRule};
use crate::attack::{GradientStep, Threat};
use crate::network::{Norm, Real};

/// mean ½ (L(x) + L(x + δ)), δ the step of size ‖δ‖ₚ = ε d^(1/p) along the steepest direction of the loss, held fixed: FGSM for
/// p = ∞.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AdversarialAugmentation {
    /// ‖·‖ₚ.
    pub norm: Norm,
    /// ε.
    pub strength: f64,
}

impl Keyed for AdversarialAugmentation {
    const SUMMARY: &'static str =
        "½(L(x) + L(x + δ)), δ one step of size εₚ along the steepest direction in ‖·‖ₚ: FGSM for `\"inf\"`";
    const KEYS: &'static [&'static str] = &["norm", "strength"];

    fn chosen(Choices { norm, strength, .. }: Choices) -> Self {
        Self { norm, strength }
    }
}

impl ObjectiveRule for AdversarialAugmentation {
    fn passes(&self, _: usize) -> f64 {
        2.0
    }

    fn accumulate<T: Real>(
        &self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        _: &mut impl Rng,
        seen: impl FnOnce(&BatchModel<T>),
    ) -> f64 {
        model.forward(input);
        seen(model);
        let before = model.mean_loss(labels);
        let dimension = model.architecture().dimension();
        let threat = Threat::unbounded(self.strength * self.norm.uniform_size(dimension));
        let mut perturbed = input.to_vec();
        let directions = model.accumulate_loss_and_direction(labels, 0.5);
        GradientStep { norm: self.norm }.follow(directions, threat, dimension, &mut perturbed);
        model.forward(&perturbed);
        model.accumulate_loss(labels, 0.5);
        0.5 * (before + model.mean_loss(labels))
    }
}
