//! Attacks that climb the loss along its steepest direction, of one sample or of all samples of a batch at once: training perturbs its
//! batches with the attacks that networks are attacked with.

use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use super::{Attack, Model, Threat};
use crate::network::{Norm, Real};

/// A network as attacks that climb its loss see it.
pub trait LossDirections<T> {
    /// ∂ₓL of every sample at `points`, one sample after the other as in `points`, each by a factor above zero of its own; L is the
    /// softmax cross-entropy with the sample's label, or minus the one with the target of the attack.
    fn loss_directions(&mut self, points: &[T], labels: &[usize]) -> &[T];
}

impl<T: Real> LossDirections<T> for Model<'_, T> {
    fn loss_directions(&mut self, points: &[T], labels: &[usize]) -> &[T] {
        self.steepest_rise(points, labels[0])
    }
}

/// An attack that needs nothing of a network but the steepest directions of its loss.
pub trait Ascent {
    /// The norm ‖·‖ₚ in which the perturbation of a sample is bounded.
    fn ball_norm(&self) -> Norm;

    /// Moves `points`, which are the `inputs` as it is called, to where the samples' losses are larger and the threat allows it.
    fn ascend<T: Real>(
        &self,
        model: &mut impl LossDirections<T>,
        inputs: &[T],
        labels: &[usize],
        threat: Threat,
        rng: &mut impl Rng,
        points: &mut [T],
    );
}

impl<A: Ascent> Attack for A {
    fn norm(&self) -> Norm {
        self.ball_norm()
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
        perturbed.copy_from_slice(input);
        self.ascend(model, input, &[label], threat, rng, perturbed);
    }
}

/// Moves each sample of `dimension` coordinates by `length` along the direction of ‖·‖ₚ = 1 that raises its loss most.
pub(super) fn step<T: Real>(norm: Norm, directions: &[T], length: f64, dimension: usize, points: &mut [T]) {
    let length = T::from_f64(length);
    points.par_chunks_mut(dimension).zip(directions.par_chunks(dimension)).for_each(|(point, along)| {
        let mut steepest = vec![T::zero(); dimension];
        norm.dual().steepest_direction(along, &mut steepest);
        point.iter_mut().zip(&steepest).for_each(|(value, &way)| *value += length * way);
    });
}
