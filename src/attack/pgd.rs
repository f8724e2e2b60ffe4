//! Projected gradient ascent from a random start (Madry et al., arXiv 1706.06083).

use ndarray_rand::rand::Rng;

use super::{Attack, Iterative, Model, Threat};
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
}

impl Attack for ProjectedGradient {
    fn norm(&self) -> Norm {
        self.norm
    }

    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        threat: Threat,
        rng: &mut (impl Rng + Clone),
        perturbed: &mut [T],
    ) {
        // The same size in every coordinate has norm ε at most.
        let each = threat.size / self.norm.uniform_size(input.len());
        for (value, &x) in perturbed.iter_mut().zip(input) {
            *value = x + T::from_f64(rng.random_range(-each..=each));
        }
        threat.clip(perturbed);
        Iterative { norm: self.norm, steps: self.steps }.climb(model, input, label, threat, perturbed);
    }
}
