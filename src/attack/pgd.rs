//! Projected gradient ascent from a random start (Madry et al., arXiv 1706.06083).

use ndarray_rand::rand::Rng;

use super::gradient_step::step;
use super::{Attack, Model};
use crate::network::{Norm, Real};

/// K steps of size ε/(0.75 K) along the steepest direction, each followed by a projection onto the ball of size ε; it starts
/// from a uniform perturbation of every coordinate that lies in the ball. In the linear regime that is weaker than one step
/// to the edge: a coordinate that starts at the wrong edge ends at ε/3, so that FGSM does 9/8 of its damage in the mean.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectedGradient {
    /// The norm ‖·‖ₚ of the ball, 2 or ∞.
    pub norm: Norm,
    /// Number of steps K.
    pub steps: usize,
}

/// What the steps would cover together, over ε: a third more than the radius.
const REACH: f64 = 1.0 / 0.75;

impl Attack for ProjectedGradient {
    fn norm(&self) -> Norm {
        self.norm
    }

    fn perturb<T: Real>(
        &self,
        model: &mut Model<'_, T>,
        input: &[T],
        label: usize,
        size: f64,
        rng: &mut impl Rng,
        perturbed: &mut [T],
    ) {
        // The same size in every coordinate has norm ε at most.
        let each = size / self.norm.uniform_size(input.len());
        for (value, &x) in perturbed.iter_mut().zip(input) {
            *value = x + T::from_f64(rng.random_range(-each..=each));
        }
        let mut direction = vec![T::zero(); input.len()];
        for _ in 0..self.steps {
            let gradient = model.loss_gradient(perturbed, label);
            self.norm.dual().steepest_direction(gradient, &mut direction);
            step(&mut direction, size * REACH / self.steps as f64, perturbed);
            perturbed.copy_from_slice(&direction);
            self.project(input, size, perturbed);
        }
    }
}

impl ProjectedGradient {
    /// Moves a point to the nearest one in the ball around `input`.
    fn project<T: Real>(&self, input: &[T], size: f64, point: &mut [T]) {
        if self.norm == Norm::INFINITY {
            let size = T::from_f64(size);
            for (value, &x) in point.iter_mut().zip(input) {
                let (low, high) = (x - size, x + size);
                // A NaN compares false and stays.
                *value = if *value < low {
                    low
                } else if *value > high {
                    high
                } else {
                    *value
                };
            }
            return;
        }
        let length = point.iter().zip(input).map(|(&value, &x)| (value - x).as_f64().powi(2)).sum::<f64>().sqrt();
        if length > size {
            let factor = T::from_f64(size / length);
            point.iter_mut().zip(input).for_each(|(value, &x)| *value = x + factor * (*value - x));
        }
    }
}
