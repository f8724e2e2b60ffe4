//! Projected gradient ascent from a random start (Madry et al., arXiv 1706.06083).

use ndarray_rand::rand::Rng;

use super::{Ascent, Iterative, LossDirections, Threat, Tunable};
use crate::network::{Norm, Real};

/// The steps of [`Iterative`] from a uniform perturbation of every coordinate that lies in the ball, clipped to the box. In the
/// linear regime that is weaker than one step to the edge: a coordinate that starts at the wrong edge ends at ε/3, so that FGSM
/// does 9/8 of its damage in the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectedGradient {
    /// The norm ‖·‖ₚ of the ball, 2 or ∞.
    pub norm: Norm,
    /// Number of steps K.
    pub steps: usize,
    /// The size of a step, as in [`Iterative`].
    pub step_size: Option<f64>,
}

impl Tunable for ProjectedGradient {
    fn steps_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.steps)
    }

    fn step_size_mut(&mut self) -> Option<&mut Option<f64>> {
        Some(&mut self.step_size)
    }

    fn is_random(&self) -> bool {
        true
    }
}

impl Ascent for ProjectedGradient {
    fn ball_norm(&self) -> Norm {
        self.norm
    }

    fn ascend<T: Real>(
        &self,
        model: &mut impl LossDirections<T>,
        inputs: &[T],
        labels: &[usize],
        threat: Threat,
        rng: &mut impl Rng,
        points: &mut [T],
    ) {
        // The same size in every coordinate has norm ε at most.
        let each = threat.size / self.norm.uniform_size(inputs.len() / labels.len());
        points.iter_mut().for_each(|value| *value += T::from_f64(each * rng.random_range(-1.0..1.0)));
        threat.clip(points);
        Iterative { norm: self.norm, steps: self.steps, step_size: self.step_size }
            .climb(model, inputs, labels, threat, points);
    }
}
