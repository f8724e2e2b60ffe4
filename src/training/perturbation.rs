//! Attacks on whole batches, as training and its evaluation need them.

use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use super::BatchModel;
use crate::network::{Norm, Real};

/// How the samples of a batch are perturbed to raise their losses. Of size ε in the paper's unit: ‖δ‖ₚ ≤ ε d^(1/p).
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Perturbation {
    /// One step of the whole size along the steepest direction: FGSM for p = ∞, the gradient itself for p = 2.
    GradientStep {
        /// The norm ‖·‖ₚ.
        norm: Norm,
    },
    /// K steps of size ε/(0.75 K) along sign ∂ₓL from a random start, projected to |δᵢ| ≤ ε (Madry et al., arXiv 1706.06083).
    ProjectedGradient {
        /// K.
        steps: usize,
    },
}

impl Perturbation {
    /// The perturbed samples. Where there is one, `direction` is the [direction](BatchModel::loss_direction) of ∂ₓΣL at the input, by
    /// whatever factor above zero; else it is empty.
    pub fn perturb<T: Real>(
        self,
        model: &mut BatchModel<T>,
        input: &[T],
        labels: &[usize],
        direction: &[T],
        size: f64,
        rng: &mut impl Rng,
    ) -> Vec<T> {
        let dimension = model.architecture().dimension();
        let mut perturbed = input.to_vec();
        match self {
            Self::GradientStep { norm } => {
                let length = size * norm.uniform_size(dimension);
                if direction.is_empty() {
                    model.forward(input);
                    step(norm, model.loss_direction(labels), length, dimension, &mut perturbed);
                } else {
                    step(norm, direction, length, dimension, &mut perturbed);
                }
            }
            Self::ProjectedGradient { steps } => {
                let radius = T::from_f64(size);
                perturbed.iter_mut().for_each(|value| *value += T::from_f64(size * rng.random_range(-1.0..1.0)));
                for _ in 0..steps {
                    model.forward(&perturbed);
                    let direction = model.loss_direction(labels);
                    step(Norm::INFINITY, direction, size / (0.75 * steps as f64), dimension, &mut perturbed);
                    for (value, &x) in perturbed.iter_mut().zip(input) {
                        // A NaN compares false and stays.
                        if *value > x + radius {
                            *value = x + radius;
                        } else if *value < x - radius {
                            *value = x - radius;
                        }
                    }
                }
            }
        }
        perturbed
    }
}

/// Moves every sample by `length` along the direction of norm 1 that raises its loss most; `gradient` has no scale.
fn step<T: Real>(norm: Norm, gradient: &[T], length: f64, dimension: usize, samples: &mut [T]) {
    let length = T::from_f64(length);
    samples.par_chunks_mut(dimension).zip(gradient.par_chunks(dimension)).for_each(|(sample, gradient)| {
        let mut direction = vec![T::zero(); dimension];
        norm.dual().steepest_direction(gradient, &mut direction);
        sample.iter_mut().zip(&direction).for_each(|(value, &way)| *value += length * way);
    });
}
