//! One step along the steepest direction: FGSM for p = ∞ (Goodfellow et al., arXiv 1412.6572), the gradient itself for p = 2.

use ndarray_rand::rand::Rng;

use super::ascent::step;
use super::{Ascent, LossDirections, Threat, Tunable};
use crate::network::{Norm, Real};

/// x + εₚ u, clipped to the box, where u attains Hölder's bound u·∂ₓL = ‖∂ₓL‖_q among ‖u‖ₚ ≤ 1: to first order the strongest
/// attack of its size, where there is no box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientStep {
    /// The norm ‖·‖ₚ.
    pub norm: Norm,
}

impl GradientStep {
    /// Takes the step where the [directions](LossDirections::loss_directions) at the points, samples of `dimension` coordinates, are
    /// known already.
    pub fn follow<T: Real>(&self, directions: &[T], threat: Threat, dimension: usize, points: &mut [T]) {
        step(self.norm, directions, threat.size, dimension, points);
        threat.clip(points);
    }
}

impl Tunable for GradientStep {}

impl Ascent for GradientStep {
    fn ball_norm(&self) -> Norm {
        self.norm
    }

    fn ascend<T: Real>(
        &self,
        model: &mut impl LossDirections<T>,
        inputs: &[T],
        labels: &[usize],
        threat: Threat,
        _: &mut impl Rng,
        points: &mut [T],
    ) {
        self.follow(model.loss_directions(inputs, labels), threat, inputs.len() / labels.len(), points);
    }
}
