//! Projected gradient ascent from the input itself (Kurakin et al., arXiv 1607.02533, for p = ∞; the same in ‖·‖₂).

use ndarray_rand::rand::Rng;
use rayon::prelude::*;

use super::ascent::step;
use super::{Ascent, LossDirections, Threat, Tunable};
use crate::network::{Norm, Real};

/// K steps along the steepest direction, of size ε/(0.75 K) unless told otherwise, each followed by a projection onto the ball of size ε
/// and the box. Where the gradient is constant they end where one step of size ε does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Iterative {
    /// The norm ‖·‖ₚ of the ball, 2 or ∞.
    pub norm: Norm,
    /// Number of steps K.
    pub steps: usize,
    /// The size of a step, as a perturbation of one coordinate, whatever the radius; `None` for ε/(0.75 K).
    pub step_size: Option<f64>,
}

/// What the steps would cover together, over ε: a third more than the radius.
const REACH: f64 = 1.0 / 0.75;

impl Tunable for Iterative {
    fn steps_mut(&mut self) -> Option<&mut usize> {
        Some(&mut self.steps)
    }

    fn step_size_mut(&mut self) -> Option<&mut Option<f64>> {
        Some(&mut self.step_size)
    }
}

impl Ascent for Iterative {
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
        self.climb(model, inputs, labels, threat, points);
    }
}

impl Iterative {
    /// Climbs from `points`, inside the balls around `inputs` and the box.
    pub(super) fn climb<T: Real>(
        &self,
        model: &mut impl LossDirections<T>,
        inputs: &[T],
        labels: &[usize],
        threat: Threat,
        points: &mut [T],
    ) {
        let dimension = inputs.len() / labels.len();
        let of_radius = || threat.size * REACH / self.steps as f64;
        let length = self.step_size.map_or_else(of_radius, |size| size * self.norm.uniform_size(dimension));
        for _ in 0..self.steps {
            let directions = model.loss_directions(points, labels);
            step(self.norm, directions, length, dimension, points);
            let samples = points.par_chunks_mut(dimension).zip(inputs.par_chunks(dimension));
            samples.for_each(|(point, input)| threat.project(self.norm, input, point));
        }
    }
}
